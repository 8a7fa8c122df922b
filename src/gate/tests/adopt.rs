//! Other rules while attempts are in flight and sessions live.

use super::*;
use crate::config::{Endpoint, EndpointTls};

const BOB: &str = "bob@example.org";

/// Those of a site as it begins, for accounts of that domain.
fn rules_for(domain: &str, settings: Settings) -> Rules {
    let mut upstream = upstream(&settings);
    let domain = Domain::parse(domain).unwrap();
    upstream.domains = vec![DomainPattern::Exact(domain.clone())];
    upstream.default_domain = Some(domain);
    upstream.aliases = None;
    upstream.imap = Some(Endpoint {
        addresses: vec![],
        tls: EndpointTls::None,
        server_name: None,
        ca_file: None,
        pin_sha256: vec![],
    });
    Rules {
        directory: Arc::new(Directory::new(std::slice::from_ref(&upstream)).unwrap()),
        upstreams: vec![UpstreamRules::new(&upstream, None).unwrap()],
        ..rules(settings)
    }
}

async fn told(passage: &mut Passage) -> Option<Cause> {
    tokio::time::timeout(Duration::ZERO, passage.ended()).await.ok()
}

async fn enter(site: &Site, protocol: Protocol, name: &str) -> Box<Passage> {
    site.mailboxes.lock().unwrap().insert(name.to_owned(), MAILBOX.to_owned());
    match site.attempt(&origin(protocol, 1), name, MAILBOX, |login| site.upstream_says(&login)).await {
        Ended::In(passage) => passage,
        Ended::Out(refused) => panic!("{refused:?}"),
    }
}

#[tokio::test]
async fn sessions_end_where_their_account_no_longer_leads_to_their_upstream() {
    let site = Site::open().await;
    let mut passages = [enter(&site, Protocol::Imap, ALICE).await, enter(&site, Protocol::Imap, BOB).await];
    let mut pop3 = enter(&site, Protocol::Pop3, ALICE).await;
    // It speaks IMAP alone now.
    assert_eq!(site.gate.adopt(rules_for("example.org", Settings::default())), 1);
    assert_eq!(told(&mut pop3).await, Some(Cause::UpstreamWithdrawn));
    for passage in &mut passages {
        assert_eq!(told(passage).await, None);
    }
    assert_eq!(
        site.gate.adopt(rules_for("example.com", Settings::default())),
        3,
        "the POP3 client is still leaving"
    );
    for passage in &mut passages {
        assert_eq!(told(passage).await, Some(Cause::UpstreamWithdrawn));
    }
    assert_eq!(site.try_in(1, ALICE, MAILBOX).await.refusal(), Some(Refusal::NotLetIn));
}

#[tokio::test]
async fn whoever_was_asked_about_while_the_upstream_was_withdrawn_is_not_let_in() {
    let site = Site::open().await;
    site.account(ALICE).await;
    let origin = origin(Protocol::Imap, 1);
    let ended = site.attempt_slowly(&origin, ALICE, MAILBOX, async |login| {
        site.gate.adopt(rules_for("example.com", Settings::default()));
        site.upstream_says(&login)
    });
    assert_eq!(ended.await.refusal(), Some(Refusal::Unavailable), "its password was right");
    assert!(site.gate.gate.registry.all().is_empty());
    let reason = site.only_login()["reason"].as_str().unwrap().to_owned();
    assert!(reason.contains("upstream_withdrawn"), "{reason}");
}

/// Its domain leads there still.
#[tokio::test]
async fn nor_is_who_was_asked_about_over_a_protocol_that_the_upstream_speaks_no_more() {
    let site = Site::open().await;
    site.account(ALICE).await;
    let origin = origin(Protocol::Pop3, 1);
    let ended = site.attempt_slowly(&origin, ALICE, MAILBOX, async |login| {
        site.gate.adopt(rules_for("example.org", Settings::default()));
        site.upstream_says(&login)
    });
    assert_eq!(ended.await.refusal(), Some(Refusal::Unavailable));
}

