//! My security: the past in words, and what concerns the account alone.

use super::harness::{ALICE, MAILBOX, Site};
use super::passkeys;
use crate::audit::event::Ground;

/// An upstream that is not Alice's, and a door that leads there alone.
const ANOTHER: &str = r#"
[[listener]]
protocol = "pop3"
address = "[::]:995"
tls = "implicit"
[[listener]]
protocol = "imap"
address = "[::]:10993"
tls = "implicit"
upstreams = ["other"]
[[upstream]]
name = "other"
domains = ["other.example"]
imap = { address = ["127.0.0.1:143"], tls = "none" }
pop3 = { address = ["127.0.0.1:110"], tls = "none" }
"#;

#[tokio::test]
async fn each_ground_of_a_refusal_is_told_in_both_languages() {
    let site = Site::open().await;
    let mut alice = site.signed_in(ALICE).await;
    let grounds = [
        (Ground::WrongPassword, "IMAP login refused: wrong password", "IMAP 登录被拒：密码错误"),
        (Ground::AppPasswordNeeded, "refused: not an app password", "登录被拒：不是客户端专用密码"),
        (Ground::SameAgain, "refused: the same password again", "登录被拒：再次使用此前被拒的同一密码"),
        (Ground::BindFirst, "a second factor must be bound first", "须先绑定二次验证"),
        (Ground::OutOfScope, "not for this protocol or network", "不适用于此协议或网络"),
        (Ground::Expired, "the app password has expired", "该专用密码已过期"),
        (Ground::Stale, "the mailbox password has changed since", "邮箱密码已更改"),
        (Ground::Suspended, "the mailbox is suspended", "邮箱已停用"),
    ];
    for (n, (ground, ..)) in grounds.iter().enumerate() {
        for _ in 0..=n {
            site.mail_login("Foxmail 7.2", Err(*ground)).await;
        }
    }
    let mut stranger = site.browser();
    stranger.sign_in(ALICE, "wrong").await;
    for (language, chinese, times, sign_in) in [
        ("en", false, "from 192.0.2.9 with Foxmail 7.2 · 8 times", "Sign-in here refused: wrong password"),
        ("zh-CN", true, "来自 192.0.2.9，Foxmail 7.2 · 8 次", "登录此页面被拒：密码错误"),
    ] {
        alice.language = language;
        let page = alice.get("/").await.text;
        for (_, english, in_chinese) in grounds {
            let said = if chinese { in_chinese } else { english };
            assert!(page.contains(said), "{said}: {page}");
        }
        assert!(page.contains(times) && page.contains(sign_in), "{page}");
    }
}

#[tokio::test]
async fn a_browser_that_was_signed_out_stays_on_the_page_and_cannot_be_signed_out_again() {
    let site = Site::open().await;
    let mut alice = site.signed_in(ALICE).await;
    let mut other = site.browser();
    other.agent = "Mozilla/5.0 (Windows NT 10.0) Edg/141.0";
    other.sign_in(ALICE, MAILBOX).await;
    let ends = |page: &str| page.matches("action=\"/browsers/").count();
    let page = alice.get("/").await.text;
    assert!(page.contains("Edge 141 · Windows") && !page.contains("signed out</span>"), "{page}");
    assert_eq!(ends(&page), 1, "the other one");
    let token = other.token().await;
    other.post("/sign-out", &[], &token).await;
    let page = alice.get("/").await.text;
    assert!(page.contains("Edge 141 · Windows") && page.contains("signed out</span>"), "{page}");
    assert_eq!(ends(&page), 0);
}

