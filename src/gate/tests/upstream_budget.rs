//! What an upstream may see of failures: never more, whoever guesses, and never at the cost of those who are known.

use std::collections::VecDeque;

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
