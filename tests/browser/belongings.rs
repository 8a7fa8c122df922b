//! My security: who is in, which of them is oneself, and how the others are thrown out one by one.

use crate::driver::{Browser, Language};
use crate::support::{Guest, Mail};
use crate::world::{World, is_out, tell};

/// What another browser says that it is, so that its owner can tell it from the first.
const FIREFOX: &str = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:145.0) Gecko/20100101 Firefox/145.0";

/// How pages call that one.
const NAME: &str = "Firefox 145 · Windows";

#[test]
fn who_is_in_is_listed_and_thrown_out_one_by_one_in_chinese() {
    tell(belongings(Language::Chinese));
}

#[test]
fn who_is_in_is_listed_and_thrown_out_one_by_one_in_english() {
    tell(belongings(Language::English));
}

async fn belongings(language: Language) {
    let world = World::begin(language, "belongings", |config| config).await;
    world.give_mailbox_password().await;
    mail_clients(&world).await;
    let (_, codes) = world.bind_totp().await;
    browsers(&world, &codes[0]).await;
    world.browser.close().await;
}

/// One that has an app password, and one that still uses the mailbox password and says what it is.
async fn mail_clients(world: &World) {
    let browser = &world.browser;
    let app_password = world.make_app_password("iPad").await;
    let mut tablet = world.stays_with(&app_password);
    let mut desk = Guest::at(&world.gate, Mail::Imap);
    assert!(desk.wire.imap("id", r#"ID ("name" "Foxmail" "version" "7.2")"#).contains("id OK"));
    let (user, mailbox_password) = world.legacy.user(0);
    let said = desk.log_in(user, mailbox_password);
    assert!(Mail::Imap.is_yes(&said), "{said}");

    let [from, ended] = match browser.language() {
        Language::Chinese => ["IMAP · 来自 127.0.0.1", "已断开连接"],
        Language::English => ["IMAP · from 127.0.0.1", "The session was ended"],
    };
    // Gates write the list once a second.
    until_listed(browser, &["Foxmail 7.2", "iPad"]).await;
    let details = browser.read_all("[aria-labelledby=live] .meta").await;
    assert!(details.iter().all(|detail| detail.starts_with(from)), "{details:?}");
    browser.picture("two-mail-clients").await;
    browser.press("form[action*='/sessions/'] button[aria-label*='Foxmail']").await;
    assert!(browser.read("[role=status]").await.contains(ended));
    assert_eq!(names(browser, "live").await, ["iPad"], "it is gone when the page says so");
    browser.picture("one-mail-client").await;
    is_out(&mut desk);
    assert!(tablet.wire.imap("still", "NOOP").contains("still OK"), "nobody else is");
}

/// A trusted one elsewhere, seen from here and from there.
async fn browsers(world: &World, recovery_code: &str) {
    let here = &world.browser;
    let [this_one, withdrawn, signed_out, gone, away] = match here.language() {
        Language::Chinese => ["当前浏览器", "已取消信任该设备", "该浏览器已退出", "已退出", "您已退出"],
        Language::English => [
            "This browser",
            "This device is not trusted any more",
            "The browser was signed out",
            "signed out",
            "You are signed out",
        ],
    };
    let elsewhere = Browser::open(here.portal(), here.language(), "belongings").await;
    elsewhere.pose_as(FIREFOX).await;
    world.enter(&elsewhere, recovery_code, true).await;
    here.go("/").await;
    elsewhere.go("/").await;
    for (browser, own) in [(here, "Chrome"), (&elsewhere, "Firefox")] {
        let mut listed = names(browser, "browsers").await;
        assert!(listed.contains(&NAME.to_owned()) && listed.len() == 2, "{listed:?}");
        listed.retain(|name| name.starts_with(own));
        assert_eq!(marked(browser, "browsers").await, listed, "each is marked where it is the current one");
        assert_eq!(names(browser, "devices").await, [NAME]);
        assert_eq!(browser.has("[aria-labelledby=devices] .badge").await, own == "Firefox");
        assert_eq!(browser.read("[aria-labelledby=browsers] .badge").await, this_one);
        assert_eq!(
            browser.read_all("form[action*='/browsers/']").await.len(),
            1,
            "nobody throws himself out by mistake"
        );
    }
    here.picture("two-browsers").await;

    // It is trusted no more, and stays in.
    here.press("form[action*='/devices/'] button[aria-label*='Firefox']").await;
    assert!(here.read("[role=status]").await.contains(withdrawn));
    assert!(!here.has("[aria-labelledby=devices] .row").await);
    elsewhere.go("/").await;
    assert_eq!(elsewhere.path().await, "/");

    // It is signed out: its next page is the way in, where it is asked for a code.
    here.press("form[action*='/browsers/'] button[aria-label*='Firefox']").await;
    assert!(here.read("[role=status]").await.contains(signed_out));
    let list = names(here, "browsers").await;
    assert_eq!(list.last().map(String::as_str), Some(NAME), "it was in, and is not any more");
    assert_eq!(here.read("[aria-labelledby=browsers] .row:last-child .badge").await, gone);
    assert!(!here.has("form[action*='/browsers/']").await);
    here.picture("one-browser").await;
    elsewhere.go("/app-passwords").await;
    assert_eq!(elsewhere.path().await, "/sign-in");
    assert!(elsewhere.read("[role=status]").await.contains(away));
    world.fill_in_mailbox_password(&elsewhere).await;
    assert_eq!(elsewhere.path().await, "/second-factor", "it is not trusted any more");
    elsewhere.close().await;
    here.go("/").await;
    assert_eq!(here.path().await, "/", "who has done it stays");
}

/// What a list shows, in its order.
async fn names(browser: &Browser, list: &str) -> Vec<String> {
    browser.read_all(&format!("[aria-labelledby={list}] .row strong")).await
}

/// Those of them that are said to be the current one.
async fn marked(browser: &Browser, list: &str) -> Vec<String> {
    browser.read_all(&format!("[aria-labelledby={list}] .row strong:has(+ .badge:not(.badge-quiet))")).await
}

/// Goes to the page until these clients are listed, in whatever order.
async fn until_listed(browser: &Browser, clients: &[&str]) {
    for _ in 0..60 {
        browser.go("/").await;
        let mut listed = names(browser, "live").await;
        listed.sort_unstable();
        if listed == clients {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(250)).await;
    }
    panic!("not all of {clients:?} are listed: {:?}", names(browser, "live").await);
}
