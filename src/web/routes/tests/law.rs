//! What holds for every address, whatever it is for.

use axum::http::StatusCode;

use super::harness::{ALICE, BOB, Browser, MAILBOX, Site};
use super::mailbox::EVERY_KIND;
use crate::meters::PageAnswer;

/// Names nothing of anybody's.
pub(super) const NOBODYS: &str = "0193a1c2-0000-7000-8000-000000000001";

/// Every route of `routes/mod.rs`, and what it answers to.
pub(super) fn table() -> Vec<(&'static str, bool, bool)> {
    let table = include_str!("../mod.rs");
    let mut routes: Vec<_> = table
        .split(".route(")
        .skip(1)
        .map(|route| (route.split('"').nth(1).unwrap(), route.contains("get("), route.contains("post(")))
        .collect();
    routes.sort_unstable();
    assert!(routes.len() > 25, "{routes:?}");
    routes
}

/// The same with something for identifiers.
pub(super) fn routes() -> impl Iterator<Item = (String, bool, bool)> {
    table().into_iter().map(|(path, gets, posts)| {
        let path = path.replace("{id}", NOBODYS).replace("{link}", &"A".repeat(43));
        (path.replace("{slug}", "foxmail").replace("{name}", "style.css"), gets, posts)
    })
}

/// For everybody, signed in or not.
fn is_public(path: &str) -> bool {
    path.starts_with("/sign-in")
        || path == "/language"
        || path.starts_with("/guides")
        || path.starts_with("/assets/")
}

/// For mail clients, and for devices that hold a link: no session is looked at there.
pub(super) fn needs_no_session(path: &str) -> bool {
    let known = [
        "/.well-known/autoconfig/mail/config-v1.1.xml",
        "/mail/config-v1.1.xml",
        "/autodiscover/autodiscover.xml",
        "/Autodiscover/Autodiscover.xml",
    ];
    known.contains(&path) || path.starts_with("/apple/profile/")
}

#[tokio::test]
async fn what_needs_no_session_answers_everybody_alike() {
    let site = Site::open().await;
    let (mut nobody, mut alice) = (site.browser(), site.signed_in(ALICE).await);
    let before = alice.cookies.clone();
    let mut found = 0;
    for (path, gets, posts) in routes().filter(|(path, ..)| needs_no_session(path)) {
        found += 1;
        let mut answers = Vec::new();
        if gets {
            answers.push((nobody.get(&path).await, alice.get(&path).await));
        }
        if posts {
            for from in [None, Some("cross-site"), Some("same-origin")] {
                let fields = [("login", ALICE), ("password", MAILBOX)];
                answers.push((
                    nobody.post_bare(&path, &fields, from).await,
                    alice.post_bare(&path, &fields, from).await,
                ));
            }
        }
        for (of_nobody, of_alice) in answers {
            assert!(of_nobody.status.is_client_error(), "{path}: nothing is asked for");
            assert_eq!((of_nobody.status, &of_nobody.body), (of_alice.status, &of_alice.body), "{path}");
            assert!(!of_alice.text.contains(ALICE), "{path}");
            for seen in [of_nobody, of_alice] {
                assert!(seen.headers.get("set-cookie").is_none(), "{path}");
                assert_eq!(seen.headers["cache-control"], "no-store", "{path}");
            }
        }
    }
    assert_eq!(found, 5);
    assert!(nobody.cookies.is_empty() && alice.cookies == before);
}

#[tokio::test]
async fn who_is_not_signed_in_sees_nothing_but_the_way_in() {
    let site = Site::open().await;
    let mut nobody = site.browser();
    for (path, gets, posts) in routes().filter(|(path, ..)| !needs_no_session(path)) {
        if gets {
            let seen = nobody.get(&path).await;
            let way_in = seen.leads_to().is_some_and(|to| to.starts_with("/sign-in"));
            assert!(is_public(&path) && seen.status == StatusCode::OK || way_in, "{path}: {}", seen.status);
        }
        if posts && !is_public(&path) {
            let seen = nobody.post(&path, &[], "").await;
            let to = seen.leads_to().unwrap_or_else(|| panic!("{path}: {}", seen.status));
            assert!(to.starts_with("/sign-in"), "{path}: {to}");
        }
    }
}

