//! Other names of an account: its limits, its app passwords and its name upstream are the account's.

use super::*;

/// Each in another spelling; `sales` is an alias.
const SPELLINGS: [&str; 5] =
    ["sales@example.org", "SALES", "Alice@Example.org.", " alice ", "sales@EXAMPLE\u{3002}org"];

#[tokio::test]
async fn failures_under_all_names_of_an_account_are_its_own() {
    let site = Site::open().await;
    site.account(ALICE).await;
    for (host, name) in SPELLINGS.iter().cycle().take(10).enumerate() {
        let ended = site.try_in(10 + host as u8, name, "wrong").await;
        assert_eq!(ended.refusal(), Some(Refusal::NotLetIn), "{name}");
    }
    for (host, name) in SPELLINGS.iter().chain([&ALICE]).enumerate() {
        let ended = site.try_in(30 + host as u8, name, MAILBOX).await;
        assert_eq!(ended.refusal(), Some(Refusal::TooManyFailures), "{name}");
    }
    let heard = site.heard.lock().unwrap();
    assert!(heard.iter().all(|(user, ..)| user == ALICE), "{heard:?}");
    assert!(site.records("login").iter().all(|record| record["account"] == ALICE));
}

#[tokio::test]
async fn an_app_password_is_good_under_all_names_of_its_account() {
    let site = Site::open().await;
    let (_, printed) = site.bound_with_app_password(ALICE).await;
    for name in SPELLINGS {
        assert_eq!(site.try_in(1, name, MAILBOX).await.refusal(), Some(Refusal::NotLetIn), "{name}");
        assert!(site.try_in(2, name, &printed).await.is_in(), "{name}");
    }
    assert_eq!(site.argon2_runs(), 1, "one account has one proof");
    let heard = site.heard.lock().unwrap();
    assert!(heard.len() == SPELLINGS.len() && heard.iter().all(|(user, ..)| user == ALICE), "{heard:?}");
}
