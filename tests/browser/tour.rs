//! Pages that no story leads to: guides, what went wrong, and what is asked of whoever was away for a while.

use std::fs;
use std::process::Command;
use std::time::Duration;

use serde_json::json;

use crate::driver::{Browser, Language};
use crate::guides::guide_to_each_client;
use crate::lock::Lock;
use crate::support::{Gate, GateConfig};
use crate::world::{World, tell};

#[test]
fn guides_and_forms_in_chinese() {
    tell(guides_and_forms(Language::Chinese));
}

#[test]
fn guides_and_forms_in_english() {
    tell(guides_and_forms(Language::English));
}

async fn guides_and_forms(language: Language) {
    let mut world = with_help(language).await;
    let browser = &world.browser;
    for (path, name) in [("/guides", "guides-nobody"), ("/nothing", "error-404"), ("/sign-out", "error-405")]
    {
        browser.go(path).await;
        browser.picture(name).await;
    }
    world.give_mailbox_password().await;
    guide_to_each_client(&world).await;
    app_password_forms(&world).await;
    who_was_away(&mut world).await;
    world.browser.close().await;
}

#[test]
fn what_is_refused_is_told_in_chinese() {
    tell(refused(Language::Chinese));
}

#[test]
fn what_is_refused_is_told_in_english() {
    tell(refused(Language::English));
}

async fn refused(language: Language) {
    let mut world = with_help(language).await;
    world.give_mailbox_password().await;
    let (_, codes) = world.bind_totp().await;
    forms_that_are_refused(&world).await;
    old_form(&world, &codes[0]).await;
    more_often_than_people_do(&world.browser).await;
    world.browser.sign_out().await;
    world.browser.picture("signed-out").await;
    world.legacy.stop();
    world.give_mailbox_password().await;
    assert!(world.browser.has("[role=alert]").await);
    world.browser.picture("sign-in-unavailable").await;
    world.browser.close().await;
}

/// With words of the site's own.
async fn with_help(language: Language) -> World {
    let help = |config: GateConfig| {
        config
            .set(&["policy", "help_zh"], "手机丢失或无法登录？请带上证件到信息中心 101 室办理。")
            .set(
                &["policy", "help_en"],
                "Lost your phone, or cannot sign in? Bring your ID to room 101 of the IT centre.",
            )
            .set(&["policy", "contact"], "it@example.org")
    };
    World::begin(language, "tour", help).await
}

/// Whoever has bound nothing and signed in more than ten minutes ago gives the mailbox password once more.
async fn who_was_away(world: &mut World) {
    world.browser.go("/second-factors").await;
    world.browser.picture("second-factors-none").await;
    eleven_minutes_later(&mut world.gate);
    let browser = &world.browser;
    browser.go("/second-factors/totp").await;
    assert_eq!(browser.path().await, "/verify");
    browser.picture("verify-password").await;
    browser.fill("password", "not the mailbox password").await;
    browser.submit().await;
    assert!(browser.has("[role=alert]").await);
    browser.picture("verify-password-wrong").await;
    browser.fill("password", world.legacy.user(0).1).await;
    browser.submit().await;
    assert_eq!(browser.path().await, "/second-factors/totp", "on to what was to be changed");
}

/// Starts it again with another clock.
fn eleven_minutes_later(gate: &mut Gate) {
    let libraries = fs::read_dir("/usr/lib").expect("libraries").filter_map(Result::ok);
    let mut libraries = libraries.map(|entry| entry.path().join("faketime/libfaketimeMT.so.1"));
    let library = libraries.find(|path| path.exists()).expect("libfaketime is installed");
    gate.set_environment("LD_PRELOAD", &library.display().to_string());
    gate.set_environment("FAKETIME", "+660s");
    gate.set_environment("FAKETIME_DONT_FAKE_MONOTONIC", "1");
    gate.set_environment("NO_FAKE_STAT", "1");
    gate.start_again();
}

