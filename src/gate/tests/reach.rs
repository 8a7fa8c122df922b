//! What a listener does not lead to, and clients that were told more than their upstream has.

use super::*;

/// What an attempt heard, after what time.
fn heard(ended: &Ended) -> Refused {
    match ended {
        Ended::Out(refused) => *refused,
        Ended::In(_) => panic!("let in"),
    }
}

impl Site {
    async fn try_from_listener(
        &self,
        host: u8,
        reach: &[(&str, Way)],
        name: &str,
        password: &str,
    ) -> Refused {
        let led = |(name, way): &(&str, Way)| {
            let led = Led { misled: *way == Way::Misled, ..Led::to(UpstreamName((*name).to_owned())) };
            led.down.set(*way == Way::Down);
            led.full.set(*way == Way::Full);
            led
        };
        let reach = reach.iter().map(led);
        let origin = Origin { reach: Reach::new(reach), ..origin(Protocol::Imap, host) };
        heard(&self.attempt(&origin, name, password, |login| self.upstream_says(&login)).await)
    }
}

const ELSEWHERE: &[(&str, Way)] = &[("other", Way::Open)];
const MISLED: &[(&str, Way)] = &[("legacy", Way::Misled), ("other", Way::Open)];

#[tokio::test]
async fn an_account_behind_another_listener_is_answered_like_a_name_that_leads_nowhere() {
    let site = Site::open().await;
    let (_, app_password) = site.bound_with_app_password("bound@example.org").await;
    site.account(ALICE).await;
    // The upstream was slow once; both must take its time.
    site.gate.gate.refused_after(&UpstreamName("legacy".to_owned()), Duration::from_secs(4));
    let nowhere = heard(&site.try_in(1, "alice@nowhere.example", MAILBOX).await);
    assert_eq!(nowhere.refusal, Refusal::NotLetIn);
    assert!(nowhere.not_before > Duration::from_secs(4));
    for (host, name, password) in [
        (2, ALICE, MAILBOX),
        (3, "nobody@example.org", MAILBOX),
        (4, "bound@example.org", MAILBOX),
        (5, "bound@example.org", &*app_password),
    ] {
        assert_eq!(site.try_from_listener(host, ELSEWHERE, name, password).await, nowhere, "{name}");
    }
    // Nor does an outage there show here.
    let down = |_| UpstreamSaid::Unavailable {
        refusal: Refusal::Unavailable,
        reason: "down".to_owned(),
        credential_sent: false,
    };
    site.attempt(&origin(Protocol::Imap, 6), ALICE, MAILBOX, down).await;
    assert_eq!(site.try_from_listener(7, ELSEWHERE, ALICE, MAILBOX).await, nowhere);
    assert_eq!((site.asked(), site.argon2_runs()), (0, 0));
}

#[tokio::test]
async fn the_trail_says_whose_name_was_tried_at_the_wrong_listener() {
    let site = Site::open().await;
    site.account(ALICE).await;
    site.try_from_listener(1, ELSEWHERE, "Alice@Example.org", MAILBOX).await;
    site.try_from_listener(1, ELSEWHERE, "typed-password@example.org", MAILBOX).await;
    let logins = site.records("login");
    assert_eq!((&logins[0]["account"], &logins[0]["upstream"]), (&ALICE.into(), &"legacy".into()));
    assert_eq!(logins[0]["reason"], "this listener does not lead to its upstream");
    assert!(!logins[1].to_string().contains("typed-password"), "{}", logins[1]);
}

#[tokio::test]
async fn guesses_at_the_wrong_listener_count_as_any_others() {
    let site = Site::open().await;
    site.account(ALICE).await;
    for number in 0..10 {
        let refused = site.try_from_listener(1, ELSEWHERE, ALICE, &format!("wrong {number}")).await;
        assert_eq!(refused.refusal, Refusal::NotLetIn);
    }
    let refused = site.try_from_listener(1, ELSEWHERE, ALICE, MAILBOX).await;
    assert_eq!(refused.refusal, Refusal::TooManyFailures);
}

#[tokio::test]
async fn while_an_upstream_cannot_be_asked_all_hear_so_and_nothing_is_compared() {
    for way in [Way::Down, Way::Full] {
        let site = Site::open().await;
        let (_, app_password) = site.bound_with_app_password("bound@example.org").await;
        site.account(ALICE).await;
        // Somebody found out the hard way before: nobody has to wait for that any more.
        let reach = Reach::new([Led::to(UpstreamName("legacy".to_owned()))]);
        let asked = Origin { reach, ..origin(Protocol::Imap, 9) };
        let slowly = |_| {
            site.clock.advance(Duration::from_secs(5));
            UpstreamSaid::Unavailable {
                refusal: Refusal::Unavailable,
                reason: "down".to_owned(),
                credential_sent: false,
            }
        };
        assert!(
            heard(&site.attempt(&asked, ALICE, MAILBOX, slowly).await).not_before > Duration::from_secs(5)
        );
        let first = site.try_from_listener(1, &[("legacy", way)], ALICE, MAILBOX).await;
        assert_eq!(first.refusal, Refusal::Unavailable);
        assert!(first.not_before < Duration::from_secs(5), "{:?}", first.not_before);
        for (name, password) in [
            (ALICE, "wrong"),
            ("nobody@example.org", MAILBOX),
            ("bound@example.org", MAILBOX),
            ("bound@example.org", &*app_password),
        ] {
            assert_eq!(site.try_from_listener(1, &[("legacy", way)], name, password).await, first, "{name}");
        }
        for _ in 0..20 {
            assert_eq!(site.try_from_listener(1, &[("legacy", way)], ALICE, "wrong").await, first);
        }
        assert_eq!((site.asked(), site.argon2_runs()), (0, 0), "nothing was compared, so nothing counts");
        assert!(site.try_in(1, ALICE, MAILBOX).await.is_in());
    }
}

#[tokio::test]
async fn whoever_was_told_too_much_hears_unavailable_whatever_the_account() {
    let site = Site::open().await;
    let (_, app_password) = site.bound_with_app_password("bound@example.org").await;
    let suspended = site.account("suspended@example.org").await;
    site.suspend(&suspended).await;
    site.account(ALICE).await;
    let first = site.try_from_listener(1, MISLED, ALICE, MAILBOX).await;
    assert_eq!(first.refusal, Refusal::Unavailable, "nobody says that the password is wrong");
    for (name, password) in [
        (ALICE, "wrong"),
        ("nobody@example.org", MAILBOX),
        ("bound@example.org", MAILBOX),
        ("bound@example.org", &*app_password),
        ("suspended@example.org", MAILBOX),
    ] {
        assert_eq!(site.try_from_listener(1, MISLED, name, password).await, first, "{name}");
    }
    assert_eq!((site.asked(), site.argon2_runs()), (0, 0), "nothing was compared");
    for _ in 0..20 {
        assert_eq!(site.try_from_listener(1, MISLED, ALICE, "wrong").await, first, "so nothing counts");
    }
    assert_eq!(heard(&site.try_in(1, ALICE, "wrong").await).refusal, Refusal::NotLetIn, "no outage either");
    assert!(site.try_in(1, ALICE, MAILBOX).await.is_in());
    assert_eq!(site.records("login")[0]["account"], ALICE);
}
