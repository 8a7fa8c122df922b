//! What users are told by mail of what happens in the portal.

use super::*;
use crate::portal::NewAppPassword;

/// Alice, who has a factor and was told so; what makes codes.
async fn bound(site: &Site) -> (Visit, Vec<u8>) {
    let visit = site.inside(ALICE).await;
    assert_eq!(site.told(&visit).await, ["new_browser"]);
    let (visit, raw, _) = site.bind(&visit).await;
    assert_eq!(site.told(&visit).await, ["factor_bound"]);
    (visit, raw)
}

async fn at_the_second_factor(site: &Site, host: u8) -> Visit {
    let login = LoginName::from_bytes(ALICE.as_bytes()).unwrap();
    let entered = site.portal.sign_in(&browser(host), login, secret(MAILBOX), None).await.unwrap();
    assert_eq!(entered.step, Step::SecondFactor);
    site.portal.visit(entered.token, browser(host)).await.unwrap().unwrap()
}

fn elsewhere() -> Browser {
    Browser { address: ClientAddress::new([198, 51, 100, 9].into()), name: Some("Edge".to_owned()) }
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_changes_the_account_is_told() {
    let site = Site::open().await;
    let (visit, _) = bound(&site).await;
    let fresh = || {
        site.clock.advance(Duration::from_secs(1));
        visit.inside().unwrap().fresh().unwrap()
    };
    site.portal.make_recovery_codes(fresh()).await.unwrap();
    let wanted = NewAppPassword { name: " 手机 ", scope: anything() };
    let made = site.portal.create_app_password(fresh(), &wanted).await.unwrap();
    let waiting = site.portal.on.store.waiting_notices(visit.account.id).await.unwrap();
    let said = &waiting[1].notice;
    assert!(said.contains("\"手机\"") && said.contains("192.0.2.1") && said.contains("Firefox"), "{said}");
    assert!(!said.contains(std::str::from_utf8(made.printed.expose()).unwrap()), "no secret");
    site.portal.revoke_app_password(fresh(), made.id).await.unwrap();
    site.portal.revoke_all_app_passwords(fresh()).await.unwrap();
    let factor = site.portal.on.factors.list(visit.account.id).await.unwrap()[0].id;
    site.portal.unbind(fresh(), factor).await.unwrap();
    let expected = ["recovery_codes_made", "app_password_created", "app_passwords_revoked", "factor_unbound"];
    assert_eq!(site.told(&visit).await, expected, "there was nothing left to revoke");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sign_in_from_a_browser_that_was_not_seen_is_told_once() {
    let site = Site::open().await;
    let (visit, raw) = bound(&site).await;
    let known = at_the_second_factor(&site, 77).await;
    site.portal.answer(&known, TOTP, &site.next_code(&raw)).await.unwrap();
    assert!(site.told(&visit).await.is_empty(), "the same browser, in the same network");
    for told in [vec!["new_browser"], vec![]] {
        let login = LoginName::from_bytes(ALICE.as_bytes()).unwrap();
        let entered = site.portal.sign_in(&elsewhere(), login, secret(MAILBOX), None).await.unwrap();
        let new = site.portal.visit(entered.token, elsewhere()).await.unwrap().unwrap();
        assert!(site.told(&visit).await.is_empty(), "not in yet");
        site.portal.answer(&new, TOTP, &site.next_code(&raw)).await.unwrap();
        assert_eq!(site.told(&visit).await, told);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sign_in_by_a_passkey_alone_is_told_once_where_it_comes_from_a_new_browser() {
    let site = Site::open().await;
    let visit = site.inside(ALICE).await;
    assert_eq!(site.told(&visit).await, ["new_browser"]);
    let (visit, mut key, _) = site.bind_passkey(&visit, 0).await;
    assert_eq!(site.told(&visit).await, ["factor_bound"]);
    let mut enter = async |from: Browser, answers: bool| {
        let asked = site.portal.ask_anybody().unwrap();
        let answer = if answers { key.used(&asked.options) } else { "{}".to_owned() };
        let entered = site.portal.sign_in_with_passkey(&from, &asked.kept, &answer).await;
        assert_eq!(entered.is_ok(), answers);
        let waiting = site.portal.on.store.waiting_notices(visit.account.id).await.unwrap();
        assert!(
            waiting.iter().all(|row| row.notice.contains(&from.address.to_string())),
            "where it came from"
        );
        site.told(&visit).await
    };
    assert!(enter(elsewhere(), false).await.is_empty(), "nobody came in");
    assert!(enter(browser(77), true).await.is_empty(), "the same browser, in the same network");
    assert_eq!(enter(elsewhere(), true).await, ["new_browser"]);
    assert!(enter(elsewhere(), true).await.is_empty(), "it was told");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_trusted_browser_shows_is_told_of_once_where_it_comes_from_a_new_one() {
    let site = Site::open().await;
    let (visit, raw) = bound(&site).await;
    let asked = at_the_second_factor(&site, 1).await;
    let entered = site.portal.answer(&asked, TOTP, &site.next_code(&raw)).await.unwrap();
    let asked = site.visit(entered.token).await.unwrap();
    let (_, device) = site.portal.trust(&asked, true).await.unwrap();
    let device = device.unwrap();
    let sign_in = async |from: Browser| {
        let login = LoginName::from_bytes(ALICE.as_bytes()).unwrap();
        let entered = site.portal.sign_in(&from, login, secret(MAILBOX), Some(&device)).await.unwrap();
        assert_eq!(entered.step, Step::In);
        site.told(&visit).await
    };
    assert!(sign_in(browser(1)).await.is_empty(), "it is the one that is trusted");
    assert_eq!(sign_in(elsewhere()).await, ["new_browser"], "somebody may have copied it");
    assert!(sign_in(elsewhere()).await.is_empty(), "it was told");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_second_factor_a_new_browser_is_told_as_well_and_a_new_version_of_it_is_none() {
    let site = Site::open().await;
    let visit = site.inside(ALICE).await;
    assert_eq!(site.told(&visit).await, ["new_browser"], "the first one of all");
    let named = |name: &str| Browser { name: Some(name.to_owned()), ..browser(1) };
    for (name, told) in [
        ("Mozilla/5.0 (X11) Firefox/147.0", vec!["new_browser"]),
        ("Mozilla/5.0 (X11) Firefox/148.2", vec![]),
        ("Mozilla/5.0 (Windows) Firefox/148.2", vec!["new_browser"]),
    ] {
        let login = LoginName::from_bytes(ALICE.as_bytes()).unwrap();
        site.portal.sign_in(&named(name), login, secret(MAILBOX), None).await.unwrap();
        assert_eq!(site.told(&visit).await, told, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_has_the_password_cannot_send_notices_without_end() {
    let site = Site::open().await;
    let visit = site.inside(ALICE).await;
    let another = async |letter: char| {
        let from = Browser { name: Some(letter.to_string()), ..browser(1) };
        let login = LoginName::from_bytes(ALICE.as_bytes()).unwrap();
        site.portal.sign_in(&from, login, secret(MAILBOX), None).await.unwrap();
        site.told(&visit).await.len()
    };
    assert_eq!(site.told(&visit).await.len(), 1);
    let mut told = 0;
    for letter in 'a'..='j' {
        told += another(letter).await;
    }
    assert_eq!(told, 4, "five with the first");
    site.clock.advance(Duration::from_secs(3600));
    assert_eq!((another('y').await, another('z').await), (1, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_right_password_without_a_second_factor_is_told_once_an_hour() {
    let site = Site::open().await;
    let (visit, _) = bound(&site).await;
    let minutes = |minutes: u64| site.clock.advance(Duration::from_secs(60 * minutes));
    let mut waiting = at_the_second_factor(&site, 8).await;
    minutes(9);
    site.portal.tidy_up().await;
    assert!(site.told(&visit).await.is_empty(), "there is still time");
    minutes(1);
    assert!(
        site.portal.visit(Token::parse(&waiting.token.text()).unwrap(), browser(8)).await.unwrap().is_none()
    );
    site.portal.tidy_up().await;
    assert_eq!(site.told(&visit).await, ["second_factor_not_completed"]);
    site.portal.tidy_up().await;
    // Going away by the door is no way around it, and neither is coming again a reason to say it again so soon.
    for told in [vec![], vec!["second_factor_not_completed"]] {
        minutes(40);
        waiting = at_the_second_factor(&site, 8).await;
        site.portal.sign_out(&waiting).await.unwrap();
        assert_eq!(site.told(&visit).await, told);
    }
    let sessions = site.portal.on.store.portal_sessions(visit.account.id).await.unwrap();
    assert!(sessions.iter().all(|session| session.step == "in"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sign_in_that_is_pushed_out_or_locked_out_at_the_second_factor_is_told_as_well() {
    let site = Site::open().await;
    let (visit, _) = bound(&site).await;
    for _ in 0..63 {
        at_the_second_factor(&site, 8).await;
        site.clock.advance(Duration::from_secs(1));
    }
    assert!(site.told(&visit).await.is_empty(), "there was room");
    for told in [vec!["second_factor_not_completed"], vec![]] {
        at_the_second_factor(&site, 8).await;
        assert_eq!(site.told(&visit).await, told, "once an hour, however many make room");
    }

    let site = Site::open().await;
    let (visit, _) = bound(&site).await;
    at_the_second_factor(&site, 8).await;
    let token = site.portal.lock_everything(visit.inside().unwrap().fresh().unwrap()).await.unwrap();
    assert_eq!(site.told(&visit).await, ["second_factor_not_completed"]);
    let sessions = site.portal.on.store.portal_sessions(visit.account.id).await.unwrap();
    assert_eq!(sessions.iter().map(|session| &session.token[..]).collect::<Vec<_>>(), [token.hash()]);
}
