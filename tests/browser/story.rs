//! The whole way of one person: sign in, an app password, a second factor, a trusted browser, and out again.

use crate::driver::{Browser, Language};
use crate::world::{Authenticator, World, tell};

/// Lets nothing happen in the page that should in a second or later: this machine may be slower than that moment is long.
const STAND_STILL: &str = "
    const [set, clear] = [setTimeout.bind(window), clearTimeout.bind(window)];
    window.later = new Map();
    window.presses = 0;
    window.setTimeout = (act, delay) => {
      if (!(delay >= 1000)) return set(act, delay);
      presses += 1;
      later.set(-presses, act);
      return -presses;
    };
    window.clearTimeout = (one) => later.delete(one) || clear(one);";

/// Puts nothing into the clipboard, as a browser whose owner does not let pages.
const REFUSE: &str = "
    navigator.clipboard.writeText = () => Promise.reject(new DOMException('no', 'NotAllowedError'));";

#[test]
fn the_whole_way_in_chinese() {
    tell(whole_way(Language::Chinese));
}

#[test]
fn the_whole_way_in_english() {
    tell(whole_way(Language::English));
}

async fn whole_way(language: Language) {
    let world = World::begin(language, "whole-way", |config| config).await;
    let browser = &world.browser;
    let (user, mailbox_password) = world.legacy.user(0);
    browser.go("/").await;
    assert_eq!(browser.path().await, "/sign-in", "who is not signed in has to");
    let title = browser.read("h1").await;
    assert_eq!(title, if language == Language::Chinese { "登录" } else { "Sign in" });
    browser.picture("sign-in").await;

    browser.fill("login", user).await;
    browser.fill("password", "not the mailbox password").await;
    browser.submit().await;
    assert!(browser.has("[role=alert]").await, "a wrong password is told");
    browser.picture("sign-in-wrong").await;

    world.give_mailbox_password().await;
    browser.picture("home-unbound").await;

    // An app password works before anything is bound.
    let app_password = world.make_app_password("Foxmail").await;
    let link = browser.attribute("#device-link", "href").await;
    assert_eq!(browser.scan("created-app-password").await, link, "for the camera of a phone");
    copies(browser, &app_password).await;
    let try_it = browser.attribute("a[href*='/try']", "href").await;
    browser.go(&try_it).await;
    browser.picture("try-waiting").await;
    world.watch_first_login(&try_it, &app_password).await;
    browser.picture("try-seen").await;
    assert!(world.reads_mail(mailbox_password), "nothing is bound yet");

    sets_up_a_device(&world).await;

    browser.go("/second-factors/first").await;
    browser.picture("first-binding").await;
    browser.go("/second-factors/totp").await;
    browser.picture("bind-totp").await;
    let key = browser.read("#key").await;
    let scanned = browser.scan("bind-totp").await;
    assert_eq!(scanned, browser.attribute("a[href^='otpauth:']", "href").await, "an app takes either");
    let secret = key.split_whitespace().collect::<String>();
    assert!(scanned.split(['?', '&']).any(|part| part == format!("secret={secret}")), "{scanned}");
    browser.fill("code", "000000").await;
    browser.submit().await;
    assert!(browser.has("[role=alert]").await, "a wrong code binds nothing");
    assert_eq!(browser.read("#key").await, key, "the key that was scanned is still the one");
    let mut authenticator = Authenticator::with(&key);
    browser.fill("code", &authenticator.code().await).await;
    browser.submit().await;
    browser.picture("recovery-codes").await;
    let codes = browser.read_all(".codes li").await;
    assert_eq!(codes.len(), 10);
    assert!(!world.reads_mail(mailbox_password), "the mailbox password opens no client any more");
    assert!(world.reads_mail(&app_password));
    for (path, name) in [
        ("/", "home"),
        ("/second-factors", "second-factors"),
        ("/app-passwords", "app-passwords"),
        ("/guides", "guides"),
        ("/lock", "lock"),
    ] {
        browser.go(path).await;
        browser.picture(name).await;
    }

    // Once more, with the second factor.
    browser.sign_out().await;
    browser.go("/app-passwords").await;
    assert_eq!(browser.path().await, "/sign-in", "signed out");
    world.give_mailbox_password().await;
    assert_eq!(browser.path().await, "/second-factor");
    browser.go("/app-passwords").await;
    assert_eq!(browser.path().await, "/second-factor", "no step can be skipped");
    browser.picture("second-factor").await;
    browser.fill("code", "000000").await;
    browser.submit().await;
    assert!(browser.has("[role=alert]").await);
    browser.fill("code", &authenticator.code().await).await;
    browser.submit().await;
    assert_eq!(browser.path().await, "/trust");
    browser.picture("trust").await;
    browser.press("button[value=yes]").await;

    // The browser is trusted now, and asked before it changes something.
    browser.sign_out().await;
    world.give_mailbox_password().await;
    assert_ne!(browser.path().await, "/second-factor", "it is trusted");
    browser.go("/app-passwords/new").await;
    assert_eq!(browser.path().await, "/verify", "trusted, and asked all the same");
    browser.picture("verify").await;
    browser.go("/verify?use=recovery").await;
    browser.fill("code", &codes[0].to_uppercase()).await;
    browser.submit().await;

    // Trust is withdrawn; the lost phone's codes work once each.
    browser.go("/").await;
    browser.press("form[action*='/devices/'] button").await;
    browser.sign_out().await;
    world.give_mailbox_password().await;
    assert_eq!(browser.path().await, "/second-factor", "trusted no longer");
    for (code, good) in [(&codes[0], false), (&codes[1], true)] {
        browser.go("/second-factor?use=recovery").await;
        browser.picture("second-factor-recovery").await;
        browser.fill("code", code).await;
        browser.submit().await;
        assert_eq!(browser.path().await == "/trust", good, "each is good once");
    }
    browser.press("button[value=no]").await;

    // Out of everything again.
    browser.go("/second-factors").await;
    browser.press("a[href$='/unbind']").await;
    browser.picture("unbind").await;
    browser.submit().await;
    assert!(world.reads_mail(mailbox_password), "as before");
    assert!(!world.reads_mail(&app_password), "app passwords stop with the last factor");
    browser.go("/").await;
    browser.picture("home-after").await;
    world.browser.close().await;
}

