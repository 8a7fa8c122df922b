//! Argon2 is made to cost something. Whoever does not know a label must not make the gate pay for it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use tokio::time::{MissedTickBehavior, interval};

use super::*;

/// Bad logins in a second.
const RATE: u64 = 1000;

/// Good logins that are timed, one after another.
const GOOD: usize = 300;

/// What a machine does besides.
const ROOM: Duration = Duration::from_millis(20);

/// The time that the slowest of a hundred takes, for logins that need argon2.
async fn p99(site: &Site, passwords: &[String]) -> Duration {
    let mut times = Vec::new();
    for number in 0..GOOD {
        let begun = Instant::now();
        let ended = site.try_in(1, ALICE, &passwords[number % passwords.len()]).await;
        assert!(ended.is_in(), "{:?}", ended.refusal());
        times.push(begun.elapsed());
    }
    times.sort();
    times[GOOD * 99 / 100]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[expect(clippy::print_stdout, reason = "it tells what was measured")]
async fn a_thousand_bad_logins_a_second_leave_good_ones_within_twice_their_time() {
    let mut settings = Settings::default();
    settings.limits.proof_cache = Duration::ZERO;
    let site = Arc::new(Site::with(settings).await);
    let (account, first) = site.bound_with_app_password(ALICE).await;
    let passwords = [first, site.app_password(&account, anywhere()).await];

    let alone = p99(&site, &passwords).await;
    let over = Arc::new(AtomicBool::new(false));
    let labels = passwords.each_ref().map(|printed| printed[..4].to_owned());
    let attack = tokio::spawn(attack(Arc::clone(&site), labels, Arc::clone(&over)));
    let runs_before = site.argon2_runs();
    let attacked = p99(&site, &passwords).await;
    over.store(true, Ordering::Relaxed);
    let bad = attack.await.unwrap();

    println!("p99 of good logins: {alone:?} alone, {attacked:?} beside {bad} bad ones");
    assert!(bad > RATE, "the attack came about");
    assert_eq!(site.argon2_runs() - runs_before, GOOD, "none for a label that no row has");
    assert!(attacked < alone * 2 + ROOM, "{attacked:?} instead of {alone:?}");
}

/// Passwords in the form of app passwords with other labels than these, from ever new networks, for names that exist and
/// names that do not.
async fn attack(site: Arc<Site>, labels: [String; 2], over: Arc<AtomicBool>) -> u64 {
    let mut ticks = interval(Duration::from_millis(10));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut bad = 0_u64;
    while !over.load(Ordering::Relaxed) {
        ticks.tick().await;
        for _ in 0..RATE / 100 {
            bad += 1;
            let [high, low] = u16::try_from(bad % 60_000).unwrap().to_be_bytes();
            let name = if bad.is_multiple_of(2) { ALICE } else { "nobody@example.org" };
            let label = format!("{:04}", bad % 10_000).replace(['0', '1'], "z");
            if labels.contains(&label) {
                continue;
            }
            let password = label + " aaaa bbbb cccc";
            let site = Arc::clone(&site);
            let from =
                Origin { client: ClientAddress::new([10, 0, high, low].into()), ..origin(Protocol::Imap, 0) };
            tokio::spawn(async move {
                let upstream = async |login: UpstreamLogin| site.upstream_says(&login);
                assert!(!site.attempt_slowly(&from, name, &password, upstream).await.is_in());
            });
        }
    }
    bad
}

/// It lets nobody in and counts for nothing: it must not cost argon2 each time either.
#[tokio::test]
async fn whoever_holds_an_app_password_that_lets_nobody_in_cannot_make_the_gate_work() {
    for suspended in [true, false] {
        let site = Site::open().await;
        let account = site.account(ALICE).await;
        let expires_at = Some(site.clock.now().plus(DAY));
        let printed = site.app_password(&account, Scope { expires_at, ..anywhere() }).await;
        assert!(site.try_in(1, ALICE, &printed).await.is_in());
        let expected = if suspended {
            site.suspend(&account).await;
            Refusal::Suspended
        } else {
            site.clock.advance(DAY);
            Refusal::Expired
        };
        let before = site.argon2_runs();
        for number in 0..30_usize {
            let mut spelling = printed.clone();
            spelling.insert(number % printed.len(), '-');
            let spelling = if number % 2 == 0 { spelling.to_uppercase() } else { spelling };
            assert_eq!(site.try_in(1, ALICE, &spelling).await.refusal(), Some(expected));
        }
        assert!(site.argon2_runs() - before <= 1, "{} for {expected:?}", site.argon2_runs() - before);
        site.gates_store.close().await;
        let alone = site.try_in(1, ALICE, &printed).await.refusal();
        assert_eq!(alone, Some(Refusal::Unavailable), "nor does it stand without the database");
    }
}

#[tokio::test]
async fn an_account_that_is_resumed_lets_in_at_once_with_what_was_barred() {
    let site = Site::open().await;
    let (account, printed) = site.bound_with_app_password(ALICE).await;
    site.suspend(&account).await;
    for _ in 0..3 {
        assert_eq!(site.try_in(1, ALICE, &printed).await.refusal(), Some(Refusal::Suspended));
    }
    assert!(site.store.set_account_state(account.id, AccountState::Active).await.unwrap());
    assert!(site.try_in(1, ALICE, &printed).await.is_in());
    assert_eq!(site.heard.lock().unwrap().last().unwrap().2, MAILBOX);
}
