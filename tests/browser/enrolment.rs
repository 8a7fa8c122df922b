//! Where a first factor takes a link of an administrator's: without it, with it, and once it was used.

use crate::driver::{Browser, Language};
use crate::support::GateConfig;
use crate::world::{World, tell};

#[test]
fn a_link_lets_its_owner_bind_once_in_chinese() {
    tell(by_link(Language::Chinese));
}

#[test]
fn a_link_lets_its_owner_bind_once_in_english() {
    tell(by_link(Language::English));
}

async fn by_link(language: Language) {
    let by_link = |config: GateConfig| config.set(&["policy", "enrol_by"], "link");
    let world = World::begin(language, "enrolment", by_link).await;
    let (user, mailbox_password) = world.legacy.user(0);
    world.gate.cli(&["account", "add", user]).success();
    let browser = &world.browser;
    let [needs_link, link_void] = match language {
        Language::Chinese => ["首次绑定需要管理员提供的绑定链接", "此链接在这里无效"],
        Language::English => ["you need a link from your administrator", "This link does not help here"],
    };

    // The mailbox password alone binds nothing and makes nothing.
    world.give_mailbox_password().await;
    assert_eq!(browser.path().await, "/");
    assert!(browser.read(".notice.warn").await.contains(needs_link));
    assert!(!browser.has("main a[href*='/second-factors/'], main a[href$='/app-passwords/new']").await);
    browser.picture("home-needs-link").await;
    browser.go("/second-factors/first").await;
    assert!(browser.read(".notice.warn").await.contains(needs_link));
    assert!(!browser.has(".notice.good").await, "nobody is told to go straight on");
    browser.picture("needs-link").await;
    for closed in ["/second-factors/new", "/second-factors/totp", "/app-passwords/new"] {
        assert!(!browser.has(&format!("a[href$='{closed}']")).await, "{closed} is not offered");
    }
    for closed in ["/second-factors/totp", "/app-passwords/new"] {
        browser.go(closed).await;
        assert_eq!(browser.path().await, "/second-factors/first", "{closed} is closed");
    }

    // With the link, in a browser in which nobody is signed in.
    browser.sign_out().await;
    let link = invite(&world);
    browser.go(&link).await;
    assert_eq!(browser.path().await, "/sign-in");
    assert!(!browser.address().await.contains(&link[7..]), "the link is out of the address bar");
    browser.picture("sign-in-by-link").await;
    world.fill_in_mailbox_password(browser).await;
    assert_eq!(browser.path().await, "/second-factors/first", "the way leads on to the binding");
    assert!(!browser.has(".notice.warn").await);
    browser.picture("first-binding-by-link").await;
    browser.press("a[href$='/second-factors/new']").await;
    browser.picture("choose-by-link").await;
    browser.press("a[href$='/second-factors/totp']").await;
    world.bind_totp().await;
    assert!(!world.reads_mail(mailbox_password), "the mailbox password opens no client any more");

    // Somebody else finds the link, and has the mailbox password: there is a factor that he has not.
    let elsewhere = Browser::open(browser.portal(), language, "enrolment").await;
    elsewhere.go(&link).await;
    world.fill_in_mailbox_password(&elsewhere).await;
    assert_eq!(elsewhere.path().await, "/second-factor");
    elsewhere.go("/second-factors/totp").await;
    assert_eq!(elsewhere.path().await, "/second-factor");

    // Not even when the account needs a link again.
    world.gate.cli(&["factor", "unbind", user, "--reason", "lost phone"]).success();
    elsewhere.go(&link).await;
    world.fill_in_mailbox_password(&elsewhere).await;
    assert_eq!(elsewhere.path().await, "/second-factors/first");
    assert!(elsewhere.read(".notice.warn").await.contains(link_void), "it was used");
    elsewhere.picture("link-void").await;
    elsewhere.go("/second-factors/totp").await;
    assert_eq!(elsewhere.path().await, "/second-factors/first");

    // Another link does.
    elsewhere.go(&invite(&world)).await;
    assert_eq!(elsewhere.path().await, "/second-factors/first", "whoever is in goes straight on");
    assert!(!elsewhere.has(".notice.warn").await);
    elsewhere.go("/second-factors/totp").await;
    assert_eq!(elsewhere.path().await, "/second-factors/totp");
    elsewhere.close().await;
    world.browser.close().await;
}

/// An administrator's link for the first user: its path.
fn invite(world: &World) -> String {
    let made = world.gate.cli(&["factor", "invite", world.legacy.user(0).0, "--json"]).json();
    let url = made["url"].as_str().expect("a URL");
    url.strip_prefix(world.browser.portal()).expect("a link to the portal").to_owned()
}
