//! Mail clients that set themselves up.

use axum::body::Body;
use axum::http::{Request, StatusCode};

use super::enrolment::once;
use super::harness::{ALICE, BOB, Browser, MAILBOX, Seen, Site};

const OUTLOOK: &str = "http://schemas.microsoft.com/exchange/autodiscover/outlook/responseschema/2006a";

/// Makes an app password, and returns the page that shows it.
async fn make(browser: &mut Browser<'_>, protocols: &[&str]) -> Seen {
    let form = browser.get("/app-passwords/new").await;
    let once = once(&form);
    let mut fields = vec![("name", "iPhone"), ("once", &*once)];
    fields.extend(protocols.iter().map(|protocol| ("protocol", *protocol)));
    let made = browser.post("/app-passwords/new", &fields, &form.form_token()).await;
    assert_eq!(made.status, StatusCode::OK, "{}", made.text);
    made
}

/// The path of the link on it.
fn link(made: &Seen) -> String {
    made.first(r#"href="https://mail\.example\.org(/apple/profile/[A-Za-z0-9_-]{43})""#)
}

#[tokio::test]
async fn a_device_is_set_up_once_by_whoever_holds_the_link() {
    let site = Site::open().await;
    let mut alice = site.signed_in(ALICE).await;
    let made = make(&mut alice, &["imap", "smtp"]).await;
    let (printed, link) = (made.first(r#"data-copy="([a-z2-9 ]{19})""#), link(&made));
    assert!(made.text.contains("class=\"qr\""));

    let mut phone = site.browser();
    for language in ["en", "zh-CN"] {
        phone.language = language;
        let page = phone.get(&link).await;
        assert_eq!(page.status, StatusCode::OK, "a preview takes nothing");
        assert!(page.text.contains(ALICE) && page.text.contains("<form method=\"post\""), "{}", page.text);
        assert!(!page.text.contains(&link[20..]), "the address stands nowhere in its page");
        assert_eq!(page.headers["referrer-policy"], "no-referrer");
        assert_eq!(page.headers["cache-control"], "no-store");
        assert!(page.text.contains(if language == "en" { "Get the profile" } else { "获取描述文件" }));
    }
    let got = phone.post_bare(&link, &[], Some("same-origin")).await;
    assert_eq!(got.status, StatusCode::OK);
    assert_eq!(got.headers["content-type"], "application/x-apple-aspen-config");
    assert_eq!(got.headers["content-disposition"], "attachment; filename=\"mail.mobileconfig\"");
    assert_eq!(got.headers["referrer-policy"], "no-referrer");
    assert_eq!(got.headers["cache-control"], "no-store");
    assert!(got.text.contains(&printed.replace(' ', "")) && got.text.contains(&format!("{ALICE} 的邮箱")));
    assert_eq!(got.body[0], 0x30, "it is signed");
    assert!(phone.cookies.is_empty());

    for _ in 0..2 {
        let gone = phone.post_bare(&link, &[], Some("same-origin")).await;
        assert_eq!(gone.status, StatusCode::NOT_FOUND);
        assert!(gone.text.contains("此链接已失效") && !gone.text.contains(ALICE));
        assert_eq!(phone.get(&link).await.status, StatusCode::NOT_FOUND);
    }
}

#[tokio::test]
async fn of_fifty_who_fetch_a_profile_at_once_one_gets_it() {
    let site = Site::open().await;
    let mut alice = site.signed_in(ALICE).await;
    let link = link(&make(&mut alice, &["imap", "smtp"]).await);
    let fetches = (0..50).map(|_| Request::post(&link).body(Body::empty()).unwrap());
    let (mut got, mut gone) = (0, 0);
    for seen in site.at_once(fetches).await {
        match seen.status {
            StatusCode::OK => got += 1,
            StatusCode::NOT_FOUND => gone += 1,
            other => panic!("{other}"),
        }
    }
    assert_eq!((got, gone), (1, 49));
}

#[tokio::test]
async fn a_link_ends_with_its_time_and_with_its_app_password() {
    let site = Site::open().await;
    let mut alice = site.signed_in(ALICE).await;
    let old = link(&make(&mut alice, &["imap", "smtp"]).await);
    site.later(301);
    assert_eq!(site.browser().get(&old).await.status, StatusCode::NOT_FOUND);
    assert_eq!(site.browser().post_bare(&old, &[], None).await.status, StatusCode::NOT_FOUND);

    let revoked = make(&mut alice, &["imap", "smtp"]).await;
    let (id, revoked) = (revoked.first(r#"/app-passwords/([0-9a-f-]{36})/try"#), link(&revoked));
    assert_eq!(site.browser().get(&revoked).await.status, StatusCode::OK);
    let token = alice.token().await;
    alice.post(&format!("/app-passwords/{id}/delete"), &[], &token).await;
    assert_eq!(site.browser().post_bare(&revoked, &[], None).await.status, StatusCode::NOT_FOUND);

    let receiving = make(&mut alice, &["imap"]).await;
    assert!(!receiving.text.contains("/apple/profile/"), "Apple's Mail wants to send, too");
}

#[tokio::test]
async fn what_is_signed_in_gives_nothing_to_the_page_of_a_link() {
    let site = Site::open().await;
    let mut alice = site.signed_in(ALICE).await;
    let link = link(&make(&mut alice, &["imap", "smtp"]).await);
    let mut bob = site.signed_in(BOB).await;
    let (of_nobody, of_bob) = (site.browser().get(&link).await, bob.get(&link).await);
    assert_eq!(of_nobody.body, of_bob.body);
}

/// Asks as a program does that is no browser.
async fn asked(site: &Site, path: &str, host: &str, body: Option<&str>) -> Seen {
    let request = match body {
        None => Request::get(path),
        Some(_) => Request::post(path).header("content-type", "text/xml"),
    };
    let body = Body::from(body.unwrap_or_default().to_owned());
    site.browser().ask(request.header("host", host).body(body).unwrap()).await
}

#[tokio::test]
async fn thunderbird_finds_the_servers_of_every_domain_that_is_served() {
    let site = Site::open().await;
    let document = |path: &'static str, host: &'static str| asked(&site, path, host, None);
    let first =
        document("/mail/config-v1.1.xml?emailaddress=alice%40example.org", "autoconfig.example.org").await;
    assert_eq!(
        (first.status, &first.headers["content-type"]),
        (StatusCode::OK, &"text/xml; charset=utf-8".parse().unwrap())
    );
    for (path, host) in [
        ("/mail/config-v1.1.xml?emailaddress=nobody@EXAMPLE.org", "evil.example"),
        ("/.well-known/autoconfig/mail/config-v1.1.xml?emailaddress=%22x%22@example.org", "example.org"),
        ("/.well-known/autoconfig/mail/config-v1.1.xml", "Example.ORG:443"),
        ("/mail/config-v1.1.xml", "autoconfig.example.org"),
    ] {
        let seen = document(path, host).await;
        assert_eq!((seen.status, &seen.text), (StatusCode::OK, &first.text), "{path} at {host}");
    }
    for (path, host) in [
        ("/mail/config-v1.1.xml?emailaddress=alice@example.net", "autoconfig.example.org"),
        ("/mail/config-v1.1.xml?emailaddress=alice@", "autoconfig.example.org"),
        ("/mail/config-v1.1.xml?emailaddress=%ff", "192.0.2.1"),
        ("/mail/config-v1.1.xml", "autoconfig.example.net"),
        ("/mail/config-v1.1.xml", "autoconfig."),
        ("/mail/config-v1.2.xml?emailaddress=alice@example.org", "autoconfig.example.org"),
    ] {
        let seen = document(path, host).await;
        assert_eq!(seen.status, StatusCode::NOT_FOUND, "{path} at {host}");
        assert!(!seen.text.contains(".net") && !seen.text.contains("192.0.2"), "{path}");
    }
}

fn question(address: &str, schema: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?><Autodiscover xmlns=\"http://schemas.microsoft.com/exchange/autodiscover/outlook/requestschema/2006\"><Request><EMailAddress>{address}</EMailAddress><AcceptableResponseSchema>{schema}</AcceptableResponseSchema></Request></Autodiscover>"
    )
}

#[tokio::test]
async fn outlook_is_told_the_servers_and_of_no_mailbox_whether_it_exists() {
    let site = Site::open().await;
    let told = async |path: &str, body: Option<String>| {
        let seen = asked(&site, path, "autodiscover.example.org", body.as_deref()).await;
        assert_eq!(seen.headers["content-type"], "text/xml; charset=utf-8");
        (seen.status.as_u16(), seen.text)
    };
    const POST: &str = "/autodiscover/autodiscover.xml";
    let (status, of_alice) = told(POST, Some(question(ALICE, OUTLOOK))).await;
    assert_eq!(status, 200, "{of_alice}");
    let (_, of_nobody) = told(POST, Some(question("nobody@example.org", OUTLOOK))).await;
    assert_eq!(of_nobody.replace("nobody@example.org", ALICE), of_alice);
    let elsewhere =
        told("/Autodiscover/Autodiscover.xml", Some(question(" ALICE@Example.org", OUTLOOK))).await;
    assert_eq!(elsewhere, (200, of_alice.clone()));
    let by_get = told("/autodiscover/autodiscover.xml?emailaddress=alice@example.org", None).await;
    assert_eq!(by_get, (200, of_alice));
    for (body, status, code) in [
        (question("alice@example.net", OUTLOOK), 404, 500),
        (question("alice", OUTLOOK), 400, 600),
        (
            question(
                ALICE,
                "http://schemas.microsoft.com/exchange/autodiscover/mobilesync/responseschema/2006",
            ),
            200,
            601,
        ),
        ("<html/>".to_owned(), 400, 600),
        (String::new(), 400, 600),
    ] {
        let (got, text) = told(POST, Some(body.clone())).await;
        assert_eq!(got, status, "{body}");
        assert!(text.contains(&format!("<ErrorCode>{code}</ErrorCode>")), "{text}");
    }
    assert_eq!(told("/autodiscover/autodiscover.xml", None).await.0, 400);
    let large = asked(&site, POST, "x", Some(&" ".repeat(64 * 1024 + 1))).await;
    assert_eq!(large.status, StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn clients_ask_at_the_root_wherever_the_pages_begin() {
    let site = Site::below("/portal").await;
    for (path, status) in [
        ("/mail/config-v1.1.xml?emailaddress=alice@example.org", StatusCode::OK),
        ("/autodiscover/autodiscover.xml?emailaddress=alice@example.org", StatusCode::OK),
        ("/apple/profile/x", StatusCode::NOT_FOUND),
        ("/sign-in", StatusCode::NOT_FOUND),
        ("/portal/sign-in", StatusCode::OK),
    ] {
        assert_eq!(asked(&site, path, "mail.example.org", None).await.status, status, "{path}");
    }
    let seen = asked(&site, "/mail/config-v1.1.xml", "example.org", None).await;
    assert!(seen.text.contains("https://mail.example.org/portal/guides/thunderbird"), "{}", seen.text);
    let mut alice = site.browser();
    alice.sign_in_at("/portal/sign-in", ALICE, MAILBOX).await;
    let form = alice.get("/portal/app-passwords/new").await;
    let once = once(&form);
    let fields = [("name", "x"), ("protocol", "imap"), ("protocol", "smtp"), ("once", &*once)];
    let made = alice.post("/portal/app-passwords/new", &fields, &form.form_token()).await;
    let link = made.first(r#"href="https://mail\.example\.org(/portal/apple/profile/[A-Za-z0-9_-]{43})""#);
    let page = site.browser().get(&link).await;
    assert_eq!(
        (page.status, &page.headers["referrer-policy"]),
        (StatusCode::OK, &"no-referrer".parse().unwrap())
    );
    assert_eq!(site.browser().post_bare(&link, &[], Some("cross-site")).await.status, StatusCode::OK);
}