/// A new one that is wanted in a way in which there is none; a client that never comes.
async fn app_password_forms(world: &World) {
    let browser = &world.browser;
    browser.go("/app-passwords/new").await;
    browser.fill("name", "Foxmail").await;
    browser.click("details.more summary").await;
    for chosen in ["imap", "pop3", "smtp"] {
        browser.click(&format!("[name=protocol][value={chosen}]")).await;
    }
    browser.fill("networks", "the office").await;
    browser.picture("new-app-password-limits").await;
    browser.submit().await;
    assert!(browser.has("#protocols-problem").await && browser.has("#networks-problem").await);
    browser.picture("new-app-password-wrong").await;
    world.make_app_password("Outlook").await;
    let try_it = browser.attribute("a[href*='/try']", "href").await;
    browser.go(&format!("{try_it}?looks=75")).await;
    assert!(browser.has(".tone-warn").await, "it does not look for ever");
    browser.picture("try-nothing").await;
}

/// What a page of ours sends when it is old, or changed, or when the database is somebody else's for a while.
async fn forms_that_are_refused(world: &World) {
    let browser = &world.browser;
    browser.go("/second-factors").await;
    browser.press("a[href$='/rename']").await;
    browser.script("document.querySelector('[name=name]').value = 'x'.repeat(65);", Vec::new()).await;
    browser.submit().await;
    assert!(browser.has("#problem").await);
    browser.picture("rename-factor-bad").await;
    browser.script("document.querySelector('[name=name]').value = 'x'.repeat(70000);", Vec::new()).await;
    browser.submit().await;
    browser.picture("error-413").await;
    browser.go("/app-passwords/new").await;
    browser.fill("name", "Foxmail").await;
    browser.script("document.querySelector('[name=once]').value = '';", Vec::new()).await;
    browser.submit().await;
    browser.picture("error-400").await;
    browser.go("/second-factors").await;
    browser.press("a[href$='/rename']").await;
    browser.fill("name", "Phone").await;
    let lock = Lock::hold(&world.gate.directory().join("data/mailward.db"));
    browser.submit().await;
    drop(lock);
    assert!(browser.read(".hint").await.contains("503"));
    browser.picture("error-503").await;
}

/// Something with this browser's cookie asks for a page over and over; its owner hears of it, and goes on in a moment.
async fn more_often_than_people_do(browser: &Browser) {
    let cookies = browser.devtools("Network.getCookies", json!({})).await;
    let cookies = cookies["cookies"].as_array().expect("cookies").iter();
    let cookies = cookies.map(|one| {
        let (name, value) = (one["name"].as_str(), one["value"].as_str());
        format!("{}={}", name.expect("a name"), value.expect("a value"))
    });
    let cookies = cookies.collect::<Vec<_>>().join("; ");
    let pages = format!("{}/guides?[1-1000000]", browser.portal());
    let nowhere = ["--silent", "--insecure", "--fail-early", "--output", "/dev/null"];
    // It goes on until the browser has met what it takes away: one more page is free every quarter of a second.
    let mut greedy = Command::new("curl");
    let mut greedy = greedy.args(nowhere).args(["--cookie", &cookies, &pages]).spawn().expect("curl");
    for tries_left in (0..40).rev() {
        browser.go("/app-passwords").await;
        if browser.read("main").await.contains("429") {
            break;
        }
        assert!(tries_left > 0, "it is let through each time");
    }
    greedy.kill().and_then(|()| greedy.wait()).expect("its end");
    assert!(browser.read(".hint").await.contains("429"));
    browser.picture("error-429").await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    browser.go("/app-passwords").await;
    assert_eq!(browser.path().await, "/app-passwords", "still signed in");
    assert!(!browser.read("main").await.contains("429"));
}

/// In another tab the same person has signed in anew.
async fn old_form(world: &World, recovery_code: &str) {
    let browser = &world.browser;
    browser.go("/app-passwords/new").await;
    browser.fill("name", "Foxmail").await;
    let first = browser.open_tab().await;
    browser.go("/").await;
    browser.sign_out().await;
    world.enter(browser, recovery_code, false).await;
    browser.close_tab(first).await;
    browser.submit().await;
    assert!(browser.read(".hint").await.contains("403"));
    browser.picture("error-403").await;
    browser.go("/app-passwords").await;
    assert!(!browser.has("a.row-link").await, "nothing was made");
}
