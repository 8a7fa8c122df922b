//! The ways that people go.

use axum::http::StatusCode;

use super::harness::{ALICE, BOB, MAILBOX, Site};

#[tokio::test]
async fn from_the_first_sign_in_to_a_trusted_device() {
    let site = Site::open().await;
    let mut browser = site.signed_in(ALICE).await;
    let home = browser.get("/").await;
    assert!(home.text.contains("Two-step verification is off") && home.text.contains("Chrome 142 · Windows"));
    assert!(browser.get("/second-factors/first").await.text.contains("Give your mail clients app passwords"));
    let before = browser.cookies.clone();
    let (mut browser, key, codes) = {
        drop(browser);
        site.bound(ALICE).await
    };
    assert_ne!(browser.cookies, before);
    assert!(browser.get("/").await.text.contains("Two-step verification is on"));

    let token = browser.token().await;
    let seen = browser.post("/sign-out", &[], &token).await;
    assert_eq!(seen.leads_to(), Some("/sign-in?done=signed-out"));
    assert_eq!(seen.headers["clear-site-data"], "\"cache\"");
    assert!(browser.cookies.is_empty());
    let seen = browser.get("/sign-in?done=signed-out").await;
    assert!(seen.text.contains("You are signed out."));

    assert_eq!(browser.sign_in(ALICE, MAILBOX).await.leads_to(), Some("/second-factor"));
    let seen = browser.get("/second-factor").await;
    assert!(seen.text.contains("Code from the app") && seen.text.contains("Use another way"));
    let by_code = browser.get("/second-factor?use=recovery").await;
    assert!(by_code.text.contains("Recovery code"));
    let code = site.next_code(&key);
    let seen = browser.post("/second-factor", &[("use", "totp"), ("code", &code)], &seen.form_token()).await;
    assert_eq!(seen.leads_to(), Some("/trust"));
    let seen = browser.get("/trust").await;
    assert!(seen.text.contains("For 7 days"), "{}", seen.text);
    assert_eq!(browser.post("/trust", &[("trust", "yes")], &seen.form_token()).await.leads_to(), Some("/"));
    browser.get("/").await.first("Trusted until ([0-9]{1,2} [A-Z][a-z]{2} [0-9]{4})");

    let token = browser.token().await;
    browser.post("/sign-out", &[], &token).await;
    assert_eq!(browser.sign_in(ALICE, MAILBOX).await.leads_to(), Some("/"), "it is trusted");

    let mut other = site.browser();
    other.sign_in(ALICE, MAILBOX).await;
    let token = other.token().await;
    let recovered = [("use", "recovery"), ("code", &*codes[3])];
    assert_eq!(other.post("/second-factor", &recovered, &token).await.leads_to(), Some("/trust"));
    let seen = other.get("/trust").await;
    other.post("/trust", &[("trust", "no")], &seen.form_token()).await;
    assert!(other.get("/").await.text.contains("9 codes left"));

    let mut third = site.browser();
    third.sign_in(ALICE, MAILBOX).await;
    let token = third.token().await;
    let seen = third.post("/second-factor", &recovered, &token).await;
    assert_eq!(seen.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(seen.text.contains("This recovery code is wrong or was used already."));
}

#[tokio::test]
async fn who_was_away_for_too_long_is_told_so() {
    let site = Site::open().await;
    let mut browser = site.signed_in(ALICE).await;
    site.later(1_801);
    assert_eq!(browser.get("/app-passwords").await.leads_to(), Some("/sign-in?to=%2Fapp-passwords"));
    let seen = browser.get("/sign-in?to=%2Fapp-passwords").await;
    assert!(seen.text.contains("away for a while") && seen.text.contains("value=\"/app-passwords\""));
}

#[tokio::test]
async fn a_wrong_password_is_answered_in_words_and_never_repeated() {
    let site = Site::open().await;
    let mut browser = site.browser();
    browser.language = "zh-CN,zh;q=0.9";
    let seen = browser.sign_in("alice@example.org\"><b>", "wrong secret").await;
    assert_eq!(seen.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(seen.text.contains("邮箱地址或密码错误") && !seen.text.contains("wrong secret"));
    assert!(!seen.text.contains("<b>") && seen.headers.get("set-cookie").is_none());
    site.upstream_goes_down();
    let seen = browser.sign_in(ALICE, MAILBOX).await;
    assert_eq!(seen.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(seen.text.contains("暂时没有响应"));
}

#[tokio::test]
async fn there_is_no_account_before_somebody_opens_its_mailbox() {
    let site = Site::open().await;
    for (password, accounts) in [("", 0), ("admin", 0), ("guess", 0), (MAILBOX, 1)] {
        site.browser().sign_in(ALICE, password).await;
        site.browser().sign_in("admin", password).await;
        assert_eq!(site.store.accounts().await.unwrap().len(), accounts, "{password}");
    }
}

#[tokio::test]
async fn a_mailbox_password_of_any_length_that_the_gate_takes_signs_in() {
    let site = Site::open().await;
    let longest = " 密".repeat(256);
    assert_eq!(longest.len(), 1024);
    for password in ["x".repeat(64), "密".repeat(65), longest.clone()] {
        site.change_mailbox_password(ALICE, &password);
        let mut browser = site.browser();
        assert_eq!(browser.sign_in(ALICE, &password).await.leads_to(), Some("/"), "{}", password.len());
        site.later(600);
        let page = browser.get("/verify").await;
        let verified = browser.post("/verify", &[("password", &password)], &page.form_token()).await;
        assert_eq!(verified.leads_to(), Some("/?done=verified"), "{}", password.len());
    }
    let longer = site.browser().sign_in(ALICE, &(longest + "x")).await;
    assert_eq!(longer.status, StatusCode::UNPROCESSABLE_ENTITY, "it is nobody's, and not cut");
}

#[tokio::test]
async fn a_language_that_was_chosen_stays() {
    let site = Site::open().await;
    let mut browser = site.browser();
    assert!(browser.get("/sign-in").await.text.contains("<html lang=\"en\""));
    let chosen = [("language", "zh-Hans"), ("to", "/guides")];
    assert_eq!(
        browser.post_bare("/language", &chosen, Some("same-origin")).await.leads_to(),
        Some("/guides")
    );
    assert!(browser.get("/guides").await.text.contains("<html lang=\"zh-Hans\""));
    // Whoever was on the way to somewhere, and chose a way to answer, still is and has.
    let asked = "/verify?to=%2Flock&use=recovery";
    let chosen = [("language", "en"), ("to", "/verify"), ("onward", "/lock"), ("use", "recovery")];
    assert_eq!(browser.post_bare("/language", &chosen, Some("same-origin")).await.leads_to(), Some(asked));
    let wrong = browser.post_bare("/language", &[("language", "<")], Some("same-origin")).await;
    assert_eq!(wrong.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn an_app_password_is_made_shown_once_renamed_and_deleted() {
    let site = Site::open().await;
    let mut alice = site.signed_in(ALICE).await;
    let form = alice.get("/app-passwords/new?name=Foxmail").await;
    assert!(form.text.contains("value=\"Foxmail\""));
    let name = "iPhone <b>\u{202e}";
    let fields =
        [("name", name), ("protocol", "imap"), ("protocol", "smtp"), ("expires", "90"), ("once", "1")];
    let made = alice.post("/app-passwords/new", &fields, &form.form_token()).await;
    assert_eq!(made.status, StatusCode::OK, "{}", made.text);
    let printed = made.first(r#"data-copy="([a-z2-9 ]{19})""#);
    assert!(made.text.contains("993") && made.text.contains("994") && made.text.contains(ALICE));
    let list = alice.get("/app-passwords").await;
    assert!(list.text.contains(&printed[..4]) && !list.text.contains(&printed[5..9]));
    assert!(list.text.contains("IMAP, SMTP") && list.text.contains("Never used"));
    assert!(!list.text.contains("<b>") && !list.text.contains('\u{202e}'));
    let id = list.first(r#"/app-passwords/([0-9a-f-]{36})""#);
    let one = format!("/app-passwords/{id}");
    assert!(alice.get(&format!("{one}/try")).await.text.contains("http-equiv=\"refresh\""));

    let mut bob = site.signed_in(BOB).await;
    let token = bob.token().await;
    assert_eq!(bob.get(&one).await.status, StatusCode::NOT_FOUND);
    for what in ["rename", "delete"] {
        let seen = bob.post(&format!("{one}/{what}"), &[("name", "mine")], &token).await;
        assert_eq!(seen.status, StatusCode::NOT_FOUND, "{what}");
    }

    let token = alice.token().await;
    let renamed = alice.post(&format!("{one}/rename"), &[("name", "办公室")], &token).await;
    assert_eq!(renamed.leads_to(), Some(&*format!("{one}?done=renamed")));
    assert!(alice.get(&one).await.text.contains("办公室"));
    let bad = alice.post(&format!("{one}/rename"), &[("name", " ")], &token).await;
    assert_eq!(bad.status, StatusCode::UNPROCESSABLE_ENTITY);
    let gone = alice.post(&format!("{one}/delete"), &[], &token).await;
    assert_eq!(gone.leads_to(), Some("/app-passwords?done=deleted"));
    assert!(alice.get("/app-passwords").await.text.contains("No app password yet"));

    let none = alice.post("/app-passwords/new", &[("name", "x"), ("once", "2")], &token).await;
    assert!(none.text.contains("Choose at least one protocol"), "{}", none.text);
}

#[tokio::test]
async fn where_a_factor_is_required_there_is_one_way_only() {
    let site = Site::with("[policy]\nsecond_factor = \"required\"\nrequired_since = 2020-01-01").await;
    let mut browser = site.browser();
    assert_eq!(browser.sign_in(ALICE, MAILBOX).await.leads_to(), Some("/"));
    for closed in ["/", "/app-passwords", "/second-factors", "/lock", "/app-passwords/delete-all"] {
        assert_eq!(browser.get(closed).await.leads_to(), Some("/second-factors/first"), "{closed}");
    }
    let page = browser.get("/second-factors/first").await;
    assert!(page.text.contains("Your organisation requires") && !page.text.contains("<nav"));
    for open in ["/second-factors/totp", "/app-passwords/new"] {
        assert_eq!(browser.get(open).await.status, StatusCode::OK, "{open}");
    }
}

#[tokio::test]
async fn a_factor_is_changed_to_another_phone_and_unbound() {
    let site = Site::open().await;
    let (mut browser, old, _) = site.bound(ALICE).await;
    let list = browser.get("/second-factors").await;
    let id = list.first(r#"/second-factors/([0-9a-f-]{36})/change"#);
    let change = format!("/second-factors/{id}/change");
    let page = browser.get(&change).await;
    let new = page.first(r#"data-copy="([A-Z2-7]+)""#);
    assert_ne!(new, old);
    let wrong = browser.post(&change, &[("code", "000000")], &page.form_token()).await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(wrong.text.contains(&new), "the same offer again");
    let code = site.next_code(&new);
    let changed = browser.post(&change, &[("code", &code)], &wrong.form_token()).await;
    assert_eq!(changed.leads_to(), Some("/second-factors?done=changed"), "{}", changed.text);
    let list = browser.get("/second-factors").await;
    let now = list.all(r#"/second-factors/([0-9a-f-]{36})/change"#);
    assert!(now.len() == 1 && now[0] != id, "{now:?}");

    let unbind = format!("/second-factors/{}/unbind", now[0]);
    let page = browser.get(&unbind).await;
    assert!(page.text.contains("Two-step verification will be off."));
    let unbound = browser.post(&unbind, &[], &page.form_token()).await;
    assert_eq!(unbound.leads_to(), Some("/second-factors?done=unbound"), "{}", unbound.text);
    assert!(browser.get("/").await.text.contains("Two-step verification is off"));
}

#[tokio::test]
async fn a_kind_is_chosen_and_a_factor_gets_a_name_of_its_own() {
    let site = Site::open().await;
    let (mut browser, key, _) = site.bound(ALICE).await;
    let list = browser.get("/second-factors").await;
    assert!(list.text.contains("<strong>Authenticator app</strong>"), "it has no name yet");
    let id = list.first(r#"/second-factors/([0-9a-f-]{36})/rename"#);
    assert!(browser.get("/second-factors/new").await.text.contains("href=\"/second-factors/totp\""));
    let rename = format!("/second-factors/{id}/rename");
    let page = browser.get(&rename).await;
    let name = "手机 <b>\u{202e}";
    let renamed = browser.post(&rename, &[("name", name)], &page.form_token()).await;
    assert_eq!(renamed.leads_to(), Some("/second-factors?done=renamed"));
    let list = browser.get("/second-factors").await;
    assert!(list.text.contains("手机 &#60;b&#62;") && list.text.contains("Authenticator app · Bound"));
    assert!(!list.text.contains("<b>") && !list.text.contains('\u{202e}'));
    let bad = browser.post(&rename, &[("name", " ")], &page.form_token()).await;
    assert_eq!(bad.status, StatusCode::UNPROCESSABLE_ENTITY);

    let mut bob = site.signed_in(BOB).await;
    let token = bob.token().await;
    for what in ["rename", "change", "unbind"] {
        let path = format!("/second-factors/{id}/{what}");
        assert_eq!(bob.get(&path).await.status, StatusCode::NOT_FOUND, "{what}");
        assert_eq!(
            bob.post(&path, &[("name", "mine")], &token).await.status,
            StatusCode::NOT_FOUND,
            "{what}"
        );
    }
    site.later(601);
    let verify = format!("/verify?to={}", rename.replace('/', "%2F"));
    assert_eq!(browser.get(&rename).await.leads_to(), Some(&*verify));
    let late = browser.post(&rename, &[("name", "Desk <i>")], &page.form_token()).await;
    assert_eq!(late.leads_to(), Some(&*verify));
    let page = browser.get(&verify).await;
    let verified = browser.post(&verify, &[("code", &site.next_code(&key))], &page.form_token()).await;
    let page = browser.get(verified.leads_to().unwrap()).await;
    assert!(page.text.contains("value=\"Desk &#60;i&#62;\""), "as it was typed: {}", page.text);
}

#[tokio::test]
async fn everything_is_locked_but_this_browser() {
    let site = Site::open().await;
    let mut browser = site.signed_in(ALICE).await;
    let mut other = site.signed_in(ALICE).await;
    let form = browser.get("/app-passwords/new").await;
    let fields = [("name", "x"), ("protocol", "imap"), ("once", "1")];
    let made = browser.post("/app-passwords/new", &fields, &form.form_token()).await;
    assert_eq!(made.status, StatusCode::OK, "{}", made.text);
    let page = browser.get("/lock").await;
    let locked = browser.post("/lock", &[], &page.form_token()).await;
    assert_eq!(locked.leads_to(), Some("/?done=locked"), "{}", locked.text);
    assert!(browser.get("/app-passwords").await.text.contains("No app password yet"));
    assert_eq!(other.get("/").await.leads_to(), Some("/sign-in"));
}

#[tokio::test]
async fn another_browser_is_signed_out_and_this_one_stays() {
    let site = Site::open().await;
    let mut browser = site.signed_in(ALICE).await;
    let mut other = site.signed_in(ALICE).await;
    let home = browser.get("/").await;
    let ends = home.all(r#"action="(/browsers/[0-9a-f-]{36}/end)""#);
    assert_eq!(ends.len(), 1, "not this one: {}", home.text);
    assert_eq!(other.get("/").await.status, StatusCode::OK);
    let ended = browser.post(&ends[0], &[], &home.form_token()).await;
    assert_eq!(ended.leads_to(), Some("/?done=browser-ended"), "{}", ended.text);
    assert_eq!(other.get("/").await.leads_to(), Some("/sign-in"));
    let home = browser.get("/?done=browser-ended").await;
    assert!(home.text.contains("The browser was signed out."), "{}", home.text);
    assert!(!home.text.contains(&ends[0]), "{}", home.text);
    let again = browser.post(&ends[0], &[], &home.form_token()).await;
    assert_eq!(again.status, StatusCode::NOT_FOUND, "it is over");
}

#[tokio::test]
async fn all_app_passwords_are_deleted_and_nobody_elses() {
    let site = Site::open().await;
    let (mut alice, mut bob) = (site.signed_in(ALICE).await, site.signed_in(BOB).await);
    for number in ["1", "2"] {
        for browser in [&mut alice, &mut bob] {
            let token = browser.token().await;
            let fields = [("name", "Foxmail"), ("protocol", "imap"), ("once", number)];
            let made = browser.post("/app-passwords/new", &fields, &token).await;
            assert_eq!(made.status, StatusCode::OK, "{}", made.text);
        }
    }
    let page = alice.get("/app-passwords/delete-all").await;
    assert!(alice.get("/app-passwords").await.text.contains("Foxmail"), "asking deletes nothing");
    let deleted = alice.post("/app-passwords/delete-all", &[], &page.form_token()).await;
    assert_eq!(deleted.leads_to(), Some("/app-passwords?done=deleted-all"), "{}", deleted.text);
    assert!(alice.get("/app-passwords").await.text.contains("No app password yet"));
    assert!(bob.get("/app-passwords").await.text.contains("Foxmail"));
}

#[tokio::test]
async fn a_database_that_is_gone_is_told_and_nobody_is_signed_out() {
    let site = Site::open().await;
    let mut browser = site.signed_in(ALICE).await;
    site.store.close().await;
    let seen = browser.get("/").await;
    assert_eq!(seen.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(seen.text.contains("may not have been done.") && browser.cookies.len() == 1);
}

#[tokio::test]
async fn before_the_first_binding_clients_without_an_app_password_are_named() {
    let site = Site::open().await;
    let mut alice = site.signed_in(ALICE).await;
    let page = alice.get("/second-factors/first").await;
    assert!(page.text.contains("No mail client used your mailbox password"), "{}", page.text);
    site.used_mailbox_password(ALICE, &["Thunderbird", "<b>Foxmail</b>\u{202e}"]).await;
    let page = alice.get("/second-factors/first").await;
    assert!(page.text.contains("These clients used your mailbox password in the last 30 days:"));
    let named = page.all(r"<strong>([^<]*)</strong></div><a [^>]*/app-passwords/new\?name=");
    assert_eq!(named, ["&#60;b&#62;Foxmail&#60;/b&#62;‹U+202E›", "Thunderbird"], "{}", page.text);
    assert!(page.text.contains("/app-passwords/new?name=Thunderbird\""));
    let mut bob = site.signed_in(BOB).await;
    assert!(!bob.get("/second-factors/first").await.text.contains("Thunderbird"));
    site.later(30 * 86_400 + 1);
    alice.sign_in(ALICE, MAILBOX).await;
    let page = alice.get("/second-factors/first").await;
    assert!(page.text.contains("No mail client used your mailbox password"), "{}", page.text);
}
