//! What people do once they are in.

use super::*;

#[tokio::test]
async fn app_passwords_are_made_before_the_first_factor_and_hold_the_mailbox_password() {
    let site = Site::open().await;
    let visit = site.inside(ALICE).await;
    let inside = visit.inside().unwrap();
    let fresh = inside.fresh().unwrap();
    let wanted = NewAppPassword { name: " 华为邮箱 ", scope: anything() };
    let created = site.portal.create_app_password(fresh, &wanted).await.unwrap();
    assert_eq!(text(&created.printed).len(), 19);
    let rows = site.portal.app_passwords(inside).await.unwrap();
    assert_eq!((rows[0].name.as_str(), rows[0].sealed.is_some()), ("华为邮箱", true));
    site.portal.rename_app_password(fresh, created.id, "Foxmail").await.unwrap();
    let rows = site.portal.app_passwords(inside).await.unwrap();
    assert_eq!(
        (rows[0].name.as_str(), site.portal.on.app_passwords.scope(&rows[0]).unwrap()),
        ("Foxmail", anything())
    );
    assert!(matches!(
        site.portal.rename_app_password(fresh, created.id, " ").await,
        Err(NoAppPassword::Invalid(_))
    ));
    let nobodys = AppPasswordId(random::uuid(Timestamp::from_unix_seconds(1)));
    for gone in [nobodys, created.id] {
        let revoked = site.portal.revoke_app_password(fresh, gone).await.map(|row| row.id);
        assert_eq!(revoked, if gone == nobodys { Err(NoAppPassword::NotFound) } else { Ok(gone) });
    }
    assert_eq!(site.records("app_password_renamed").await[0]["by"]["ip"], "192.0.2.1");
}

#[tokio::test]
async fn nothing_of_another_account_can_be_reached_by_its_identifiers() {
    let site = Site::open().await;
    let alice = site.inside(ALICE).await;
    let (bob, raw, _) = site.bind(&site.inside(BOB).await).await;
    let of_alice = alice.inside().unwrap().fresh().unwrap();
    let of_bob = bob.inside().unwrap().fresh().unwrap();
    let wanted = NewAppPassword { name: "Foxmail", scope: anything() };
    let bobs = site.portal.create_app_password(of_bob, &wanted).await.unwrap();
    let factor = site.portal.overview(of_bob.inside()).await.unwrap().factors[0].id;
    assert_eq!(site.portal.revoke_app_password(of_alice, bobs.id).await.err(), Some(NoAppPassword::NotFound));
    assert_eq!(site.portal.rename_app_password(of_alice, bobs.id, "x").await, Err(NoAppPassword::NotFound));
    assert_eq!(site.portal.unbind(of_alice, factor).await.err(), Some(Refused::NotFound));
    assert!(!site.portal.end_portal_session(of_alice, bob.id()).await.unwrap());
    let nobodys = random::uuid(Timestamp::from_unix_seconds(1));
    assert!(!site.portal.end_mail_session(of_alice, SessionId(nobodys)).await.unwrap());
    assert!(!site.portal.withdraw_device(of_alice, DeviceId(nobodys)).await.unwrap());
    assert!(!site.portal.end_portal_session(of_alice, PortalSessionId(nobodys)).await.unwrap());
    assert_eq!(site.portal.app_passwords(of_bob.inside()).await.unwrap().len(), 1);
    let entered = site.portal.answer(&alice, TOTP, &site.next_code(&raw)).await;
    assert_eq!(entered.unwrap_err(), NoAnswer::Wrong, "Bob's code is not hers");
}

#[tokio::test]
async fn what_is_offered_stays_the_same_until_it_is_bound_and_wrong_codes_bind_nothing() {
    let site = Site::open().await;
    let visit = site.inside(ALICE).await;
    let first = site.portal.offer_totp(visit.inside().unwrap().fresh().unwrap(), None).await.unwrap();
    let visit = site.again(&visit).await;
    let fresh = visit.inside().unwrap().fresh().unwrap();
    let second = site.portal.offer_totp(fresh, None).await.unwrap();
    assert_eq!(text(&first.uri), text(&second.uri), "it may have been scanned already");
    assert_eq!(site.portal.bind(fresh, FactorKind::Totp, "", "000000").await.err(), Some(Refused::WrongCode));
    assert_eq!(site.records("second_factor").await[0]["outcome"], "refused");
    assert!(!site.again(&visit).await.is_bound());
    let bound = site.portal.bind(fresh, FactorKind::Totp, "", &site.code(&raw(&first))).await.unwrap();
    let visit = site.visit(bound.token).await.unwrap();
    let fresh = visit.inside().unwrap().fresh().unwrap();
    assert_eq!(
        site.portal.bind(fresh, FactorKind::Totp, "", &site.next_code(&raw(&first))).await.err(),
        Some(Refused::NoOffer)
    );
}