#[tokio::test]
async fn a_factor_that_became_required_counts_for_whom_the_upstream_was_asked_about() {
    let site = Site::open().await;
    site.account(ALICE).await;
    let strict = || Settings { second_factor: overdue(), accounts: None, ..Settings::default() };
    let origin = origin(Protocol::Imap, 1);
    let ended = site.attempt_slowly(&origin, ALICE, MAILBOX, async |login| {
        site.gate.adopt(rules_for("example.org", strict()));
        site.upstream_says(&login)
    });
    assert_eq!(ended.await.refusal(), Some(Refusal::BindFirst));
}

#[tokio::test]
async fn charges_proofs_and_places_outlive_other_rules() {
    let site = Site::open().await;
    let (_, printed) = site.bound_with_app_password(BOB).await;
    site.mailboxes.lock().unwrap().insert(BOB.to_owned(), MAILBOX.to_owned());
    drop(enter_by(&site, BOB, &printed).await);
    assert_eq!(site.argon2_runs(), 1);
    site.account(ALICE).await;
    for number in 0..10 {
        let refused = site.try_in(2, ALICE, &format!("wrong {number}")).await.refusal();
        assert_eq!(refused, Some(Refusal::NotLetIn), "{number}");
    }
    let mut settings = Settings::default();
    settings.limits.per_account = Rate { burst: 11, per: Duration::from_secs(660) };
    settings.limits.sessions_per_account = 1;
    site.gate.adopt(rules_for("example.org", settings));
    assert_eq!(
        site.try_in(2, ALICE, "wrong again").await.refusal(),
        Some(Refusal::NotLetIn),
        "one more than before"
    );
    assert_eq!(site.try_in(2, ALICE, "and again").await.refusal(), Some(Refusal::TooManyFailures));
    let held = enter_by(&site, BOB, &printed).await;
    assert_eq!(site.argon2_runs(), 1, "the proof stands");
    assert_eq!(site.try_in(1, BOB, &printed).await.refusal(), Some(Refusal::Unavailable), "one session");
    drop(held);
    let mut settings = Settings::default();
    settings.limits.proof_cache = Duration::ZERO;
    site.gate.adopt(rules_for("example.org", settings));
    drop(enter_by(&site, BOB, &printed).await);
    assert_eq!(site.argon2_runs(), 2, "proofs are not kept any more");
}

/// A proof from when a master user logged in knows of no mailbox password.
#[tokio::test]
async fn who_got_in_by_the_master_user_gets_in_by_the_seal_afterwards() {
    let by_master = || Settings { credential: master(MasterStyle::Authzid), ..Settings::default() };
    let site = Site::open().await;
    let (_, printed) = site.bound_with_app_password(ALICE).await;
    site.mailboxes.lock().unwrap().insert("proxy".to_owned(), "master-secret".to_owned());
    site.gate.adopt(rules(by_master()));
    drop(enter_by(&site, ALICE, &printed).await);
    site.gate.adopt(rules(Settings::default()));
    for _ in 0..2 {
        drop(enter_by(&site, ALICE, &printed).await);
        assert_eq!(site.heard.lock().unwrap().last().unwrap().2, MAILBOX);
    }
    assert_eq!(site.argon2_runs(), 2, "the seal opens with the proof");
    site.gate.adopt(rules(by_master()));
    drop(enter_by(&site, ALICE, &printed).await);
    assert_eq!(site.argon2_runs(), 2, "and is of no use to a master user");

    let (_, printed) = site.bound_with_app_password(BOB).await;
    drop(enter_by(&site, BOB, &printed).await);
    site.gates_store.close().await;
    drop(enter_by(&site, BOB, &printed).await);
    site.gate.adopt(rules(Settings::default()));
    assert_eq!(
        site.try_in(1, BOB, &printed).await.refusal(),
        Some(Refusal::Unavailable),
        "whether one is sealed nobody can say"
    );
}

#[tokio::test]
async fn refusals_take_as_long_as_the_rules_of_the_moment_say() {
    let site = Site::open().await;
    let took = async || match site.try_in(1, ALICE, "wrong").await {
        Ended::Out(refused) => refused.not_before,
        Ended::In(_) => panic!("let in"),
    };
    assert_eq!(took().await, Duration::from_secs(3));
    let mut settings = Settings::default();
    settings.limits.failure_delay = Duration::from_secs(5);
    site.gate.adopt(rules_for("example.org", settings));
    assert_eq!(took().await, Duration::from_secs(5));
    // With an upstream that leads nowhere now, what it once took is forgotten; names that lead nowhere take the least.
    site.gate.adopt(rules_for("example.com", Settings::default()));
    assert_eq!(took().await, Duration::from_secs(3));
}

