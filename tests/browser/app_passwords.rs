//! What becomes of app passwords: another name, one deleted, all deleted, everything locked.

use crate::driver::{Browser, Language};
use crate::world::{World, is_out, tell};

/// As long as a name may be, and nowhere to break it.
const LONG: &str = "FoxmailOnTheOldComputerOfTheOfficeOnTheSecondFloorByTheBigWindow";

#[test]
fn app_passwords_are_renamed_deleted_and_locked_in_chinese() {
    tell(app_passwords(Language::Chinese));
}

#[test]
fn app_passwords_are_renamed_deleted_and_locked_in_english() {
    tell(app_passwords(Language::English));
}

async fn app_passwords(language: Language) {
    let world = World::begin(language, "app-passwords", |config| config).await;
    let browser = &world.browser;
    let said = |chinese: &'static str, english: &'static str| match language {
        Language::Chinese => chinese,
        Language::English => english,
    };
    world.give_mailbox_password().await;
    browser.go("/app-passwords").await;
    browser.picture("no-app-passwords").await;
    let (_, codes) = world.bind_totp().await;
    let phone = world.make_app_password("iPhone").await;
    let desk = world.make_app_password("Foxmail").await;

    // One for reading alone: who has it reads, and changes nothing.
    let archive = world.make_read_only_app_password("Archive").await;
    assert!(browser.read(".notice").await.contains(said("只读", "may only read")));
    let mut of_archive = world.stays_with(&archive);
    let selected = of_archive.wire.imap("look", "SELECT INBOX");
    assert!(selected.contains("look OK [READ-ONLY]"), "{selected}");
    let refused = of_archive.wire.imap("try", "CREATE Other");
    assert!(refused.contains("try NO [NOPERM]"), "{refused}");
    browser.go("/app-passwords").await;
    browser.press("a.row-link").await;
    assert_eq!(browser.read("h1").await, "Archive");
    assert!(browser.read(".facts").await.contains(said("只读", "read only")));
    browser.picture("read-only-app-password").await;
    browser.press("form[action$='/delete'] button").await;
    is_out(&mut of_archive);

    // A name that is suggested is typed by a press; the limits that were set stay.
    browser.go("/app-passwords/new").await;
    browser.click("details.more summary").await;
    browser.fill("networks", "192.0.2.0/24").await;
    browser.click(".chip").await;
    assert_eq!(browser.property("#name", "value").await, "Foxmail");
    assert_eq!(browser.property("#networks", "value").await, "192.0.2.0/24");

    // Another name.
    browser.go("/app-passwords").await;
    browser.press("a.row-link").await;
    assert_eq!(browser.read("h1").await, "Foxmail", "the newest first");
    browser.picture("app-password").await;
    browser.script("document.querySelector('[name=name]').value = 'x'.repeat(65);", Vec::new()).await;
    browser.press("form[action$='/rename'] button").await;
    assert!(browser.has("#name-problem [role=alert]").await);
    browser.picture("app-password-bad-name").await;
    browser.fill("name", LONG).await;
    browser.press("form[action$='/rename'] button").await;
    assert_eq!(browser.read("h1").await, LONG);
    assert!(browser.read("[role=status]").await.contains(said("已重命名", "Renamed")));
    browser.picture("app-password-renamed").await;

    // One deleted: its client is out at once, and the other goes on.
    let (mut of_desk, mut of_phone) = (world.stays_with(&desk), world.stays_with(&phone));
    browser.go("/").await;
    browser.picture("home-with-clients").await;
    browser.go("/app-passwords").await;
    browser.press("a.row-link").await;
    browser.press("form[action$='/delete'] button").await;
    assert_eq!(browser.path().await, "/app-passwords");
    assert!(browser.read("[role=status]").await.contains(said("已删除", "Deleted")));
    assert_eq!(browser.read_all("a.row-link").await, ["iPhone"]);
    browser.picture("app-passwords-one-deleted").await;
    is_out(&mut of_desk);
    assert!(!world.reads_mail(&desk));
    assert!(of_phone.wire.imap("still", "NOOP").contains("still OK"));

    // All deleted; who thinks better of it goes back.
    let tablet = world.make_app_password("iPad").await;
    browser.go("/app-passwords").await;
    browser.press("a[href$='/app-passwords/delete-all']").await;
    browser.picture("delete-all").await;
    browser.press("main form a.quiet").await;
    assert_eq!(browser.read_all("a.row-link").await, ["iPad", "iPhone"]);
    browser.press("a[href$='/app-passwords/delete-all']").await;
    browser.submit().await;
    assert!(
        browser.read("[role=status]").await.contains(said("已清除所有", "All app passwords were deleted"))
    );
    assert!(!browser.has("a.row-link").await);
    browser.picture("app-passwords-all-deleted").await;
    is_out(&mut of_phone);
    assert!(!world.reads_mail(&phone) && !world.reads_mail(&tablet));

    // Everything locked: clients, app passwords, other browsers, trust.
    let last = world.make_app_password("Thunderbird").await;
    let mut of_last = world.stays_with(&last);
    browser.sign_out().await;
    world.enter(browser, &codes[0], true).await;
    let elsewhere = Browser::open(browser.portal(), language, "app-passwords").await;
    world.enter(&elsewhere, &codes[1], true).await;
    browser.go("/").await;
    browser.picture("home-with-others").await;
    browser.press("main a[href$='/lock']").await;
    assert_eq!(browser.read("h1").await, said("确认一键锁定？", "Lock everything?"));
    browser.press("main form a.quiet").await;
    assert_eq!(browser.path().await, "/", "nothing is locked without a yes");
    assert!(of_last.wire.imap("still", "NOOP").contains("still OK"));
    browser.press("main a[href$='/lock']").await;
    browser.picture("lock-confirm").await;
    browser.submit().await;
    assert_eq!(browser.path().await, "/", "who locks stays");
    assert!(browser.read("[role=status]").await.contains(said("已全部锁定", "Everything is locked")));
    browser.picture("locked").await;
    is_out(&mut of_last);
    assert!(!world.reads_mail(&last));
    assert!(!browser.has("form[action*='/devices/'], form[action*='/browsers/']").await);
    elsewhere.go("/").await;
    assert_eq!(elsewhere.path().await, "/sign-in");
    world.fill_in_mailbox_password(&elsewhere).await;
    assert_eq!(elsewhere.path().await, "/second-factor", "it is not trusted any more");
    elsewhere.close().await;
    browser.sign_out().await;
    world.give_mailbox_password().await;
    assert_eq!(browser.path().await, "/second-factor", "nor is the one that locked");
    world.browser.close().await;
}