#[tokio::test]
async fn a_first_factor_is_bound_where_the_site_says_and_others_anywhere() {
    let site = Site::with("[policy]\nenrol_from = [\"192.0.2.0/28\"]\n", |_| ()).await;
    let mut visit = site.inside(ALICE).await;
    visit.from.address = ClientAddress::new([198, 51, 100, 1].into());
    let refused = site.portal.offer_totp(visit.inside().unwrap().fresh().unwrap(), None).await.err();
    assert_eq!(refused, Some(Refused::Elsewhere));
    let (mut visit, _, _) = site.bind(&site.inside(ALICE).await).await;
    visit.from.address = ClientAddress::new([198, 51, 100, 1].into());
    assert!(site.portal.offer_totp(visit.inside().unwrap().fresh().unwrap(), None).await.is_ok());
}

#[tokio::test]
async fn the_last_factor_stays_where_one_is_required_and_else_does_what_the_policy_says() {
    for (after, left) in [(AfterUnbind::Stop, 0), (AfterUnbind::Keep, 1)] {
        let site = Site::with("", |config| config.policies.default.app_passwords_after_unbind = after).await;
        let (visit, _, _) = site.bind(&site.inside(ALICE).await).await;
        let fresh = visit.inside().unwrap().fresh().unwrap();
        let wanted = NewAppPassword { name: "Foxmail", scope: anything() };
        site.portal.create_app_password(fresh, &wanted).await.unwrap();
        let factor = site.portal.overview(fresh.inside()).await.unwrap().factors[0].id;
        let unbinding = site.portal.unbind(fresh, factor).await.unwrap();
        assert_eq!(unbinding.app_passwords_revoked, 1 - left);
        let visit = site.visit(unbinding.token).await.unwrap();
        assert!(!visit.is_bound());
        let overview = site.portal.overview(visit.inside().unwrap()).await.unwrap();
        assert_eq!((overview.app_passwords.len() as u64, overview.recovery_codes), (left, 0));
    }
    let site = Site::with("", |config| {
        config.policies.default.second_factor =
            Requirement::Required { since: Timestamp::from_unix_seconds(0), grace: Duration::ZERO };
    })
    .await;
    let visit = site.inside(ALICE).await;
    assert!(visit.must_bind());
    let (visit, _, _) = site.bind(&visit).await;
    assert!(!visit.must_bind());
    let fresh = visit.inside().unwrap().fresh().unwrap();
    let factor = site.portal.overview(fresh.inside()).await.unwrap().factors[0].id;
    assert_eq!(site.portal.unbind(fresh, factor).await.err(), Some(Refused::Required));
}

#[tokio::test]
async fn locking_everything_leaves_this_browser_alone() {
    let site = Site::open().await;
    let (visit, _, _) = site.bind(&site.inside(ALICE).await).await;
    let other = site.sign_in(ALICE, MAILBOX, None).await.unwrap().token;
    let fresh = visit.inside().unwrap().fresh().unwrap();
    let wanted = NewAppPassword { name: "Foxmail", scope: anything() };
    site.portal.create_app_password(fresh, &wanted).await.unwrap();
    let token = site.portal.lock_everything(fresh).await.unwrap();
    assert!(site.visit(other).await.is_none());
    let visit = site.visit(token).await.unwrap();
    let overview = site.portal.overview(visit.inside().unwrap()).await.unwrap();
    assert_eq!((overview.app_passwords.len(), overview.browsers.len(), overview.factors.len()), (0, 1, 1));
}

