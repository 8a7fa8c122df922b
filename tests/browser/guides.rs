//! How each mail client is set up: what the guides say, and whether it is so.

use crate::driver::{Browser, Language};
use crate::support::GATE_NAME;
use crate::world::World;

/// The guides: their addresses, what they are called in Chinese and in English, whether the client finds its settings by
/// itself, and what an app password for it is called.
const GUIDES: [(&str, [&str; 2], bool, &str); 7] = [
    ("foxmail", ["Foxmail", "Foxmail"], false, "Foxmail"),
    ("iphone", ["iPhone、iPad 和 Mac", "iPhone, iPad and Mac"], true, "iPhone"),
    ("huawei", ["华为邮箱", "Huawei Mail"], false, "华为邮箱"),
    ("android", ["其他安卓手机", "Other Android phones"], false, "Android"),
    ("outlook", ["Outlook", "Outlook"], true, "Outlook"),
    ("thunderbird", ["Thunderbird", "Thunderbird"], true, "Thunderbird"),
    ("other", ["其他客户端", "Any other client"], false, ""),
];

/// Goes to all of them from their list and reads them, as somebody who is in.
pub(crate) async fn guide_to_each_client(world: &World) {
    let browser = &world.browser;
    let chinese = browser.language() == Language::Chinese;
    let title = |titles: [&'static str; 2]| titles[usize::from(!chinese)];
    browser.go("/guides").await;
    assert_eq!(browser.read_all(".tile span").await, GUIDES.map(|(_, titles, ..)| title(titles)));
    assert_settings(world).await;
    for (slug, titles, finds_settings, name) in GUIDES {
        browser.go("/guides").await;
        browser.press(&format!("a.tile[href$='/guides/{slug}']")).await;
        assert_eq!(browser.read("h1").await, title(titles));
        browser.picture(&format!("guide-{slug}")).await;
        let quick = steps(browser, "section[aria-labelledby=quick]").await;
        assert_eq!(quick.is_some(), finds_settings, "{slug}");
        let by_hand = steps(browser, "section:not([aria-labelledby=quick])").await.expect("steps by hand");
        // Nobody types servers who is not told where they stand.
        let table = if chinese { "下表" } else { "table below" };
        assert!(by_hand.iter().any(|step| step.contains(table)), "{slug}: {by_hand:?}");
        for step in quick.iter().flatten().chain(&by_hand) {
            assert_eq!(step.contains(|c: char| "，。、：".contains(c)), chinese, "{slug}: {step}");
        }
        assert_settings(world).await;
        assert_eq!(browser.read(".facts code").await, world.legacy.user(0).0, "the user name that they want");
        browser.press("a.button[href*='/app-passwords/new']").await;
        assert_eq!(browser.property("[name=name]", "value").await, name);
    }
}

/// As many steps as people follow, each of them another; none where there is no list.
async fn steps(browser: &Browser, within: &str) -> Option<Vec<String>> {
    let steps = browser.read_all(&format!("{within} ol.steps > li")).await;
    let mut different = steps.clone();
    different.sort_unstable();
    different.dedup();
    assert_eq!(different.len(), steps.len(), "{steps:?}");
    assert!(steps.is_empty() || (3..=8).contains(&steps.len()), "{steps:?}");
    (!steps.is_empty()).then_some(steps)
}

/// The table says where the gate's doors are.
async fn assert_settings(world: &World) {
    let browser = &world.browser;
    let roles = match browser.language() {
        Language::Chinese => ["收信（IMAP）", "收信（POP3）", "发信（SMTP）"],
        Language::English => ["Receive (IMAP)", "Receive (POP3)", "Send (SMTP)"],
    };
    let ports = |protocol| [true, false].map(|implicit| world.gate.port(protocol, implicit).to_string());
    let doors = ["imap", "pop3", "smtp"].map(ports);
    assert_eq!(browser.read_all(".settings tbody th").await, roles);
    let told = browser.read_all(".settings tbody td").await;
    let there = doors.iter().flat_map(|[tls, starttls]| [GATE_NAME, tls.as_str(), starttls.as_str()]);
    assert_eq!(told, there.collect::<Vec<_>>());
}