#[tokio::test]
async fn people_are_shown_the_doors_to_their_own_mailbox_and_strangers_all() {
    let site = Site::with(ANOTHER).await;
    let (mut alice, mut nobody) = (site.signed_in(ALICE).await, site.browser());
    let guide = nobody.get("/guides/other").await.text;
    assert!(["993", "994", "995", "10993"].iter().all(|port| guide.contains(port)), "{guide}");
    let form = alice.get("/app-passwords/new").await;
    assert_eq!(form.all(r#"name="protocol" value="([a-z0-9]+)""#), ["imap", "smtp"]);
    let once = super::enrolment::once(&form);
    let fields = [("name", "Foxmail"), ("once", &*once), ("protocol", "imap")];
    let made = alice.post("/app-passwords/new", &fields, &form.form_token()).await;
    for page in [made, alice.get("/guides/other").await] {
        let (own, others) = (["993", "994"], ["995", "10993"]);
        assert!(own.iter().all(|port| page.text.contains(port)), "{}", page.text);
        assert!(!others.iter().any(|port| page.text.contains(port)), "{}", page.text);
    }
}

#[tokio::test]
async fn a_passkey_that_was_refused_is_not_called_a_wrong_code_and_a_copied_one_is_named() {
    let site = Site::open().await;
    let mut alice = site.signed_in(ALICE).await;
    let (mut key, _) = passkeys::bind(&mut alice, 9).await;
    let mut thief = site.browser();
    thief.sign_in(ALICE, MAILBOX).await;
    let page = thief.get("/second-factor").await;
    thief.post("/second-factor", &[("use", "passkey"), ("answer", "{}")], &page.form_token()).await;
    let (refused, refused_in_chinese) =
        ("Second factor refused: passkey not accepted", "二次验证未通过：通行密钥未被接受");
    let (copied, copied_in_chinese) =
        ("Security key refused: it may have been copied", "安全密钥被拒：可能已被复制");
    let home = alice.get("/").await.text;
    assert!(home.contains(refused) && !home.contains(copied), "{home}");
    key.counter = 1;
    let page = thief.get("/second-factor").await;
    let answer = key.used(&passkeys::options(&page));
    thief.post("/second-factor", &[("use", "passkey"), ("answer", &answer)], &page.form_token()).await;
    for (language, refused, copied, wrong_code) in [
        ("en", refused, copied, "wrong code"),
        ("zh-CN", refused_in_chinese, copied_in_chinese, "验证码错误"),
    ] {
        alice.language = language;
        let home = alice.get("/").await.text;
        assert!(home.contains(refused) && home.contains(copied) && !home.contains(wrong_code), "{home}");
    }

    let mut thief = site.browser();
    let page = thief.get("/sign-in/passkey").await;
    key.counter = 1;
    let answer = key.used(&passkeys::options(&page));
    thief.post_bare("/sign-in/passkey", &[("answer", &answer)], Some("same-origin")).await;
    let home = alice.get("/").await.text;
    assert!(home.contains("Windows · 2 次") && !home.contains("使用通行密钥登录此页面被拒"), "{home}");
}

#[tokio::test]
async fn how_long_a_browser_is_trusted_is_said_in_hours_below_two_days() {
    let site = Site::open().await;
    let (_, key, _) = site.bound(ALICE).await;
    let mut browser = site.browser();
    browser.sign_in(ALICE, MAILBOX).await;
    let (code, token) = (site.next_code(&key), browser.token().await);
    let seen = browser.post("/second-factor", &[("use", "totp"), ("code", &code)], &token).await;
    assert_eq!(seen.leads_to(), Some("/trust"), "{}", seen.text);
    for (trust, english, chinese) in [
        ("1h", "For 1 hour, this browser", "信任后 1 小时内"),
        ("12h", "For 12 hours, this browser", "信任后 12 小时内"),
        ("36h", "For 36 hours, this browser", "信任后 36 小时内"),
        ("2d", "For 2 days, this browser", "信任后 2 天内"),
    ] {
        site.adopt(&format!("[policy]\ntrusted_device = \"{trust}\"\n"));
        for (language, said) in [("en", english), ("zh-CN", chinese)] {
            browser.language = language;
            let page = browser.get("/trust").await.text;
            assert!(page.contains(said), "{trust}: {page}");
        }
    }
    let token = browser.token().await;
    browser.post("/trust", &[("trust", "yes")], &token).await;
    browser.language = "zh-CN";
    browser.get("/").await.first("信任至 [0-9]{4}年[0-9]{1,2}月([0-9]{1,2})日");
}
