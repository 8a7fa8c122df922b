//! Rules of a site as people meet them: links, rest, help, forms that are sent twice.

use axum::http::StatusCode;

use super::harness::{ALICE, Browser, MAILBOX, Seen, Site};
use super::mailbox::EVERY_KIND;
use super::passkeys;
use crate::factor::testing::SoftKey;

pub(super) fn once(form: &Seen) -> String {
    form.first(r#"name="once" value="([^"]+)""#)
}

#[tokio::test]
async fn a_link_leads_through_signing_in_to_the_binding_and_is_gone_then() {
    let site = Site::with("[policy]\nenrol_by = \"link\"\n").await;
    let mut alice = site.signed_in(ALICE).await;
    let page = alice.get("/second-factors/first").await;
    assert!(page.text.contains("you need a link from your administrator"), "{}", page.text);
    assert!(!page.text.contains("/second-factors/new\"") && !page.text.contains("/app-passwords/new"));
    for closed in ["/second-factors/totp", "/app-passwords/new"] {
        assert_eq!(alice.get(closed).await.leads_to(), Some("/second-factors/first"), "{closed}");
    }
    let fields = [("name", "x"), ("protocol", "imap"), ("once", "1")];
    let made = alice.post("/app-passwords/new", &fields, &page.form_token()).await;
    assert_eq!(made.leads_to(), Some("/second-factors/first"));

    let link = site.invite(ALICE).await;
    let mut elsewhere = site.browser();
    let seen = elsewhere.get(&format!("/enrol/{link}")).await;
    assert_eq!(seen.leads_to(), Some("/sign-in?to=%2Fsecond-factors%2Ffirst"));
    let fields = [("login", ALICE), ("password", MAILBOX), ("to", "/second-factors/first")];
    let seen = elsewhere.post_bare("/sign-in", &fields, Some("same-origin")).await;
    assert_eq!(seen.leads_to(), Some("/second-factors/first"));
    let page = elsewhere.get("/second-factors/first").await;
    assert!(page.text.contains("/second-factors/new\"") && page.text.contains("/app-passwords/new\""));
    let page = elsewhere.get("/second-factors/totp").await;
    let code = site.next_code(&page.first(r#"data-copy="([A-Z2-7]+)""#));
    let bound = elsewhere.post("/second-factors/totp", &[("code", &code)], &page.form_token()).await;
    assert_eq!(bound.status, StatusCode::OK, "{}", bound.text);
    assert!(!elsewhere.cookies.keys().any(|name| name.contains("link")), "{:?}", elsewhere.cookies);
    assert_eq!(alice.get("/").await.leads_to(), Some("/sign-in"), "whoever was in without it is out");
}

/// What of this kind is offered to a browser that may bind it: the form that confirms it.
async fn offered(site: &Site, browser: &mut Browser<'_>, kind: &str) -> Vec<(&'static str, String)> {
    let path = format!("/second-factors/{kind}");
    let page = browser.get(&path).await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.text);
    match kind {
        "totp" => vec![("code", site.code(&page.first(r#"data-copy="([A-Z2-7]+)""#)))],
        "passkey" => {
            let (_, answer) = SoftKey::made(&passkeys::options(&page), "https://mail.example.org", 0);
            vec![("answer", answer), ("name", "Key".to_owned())]
        }
        _ => {
            let sent = browser.post(&path, &[("address", "caoshuai@163.com")], &page.form_token()).await;
            assert_eq!(sent.leads_to(), Some(&*path), "{}", sent.text);
            vec![("code", site.mailed())]
        }
    }
}

#[tokio::test]
async fn a_first_factor_of_any_kind_is_neither_offered_nor_bound_where_none_may_be() {
    let policy = |rule: &str| EVERY_KIND.replacen("[policy]\n", &format!("[policy]\n{rule}\n"), 1);
    for rule in ["enrol_from = [\"192.0.2.0/28\"]", "enrol_by = \"link\""] {
        for kind in ["totp", "passkey", "mailbox"] {
            let site = Site::with(&policy(rule)).await;
            let mut alice = site.signed_in(ALICE).await;
            let link = site.invite(ALICE).await;
            if rule.starts_with("enrol_by") {
                alice.get(&format!("/enrol/{link}")).await;
            }
            let form = offered(&site, &mut alice, kind).await;
            let form: Vec<_> = form.iter().map(|(name, value)| (*name, &**value)).collect();
            let (path, token, mails) = (format!("/second-factors/{kind}"), alice.token().await, site.mails());
            // The same session elsewhere, and without the link.
            let (cookies, network) = (alice.cookies.clone(), alice.network);
            alice.cookies.retain(|name, _| !name.contains("link"));
            alice.network = [198, 51, 100, 9];
            for address in ["second@163.com", ""] {
                let asked = alice.post(&path, &[("address", address)], &token).await;
                assert_eq!(asked.leads_to(), Some("/second-factors/first"), "{rule} {kind}: {}", asked.text);
            }
            assert_eq!(site.mails(), mails, "{rule} {kind}: no code is sent");
            for seen in [alice.get(&path).await, alice.post(&path, &form, &token).await] {
                assert_eq!(seen.leads_to(), Some("/second-factors/first"), "{rule} {kind}: {}", seen.text);
            }
            let account =
                site.store.standing(&ALICE.to_owned().try_into().unwrap()).await.unwrap().unwrap().account.id;
            assert_eq!(site.store.factors(account).await.unwrap(), [], "{rule} {kind}");
            (alice.cookies, alice.network) = (cookies, network);
            let bound = alice.post(&path, &form, &token).await;
            assert_eq!(bound.status, StatusCode::OK, "{rule} {kind}: {}", bound.text);
            assert_eq!(site.store.factors(account).await.unwrap().len(), 1);
        }
    }
}

/// What leads to what is refused before a first factor may be bound.
const OFFERS: [&str; 4] = [
    "href=\"/second-factors/first\"",
    "href=\"/second-factors/new\"",
    "/app-passwords/new",
    "It takes two minutes",
];

#[tokio::test]
async fn where_no_first_factor_can_be_bound_pages_offer_nothing_and_say_what_to_do() {
    let pages = ["/", "/second-factors", "/second-factors/first", "/app-passwords"];
    for (rule, english, chinese) in [
        (
            "enrol_by = \"link\"",
            "you need a link from your administrator",
            "首次绑定需要管理员提供的绑定链接",
        ),
        ("enrol_from = [\"198.51.100.0/24\"]", "in your organisation&#39;s network", "只能在单位网络内进行"),
    ] {
        let site = Site::with(&format!("[policy]\n{rule}\ncontact = \"mailto:it@example.org\"\n")).await;
        let mut alice = site.signed_in(ALICE).await;
        site.used_mailbox_password(ALICE, &["Foxmail 7.2"]).await;
        for path in pages {
            let page = alice.get(path).await;
            assert!(page.text.contains(english), "{path}: {}", page.text);
            assert!(page.text.contains("mailto:it@example.org"), "{path}: {}", page.text);
            for offer in OFFERS {
                assert!(!page.text.contains(offer), "{path}: {offer}: {}", page.text);
            }
        }
        let first = alice.get("/second-factors/first").await;
        assert!(first.text.contains("as soon as a second factor can be bound"), "{}", first.text);
        assert!(!first.text.contains("They work"), "{}", first.text);
        assert_eq!(alice.get("/second-factors/new").await.leads_to(), Some("/second-factors/first"));
        alice.language = "zh-CN";
        for path in pages {
            let page = alice.get(path).await;
            assert!(page.text.contains(chinese), "{path}: {}", page.text);
            assert!(!page.text.contains("生成后立即可用") && !page.text.contains("立即开启"), "{path}");
        }
        assert!(alice.get("/second-factors/first").await.text.contains("可以绑定二次验证时，即可生成"));

        // With a link everything is offered, as it is where there is no such rule.
        let link = site.invite(ALICE).await;
        alice.language = "en";
        alice.get(&format!("/enrol/{link}")).await;
        assert_all_is_offered(&mut alice).await;
    }
    let site = Site::with("[policy]\nenrol_from = [\"192.0.2.0/24\"]\n").await;
    assert_all_is_offered(&mut site.signed_in(ALICE).await).await;
}

async fn assert_all_is_offered(browser: &mut Browser<'_>) {
    for (path, offers) in [
        ("/", &[OFFERS[0], OFFERS[2], OFFERS[3]][..]),
        ("/second-factors", &[OFFERS[0]]),
        ("/second-factors/first", &[OFFERS[1], OFFERS[2], "They work at once."]),
        ("/app-passwords", &[OFFERS[2]]),
    ] {
        let page = browser.get(path).await;
        for offer in offers {
            assert!(page.text.contains(offer), "{path}: {offer}: {}", page.text);
        }
        assert!(!page.text.contains("administrator"), "{path}: {}", page.text);
    }
    let kinds = browser.get("/second-factors/new").await;
    assert!(kinds.text.contains("/second-factors/totp\""), "{}", kinds.text);
}

#[tokio::test]
async fn a_link_of_no_use_is_told_after_signing_in_and_not_before() {
    let site = Site::with("[policy]\nenrol_from = [\"198.51.100.0/24\"]\n").await;
    let mut browser = site.browser();
    let nobodys = "A".repeat(43);
    for link in [&*nobodys, "x", "%00", "..%2F..%2Flock"] {
        let seen = browser.get(&format!("/enrol/{link}")).await;
        assert_eq!(seen.leads_to(), Some("/sign-in?to=%2Fsecond-factors%2Ffirst"), "{link}");
    }
    browser.sign_in(ALICE, MAILBOX).await;
    let page = browser.get("/second-factors/first").await;
    assert!(page.text.contains("This link does not help here"), "{}", page.text);
    assert_eq!(
        site.signed_in(ALICE).await.get("/second-factors/totp").await.leads_to(),
        Some("/second-factors/first")
    );
}

#[tokio::test]
async fn a_form_for_an_app_password_that_is_sent_again_makes_none() {
    let site = Site::open().await;
    let mut alice = site.signed_in(ALICE).await;
    let form = alice.get("/app-passwords/new").await;
    let (token, once) = (form.form_token(), once(&form));
    let fields = [("name", "Foxmail"), ("protocol", "imap"), ("once", &*once)];
    assert_eq!(alice.post("/app-passwords/new", &fields, &token).await.status, StatusCode::OK);
    let again = alice.post("/app-passwords/new", &fields, &token).await;
    assert_eq!(again.leads_to(), Some("/app-passwords?done=already-made"));
    let list = alice.get("/app-passwords?done=already-made").await;
    assert!(list.text.contains("This form was sent before"), "{}", list.text);
    let mut made = list.all(r#"/app-passwords/([0-9a-f-]{36})""#);
    made.dedup();
    assert_eq!(made.len(), 1, "{}", list.text);
    let without = alice.post("/app-passwords/new", &fields[..2], &token).await;
    assert_eq!(without.status, StatusCode::BAD_REQUEST);
    assert_ne!(alice.get("/app-passwords/new").await.first(r#"name="once" value="([^"]+)""#), once);
}

#[tokio::test]
async fn a_form_for_recovery_codes_that_is_sent_again_makes_none_and_those_that_were_shown_are_good() {
    const RENEW: &str = "/second-factors/recovery";
    let site = Site::open().await;
    let (mut alice, ..) = site.bound(ALICE).await;
    let list = alice.get("/second-factors").await;
    let (token, once) = (list.form_token(), once(&list));
    let made = alice.post(RENEW, &[("once", &*once)], &token).await;
    let codes = made.all(r"<li>([a-z2-9 ]+)</li>");
    assert_eq!((made.status, codes.len()), (StatusCode::OK, 10), "{}", made.text);
    let again = alice.post(RENEW, &[("once", &*once)], &token).await;
    assert_eq!(again.leads_to(), Some("/second-factors?done=codes-already-made"), "{}", again.text);
    let list = alice.get("/second-factors?done=codes-already-made").await;
    assert!(list.text.contains("those from before may not work any more"), "{}", list.text);
    assert_ne!(super::enrolment::once(&list), once);
    assert_eq!(alice.post(RENEW, &[], &token).await.status, StatusCode::BAD_REQUEST);

    let mut other = site.browser();
    other.sign_in(ALICE, MAILBOX).await;
    let token = other.token().await;
    let recovered = [("use", "recovery"), ("code", &*codes[9])];
    assert_eq!(other.post("/second-factor", &recovered, &token).await.leads_to(), Some("/trust"));
}

#[tokio::test]
async fn what_is_wrong_with_an_app_password_is_said_next_to_its_field_and_nothing_typed_is_lost() {
    let site = Site::open().await;
    let mut alice = site.signed_in(ALICE).await;
    let form = alice.get("/app-passwords/new").await;
    let token = form.form_token();
    let name = "👩\u{200d}💻 \u{202e}x";
    let fields = [("name", name), ("networks", "192.0.2.0/24, nonsense<b>"), ("once", "1")];
    let wrong = alice.post("/app-passwords/new", &fields, &token).await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(
        wrong.text.contains("id=\"networks-problem\"") && wrong.text.contains("nonsense&#60;b&#62;"),
        "{}",
        wrong.text
    );
    assert!(wrong.text.contains("id=\"protocols-problem\"") && !wrong.text.contains("id=\"name-problem\""));
    assert!(
        wrong.text.contains("value=\"👩&#8205;💻 &#8238;x\"") && !wrong.text.contains('\u{202e}'),
        "{}",
        wrong.text
    );

    let mut networks = String::new();
    for host in 0..51 {
        networks += &format!("192.0.2.{host} ");
    }
    let fields = [("name", "x"), ("protocol", "imap"), ("networks", &*networks), ("once", "2")];
    let many = alice.post("/app-passwords/new", &fields, &token).await;
    assert!(many.text.contains("50 networks are the most"), "{}", many.text);
    for lost in [
        [("networks", ""), ("networks", "::1")],
        [("expires", ""), ("expires", "30")],
        [("expires", "31"), ("networks", "")],
        [("expires", "soon"), ("networks", "")],
        [("read-only", ""), ("read-only", "yes")],
    ] {
        let fields = [&[("name", "x"), ("protocol", "imap"), ("once", "3")], &lost[..]].concat();
        let refused = alice.post("/app-passwords/new", &fields, &token).await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST, "a limit must not get lost: {lost:?}");
    }

    let fields =
        [("name", name), ("protocol", "imap"), ("networks", "192.0.2.7，2001:db8::/32"), ("once", "4")];
    let wrong =
        alice.post("/app-passwords/new", &[("name", "\u{7}"), fields[1], ("once", "5")], &token).await;
    assert!(wrong.text.contains("id=\"name-problem\""), "{}", wrong.text);
    let made = alice.post("/app-passwords/new", &fields, &token).await;
    assert_eq!(made.status, StatusCode::OK, "{}", made.text);
    let list = alice.get("/app-passwords").await;
    let one = format!("/app-passwords/{}", list.first(r#"/app-passwords/([0-9a-f-]{36})""#));
    let page = alice.get(&one).await;
    assert!(page.text.contains("192.0.2.7/32,2001:db8::/32"), "{}", page.text);
    assert!(
        page.text.contains("value=\"👩&#8205;💻 &#8238;x\""),
        "what is sent back is what there was: {}",
        page.text
    );
    let bad = alice.post(&format!("{one}/rename"), &[("name", &*"长".repeat(65))], &token).await;
    assert!(bad.text.contains("id=\"name-problem\"") && bad.text.contains(&"长".repeat(65)), "{}", bad.text);
}

#[tokio::test]
async fn where_app_passwords_rest_until_a_factor_is_bound_the_pages_say_so() {
    let required = "[policy]\nsecond_factor = \"required\"\nrequired_since = 2020-01-01\n";
    for (more, rest) in [("", true), ("app_passwords_without_factor = \"keep\"\n", false)] {
        let site = Site::with(&format!("{required}{more}")).await;
        let mut alice = site.signed_in(ALICE).await;
        let page = alice.get("/second-factors/first").await;
        assert_eq!(page.text.contains("They work from the moment at which you bind."), rest, "{}", page.text);
        assert_eq!(page.text.contains("They work at once."), !rest);
        let form = alice.get("/app-passwords/new").await;
        let fields = [("name", "x"), ("protocol", "imap"), ("once", &*once(&form))];
        let made = alice.post("/app-passwords/new", &fields, &form.form_token()).await;
        assert_eq!(
            made.text.contains("requires a second factor: this password works"),
            rest,
            "{}",
            made.text
        );
        assert_eq!(made.text.contains("/try\""), !rest);
        let again = alice.post("/app-passwords/new", &fields, &form.form_token()).await;
        assert_eq!(again.leads_to(), Some("/second-factors/first?done=already-made"));
    }
}

#[tokio::test]
async fn the_sites_help_stands_where_people_get_stuck_and_is_no_markup() {
    let site = Site::with(
        "[policy]\nhelp_zh = \"请到 <b>101</b> 室\"\nhelp_en = \"\"\"Room 101.\nBring your <i>ID</i>.\"\"\"\ncontact = \"tel:+86-10-1\"\n\
         [policy.\"example.org\"]\ncontact = \"https://help.example.org/a?b=1&c\"\n",
    )
    .await;
    let mut nobody = site.browser();
    let seen = nobody.get("/sign-in").await;
    assert!(
        seen.text.contains("<p>Room 101.</p><p>Bring your &#60;i&#62;ID&#60;/i&#62;.</p>"),
        "{}",
        seen.text
    );
    assert!(seen.text.contains("href=\"tel:+86-10-1\">+86-10-1</a>"), "{}", seen.text);
    assert!(nobody.get("/nothing").await.text.contains("Room 101."));
    nobody.language = "zh";
    assert!(nobody.get("/sign-in").await.text.contains("请到 &#60;b&#62;101&#60;/b&#62; 室"));
    let mut alice = site.signed_in(ALICE).await;
    for path in ["/second-factors/first", "/second-factors/totp"] {
        let seen = alice.get(path).await;
        assert!(seen.text.contains("href=\"https://help.example.org/a?b=1&#38;c\""), "{path}: {}", seen.text);
    }
    let (mut bound, ..) = site.bound(ALICE).await;
    site.later(601);
    assert!(bound.get("/verify").await.text.contains("Room 101."));
    assert!(!Site::open().await.browser().get("/sign-in").await.text.contains("site-help"));
}
