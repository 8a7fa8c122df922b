//! The way in.

use super::*;

#[tokio::test]
async fn whoever_has_no_factor_is_in_with_the_mailbox_password() {
    let site = Site::open().await;
    let visit = site.inside("Alice@Example.org").await;
    assert_eq!((visit.address(), visit.is_bound(), visit.must_bind()), (ALICE, false, false));
    let [signed_in] = <[_; 1]>::try_from(site.records("sign_in").await).unwrap();
    assert_eq!(
        (&signed_in["account"], &signed_in["outcome"], &signed_in["browser"], &signed_in["ip"]),
        (&ALICE.into(), &"admitted".into(), &"Firefox".into(), &"192.0.2.1".into())
    );
    assert_eq!(site.records("account_added").await.len(), 1);
}

#[tokio::test]
async fn a_wrong_password_an_unknown_name_and_a_down_server_are_told_apart_by_nobody_but_the_trail() {
    let site = Site::open().await;
    assert_eq!(site.sign_in(ALICE, "guess", None).await.unwrap_err(), NoSignIn::Wrong);
    assert_eq!(site.sign_in("nobody@example.org", "guess", None).await.unwrap_err(), NoSignIn::Wrong);
    assert_eq!(site.sign_in("alice@elsewhere.org", "guess", None).await.unwrap_err(), NoSignIn::Wrong);
    site.mailboxes.down.store(true, std::sync::atomic::Ordering::SeqCst);
    assert_eq!(site.sign_in(ALICE, MAILBOX, None).await.unwrap_err(), NoSignIn::Unavailable);
    let outcomes: Vec<_> = site.records("sign_in").await.iter().map(|r| r["outcome"].clone()).collect();
    assert_eq!(outcomes, ["refused", "refused", "refused", "unavailable"]);
}

#[tokio::test]
async fn guessing_at_the_portal_is_limited_together_with_guessing_by_mail() {
    let site = Site::open().await;
    for number in 0..10 {
        let _ = site.sign_in(ALICE, &format!("guess {number}"), None).await;
    }
    let asked = site.mailboxes.asked.load(std::sync::atomic::Ordering::SeqCst);
    assert_eq!(site.sign_in(ALICE, MAILBOX, None).await.unwrap_err(), NoSignIn::TooMany);
    assert_eq!(site.mailboxes.asked.load(std::sync::atomic::Ordering::SeqCst), asked, "nobody was asked");
}

#[tokio::test]
async fn each_step_has_its_turn_and_another_token() {
    let site = Site::open().await;
    let (visit, raw, _) = site.bind(&site.inside(ALICE).await).await;
    site.portal.sign_out(&visit).await.unwrap();
    assert!(site.visit(Token::parse(&visit.token.text()).unwrap()).await.is_none());

    let entered = site.sign_in(ALICE, MAILBOX, None).await.unwrap();
    assert_eq!(entered.step, Step::SecondFactor);
    let first = entered.token.text();
    let visit = site.visit(entered.token).await.unwrap();
    assert!(visit.inside().is_none(), "the mailbox password alone opens nothing");
    let asked = site.portal.questions(&visit).await.unwrap();
    assert_eq!(asked.iter().map(|one| one.question).collect::<Vec<_>>(), [TOTP, Question::RecoveryCode]);
    assert_eq!(site.portal.answer(&visit, TOTP, "000000").await.unwrap_err(), NoAnswer::Wrong);

    let entered = site.portal.answer(&visit, TOTP, &site.next_code(&raw)).await.unwrap();
    assert_eq!(entered.step, Step::TrustDevice);
    assert!(
        site.visit(Token::parse(&first).unwrap()).await.is_none(),
        "the token of the step before is void"
    );
    let visit = site.visit(entered.token).await.unwrap();
    assert!(visit.inside().is_none());
    let (entered, device) = site.portal.trust(&visit, false).await.unwrap();
    assert!(device.is_none());
    let visit = site.visit(entered.token).await.unwrap();
    assert!(visit.inside().unwrap().fresh().is_some(), "it answered a moment ago");
    let answers: Vec<_> = site.records("second_factor").await.iter().map(|r| r["outcome"].clone()).collect();
    assert_eq!(answers, ["refused", "admitted"]);
}

