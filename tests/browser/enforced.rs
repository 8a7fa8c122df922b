//! Where a second factor is required: nothing but binding one is open before; the last one stays.

use crate::driver::Language;
use crate::support::GateConfig;
use crate::world::{World, tell};

#[test]
fn where_a_factor_is_required_nothing_else_is_open_before_it_is_bound_in_chinese() {
    tell(required(Language::Chinese));
}

#[test]
fn where_a_factor_is_required_nothing_else_is_open_before_it_is_bound_in_english() {
    tell(required(Language::English));
}

async fn required(language: Language) {
    let required = |config: GateConfig| {
        config.set(&["policy", "second_factor"], "required").set(&["policy", "grace_period"], "0")
    };
    let world = World::begin(language, "required", required).await;
    let (user, mailbox_password) = world.legacy.user(0);
    world.gate.cli(&["account", "add", user]).success();
    assert!(!world.reads_mail(mailbox_password), "clients are told to bind first");
    let browser = &world.browser;
    world.give_mailbox_password().await;
    let must = match language {
        Language::Chinese => "您的单位要求开启二次验证",
        Language::English => "Your organisation requires two-step verification",
    };
    assert!(browser.read(".head .lead").await.contains(must));
    browser.picture("forced").await;
    for closed in ["/", "/lock", "/second-factors"] {
        browser.go(closed).await;
        assert_eq!(browser.path().await, "/second-factors/first", "{closed} is closed");
    }
    world.bind_totp().await;
    let app_password = world.make_app_password("iPhone").await;
    assert!(world.reads_mail(&app_password));
    browser.go("/second-factors").await;
    browser.press("a[href$='/unbind']").await;
    assert!(!browser.has("form[action$='/unbind']").await, "the last one stays");
    browser.picture("unbind-refused").await;

    // The phone is lost: an administrator helps, and this browser is signed out by that.
    world.gate.cli(&["factor", "unbind", user, "--reason", "lost phone"]).success();
    browser.go("/app-passwords").await;
    assert_eq!(browser.path().await, "/sign-in");
    world.give_mailbox_password().await;
    browser.go("/").await;
    assert_eq!(browser.path().await, "/second-factors/first");
    world.browser.close().await;
}
