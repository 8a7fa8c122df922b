//! Fifty who send the same at once: one of them goes on.

use axum::http::StatusCode;

use super::enrolment::once;
use super::harness::{ALICE, Browser, MAILBOX, Seen, Site};
use super::mailbox::OFFERED;
use super::passkeys;
use crate::factor::testing::SoftKey;

/// Who has a turn at fifty, in the last number of an address.
const FIFTY: std::ops::Range<u8> = 0..50;

/// The one answer that leads on. All others say no, or ask for the steps that a session has to take which has ended, or is bound
/// by now: nobody is told that something broke.
#[track_caller]
fn the_one(answers: Vec<Seen>, leads_on: impl Fn(&Seen) -> bool) -> Seen {
    the_one_among(answers, &[422, 429], leads_on)
}

/// The same where these are the ways to say no.
#[track_caller]
fn the_one_among(answers: Vec<Seen>, no_by: &[u16], leads_on: impl Fn(&Seen) -> bool) -> Seen {
    let (mut on, no): (Vec<_>, Vec<_>) = answers.into_iter().partition(leads_on);
    let told: Vec<_> = no.iter().map(|seen| (seen.status.as_u16(), seen.leads_to())).collect();
    assert_eq!((on.len(), told.len()), (1, 49), "{told:?}");
    let is_no = |(status, to): &(u16, Option<&str>)| match to {
        None => no_by.contains(status),
        Some(to) => to.starts_with("/sign-in") || to.starts_with("/verify"),
    };
    assert!(told.iter().all(is_no), "{told:?}");
    on.remove(0)
}

/// Longer than a verification is fresh.
const NO_LONGER_FRESH: u64 = 11 * 60;

fn to_trust(seen: &Seen) -> bool {
    seen.leads_to() == Some("/trust")
}

/// A browser before the second step, at that address, and its token.
async fn before_the_second_step(site: &Site, host: u8) -> (Browser<'_>, String) {
    let mut browser = site.browser();
    browser.network = [198, 51, 100, host];
    assert_eq!(browser.sign_in(ALICE, MAILBOX).await.leads_to(), Some("/second-factor"));
    let token = browser.token().await;
    (browser, token)
}

async fn bind_mailbox(site: &Site, alice: &mut Browser<'_>) {
    let code = offer_mailbox(site, alice).await;
    let token = alice.token().await;
    let bound = alice.post("/second-factors/mailbox", &[("code", &code)], &token).await;
    assert_eq!(bound.status, StatusCode::OK, "{}", bound.text);
}

/// Sends a code to that mailbox, which is to be bound, and returns it.
async fn offer_mailbox(site: &Site, browser: &mut Browser<'_>) -> String {
    let token = browser.token().await;
    let sent = browser.post("/second-factors/mailbox", &[("address", "caoshuai@163.com")], &token).await;
    assert_eq!(sent.leads_to(), Some("/second-factors/mailbox"), "{}", sent.text);
    site.mailed()
}

