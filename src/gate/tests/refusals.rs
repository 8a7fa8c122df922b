//! The refusal table of the contract, row by row: what the client hears, what the upstream sees, what counts, and
//! what the trail says.

use super::*;
use crate::audit::event::Outcome;

async fn use_up(site: &Site, host: u8, name: &str) {
    for number in 0..10 {
        assert_eq!(site.try_in(host, name, &number.to_string()).await.refusal(), Some(Refusal::NotLetIn));
    }
}

#[tokio::test]
async fn an_account_appears_at_its_first_successful_login() {
    let site = Site::open().await;
    let entered = site.try_in(1, "Alice@Example.ORG", MAILBOX).await;
    assert!(matches!(&entered, Ended::In(passage) if passage.account().as_str() == ALICE));
    let login = site.only_login();
    assert_eq!((&login["account"], &login["outcome"]), (&ALICE.into(), &"admitted".into()));
    assert_eq!((&login["credential"], &login["upstream"]), (&"mailbox_password".into(), &"legacy".into()));
    assert_eq!((&login["mechanism"], &login["program"]), (&"PLAIN".into(), &"Foxmail 7.2".into()));
    assert_eq!(site.records("account_added")[0]["by"]["kind"], "gate");
    assert!(site.try_in(1, ALICE, MAILBOX).await.is_in());
    assert_eq!(site.records("account_added").len(), 1, "only once");
}

#[tokio::test]
async fn a_wrong_mailbox_password_is_not_let_in_and_counts() {
    let site = Site::open().await;
    site.account(ALICE).await;
    use_up(&site, 1, ALICE).await;
    assert_eq!(site.asked(), 10);
    assert_eq!(site.try_in(1, ALICE, MAILBOX).await.refusal(), Some(Refusal::TooManyFailures));
    assert_eq!(site.asked(), 10, "the password was not looked at");
    let last = site.records("login").pop().unwrap();
    assert_eq!((&last["outcome"], &last["credential"]), (&"limited".into(), &"unproven".into()));
    site.clock.advance(Duration::from_secs(60));
    assert!(site.try_in(1, ALICE, MAILBOX).await.is_in(), "one cell came back");
}

#[tokio::test]
async fn names_that_belong_to_no_account_are_not_recorded() {
    let site = Site::open().await;
    for name in ["typed-password", "typed-password@example.org", "typed-password@elsewhere.org"] {
        assert_eq!(site.try_in(1, name, name).await.refusal(), Some(Refusal::NotLetIn), "{name}");
    }
    let logins = site.records("login");
    assert_eq!(logins.len(), 3);
    assert!(logins.iter().all(|login| !login.to_string().contains("typed-password")), "{logins:?}");
    assert_eq!(site.asked(), 2, "the third leads to no upstream");
    assert_eq!(logins[0]["account"], logins[1]["account"], "spellings of one address are one");
    assert!(logins[0]["account"].as_str().unwrap().ends_with("@example.org"));
}

#[tokio::test]
async fn a_domain_that_only_the_catch_all_serves_is_not_recorded_either() {
    let site = Site::with(Settings { domain: DomainPattern::Any, ..Settings::default() }).await;
    assert_eq!(site.try_in(1, "P@ssw0rd", "wrong").await.refusal(), Some(Refusal::NotLetIn));
    assert!(!site.only_login().to_string().contains("ssw0rd"), "{}", site.only_login());
}

#[tokio::test]
async fn a_listed_upstream_lets_in_listed_accounts_only() {
    let site = Site::with(Settings { accounts: Some(AccountAdmission::Listed), ..Settings::default() }).await;
    assert_eq!(site.try_in(1, ALICE, MAILBOX).await.refusal(), Some(Refusal::NotLetIn));
    assert_eq!(site.asked(), 0);
    site.account(ALICE).await;
    assert!(site.try_in(1, ALICE, MAILBOX).await.is_in());
}

#[tokio::test]
async fn a_bound_account_is_not_let_in_with_its_mailbox_password() {
    let site = Site::open().await;
    let account = site.account(ALICE).await;
    site.bind_factor(&account).await;
    for spelling in [ALICE, "ALICE@EXAMPLE.ORG", "alice", "Alice@example.org."] {
        assert_eq!(site.try_in(1, spelling, MAILBOX).await.refusal(), Some(Refusal::NotLetIn), "{spelling}");
    }
    assert_eq!(site.asked(), 0, "it is never sent upstream");
    assert_eq!(site.records("login").pop().unwrap()["account"], ALICE);
}