#[tokio::test]
async fn of_fifty_who_answer_with_one_code_one_gets_in() {
    let site = Site::open().await;
    let (_, raw, codes) = site.bind(&site.inside(ALICE).await).await;
    for (question, answer) in
        [(TOTP, site.next_code(&raw)), (Question::RecoveryCode, codes[3].to_uppercase())]
    {
        let mut visits = Vec::new();
        for _ in 0..50 {
            visits.push(site.visit(site.sign_in(ALICE, MAILBOX, None).await.unwrap().token).await.unwrap());
        }
        // From different networks, or the limits would turn most away unseen.
        for (visit, host) in visits.iter_mut().zip(0..) {
            visit.from.address = ClientAddress::new([198, 51, 100, host].into());
        }
        let answers = visits.iter().map(|visit| site.portal.answer(visit, question, &answer));
        let mut right = 0;
        for answered in join_all(answers).await {
            match answered {
                Ok(_) => right += 1,
                Err(NoAnswer::Wrong | NoAnswer::TooMany { .. }) => {}
                Err(other) => panic!("{other:?}"),
            }
        }
        assert_eq!(right, 1, "{question:?}");
        site.clock.advance(Duration::from_secs(4 * 3600));
    }
}

#[tokio::test]
async fn guessing_codes_is_limited_from_everywhere_and_locks_out_no_mailbox_password() {
    let site = Site::open().await;
    let (_, raw, _) = site.bind(&site.inside(ALICE).await).await;
    let mut visit = site.visit(site.sign_in(ALICE, MAILBOX, None).await.unwrap().token).await.unwrap();
    let mut refused = Vec::new();
    for host in 0..20 {
        visit.from.address = ClientAddress::new([198, 51, 100, host].into());
        refused.push(site.portal.answer(&visit, TOTP, "000000").await.unwrap_err());
    }
    assert_eq!(refused.iter().filter(|why| **why == NoAnswer::Wrong).count(), 10);
    assert!(matches!(refused.last(), Some(NoAnswer::TooMany { .. })));
    let right = site.next_code(&raw);
    assert!(matches!(site.portal.answer(&visit, TOTP, &right).await, Err(NoAnswer::TooMany { .. })));
    assert!(site.sign_in(ALICE, MAILBOX, None).await.is_ok(), "the mailbox password is another matter");
}

#[tokio::test]
async fn a_trusted_browser_skips_the_second_factor_until_it_is_withdrawn() {
    let site = Site::open().await;
    let (_, raw, _) = site.bind(&site.inside(ALICE).await).await;
    let visit = site.visit(site.sign_in(ALICE, MAILBOX, None).await.unwrap().token).await.unwrap();
    let entered = site.portal.answer(&visit, TOTP, &site.next_code(&raw)).await.unwrap();
    let visit = site.visit(entered.token).await.unwrap();
    let (entered, device) = site.portal.trust(&visit, true).await.unwrap();
    let device = device.unwrap();
    let visit = site.visit(entered.token).await.unwrap();

    assert_eq!(site.sign_in(ALICE, MAILBOX, Some(&Token::fresh())).await.unwrap().step, Step::SecondFactor);
    let entered = site.sign_in(ALICE, MAILBOX, Some(&device)).await.unwrap();
    assert_eq!(entered.step, Step::In);
    let trusted = site.visit(entered.token).await.unwrap();
    assert!(trusted.inside().unwrap().fresh().is_none(), "it may look, and change nothing");
    let kinds: Vec<_> = site.records("second_factor").await.iter().map(|r| r["kind"].clone()).collect();
    assert_eq!(kinds, ["totp", "trusted_device"]);

    let (bobs, _, _) = site.bind(&site.inside(BOB).await).await;
    assert_eq!(site.sign_in(BOB, MAILBOX, Some(&device)).await.unwrap().step, Step::SecondFactor);
    let fresh = visit.inside().unwrap().fresh().unwrap();
    let devices = site.portal.overview(fresh.inside()).await.unwrap().devices;
    let of_bob = bobs.inside().unwrap().fresh().unwrap();
    assert!(!site.portal.withdraw_device(of_bob, devices[0].id).await.unwrap(), "it is another account's");
    assert!(site.portal.withdraw_device(fresh, devices[0].id).await.unwrap());
    assert_eq!(site.sign_in(ALICE, MAILBOX, Some(&device)).await.unwrap().step, Step::SecondFactor);
}

