//! What belongs to somebody else.

use axum::http::StatusCode;

use super::enrolment::once;
use super::harness::{ALICE, BOB, Browser, MAILBOX, Site};
use super::law::{NOBODYS, table};
use crate::store::{
    AppPasswordRecord, FactorRecord, LiveSessionRecord, PortalSessionRecord, TrustedDeviceRecord,
};

/// What addresses of the portal can name.
type Belongings = (
    Vec<FactorRecord>,
    Vec<AppPasswordRecord>,
    Vec<TrustedDeviceRecord>,
    Vec<PortalSessionRecord>,
    Vec<LiveSessionRecord>,
);

async fn belongings(site: &Site, name: &str) -> Belongings {
    let account =
        site.store.standing(&name.to_owned().try_into().unwrap()).await.unwrap().unwrap().account.id;
    (
        site.store.factors(account).await.unwrap(),
        site.store.app_passwords(account).await.unwrap(),
        site.store.trusted_devices(account).await.unwrap(),
        site.store.portal_sessions(account).await.unwrap(),
        site.store.live_sessions(Some(account)).await.unwrap(),
    )
}

/// Alice with one of everything, and what her own pages call it: where addresses of it begin, and its identifier.
async fn with_everything(site: &Site) -> (Browser<'_>, Vec<(&'static str, String)>) {
    let (mut alice, key, _) = site.bound(ALICE).await;
    let form = alice.get("/app-passwords/new").await;
    let fields = [("name", "Foxmail"), ("protocol", "imap"), ("once", &*once(&form))];
    let made = alice.post("/app-passwords/new", &fields, &form.form_token()).await;
    assert_eq!(made.status, StatusCode::OK, "{}", made.text);
    let mut other = site.browser();
    other.sign_in(ALICE, MAILBOX).await;
    let token = other.token().await;
    let code = site.next_code(&key);
    other.post("/second-factor", &[("use", "totp"), ("code", &code)], &token).await;
    let token = other.token().await;
    assert_eq!(other.post("/trust", &[("trust", "yes")], &token).await.leads_to(), Some("/"));
    site.mail_client(ALICE).await;

    let mut found = Vec::new();
    for (kind, page) in [
        ("second-factors", "/second-factors"),
        ("app-passwords", "/app-passwords"),
        ("sessions", "/"),
        ("devices", "/"),
        ("browsers", "/"),
    ] {
        let page = alice.get(page).await;
        found.push((kind, page.first(&format!("/{kind}/([0-9a-f-]{{36}})"))));
    }
    (alice, found)
}

#[tokio::test]
async fn what_is_somebody_elses_is_at_no_address_told_from_nothing() {
    let site = Site::open().await;
    let (mut alice, hers) = with_everything(&site).await;
    let named: Vec<_> = table().into_iter().filter(|(path, ..)| path.contains("{id}")).collect();
    for (path, gets, _) in &named {
        let kind = path.split('/').nth(1).unwrap();
        let id = hers.iter().find(|(of, _)| *of == kind);
        let (_, id) = id.unwrap_or_else(|| panic!("{path}: Alice has nothing of that kind yet"));
        if *gets {
            let seen = alice.get(&path.replace("{id}", id)).await;
            assert_eq!(seen.status, StatusCode::OK, "{path}: its owner finds it");
        }
    }
    let (mut bob, ..) = site.bound(BOB).await;
    let token = bob.token().await;
    let before = belongings(&site, ALICE).await;
    let mut tried = 0;
    for (path, gets, posts) in named {
        for (_, id) in &hers {
            let (theirs, nothing) = (path.replace("{id}", id), path.replace("{id}", NOBODYS));
            let mut answers = Vec::new();
            if gets {
                answers.push((bob.get(&theirs).await, bob.get(&nothing).await));
            }
            if posts {
                let fields = [("name", "Bob's"), ("code", "123456"), ("answer", "{}"), ("trust", "yes")];
                answers.push((
                    bob.post(&theirs, &fields, &token).await,
                    bob.post(&nothing, &fields, &token).await,
                ));
            }
            for (of_alice, of_nobody) in answers {
                assert_eq!(of_alice.status, StatusCode::NOT_FOUND, "{path}: {}", of_alice.text);
                assert_eq!(of_alice.text.replace(id, NOBODYS), of_nobody.text, "{path}");
                tried += 1;
            }
            assert_eq!(belongings(&site, ALICE).await, before, "{path}");
        }
    }
    assert!(tried >= 5 * 13, "{tried}");
    assert_eq!(alice.get("/").await.status, StatusCode::OK);
}