#[tokio::test]
async fn an_app_password_lets_in_and_the_upstream_hears_the_mailbox_password() {
    let site = Site::open().await;
    let (_, printed) = site.bound_with_app_password(ALICE).await;
    assert!(site.try_in(1, ALICE, &printed).await.is_in());
    let dressed = printed.replace(' ', "-").to_uppercase();
    assert!(site.try_in(1, ALICE, &dressed).await.is_in());
    let sent = (ALICE.to_owned(), None, MAILBOX.to_owned());
    assert_eq!(*site.heard.lock().unwrap(), [sent.clone(), sent]);
    let login = site.records("login").remove(0);
    assert_eq!((&login["credential"], &login["outcome"]), (&"app_password".into(), &"admitted".into()));
    assert_eq!(login["label"], printed[..4]);
    assert!(!login["app_password"].is_null());
}

#[tokio::test]
async fn a_wrong_app_password_is_never_sent_upstream() {
    let site = Site::open().await;
    let (_, printed) = site.bound_with_app_password(ALICE).await;
    assert_eq!(site.try_in(1, ALICE, &with_same_label(&printed)).await.refusal(), Some(Refusal::NotLetIn));
    assert_eq!((site.asked(), site.argon2_runs()), (0, 1));
    assert_eq!(site.only_login()["credential"], "unproven");
    let unknown_label = "aaaabbbbccccdddd";
    assert_eq!(site.try_in(1, ALICE, unknown_label).await.refusal(), Some(Refusal::NotLetIn));
    assert_eq!((site.asked(), site.argon2_runs()), (0, 1), "no argon2 for an unknown label");
}

#[tokio::test]
async fn an_unbound_account_may_use_either_password_and_the_label_decides() {
    let site = Site::open().await;
    let account = site.account(ALICE).await;
    let printed = site.app_password(&account, anywhere()).await;
    assert!(site.try_in(1, ALICE, &printed).await.is_in());
    assert!(site.try_in(1, ALICE, MAILBOX).await.is_in());
    let before = site.asked();
    assert_eq!(site.try_in(1, ALICE, &with_same_label(&printed)).await.refusal(), Some(Refusal::NotLetIn));
    assert_eq!(site.asked(), before, "what matches a label is never sent upstream");
    assert_eq!(site.try_in(1, ALICE, "aaaabbbbccccdddd").await.refusal(), Some(Refusal::NotLetIn));
    assert_eq!(site.asked(), before + 1, "what matches none is");
}

#[tokio::test]
async fn after_the_grace_a_proven_mailbox_password_is_told_to_bind_first() {
    let site = Site::with(Settings { second_factor: overdue(), ..Settings::default() }).await;
    site.account(ALICE).await;
    for _ in 0..15 {
        let Ended::Out(refused) = site.try_in(1, ALICE, MAILBOX).await else { panic!("let in") };
        assert_eq!(refused, Refused { refusal: Refusal::BindFirst, not_before: Duration::ZERO });
    }
    assert_eq!(site.records("login").len(), 15, "none of them counted");
    assert_eq!(site.records("login")[0]["credential"], "mailbox_password");
    assert_eq!(site.try_in(1, ALICE, "wrong").await.refusal(), Some(Refusal::NotLetIn));
    assert_eq!(site.try_in(1, "bob@example.org", "x").await.refusal(), Some(Refusal::NotLetIn), "not listed");
}

#[tokio::test]
async fn within_the_grace_the_mailbox_password_lets_in() {
    let since = Timestamp::from_unix_seconds(ManualClock::EPOCH);
    let second_factor = Requirement::Required { since, grace: DAY };
    let site = Site::with(Settings { second_factor, ..Settings::default() }).await;
    site.account(ALICE).await;
    assert!(site.try_in(1, ALICE, MAILBOX).await.is_in());
    site.clock.advance(DAY);
    assert_eq!(site.try_in(1, ALICE, MAILBOX).await.refusal(), Some(Refusal::BindFirst));
}

