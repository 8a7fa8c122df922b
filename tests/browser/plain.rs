//! The portal without scripts: forms and links do it all.

use crate::driver::{Browser, Language};
use crate::world::{World, tell};

#[test]
fn everything_but_passkeys_works_without_scripts_in_chinese() {
    tell(without_scripts(Language::Chinese));
}

#[test]
fn everything_but_passkeys_works_without_scripts_in_english() {
    tell(without_scripts(Language::English));
}

async fn without_scripts(language: Language) {
    let mut world = World::begin(language, "plain", |config| config).await;
    let url = world.browser.portal().to_owned();
    let scripted =
        std::mem::replace(&mut world.browser, Browser::without_scripts(&url, language, "plain").await);
    scripted.close().await;
    let browser = &world.browser;
    let mailbox_password = world.legacy.user(0).1;

    world.give_mailbox_password().await;
    assert_eq!(browser.path().await, "/");
    browser.press("main a[href$='/second-factors/first']").await;
    browser.press("main a[href$='/second-factors/new']").await;
    browser.press("main a[href$='/second-factors/passkey']").await;
    assert!(
        browser.read("noscript .notice").await.contains("JavaScript"),
        "this alone takes a script, and says so"
    );
    assert!(browser.has("form[data-passkey][hidden]").await);
    browser.go("/second-factors/new").await;
    browser.press("main a[href$='/second-factors/totp']").await;
    let (_, codes) = world.bind_totp().await;
    assert!(
        !browser.has("button.print:not([hidden]), button.copy:not([hidden])").await,
        "what takes a script is not offered"
    );
    assert!(!world.reads_mail(mailbox_password));
    browser.press("main a[href$='/app-passwords']").await;
    browser.press("main a[href$='/app-passwords/new']").await;
    browser.fill("name", "Foxmail").await;
    browser.submit().await;
    let app_password = browser.read_all(".secret span").await.join(" ");
    let try_it = browser.attribute("a[href*='/try']", "href").await;
    world.watch_first_login(&try_it, &app_password).await;
    browser.sign_out().await;
    world.enter(browser, &codes[0], false).await;
    browser.press(".tabs a[href$='/app-passwords']").await;
    browser.press("a.row-link").await;
    browser.press("form[action$='/delete'] button").await;
    let deleted = match language {
        Language::Chinese => "已删除",
        Language::English => "Deleted",
    };
    assert!(browser.read("[role=status]").await.contains(deleted));
    assert!(!world.reads_mail(&app_password));
    world.browser.close().await;
}