#[tokio::test]
async fn of_fifty_forms_that_confirm_one_authenticator_one_binds_it() {
    let site = Site::open().await;
    let visit = site.inside(ALICE).await;
    let offer = site.portal.offer_totp(visit.inside().unwrap().fresh().unwrap(), None).await.unwrap();
    let code = site.code(&raw(&offer));
    let mut visits = Vec::new();
    for _ in 0..50 {
        visits.push(site.again(&visit).await);
    }
    let bound = join_all(visits.iter().map(|visit| {
        let fresh = visit.inside().unwrap().fresh().unwrap();
        site.portal.bind(fresh, FactorKind::Totp, "", &code)
    }))
    .await;
    let bound: Vec<_> = bound.into_iter().filter_map(Result::ok).collect();
    let [bound] = <[Bound; 1]>::try_from(bound).ok().unwrap();
    let codes = bound.recovery_codes.unwrap();
    let visit = site.visit(bound.token).await.unwrap();
    let overview = site.portal.overview(visit.inside().unwrap()).await.unwrap();
    assert_eq!((overview.factors.len(), overview.recovery_codes), (1, 10));
    let answered = site.portal.answer(&visit, Question::RecoveryCode, &text(&codes[0])).await;
    assert!(answered.is_ok(), "the codes that were shown are good");
}

#[tokio::test]
async fn a_factor_that_is_changed_is_one_change_and_the_other_one_is_good_no_more() {
    let site = Site::open().await;
    let (visit, old, _) = site.bind(&site.inside(ALICE).await).await;
    let before = site.portal.on.store.factors(visit.account.id).await.unwrap().remove(0);
    let in_its_place = (FactorKind::Totp, before.id);
    let offer = site.portal.offer_totp(visit.inside().unwrap().fresh().unwrap(), None).await.unwrap();
    let visit = site.again(&visit).await;
    let fresh = visit.inside().unwrap().fresh().unwrap();
    let refused = site.portal.change(fresh, in_its_place, "", "000000").await.err();
    assert_eq!(refused, Some(Refused::WrongCode));
    assert_eq!(site.portal.on.store.factors(visit.account.id).await.unwrap(), [before]);

    site.told(&visit).await;
    let code = site.code(&raw(&offer));
    let changed = site.portal.change(fresh, in_its_place, "New phone", &code).await.unwrap();
    assert_eq!(site.told(&visit).await, ["factor_replaced"], "one letter");
    assert!(changed.recovery_codes.is_none(), "those that there are stay good");
    assert!(
        site.portal.visit(Token::parse(&visit.token.text()).unwrap(), browser(1)).await.unwrap().is_none()
    );
    let visit = site.visit(changed.token).await.unwrap();
    let overview = site.portal.overview(visit.inside().unwrap()).await.unwrap();
    let names: Vec<_> = overview.factors.iter().map(|factor| factor.name.as_str()).collect();
    assert_eq!((names, overview.recovery_codes), (vec!["New phone"], 10));
    let record = site.records("factor_replaced").await.remove(0);
    assert_eq!((&record["name"], &record["by"]["kind"]), (&"New phone".into(), &"owner".into()));
    assert_eq!(site.records("factor_bound").await.len(), 1, "that of the first");
    assert_eq!(site.records("factor_unbound").await.len(), 0);

    let entered = site.sign_in(ALICE, MAILBOX, None).await.unwrap();
    let entering = site.visit(entered.token).await.unwrap();
    assert!(site.portal.answer(&entering, TOTP, &site.next_code(&old)).await.is_err());
    assert!(site.portal.answer(&entering, TOTP, &site.code(&raw(&offer))).await.is_ok());

    // Somebody else has unbound it meanwhile.
    let fresh = visit.inside().unwrap().fresh().unwrap();
    let offer = site.portal.offer_totp(fresh, None).await.unwrap();
    let visit = site.again(&visit).await;
    let fresh = visit.inside().unwrap().fresh().unwrap();
    let gone = site.portal.change(fresh, in_its_place, "", &site.code(&raw(&offer))).await.err();
    assert_eq!(gone, Some(Refused::NotFound));
    assert_eq!(site.portal.on.store.factors(visit.account.id).await.unwrap().len(), 1);
}