#[tokio::test]
async fn no_form_of_another_site_or_another_session_does_anything() {
    let site = Site::open().await;
    let mut alice = site.signed_in(ALICE).await;
    let of_bob = site.signed_in(BOB).await.token().await;
    for (path, _, posts) in routes() {
        if !posts || needs_no_session(&path) {
            continue;
        }
        let mut from_elsewhere = Vec::new();
        for from in [None, Some("cross-site"), Some("same-site"), Some("none")] {
            from_elsewhere.push(alice.post_bare(&path, &[("language", "en")], from).await);
        }
        for seen in from_elsewhere {
            assert_eq!(seen.status, StatusCode::FORBIDDEN, "{path}");
            assert!(seen.text.contains("Error 403") && seen.headers.get("set-cookie").is_none());
        }
        if !is_public(&path) && path != "/second-factor" && path != "/trust" {
            for token in ["", "x", &of_bob] {
                let seen = alice.post(&path, &[], token).await;
                assert_eq!(seen.status, StatusCode::FORBIDDEN, "{path}");
            }
        }
    }
    let foreign = site.web.answers().find(|(answer, _)| *answer == PageAnswer::Foreign).unwrap().1;
    assert!(foreign > 100, "each of them is counted: {foreign}");
    // Nor by way of what everybody may send to.
    let token = alice.token().await;
    for path in ["/apple/profile/../../lock", "/apple/profile/%2e%2e/%2e%2e/lock", "/autodiscover/../lock"] {
        let seen = alice.post_bare(path, &[("form", &token)], Some("cross-site")).await;
        assert_eq!(seen.status, StatusCode::NOT_FOUND, "{path}");
    }
    assert_eq!(alice.get("/").await.status, StatusCode::OK);
}

#[tokio::test]
async fn no_step_is_taken_by_a_form_of_another_session_or_of_the_step_before() {
    let site = Site::open().await;
    let (mut bound, key, _) = site.bound(ALICE).await;
    let (of_bob, of_alice) = (site.signed_in(BOB).await.token().await, bound.token().await);
    let account =
        site.store.standing(&ALICE.to_owned().try_into().unwrap()).await.unwrap().unwrap().account.id;
    let mut browser = site.browser();
    assert_eq!(browser.sign_in(ALICE, MAILBOX).await.leads_to(), Some("/second-factor"));
    let own = browser.token().await;
    let code = site.next_code(&key);
    let right = [("use", "totp"), ("code", &*code)];
    for token in ["", "x", &of_bob, &of_alice] {
        let seen = browser.post("/second-factor", &right, token).await;
        assert_eq!(seen.status, StatusCode::FORBIDDEN, "{token}");
        assert!(seen.headers.get("set-cookie").is_none());
        assert_eq!(browser.get("/second-factor").await.status, StatusCode::OK, "nobody came a step further");
    }
    let seen = browser.post("/second-factor", &right, &own).await;
    assert_eq!(seen.leads_to(), Some("/trust"), "the code is good still: {}", seen.text);
    for token in ["", "x", &of_bob, &of_alice, &own] {
        for answer in ["yes", "no"] {
            let seen = browser.post("/trust", &[("trust", answer)], token).await;
            assert_eq!(seen.status, StatusCode::FORBIDDEN, "{token}");
            assert!(seen.headers.get("set-cookie").is_none());
            assert_eq!(browser.get("/trust").await.status, StatusCode::OK, "nobody came a step further");
        }
    }
    assert_eq!(site.store.trusted_devices(account).await.unwrap(), []);
    let token = browser.token().await;
    assert_eq!(browser.post("/trust", &[("trust", "no")], &token).await.leads_to(), Some("/"));
}

#[tokio::test]
async fn no_step_can_be_left_out() {
    let site = Site::open().await;
    let (_, key, _) = site.bound(ALICE).await;
    let mut browser = site.browser();
    assert_eq!(browser.sign_in(ALICE, MAILBOX).await.leads_to(), Some("/second-factor"));
    all_lead_to(&mut browser, "/second-factor", &["/sign-out", "/second-factor"]).await;
    let token = browser.token().await;
    let code = site.next_code(&key);
    let seen = browser.post("/second-factor?to=%2Flock", &[("use", "totp"), ("code", &code)], &token).await;
    assert_eq!(seen.leads_to(), Some("/trust?to=%2Flock"));
    assert_eq!(browser.get("/lock").await.leads_to(), Some("/trust?to=%2Flock"));
    all_lead_to(&mut browser, "/trust", &["/sign-out", "/trust"]).await;
    let token = browser.token().await;
    assert_eq!(browser.post("/trust", &[("trust", "no")], &token).await.leads_to(), Some("/"));
    assert_eq!(browser.get("/lock").await.status, StatusCode::OK);
}

