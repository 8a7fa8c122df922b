//! How long a session lasts, and what it holds.

use super::*;

#[tokio::test]
async fn trust_ends_after_its_time_and_with_a_change_of_factors() {
    for end in ["time", "factors"] {
        let site = Site::open().await;
        let (_, raw, _) = site.bind(&site.inside(ALICE).await).await;
        let visit = site.visit(site.sign_in(ALICE, MAILBOX, None).await.unwrap().token).await.unwrap();
        let entered = site.portal.answer(&visit, TOTP, &site.next_code(&raw)).await.unwrap();
        let visit = site.visit(entered.token).await.unwrap();
        let (entered, device) = site.portal.trust(&visit, true).await.unwrap();
        let visit = site.visit(entered.token).await.unwrap();
        if end == "time" {
            site.clock.advance(Duration::from_secs(7 * 86_400));
        } else {
            site.bind(&visit).await;
        }
        let entered = site.sign_in(ALICE, MAILBOX, device.as_ref()).await.unwrap();
        assert_eq!(entered.step, Step::SecondFactor, "{end}");
    }
}

#[tokio::test]
async fn a_change_of_factors_signs_out_every_other_browser() {
    let site = Site::open().await;
    let other = site.sign_in(ALICE, MAILBOX, None).await.unwrap().token.text();
    let (visit, _, codes) = site.bind(&site.inside(ALICE).await).await;
    assert!(site.visit(Token::parse(&other).unwrap()).await.is_none());
    assert_eq!(codes.len(), 10);
    assert!(visit.inside().unwrap().fresh().is_some(), "the browser that did it goes on");
    let overview = site.portal.overview(visit.inside().unwrap()).await.unwrap();
    assert_eq!((overview.browsers.len(), overview.recovery_codes, overview.factors.len()), (1, 10, 1));
}

#[tokio::test]
async fn what_changes_something_wants_an_answer_no_older_than_ten_minutes() {
    let site = Site::open().await;
    let (visit, raw, _) = site.bind(&site.inside(ALICE).await).await;
    site.clock.advance(Duration::from_secs(599));
    assert!(site.again(&visit).await.inside().unwrap().fresh().is_some());
    site.clock.advance(Duration::from_secs(1));
    let visit = site.again(&visit).await;
    assert!(visit.inside().unwrap().fresh().is_none());
    let entered = site.portal.answer(&visit, TOTP, &site.next_code(&raw)).await.unwrap();
    assert_eq!(entered.step, Step::In, "no step is taken twice");
    assert!(site.visit(entered.token).await.unwrap().inside().unwrap().fresh().is_some());
}

#[tokio::test]
async fn without_a_second_factor_a_change_wants_a_mailbox_password_no_older_than_ten_minutes() {
    let site = Site::open().await;
    let visit = site.inside(ALICE).await;
    site.clock.advance(Duration::from_secs(599));
    assert!(site.again(&visit).await.inside().unwrap().fresh().is_some());
    site.clock.advance(Duration::from_secs(1));
    let visit = site.again(&visit).await;
    let inside = visit.inside().unwrap();
    assert!(inside.fresh().is_none());
    let secret = |text: &str| Password::new(text.as_bytes().to_vec()).unwrap();
    assert_eq!(site.portal.give_mailbox_password(inside, secret("guess")).await.err(), Some(NoSignIn::Wrong));
    assert!(site.again(&visit).await.inside().unwrap().fresh().is_none());
    let token = site.portal.give_mailbox_password(inside, secret(MAILBOX)).await.unwrap();
    assert!(site.visit(token).await.unwrap().inside().unwrap().fresh().is_some());
}

