//! Clients that leave before the answer: nothing leaks, nothing is free, and each attempt is on record.

use super::*;

async fn grant(site: &Site, name: &str, password: &str) -> Box<Grant> {
    match site.gate.judge(&origin(Protocol::Imap, 1), credentials(name, password)).await {
        Decision::Admit(grant) => grant,
        Decision::Refuse(refused) => panic!("{refused:?}"),
    }
}

/// Records of those who left are written behind their backs, and of many like it only the first few.
async fn logins_settled(site: &Site, count: u64) {
    site.gate.record_refusals(false).await;
    let counted: u64 = site.records("refused_logins").iter().map(|sum| sum["count"].as_u64().unwrap()).sum();
    settled(site, "login", usize::try_from(count - counted).unwrap()).await;
}

/// Records of those who left are written behind their backs.
async fn settled(site: &Site, event: &str, count: usize) -> Vec<Value> {
    for _ in 0..6_000 {
        let records = site.records(event);
        if records.len() >= count {
            assert_eq!(records.len(), count);
            return records;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("only {} of {count} `{event}` records were written", site.records(event).len());
}

#[tokio::test]
async fn a_client_that_leaves_after_its_password_was_sent_has_had_a_guess() {
    let site = Site::open().await;
    for number in 0..10 {
        let mut grant = grant(&site, ALICE, &format!("guess {number}")).await;
        let _ = grant.take_login();
        drop(grant);
    }
    assert_eq!(site.try_in(1, ALICE, MAILBOX).await.refusal(), Some(Refusal::TooManyFailures));
    logins_settled(&site, 11).await;
}

#[tokio::test]
async fn a_client_that_leaves_before_its_password_was_sent_gives_its_cells_back() {
    let site = Site::open().await;
    for _ in 0..50 {
        drop(grant(&site, ALICE, "guess").await);
    }
    assert!(site.try_in(1, ALICE, MAILBOX).await.is_in());
    logins_settled(&site, 51).await;
}

#[tokio::test]
async fn a_proven_client_that_leaves_pays_nothing() {
    let site = Site::open().await;
    let (_, printed) = site.bound_with_app_password(ALICE).await;
    for _ in 0..20 {
        let mut grant = grant(&site, ALICE, &printed).await;
        let _ = grant.take_login();
        drop(grant);
    }
    assert!(site.try_in(1, ALICE, &printed).await.is_in());
    settled(&site, "login", 21).await;
}

#[tokio::test]
async fn a_client_that_leaves_while_it_waits_leaves_one_record() {
    let mut settings = Settings::default();
    settings.limits.per_account = Rate { burst: 1, per: Duration::from_secs(600) };
    let site = Site::with(settings).await;
    let first = grant(&site, ALICE, MAILBOX).await;
    let from = origin(Protocol::Imap, 2);
    let waiting = site.gate.judge(&from, credentials(ALICE, MAILBOX));
    assert!(tokio::time::timeout(Duration::from_millis(50), waiting).await.is_err());
    let records = settled(&site, "login", 1).await;
    assert_eq!(records[0]["outcome"], "unavailable");
    drop(first);
    assert!(site.try_in(3, ALICE, MAILBOX).await.is_in());
}

#[tokio::test]
async fn a_client_that_leaves_during_argon2_has_had_a_guess() {
    let site = Site::open().await;
    let (account, printed) = site.bound_with_app_password(ALICE).await;
    let mut wrong = site.wrong_app_passwords(&account, &printed, 11).await;
    let next = wrong.pop().unwrap();
    let held = site.audit.hold().await;
    for (before, wrong) in wrong.iter().enumerate() {
        let from = origin(Protocol::Imap, 1);
        let mut judging = Box::pin(site.gate.judge(&from, credentials(ALICE, wrong)));
        while site.argon2_runs() <= before {
            let step = tokio::time::timeout(Duration::from_micros(200), judging.as_mut()).await;
            assert!(step.is_err(), "it must still be judged");
        }
    }
    drop(held);
    let refusal = site.try_in(1, ALICE, &next).await.refusal();
    assert_eq!(refusal, Some(Refusal::TooManyFailures), "{:#?}", site.records("login"));
    logins_settled(&site, 11).await;
}

#[tokio::test]
async fn a_client_that_leaves_while_its_guessing_is_being_told_has_had_a_guess() {
    let many = watch::MANY;
    let mut settings = Settings::default();
    settings.limits.per_network = Rate { burst: 100, per: Duration::from_secs(600) };
    settings.limits.per_account = Rate { burst: u32::try_from(many).unwrap(), per: Duration::from_secs(600) };
    let site = Site::with(settings).await;
    let (account, printed) = site.bound_with_app_password(ALICE).await;
    let mut guesses = site.wrong_app_passwords(&account, &printed, many + 1).await;
    let (next, wrong) = (guesses.pop().unwrap(), guesses.pop().unwrap());
    for wrong in guesses {
        assert_eq!(site.try_in(1, ALICE, &wrong).await.refusal(), Some(Refusal::NotLetIn));
    }
    let from = origin(Protocol::Imap, 1);
    let held = site.audit.hold().await;
    let mut judging = Box::pin(site.gate.judge(&from, credentials(ALICE, &wrong)));
    while site.audit.queued() == 0 {
        let step = tokio::time::timeout(Duration::from_millis(5), judging.as_mut()).await;
        assert!(step.is_err(), "it must still be told of");
    }
    drop(judging);
    drop(held);
    assert_eq!(settled(&site, "guessing_noticed", 1).await[0]["account"], ALICE);
    assert_eq!(site.try_in(1, ALICE, &next).await.refusal(), Some(Refusal::TooManyFailures));
}

#[tokio::test]
async fn concluding_goes_on_when_the_client_leaves() {
    let site = Site::open().await;
    let mut grant = grant(&site, ALICE, MAILBOX).await;
    let _ = grant.take_login();
    let held = site.audit.hold().await;
    let mut concluding = Box::pin(site.gate.conclude(grant, UpstreamSaid::Yes));
    std::future::poll_fn(|context| {
        assert!(concluding.as_mut().poll(context).is_pending());
        std::task::Poll::Ready(())
    })
    .await;
    drop(concluding);
    drop(held);
    let ends = settled(&site, "session_end", 1).await;
    assert_eq!((&ends[0]["account"], &ends[0]["reason"]), (&ALICE.into(), &"error".into()));
    assert_eq!(site.only_login()["outcome"], "admitted");
    assert_eq!(site.records("account_added").len(), 1);
}

#[tokio::test]
async fn a_client_that_leaves_while_its_admission_is_recorded_leaves_both_records() {
    let mut settings = Settings::default();
    settings.limits.sessions_per_account = 1;
    let site = Site::with(settings).await;
    let (_, printed) = site.bound_with_app_password(ALICE).await;
    let mut grant = grant(&site, ALICE, &printed).await;
    let _ = grant.take_login();
    let held = site.audit.hold().await;
    let mut concluding = Box::pin(site.gate.conclude(grant, UpstreamSaid::Yes));
    std::future::poll_fn(|context| {
        assert!(concluding.as_mut().poll(context).is_pending());
        std::task::Poll::Ready(())
    })
    .await;
    drop(concluding);
    drop(held);
    assert_eq!(settled(&site, "session_end", 1).await[0]["reason"], "error");
    assert_eq!(site.only_login()["outcome"], "admitted");
    assert!(site.try_in(1, ALICE, &printed).await.is_in(), "its place is free");
}

#[tokio::test]
async fn a_session_that_nobody_ended_is_recorded_and_gives_its_place_back() {
    let mut settings = Settings::default();
    settings.limits.sessions_per_account = 1;
    let site = Site::with(settings).await;
    let Ended::In(passage) = site.try_in(1, ALICE, MAILBOX).await else { panic!("not let in") };
    site.clock.advance(Duration::from_secs(3));
    drop(passage);
    assert!(site.try_in(1, ALICE, MAILBOX).await.is_in());
    assert_eq!(settled(&site, "session_end", 2).await[0]["duration_ms"], 3_000);
}

#[tokio::test]
async fn whoever_waits_for_those_who_are_gone_finds_them_recorded() {
    let site = Site::open().await;
    for number in 0..5 {
        site.mailboxes.lock().unwrap().insert(format!("user{number}@example.org"), MAILBOX.to_owned());
        drop(site.try_in(1, &format!("user{number}@example.org"), MAILBOX).await);
        let mut grant = grant(&site, ALICE, "guess").await;
        let _ = grant.take_login();
        drop(grant);
    }
    site.gate.finished().await;
    site.gate.record_refusals(false).await;
    // They wait at leisure: the end of the trail waits for no time to pass.
    site.audit.close().await;
    assert_eq!(site.records("session_end").len(), 5);
    logins_settled(&site, 10).await;
}
