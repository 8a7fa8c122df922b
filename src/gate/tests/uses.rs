//! What is remembered of logins, for people to look at.

use super::*;

#[tokio::test]
async fn a_login_is_shown_as_the_last_use() {
    let site = Site::open().await;
    let (account, printed) = site.bound_with_app_password(ALICE).await;
    assert!(site.try_in(7, ALICE, &printed).await.is_in());
    site.clock.advance(Duration::from_secs(5));
    assert!(site.try_in(8, ALICE, &printed).await.is_in());
    site.gate.flush_uses().await;
    let row = site.store.app_passwords(account.id).await.unwrap().remove(0);
    assert_eq!(row.last_used_at, Some(site.clock.now()));
    assert_eq!(row.last_used_address.as_deref(), Some("192.0.2.8"));
    assert_eq!(row.last_used_program.as_deref(), Some("Foxmail 7.2"));
    let standing = site.store.standing(&account.address).await.unwrap().unwrap();
    assert_eq!(standing.account.last_login_at, Some(site.clock.now()));
}

#[tokio::test]
async fn a_client_with_the_mailbox_password_is_remembered_for_a_month_and_one_with_an_app_password_is_not() {
    let site = Site::open().await;
    site.mailboxes.lock().unwrap().insert("bob@example.org".to_owned(), MAILBOX.to_owned());
    let (bob, printed) = site.bound_with_app_password("bob@example.org").await;
    assert!(site.try_in(7, "bob@example.org", &printed).await.is_in());
    let alice = site.account(ALICE).await;
    let begun = site.clock.now();
    let known = async |account: &AccountRecord| {
        site.gate.flush_uses().await;
        site.store.clients_without_app_password(account.id, begun).await.unwrap()
    };
    assert_eq!(known(&bob).await, [""; 0]);
    site.store.delete_app_passwords(bob.id).await.unwrap();
    assert_eq!(known(&bob).await, [""; 0], "it never was");

    assert!(!site.try_in(7, ALICE, "guess").await.is_in());
    assert_eq!(known(&alice).await, [""; 0], "nobody came in");
    assert!(site.try_in(7, ALICE, MAILBOX).await.is_in());
    assert_eq!(known(&alice).await, ["Foxmail 7.2"]);
    site.clock.advance(Duration::from_secs(1));
    let printed = site.app_password(&alice, anywhere()).await;
    assert!(site.try_in(7, ALICE, &printed).await.is_in());
    assert_eq!(known(&alice).await, [""; 0], "it has one now");
    site.clock.advance(Duration::from_secs(1));
    assert!(site.try_in(7, ALICE, MAILBOX).await.is_in());
    assert_eq!(known(&alice).await, ["Foxmail 7.2"], "how it came in the last time");

    site.clock.advance(30 * DAY);
    site.gate.forget_clients().await;
    assert_eq!(known(&alice).await, ["Foxmail 7.2"], "to the second");
    site.clock.advance(Duration::from_secs(1));
    site.gate.forget_clients().await;
    assert_eq!(known(&alice).await, [""; 0]);
}
