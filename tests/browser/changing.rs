//! Another authenticator app in the place of the one that is bound, and other recovery codes in the place of the first.

use crate::driver::{Browser, Language};
use crate::world::{Authenticator, World, tell};

#[test]
fn another_app_takes_the_place_of_the_old_one_in_chinese() {
    tell(another_app(Language::Chinese));
}

#[test]
fn another_app_takes_the_place_of_the_old_one_in_english() {
    tell(another_app(Language::English));
}

async fn another_app(language: Language) {
    let world = World::begin(language, "changing", |config| config).await;
    let browser = &world.browser;
    world.give_mailbox_password().await;
    let (mut old, codes) = world.bind_totp().await;
    browser.sign_out().await;
    world.enter(browser, &codes[0], true).await;
    let elsewhere = Browser::open(browser.portal(), language, "changing").await;
    world.enter(&elsewhere, &codes[1], true).await;

    // The code that the old app shows is good for nothing here: the new key is not the old one.
    browser.go("/second-factors").await;
    browser.press("a[href$='/change']").await;
    browser.picture("change-totp").await;
    let mut new = Authenticator::with(&browser.read("#key").await);
    let shown_by_old = old.code().await;
    browser.fill("code", &shown_by_old).await;
    browser.submit().await;
    assert!(browser.has("[role=alert]").await, "it is another key");
    browser.picture("change-totp-wrong").await;
    elsewhere.go("/").await;
    assert_eq!(elsewhere.path().await, "/", "nothing has changed yet");
    browser.fill("code", &new.code().await).await;
    browser.submit().await;
    assert_eq!(browser.path().await, "/second-factors");
    let done = match language {
        Language::Chinese => "已换绑到新的验证方式",
        Language::English => "Changed: the new second factor is bound",
    };
    assert!(browser.read("[role=status]").await.contains(done));
    assert_eq!(browser.read_all("a[href$='/unbind']").await.len(), 1, "the old one is gone");
    browser.picture("changed-totp").await;

    // Whoever else was in is out, and no browser is trusted any more.
    elsewhere.go("/app-passwords").await;
    assert_eq!(elsewhere.path().await, "/sign-in");
    elsewhere.picture("signed-out-by-change").await;
    world.fill_in_mailbox_password(&elsewhere).await;
    assert_eq!(elsewhere.path().await, "/second-factor", "it is not trusted any more");
    elsewhere.fill("code", &shown_by_old).await;
    elsewhere.submit().await;
    assert!(elsewhere.has("[role=alert]").await, "the old app opens nothing");
    elsewhere.fill("code", &new.code().await).await;
    elsewhere.submit().await;
    assert_eq!(elsewhere.path().await, "/trust", "the new one does");
    elsewhere.close().await;
    browser.go("/").await;
    assert_eq!(browser.path().await, "/", "who has changed it stays");
    assert!(!browser.has("form[action*='/devices/']").await);
    browser.sign_out().await;
    world.give_mailbox_password().await;
    assert_eq!(browser.path().await, "/second-factor", "nor is this one");
    world.browser.close().await;
}

#[test]
fn recovery_codes_are_kept_printed_and_made_anew_in_chinese() {
    tell(recovery_codes(Language::Chinese));
}

#[test]
fn recovery_codes_are_kept_printed_and_made_anew_in_english() {
    tell(recovery_codes(Language::English));
}

async fn recovery_codes(language: Language) {
    let world = World::begin(language, "recovery", |config| config).await;
    let browser = &world.browser;
    let user = world.legacy.user(0).0;
    world.give_mailbox_password().await;
    let (_, old) = world.bind_totp().await;
    browser.go("/second-factors").await;
    browser.press("form[action$='/recovery'] button").await;
    browser.picture("recovery-codes-anew").await;
    let new = browser.read_all(".codes li").await;
    assert_eq!(new.len(), 10);
    assert!(new.iter().all(|code| !old.contains(code)), "all of them are others");

    // The file that arrives says whose they are, and has all of them.
    browser.click("a[download]").await;
    let file = browser.downloaded(match language {
        Language::Chinese => "恢复码.txt",
        Language::English => "recovery-codes.txt",
    });
    let file = file.await;
    let (head, lines) = file.split_once("\n\n").expect("a head and codes");
    assert!(head.contains(user), "{head}");
    assert_eq!(lines.lines().collect::<Vec<_>>(), new);

    // So does the paper, which has nothing else to press or to follow.
    browser.script("window.print = () => { document.title = 'printed'; };", Vec::new()).await;
    browser.click("button.print").await;
    assert_eq!(browser.script("return document.title;", Vec::new()).await, "printed");
    browser.on_paper("recovery-codes").await;
    assert_eq!(browser.read_all(".codes li").await, new, "they are there to be read");
    assert!(browser.read(".print-only").await.contains(user));
    let rest = "return [...document.querySelectorAll('a, button, [role=alert], .notice')].filter((one) => one.checkVisibility()).length;";
    assert_eq!(browser.script(rest, Vec::new()).await, 0);

    // Each of the new is good, none of the old.
    browser.on_screen().await;
    browser.sign_out().await;
    world.give_mailbox_password().await;
    for code in &old[..2] {
        browser.go("/second-factor?use=recovery").await;
        browser.fill("code", code).await;
        browser.submit().await;
        assert!(browser.has("[role=alert]").await, "the old ones are good no more");
        browser.picture("recovery-code-wrong").await;
    }
    world.enter(browser, &new[9], false).await;
    browser.picture("home-with-nine-codes").await;
    world.browser.close().await;
}
