//! What an upstream may see of failures: never more, whoever guesses, and never at the cost of those who are known.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

const BOB: &str = "bob@example.org";

/// For an upstream that bans after five failures in a minute.
const ONE_A_MINUTE: Rate = Rate { burst: 1, per: Duration::from_secs(60) };

fn budgeted(failures_in_all: Rate) -> Settings {
    Settings { failures_in_all, ..Settings::default() }
}

fn refused(ended: &Ended) -> Refused {
    match ended {
        Ended::Out(refused) => *refused,
        Ended::In(_) => panic!("let in"),
    }
}

/// An upstream that remembers its refusals of the last minute.
struct Strict<'a> {
    site: &'a Site,
    failures: VecDeque<Timestamp>,
    most: usize,
}

impl Strict<'_> {
    fn says(&mut self, login: &UpstreamLogin) -> UpstreamSaid {
        let said = self.site.upstream_says(login);
        if matches!(said, UpstreamSaid::No) {
            let now = self.site.clock.now();
            self.failures.push_back(now);
            self.failures.retain(|at| now.since(*at) < Duration::from_secs(60));
            self.most = self.most.max(self.failures.len());
        }
        said
    }
}

#[tokio::test]
async fn an_upstream_that_bans_after_five_failures_a_minute_never_bans_and_the_good_get_in() {
    let site = Site::with(budgeted(ONE_A_MINUTE)).await;
    let (_, printed) = site.bound_with_app_password(ALICE).await;
    site.mailboxes.lock().unwrap().insert(BOB.to_owned(), "bobs".to_owned());
    assert!(site.try_in(1, BOB, "bobs").await.is_in(), "he was here before");
    let mut upstream = Strict { site: &site, failures: VecDeque::new(), most: 0 };
    for second in 0..600_u32 {
        let host = u8::try_from(second % 200).unwrap();
        let victim = format!("victim{}@example.org", second % 150);
        let from = origin(Protocol::Imap, host);
        site.attempt(&from, &victim, &format!("guess {second}"), |login| upstream.says(&login)).await;
        if second % 5 == 0 {
            for (name, password) in [(ALICE, printed.as_str()), (BOB, "bobs")] {
                let good = site.attempt(&from, name, password, |login| upstream.says(&login)).await;
                assert!(good.is_in(), "{name} in second {second}: {:?}", good.refusal());
            }
        }
        site.clock.advance(Duration::from_secs(1));
    }
    assert!((1..5).contains(&upstream.most), "{} failures in a minute", upstream.most);
}

#[tokio::test]
async fn over_the_budget_nobody_can_tell_who_would_have_been_asked_about() {
    let site = Site::with(budgeted(ONE_A_MINUTE)).await;
    let (_, printed) = site.bound_with_app_password(ALICE).await;
    assert_eq!(site.try_in(1, BOB, "wrong").await.refusal(), Some(Refusal::NotLetIn), "the one failure");
    let asked = site.asked();
    let unbound = refused(&site.try_in(1, BOB, "another").await);
    assert_eq!(unbound.refusal, Refusal::Unavailable);
    for (name, password) in [
        (ALICE, MAILBOX),
        (ALICE, "aaaabbbbccccdddd"),
        (ALICE, with_same_label(&printed).as_str()),
        ("nobody@example.org", "any"),
    ] {
        assert_eq!(refused(&site.try_in(1, name, password).await), unbound, "{name} {password}");
    }
    assert_eq!(site.asked(), asked);
    assert!(site.try_in(1, ALICE, &printed).await.is_in());
    site.clock.advance(Duration::from_secs(60));
    assert_eq!(site.try_in(1, BOB, "a third").await.refusal(), Some(Refusal::NotLetIn));
}

/// Else, near the edge, a failure that was sent would turn the next away, and one that was not would not.
#[tokio::test]
async fn a_budget_that_was_used_up_is_whole_before_anybody_is_asked_about_again() {
    let site = Site::with(budgeted(Rate { burst: 3, per: Duration::from_secs(180) })).await;
    for number in 0..4 {
        site.try_in(1, BOB, &format!("guess {number}")).await;
    }
    for minute in 1..3 {
        site.clock.advance(Duration::from_secs(60));
        let heard = site.try_in(1, BOB, "another").await.refusal();
        assert_eq!(heard, Some(Refusal::Unavailable), "minute {minute}");
    }
    site.clock.advance(Duration::from_secs(60));
    assert_eq!(site.try_in(1, BOB, "another").await.refusal(), Some(Refusal::NotLetIn));
}

