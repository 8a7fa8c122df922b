//! The same wrong password again: nobody is asked for a minute, it counts once a day, and nothing shows.

use super::*;

const BOB: &str = "bob@example.org";
const MINUTE: Duration = Duration::from_secs(60);

fn refused(ended: &Ended) -> Refused {
    match ended {
        Ended::Out(refused) => *refused,
        Ended::In(_) => panic!("let in"),
    }
}

#[tokio::test]
async fn a_password_that_was_refused_a_moment_ago_is_refused_again_without_asking_anybody() {
    let site = Site::open().await;
    let (_, printed) = site.bound_with_app_password(ALICE).await;
    let wrong = with_same_label(&printed);
    let plain = refused(&site.try_in(1, "nobody@example.org", "any").await);
    let asked = site.asked();
    for _ in 0..30 {
        assert_eq!(refused(&site.try_in(1, BOB, "wrong").await), plain);
        assert_eq!(refused(&site.try_in(1, ALICE, &wrong).await), plain);
        assert_eq!(refused(&site.try_in(1, ALICE, MAILBOX).await), plain);
    }
    assert_eq!((site.asked() - asked, site.argon2_runs()), (1, 1));
    site.clock.advance(MINUTE);
    assert_eq!(refused(&site.try_in(1, BOB, "wrong").await), plain);
    assert_eq!(refused(&site.try_in(1, ALICE, &wrong).await), plain);
    assert_eq!((site.asked() - asked, site.argon2_runs()), (2, 2), "it may have become right meanwhile");
}

/// The day of the change: the old mailbox password of a bound account, of one whose password was changed upstream,
/// and of one that is gone.
#[tokio::test]
async fn one_stale_device_counts_once_in_its_network_whoever_it_belongs_to() {
    for name in [ALICE, BOB, "nobody@elsewhere.org"] {
        let site = Site::open().await;
        let account = site.account(ALICE).await;
        site.bind_factor(&account).await;
        for _ in 0..200 {
            assert_eq!(site.try_in(1, name, "old").await.refusal(), Some(Refusal::NotLetIn), "{name}");
            site.clock.advance(Duration::from_secs(20));
        }
        let asked = site.asked();
        for number in 0..9 {
            let heard = site.try_in(1, name, &format!("typo {number}")).await.refusal();
            assert_eq!(heard, Some(Refusal::NotLetIn), "{name}, {number}");
        }
        let news = if name == BOB { 9 } else { 0 };
        assert_eq!(site.asked() - asked, news, "{name}");
        let carol = "carol@example.org";
        site.mailboxes.lock().unwrap().insert(carol.to_owned(), MAILBOX.to_owned());
        assert!(site.try_in(1, carol, MAILBOX).await.is_in(), "others in the network");
    }
}

#[tokio::test]
async fn devices_that_come_at_once_with_the_same_wrong_password_count_once() {
    let site = Arc::new(Site::open().await);
    let mut devices = tokio::task::JoinSet::new();
    for _ in 0..5 {
        let site = Arc::clone(&site);
        devices.spawn(async move {
            let slowly = async |login: UpstreamLogin| {
                tokio::time::sleep(Duration::from_millis(20)).await;
                site.upstream_says(&login)
            };
            site.attempt_slowly(&origin(Protocol::Imap, 1), BOB, "old", slowly).await.refusal()
        });
    }
    devices.join_all().await;
    for number in 0..9 {
        let heard = site.try_in(1, BOB, &format!("typo {number}")).await.refusal();
        assert_eq!(heard, Some(Refusal::NotLetIn), "{number}");
    }
    assert_eq!(site.try_in(1, BOB, "typo 9").await.refusal(), Some(Refusal::TooManyFailures));
}

#[tokio::test]
async fn what_this_gate_knows_to_have_changed_counts_at_once() {
    let site = Site::open().await;
    let account = site.account(ALICE).await;
    site.bind_factor(&account).await;
    assert_eq!(site.try_in(1, ALICE, MAILBOX).await.refusal(), Some(Refusal::NotLetIn));
    site.unbind_factors().await;
    assert!(site.try_in(1, ALICE, MAILBOX).await.is_in(), "no factor is bound any more");
    site.bind_factor(&account).await;
    assert_eq!(site.try_in(1, ALICE, MAILBOX).await.refusal(), Some(Refusal::NotLetIn));

    let site = Site::with(Settings { accounts: Some(AccountAdmission::Listed), ..Settings::default() }).await;
    assert_eq!(site.try_in(1, ALICE, MAILBOX).await.refusal(), Some(Refusal::NotLetIn));
    site.account(ALICE).await;
    assert!(site.try_in(1, ALICE, MAILBOX).await.is_in(), "it is listed now");
}

#[tokio::test]
async fn what_changed_behind_the_gates_back_counts_within_a_minute() {
    let site = Site::open().await;
    assert_eq!(site.try_in(1, ALICE, "new").await.refusal(), Some(Refusal::NotLetIn));
    site.mailboxes.lock().unwrap().insert(ALICE.to_owned(), "new".to_owned());
    site.clock.advance(MINUTE - Duration::from_secs(1));
    assert_eq!(site.try_in(1, ALICE, "new").await.refusal(), Some(Refusal::NotLetIn));
    site.clock.advance(Duration::from_secs(1));
    assert!(site.try_in(1, ALICE, "new").await.is_in());
    assert!(site.try_in(1, ALICE, "new").await.is_in(), "nothing is held against it");
}

/// A forgotten device of a bound account still sends the mailbox password. Whoever guesses it elsewhere must not find
/// out by what it costs, or by how it is answered.
#[tokio::test]
async fn a_guesser_does_not_learn_what_somebody_else_sends() {
    for (per_account, at_once) in [(1000, true), (1000, false), (3, true), (3, false)] {
        let mut heard = Vec::new();
        for guess in [MAILBOX, "another"] {
            let failures_per_account = Rate { burst: per_account, per: Duration::from_secs(6000) };
            let site = Site::with(Settings { failures_per_account, ..Settings::default() }).await;
            let account = site.account(ALICE).await;
            site.bind_factor(&account).await;
            site.try_in(1, ALICE, MAILBOX).await;
            if !at_once {
                site.clock.advance(MINUTE);
            }
            let mut answers = Vec::new();
            for number in 0..12 {
                answers.push(refused(&site.try_in(2, ALICE, &format!("guess {number}")).await));
                if number == 1 {
                    answers.push(refused(&site.try_in(2, ALICE, guess).await));
                }
            }
            heard.push(answers);
        }
        assert_eq!(heard[0], heard[1], "{per_account} {at_once}");
    }
}

#[tokio::test]
async fn while_the_upstream_is_away_a_repeated_password_is_undecided_like_a_new_one() {
    let site = Site::open().await;
    let account = site.account(ALICE).await;
    site.bind_factor(&account).await;
    for name in [ALICE, BOB] {
        assert_eq!(site.try_in(1, name, "wrong").await.refusal(), Some(Refusal::NotLetIn));
    }
    let gone = UpstreamSaid::Unavailable {
        refusal: Refusal::Unavailable,
        reason: "it refused the connection".to_owned(),
        credential_sent: false,
        concerns: Concerns::Everybody,
    };
    let new = refused(&site.attempt(&origin(Protocol::Imap, 1), BOB, "new", |_| gone).await);
    assert_eq!(new.refusal, Refusal::Unavailable);
    for name in [ALICE, BOB] {
        assert_eq!(refused(&site.try_in(1, name, "wrong").await), new);
    }
}