/// Every address, but `open` ones and those that look at no session, leads to the step that comes next and does nothing else.
async fn all_lead_to(browser: &mut Browser<'_>, step: &str, open: &[&str]) {
    let mut tried = 0;
    for (path, gets, posts) in routes() {
        if is_public(&path) || needs_no_session(&path) || open.contains(&&*path) {
            continue;
        }
        let mut answers = Vec::new();
        if gets {
            answers.push(browser.get(&path).await);
        }
        if posts {
            let token = browser.token().await;
            answers.push(browser.post(&path, &[("trust", "yes"), ("name", "x")], &token).await);
        }
        for seen in answers {
            let to = seen.leads_to().unwrap_or_else(|| panic!("{path}: {}", seen.status));
            assert!(to == step || to.starts_with(&format!("{step}?")), "{path}: {to}");
            tried += 1;
        }
    }
    assert!(tried >= 20, "{tried}");
}

#[tokio::test]
async fn before_a_required_binding_nothing_else_is_open() {
    let site = Site::with("[policy]\nsecond_factor = \"required\"\nrequired_since = 2020-01-01\n").await;
    let mut alice = site.signed_in(ALICE).await;
    let open = [
        "/sign-out",
        "/verify",
        "/second-factors/first",
        "/second-factors/new",
        "/second-factors/totp",
        "/second-factors/passkey",
        "/second-factors/mailbox",
        "/app-passwords/new",
        // These say where the next step is, which is none.
        "/second-factor",
        "/trust",
    ];
    let watches = format!("/app-passwords/{NOBODYS}/try");
    let open: Vec<_> = open.into_iter().chain([&*watches]).collect();
    all_lead_to(&mut alice, "/second-factors/first", &open).await;
    let token = alice.token().await;
    for path in ["/second-factor", "/trust"] {
        assert_eq!(alice.get(path).await.leads_to(), Some("/"), "{path}");
        let seen = alice.post(path, &[("trust", "yes"), ("code", "000000")], &token).await;
        assert_eq!(seen.leads_to(), Some("/"), "{path}");
    }
    assert_eq!(alice.get(&watches).await.status, StatusCode::NOT_FOUND);
    let account =
        site.store.standing(&ALICE.to_owned().try_into().unwrap()).await.unwrap().unwrap().account.id;
    assert_eq!(site.store.app_passwords(account).await.unwrap(), []);
    assert_eq!(site.store.factors(account).await.unwrap(), []);
}

#[tokio::test]
async fn what_changes_something_wants_a_fresh_verification_and_goes_on_after_it() {
    let site = Site::open().await;
    let (mut browser, key, _) = site.bound(ALICE).await;
    site.later(601);
    let token = browser.token().await;
    for (path, _, posts) in routes() {
        let lasts = ["/sign-out", "/verify", "/second-factor", "/trust"];
        if posts && !is_public(&path) && !needs_no_session(&path) && !lasts.contains(&&*path) {
            let seen = browser.post(&path, &[("name", "x"), ("protocol", "imap")], &token).await;
            let to = seen.leads_to().unwrap_or_else(|| panic!("{path}: {}", seen.status));
            assert!(to == "/verify" || to.starts_with("/verify?to=%2F"), "{path}: {to}");
        }
    }
    assert_eq!(browser.get("/lock").await.leads_to(), Some("/verify?to=%2Flock"));
    let seen = browser.get("/verify?to=%2Flock").await;
    let wrong = browser.post("/verify?to=%2Flock", &[("code", "000000")], &seen.form_token()).await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(wrong.text.contains("This code is wrong"));
    let before = browser.cookies.clone();
    let code = site.next_code(&key);
    let seen = browser.post("/verify?to=%2Flock", &[("code", &code)], &seen.form_token()).await;
    assert_eq!(seen.leads_to(), Some("/lock?done=verified"));
    assert_ne!(browser.cookies, before, "another token with more rights");
    assert_eq!(browser.get("/lock").await.status, StatusCode::OK);
}

/// What shows something and offers no change; everything else that answers to GET comes after a fresh verification.
const SHOWS: [&str; 10] = [
    "/",
    "/second-factor",
    "/trust",
    "/verify",
    "/second-factors",
    "/second-factors/first",
    "/enrol/{link}",
    "/app-passwords",
    "/app-passwords/{id}",
    "/app-passwords/{id}/try",
];