/// The link beside an app password: a page that takes nothing by being looked at, and a button that works once.
async fn sets_up_a_device(world: &World) {
    let browser = &world.browser;
    world.make_app_password("iPhone").await;
    let link = browser.attribute("#device-link", "href").await;
    let link = link.strip_prefix(browser.portal()).expect("a link to the portal").to_owned();
    for _ in 0..2 {
        browser.go(&link).await;
        assert_eq!(browser.read(".device").await, world.legacy.user(0).0);
    }
    browser.picture("device").await;
    // A download leads to no page.
    browser.click("form.once button").await;
    let fetched = ["audit", "search", "--event", "profile_fetched"];
    for _ in 0..60 {
        if !world.gate.cli(&fetched).success().starts_with("no records") {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    }
    browser.go(&link).await;
    assert!(!browser.has("form.once").await, "it works once");
    browser.picture("device-gone").await;
}

/// The button copies what is shown, and says so for a moment, however often it is pressed; where the browser does not let it,
/// it says what to do instead.
async fn copies(browser: &Browser, app_password: &str) {
    let (button, label) = (".reveal button.copy", ".reveal button.copy span");
    let [copy, copied] = match browser.language() {
        Language::Chinese => ["复制", "已复制"],
        Language::English => ["Copy", "Copied"],
    };
    assert_eq!(browser.read(label).await, copy);
    browser.script(STAND_STILL, Vec::new()).await;
    for presses in 1..=2 {
        browser.click(button).await;
        while browser.script("return presses;", Vec::new()).await != presses {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        assert_eq!(browser.read(label).await, copied);
        let told = browser.property("body > [role=status]", "textContent").await;
        assert_eq!(told, copied, "to those who listen, too");
    }
    assert_eq!(browser.clipboard().await, app_password);
    browser.script("for (const act of later.values()) act();", Vec::new()).await;
    assert_eq!(browser.read(label).await, copy, "it can be pressed again");
    assert_eq!(browser.property("body > [role=status]", "textContent").await, "");

    let refused = match browser.language() {
        Language::Chinese => "复制失败，请手动选中后复制",
        Language::English => "Not copied: select it and copy by hand",
    };
    browser.script(REFUSE, Vec::new()).await;
    browser.click(button).await;
    while browser.script("return presses;", Vec::new()).await != 3 {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert_eq!(browser.read(label).await, refused);
    assert_eq!(browser.property("body > [role=status]", "textContent").await, refused);
    browser.script("delete navigator.clipboard.writeText;", Vec::new()).await;
    browser.script("for (const act of later.values()) act();", Vec::new()).await;
    assert_eq!(browser.read(label).await, copy, "and again");
}
