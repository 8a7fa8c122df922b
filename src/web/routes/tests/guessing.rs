//! Guesses at the mailbox password, on every page that asks for it: one limiter counts them all.

use axum::http::StatusCode;

use super::harness::{ALICE, Browser, MAILBOX, Seen, Site};
use super::passkeys;

/// Guesses until nobody looks at a guess any more; then the right one is not looked at either, nor where people sign in.
async fn guess_until_limited(site: &Site, mut give: impl AsyncFnMut(&str) -> Seen) {
    let mut guesses = 0;
    let limited = loop {
        let seen = give(&format!("guess {guesses}")).await;
        if seen.status != StatusCode::UNPROCESSABLE_ENTITY {
            break seen;
        }
        assert!(seen.text.contains("This is not your mailbox password."), "{}", seen.text);
        guesses += 1;
        assert!(guesses < 30, "nobody is held up");
    };
    assert!(guesses >= 5, "people mistype: {guesses}");
    let asked = site.upstream_was_asked();
    let mut elsewhere = site.browser();
    for refused in [limited, give(MAILBOX).await, elsewhere.sign_in(ALICE, MAILBOX).await] {
        assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS, "{}", refused.text);
        assert!(refused.text.contains("Too many attempts. Wait a few minutes"), "{}", refused.text);
        assert!(!refused.headers.contains_key("set-cookie"));
    }
    assert_eq!(site.upstream_was_asked(), asked, "and it is looked at by nobody");
}

#[tokio::test]
async fn guesses_of_who_has_to_show_again_who_he_is_use_up_those_of_signing_in() {
    let site = Site::open().await;
    let mut alice = site.signed_in(ALICE).await;
    site.later(600);
    let token = alice.token().await;
    guess_until_limited(&site, async |password| {
        alice.post("/verify?to=%2Flock", &[("password", password)], &token).await
    })
    .await;
    assert_eq!(alice.get("/lock").await.leads_to(), Some("/verify?to=%2Flock"), "nothing was opened");
    site.later(1_200);
    let verified = alice.post("/verify?to=%2Flock", &[("password", MAILBOX)], &token).await;
    assert_eq!(verified.leads_to(), Some("/lock?done=verified"), "after a while: {}", verified.text);
}

/// Signed in by a passkey alone.
async fn by_passkey(site: &Site) -> Browser<'_> {
    let (mut key, _) = passkeys::bind(&mut site.signed_in(ALICE).await, 0).await;
    let mut browser = site.browser();
    let answer = key.used(&passkeys::options(&browser.get("/sign-in/passkey").await));
    let fields = [("answer", &*answer)];
    let entered = browser.post_bare("/sign-in/passkey", &fields, Some("same-origin")).await;
    assert_eq!(entered.leads_to(), Some("/"), "{}", entered.text);
    browser
}

#[tokio::test]
async fn guesses_of_who_came_by_a_passkey_and_wants_an_app_password_use_up_those_of_signing_in() {
    let site = Site::open().await;
    let mut alice = by_passkey(&site).await;
    let token = alice.token().await;
    let mut once = 0;
    guess_until_limited(&site, async |password| {
        once += 1;
        let (password, once) = (("password", password), once.to_string());
        let fields = [("name", "Foxmail"), ("protocol", "imap"), password, ("once", &*once)];
        alice.post("/app-passwords/new", &fields, &token).await
    })
    .await;
    let account =
        site.store.standing(&ALICE.to_owned().try_into().unwrap()).await.unwrap().unwrap().account.id;
    assert_eq!(site.store.app_passwords(account).await.unwrap(), []);
    let form = alice.get("/app-passwords/new").await;
    assert!(form.text.contains("name=\"password\""), "it is asked for still: {}", form.text);
}