#[tokio::test]
async fn a_page_that_offers_a_change_wants_a_fresh_verification_and_comes_after_it() {
    let site = Site::with(EVERY_KIND).await;
    let ((mut bound, key, _), mut unbound) = (site.bound(ALICE).await, site.signed_in(BOB).await);
    let id = bound.get("/second-factors").await.first(r"/second-factors/([0-9a-f-]{36})/unbind");
    site.later(601);
    let fresh_only: Vec<_> = table()
        .into_iter()
        .filter(|(path, gets, _)| *gets && !is_public(path) && !needs_no_session(path))
        .filter(|(path, ..)| !SHOWS.contains(path))
        .map(|(path, ..)| path.replace("{id}", &id))
        .collect();
    assert_eq!(fresh_only.len(), 10, "{fresh_only:?}");
    for browser in [&mut bound, &mut unbound] {
        for path in &fresh_only {
            let seen = browser.get(path).await;
            let to_verify = format!("/verify?to={}", path.replace('/', "%2F"));
            assert_eq!(seen.leads_to(), Some(&*to_verify), "{path}: {}", seen.text);
        }
        for path in SHOWS.iter().filter(|path| !path.contains("{id}")) {
            let seen = browser.get(path).await;
            assert!(!seen.leads_to().is_some_and(|to| to.starts_with("/verify")), "{path}");
        }
    }
    let (token, code) = (bound.token().await, site.next_code(&key));
    let verified = bound.post("/verify", &[("code", &code)], &token).await;
    assert_eq!(verified.leads_to(), Some("/?done=verified"), "{}", verified.text);
    let token = unbound.token().await;
    let verified = unbound.post("/verify", &[("password", MAILBOX)], &token).await;
    assert_eq!(verified.leads_to(), Some("/?done=verified"), "{}", verified.text);
    for path in fresh_only {
        assert_eq!(bound.get(&path).await.status, StatusCode::OK, "{path}");
        let theirs = if path.contains(&id) { StatusCode::NOT_FOUND } else { StatusCode::OK };
        assert_eq!(unbound.get(&path).await.status, theirs, "{path}");
    }
}