#[tokio::test(flavor = "multi_thread")]
async fn of_fifty_browsers_with_one_code_of_an_authenticator_one_gets_in() {
    let site = Site::open().await;
    let (_, key, _) = site.bound(ALICE).await;
    one_browser_gets_in(&site, "totp", &site.next_code(&key)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_fifty_browsers_with_one_recovery_code_one_gets_in() {
    let site = Site::open().await;
    let (_, _, codes) = site.bound(ALICE).await;
    one_browser_gets_in(&site, "recovery", &codes[3]).await;
}

async fn one_browser_gets_in(site: &Site, way: &str, code: &str) {
    let mut forms = Vec::new();
    // From different networks, or the limits would turn most away unseen.
    for host in FIFTY {
        let (browser, token) = before_the_second_step(site, host).await;
        forms.push(browser.form("/second-factor", &[("use", way), ("code", code)], &token));
    }
    the_one(site.at_once(forms).await, to_trust);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_fifty_forms_of_a_browser_with_one_code_of_an_authenticator_one_leads_on() {
    let site = Site::open().await;
    let (_, key, _) = site.bound(ALICE).await;
    let (browser, token) = before_the_second_step(&site, 1).await;
    one_form_leads_on(&site, browser, &token, &[("use", "totp"), ("code", &site.next_code(&key))]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_fifty_forms_of_a_browser_with_one_recovery_code_one_leads_on() {
    let site = Site::open().await;
    let (_, _, codes) = site.bound(ALICE).await;
    let (browser, token) = before_the_second_step(&site, 1).await;
    one_form_leads_on(&site, browser, &token, &[("use", "recovery"), ("code", &codes[3])]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_fifty_forms_of_a_browser_with_one_code_by_mail_one_leads_on() {
    let site = Site::with(OFFERED).await;
    let mut alice = site.signed_in(ALICE).await;
    bind_mailbox(&site, &mut alice).await;
    let (mut browser, token) = before_the_second_step(&site, 1).await;
    let sent = browser.post("/second-factor", &[("use", "mailbox"), ("send", "yes")], &token).await;
    assert_eq!(sent.leads_to(), Some("/second-factor?use=mailbox"), "{}", sent.text);
    one_form_leads_on(&site, browser, &token, &[("use", "mailbox"), ("code", &site.mailed())]).await;
}

/// The key says nothing of how often it was used (as those of phones do): only what was asked can be used up.
#[tokio::test(flavor = "multi_thread")]
async fn of_fifty_forms_of_a_browser_with_one_answer_of_a_passkey_one_leads_on() {
    let site = Site::open().await;
    let (mut key, _) = passkeys::bind(&mut site.signed_in(ALICE).await, 0).await;
    let (mut browser, token) = before_the_second_step(&site, 1).await;
    let answer = key.used(&passkeys::options(&browser.get("/second-factor").await));
    one_form_leads_on(&site, browser, &token, &[("use", "passkey"), ("answer", &answer)]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_fifty_forms_with_one_answer_of_a_passkey_alone_one_signs_in() {
    let site = Site::open().await;
    let (mut key, _) = passkeys::bind(&mut site.signed_in(ALICE).await, 0).await;
    let mut browser = site.browser();
    let answer = key.used(&passkeys::options(&browser.get("/sign-in/passkey").await));
    // From different networks, as whoever has taken the cookie as well would send them.
    let forms = FIFTY.map(|host| {
        browser.network = [198, 51, 100, host];
        browser.form("/sign-in/passkey", &[("answer", &answer)], "")
    });
    let forms: Vec<_> = forms.collect();
    let on = the_one(site.at_once(forms).await, |seen| seen.leads_to() == Some("/"));
    browser.keep(&on);
    assert_eq!(browser.get("/").await.status, StatusCode::OK, "its session is the one that lives");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_fifty_forms_that_verify_with_one_code_of_an_authenticator_one_leads_on() {
    let site = Site::open().await;
    let (alice, key, _) = site.bound(ALICE).await;
    site.later(NO_LONGER_FRESH);
    one_verifies(&site, alice, &[("use", "totp"), ("code", &site.next_code(&key))]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_fifty_forms_that_verify_with_one_recovery_code_one_leads_on() {
    let site = Site::open().await;
    let (alice, _, codes) = site.bound(ALICE).await;
    site.later(NO_LONGER_FRESH);
    one_verifies(&site, alice, &[("use", "recovery"), ("code", &codes[3])]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_fifty_forms_that_verify_with_one_code_by_mail_one_leads_on() {
    let site = Site::with(OFFERED).await;
    let mut alice = site.signed_in(ALICE).await;
    bind_mailbox(&site, &mut alice).await;
    site.later(NO_LONGER_FRESH);
    let token = alice.token().await;
    let sent = alice.post("/verify", &[("use", "mailbox"), ("send", "yes")], &token).await;
    assert_eq!(sent.leads_to(), Some("/verify?use=mailbox"), "{}", sent.text);
    one_verifies(&site, alice, &[("use", "mailbox"), ("code", &site.mailed())]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_fifty_forms_that_verify_with_one_answer_of_a_passkey_one_leads_on() {
    let site = Site::open().await;
    let mut alice = site.signed_in(ALICE).await;
    let (mut key, bound) = passkeys::bind(&mut alice, 0).await;
    assert_eq!(bound.status, StatusCode::OK, "{}", bound.text);
    site.later(NO_LONGER_FRESH);
    let answer = key.used(&passkeys::options(&alice.get("/verify").await));
    one_verifies(&site, alice, &[("use", "passkey"), ("answer", &answer)]).await;
}

async fn one_verifies(site: &Site, mut alice: Browser<'_>, fields: &[(&str, &str)]) {
    let token = alice.token().await;
    let asked = alice.get("/second-factors/new").await;
    assert_eq!(asked.leads_to(), Some("/verify?to=%2Fsecond-factors%2Fnew"), "{}", asked.text);
    let forms = FIFTY.map(|_| alice.form("/verify", fields, &token));
    let on = the_one(site.at_once(forms).await, |seen| seen.leads_to() == Some("/?done=verified"));
    alice.keep(&on);
    let page = alice.get("/second-factors/new").await;
    assert_eq!(page.status, StatusCode::OK, "its session is the one that lives");
}

async fn one_form_leads_on(site: &Site, mut browser: Browser<'_>, token: &str, fields: &[(&str, &str)]) {
    let forms = FIFTY.map(|_| browser.form("/second-factor", fields, token));
    let on = the_one(site.at_once(forms).await, to_trust);
    browser.keep(&on);
    assert_eq!(browser.get("/trust").await.status, StatusCode::OK, "its session is the one that lives");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_fifty_forms_that_confirm_an_authenticator_one_binds_it() {
    let site = Site::open().await;
    let mut alice = site.signed_in(ALICE).await;
    let page = alice.get("/second-factors/totp").await;
    let code = site.next_code(&page.first(r#"data-copy="([A-Z2-7]+)""#));
    one_form_binds(&site, alice, "/second-factors/totp", &[("code", &code)]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_fifty_forms_that_confirm_a_backup_mailbox_one_binds_it() {
    let site = Site::with(OFFERED).await;
    let mut alice = site.signed_in(ALICE).await;
    let code = offer_mailbox(&site, &mut alice).await;
    one_form_binds(&site, alice, "/second-factors/mailbox", &[("code", &code)]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_fifty_forms_that_confirm_a_passkey_one_binds_it() {
    let site = Site::open().await;
    let mut alice = site.signed_in(ALICE).await;
    let page = alice.get("/second-factors/passkey").await;
    let (_, answer) = SoftKey::made(&passkeys::options(&page), "https://mail.example.org", 0);
    one_form_binds(&site, alice, "/second-factors/passkey", &[("answer", &answer), ("name", "Key")]).await;
}

async fn one_form_binds(site: &Site, mut alice: Browser<'_>, path: &str, fields: &[(&str, &str)]) {
    let token = alice.token().await;
    let forms = FIFTY.map(|_| alice.form(path, fields, &token));
    let on = the_one(site.at_once(forms).await, |seen| seen.status == StatusCode::OK);
    alice.keep(&on);
    let list = alice.get("/second-factors").await;
    assert_eq!(list.all(r"/second-factors/([0-9a-f-]{36})/unbind").len(), 1, "{}", list.text);
    let codes = on.all(r"<li>([a-z2-9 ]+)</li>");
    assert_eq!(codes.len(), 10, "{}", on.text);
    // The others may have used up what may be answered wrongly.
    site.later(4 * 3600);
    let (mut elsewhere, token) = before_the_second_step(site, 1).await;
    let fields = [("use", "recovery"), ("code", &*codes[0])];
    let seen = elsewhere.post("/second-factor", &fields, &token).await;
    assert!(to_trust(&seen), "the codes that were shown are the ones: {}", seen.text);
}

/// Where another one takes the place of the one that is bound.
async fn change(browser: &mut Browser<'_>) -> String {
    browser.get("/second-factors").await.first(r"(/second-factors/[0-9a-f-]{36}/change)")
}

#[tokio::test(flavor = "multi_thread")]
async fn of_fifty_forms_that_replace_an_authenticator_one_does() {
    let site = Site::open().await;
    let (mut alice, ..) = site.bound(ALICE).await;
    let change = change(&mut alice).await;
    let key = alice.get(&change).await.first(r#"data-copy="([A-Z2-7]+)""#);
    let code = site.next_code(&key);
    one_form_replaces(&site, alice, &change, &[("code", &code)]).await;
    // The new one is the one that is asked.
    let (mut elsewhere, token) = before_the_second_step(&site, 1).await;
    let code = site.next_code(&key);
    let seen = elsewhere.post("/second-factor", &[("use", "totp"), ("code", &code)], &token).await;
    assert!(to_trust(&seen), "{}", seen.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_fifty_forms_that_replace_a_passkey_one_does() {
    let site = Site::open().await;
    let mut alice = site.signed_in(ALICE).await;
    passkeys::bind(&mut alice, 0).await;
    let change = change(&mut alice).await;
    let page = alice.get(&change).await;
    let (mut key, answer) = SoftKey::made(&passkeys::options(&page), "https://mail.example.org", 0);
    one_form_replaces(&site, alice, &change, &[("answer", &answer), ("name", "New")]).await;
    let (mut elsewhere, token) = before_the_second_step(&site, 1).await;
    let answer = key.used(&passkeys::options(&elsewhere.get("/second-factor").await));
    let seen = elsewhere.post("/second-factor", &[("use", "passkey"), ("answer", &answer)], &token).await;
    assert!(to_trust(&seen), "{}", seen.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_fifty_forms_that_replace_a_backup_mailbox_one_does() {
    let site = Site::with(OFFERED).await;
    let mut alice = site.signed_in(ALICE).await;
    bind_mailbox(&site, &mut alice).await;
    let change = change(&mut alice).await;
    let token = alice.token().await;
    let sent = alice.post(&change, &[("address", "second@163.com")], &token).await;
    assert_eq!(sent.leads_to(), Some(&*change), "{}", sent.text);
    one_form_replaces(&site, alice, &change, &[("code", &site.mailed())]).await;
    let (mut elsewhere, token) = before_the_second_step(&site, 1).await;
    elsewhere.post("/second-factor", &[("use", "mailbox"), ("send", "yes")], &token).await;
    let page = elsewhere.get("/second-factor?use=mailbox").await;
    assert!(page.text.contains("sec****@163.com"), "{}", page.text);
}

async fn one_form_replaces(site: &Site, mut alice: Browser<'_>, change: &str, fields: &[(&str, &str)]) {
    let token = alice.token().await;
    let forms = FIFTY.map(|_| alice.form(change, fields, &token));
    // What is to be replaced may be gone when the others look for it.
    let changed = |seen: &Seen| seen.leads_to() == Some("/second-factors?done=changed");
    let on = the_one_among(site.at_once(forms).await, &[404, 422, 429], changed);
    alice.keep(&on);
    let list = alice.get("/second-factors").await;
    let bound = list.all(r"(/second-factors/[0-9a-f-]{36}/change)");
    assert!(bound.len() == 1 && bound[0] != change, "{bound:?}");
    // The others may have used up what may be answered wrongly.
    site.later(4 * 3600);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_fifty_times_the_same_form_for_an_app_password_one_makes_one() {
    let site = Site::open().await;
    let mut alice = site.signed_in(ALICE).await;
    let form = alice.get("/app-passwords/new").await;
    let (once, token) = (once(&form), form.form_token());
    let fields = [("name", "Foxmail"), ("protocol", "imap"), ("once", &*once)];
    let forms = FIFTY.map(|_| alice.form("/app-passwords/new", &fields, &token));
    let (made, again): (Vec<_>, Vec<_>) =
        site.at_once(forms).await.into_iter().partition(|seen| seen.status == StatusCode::OK);
    assert_eq!(made.len(), 1);
    let told: Vec<_> = again.iter().map(|seen| (seen.status.as_u16(), seen.leads_to())).collect();
    assert_eq!(told, vec![(303, Some("/app-passwords?done=already-made")); 49]);
    let mut listed = alice.get("/app-passwords").await.all(r#"/app-passwords/([0-9a-f-]{36})""#);
    listed.dedup();
    assert_eq!(listed.len(), 1, "{listed:?}");
}
