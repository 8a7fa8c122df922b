//! How often somebody who is in may ask, and add something.

use axum::http::StatusCode;

use super::harness::{ALICE, BOB, Site};

/// What is allowed at once.
const REQUESTS: usize = 240;
const CHANGES: usize = 60;

#[tokio::test]
async fn a_session_that_asks_without_end_is_held_up_alone_and_for_a_moment() {
    let site = Site::open().await;
    let (mut alice, mut elsewhere, mut bob) =
        (site.signed_in(ALICE).await, site.signed_in(ALICE).await, site.signed_in(BOB).await);
    let mut given = 0;
    let held_up = loop {
        let page = alice.get("/guides").await;
        if page.status != StatusCode::OK {
            break page;
        }
        given += 1;
        assert!(given <= REQUESTS, "it is never held up");
    };
    assert!(given > REQUESTS - 10, "{given}");
    assert_eq!(held_up.status, StatusCode::TOO_MANY_REQUESTS);
    assert!(held_up.text.contains("too often"), "{}", held_up.text);
    for other in [&mut elsewhere, &mut bob] {
        assert_eq!(other.get("/").await.status, StatusCode::OK, "nobody else is");
    }
    site.later(1);
    for _ in 0..4 {
        assert_eq!(alice.get("/").await.status, StatusCode::OK);
    }
    assert_eq!(alice.get("/").await.status, StatusCode::TOO_MANY_REQUESTS);
}

#[tokio::test]
async fn whoever_adds_without_end_is_held_up_and_can_take_away_all_the_same() {
    const RENEW: &str = "/second-factors/recovery";
    let site = Site::open().await;
    let ((mut alice, ..), (mut bob, ..)) = (site.bound(ALICE).await, site.bound(BOB).await);
    let token = alice.token().await;
    let mut made = 0;
    let held_up = loop {
        let codes = alice.post(RENEW, &[("once", &*made.to_string())], &token).await;
        if codes.status != StatusCode::OK {
            break codes;
        }
        made += 1;
        assert!(made <= CHANGES, "it is never held up");
    };
    assert_eq!(made, CHANGES - 1, "the binding was one");
    assert_eq!(held_up.status, StatusCode::TOO_MANY_REQUESTS, "{}", held_up.text);
    let form = alice.get("/app-passwords/new").await;
    let once = super::enrolment::once(&form);
    let fields = [("name", "Foxmail"), ("once", &*once), ("protocol", "imap")];
    let another = alice.post("/app-passwords/new", &fields, &token).await;
    assert_eq!(another.status, StatusCode::TOO_MANY_REQUESTS, "one pace for all that is added");
    let token = bob.token().await;
    assert_eq!(bob.post(RENEW, &[("once", "1")], &token).await.status, StatusCode::OK);
    site.later(60);
    let token = alice.token().await;
    for (once, status) in [("one more", StatusCode::OK), ("another", StatusCode::TOO_MANY_REQUESTS)] {
        assert_eq!(alice.post(RENEW, &[("once", once)], &token).await.status, status);
    }
    let locked = alice.post("/lock", &[], &token).await;
    assert_eq!(locked.leads_to(), Some("/?done=locked"), "{}", locked.text);
}