#[tokio::test]
async fn an_accounts_budget_is_used_up_alike_whether_the_upstream_is_asked_or_not() {
    let mut heard = Vec::new();
    for name in [ALICE, BOB, "listed-nowhere@example.org"] {
        let failures_per_account = Rate { burst: 3, per: Duration::from_secs(300) };
        let site = Site::with(Settings { failures_per_account, ..Settings::default() }).await;
        let account = site.account(ALICE).await;
        site.bind_factor(&account).await;
        let mut answers = Vec::new();
        for number in 0..12 {
            answers.push(refused(&site.try_in(1, name, &format!("guess {number}")).await));
            site.clock.advance(Duration::from_secs(30));
        }
        assert_eq!(answers[3].refusal, Refusal::Unavailable);
        assert!(site.asked() <= 6);
        heard.push(answers);
    }
    assert!(heard.iter().all(|answers| *answers == heard[0]), "{heard:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn success_costs_nothing_and_many_at_once_wait_for_each_other() {
    let site = Arc::new(Site::with(budgeted(Rate { burst: 2, per: Duration::from_secs(6000) })).await);
    let mut logins = tokio::task::JoinSet::new();
    for number in 0..50 {
        let (site, name) = (Arc::clone(&site), format!("user{number}@example.org"));
        site.mailboxes.lock().unwrap().insert(name.clone(), MAILBOX.to_owned());
        logins.spawn(async move {
            let slowly = async |login: UpstreamLogin| {
                tokio::time::sleep(Duration::from_millis(5)).await;
                site.upstream_says(&login)
            };
            site.attempt_slowly(&origin(Protocol::Imap, number), &name, MAILBOX, slowly).await.refusal()
        });
    }
    let heard = logins.join_all().await;
    assert!(heard.iter().all(Option::is_none), "{heard:?}");
}

#[tokio::test]
async fn a_guess_whose_answer_nobody_waited_for_is_a_failure_too() {
    for leaves in [true, false] {
        let site = Site::with(budgeted(Rate { burst: 3, per: Duration::from_secs(6000) })).await;
        for number in 0..3 {
            let from = origin(Protocol::Imap, 1);
            let guess = credentials(BOB, &format!("guess {number}"));
            let Decision::Admit(mut grant) = site.gate.judge(&from, guess).await else { panic!("refused") };
            let _ = grant.take_login();
            let gone = UpstreamSaid::Unavailable {
                refusal: Refusal::Unavailable,
                reason: "no answer in time".to_owned(),
                credential_sent: true,
                concerns: Concerns::Everybody,
            };
            if leaves {
                drop(grant);
            } else {
                assert!(matches!(site.gate.conclude(grant, gone).await, Conclusion::Refuse(_)));
            }
        }
        let asked = site.asked();
        assert_eq!(site.try_in(1, BOB, "fourth").await.refusal(), Some(Refusal::Unavailable));
        assert_eq!(site.asked(), asked, "it was not sent");
    }
}

#[tokio::test]
async fn a_right_password_cannot_be_used_to_take_the_places_of_the_trusted() {
    let site = Site::with(budgeted(ONE_A_MINUTE)).await;
    assert!(site.try_in(1, ALICE, MAILBOX).await.is_in());
    for _ in 0..20 {
        let from = origin(Protocol::Imap, 1);
        let Decision::Admit(mut grant) = site.gate.judge(&from, credentials(ALICE, MAILBOX)).await else {
            panic!("refused")
        };
        let _ = grant.take_login();
        drop(grant);
    }
    assert!(site.try_in(1, ALICE, MAILBOX).await.is_in());
}

#[tokio::test]
async fn a_master_password_that_is_refused_is_not_sent_again_and_again() {
    let credential = master(MasterStyle::Authzid);
    let site = Site::with(Settings { credential, ..budgeted(Rate { burst: 2, ..ONE_A_MINUTE }) }).await;
    let (_, printed) = site.bound_with_app_password(ALICE).await;
    for _ in 0..20 {
        assert_eq!(site.try_in(1, ALICE, &printed).await.refusal(), Some(Refusal::Unavailable));
    }
    assert_eq!(site.asked(), 2);
    site.clock.advance(Duration::from_secs(60));
    site.mailboxes.lock().unwrap().insert("proxy".to_owned(), "master-secret".to_owned());
    assert!(site.try_in(1, ALICE, &printed).await.is_in());
}

#[tokio::test]
async fn stale_devices_leave_half_of_an_accounts_budget_to_new_passwords() {
    let failures_per_account = Rate { burst: 6, per: Duration::from_secs(3600) };
    let site = Site::with(Settings { failures_per_account, ..Settings::default() }).await;
    for _ in 0..100 {
        for device in ["old phone", "old laptop"] {
            site.try_in(1, ALICE, device).await;
        }
        site.clock.advance(Duration::from_secs(61));
    }
    assert!(site.asked() > 2, "they are asked about again");
    assert!(site.try_in(1, ALICE, MAILBOX).await.is_in(), "the new password, for the first time");
}

/// How many are under way at once, at most, of those that ask this upstream.
#[derive(Default)]
struct Slow {
    now: AtomicUsize,
    most: AtomicUsize,
    /// Nobody is answered before so many are there, where that is not 0.
    meet: usize,
}

impl Slow {
    async fn says(&self, site: &Site, login: UpstreamLogin) -> UpstreamSaid {
        self.most.fetch_max(self.now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        let together = async {
            while self.meet == 0 || self.most.load(Ordering::SeqCst) < self.meet {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let patience = Duration::from_millis(if self.meet == 0 { 100 } else { 60_000 });
        let _ = tokio::time::timeout(patience, together).await;
        self.now.fetch_sub(1, Ordering::SeqCst);
        site.upstream_says(&login)
    }
}

/// What each of them heard that came at once, and how many were under way at once.
async fn at_once(site: &Arc<Site>, logins: Vec<(&str, &str)>) -> (Vec<Option<Refusal>>, usize) {
    meeting(site, logins, 0).await
}

/// The same, where the upstream answers nobody before `meet` are there.
async fn meeting(site: &Arc<Site>, logins: Vec<(&str, &str)>, meet: usize) -> (Vec<Option<Refusal>>, usize) {
    let slow = Arc::new(Slow { meet, ..Slow::default() });
    let mut under_way = tokio::task::JoinSet::new();
    for (name, password) in logins {
        let (site, slow) = (Arc::clone(site), Arc::clone(&slow));
        let (name, password) = (name.to_owned(), password.to_owned());
        under_way.spawn(async move {
            let upstream = async |login: UpstreamLogin| slow.says(&site, login).await;
            site.attempt_slowly(&origin(Protocol::Imap, 1), &name, &password, upstream).await.refusal()
        });
    }
    (under_way.join_all().await, slow.most.load(Ordering::SeqCst))
}

fn strict_for_an_account(burst: u32) -> Settings {
    let failures_per_account = Rate { burst, per: Duration::from_secs(6000) };
    Settings { failures_per_account, ..Settings::default() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_connections_with_one_changed_password_behind_them_are_no_more_failures_than_may_be() {
    for burst in [1, 3] {
        let site = Arc::new(Site::with(strict_for_an_account(burst)).await);
        let (_, printed) = site.bound_with_app_password(ALICE).await;
        assert!(site.try_in(1, ALICE, &printed).await.is_in(), "its proof is remembered");
        site.mailboxes.lock().unwrap().insert(ALICE.to_owned(), "changed".to_owned());
        let asked = site.asked();
        let (heard, _) = at_once(&site, vec![(ALICE, printed.as_str()); 10]).await;
        let sent = site.asked() - asked;
        assert!((1..=burst as usize).contains(&sent), "{sent} of {burst}");
        for heard in heard {
            assert!(matches!(heard, Some(Refusal::Stale | Refusal::Unavailable)), "{heard:?}");
        }
    }
}

/// The mark of the first no is read by those who waited for their place.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_refused_while_others_waited_for_their_place_is_not_sent_by_them() {
    let site = Arc::new(Site::with(strict_for_an_account(3)).await);
    let (account, first) = site.bound_with_app_password(ALICE).await;
    let second = site.app_password(&account, anywhere()).await;
    for printed in [&first, &second] {
        assert!(site.try_in(1, ALICE, printed).await.is_in(), "its proof is remembered");
    }
    site.mailboxes.lock().unwrap().insert(ALICE.to_owned(), "changed".to_owned());
    let asked = site.asked();
    // Two places are in the hands of somebody who gives one back when the third is charged.
    let legacy = UpstreamName("legacy".to_owned());
    let hold = async || site.gate.gate.budgets.trusted(&legacy, ALICE).await;
    let (_kept, given_back) = (hold().await, hold().await);
    let logins = at_once(&site, vec![(ALICE, first.as_str()), (ALICE, second.as_str())]);
    let give_back = async {
        while site.records("login").len() < 3 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        drop(given_back);
    };
    let ((heard, _), ()) = tokio::join!(logins, give_back);
    assert_eq!((heard, site.asked() - asked), (vec![Some(Refusal::Stale); 2], 1));
}

/// It may have been sealed anew because the upstream no longer takes what was sealed before.
#[tokio::test]
async fn an_app_password_that_was_changed_while_it_waited_for_its_place_sends_nothing() {
    let site = Site::with(strict_for_an_account(1)).await;
    let (account, printed) = site.bound_with_app_password(ALICE).await;
    assert!(site.try_in(1, ALICE, &printed).await.is_in(), "its proof is remembered");
    let (asked, found) = (site.asked(), || site.gate.meters().proofs_found.so_far());
    let held = site.gate.gate.budgets.trusted(&UpstreamName("legacy".to_owned()), ALICE).await;
    let found_before = found();
    let change = async {
        // From there it does not rest until it waits for its place.
        while found() == found_before {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        site.mailboxes.lock().unwrap().insert(ALICE.to_owned(), "changed".to_owned());
        site.reseal(&account, "changed").await;
        drop(held);
    };
    let (ended, ()) = tokio::join!(site.try_in(1, ALICE, &printed), change);
    assert_eq!((ended.refusal(), site.asked() - asked), (Some(Refusal::Unavailable), 0));
    assert!(site.try_in(1, ALICE, &printed).await.is_in(), "with what is sealed now");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mailbox_password_that_was_right_lately_is_no_more_failures_than_may_be_either() {
    let site = Arc::new(Site::with(strict_for_an_account(1)).await);
    assert!(site.try_in(1, ALICE, MAILBOX).await.is_in());
    site.mailboxes.lock().unwrap().insert(ALICE.to_owned(), "changed".to_owned());
    let asked = site.asked();
    let (heard, _) = at_once(&site, vec![(ALICE, MAILBOX); 10]).await;
    assert_eq!(site.asked() - asked, 1);
    assert!(heard.iter().all(Option::is_some), "{heard:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn good_logins_do_not_wait_for_each_other() {
    // As it is by default, ten of one account; and of all only one may fail.
    let failures_per_account = Rate { burst: 10, per: Duration::from_secs(600) };
    let site = Site::with(Settings { failures_per_account, ..budgeted(ONE_A_MINUTE) }).await;
    let site = Arc::new(site);
    let (_, printed) = site.bound_with_app_password(ALICE).await;
    site.mailboxes.lock().unwrap().insert(BOB.to_owned(), "bobs".to_owned());
    for (name, password) in [(ALICE, printed.as_str()), (BOB, "bobs")] {
        assert!(site.try_in(1, name, password).await.is_in());
    }
    let mut logins = vec![(ALICE, printed.as_str()); 10];
    logins.extend([(BOB, "bobs"); 10]);
    let (heard, most) = meeting(&site, logins, 20).await;
    assert!(heard.iter().all(Option::is_none), "{heard:?}");
    assert_eq!(most, 20, "at once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_right_ones_wait_for_their_place_and_all_get_in() {
    let site = Arc::new(Site::with(strict_for_an_account(1)).await);
    let (_, printed) = site.bound_with_app_password(ALICE).await;
    let (heard, most) = at_once(&site, vec![(ALICE, printed.as_str()); 10]).await;
    assert!(heard.iter().all(Option::is_none), "{heard:?}");
    assert_eq!(most, 1);
}

/// It says goodbye, hangs up or falls silent where others say no.
#[tokio::test]
async fn a_proven_password_that_is_never_answered_is_not_sent_again_and_again() {
    for concerns in [Concerns::Everybody, Concerns::Mailbox, Concerns::Client] {
        let site = Site::with(strict_for_an_account(2)).await;
        let (_, printed) = site.bound_with_app_password(ALICE).await;
        site.mailboxes.lock().unwrap().insert(BOB.to_owned(), "bobs".to_owned());
        assert!(site.try_in(1, BOB, "bobs").await.is_in(), "right lately");
        for (name, password) in [(ALICE, printed.as_str()), (BOB, "bobs")] {
            let sent = AtomicUsize::new(0);
            for _ in 0..20 {
                let goodbye = |_| {
                    sent.fetch_add(1, Ordering::SeqCst);
                    UpstreamSaid::Unavailable {
                        refusal: Refusal::Unavailable,
                        reason: "it said `* BYE`".to_owned(),
                        credential_sent: true,
                        concerns,
                    }
                };
                let ended = site.attempt(&origin(Protocol::Imap, 1), name, password, goodbye).await;
                assert_eq!(ended.refusal(), Some(Refusal::Unavailable));
            }
            // A client that leaves too little time could else use up the places of all.
            let expected = if concerns == Concerns::Client { 20 } else { 2 };
            assert_eq!(sent.load(Ordering::SeqCst), expected, "{name} {concerns:?}");
        }
    }
}
