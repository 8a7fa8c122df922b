//! What a site's policy says, as pages show it.

use axum::http::StatusCode;

use super::enrolment::once;
use super::harness::{ALICE, MAILBOX, Site};
use super::passkeys;

#[tokio::test]
async fn a_kind_that_is_offered_no_longer_is_not_replaced_and_another_takes_its_place() {
    let site = Site::open().await;
    let (mut alice, ..) = site.bound(ALICE).await;
    let list = alice.get("/second-factors").await;
    let id = list.first(r"/second-factors/([0-9a-f-]{36})/change");
    let (change, unbind) = (format!("/second-factors/{id}/change"), format!("/second-factors/{id}/unbind"));
    site.adopt("[policy]\nsecond_factor = \"required\"\nrequired_since = 2020-01-01\n");
    let page = alice.get(&unbind).await;
    assert!(page.text.contains(&change) && page.text.contains("You can replace it instead."));

    site.adopt(
        "[policy]\nsecond_factor = \"required\"\nrequired_since = 2020-01-01\nfactors = [\"passkey\"]\n",
    );
    assert_eq!(alice.get(&change).await.status, StatusCode::NOT_FOUND);
    let list = alice.get("/second-factors").await;
    assert!(list.text.contains(&unbind) && !list.text.contains("/change\""), "{}", list.text);
    for (language, words) in [("zh-CN", "请先再绑定一个"), ("en", "Bind another one first.")] {
        alice.language = language;
        let page = alice.get(&unbind).await;
        let token = alice.token().await;
        let refused = alice.post(&unbind, &[], &token).await;
        assert_eq!(refused.status, StatusCode::FORBIDDEN);
        for page in [page, refused] {
            assert!(page.text.contains(words) && !page.text.contains("/change\""), "{}", page.text);
            assert!(page.text.contains("class=\"button\" href=\"/second-factors/new\""), "{}", page.text);
        }
    }
    assert_eq!(alice.get("/second-factors/new").await.status, StatusCode::OK);
    let (_, bound) = passkeys::bind(&mut alice, 0).await;
    assert_eq!(bound.leads_to(), Some("/second-factors?done=bound"), "{}", bound.text);
    let page = alice.get(&unbind).await;
    let unbound = alice.post(&unbind, &[], &page.form_token()).await;
    assert_eq!(unbound.leads_to(), Some("/second-factors?done=unbound"), "{}", unbound.text);
    let list = alice.get("/second-factors").await;
    assert_eq!(list.all(r"/second-factors/([0-9a-f-]{36})/change").len(), 1, "{}", list.text);
}

#[tokio::test]
async fn before_the_last_factor_goes_it_is_said_whether_app_passwords_go_with_it() {
    let stops = "Your app password is deleted";
    let keeps = "Your app passwords stay valid";
    for (after, said, not_said) in [("stop", stops, keeps), ("keep", keeps, stops)] {
        let site = Site::with(&format!("[policy]\napp_passwords_after_unbind = \"{after}\"\n")).await;
        let (mut alice, ..) = site.bound(ALICE).await;
        let form = alice.get("/app-passwords/new").await;
        let fields = [("name", "Foxmail"), ("protocol", "imap"), ("once", &*once(&form))];
        let made = alice.post("/app-passwords/new", &fields, &form.form_token()).await;
        assert_eq!(made.status, StatusCode::OK, "{}", made.text);
        let id = alice.get("/second-factors").await.first(r"/second-factors/([0-9a-f-]{36})/unbind");
        let page = alice.get(&format!("/second-factors/{id}/unbind")).await;
        assert!(page.text.contains(said) && !page.text.contains(not_said), "{}", page.text);
    }
}

#[tokio::test]
async fn where_no_browser_is_trusted_nobody_is_asked_whether_it_shall_be() {
    let site = Site::with("[policy]\ntrusted_device = \"0\"\n").await;
    let (_, key, _) = site.bound(ALICE).await;
    let mut browser = site.browser();
    assert_eq!(browser.sign_in(ALICE, MAILBOX).await.leads_to(), Some("/second-factor"));
    let token = browser.token().await;
    let code = site.next_code(&key);
    let entered = browser.post("/second-factor", &[("use", "totp"), ("code", &code)], &token).await;
    assert_eq!(entered.leads_to(), Some("/"), "{}", entered.text);
    assert_eq!(browser.get("/trust").await.leads_to(), Some("/"));
    let token = browser.token().await;
    assert_eq!(browser.post("/trust", &[("trust", "yes")], &token).await.leads_to(), Some("/"));
    assert!(!browser.cookies.keys().any(|name| name.contains("device")), "{:?}", browser.cookies);
    let account =
        site.store.standing(&ALICE.to_owned().try_into().unwrap()).await.unwrap().unwrap().account.id;
    assert_eq!(site.store.trusted_devices(account).await.unwrap(), []);
    assert_eq!(browser.sign_in(ALICE, MAILBOX).await.leads_to(), Some("/second-factor"), "each time");
}

#[tokio::test]
async fn before_the_first_binding_it_is_said_what_will_be() {
    let site = Site::open().await;
    let mut alice = site.signed_in(ALICE).await;
    let page = alice.get("/second-factors/first").await;
    for said in [
        "Signing in here takes your mailbox password and the second factor.",
        "Mail clients get in with app passwords only.",
        "Connections that rest on the mailbox password, and your other signed-in browsers, end.",
        "You get ten recovery codes",
    ] {
        assert!(page.text.contains(said), "{said}: {}", page.text);
    }
}
