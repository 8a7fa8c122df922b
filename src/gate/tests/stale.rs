//! A sealed mailbox password that the upstream refused: what is sent after that, and what ends it.

use super::*;

const MINUTE: Duration = Duration::from_secs(60);

/// Changes alice's mailbox password upstream.
fn change(site: &Site, password: &str) {
    site.mailboxes.lock().unwrap().insert(ALICE.to_owned(), password.to_owned());
}

/// A bound account with two app passwords that were sealed at one moment.
async fn two_phones(site: &Site) -> (AccountRecord, String, String) {
    let (account, one) = site.bound_with_app_password(ALICE).await;
    let two = site.app_password(&account, anywhere()).await;
    (account, one, two)
}

/// Does it to the database.
async fn sql(site: &Site, statement: &'static str) {
    let Store::Sqlite(pool, _) = &site.store else { panic!("not SQLite") };
    sqlx::query(statement).execute(pool).await.unwrap();
}

#[tokio::test]
async fn the_first_refusal_is_the_last_that_the_upstream_hears() {
    let site = Site::open().await;
    let (_, one, two) = two_phones(&site).await;
    assert!(site.try_in(1, ALICE, &one).await.is_in(), "its proof is remembered");
    change(&site, "changed");
    let asked = site.asked();
    for _ in 0..15 {
        for printed in [&one, &two] {
            let Ended::Out(refused) = site.try_in(1, ALICE, printed).await else { panic!("let in") };
            assert_eq!((refused.refusal, refused.not_before), (Refusal::Stale, Duration::ZERO), "at once");
        }
    }
    assert_eq!(site.asked(), asked + 1);
    assert_eq!(site.argon2_runs(), 2, "proofs are remembered all the same");
    assert!(site.records("login").iter().all(|record| record["credential"] == "app_password"));
    let marked = site.records("mailbox_password_stale");
    assert_eq!(marked.len(), 1, "{marked:?}");
    assert_eq!((&marked[0]["account"], &marked[0]["upstream"]), (&ALICE.into(), &"legacy".into()));
    assert_eq!(marked[0]["labels"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn nothing_of_it_is_told_before_the_app_password_is_proven_nor_beyond_its_scope() {
    let site = Site::open().await;
    let (account, printed) = site.bound_with_app_password(ALICE).await;
    let imap_only = Scope { protocols: ProtocolSet::from_iter([Protocol::Imap]), ..anywhere() };
    let narrow = site.app_password(&account, imap_only).await;
    change(&site, "changed");
    assert_eq!(site.try_in(1, ALICE, &printed).await.refusal(), Some(Refusal::Stale));
    assert_eq!(site.try_in(1, ALICE, &with_same_label(&printed)).await.refusal(), Some(Refusal::NotLetIn));
    let ended = site.attempt(&origin(Protocol::Smtp, 1), ALICE, &narrow, |_| UpstreamSaid::Yes).await;
    assert_eq!(ended.refusal(), Some(Refusal::OutOfScope));
    site.suspend(&account).await;
    assert_eq!(site.try_in(1, ALICE, &printed).await.refusal(), Some(Refusal::Suspended));
}

#[tokio::test]
async fn probes_come_after_a_quarter_of_an_hour_an_hour_and_every_six_hours() {
    let site = Site::open().await;
    let (_, one, two) = two_phones(&site).await;
    change(&site, "changed");
    assert_eq!(site.try_in(1, ALICE, &one).await.refusal(), Some(Refusal::Stale));
    let mut asked = 1;
    for rest in [15, 60, 360, 360, 360] {
        site.clock.advance(MINUTE * rest - Duration::from_secs(1));
        for printed in [&one, &two] {
            assert_eq!(site.try_in(1, ALICE, printed).await.refusal(), Some(Refusal::Stale));
        }
        assert_eq!(site.asked(), asked, "not before {rest} minutes");
        site.clock.advance(Duration::from_secs(1));
        for printed in [&two, &one, &two] {
            assert_eq!(site.try_in(1, ALICE, printed).await.refusal(), Some(Refusal::Stale));
        }
        asked += 1;
        assert_eq!(site.asked(), asked, "one for both phones after {rest} minutes");
    }
    assert_eq!(site.records("mailbox_password_stale").len(), 1, "it stays what it was");
}

#[tokio::test]
async fn a_probe_that_the_upstream_takes_lets_in_and_ends_it() {
    let site = Site::open().await;
    let (_, one, two) = two_phones(&site).await;
    change(&site, "changed");
    assert_eq!(site.try_in(1, ALICE, &one).await.refusal(), Some(Refusal::Stale));
    change(&site, MAILBOX);
    assert_eq!(site.try_in(1, ALICE, &one).await.refusal(), Some(Refusal::Stale), "nobody knows that yet");
    site.clock.advance(MINUTE * 15);
    for printed in [&two, &one, &two] {
        assert!(site.try_in(1, ALICE, printed).await.is_in(), "sealed at the same moment");
    }
    let cleared = site.records("mailbox_password_taken");
    assert_eq!(cleared.len(), 1, "{cleared:?}");
    assert_eq!(cleared[0]["labels"].as_array().unwrap().len(), 2);
    change(&site, "changed again");
    assert_eq!(site.try_in(1, ALICE, &one).await.refusal(), Some(Refusal::Stale));
    assert_eq!(site.records("mailbox_password_stale").len(), 2, "from the beginning");
}

/// It may hold another password: only trying tells.
#[tokio::test]
async fn what_was_sealed_at_another_moment_is_tried_by_itself_once_a_probe_was_taken() {
    let site = Site::open().await;
    let (account, old) = site.bound_with_app_password(ALICE).await;
    site.clock.advance(MINUTE);
    let other = site.app_password(&account, anywhere()).await;
    change(&site, "changed");
    assert_eq!(site.try_in(1, ALICE, &other).await.refusal(), Some(Refusal::Stale));
    change(&site, MAILBOX);
    site.clock.advance(MINUTE * 15);
    assert!(site.try_in(1, ALICE, &old).await.is_in());
    let refused = site.attempt(&origin(Protocol::Imap, 1), ALICE, &other, |_| UpstreamSaid::No).await;
    assert_eq!(refused.refusal(), Some(Refusal::Stale));
    let asked = site.asked();
    for _ in 0..5 {
        assert_eq!(site.try_in(1, ALICE, &other).await.refusal(), Some(Refusal::Stale));
        assert!(site.try_in(1, ALICE, &old).await.is_in(), "and it is not marked again for that");
    }
    assert_eq!(site.asked(), asked + 5, "the other one rests");
    site.clock.advance(MINUTE * 60);
    assert!(site.try_in(1, ALICE, &other).await.is_in());
}

#[tokio::test]
async fn a_probe_that_tells_nothing_neither_clears_nor_counts() {
    let site = Site::open().await;
    let (_, printed) = site.bound_with_app_password(ALICE).await;
    change(&site, "changed");
    assert_eq!(site.try_in(1, ALICE, &printed).await.refusal(), Some(Refusal::Stale));
    let silent = || UpstreamSaid::Unavailable {
        refusal: Refusal::Unavailable,
        reason: "it closed the connection".to_owned(),
        credential_sent: true,
        concerns: Concerns::Everybody,
    };
    for _ in 0..4 {
        site.clock.advance(MINUTE * 15);
        let ended = site.attempt(&origin(Protocol::Imap, 1), ALICE, &printed, |_| silent()).await;
        assert_eq!(ended.refusal(), Some(Refusal::Unavailable), "a quarter of an hour later, each time");
        assert_eq!(site.try_in(1, ALICE, &printed).await.refusal(), Some(Refusal::Stale), "not at once");
    }
    assert_eq!(site.asked(), 1);
    // A client that leaves in the middle of a probe: it counts as refused.
    site.clock.advance(MINUTE * 15);
    let judged = site.gate.judge(&origin(Protocol::Imap, 1), credentials(ALICE, &printed)).await;
    let Decision::Admit(grant) = judged else { panic!("refused") };
    drop(grant);
    site.clock.advance(MINUTE * 59);
    assert_eq!(site.try_in(1, ALICE, &printed).await.refusal(), Some(Refusal::Stale));
    assert_eq!(site.asked(), 1);
}

#[tokio::test]
async fn re_sealing_ends_it_at_once_for_all() {
    let site = Site::open().await;
    let (account, one, two) = two_phones(&site).await;
    change(&site, "changed");
    assert_eq!(site.try_in(1, ALICE, &one).await.refusal(), Some(Refusal::Stale));
    site.reseal(&account, "changed").await;
    for printed in [&one, &two] {
        assert!(site.try_in(1, ALICE, printed).await.is_in());
    }
    assert_eq!(site.records("mailbox_password_resealed").len(), 1);
}

/// Whoever seals anew is told what there is then, as if it had been read.
#[tokio::test]
async fn what_was_sealed_anew_knows_of_no_refusal_and_of_no_probe() {
    let site = Site::open().await;
    let (account, printed) = site.bound_with_app_password(ALICE).await;
    change(&site, "changed");
    for _ in 0..2 {
        assert_eq!(site.try_in(1, ALICE, &printed).await.refusal(), Some(Refusal::Stale));
        site.clock.advance(MINUTE * 15);
    }
    let stored = async || site.store.app_passwords(account.id).await.unwrap();
    assert_eq!(stored().await[0].probes, 1);
    let password = Password::new(b"changed".to_vec()).unwrap();
    let mailbox = ProvenMailbox { password: &password, upstream: &account.upstream, at: site.clock.now() };
    let by = Author::new(&site.audit, Actor::Gate);
    let resealed = site.app_passwords.reseal(account.id, &account.address, mailbox, &by).await.unwrap();
    assert_eq!(resealed.sealed, stored().await);
    assert_eq!(stored().await[0].sealed_at, Some(site.clock.now()));
}

#[tokio::test]
async fn a_seal_that_was_replaced_while_the_upstream_was_asked_is_not_marked() {
    let site = Site::open().await;
    let (account, printed) = site.bound_with_app_password(ALICE).await;
    change(&site, "changed");
    let ended = site
        .attempt_slowly(&origin(Protocol::Imap, 1), ALICE, &printed, async |login| {
            site.clock.advance(MINUTE);
            site.reseal(&account, "changed").await;
            site.upstream_says(&login)
        })
        .await;
    assert_eq!(ended.refusal(), Some(Refusal::Stale));
    assert!(site.try_in(1, ALICE, &printed).await.is_in());
    assert!(site.records("mailbox_password_stale").is_empty());
}

#[tokio::test]
async fn a_mark_that_cannot_be_written_still_keeps_this_gate_from_sending() {
    let site = Site::open().await;
    let (_, printed) = site.bound_with_app_password(ALICE).await;
    change(&site, "changed");
    sql(&site, "CREATE TRIGGER full BEFORE UPDATE ON app_passwords BEGIN SELECT RAISE(ABORT, 'full'); END")
        .await;
    for _ in 0..5 {
        assert_eq!(site.try_in(1, ALICE, &printed).await.refusal(), Some(Refusal::Stale));
    }
    assert_eq!(site.asked(), 1);
    sql(&site, "DROP TRIGGER full").await;
    assert_eq!(site.try_in(1, ALICE, &printed).await.refusal(), Some(Refusal::Stale));
    assert_eq!(site.asked(), 1);
    assert_eq!(site.records("mailbox_password_stale").len(), 1, "and all know it as soon as they can");
}

#[tokio::test]
async fn without_the_database_a_seal_that_was_seen_refused_is_not_sent() {
    let site = Site::open().await;
    let (_, one, two) = two_phones(&site).await;
    for printed in [&one, &two] {
        assert!(site.try_in(1, ALICE, printed).await.is_in(), "its proof is remembered");
    }
    change(&site, "changed");
    for printed in [&one, &two] {
        assert_eq!(site.try_in(1, ALICE, printed).await.refusal(), Some(Refusal::Stale));
    }
    let asked = site.asked();
    site.gates_store.close().await;
    for printed in [&one, &two] {
        assert_eq!(site.try_in(1, ALICE, printed).await.refusal(), Some(Refusal::Stale));
    }
    assert_eq!(site.asked(), asked);
}

/// The last login record may come before what was learnt from it.
async fn until_resealed(site: &Site) {
    for _ in 0..6_000 {
        if !site.records("mailbox_password_resealed").is_empty() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("nothing was learnt");
}

#[tokio::test]
async fn an_unbound_owner_who_logs_in_with_the_new_mailbox_password_mends_the_app_passwords() {
    let site = Site::open().await;
    let account = site.account(ALICE).await;
    let printed = site.app_password(&account, anywhere()).await;
    change(&site, "changed");
    assert_eq!(site.try_in(1, ALICE, &printed).await.refusal(), Some(Refusal::Stale));
    assert_eq!(site.try_in(1, ALICE, "wrong").await.refusal(), Some(Refusal::NotLetIn));
    assert_eq!(site.try_in(1, ALICE, &printed).await.refusal(), Some(Refusal::Stale));
    assert!(site.try_in(1, ALICE, "changed").await.is_in());
    until_resealed(&site).await;
    assert!(site.try_in(1, ALICE, &printed).await.is_in());
    assert_eq!(site.records("mailbox_password_resealed")[0]["by"]["kind"], "gate");
    assert!(site.try_in(1, ALICE, "changed").await.is_in());
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(
        site.records("mailbox_password_resealed").len(),
        1,
        "where nothing is stale nothing is sealed"
    );
}

#[tokio::test]
async fn an_app_password_without_a_seal_or_of_another_upstream_learns_it_as_well() {
    for (before, sealed) in [("legacy", false), ("before-it-moved", true)] {
        let site = Site::open().await;
        let account = site.account(ALICE).await;
        let elsewhere = AccountRecord { upstream: UpstreamName(before.to_owned()), ..account };
        let printed = if sealed {
            site.app_password(&elsewhere, anywhere()).await
        } else {
            let by = Author::new(&site.audit, Actor::Gate);
            let made = site.app_passwords.create(&elsewhere, "Foxmail", &anywhere(), None, 20, &by).await;
            String::from_utf8(made.unwrap().printed.expose().to_vec()).unwrap()
        };
        assert_eq!(site.try_in(1, ALICE, &printed).await.refusal(), Some(Refusal::Stale), "{before}");
        assert_eq!(site.asked(), 0, "{before}");
        assert!(site.try_in(1, ALICE, MAILBOX).await.is_in());
        until_resealed(&site).await;
        assert!(site.try_in(1, ALICE, &printed).await.is_in(), "{before}");
    }
}

#[tokio::test]
async fn a_mailbox_password_that_does_not_let_in_teaches_nothing() {
    // Else it would hear the same as the mailbox password, and nothing of the seal would show.
    let without_factor = WithoutFactor::Keep;
    let site = Site::with(Settings { second_factor: overdue(), without_factor, ..Settings::default() }).await;
    let account = site.account(ALICE).await;
    let printed = site.app_password(&account, anywhere()).await;
    change(&site, "changed");
    assert_eq!(site.try_in(1, ALICE, &printed).await.refusal(), Some(Refusal::Stale));
    assert_eq!(site.try_in(1, ALICE, "changed").await.refusal(), Some(Refusal::BindFirst));
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(site.try_in(1, ALICE, &printed).await.refusal(), Some(Refusal::Stale));
    assert!(site.records("mailbox_password_resealed").is_empty());
}
