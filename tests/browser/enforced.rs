//! Where a second factor is required: nothing but binding one is open before; the last one stays.

use crate::driver::Language;
use crate::world::{Authenticator, World, tell};

#[test]
fn where_a_factor_is_required_nothing_else_is_open_before_it_is_bound() {
    tell(async {
        let required = |config: crate::support::GateConfig| {
            config.set(&["policy", "second_factor"], "required").set(&["policy", "grace_period"], "0")
        };
        let world = World::begin(Language::Chinese, "required", required).await;
        let (user, mailbox_password) = world.legacy.user(0);
        world.gate.cli(&["account", "add", user]).success();
        assert!(!world.reads_mail(mailbox_password), "clients are told to bind first");
        let browser = &world.browser;
        world.give_mailbox_password().await;
        browser.picture("forced").await;
        for closed in ["/", "/lock", "/second-factors"] {
            browser.go(closed).await;
            assert_eq!(browser.path().await, "/second-factors/first", "{closed} is closed");
        }
        browser.go("/second-factors/totp").await;
        let mut authenticator = Authenticator::with(&browser.read("#key").await);
        browser.fill("code", &authenticator.code().await).await;
        browser.submit().await;
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
    });
}
