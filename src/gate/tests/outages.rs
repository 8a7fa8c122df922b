//! While the upstream cannot be asked nobody is told that a password is wrong, and nobody can tell whom it was asked
//! about.

use super::*;

const BOB: &str = "bob@example.org";
const NOBODY: &str = "nobody@example.org";
const MINUTE: Duration = Duration::from_secs(60);

fn refused(ended: &Ended) -> Refused {
    match ended {
        Ended::Out(refused) => *refused,
        Ended::In(_) => panic!("let in"),
    }
}

fn said(concerns: Concerns) -> UpstreamSaid {
    UpstreamSaid::Unavailable {
        refusal: Refusal::Unavailable,
        reason: "not now".to_owned(),
        credential_sent: true,
        concerns,
    }
}

#[tokio::test]
async fn while_the_upstream_is_away_no_unproven_attempt_is_told_that_it_is_wrong() {
    let site = Site::open().await;
    let (_, printed) = site.bound_with_app_password(ALICE).await;
    let bob = "bob@example.org";
    let unbound = site.attempt(&origin(Protocol::Imap, 1), bob, "any", |_| unavailable(false)).await;
    let Ended::Out(unbound) = unbound else { panic!("let in") };
    for wrong in [MAILBOX, "aaaabbbbccccdddd", &with_same_label(&printed)] {
        let Ended::Out(bound) = site.try_in(1, ALICE, wrong).await else { panic!("let in") };
        assert_eq!(bound, unbound, "a bound account looks like an unbound one");
    }
    assert!(site.try_in(1, ALICE, &printed).await.is_in(), "the upstream is back, as the gate hears by this");
    assert_eq!(site.try_in(1, ALICE, MAILBOX).await.refusal(), Some(Refusal::NotLetIn));
}

#[tokio::test]
async fn an_outage_that_takes_time_to_show_takes_the_same_time_for_all() {
    let site = Site::open().await;
    let account = site.account(ALICE).await;
    site.bind_factor(&account).await;
    let took = Duration::from_secs(5);
    let silent = |_| {
        site.clock.advance(took);
        unavailable(false)
    };
    let unbound = site.attempt(&origin(Protocol::Imap, 1), "bob@example.org", "any", silent).await;
    let (Ended::Out(unbound), Ended::Out(bound)) = (unbound, site.try_in(1, ALICE, MAILBOX).await) else {
        panic!("let in")
    };
    assert_eq!(bound, unbound);
    assert!(bound.not_before > took, "with room for what the gate itself adds");
}

/// Alice is bound, Bob is not, and the third is not there; what they hear during an outage, one try after another.
async fn during_an_outage(name: &str, sent: bool, upstream_is_back: bool, tries: u32) -> Vec<Refused> {
    let site = Site::open().await;
    let account = site.account(ALICE).await;
    site.bind_factor(&account).await;
    site.account(BOB).await;
    site.attempt(&origin(Protocol::Imap, 9), "carol@example.org", "any", |_| unavailable(sent)).await;
    let mut answers = Vec::new();
    for number in 0..tries {
        let upstream = |login| if upstream_is_back { site.upstream_says(&login) } else { unavailable(sent) };
        let from = origin(Protocol::Imap, 1);
        answers.push(refused(&site.attempt(&from, name, &format!("guess {number}"), upstream).await));
    }
    site.clock.advance(MINUTE);
    answers.push(refused(&site.try_in(2, name, "the last").await));
    answers
}

#[tokio::test]
async fn an_outage_is_remembered_alike_whether_the_upstream_is_asked_or_not_and_says_no_again_or_not() {
    for (sent, back, tries) in [(true, true, 15), (true, false, 15), (false, false, 15), (false, true, 9)] {
        let bound = during_an_outage(ALICE, sent, back, tries).await;
        assert_eq!(bound[0].refusal, Refusal::Unavailable, "{sent} {back}");
        for name in [BOB, NOBODY] {
            let heard = during_an_outage(name, sent, back, tries).await;
            assert_eq!(heard, bound, "{name} {sent} {back}");
        }
        let limited = bound.iter().any(|heard| heard.refusal == Refusal::TooManyFailures);
        assert_eq!(limited, sent, "it counts if it is sent, or would be");
    }
}

#[tokio::test]
async fn what_the_upstream_may_see_is_used_up_alike_during_an_outage() {
    for sent in [true, false] {
        let mut heard = Vec::new();
        for name in [ALICE, BOB] {
            let failures_per_account = Rate { burst: 3, per: Duration::from_secs(6000) };
            let site = Site::with(Settings { failures_per_account, ..Settings::default() }).await;
            let account = site.account(ALICE).await;
            site.bind_factor(&account).await;
            let from = origin(Protocol::Imap, 1);
            site.attempt(&from, "carol@example.org", "any", |_| unavailable(sent)).await;
            for number in 0..5 {
                site.attempt(&from, name, &format!("guess {number}"), |_| unavailable(sent)).await;
            }
            site.clock.advance(MINUTE);
            heard.push(refused(&site.try_in(2, name, "another").await));
        }
        assert_eq!(heard[0], heard[1], "sent: {sent}");
        let expected = if sent { Refusal::Unavailable } else { Refusal::NotLetIn };
        assert_eq!(heard[0].refusal, expected, "sent: {sent}");
    }
}

#[tokio::test]
async fn neither_a_client_without_time_nor_a_locked_mailbox_makes_an_outage() {
    for concerns in [Concerns::Client, Concerns::Mailbox] {
        let site = Site::open().await;
        let account = site.account(ALICE).await;
        site.bind_factor(&account).await;
        for number in 0..3 {
            let from = origin(Protocol::Imap, 1);
            let ended = site.attempt(&from, BOB, &format!("guess {number}"), |_| said(concerns)).await;
            assert_eq!(ended.refusal(), Some(Refusal::Unavailable));
        }
        assert_eq!(site.try_in(2, ALICE, MAILBOX).await.refusal(), Some(Refusal::NotLetIn), "{concerns:?}");
    }
}

#[tokio::test]
async fn what_is_said_of_two_mailboxes_is_an_outage() {
    let site = Site::open().await;
    let account = site.account(ALICE).await;
    site.bind_factor(&account).await;
    for name in [BOB, "carol@example.org"] {
        site.attempt(&origin(Protocol::Imap, 1), name, "guess", |_| said(Concerns::Mailbox)).await;
    }
    assert_eq!(site.try_in(2, ALICE, MAILBOX).await.refusal(), Some(Refusal::Unavailable));
}