#[tokio::test]
async fn whoever_is_thrown_out_while_he_makes_something_has_made_nothing() {
    let site = Site::open().await;
    let (visit, raw_key, _) = site.bind(&site.inside(ALICE).await).await;
    let wanted = NewAppPassword { name: "Foxmail", scope: anything() };
    // A thief at another browser, whose requests were read before the owner locks everything.
    let thief = site.visit(site.sign_in(ALICE, MAILBOX, None).await.unwrap().token).await.unwrap();
    let thief = site.portal.answer(&thief, TOTP, &site.next_code(&raw_key)).await.unwrap();
    let asked = site.visit(thief.token).await.unwrap();
    let (thief, _) = site.portal.trust(&asked, false).await.unwrap();
    let thief = site.visit(thief.token).await.unwrap();
    let of_thief = thief.inside().unwrap().fresh().unwrap();
    let offer = site.portal.offer_totp(of_thief, None).await.unwrap();
    let kept = site.portal.open_offer(&thief, FactorKind::Totp).await.unwrap().unwrap();

    site.portal.lock_everything(visit.inside().unwrap().fresh().unwrap()).await.unwrap();
    assert!(site.portal.create_app_password(of_thief, &wanted).await.is_err());
    assert!(site.portal.trust(&asked, true).await.is_err());
    assert!(!site.portal.take(&thief, &kept).await.unwrap(), "it ended with its session");
    let code = site.code(&raw(&offer));
    assert_eq!(site.portal.bind(of_thief, FactorKind::Totp, "", &code).await.err(), Some(Refused::NoOffer));
    let account = visit.account.id;
    assert_eq!(site.portal.on.store.app_passwords(account).await.unwrap(), []);
    assert_eq!(site.portal.on.store.trusted_devices(account).await.unwrap(), []);
    assert_eq!(site.portal.on.store.factors(account).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_factor_is_called_what_its_owner_calls_it_and_there_are_sixteen_at_most() {
    let site = Site::open().await;
    let visit = site.inside(ALICE).await;
    let offer = site.portal.offer_totp(visit.inside().unwrap().fresh().unwrap(), None).await.unwrap();
    let code = site.code(&raw(&offer));
    let visit = site.again(&visit).await;
    let fresh = visit.inside().unwrap().fresh().unwrap();
    let refused = site.portal.bind(fresh, FactorKind::Totp, &"n".repeat(65), &code).await.err();
    assert_eq!(refused, Some(Refused::BadName));
    let bound = site.portal.bind(fresh, FactorKind::Totp, " 手机 ", &code).await.unwrap();
    let visit = site.visit(bound.token).await.unwrap();
    let fresh = visit.inside().unwrap().fresh().unwrap();
    let factor = site.portal.overview(fresh.inside()).await.unwrap().factors.remove(0);
    assert_eq!((factor.name.as_str(), factor.kind), ("手机", FactorKind::Totp));
    assert_eq!(site.records("factor_bound").await[0]["name"], "手机");

    site.portal.rename(fresh, factor.id, "iPhone").await.unwrap();
    assert_eq!(site.portal.overview(fresh.inside()).await.unwrap().factors[0].name, "iPhone");
    let record = site.records("factor_renamed").await.remove(0);
    assert_eq!((&record["name"], &record["by"]["ip"]), (&"iPhone".into(), &"192.0.2.1".into()));
    assert_eq!(site.portal.rename(fresh, factor.id, " ").await, Err(Refused::BadName));
    let bob = site.inside(BOB).await;
    let of_bob = bob.inside().unwrap().fresh().unwrap();
    assert_eq!(site.portal.rename(of_bob, factor.id, "mine").await, Err(Refused::NotFound));

    let record = site.portal.on.store.factors(visit.account.id).await.unwrap().remove(0);
    for _ in 1..16 {
        let id = crate::base::FactorId(random::uuid(site.clock.now()));
        let another = crate::store::FactorRecord { id, ..record.clone() };
        site.portal.on.store.insert_factor(&another, 16).await.unwrap();
    }
    let token = site.sign_in(ALICE, MAILBOX, None).await.unwrap().token;
    let visit = site.visit(token).await.unwrap();
    let entered = site.portal.answer(&visit, TOTP, &site.next_code(&raw(&offer))).await.unwrap();
    let visit = site.visit(entered.token).await.unwrap();
    let (entered, _) = site.portal.trust(&visit, false).await.unwrap();
    let visit = site.visit(entered.token).await.unwrap();
    let refused = site.portal.offer_totp(visit.inside().unwrap().fresh().unwrap(), None).await.err();
    assert_eq!(refused, Some(Refused::LimitReached));
    // In the place of one of them there is room for another.
    let inside = visit.inside().unwrap();
    let offer = site.portal.offer_totp(inside.fresh().unwrap(), Some(factor.id)).await.unwrap();
    let visit = site.again(&visit).await;
    let inside = visit.inside().unwrap();
    let (fresh, code) = (inside.fresh().unwrap(), site.code(&raw(&offer)));
    let refused = site.portal.bind(fresh, FactorKind::Totp, "", &code).await.err();
    assert_eq!(refused, Some(Refused::LimitReached), "the offer was for a change");
    let changed = site.portal.change(fresh, (FactorKind::Totp, factor.id), "", &code).await.unwrap();
    let visit = site.visit(changed.token).await.unwrap();
    let factors = site.portal.on.store.factors(visit.account.id).await.unwrap();
    assert!(factors.len() == 16 && factors.iter().all(|left| left.id != factor.id));
    // The store says so, too, to whoever counted too early.
    let enrolment =
        site.portal.on.factors.enrol_totp("x", &visit.account.address, crate::config::TotpParameters::USUAL);
    let by = site.portal.owner(&visit.from);
    let refused = site.portal.on.factors.bind_totp(&visit.account, &enrolment, None, &by).await;
    assert!(matches!(refused, Err(crate::factor::FactorError::LimitReached)));
}

#[tokio::test]
async fn what_a_session_is_asked_ends_with_it_and_after_five_minutes() {
    let site = Site::open().await;
    let visit = site.inside(ALICE).await;
    let (portal, kind) = (&site.portal, FactorKind::Totp);
    let open = async |visit: &Visit| portal.open_challenge(visit, kind).await.unwrap();
    let challenge = crate::base::Secret::new(b"challenge".to_vec());
    portal.keep_challenge(&visit, kind, &challenge).await.unwrap();
    let kept = open(&visit).await.unwrap();
    assert_eq!(kept.secret, challenge);
    assert!(portal.open_offer(&visit, kind).await.unwrap().is_none(), "it is asked, not offered");
    let mut other = site.inside(ALICE).await;
    assert!(open(&other).await.is_none(), "it is another session's");
    other.record = visit.record.clone();
    assert!(open(&other).await.is_none(), "another token opens nothing");
    site.clock.advance(Duration::from_secs(299));
    assert!(open(&visit).await.is_some());
    site.clock.advance(Duration::from_secs(1));
    assert!(open(&visit).await.is_none());
    assert!(portal.take(&visit, &kept).await.unwrap());
    assert!(!portal.take(&visit, &kept).await.unwrap(), "once");
}

#[tokio::test]
async fn looking_at_one_way_spoils_no_other() {
    let site = Site::open().await;
    let visit = site.inside(ALICE).await;
    let fresh = visit.inside().unwrap().fresh().unwrap();
    let scanned = site.portal.offer_totp(fresh, None).await.unwrap();
    site.portal.offer_passkey(fresh, None).await.unwrap();
    let code = site.code(&raw(&scanned));
    let bound = site.portal.bind(fresh, FactorKind::Totp, "", &code).await;
    let visit = site.visit(bound.unwrap().token).await.unwrap();

    let asked = |secret: &str| crate::base::Secret::new(secret.as_bytes().to_vec());
    site.portal.keep_challenge(&visit, FactorKind::Mailbox, &asked("mail")).await.unwrap();
    site.portal.keep_challenge(&visit, FactorKind::Passkey, &asked("passkey")).await.unwrap();
    for (kind, secret) in [(FactorKind::Mailbox, "mail"), (FactorKind::Passkey, "passkey")] {
        let kept = site.portal.open_challenge(&visit, kind).await.unwrap().unwrap();
        assert_eq!(kept.secret, asked(secret));
        assert!(site.portal.take(&visit, &kept).await.unwrap());
    }
}