#[tokio::test]
async fn what_is_being_bound_goes_on_under_the_token_of_a_new_verification_and_of_nothing_else() {
    let site = Site::with("", |config| config.policies.default.factors.push(FactorKind::Mailbox)).await;
    let unbound = site.inside(ALICE).await;
    let offer = async |visit: &Visit| {
        let fresh = visit.inside().unwrap().fresh().unwrap();
        raw(&site.portal.offer_totp(fresh, None).await.unwrap())
    };
    let scanned = offer(&unbound).await;
    site.clock.advance(Duration::from_secs(11 * 60));
    let inside = site.again(&unbound).await;
    let token = site.portal.give_mailbox_password(inside.inside().unwrap(), secret(MAILBOX)).await.unwrap();
    let verified = site.visit(token).await.unwrap();
    assert_eq!(offer(&verified).await, scanned, "by the mailbox password");
    let fresh = verified.inside().unwrap().fresh().unwrap();
    let bound = site.portal.bind(fresh, FactorKind::Totp, "", &site.code(&scanned)).await.unwrap();
    let visit = site.visit(bound.token).await.unwrap();
    assert_ne!(offer(&visit).await, scanned, "it is bound");

    let again = offer(&visit).await;
    let to = "alice@elsewhere.example";
    site.portal.offer_mailbox(visit.inside().unwrap().fresh().unwrap(), None, to).await.unwrap();
    site.portal
        .keep_challenge(&visit, FactorKind::Mailbox, &crate::base::Secret::new(vec![1]))
        .await
        .unwrap();
    site.clock.advance(Duration::from_secs(4 * 60));
    let answered = site.portal.answer(&visit, TOTP, &site.next_code(&scanned)).await.unwrap();
    let verified = site.visit(answered.token).await.unwrap();
    assert_eq!(offer(&verified).await, again, "by a second factor");
    assert!(site.portal.offered_mailbox(&verified).await.unwrap().is_some());
    let asked = site.portal.open_challenge(&verified, FactorKind::Mailbox).await.unwrap();
    assert!(asked.is_none(), "what was asked before it is answered no more");
    assert!(site.visit(visit.token).await.is_none());

    site.clock.advance(Duration::from_secs(10 * 60));
    let late = site.again(&verified).await;
    site.clock.advance(Duration::from_secs(16 * 60));
    let answered = site.portal.answer(&late, TOTP, &site.next_code(&scanned)).await.unwrap();
    let verified = site.visit(answered.token).await.unwrap();
    assert_ne!(offer(&verified).await, again, "half an hour old, whenever it was kept again");

    let seen = offer(&verified).await;
    let token = site.portal.lock_everything(verified.inside().unwrap().fresh().unwrap()).await.unwrap();
    assert_ne!(offer(&site.visit(token).await.unwrap()).await, seen, "somebody else may have seen it");
}

#[tokio::test]
async fn a_session_ends_when_it_is_left_alone_and_after_twelve_hours() {
    let site = Site::open().await;
    let idle = site.inside(ALICE).await;
    site.clock.advance(Duration::from_secs(30 * 60));
    assert!(site.visit(Token::parse(&idle.token.text()).unwrap()).await.is_none());
    let mut busy = site.inside(ALICE).await;
    for _ in 0..(12 * 60 / 29) {
        site.clock.advance(Duration::from_secs(29 * 60));
        busy = site.again(&busy).await;
    }
    site.clock.advance(Duration::from_secs(29 * 60));
    assert!(site.visit(Token::parse(&busy.token.text()).unwrap()).await.is_none());

    let (_, _, _) = site.bind(&site.inside(ALICE).await).await;
    let half_way = site.sign_in(ALICE, MAILBOX, None).await.unwrap().token;
    site.clock.advance(Duration::from_secs(10 * 60));
    assert!(site.visit(half_way).await.is_none(), "the steps are to be taken soon");
    site.portal.tidy_up().await;
}

#[tokio::test]
async fn a_row_that_somebody_else_wrote_signs_nobody_in() {
    let site = Site::open().await;
    site.bind(&site.inside(ALICE).await).await;
    let entered = site.sign_in(ALICE, MAILBOX, None).await.unwrap();
    let text = entered.token.text();
    let Store::Sqlite(pool, _) = &site.portal.on.store else { panic!("not SQLite") };
    sqlx::query("UPDATE portal_sessions SET step = 'in'").execute(pool).await.unwrap();
    assert!(site.visit(entered.token).await.is_none());
    sqlx::query("UPDATE portal_sessions SET step = 'second_factor'").execute(pool).await.unwrap();
    assert!(site.visit(Token::parse(&text).unwrap()).await.is_some());
    sqlx::query("UPDATE portal_sessions SET account = (SELECT id FROM accounts WHERE address = $1)")
        .bind(site.inside(BOB).await.address())
        .execute(pool)
        .await
        .unwrap();
    assert!(site.visit(Token::parse(&text).unwrap()).await.is_none());
}

