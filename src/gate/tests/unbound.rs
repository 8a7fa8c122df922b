//! Where a factor is required and none is bound: app passwords rest once the grace is over, until one is.

use super::*;

#[tokio::test]
async fn after_the_grace_a_proven_app_password_is_told_to_bind_first_and_is_good_again_once_that_is_done() {
    let since = Timestamp::from_unix_seconds(ManualClock::EPOCH);
    let second_factor = Requirement::Required { since, grace: DAY };
    let site = Site::with(Settings { second_factor, ..Settings::default() }).await;
    let account = site.account(ALICE).await;
    let printed = site.app_password(&account, anywhere()).await;
    assert!(site.try_in(1, ALICE, &printed).await.is_in(), "there is time");
    let asked = site.asked();
    site.clock.advance(DAY);
    for _ in 0..15 {
        let Ended::Out(refused) = site.try_in(1, ALICE, &printed).await else { panic!("let in") };
        assert_eq!(refused, Refused { refusal: Refusal::BindFirst, not_before: Duration::ZERO });
    }
    assert_eq!(site.asked(), asked, "it is not sent upstream");
    let login = site.records("login").pop().unwrap();
    assert_eq!((&login["credential"], &login["outcome"]), (&"app_password".into(), &"refused".into()));
    let wrong = site.try_in(1, ALICE, &with_same_label(&printed)).await;
    assert_eq!(wrong.refusal(), Some(Refusal::NotLetIn), "a guesser is told nothing");
    site.bind_factor(&account).await;
    assert!(site.try_in(1, ALICE, &printed).await.is_in(), "no client needs another one");
    assert_eq!(site.try_in(1, ALICE, MAILBOX).await.refusal(), Some(Refusal::NotLetIn));
}

#[tokio::test]
async fn where_they_are_kept_app_passwords_are_good_without_a_factor() {
    let without_factor = WithoutFactor::Keep;
    let site = Site::with(Settings { second_factor: overdue(), without_factor, ..Settings::default() }).await;
    let account = site.account(ALICE).await;
    let printed = site.app_password(&account, anywhere()).await;
    assert!(site.try_in(1, ALICE, &printed).await.is_in());
    assert_eq!(site.try_in(1, ALICE, MAILBOX).await.refusal(), Some(Refusal::BindFirst));
}

#[tokio::test]
async fn an_account_that_comes_back_is_let_in_with_an_app_password_only_once_it_is_bound_again() {
    let site = Site::open().await;
    let before = site.account(ALICE).await;
    site.bind_factor(&before).await;
    assert!(site.store.remove_account(before.id).await.unwrap());
    let account = site.account(ALICE).await;
    let printed = site.app_password(&account, anywhere()).await;
    assert_eq!(site.try_in(1, ALICE, &printed).await.refusal(), Some(Refusal::BindFirst));
    site.bind_factor(&account).await;
    assert!(site.try_in(1, ALICE, &printed).await.is_in());
}
