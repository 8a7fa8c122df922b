//! A backup mailbox, as its owner meets it.

use axum::http::StatusCode;

use super::harness::{ALICE, MAILBOX, Site};

pub(super) const OFFERED: &str = "[policy]\nfactors = [\"totp\", \"mailbox\"]\nrecommended = [\"totp\"]\n\
                       [mail]\nrelay = \"127.0.0.1:25\"\ntls = \"none\"\nfrom = \"gate@example.org\"\n";

/// Where any kind may be bound.
pub(super) const EVERY_KIND: &str = "[policy]\nfactors = [\"totp\", \"passkey\", \"mailbox\"]\n\
                       [mail]\nrelay = \"127.0.0.1:25\"\ntls = \"none\"\nfrom = \"gate@example.org\"\n";

#[tokio::test]
async fn a_backup_mailbox_is_bound_changed_used_and_unbound() {
    let site = Site::with(OFFERED).await;
    let mut alice = site.signed_in(ALICE).await;
    let choose = alice.get("/second-factors/new").await;
    let (app, mail) = (
        choose.text.find("/second-factors/totp").unwrap(),
        choose.text.find("/second-factors/mailbox").unwrap(),
    );
    assert!(app < mail && choose.text.matches("class=\"badge\">Recommended").count() == 1, "{}", choose.text);

    let page = alice.get("/second-factors/mailbox").await;
    assert!(page.text.contains("name=\"address\"") && !page.text.contains("name=\"code\""), "{}", page.text);
    let ours =
        alice.post("/second-factors/mailbox", &[("address", "bob@example.org")], &page.form_token()).await;
    assert_eq!(ours.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(
        ours.text.contains("id=\"address-problem\"") && ours.text.contains("belongs to this mail system")
    );
    let sent =
        alice.post("/second-factors/mailbox", &[("address", "caoshuai@163.com")], &page.form_token()).await;
    assert_eq!(sent.leads_to(), Some("/second-factors/mailbox"));
    let page = alice.get("/second-factors/mailbox").await;
    assert!(
        page.text.contains("A code was sent to caos****@163.com") && !page.text.contains("caoshuai"),
        "{}",
        page.text
    );
    let wrong = alice.post("/second-factors/mailbox", &[("code", "12345")], &page.form_token()).await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(wrong.text.contains("This code is wrong"), "{}", wrong.text);
    let bound = alice.post("/second-factors/mailbox", &[("code", &site.mailed())], &page.form_token()).await;
    assert_eq!(bound.all(r"<li>([a-z2-9 ]+)</li>").len(), 10, "{}", bound.text);
    let list = alice.get("/second-factors").await;
    assert!(list.text.contains("Backup mailbox") && list.text.contains("caos****@163.com"), "{}", list.text);

    // In again, by mail.
    let mut other = site.browser();
    assert_eq!(other.sign_in(ALICE, MAILBOX).await.leads_to(), Some("/second-factor"));
    let page = other.get("/second-factor?to=%2Flock").await;
    assert!(page.text.contains("name=\"send\"") && !page.text.contains("name=\"code\""), "{}", page.text);
    let bare = other.post("/second-factor?to=%2Flock", &[("use", "mailbox"), ("send", "yes")], "").await;
    assert_eq!(bare.status, StatusCode::FORBIDDEN, "sending wants the session's own form");
    let sent = other
        .post("/second-factor?to=%2Flock", &[("use", "mailbox"), ("send", "yes")], &page.form_token())
        .await;
    assert_eq!(sent.leads_to(), Some("/second-factor?to=%2Flock&use=mailbox"));
    let page = other.get("/second-factor?to=%2Flock&use=mailbox").await;
    assert!(page.text.contains("caos****@163.com") && page.text.contains("name=\"code\""), "{}", page.text);
    let fields = [("use", "mailbox"), ("code", &*site.mailed())];
    let seen = other.post("/second-factor?to=%2Flock", &fields, &page.form_token()).await;
    assert_eq!(seen.leads_to(), Some("/trust?to=%2Flock"), "{}", seen.text);
    let again = other.post("/second-factor?to=%2Flock", &fields, &page.form_token()).await;
    assert!(again.leads_to().is_some_and(|to| to.starts_with("/trust")) || again.status.is_client_error());

    // A change wants a fresh code, and the new mailbox its own.
    site.later(601);
    let change =
        format!("/second-factors/{}/change", list.first(r#"/second-factors/([0-9a-f-]{36})/change"#));
    let to_verify = alice.get(&change).await.leads_to().unwrap().to_owned();
    assert!(to_verify.starts_with("/verify?to="), "{to_verify}");
    let page = alice.get(&to_verify).await;
    let sent = alice.post(&to_verify, &[("use", "mailbox"), ("send", "yes")], &page.form_token()).await;
    let back = sent.leads_to().unwrap().to_owned();
    let page = alice.get(&back).await;
    let verified =
        alice.post(&to_verify, &[("use", "mailbox"), ("code", &site.mailed())], &page.form_token()).await;
    assert!(verified.leads_to().unwrap().contains("/change?done=verified"), "{}", verified.text);
    let page = alice.get(&change).await;
    let sent = alice.post(&change, &[("address", "second@163.com")], &page.form_token()).await;
    assert_eq!(sent.leads_to(), Some(&*change), "{}", sent.text);
    let changed = alice.post(&change, &[("code", &site.mailed())], &page.form_token()).await;
    assert_eq!(changed.leads_to(), Some("/second-factors?done=changed"), "{}", changed.text);
    let list = alice.get("/second-factors").await;
    assert!(list.text.contains("sec****@163.com") && !list.text.contains("caos****"), "{}", list.text);
    let unbind =
        format!("/second-factors/{}/unbind", list.first(r#"/second-factors/([0-9a-f-]{36})/unbind"#));
    let page = alice.get(&unbind).await;
    let unbound = alice.post(&unbind, &[], &page.form_token()).await;
    assert_eq!(unbound.leads_to(), Some("/second-factors?done=unbound"), "{}", unbound.text);
}

#[tokio::test]
async fn too_many_codes_and_a_relay_that_is_away_are_told_in_words() {
    let site = Site::with(OFFERED).await;
    let mut alice = site.signed_in(ALICE).await;
    alice.language = "zh-CN";
    let token = alice.token().await;
    for _ in 0..5 {
        let sent = alice.post("/second-factors/mailbox", &[("address", "a@163.com")], &token).await;
        assert_eq!(sent.status, StatusCode::SEE_OTHER);
    }
    let sixth = alice.post("/second-factors/mailbox", &[("address", "a@163.com")], &token).await;
    assert_eq!(sixth.status, StatusCode::TOO_MANY_REQUESTS);
    assert!(sixth.text.contains("最近发送的验证码过多"), "{}", sixth.text);
    site.later(3_601);
    let mut alice = site.signed_in(ALICE).await;
    let token = alice.token().await;
    site.relay_goes_down();
    let failed = alice.post("/second-factors/mailbox", &[("address", "a@163.com")], &token).await;
    assert_eq!(failed.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(failed.text.contains("could not be sent right now"), "{}", failed.text);
}

#[tokio::test]
async fn a_page_asks_for_the_code_that_is_good_and_for_none_that_was_not_sent() {
    const BIND: &str = "/second-factors/mailbox";
    let site = Site::with(OFFERED).await;
    let mut alice = site.signed_in(ALICE).await;
    let token = alice.token().await;
    let sent = [("address", "caoshuai@163.com")];
    for _ in 0..5 {
        assert_eq!(alice.post(BIND, &sent, &token).await.status, StatusCode::SEE_OTHER);
    }
    for (address, status) in [("caoshuai@163.com", 429), ("nobody", 422), (ALICE, 422)] {
        let refused = alice.post(BIND, &[("address", address)], &token).await;
        assert_eq!(refused.status.as_u16(), status);
        let asks =
            refused.text.contains("sent to caos****@163.com") && refused.text.contains("name=\"code\"");
        assert!(asks, "{address}: {}", refused.text);
        let begins_at = if status == 422 { "address" } else { "code" };
        assert_eq!(refused.all(r#"name="([a-z]+)"[^>]* autofocus"#), [begins_at], "{}", refused.text);
    }
    let bound = alice.post(BIND, &[("code", &site.mailed())], &token).await;
    assert_eq!(bound.status, StatusCode::OK, "{}", bound.text);

    site.later(3_601);
    site.relay_goes_down();
    let mut other = site.browser();
    other.sign_in(ALICE, MAILBOX).await;
    let token = other.token().await;
    let failed = other.post("/second-factor", &[("use", "mailbox"), ("send", "yes")], &token).await;
    assert_eq!(failed.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(failed.text.contains("could not be sent right now"), "{}", failed.text);
    for page in [failed, other.get("/second-factor?use=mailbox").await] {
        assert!(
            page.text.contains("A code will be sent") && !page.text.contains("name=\"code\""),
            "{}",
            page.text
        );
    }
}