#[tokio::test]
async fn a_proven_app_password_outside_its_scope_is_told_so_and_does_not_count() {
    let site = Site::open().await;
    let account = site.account(ALICE).await;
    let scope = Scope {
        protocols: ProtocolSet::from_iter([Protocol::Imap]),
        networks: "192.0.2.0/25".parse().unwrap(),
        access: Access::Full,
        expires_at: None,
    };
    let printed = site.app_password(&account, scope).await;
    let smtp = origin(Protocol::Smtp, 1);
    for _ in 0..15 {
        let ended = site.attempt(&smtp, ALICE, &printed, |login| site.upstream_says(&login)).await;
        let Ended::Out(refused) = ended else { panic!("let in") };
        assert_eq!(refused, Refused { refusal: Refusal::OutOfScope, not_before: Duration::ZERO });
    }
    assert_eq!(site.try_in(200, ALICE, &printed).await.refusal(), Some(Refusal::OutOfScope), "other network");
    assert_eq!(site.asked(), 0);
    assert!(site.try_in(1, ALICE, &printed).await.is_in());
    let wrong = with_same_label(&printed);
    let ended = site.attempt(&smtp, ALICE, &wrong, |login| site.upstream_says(&login)).await;
    assert_eq!(ended.refusal(), Some(Refusal::NotLetIn), "scope is not told to a guesser");
}

#[tokio::test]
async fn an_expired_app_password_is_told_so_if_proven() {
    let site = Site::open().await;
    let account = site.account(ALICE).await;
    let printed = site
        .app_password(&account, Scope { expires_at: Some(site.clock.now().plus(DAY)), ..anywhere() })
        .await;
    assert!(site.try_in(1, ALICE, &printed).await.is_in());
    site.clock.advance(DAY);
    assert_eq!(site.try_in(1, ALICE, &printed).await.refusal(), Some(Refusal::Expired));
    assert_eq!(site.try_in(1, ALICE, &with_same_label(&printed)).await.refusal(), Some(Refusal::NotLetIn));
}

#[tokio::test]
async fn a_sealed_mailbox_password_that_the_upstream_refuses_is_stale_and_does_not_count() {
    let site = Site::open().await;
    let (_, printed) = site.bound_with_app_password(ALICE).await;
    site.mailboxes.lock().unwrap().insert(ALICE.to_owned(), "changed".to_owned());
    for _ in 0..12 {
        assert_eq!(site.try_in(1, ALICE, &printed).await.refusal(), Some(Refusal::Stale));
    }
    assert_eq!(site.records("login")[0]["credential"], "app_password");
}

#[tokio::test]
async fn the_owner_is_told_on_which_ground_a_password_was_refused() {
    let site = Site::open().await;
    let account = site.account(ALICE).await;
    let expires_at = Some(site.clock.now().plus(DAY));
    let protocols = ProtocolSet::from_iter([Protocol::Smtp]);
    let [good, short, narrow] =
        [anywhere(), Scope { expires_at, ..anywhere() }, Scope { protocols, ..anywhere() }];
    let good = site.app_password(&account, good).await;
    let short = site.app_password(&account, short).await;
    let narrow = site.app_password(&account, narrow).await;
    let ground = async |password: &str| {
        let ended = site.try_in(1, ALICE, password).await;
        assert!(!ended.is_in(), "{password}");
        site.records("login").pop().unwrap()["ground"].clone()
    };
    assert_eq!(ground("wrong").await, "wrong_password");
    assert_eq!(ground("wrong").await, "same_again");
    assert_eq!(ground(&with_same_label(&good)).await, "wrong_password");
    assert_eq!(ground(&narrow).await, "out_of_scope");
    site.bind_factor(&account).await;
    assert_eq!(ground(MAILBOX).await, "app_password_needed");
    site.clock.advance(DAY);
    assert_eq!(ground(&short).await, "expired");
    assert!(site.try_in(1, ALICE, &good).await.is_in());
    assert!(site.records("login").pop().unwrap()["ground"].is_null(), "whoever was let in was not refused");
    site.mailboxes.lock().unwrap().insert(ALICE.to_owned(), "changed".to_owned());
    assert_eq!(ground(&good).await, "stale");
    site.suspend(&account).await;
    assert_eq!(ground(&good).await, "suspended");

    let site = Site::with(Settings { second_factor: overdue(), ..Settings::default() }).await;
    site.account(ALICE).await;
    assert_eq!(site.try_in(1, ALICE, MAILBOX).await.refusal(), Some(Refusal::BindFirst));
    assert_eq!(site.only_login()["ground"], "bind_first");
    let vain = site.attempt(&origin(Protocol::Imap, 3), ALICE, "guess", |_| unavailable(false)).await;
    assert_eq!(vain.refusal(), Some(Refusal::Unavailable));
    assert!(site.records("login").pop().unwrap()["ground"].is_null(), "nobody knows");
}

