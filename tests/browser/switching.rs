//! The other language, by the button at the top of every page.

use crate::driver::{Browser, Language};
use crate::world::{Authenticator, World, tell};

/// On every page that can be shown again.
const SWITCH: &str = "form[action$='/language'] button";

#[test]
fn a_language_that_is_chosen_stays_and_the_page_stays_with_it() {
    tell(async {
        let world = World::begin(Language::Chinese, "switching", |config| config).await;
        let browser = &world.browser;

        // At the door; whoever was on the way to somewhere still is.
        browser.go("/app-passwords").await;
        shows(browser, "/sign-in", "登录", "zh-Hans").await;
        switch(browser, "English").await;
        shows(browser, "/sign-in", "Sign in", "en").await;
        world.fill_in_mailbox_password(browser).await;
        // After signing in, too, and on all other pages.
        shows(browser, "/app-passwords", "App passwords", "en").await;
        browser.go("/guides/huawei").await;
        shows(browser, "/guides/huawei", "Huawei Mail", "en").await;

        // Where something is half done: a key that was scanned is still the one.
        browser.go("/second-factors/totp").await;
        let key = browser.read("#key").await;
        shows(browser, "/second-factors/totp", "Bind an authenticator app", "en").await;
        switch(browser, "简体中文").await;
        shows(browser, "/second-factors/totp", "绑定验证器应用", "zh-Hans").await;
        assert_eq!(browser.read("#key").await, key);
        browser.fill("code", &Authenticator::with(&key).code().await).await;
        browser.submit().await;
        let codes = browser.read_all(".codes li").await;
        assert_eq!(codes.len(), 10);
        assert!(!browser.has(SWITCH).await, "what is shown once cannot be shown again in other words");

        // In the middle of signing in; and whoever was asked in another way still is.
        browser.sign_out().await;
        shows(browser, "/sign-in", "登录", "zh-Hans").await;
        browser.go("/lock").await;
        world.fill_in_mailbox_password(browser).await;
        browser.click("details.others summary").await;
        browser.press("a[href*='use=recovery']").await;
        switch(browser, "English").await;
        shows(browser, "/second-factor", "Confirm that it is you", "en").await;
        assert_eq!(browser.attribute("[name=use]", "value").await, "recovery");
        browser.fill("code", &codes[0]).await;
        browser.submit().await;
        shows(browser, "/trust", "Trust this device?", "en").await;
        switch(browser, "简体中文").await;
        shows(browser, "/trust", "信任此设备？", "zh-Hans").await;
        browser.press("button[value=no]").await;
        // Where the way was to lead.
        shows(browser, "/lock", "确认一键锁定？", "zh-Hans").await;
        world.browser.close().await;
    });
}

/// Presses it; it says what it leads to in that language's own word.
async fn switch(browser: &Browser, name: &str) {
    assert_eq!(browser.read(SWITCH).await, name);
    browser.press(SWITCH).await;
}

/// Where it is, under which heading, and in which language the page says that it is.
async fn shows(browser: &Browser, path: &str, heading: &str, language: &str) {
    let shown = (browser.path().await, browser.read("h1").await, browser.attribute("html", "lang").await);
    assert_eq!((shown.0.as_str(), shown.1.as_str(), shown.2.as_str()), (path, heading, language));
}