#[tokio::test]
async fn the_row_of_a_session_holds_no_mailbox_password_that_opens_without_its_token() {
    let site = Site::open().await;
    let visit = site.inside(ALICE).await;
    let (password, upstream, _) = session::mailbox(&visit).unwrap();
    assert_eq!((password.expose(), upstream.0.as_str()), (MAILBOX.as_bytes(), "legacy"));
    let mut other = site.again(&visit).await;
    other.token = Token::fresh();
    assert!(session::mailbox(&other).is_none());
    let stored = std::fs::read(site.directory.path().join("mailward.db")).unwrap();
    assert!(!stored.windows(8).any(|window| window == &MAILBOX.as_bytes()[..8]));
}

#[tokio::test]
async fn a_device_that_somebody_else_wrote_into_the_database_is_trusted_by_nobody() {
    let site = Site::open().await;
    let (_, raw, _) = site.bind(&site.inside(ALICE).await).await;
    let visit = site.visit(site.sign_in(ALICE, MAILBOX, None).await.unwrap().token).await.unwrap();
    let entered = site.portal.answer(&visit, TOTP, &site.next_code(&raw)).await.unwrap();
    let visit = site.visit(entered.token).await.unwrap();
    let device = site.portal.trust(&visit, true).await.unwrap().1.unwrap();
    let Store::Sqlite(pool, _) = &site.portal.on.store else { panic!("not SQLite") };
    sqlx::query("UPDATE trusted_devices SET expires_at = '2099-01-01T00:00:00.000000Z'")
        .execute(pool)
        .await
        .unwrap();
    let entered = site.sign_in(ALICE, MAILBOX, Some(&device)).await.unwrap();
    assert_eq!(entered.step, Step::SecondFactor);
}

#[tokio::test]
async fn a_recovery_code_that_somebody_moved_to_another_account_is_none() {
    let site = Site::open().await;
    let (_, _, codes) = site.bind(&site.inside(ALICE).await).await;
    site.bind(&site.inside(BOB).await).await;
    let Store::Sqlite(pool, _) = &site.portal.on.store else { panic!("not SQLite") };
    let move_to_bob = "UPDATE recovery_codes SET account = (SELECT id FROM accounts WHERE address = $1)";
    sqlx::query(move_to_bob).bind(BOB).execute(pool).await.unwrap();
    let visit = site.visit(site.sign_in(BOB, MAILBOX, None).await.unwrap().token).await.unwrap();
    let answered = site.portal.answer(&visit, Question::RecoveryCode, &codes[0]).await;
    assert_eq!(answered.unwrap_err(), NoAnswer::Wrong);
}

#[tokio::test]
async fn a_suspended_account_is_in_nowhere_even_where_its_sessions_are_left() {
    let site = Site::open().await;
    let visit = site.inside(ALICE).await;
    let Store::Sqlite(pool, _) = &site.portal.on.store else { panic!("not SQLite") };
    sqlx::query("DROP TRIGGER accounts_stopped_end_browsers").execute(pool).await.unwrap();
    sqlx::query("UPDATE accounts SET state = 'suspended'").execute(pool).await.unwrap();
    assert!(site.visit(visit.token).await.is_none());
}

#[tokio::test]
async fn whoever_signs_in_again_and_again_pushes_out_nobody_who_is_in() {
    let site = Site::open().await;
    let (owner, _, _) = site.bind(&site.inside(ALICE).await).await;
    let owner = owner.token.text();
    let mut tokens = Vec::new();
    for _ in 0..70 {
        site.clock.advance(Duration::from_secs(1));
        tokens.push(site.sign_in(ALICE, MAILBOX, None).await.unwrap().token.text());
    }
    let visit = site.visit(Token::parse(&owner).unwrap()).await.unwrap();
    let sessions = site.portal.on.store.portal_sessions(visit.account.id).await.unwrap();
    assert_eq!(sessions.len(), 64);
    let oldest = site.visit(Token::parse(&tokens[0]).unwrap()).await;
    assert!(oldest.is_none(), "the oldest at the door has made room");
    assert!(site.visit(Token::parse(&tokens[69]).unwrap()).await.is_some());

    site.clock.advance(Duration::from_secs(30 * 60));
    site.portal.tidy_up().await;
    let left = site.portal.on.store.portal_sessions(visit.account.id).await.unwrap();
    assert!(left.is_empty(), "nothing is kept of who left: {}", left.len());
}
