//! Passkeys, with an authenticator that the browser only pretends to have (W3C Web Authentication, section 11).

use crate::driver::Language;
use crate::world::{World, tell};

#[test]
fn a_passkey_from_binding_to_unbinding_in_chinese() {
    tell(passkey(Language::Chinese));
}

#[test]
fn a_passkey_from_binding_to_unbinding_in_english() {
    tell(passkey(Language::English));
}

async fn passkey(language: Language) {
    let world = World::begin(language, "passkeys", |config| config).await;
    let browser = &world.browser;
    let authenticator = browser.add_authenticator().await;
    world.give_mailbox_password().await;

    // Nobody confirms: nothing is bound, and the page says so.
    browser.go("/second-factors/new").await;
    browser.picture("choose-factor").await;
    browser.go("/second-factors/passkey").await;
    browser.picture("bind-passkey").await;
    browser.let_authenticator(&authenticator, false).await;
    browser.click("form[data-passkey] button").await;
    browser.until_shown("[data-when=cancelled]").await;
    browser.picture("bind-passkey-cancelled").await;
    browser.let_authenticator(&authenticator, true).await;
    browser.fill("name", "我的电脑").await;
    browser.submit().await;
    assert_eq!(browser.read_all(".codes li").await.len(), 10, "it is the first factor");
    browser.go("/second-factors").await;
    assert!(browser.read("main").await.contains("我的电脑"));
    browser.picture("second-factors-passkey").await;

    // The same authenticator has one already.
    browser.go("/second-factors/passkey").await;
    browser.click("form[data-passkey] button").await;
    browser.until_shown("[data-when=known]").await;

    // Password and passkey.
    browser.sign_out().await;
    browser.let_authenticator(&authenticator, false).await;
    world.give_mailbox_password().await;
    assert_eq!(browser.path().await, "/second-factor");
    browser.until_shown("[data-when=cancelled]").await;
    browser.picture("second-factor-passkey").await;
    browser.let_authenticator(&authenticator, true).await;
    browser.submit().await;
    assert_eq!(browser.path().await, "/trust");
    browser.press("button[value=no]").await;
    assert_eq!(browser.path().await, "/");

    // The passkey alone, and then the mailbox password once.
    browser.sign_out().await;
    browser.go("/sign-in").await;
    browser.picture("sign-in-with-passkeys").await;
    browser.let_authenticator(&authenticator, false).await;
    browser.press("a[href$='/sign-in/passkey']").await;
    browser.until_shown("[data-when=cancelled]").await;
    browser.picture("passkey-entry").await;
    browser.let_authenticator(&authenticator, true).await;
    browser.submit().await;
    assert_eq!(browser.path().await, "/");
    browser.picture("home-by-passkey").await;
    browser.go("/app-passwords/new").await;
    browser.fill("name", "Foxmail").await;
    browser.picture("new-app-password-asks").await;
    browser.fill("password", world.legacy.user(0).1).await;
    browser.submit().await;
    let app_password = browser.read_all(".secret span").await.join(" ");
    assert!(world.reads_mail(&app_password), "the mailbox password is sealed to it");

    browser.go("/second-factors").await;
    browser.press("a[href$='/rename']").await;
    browser.picture("rename-factor").await;
    browser.go("/second-factors").await;
    browser.press("a[href$='/unbind']").await;
    browser.picture("unbind-passkey").await;
    browser.submit().await;
    assert_eq!(browser.path().await, "/second-factors");
    assert!(!browser.has("a[href$='/unbind']").await);
    world.browser.close().await;
}
