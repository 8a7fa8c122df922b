//! Two passkeys of one account: that of a computer, and a security key that is carried about.

use crate::driver::Language;
use crate::world::{World, tell};

#[test]
fn a_security_key_beside_a_passkey_and_another_in_its_place_in_chinese() {
    tell(two_keys(Language::Chinese));
}

#[test]
fn a_security_key_beside_a_passkey_and_another_in_its_place_in_english() {
    tell(two_keys(Language::English));
}

async fn two_keys(language: Language) {
    let world = World::begin(language, "keys", |config| config).await;
    let browser = &world.browser;
    let computer = browser.add_authenticator().await;
    world.give_mailbox_password().await;
    bind(&world, "Laptop").await;
    assert_eq!(browser.read_all(".codes li").await.len(), 10, "it is the first factor");
    browser.touch(&computer, false).await;
    let key = browser.plug_in_security_key().await;
    bind(&world, "YubiKey 红色").await;
    assert_eq!(browser.path().await, "/second-factors");
    assert_eq!(browser.read_all(".row strong").await, ["Laptop", "YubiKey 红色"]);
    browser.picture("second-factors-two-keys").await;

    // Either is good: whichever is touched answers.
    for (touched, other) in [(&key, &computer), (&computer, &key)] {
        browser.sign_out().await;
        browser.touch(touched, true).await;
        browser.touch(other, false).await;
        world.give_mailbox_password().await;
        browser.until_at("/trust").await;
        browser.press("button[value=no]").await;
        assert_eq!(browser.path().await, "/");
    }

    // One of two goes; nothing else changes.
    browser.go("/second-factors").await;
    let of = |name: &str, act: &str| format!("a[href$='/{act}'][aria-label*='{name}']");
    browser.press(&of("YubiKey", "unbind")).await;
    browser.picture("unbind-one-of-two").await;
    browser.submit().await;
    assert_eq!(browser.read_all(".row strong").await, ["Laptop"]);
    browser.sign_out().await;
    browser.touch(&computer, false).await;
    browser.touch(&key, true).await;
    world.give_mailbox_password().await;
    assert_eq!(browser.path().await, "/second-factor");
    browser.until_shown("[data-when=cancelled]").await;
    browser.touch(&computer, true).await;
    browser.go("/second-factor").await;
    browser.until_at("/trust").await;
    browser.press("button[value=no]").await;

    // A security key takes the place of the computer's passkey, which opens nothing any more.
    browser.touch(&computer, false).await;
    browser.go("/second-factors").await;
    browser.press(&of("Laptop", "change")).await;
    browser.picture("change-passkey").await;
    browser.fill("name", "YubiKey").await;
    browser.submit().await;
    assert_eq!(browser.path().await, "/second-factors");
    let done = match language {
        Language::Chinese => "已换绑到新的验证方式",
        Language::English => "Changed: the new second factor is bound",
    };
    assert!(browser.read("[role=status]").await.contains(done));
    assert_eq!(browser.read_all(".row strong").await, ["YubiKey"]);
    browser.picture("changed-passkey").await;
    browser.sign_out().await;
    browser.touch(&key, false).await;
    browser.touch(&computer, true).await;
    world.give_mailbox_password().await;
    assert_eq!(browser.path().await, "/second-factor");
    browser.until_shown("[data-when=cancelled]").await;
    browser.go("/sign-in/passkey").await;
    browser.until_shown("#problem").await;
    browser.picture("passkey-entry-replaced").await;
    world.give_mailbox_password().await;
    browser.touch(&key, true).await;
    browser.go("/second-factor").await;
    browser.until_at("/trust").await;
    world.browser.close().await;
}

/// Binds what answers, under that name.
async fn bind(world: &World, name: &str) {
    world.browser.go("/second-factors/passkey").await;
    world.browser.fill("name", name).await;
    world.browser.submit().await;
}