#[tokio::test]
async fn suspension_is_told_only_to_whoever_proves_the_password() {
    let site = Site::open().await;
    let (bound, printed) = site.bound_with_app_password(ALICE).await;
    assert!(site.try_in(1, ALICE, &printed).await.is_in(), "its proof is remembered");
    site.suspend(&bound).await;
    assert_eq!(site.try_in(1, ALICE, &printed).await.refusal(), Some(Refusal::Suspended));
    assert_eq!(site.try_in(1, ALICE, &with_same_label(&printed)).await.refusal(), Some(Refusal::NotLetIn));
    let asked = site.asked();
    assert_eq!(site.try_in(1, ALICE, MAILBOX).await.refusal(), Some(Refusal::NotLetIn));
    assert_eq!(site.asked(), asked);

    let unbound = site.account("bob@example.org").await;
    site.mailboxes.lock().unwrap().insert("bob@example.org".to_owned(), MAILBOX.to_owned());
    site.suspend(&unbound).await;
    assert_eq!(site.try_in(2, "bob@example.org", MAILBOX).await.refusal(), Some(Refusal::Suspended));
    assert_eq!(site.try_in(2, "bob@example.org", "wrong").await.refusal(), Some(Refusal::NotLetIn));
}

#[tokio::test]
async fn a_removed_account_that_was_bound_comes_back_only_with_a_factor() {
    let site = Site::open().await;
    let account = site.account(ALICE).await;
    site.bind_factor(&account).await;
    assert!(site.store.remove_account(account.id).await.unwrap());
    assert_eq!(site.try_in(1, ALICE, MAILBOX).await.refusal(), Some(Refusal::NotLetIn));
    site.account(ALICE).await;
    assert_eq!(site.try_in(1, ALICE, MAILBOX).await.refusal(), Some(Refusal::NotLetIn));
    assert_eq!(site.asked(), 0);
}

#[tokio::test]
async fn a_factor_bound_while_the_upstream_is_asked_counts() {
    let site = Site::open().await;
    let account = site.account(ALICE).await;
    let ended = site
        .attempt_slowly(&origin(Protocol::Imap, 1), ALICE, MAILBOX, async |login| {
            site.bind_factor(&account).await;
            site.upstream_says(&login)
        })
        .await;
    assert_eq!(ended.refusal(), Some(Refusal::NotLetIn));
}

#[tokio::test]
async fn a_suspension_while_the_upstream_is_asked_counts() {
    let site = Site::open().await;
    let account = site.account(ALICE).await;
    let ended = site
        .attempt_slowly(&origin(Protocol::Imap, 1), ALICE, MAILBOX, async |login| {
            site.suspend(&account).await;
            site.upstream_says(&login)
        })
        .await;
    assert_eq!(ended.refusal(), Some(Refusal::Suspended));
}

#[tokio::test]
async fn the_upstreams_yes_is_not_enough_while_nobody_can_say_whether_a_factor_is_bound() {
    let site = Site::open().await;
    site.account(ALICE).await;
    let ended = site
        .attempt_slowly(&origin(Protocol::Imap, 1), ALICE, MAILBOX, async |login| {
            let Store::Sqlite(pool, _) = &site.store else { panic!("not SQLite") };
            sqlx::query("ALTER TABLE factors RENAME TO damaged").execute(pool).await.unwrap();
            site.upstream_says(&login)
        })
        .await;
    assert_eq!(ended.refusal(), Some(Refusal::Unavailable));
    let login = site.only_login();
    assert_eq!(
        (&login["outcome"], &login["credential"]),
        (&"unavailable".into(), &"mailbox_password".into())
    );
}

#[tokio::test]
async fn an_unavailable_upstream_counts_only_if_an_unproven_password_was_sent() {
    for (sent, tries) in [(false, 30), (true, 10)] {
        let site = Site::open().await;
        let (_, printed) = site.bound_with_app_password(ALICE).await;
        let bob = "bob@example.org";
        for number in 0..tries {
            let (from, guess) = (origin(Protocol::Imap, 1), format!("any {number}"));
            let heard = site.attempt(&from, bob, &guess, |_| unavailable(sent)).await.refusal();
            assert_eq!(heard, Some(Refusal::Unavailable));
        }
        let next = site.attempt(&origin(Protocol::Imap, 1), bob, "any", |_| unavailable(sent)).await;
        let expected = if sent { Refusal::TooManyFailures } else { Refusal::Unavailable };
        assert_eq!(next.refusal(), Some(expected), "sent: {sent}");
        for _ in 0..30 {
            let ended =
                site.attempt(&origin(Protocol::Imap, 1), ALICE, &printed, |_| unavailable(true)).await;
            let Ended::Out(refused) = ended else { panic!("let in") };
            assert_eq!(refused, Refused { refusal: Refusal::Unavailable, not_before: Duration::ZERO });
        }
        assert_eq!(site.records("login").pop().unwrap()["outcome"], "unavailable");
    }
}

