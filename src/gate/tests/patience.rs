//! An upstream that asks for patience: in use, logged in too recently.

use super::*;

const BOB: &str = "bob@example.org";

fn patience(refusal: Refusal) -> UpstreamSaid {
    UpstreamSaid::Unavailable {
        refusal,
        reason: "busy".to_owned(),
        credential_sent: true,
        concerns: Concerns::Mailbox,
    }
}

const WORDS: [Refusal; 2] = [Refusal::InUse, Refusal::LoginDelay];

#[tokio::test]
async fn whoever_is_known_to_be_right_hears_the_upstreams_own_word_and_is_not_locked_out() {
    let site = Site::open().await;
    let (_, printed) = site.bound_with_app_password(ALICE).await;
    site.mailboxes.lock().unwrap().insert(BOB.to_owned(), "bobs".to_owned());
    assert!(site.try_in(1, BOB, "bobs").await.is_in(), "right lately");
    for (name, password) in [(ALICE, printed.as_str()), (BOB, "bobs")] {
        for refusal in WORDS {
            for _ in 0..15 {
                let from = origin(Protocol::Pop3, 1);
                let Ended::Out(refused) = site.attempt(&from, name, password, |_| patience(refusal)).await
                else {
                    panic!("let in")
                };
                assert_eq!(refused, Refused { refusal, not_before: Duration::ZERO });
            }
        }
    }
}

/// Some upstreams say so before they look at the password, and only of accounts that are there.
#[tokio::test]
async fn to_a_guesser_it_says_nothing_and_costs_what_any_guess_costs() {
    for refusal in WORDS {
        let site = Site::open().await;
        let from = origin(Protocol::Pop3, 1);
        for number in 0..10 {
            let guess = format!("guess {number}");
            let Ended::Out(refused) = site.attempt(&from, BOB, &guess, |_| patience(refusal)).await else {
                panic!("let in")
            };
            assert_eq!(refused.refusal, Refusal::Unavailable);
            assert!(refused.not_before >= Duration::from_secs(3), "{refused:?}");
        }
        let next = site.attempt(&from, BOB, "guess 10", |_| patience(refusal)).await;
        assert_eq!(next.refusal(), Some(Refusal::TooManyFailures));
    }
}
