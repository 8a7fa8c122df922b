//! Guessers, many at once, and the owners whom they must not lock out.

use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::task::JoinSet;

use super::*;

async fn said_slowly(said: UpstreamSaid) -> UpstreamSaid {
    tokio::time::sleep(Duration::from_millis(5)).await;
    said
}

fn guess(number: u8) -> String {
    format!("guess {number}")
}

/// 200 at once, from `hosts` networks; how many reached the upstream, and how many heard each refusal.
async fn parallel(site: &Arc<Site>, hosts: u8, password: fn(u8) -> String) -> (usize, Vec<Option<Refusal>>) {
    let mut attempts = JoinSet::new();
    for number in 0..200_u8 {
        let site = Arc::clone(site);
        attempts.spawn(async move {
            let origin = origin(Protocol::Imap, number % hosts);
            let upstream = async |login: UpstreamLogin| said_slowly(site.upstream_says(&login)).await;
            site.attempt_slowly(&origin, ALICE, &password(number), upstream).await.refusal()
        });
    }
    let heard = attempts.join_all().await;
    (site.asked(), heard)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_wrong_logins_at_once_cost_ten_verifications() {
    for hosts in [1, 100] {
        let site = Arc::new(Site::open().await);
        let (asked, heard) = parallel(&site, hosts, guess).await;
        assert_eq!(asked, 10, "from {hosts} networks");
        let limited = heard.iter().filter(|heard| **heard == Some(Refusal::TooManyFailures)).count();
        assert_eq!(limited, 190);
        site.gate.record_refusals(false).await;
        let sums = site.records("refused_logins");
        let counted: u64 = sums.iter().map(|sum| sum["count"].as_u64().unwrap()).sum();
        assert_eq!(site.records("login").len() as u64 + counted, 200, "each is recorded or counted");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_right_logins_at_once_wait_for_each_other_and_all_get_in() {
    let mut settings = Settings::default();
    settings.limits.sessions_per_account = 200;
    let site = Arc::new(Site::with(settings).await);
    let (asked, heard) = parallel(&site, 100, |_| MAILBOX.to_owned()).await;
    assert_eq!(asked, 200);
    assert!(heard.iter().all(Option::is_none), "{heard:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_wrong_app_passwords_at_once_cost_ten_argon2_runs() {
    let site = Arc::new(Site::open().await);
    let (account, printed) = site.bound_with_app_password(ALICE).await;
    let mut attempts = JoinSet::new();
    for wrong in site.wrong_app_passwords(&account, &printed, 200).await {
        let site = Arc::clone(&site);
        attempts.spawn(async move { site.try_in(1, ALICE, &wrong).await.refusal() });
    }
    attempts.join_all().await;
    assert_eq!((site.argon2_runs(), site.asked()), (10, 0));
    assert!(site.try_in(2, ALICE, &printed).await.is_in(), "another network has its own count");
}

#[tokio::test]
async fn the_owner_logs_in_during_an_attack_on_the_account() {
    let site = Site::open().await;
    assert!(site.try_in(1, ALICE, MAILBOX).await.is_in());
    for host in 10..30 {
        site.try_in(host, ALICE, &guess(host)).await;
    }
    assert_eq!(site.try_in(30, ALICE, "another").await.refusal(), Some(Refusal::TooManyFailures));
    assert!(site.try_in(1, ALICE, MAILBOX).await.is_in());
}

#[tokio::test]
async fn a_guesser_does_not_stand_in_the_way_of_an_app_password() {
    let site = Site::open().await;
    let (_, printed) = site.bound_with_app_password(ALICE).await;
    for number in 0..30 {
        site.try_in(1, ALICE, &guess(number)).await;
    }
    assert_eq!(site.try_in(1, ALICE, MAILBOX).await.refusal(), Some(Refusal::TooManyFailures));
    assert!(site.try_in(1, ALICE, &printed).await.is_in(), "the same network, the same account");
}

#[tokio::test]
async fn accounts_that_do_not_exist_are_limited_like_those_that_do() {
    let site = Site::with(Settings { accounts: Some(AccountAdmission::Listed), ..Settings::default() }).await;
    site.account(ALICE).await;
    for name in [ALICE, "nobody@example.org", "nobody@elsewhere.org"] {
        let mut heard = Vec::new();
        for host in 0..12 {
            heard.push(site.try_in(host, name, "wrong").await.refusal().unwrap());
        }
        let mut expected = vec![Refusal::NotLetIn; 10];
        expected.extend([Refusal::TooManyFailures; 2]);
        assert_eq!(heard, expected, "{name}");
        site.clock.advance(Duration::from_secs(600));
    }
}

#[tokio::test]
async fn nobody_waits_longer_than_half_of_the_time_before_login() {
    let mut settings = Settings::default();
    settings.limits.per_account = Rate { burst: 1, per: Duration::from_secs(600) };
    settings.limits.auth_deadline = Duration::from_millis(200);
    let site = Site::with(settings).await;
    let Decision::Admit(grant) =
        site.gate.judge(&origin(Protocol::Imap, 1), credentials(ALICE, MAILBOX)).await
    else {
        panic!("refused")
    };
    let began = tokio::time::Instant::now();
    assert_eq!(site.try_in(2, ALICE, MAILBOX).await.refusal(), Some(Refusal::Unavailable));
    assert!(began.elapsed() >= Duration::from_millis(100));
    drop(grant);
    assert!(site.try_in(2, ALICE, MAILBOX).await.is_in());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn those_who_wait_are_judged_by_what_holds_when_their_turn_comes() {
    let mut settings = Settings::default();
    settings.limits.per_account = Rate { burst: 1, per: Duration::from_secs(600) };
    let site = Arc::new(Site::with(settings).await);
    let account = site.account(ALICE).await;
    let Decision::Admit(grant) =
        site.gate.judge(&origin(Protocol::Imap, 1), credentials(ALICE, MAILBOX)).await
    else {
        panic!("refused")
    };
    let asked = Arc::new(AtomicUsize::new(0));
    let second = {
        let (site, asked) = (Arc::clone(&site), Arc::clone(&asked));
        tokio::spawn(async move {
            let upstream = |_| {
                asked.fetch_add(1, Ordering::SeqCst);
                UpstreamSaid::Yes
            };
            site.attempt(&origin(Protocol::Imap, 2), ALICE, MAILBOX, upstream).await.refusal()
        })
    };
    tokio::time::sleep(Duration::from_millis(50)).await;
    site.bind_factor(&account).await;
    drop(grant);
    assert_eq!(second.await.unwrap(), Some(Refusal::NotLetIn));
    assert_eq!(asked.load(Ordering::SeqCst), 0, "the mailbox password is not sent upstream any more");
}

/// Else one guess would tell a label, or an account that somebody uses here, from one that is not there.
#[tokio::test]
async fn who_is_judged_alone_is_refused_like_everybody_in_a_network_without_room() {
    let site = Site::open().await;
    let (_, printed) = site.bound_with_app_password(ALICE).await;
    assert!(site.try_in(1, ALICE, &printed).await.is_in(), "a known pair from now on");
    for number in 0..20 {
        site.try_in(1, &format!("nobody{number}@example.org"), "wrong").await;
    }
    let Ended::Out(stranger) = site.try_in(1, "nobody@example.org", "wrong").await else { panic!("let in") };
    assert_eq!(stranger.refusal, Refusal::TooManyFailures);
    for wrong in [MAILBOX, "aaaabbbbccccdddd", &with_same_label(&printed)] {
        let Ended::Out(known) = site.try_in(1, ALICE, wrong).await else { panic!("let in") };
        assert_eq!(known, stranger);
    }
    assert_eq!(
        site.records("login").pop().unwrap()["reason"],
        "wrong app password",
        "the trail has the truth"
    );
    assert!(site.try_in(1, ALICE, &printed).await.is_in());
}
