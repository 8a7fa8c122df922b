//! Passkeys, form by form.

use axum::http::StatusCode;

use super::enrolment::once;
use super::harness::{ALICE, BOB, Browser, MAILBOX, Seen, Site};
use crate::factor::testing::SoftKey;

/// What the page hands to its script.
pub(super) fn options(seen: &Seen) -> String {
    seen.first(r#"data-options="([^"]*)""#).replace("&#34;", "\"").replace("&#38;", "&")
}

/// Binds a passkey in a browser that may: the key, and what was answered.
pub(super) async fn bind(browser: &mut Browser<'_>, counter: u32) -> (SoftKey, Seen) {
    let page = browser.get("/second-factors/passkey").await;
    let (key, answer) = SoftKey::made(&options(&page), "https://mail.example.org", counter);
    let fields = [("answer", &*answer), ("name", "Key <b>")];
    let seen = browser.post("/second-factors/passkey", &fields, &page.form_token()).await;
    (key, seen)
}

#[tokio::test]
async fn a_passkey_is_bound_asked_for_after_the_password_and_unbound() {
    let site = Site::open().await;
    let mut browser = site.signed_in(ALICE).await;
    let choose = browser.get("/second-factors/new").await;
    assert!(choose.text.contains("href=\"/second-factors/passkey\""));
    let page = browser.get("/second-factors/passkey").await;
    assert!(page.text.contains("/assets/passkey.js?") && page.text.contains("Passkeys need JavaScript."));
    assert!(page.text.contains("value=\"Chrome 142 · Windows\""), "a name is proposed");
    let wrong = browser.post("/second-factors/passkey", &[("answer", "{}")], &page.form_token()).await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(wrong.text.contains("This passkey could not be bound."));
    let (mut key, seen) = bind(&mut browser, 0).await;
    assert_eq!(seen.status, StatusCode::OK, "{}", seen.text);
    assert_eq!(seen.all(r"<li>([a-z2-9 ]+)</li>").len(), 10, "recovery codes come with the first factor");
    let list = browser.get("/second-factors").await;
    assert!(list.text.contains("Key &#60;b&#62;") && list.text.contains("Passkey or security key · Bound"));

    let mut other = site.browser();
    assert_eq!(other.sign_in(ALICE, MAILBOX).await.leads_to(), Some("/second-factor"));
    let page = other.get("/second-factor").await;
    assert!(page.text.contains("data-now=\"yes\"") && !page.text.contains("name=\"code\""));
    let answer = key.used(&options(&page));
    let fields = [("use", "passkey"), ("answer", &*answer)];
    let entered = other.post("/second-factor", &fields, &page.form_token()).await;
    assert_eq!(entered.leads_to(), Some("/trust"), "{}", entered.text);
    let mut third = site.browser();
    third.sign_in(ALICE, MAILBOX).await;
    let page = third.get("/second-factor").await;
    let replayed = third.post("/second-factor", &fields, &page.form_token()).await;
    assert_eq!(replayed.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(replayed.text.contains("was not accepted") && !replayed.text.contains("data-now"));

    let id = list.first(r#"/second-factors/([0-9a-f-]{36})/change"#);
    let change = format!("/second-factors/{id}/change");
    let mut bob = site.signed_in(BOB).await;
    assert_eq!(bob.get(&change).await.status, StatusCode::NOT_FOUND, "it is not Bob's");
    let page = browser.get(&change).await;
    let (_, answer) = SoftKey::made(&options(&page), "https://mail.example.org", 0);
    let fields = [("answer", &*answer), ("name", "New")];
    let changed = browser.post(&change, &fields, &page.form_token()).await;
    assert_eq!(changed.leads_to(), Some("/second-factors?done=changed"), "{}", changed.text);
    let list = browser.get("/second-factors").await;
    assert!(list.text.contains("<strong>New</strong>") && !list.text.contains("Key &#60;b&#62;"));
    let id = list.first(r#"/second-factors/([0-9a-f-]{36})/unbind"#);
    let page = browser.get(&format!("/second-factors/{id}/unbind")).await;
    assert!(page.text.contains("Unbind “New”?"));
    let unbound = browser.post(&format!("/second-factors/{id}/unbind"), &[], &page.form_token()).await;
    assert_eq!(unbound.leads_to(), Some("/second-factors?done=unbound"));
}

#[tokio::test]
async fn a_passkey_alone_signs_in_and_the_mailbox_password_is_asked_for_once() {
    let site = Site::open().await;
    let (mut key, _) = bind(&mut site.signed_in(ALICE).await, 3).await;
    let mut browser = site.browser();
    let page = browser.get("/sign-in?to=%2Fapp-passwords%2Fnew").await;
    assert!(page.text.contains("href=\"/sign-in/passkey?to=%2Fapp-passwords%2Fnew\""));
    let page = browser.get("/sign-in/passkey?to=%2Fapp-passwords%2Fnew").await;
    assert!(browser.cookies.contains_key("__Host-mailward-passkey"));
    let answer = key.used(&options(&page));

    let mut elsewhere = site.browser();
    elsewhere.get("/sign-in/passkey").await;
    let fields = [("answer", &*answer)];
    let refused = elsewhere.post_bare("/sign-in/passkey", &fields, Some("same-origin")).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "another browser was asked something else");
    assert!(refused.text.contains("This passkey does not sign you in here."));
    for from in [None, Some("cross-site"), Some("none")] {
        let forged = browser.post_bare("/sign-in/passkey", &fields, from).await;
        assert_eq!(forged.status, StatusCode::FORBIDDEN);
    }
    let page = browser.get("/sign-in/passkey").await;
    let answer = key.used(&options(&page));
    let fields = [("answer", &*answer)];
    let path = "/sign-in/passkey?to=%2Fapp-passwords%2Fnew";
    let kept = browser.cookies.clone();
    let entered = browser.post_bare(path, &fields, Some("same-origin")).await;
    assert_eq!(entered.leads_to(), Some("/app-passwords/new"), "{}", entered.text);
    assert!(!browser.cookies.contains_key("__Host-mailward-passkey"));
    let mut thief = site.browser();
    thief.cookies = kept;
    let replayed = thief.post_bare(path, &fields, Some("same-origin")).await;
    assert_eq!(replayed.status, StatusCode::UNPROCESSABLE_ENTITY, "once");
    let home = browser.get("/").await;
    assert!(home.text.contains("Signed in here with a passkey"), "{}", home.text);

    let form = browser.get("/app-passwords/new").await;
    assert!(form.text.contains("name=\"password\""));
    let wanted =
        |password, once| [("name", "Foxmail"), ("protocol", "imap"), ("password", password), ("once", once)];
    let first = once(&form);
    let fields = wanted("guess", &*first);
    let wrong = browser.post("/app-passwords/new", &fields, &form.form_token()).await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(
        wrong.text.contains("This is not your mailbox password.") && wrong.text.contains("value=\"Foxmail\"")
    );
    assert!(!wrong.text.contains("guess"));
    let again = once(&wrong);
    let fields = wanted(MAILBOX, &*again);
    let made = browser.post("/app-passwords/new", &fields, &wrong.form_token()).await;
    assert_eq!(made.status, StatusCode::OK, "{}", made.text);
    made.first(r#"data-copy="([a-z2-9 ]{19})""#);
    let form = browser.get("/app-passwords/new").await;
    assert!(!form.text.contains("name=\"password\""), "once");
}

#[tokio::test]
async fn where_no_passkeys_are_offered_nobody_is_asked_for_one() {
    let site = Site::with("[policy]\nfactors = [\"totp\"]\n").await;
    let mut browser = site.browser();
    assert!(!browser.get("/sign-in").await.text.contains("passkey"));
    assert_eq!(browser.get("/sign-in/passkey").await.status, StatusCode::NOT_FOUND);
    let seen = browser.post_bare("/sign-in/passkey", &[("answer", "{}")], Some("same-origin")).await;
    assert_eq!(seen.status, StatusCode::NOT_FOUND);
    let mut browser = site.signed_in(ALICE).await;
    assert_eq!(browser.get("/second-factors/passkey").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_name_that_was_typed_comes_back_with_the_form() {
    const BIND: &str = "/second-factors/passkey";
    let site = Site::open().await;
    let mut alice = site.signed_in(ALICE).await;
    let token = alice.token().await;
    let typed = [
        ("YubiKey, office <b>\u{202e}", "YubiKey, office &#60;b&#62;&#8238;"),
        ("a\tb", "a&#9;b"),
        ("", "Chrome 142 · Windows"),
    ];
    for (name, comes_back) in typed {
        let refused = alice.post(BIND, &[("answer", "{}"), ("name", name)], &token).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
        assert!(refused.text.contains(&format!("value=\"{comes_back}\"")), "{name:?}: {}", refused.text);
    }
    bind(&mut alice, 0).await;
    let id = alice.get("/second-factors").await.first(r#"/second-factors/([0-9a-f-]{36})/rename"#);
    let token = alice.token().await;
    for what in ["change", "rename"] {
        let path = format!("/second-factors/{id}/{what}");
        let refused = alice.post(&path, &[("answer", "{}"), ("name", "a\tb")], &token).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{what}");
        assert!(refused.text.contains("value=\"a&#9;b\""), "{what}: {}", refused.text);
    }
}