#[tokio::test]
async fn a_changed_mailbox_password_is_sealed_again_at_the_next_sign_in() {
    let site = Site::open().await;
    let visit = site.inside(ALICE).await;
    let fresh = visit.inside().unwrap().fresh().unwrap();
    let wanted = NewAppPassword { name: "Foxmail", scope: anything() };
    site.portal.create_app_password(fresh, &wanted).await.unwrap();
    site.mailboxes.passwords.lock().unwrap().insert(ALICE.to_owned(), "another".to_owned());
    site.clock.advance(Duration::from_secs(60));
    assert_eq!(site.sign_in(ALICE, MAILBOX, None).await.unwrap_err(), NoSignIn::Wrong);
    let before = site.portal.app_passwords(visit.inside().unwrap()).await.unwrap();
    site.sign_in(ALICE, "another", None).await.unwrap();
    let after = site.portal.app_passwords(visit.inside().unwrap()).await.unwrap();
    assert_eq!(after[0].sealed_version, before[0].sealed_version + 1);
    assert_eq!(site.records("mailbox_password_resealed").await.len(), 1);
}

#[tokio::test]
async fn whoever_knows_the_mailbox_password_alone_is_no_acquaintance_of_the_limits() {
    let site = Site::open().await;
    let (_, raw, _) = site.bind(&site.inside(ALICE).await).await;
    let from = async |host, password: &'static str| {
        let login = LoginName::from_bytes(ALICE.as_bytes()).unwrap();
        site.portal.sign_in(&browser(host), login, secret(password), None).await
    };
    // A thief, whose network was never the owner's.
    assert_eq!(from(66, MAILBOX).await.unwrap().step, Step::SecondFactor);
    for number in 0..10 {
        let _ = from(100 + number, "guess").await;
    }
    assert_eq!(from(66, MAILBOX).await.unwrap_err(), NoSignIn::TooMany, "judged like any stranger");
    // The owner signed in from here before anything was bound, and from elsewhere with the second factor.
    assert!(from(1, MAILBOX).await.is_ok());
    site.clock.advance(Duration::from_secs(4 * 3600));
    let mut visit = site.visit(from(77, MAILBOX).await.unwrap().token).await.unwrap();
    visit.from = browser(77);
    assert!(site.portal.answer(&visit, TOTP, &site.next_code(&raw)).await.is_ok());
    for number in 0..20 {
        let _ = from(100 + number, "guess").await;
    }
    assert!(from(77, MAILBOX).await.is_ok(), "an attack on the account keeps its owner out of nothing");
}

#[tokio::test]
async fn nobody_is_asked_about_trust_before_the_second_factor() {
    let site = Site::open().await;
    site.bind(&site.inside(ALICE).await).await;
    let visit = site.visit(site.sign_in(ALICE, MAILBOX, None).await.unwrap().token).await.unwrap();
    for trusts in [true, false] {
        assert!(site.portal.trust(&visit, trusts).await.is_err());
    }
    assert_eq!(site.again(&visit).await.step(), Step::SecondFactor);
    assert!(site.records("device_trusted").await.is_empty());
}

#[tokio::test]
async fn a_row_that_does_not_open_makes_no_wrong_code_free() {
    let site = Site::open().await;
    let (_, raw, _) = site.bind(&site.inside(ALICE).await).await;
    let Store::Sqlite(pool, _) = site.store() else { unreachable!("these tests run on SQLite") };
    let planted = "INSERT INTO factors (id, account, kind, name, secret, bound_at) \
                   SELECT randomblob(16), account, kind, name, x'00', bound_at FROM factors";
    sqlx::query(planted).execute(pool).await.unwrap();
    let visit = site.visit(site.sign_in(ALICE, MAILBOX, None).await.unwrap().token).await.unwrap();
    let mut wrong = 0;
    loop {
        match site.portal.answer(&visit, TOTP, "000000").await.err() {
            Some(NoAnswer::Wrong) if wrong < 10 => wrong += 1,
            Some(NoAnswer::TooMany { .. }) => break,
            other => panic!("after {wrong}: {other:?}"),
        }
    }
    assert_eq!(wrong, 10);
    site.clock.advance(Duration::from_secs(3600));
    let visit = site.visit(site.sign_in(ALICE, MAILBOX, None).await.unwrap().token).await.unwrap();
    let entered = site.portal.answer(&visit, TOTP, &site.next_code(&raw)).await.unwrap();
    assert_eq!(entered.step, Step::TrustDevice, "the one that opens is as good as ever");
}