#[tokio::test]
async fn an_upstreams_budget_outlives_another_rate() {
    let budgeted = |burst| Settings {
        failures_in_all: Rate { burst, per: Duration::from_secs(600) },
        ..Settings::default()
    };
    let site = Site::with(budgeted(2)).await;
    site.account(ALICE).await;
    for number in 0..2 {
        site.try_in(1, ALICE, &format!("wrong {number}")).await;
    }
    assert_eq!(site.try_in(1, ALICE, "wrong 2").await.refusal(), Some(Refusal::Unavailable), "used up");
    assert_eq!(site.asked(), 2);
    site.gate.adopt(rules_for("example.org", budgeted(2)));
    site.try_in(1, ALICE, "wrong 3").await;
    assert_eq!(site.asked(), 2, "the same rate changes nothing");
    site.gate.adopt(rules_for("example.org", budgeted(1)));
    site.try_in(1, ALICE, "wrong 4").await;
    assert_eq!(site.asked(), 2, "nor does a lower one");
}

#[tokio::test]
async fn an_upstream_sees_no_more_failures_than_the_rate_of_the_moment_allows() {
    let budgeted = |burst| Settings {
        failures_in_all: Rate { burst, per: Duration::from_secs(600) },
        ..Settings::default()
    };
    let site = Site::with(budgeted(2)).await;
    site.account(ALICE).await;
    site.try_in(1, ALICE, "wrong").await;
    site.gate.adopt(rules_for("example.org", budgeted(1)));
    assert_eq!(site.try_in(1, ALICE, "wrong again").await.refusal(), Some(Refusal::Unavailable));
    assert_eq!(site.asked(), 1);
}

async fn enter_by(site: &Site, name: &str, password: &str) -> Box<Passage> {
    match site.try_in(1, name, password).await {
        Ended::In(passage) => passage,
        Ended::Out(refused) => panic!("{refused:?}"),
    }
}

#[tokio::test]
async fn whoever_was_connected_before_is_not_judged_by_other_rules_and_pays_nothing() {
    let mut settings = Settings::default();
    settings.limits.per_account = Rate { burst: 1, per: Duration::from_secs(600) };
    let site = Site::with(settings).await;
    let (_, printed) = site.bound_with_app_password(BOB).await;
    let before = Origin { reading: site.gate.reading(), ..origin(Protocol::Imap, 1) };
    let mut settings = Settings::default();
    settings.limits.per_account = Rate { burst: 1, per: Duration::from_secs(600) };
    site.gate.adopt(rules_for("example.org", settings));
    for (name, password) in [(BOB, printed.as_str()), (BOB, "wrong"), (BOB, "wrong too"), (ALICE, MAILBOX)] {
        match site.gate.judge(&before, credentials(name, password)).await {
            Decision::Refuse(refused) => assert_eq!(refused.refusal, Refusal::Unavailable),
            Decision::Admit(_) => panic!("{name} was let on"),
        }
    }
    assert_eq!((site.asked(), site.argon2_runs()), (0, 0));
    assert_eq!(site.records("login")[0]["outcome"], "unavailable");
    site.mailboxes.lock().unwrap().insert(BOB.to_owned(), MAILBOX.to_owned());
    assert!(
        site.try_in(1, BOB, "wrong").await.refusal() == Some(Refusal::NotLetIn),
        "it may still fail once"
    );
    assert!(site.records("mailbox_password_stale").is_empty());
}

#[tokio::test]
async fn other_rules_hold_at_once_while_the_database_says_nothing() {
    let site = Site::open().await;
    let _hanging = site.gate.gate.ear.lock().await;
    site.gate.adopt(rules_for("example.com", Settings::default()));
    assert_eq!(site.try_in(1, ALICE, MAILBOX).await.refusal(), Some(Refusal::NotLetIn));
}