#[tokio::test]
async fn where_no_second_factor_is_bound_the_mailbox_password_is_asked_for_again() {
    let site = Site::open().await;
    let mut browser = site.signed_in(ALICE).await;
    assert_eq!(browser.get("/lock").await.status, StatusCode::OK);
    site.later(600);
    let token = browser.token().await;
    for path in ["/app-passwords/new", "/second-factors/totp", "/lock"] {
        let seen = browser.post(path, &[("name", "x"), ("protocol", "imap"), ("once", "1")], &token).await;
        let to = seen.leads_to().unwrap_or_else(|| panic!("{path}: {}", seen.status));
        assert!(to == "/verify" || to.starts_with("/verify?to=%2F"), "{path}: {to}");
    }
    let seen = browser.get("/verify?to=%2Flock").await;
    assert!(seen.text.contains(r#"name="password""#));
    let form = seen.form_token();
    for password in ["", "wrong"] {
        let wrong = browser.post("/verify?to=%2Flock", &[("password", password)], &form).await;
        assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
        assert!(wrong.text.contains("This is not your mailbox password"));
    }
    assert!(browser.get("/lock").await.leads_to().is_some(), "a wrong one opens nothing");
    let before = browser.cookies.clone();
    let seen = browser.post("/verify?to=%2Flock", &[("password", MAILBOX)], &form).await;
    assert_eq!(seen.leads_to(), Some("/lock?done=verified"));
    assert_ne!(browser.cookies, before, "another token with more rights");
    assert_eq!(browser.get("/lock").await.status, StatusCode::OK);
}

/// Every form of the portal, with everything in it that could be right, once the limits are used up.
#[tokio::test]
async fn no_address_is_a_side_door_past_the_limits() {
    let site = Site::open().await;
    let (mut browser, key, codes) = site.bound(ALICE).await;
    let account =
        site.store.standing(&ALICE.to_owned().try_into().unwrap()).await.unwrap().unwrap().account.id;
    let offered = browser.get("/second-factors/totp").await;
    let offered = offered.first(r#"data-copy="([A-Z2-7]+)""#);
    let mut on_the_way = site.browser();
    on_the_way.sign_in(ALICE, MAILBOX).await;
    let token = browser.token().await;
    let mut answers = Vec::new();
    for _ in 0..12 {
        let wrong = [("use", "totp"), ("code", "000000")];
        answers.push(browser.post("/verify", &wrong, &token).await.status);
    }
    assert_eq!(answers.last(), Some(&StatusCode::TOO_MANY_REQUESTS), "{answers:?}");

    let bound = site.store.factors(account).await.unwrap();
    let (own, new) = (site.next_code(&key), site.code(&offered));
    let mut tried = 0;
    for (path, _, posts) in routes() {
        if !posts || path == "/sign-out" {
            continue;
        }
        let path = path.replace(NOBODYS, &bound[0].id.to_string());
        for (ask, code) in [("totp", &own), ("totp", &new), ("recovery", &codes[0])] {
            let renames = path.starts_with("/second-factors/") && path.ends_with("/rename");
            if renames || path.ends_with("/unbind") || path == "/second-factors/recovery" || path == "/lock" {
                continue; // they take no code, and would change what is looked at below
            }
            for browser in [&mut browser, &mut on_the_way] {
                let token = browser.token().await;
                let fields =
                    [("use", ask), ("code", code), ("trust", "yes"), ("name", "x"), ("protocol", "imap")];
                browser.post(&path, &fields, &token).await;
                tried += 1;
            }
            assert_eq!(site.store.factors(account).await.unwrap(), bound, "{path} took a code");
            assert_eq!(site.store.recovery_codes_left(account).await.unwrap(), 10, "{path} took a code");
        }
    }
    assert!(tried > 50, "{tried}");
    let to = on_the_way.get("/lock").await.leads_to().map(str::to_owned);
    assert_eq!(to.as_deref(), Some("/second-factor?to=%2Flock"), "nobody came a step further");

    for number in 0..10 {
        site.browser().sign_in(BOB, &format!("guess {number}")).await;
    }
    let right = site.browser().sign_in(BOB, MAILBOX).await;
    assert_eq!(right.status, StatusCode::TOO_MANY_REQUESTS, "the mailbox password has one door, too");
}

#[tokio::test]
async fn every_answer_tells_the_browser_what_it_must_not_do() {
    let site = Site::open().await;
    let mut alice = site.signed_in(ALICE).await;
    for path in [
        "/",
        "/nothing",
        "/assets/style.css",
        "/guides/none",
        "/app-passwords/%ff",
        "/%00",
        "/sign-out",
        "/apple/profile/x",
        "/apple/profile/%ff",
        "/mail/config-v1.1.xml?emailaddress=x@example.org",
    ] {
        let seen = alice.get(path).await;
        let headers = &seen.headers;
        assert!(
            headers["content-security-policy"].to_str().unwrap().contains("default-src 'none'"),
            "{path}"
        );
        assert_eq!(headers["strict-transport-security"], "max-age=63072000");
        assert_eq!(headers["x-content-type-options"], "nosniff");
        let referrers = if path.starts_with("/apple") { "no-referrer" } else { "same-origin" };
        assert_eq!(headers["referrer-policy"], referrers, "{path}");
        let kept = headers["cache-control"].to_str().unwrap();
        assert_eq!(kept.starts_with("public"), path.starts_with("/assets/"), "{path}");
        let page = seen.status == StatusCode::OK || seen.text.starts_with("<!doctype html>");
        assert!(page, "{path}: {} {}", seen.status, seen.text);
    }
    assert_eq!(alice.get("/sign-out").await.status, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(alice.get("/assets/../mod.rs").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn nobody_is_led_to_a_place_that_is_not_ours() {
    let site = Site::open().await;
    let mut alice = site.signed_in(ALICE).await;
    for elsewhere in ["//evil.example", "https://evil.example/", "/\\evil.example"] {
        let encoded: String = elsewhere.bytes().map(|byte| format!("%{byte:02x}")).collect();
        assert_eq!(alice.get(&format!("/sign-in?to={encoded}")).await.leads_to(), Some("/"));
        for (to, onward, leads_to) in [(elsewhere, "", "/"), ("/verify", elsewhere, "/verify")] {
            let fields = [("language", "zh-Hans"), ("to", to), ("onward", onward), ("use", elsewhere)];
            let seen = alice.post_bare("/language", &fields, Some("same-origin")).await;
            assert_eq!(seen.leads_to(), Some(leads_to));
        }
    }
}