#[tokio::test]
async fn a_plain_no_takes_the_same_time_whatever_its_cause() {
    let site = Site::open().await;
    let (_, printed) = site.bound_with_app_password(ALICE).await;
    let slow_no = |_| {
        site.clock.advance(Duration::from_secs(4));
        UpstreamSaid::No
    };
    let first = site.attempt(&origin(Protocol::Imap, 1), "bob@example.org", "wrong", slow_no).await;
    assert_eq!(first.refusal(), Some(Refusal::NotLetIn));
    let mut heard = Vec::new();
    for (name, password) in [
        ("bob@example.org", "wrong"),
        (ALICE, MAILBOX),
        (ALICE, &with_same_label(&printed)),
        ("x@elsewhere.org", "wrong"),
        ("not an address", "wrong"),
    ] {
        let Ended::Out(refused) = site.try_in(1, name, password).await else { panic!("let in") };
        heard.push(refused);
    }
    assert!(heard.iter().all(|refused| *refused == heard[0]), "{heard:?}");
    assert_eq!(heard[0].refusal, Refusal::NotLetIn);
    assert!(heard[0].not_before > Duration::from_secs(4));
    for number in 0..20 {
        site.try_in(1, "carol@example.org", &format!("wrong {number}")).await;
    }
    let Ended::Out(limited) = site.try_in(1, "carol@example.org", "wrong").await else { panic!("let in") };
    assert_eq!((limited.refusal, limited.not_before), (Refusal::TooManyFailures, heard[0].not_before));
}

/// Dovecot's own delay is shorter than `failure_delay`, and what the gate allows for is longer.
#[tokio::test]
async fn a_no_of_the_upstream_does_not_prolong_itself() {
    let site = Site::open().await;
    let account = site.account(ALICE).await;
    site.bind_factor(&account).await;
    let bound = site.try_in(1, ALICE, MAILBOX).await;
    let slow_no = |_| {
        site.clock.advance(Duration::from_secs(2));
        UpstreamSaid::No
    };
    let unbound = site.attempt(&origin(Protocol::Imap, 1), "bob@example.org", "wrong", slow_no).await;
    let (Ended::Out(bound), Ended::Out(unbound)) = (bound, unbound) else { panic!("let in") };
    assert_eq!(bound, unbound, "the first of each");
    let Ended::Out(next) = site.try_in(1, ALICE, MAILBOX).await else { panic!("let in") };
    assert!(next.not_before > unbound.not_before, "the next may be slower, so all are");
}

#[tokio::test]
async fn the_master_user_logs_in_for_the_account() {
    for (style, user, authorize_as) in [
        (MasterStyle::Separator('*'), "alice@example.org*proxy", None),
        (MasterStyle::Authzid, "proxy", Some(ALICE.to_owned())),
    ] {
        let site = Site::with(Settings { credential: master(style), ..Settings::default() }).await;
        let account = site.account(ALICE).await;
        site.bind_factor(&account).await;
        let by = Author::new(&site.audit, Actor::Gate);
        let created =
            site.app_passwords.create(&account, "Foxmail", &anywhere(), None, 20, &by).await.unwrap();
        let printed = String::from_utf8(created.printed.expose().to_vec()).unwrap();
        site.mailboxes.lock().unwrap().insert(user.to_owned(), "master-secret".to_owned());
        for _ in 0..2 {
            assert!(site.try_in(1, ALICE, &printed).await.is_in());
        }
        let sent = (user.to_owned(), authorize_as, "master-secret".to_owned());
        assert_eq!(*site.heard.lock().unwrap(), [sent.clone(), sent]);
        assert_eq!(site.argon2_runs(), 1);

        site.mailboxes.lock().unwrap().clear();
        assert_eq!(
            site.try_in(1, ALICE, &printed).await.refusal(),
            Some(Refusal::Unavailable),
            "a refused master is not the user's fault"
        );
    }
}

