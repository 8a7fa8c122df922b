//! A backup mailbox, with codes that a real Postfix brings to another mailbox.

use crate::driver::Language;
use crate::support::{GateConfig, LegacyOptions, LegacyServer, eventually};
use crate::world::{Authenticator, World, tell};

/// Where codes go first, and then.
const BACKUP: &str = "backup@elsewhere.test";
const SECOND: &str = "second@elsewhere.test";

#[test]
fn a_backup_mailbox_from_binding_to_unbinding_in_chinese() {
    tell(backup_mailbox(Language::Chinese));
}

#[test]
fn a_backup_mailbox_from_binding_to_unbinding_in_english() {
    tell(backup_mailbox(Language::English));
}

async fn backup_mailbox(language: Language) {
    let users = ["user0@example.test", "user1@example.test", BACKUP, SECOND];
    let with = |options: LegacyOptions, user: &&str| options.user(user, &format!("password of {user}"));
    let legacy = LegacyServer::start(users.iter().fold(LegacyOptions::default().fast_auth(), with));
    let offered = |config: GateConfig, legacy: &LegacyServer| {
        config.mailing_through(legacy).set(&["policy", "factors"], vec!["totp", "mailbox"])
    };
    let world = World::before(legacy, language, "mailbox", offered).await;
    let browser = &world.browser;
    let user = world.legacy.user(0).0;
    world.give_mailbox_password().await;

    // One that the gate itself leads to is none.
    browser.go("/second-factors/new").await;
    browser.picture("choose-factor").await;
    browser.press("a[href$='/second-factors/mailbox']").await;
    browser.picture("bind-mailbox").await;
    browser.fill("address", user).await;
    browser.submit().await;
    assert!(browser.has("#address-problem").await, "it is the mailbox that is to be protected");
    browser.picture("bind-mailbox-own").await;

    browser.fill("address", BACKUP).await;
    browser.submit().await;
    let page = browser.read("main").await;
    assert!(page.contains("bac****@elsewhere.test") && !page.contains(BACKUP), "{page}");
    browser.picture("bind-mailbox-sent").await;
    let mut codes = Vec::new();
    let code = world.mailed_code(BACKUP, &mut codes).await;
    browser.fill("code", &other(&code)).await;
    browser.submit().await;
    assert!(browser.has("[role=alert]").await, "a wrong code binds nothing");
    browser.picture("bind-mailbox-wrong").await;
    browser.fill("code", &code).await;
    browser.submit().await;
    let recovery = browser.read_all(".codes li").await;
    assert_eq!(recovery.len(), 10, "it is the first factor");

    // An app as well, which is asked for first from now on.
    browser.go("/second-factors/totp").await;
    let mut authenticator = Authenticator::with(&browser.read("#key").await);
    browser.fill("code", &authenticator.code().await).await;
    browser.submit().await;
    assert_eq!(browser.path().await, "/second-factors");
    browser.picture("second-factors-two").await;

    // In again, in another way than by the app.
    browser.sign_out().await;
    world.give_mailbox_password().await;
    assert_eq!(browser.path().await, "/second-factor");
    assert_eq!(browser.attribute("[name=use]", "value").await, "totp", "what was used last");
    browser.click("details.others summary").await;
    browser.until_shown("a[href$='use=mailbox']").await;
    browser.picture("second-factor-others").await;
    browser.press("a[href$='use=mailbox']").await;
    assert!(!browser.has("[name=code]").await, "nothing was sent yet");
    browser.picture("second-factor-mailbox").await;
    browser.press("button[name=send]").await;
    assert_eq!(browser.read(".device").await, "bac****@elsewhere.test");
    browser.picture("second-factor-mailbox-sent").await;
    let code = world.mailed_code(BACKUP, &mut codes).await;
    browser.fill("code", &other(&code)).await;
    browser.submit().await;
    assert!(browser.has("[role=alert]").await);
    browser.picture("second-factor-mailbox-wrong").await;
    browser.fill("code", &code).await;
    browser.submit().await;
    assert_eq!(browser.path().await, "/trust");
    browser.press("button[value=no]").await;

    // The mailbox is asked for first from now on, and a recovery code is as good.
    browser.sign_out().await;
    world.give_mailbox_password().await;
    assert_eq!(browser.attribute("[name=use]", "value").await, "mailbox", "what was used last");
    browser.go("/second-factor?use=recovery").await;
    browser.fill("code", &recovery[0]).await;
    browser.submit().await;
    assert_eq!(browser.path().await, "/trust");
    browser.press("button[value=no]").await;

    // Another one takes its place, once its own code is there.
    let name = if language == Language::Chinese { "备用邮箱" } else { "Backup mailbox" };
    let act = |what: &str| format!("a[href$='/{what}'][aria-label*='{name}']");
    browser.go("/second-factors").await;
    browser.press(&act("change")).await;
    assert!(browser.has("main form a[href$='/second-factors']").await, "who thinks better of it goes back");
    browser.picture("change-mailbox").await;
    browser.fill("address", SECOND).await;
    browser.submit().await;
    let code = world.mailed_code(SECOND, &mut Vec::new()).await;
    browser.fill("code", &code).await;
    browser.submit().await;
    assert_eq!(browser.path().await, "/second-factors");
    let page = browser.read("main").await;
    assert!(page.contains("sec****@elsewhere.test") && !page.contains("bac****"), "{page}");
    let done = browser.read("[role=status]").await;
    assert!(!done.contains("authenticator") && !done.contains("验证器"), "it was another kind: {done}");
    browser.picture("second-factors-changed").await;
    assert_eq!(world.legacy.mails(BACKUP).len(), 2, "the old one gets no more");

    browser.press(&act("unbind")).await;
    browser.picture("unbind-mailbox").await;
    browser.submit().await;
    assert_eq!(browser.path().await, "/second-factors");
    assert!(!browser.has(&act("unbind")).await);
    browser.sign_out().await;
    world.give_mailbox_password().await;
    assert!(!browser.has("a[href$='use=mailbox']").await, "the app and recovery codes are left");
    eventually("the mailbox itself hears of it", || {
        world.legacy.mails(user).iter().any(|mail| mail.contains("Second factor removed"))
    });
    let told = world.legacy.mails(user).concat();
    assert!(codes.iter().all(|code| !told.contains(code)), "and of no code");
    world.browser.close().await;
}

/// As many digits, and others.
fn other(code: &str) -> String {
    code.chars().map(|digit| if digit == '9' { '0' } else { '9' }).collect()
}
