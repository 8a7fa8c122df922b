//! App passwords as their owner finds them again: who used them, until when they are good, why they open nothing any more.

use axum::http::StatusCode;

use super::enrolment::once;
use super::harness::{ALICE, Browser, MAILBOX, Site};
use crate::protocol::Refusal;

const DAY: u64 = 86_400;

/// Makes one that is good for so many days: what its address begins with, and the app password.
async fn make(browser: &mut Browser<'_>, name: &str, days: &str) -> (String, String) {
    let form = browser.get("/app-passwords/new").await;
    let fields = [("name", name), ("protocol", "imap"), ("expires", days), ("once", &*once(&form))];
    let made = browser.post("/app-passwords/new", &fields, &form.form_token()).await;
    assert_eq!(made.status, StatusCode::OK, "{}", made.text);
    let one = made.first(r#"(/app-passwords/[0-9a-f-]{36})/try""#);
    (one, made.first(r#"data-copy="([a-z2-9 ]{19})""#))
}

/// The pages that show it say this in one language and that in the other.
async fn assert_told(browser: &mut Browser<'_>, pages: &[&str], english: &str, chinese: &str) {
    for (language, told) in [("zh-CN", chinese), ("en", english)] {
        browser.language = language;
        for page in pages {
            let seen = browser.get(page).await;
            assert_eq!(seen.status, StatusCode::OK, "{page}");
            assert!(seen.text.contains(told), "{page}: {told}: {}", seen.text);
        }
    }
}

#[tokio::test]
async fn when_from_where_and_with_which_client_it_was_used_last_is_told() {
    let site = Site::open().await;
    let mut alice = site.signed_in(ALICE).await;
    let (one, password) = make(&mut alice, "Office", "").await;
    let trying = format!("{one}/try");
    assert_told(&mut alice, &["/", "/app-passwords", &one], "Never used", "尚未使用").await;
    assert_told(&mut alice, &[&trying], "http-equiv=\"refresh\"", "http-equiv=\"refresh\"").await;

    let pages = ["/", "/app-passwords", &one, &trying];
    site.log_in(ALICE, &password, None).await.unwrap();
    assert_told(&mut alice, &pages, "just now from 192.0.2.9", "刚刚，来自 192.0.2.9").await;
    assert!(!alice.get(&one).await.text.contains("192.0.2.9 with"), "it did not say what it is");
    site.later(1);
    site.log_in(ALICE, &password, Some("<b>Foxmail</b> 7.2")).await.unwrap();
    site.later(1_200);
    assert_told(
        &mut alice,
        &pages,
        "20 minutes ago from 192.0.2.9 with &#60;b&#62;Foxmail&#60;/b&#62; 7.2",
        "20 分钟前，来自 192.0.2.9，&#60;b&#62;Foxmail&#60;/b&#62; 7.2",
    )
    .await;
    let tried = alice.get(&trying).await;
    assert!(tried.text.contains("It works") && !tried.text.contains("http-equiv"), "{}", tried.text);
    assert!(!tried.text.contains("First login"), "nobody knows of the first any more: {}", tried.text);
}

#[tokio::test]
async fn the_day_it_ends_is_told_and_then_that_it_has_ended() {
    let site = Site::open().await;
    let mut alice = site.signed_in(ALICE).await;
    let (short, password) = make(&mut alice, "Visitor", "90").await;
    let (long, _) = make(&mut alice, "Office", "").await;
    assert_told(&mut alice, &["/app-passwords", &short], "15 Apr 2083", "2083年4月15日").await;
    assert_told(&mut alice, &["/app-passwords", &long], "you delete it", "直到删除").await;
    assert!(!alice.get(&long).await.text.contains("2083"));

    const ENDED: &str = "Expired";
    site.later(90 * DAY - 1);
    alice.sign_in(ALICE, MAILBOX).await;
    site.log_in(ALICE, &password, None).await.unwrap();
    for page in ["/", "/app-passwords", &short] {
        assert!(!alice.get(page).await.text.contains(ENDED), "{page}: a second is left");
    }
    site.later(1);
    assert_told(&mut alice, &["/", "/app-passwords", &short], ENDED, "已过期").await;
    let list = alice.get("/app-passwords").await;
    assert_eq!(list.text.matches(ENDED).count(), 1, "the other one goes on: {}", list.text);
    assert!(!alice.get(&long).await.text.contains(ENDED));
    assert_eq!(site.log_in(ALICE, &password, None).await, Err(Refusal::Expired));
}

#[tokio::test]
async fn that_the_mailbox_password_changed_is_told_until_its_owner_signs_in_with_the_new_one() {
    const CHANGED: &str = "another one of the mailbox";
    const WAITS: (&str, &str) = ("Waiting for your new mailbox password", "等待您的新邮箱密码");
    let site = Site::open().await;
    let mut alice = site.signed_in(ALICE).await;
    let (one, password) = make(&mut alice, "Office", "").await;
    let pages = ["/", "/app-passwords", &one];
    site.log_in(ALICE, &password, None).await.unwrap();
    site.change_mailbox_password(ALICE, CHANGED);
    assert_eq!(site.log_in(ALICE, &password, None).await, Err(Refusal::Stale));
    assert_told(&mut alice, &pages, WAITS.0, WAITS.1).await;

    let mut elsewhere = site.browser();
    assert_eq!(elsewhere.sign_in(ALICE, CHANGED).await.leads_to(), Some("/"));
    for page in pages {
        assert!(!alice.get(page).await.text.contains(WAITS.0), "{page}");
    }
    site.log_in(ALICE, &password, None).await.unwrap();
}

#[tokio::test]
async fn whoever_has_as_many_as_he_may_have_is_told_so_and_gets_no_other() {
    let site = Site::with("[policy]\napp_passwords_per_account = 1\n").await;
    let mut alice = site.signed_in(ALICE).await;
    let (one, _) = make(&mut alice, "Office", "").await;
    let account =
        site.store.standing(&ALICE.to_owned().try_into().unwrap()).await.unwrap().unwrap().account.id;
    let made = site.store.app_passwords(account).await.unwrap();
    let told = site.store.waiting_notices(account).await.unwrap().len();
    for (language, words) in [
        ("en", "You have as many app passwords as you may have. Delete one that you do not need"),
        ("zh-CN", "客户端专用密码已达上限。请删除不用的密码后再试。"),
    ] {
        alice.language = language;
        let form = alice.get("/app-passwords/new").await;
        let fields =
            [("name", "Foxmail <b>"), ("protocol", "imap"), ("protocol", "smtp"), ("once", &*once(&form))];
        let refused = alice.post("/app-passwords/new", &fields, &form.form_token()).await;
        assert_eq!(refused.status, StatusCode::CONFLICT, "{}", refused.text);
        assert!(refused.text.contains(words), "{}", refused.text);
        assert!(refused.text.contains("value=\"Foxmail &#60;b&#62;\""), "typed once: {}", refused.text);
        assert!(!refused.text.contains("data-copy") && !refused.text.contains("/apple/profile/"));
        assert_eq!(site.store.app_passwords(account).await.unwrap(), made);
        assert_eq!(site.store.waiting_notices(account).await.unwrap().len(), told);
    }
    let token = alice.token().await;
    alice.post(&format!("{one}/delete"), &[], &token).await;
    make(&mut alice, "Foxmail", "").await;
}

#[tokio::test]
async fn one_that_may_only_read_says_so_wherever_it_is_shown_and_names_nothing_to_send_with() {
    let site = Site::open().await;
    let mut alice = site.signed_in(ALICE).await;
    const NEW: &str = "/app-passwords/new";
    assert_told(&mut alice, &[NEW], "May only read", "只读").await;
    assert_told(
        &mut alice,
        &[NEW],
        "It cannot send, delete, move or mark anything",
        "不能发送、删除、移动邮件",
    )
    .await;
    let form = alice.get(NEW).await;
    assert!(form.text.contains(r#"type="checkbox" name="read-only" value="yes""#), "{}", form.text);
    assert!(!form.text.contains("<details class=\"more\" open"), "as for most people");

    let limited = [("name", "Scanner"), ("read-only", "yes"), ("protocol", "imap"), ("protocol", "smtp")];
    let once = once(&form);
    let fields = [&limited[..], &[("once", &*once)]].concat();
    let made = alice.post(NEW, &fields, &form.form_token()).await;
    assert_eq!(made.status, StatusCode::OK, "{}", made.text);
    assert!(made.text.contains("This password may only read") && made.text.contains("Receive (IMAP)"));
    assert!(!made.text.contains("Send (SMTP)"), "{}", made.text);
    assert!(!made.text.contains("/apple/profile/"), "Apple's Mail wants to send, too");
    let one = made.first(r#"(/app-passwords/[0-9a-f-]{36})/try""#);
    assert_told(&mut alice, &["/app-passwords", &one], "<dd>IMAP, read only</dd>", "<dd>IMAP，只读</dd>")
        .await;
    let account =
        site.store.standing(&ALICE.to_owned().try_into().unwrap()).await.unwrap().unwrap().account.id;
    let rows = site.store.app_passwords(account).await.unwrap();
    assert_eq!((&*rows[0].access, &*rows[0].protocols), ("read-only", "imap"));
    let password = made.first(r#"data-copy="([a-z2-9 ]{19})""#);
    site.log_in(ALICE, &password, None).await.unwrap();

    let (other, _) = make(&mut alice, "Office", "").await;
    assert!(!alice.get(&other).await.text.contains("read only"));
    let rows = site.store.app_passwords(account).await.unwrap();
    let mut access: Vec<_> = rows.iter().map(|row| row.access.as_str()).collect();
    access.sort_unstable();
    assert_eq!(access, ["full", "read-only"]);
}

#[tokio::test]
async fn one_that_may_only_read_is_not_made_for_sending_alone() {
    let site = Site::open().await;
    let mut alice = site.signed_in(ALICE).await;
    for (language, words) in [
        ("en", "A password that may only read sends nothing. Choose a way to receive."),
        ("zh-CN", "只读密码不能用于发信，请至少选择一种收信方式。"),
    ] {
        alice.language = language;
        let form = alice.get("/app-passwords/new").await;
        let once = once(&form);
        let fields = [("name", "Scanner"), ("read-only", "yes"), ("protocol", "smtp"), ("once", &*once)];
        let refused = alice.post("/app-passwords/new", &fields, &form.form_token()).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", refused.text);
        assert!(refused.text.contains(words), "{}", refused.text);
        let kept = r#"name="read-only" value="yes" aria-describedby="read-only-hint" checked"#;
        assert!(refused.text.contains(kept) && refused.text.contains("<details class=\"more\" open"));
        assert!(!refused.text.contains("data-copy"));
    }
    assert!(alice.get("/app-passwords").await.text.contains("还没有"));
}

#[tokio::test]
async fn a_name_that_is_suggested_leads_nowhere_and_sends_nothing() {
    let site = Site::open().await;
    let mut alice = site.signed_in(ALICE).await;
    let form = alice.get("/app-passwords/new").await;
    for name in ["Foxmail", "iPhone", "华为邮箱", "Outlook", "Thunderbird"] {
        let option = format!("<option value=\"{name}\">");
        let chip = format!("<button type=\"button\" class=\"chip\">{name}</button>");
        assert!(form.text.contains(&option) && form.text.contains(&chip), "{name}: {}", form.text);
    }
    assert!(!form.text.contains("/app-passwords/new?"), "it would empty the form: {}", form.text);
}

#[tokio::test]
async fn what_was_typed_before_a_verification_stands_there_after_it_until_it_is_sent() {
    const NEW: &str = "/app-passwords/new";
    let site = Site::open().await;
    let (mut alice, key, _) = site.bound(ALICE).await;
    let (one, _) = make(&mut alice, "Office", "").await;
    let verify = async |alice: &mut Browser<'_>, to: String| {
        let page = alice.get(&to).await;
        let code = site.next_code(&key);
        alice.post(&to, &[("code", &code)], &page.form_token()).await.leads_to().unwrap().to_owned()
    };
    let form = alice.get(NEW).await;
    let once = once(&form);
    let mut fields = [
        ("name", "Scanner <b>"),
        ("protocol", "imap"),
        ("read-only", "yes"),
        ("expires", "30"),
        ("networks", "192.0.2.0/24, 2001:db8::/32"),
        ("password", "never kept"),
        ("once", &*once),
    ];
    site.later(601);
    let late = alice.post(NEW, &fields, &form.form_token()).await;
    let back = verify(&mut alice, late.leads_to().unwrap().to_owned()).await;
    assert_eq!(back, "/app-passwords/new?done=verified");
    // Loaded again, in another language perhaps, it is still there.
    for address in [&*back, NEW] {
        let page = alice.get(address).await;
        for typed in [
            "value=\"Scanner &#60;b&#62;\"",
            "<details class=\"more\" open",
            "value=\"imap\" checked",
            "name=\"read-only\" value=\"yes\" aria-describedby=\"read-only-hint\" checked",
            "value=\"30\" selected",
            ">192.0.2.0/24, 2001:db8::/32</textarea>",
        ] {
            assert!(page.text.contains(typed), "{typed}: {}", page.text);
        }
        assert!(!page.text.contains("value=\"smtp\" checked") && !page.text.contains("never kept"));
    }
    let named = alice.get("/app-passwords/new?name=Foxmail").await;
    assert!(named.text.contains("value=\"Foxmail\"") && !named.text.contains("<details class=\"more\" open"));

    let token = alice.token().await;
    assert!(
        alice.get(&one).await.text.contains("value=\"Office\""),
        "what was typed elsewhere is not for this"
    );
    let made = alice.post(NEW, &fields, &token).await;
    assert_eq!(made.status, StatusCode::OK, "{}", made.text);
    let page = alice.get(NEW).await;
    assert!(
        !page.text.contains("Scanner") && !page.text.contains("<details class=\"more\" open"),
        "{}",
        page.text
    );

    site.later(601);
    let rename = format!("{one}/rename");
    let late = alice.post(&rename, &[("name", "Desk <i>")], &token).await;
    let back = verify(&mut alice, late.leads_to().unwrap().to_owned()).await;
    assert_eq!(back, format!("{one}?done=verified"));
    let page = alice.get(&back).await;
    assert!(
        page.text.contains("<h1>Office</h1>") && page.text.contains("value=\"Desk &#60;i&#62;\""),
        "{}",
        page.text
    );
    assert!(!alice.get(NEW).await.text.contains("Desk"));
    let token = alice.token().await;
    assert_eq!(
        alice.post(&rename, &[("name", "Desk")], &token).await.leads_to(),
        Some(&*format!("{one}?done=renamed"))
    );
    assert!(alice.get(&one).await.text.contains("value=\"Desk\""), "sent, and forgotten");

    // What could not be shown again is refused at once; and of what is too long to be kept nothing stands there, nor what was
    // typed before.
    site.later(601);
    fields[3].1 = "31";
    assert_eq!(alice.post(NEW, &fields, &token).await.status, StatusCode::BAD_REQUEST);
    fields[3].1 = "30";
    assert!(alice.post(NEW, &fields, &token).await.leads_to().is_some());
    let long = "192.0.2.0/24 ".repeat(1_000);
    fields[4].1 = &long;
    let late = alice.post(NEW, &fields, &token).await;
    let back = verify(&mut alice, late.leads_to().unwrap().to_owned()).await;
    assert!(!alice.get(&back).await.text.contains("Scanner"));
}