#[tokio::test]
async fn a_row_that_somebody_changed_opens_nothing() {
    let site = Site::open().await;
    let (_, printed) = site.bound_with_app_password(ALICE).await;
    assert!(site.try_in(1, ALICE, &printed).await.is_in(), "its proof is remembered");
    let Store::Sqlite(pool, _) = &site.store else { panic!("not SQLite") };
    sqlx::query("UPDATE app_passwords SET networks = '198.51.100.0/24'").execute(pool).await.unwrap();
    assert_eq!(site.try_in(1, ALICE, &printed).await.refusal(), Some(Refusal::Unavailable));
    assert_eq!(site.asked(), 1);
}

#[tokio::test]
async fn while_the_database_is_away_nobody_is_treated_as_unbound() {
    let site = Site::open().await;
    site.account(ALICE).await;
    site.gates_store.close().await;
    for _ in 0..30 {
        assert_eq!(site.try_in(1, ALICE, MAILBOX).await.refusal(), Some(Refusal::Unavailable), "not counted");
    }
    assert_eq!(site.asked(), 0);
    site.gate.record_refusals(false).await;
    let counted: u64 = site.records("refused_logins").iter().map(|sum| sum["count"].as_u64().unwrap()).sum();
    assert_eq!(site.records("login").len() as u64 + counted, 30);
}

#[tokio::test]
async fn an_account_has_only_so_many_sessions() {
    let mut settings = Settings::default();
    settings.limits.sessions_per_account = 2;
    let site = Site::with(settings).await;
    let first = site.try_in(1, ALICE, MAILBOX).await;
    let _second = site.try_in(1, ALICE, MAILBOX).await;
    assert_eq!(site.try_in(1, ALICE, MAILBOX).await.refusal(), Some(Refusal::Unavailable));
    let Ended::In(first) = first else { panic!("not let in") };
    first.traffic().moved_to_client(20);
    let summary = SessionSummary { duration: Duration::from_millis(1_500), reason: "client_closed" };
    site.gate.session_ended(first, summary).await;
    assert!(site.try_in(1, ALICE, MAILBOX).await.is_in());
    let end = &site.records("session_end")[0];
    assert_eq!((&end["account"], &end["reason"]), (&ALICE.into(), &"client_closed".into()));
    assert_eq!((&end["duration_ms"], &end["bytes_to_client"]), (&1_500.into(), &20.into()));
}

#[tokio::test]
async fn without_a_trail_logins_follow_the_administrators_choice() {
    for (when_full, expected) in [(WhenFull::Refuse, Some(Refusal::Unavailable)), (WhenFull::Continue, None)]
    {
        let mut site = Site::with(Settings { when_full, ..Settings::default() }).await;
        lose_trail(&mut site).await;
        assert_eq!(site.try_in(1, ALICE, MAILBOX).await.refusal(), expected, "{when_full:?}");
        let wrong = site.try_in(1, ALICE, "wrong").await.refusal();
        assert_eq!(wrong, Some(expected.unwrap_or(Refusal::NotLetIn)), "{when_full:?}");
        let counted = |outcome| {
            let attempts = site.gate.meters().attempts();
            attempts.filter(|(_, of, _)| *of == outcome).map(|(_, _, count)| count).sum::<u64>()
        };
        let admitted = u64::from(expected.is_none());
        assert_eq!(counted(Outcome::Admitted), admitted, "{when_full:?}");
        assert_eq!(counted(Outcome::Unavailable), 2 * (1 - admitted), "{when_full:?}");
    }
}

/// From now on nothing can be written.
async fn lose_trail(site: &mut Site) {
    let directory = site.directory.path().join("no-directory");
    std::fs::write(&directory, "").unwrap();
    let settings = config::Audit { directory, when_full: WhenFull::Continue, retention: None, reserve: 0 };
    let key = Arc::new(SiteKey::from_bytes([7; 32]));
    let lost = Audit::open_later(&settings, site.store.clone(), key, site.clock.clone()).await.unwrap();
    Arc::get_mut(&mut site.gate.gate).and_then(|gate| Arc::get_mut(&mut gate.desk)).unwrap().audit = lost;
}

#[tokio::test]
async fn nobody_comes_in_behind_the_end_of_the_trail() {
    for when_full in [WhenFull::Refuse, WhenFull::Continue] {
        let site = Site::with(Settings { when_full, ..Settings::default() }).await;
        site.audit.close().await;
        assert_eq!(
            site.try_in(1, ALICE, MAILBOX).await.refusal(),
            Some(Refusal::Unavailable),
            "{when_full:?}"
        );
    }
}
