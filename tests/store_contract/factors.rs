//! Second factors, recovery codes and questions: each counts once, and none is forgotten.

use mailward::base::{FactorId, random};
use mailward::config::Database;
use mailward::store::{AccountState, FactorInserted, FactorRecord, Store};

use super::accounts::standing;
use super::portal::portal_session;
use super::world::{MOST, add, all_at_once, app_password, at, factor};

pub(super) async fn a_factor_bound_while_its_account_is_removed_is_never_forgotten(database: Database) {
    let store = Store::open(&database).await.unwrap();
    for round in 0..10 {
        let name = format!("ada{round}");
        let account = add(&store, &name).await;
        let (factor, password) = (factor(account, 1), app_password(account, "abcd"));
        let (bound, made, removed) = tokio::join!(
            store.insert_factor(&factor, MOST),
            store.insert_app_password(&password, 5),
            store.remove_account(account),
        );
        made.unwrap();
        assert!(removed.unwrap());
        let left = standing(&store, &name).await;
        assert_eq!((left.account.state, left.bound_factors), (AccountState::Removed, 0));
        assert_eq!(
            left.account.must_bind,
            bound.unwrap() == FactorInserted::Done,
            "bound before the removal, or not at all"
        );
        assert_eq!(store.app_passwords(account).await.unwrap(), []);
    }
}

pub(super) async fn a_factor_taken_back_was_never_bound(database: Database) {
    let store = Store::open(&database).await.unwrap();
    let ada = add(&store, "ada").await;
    let (first, second) = (factor(ada, 1), factor(ada, 2));
    assert_eq!(store.insert_factor(&first, MOST).await.unwrap(), FactorInserted::Done);
    store.take_back_factor(&first, true).await.unwrap();
    let standing_now = standing(&store, "ada").await;
    assert_eq!((standing_now.bound_factors, standing_now.account.must_bind), (0, true));

    assert_eq!(store.insert_factor(&first, MOST).await.unwrap(), FactorInserted::Done);
    assert_eq!(store.insert_factor(&second, MOST).await.unwrap(), FactorInserted::Done);
    store.take_back_factor(&second, true).await.unwrap();
    assert_eq!(store.factors(ada).await.unwrap(), [first], "the other one stays,");
    assert!(!standing(&store, "ada").await.account.must_bind, "and the account has what it must");
}

pub(super) async fn a_factor_is_replaced_whole_or_not_at_all(database: Database) {
    let store = Store::open(&database).await.unwrap();
    let (ada, bob) = (add(&store, "ada").await, add(&store, "bob").await);
    let (old, of_bob) = (factor(ada, 1), factor(bob, 1));
    for bound in [&old, &of_bob] {
        store.insert_factor(bound, MOST).await.unwrap();
    }
    store.insert_app_password(&app_password(ada, "abcd"), 20).await.unwrap();
    assert!(store.replace_recovery_codes(ada, &[[1; 32]], at(1)).await.unwrap());
    let browser = portal_session(ada, 1);
    assert!(store.begin_portal_session(&browser, 1).await.unwrap());

    let new = factor(ada, 2);
    let nowhere = FactorId(random::uuid(at(1)));
    assert_eq!(store.replace_factor(&new, nowhere).await.unwrap(), None, "nothing is in that place");
    assert_eq!(store.replace_factor(&new, of_bob.id).await.unwrap(), None, "it is somebody else's");
    let key = FactorRecord { kind: "passkey".to_owned(), ..new.clone() };
    assert_eq!(store.replace_factor(&key, old.id).await.unwrap(), None, "it is of another kind");
    // The second of its two statements fails: that identifier is taken.
    let taken = FactorRecord { id: of_bob.id, ..new.clone() };
    store.replace_factor(&taken, old.id).await.unwrap_err();
    assert_eq!(store.factors(ada).await.unwrap(), std::slice::from_ref(&old));
    assert_eq!(store.factors(bob).await.unwrap(), [of_bob]);
    assert!(store.portal_session(&browser.token).await.unwrap().is_some(), "nobody was signed out by that");

    assert_eq!(store.replace_factor(&new, old.id).await.unwrap(), Some(old.clone()));
    assert_eq!(store.factors(ada).await.unwrap(), std::slice::from_ref(&new));
    assert_eq!(store.recovery_codes_left(ada).await.unwrap(), 1, "those stay");
    assert_eq!(store.app_passwords(ada).await.unwrap().len(), 1, "and these");
    assert_eq!(store.portal_session(&browser.token).await.unwrap(), None, "it is a change of factors");
    assert_eq!(store.replace_factor(&old, new.id).await.unwrap(), Some(new), "and back");
    assert_eq!(store.factors(ada).await.unwrap(), [old]);
}

pub(super) async fn whoever_looks_while_a_factor_is_replaced_finds_one_of_the_two(database: Database) {
    let store = Store::open(&database).await.unwrap();
    let ada = add(&store, "ada").await;
    let first = factor(ada, 1);
    store.insert_factor(&first, MOST).await.unwrap();
    let looking = tokio::spawn({
        let store = store.clone();
        async move {
            for _ in 0..200 {
                assert_eq!(store.factors(ada).await.unwrap().len(), 1);
                assert_eq!(standing(&store, "ada").await.bound_factors, 1);
            }
        }
    });
    let mut bound = first.id;
    while !looking.is_finished() {
        let replaced = all_at_once(4, |n| {
            let (store, new) = (store.clone(), factor(ada, 2 + i64::try_from(n).unwrap()));
            async move { store.replace_factor(&new, bound).await.unwrap().map(|_| new.id) }
        });
        let replaced: Vec<_> = replaced.await.into_iter().flatten().collect();
        assert_eq!(replaced.len(), 1, "of many one is in its place");
        bound = replaced[0];
    }
    looking.await.unwrap();
}

pub(super) async fn of_many_who_claim_a_step_one_does(database: Database) {
    let store = Store::open(&database).await.unwrap();
    let ada = add(&store, "ada").await;
    let bound = factor(ada, 1);
    store.insert_factor(&bound, MOST).await.unwrap();
    for step in [58_000_000, 58_000_001] {
        let claims = all_at_once(50, |_| {
            let (store, id) = (store.clone(), bound.id);
            async move { store.claim_factor_step(id, step, at(7)).await.unwrap() }
        })
        .await;
        assert_eq!(claims.into_iter().filter(|claimed| *claimed).count(), 1);
    }
    assert!(
        !store.claim_factor_step(bound.id, 58_000_000, at(8)).await.unwrap(),
        "an earlier step is spent too"
    );
    assert!(!store.claim_factor_step(FactorId(random::uuid(at(1))), 1, at(8)).await.unwrap());
    let read = store.factors(ada).await.unwrap();
    assert_eq!(read, [FactorRecord { last_step: Some(58_000_001), last_used_at: Some(at(7)), ..bound }]);
}

pub(super) async fn unbinding_the_last_factor_takes_the_app_passwords_if_asked(database: Database) {
    let store = Store::open(&database).await.unwrap();
    let ada = add(&store, "ada").await;
    store.insert_app_password(&app_password(ada, "abcd"), 20).await.unwrap();
    assert_eq!(store.unbind_factors(ada, (None, None), (true, false)).await.unwrap(), Default::default());
    assert_eq!(store.app_passwords(ada).await.unwrap().len(), 1, "nothing was unbound, so nothing goes");

    let (older, newer) = (factor(ada, 1), FactorRecord { kind: "token".to_owned(), ..factor(ada, 2) });
    for bound in [&newer, &older] {
        store.insert_factor(bound, MOST).await.unwrap();
    }
    assert_eq!(store.factors(ada).await.unwrap(), [older.clone(), newer.clone()]);
    assert_eq!(standing(&store, "ada").await.bound_factors, 2);
    let gone = store.unbind_factors(ada, (Some("token"), None), (true, false)).await.unwrap();
    assert_eq!((gone.factors, gone.app_passwords), (vec![newer.clone()], 0), "another factor is left");
    store.insert_factor(&newer, MOST).await.unwrap();
    let kept = all_at_once(2, |n| {
        let (store, id) = (store.clone(), [older.id, newer.id][n]);
        async move { store.unbind_factors(ada, (None, Some(id)), (true, true)).await.unwrap().factors.len() }
    })
    .await;
    assert_eq!(kept.iter().sum::<usize>(), 1, "one of the two stays");
    let left = store.factors(ada).await.unwrap();
    assert_eq!(left.len(), 1);
    let missing = if left[0].id == older.id { &newer } else { &older };
    store.insert_factor(missing, MOST).await.unwrap();
    let gone = store.unbind_factors(ada, (None, None), (true, false)).await.unwrap();
    assert_eq!((gone.factors, gone.app_passwords), (vec![older.clone(), newer], 1));
    assert_eq!(standing(&store, "ada").await.bound_factors, 0);

    store.insert_factor(&older, MOST).await.unwrap();
    store.insert_app_password(&app_password(ada, "abcd"), 20).await.unwrap();
    let gone = store.unbind_factors(ada, (None, None), (false, false)).await.unwrap();
    assert_eq!((gone.factors, gone.app_passwords), (vec![older], 0));
    assert_eq!(store.app_passwords(ada).await.unwrap().len(), 1, "they are kept where policy says so");
}

pub(super) async fn factors_bound_at_once_never_exceed_the_limit(database: Database) {
    let store = Store::open(&database).await.unwrap();
    let ada = add(&store, "ada").await;
    let bound = all_at_once(20, |n| {
        let store = store.clone();
        async move { store.insert_factor(&factor(ada, i64::try_from(n).unwrap()), 5).await.unwrap() }
    })
    .await;
    let count = |what| bound.iter().filter(|one| **one == what).count();
    assert_eq!((count(FactorInserted::Done), count(FactorInserted::LimitReached)), (5, 15));
    assert_eq!(store.factors(ada).await.unwrap().len(), 5);
}

pub(super) async fn a_factor_is_renamed_and_used_while_it_is_bound(database: Database) {
    let store = Store::open(&database).await.unwrap();
    let (ada, bob) = (add(&store, "ada").await, add(&store, "bob").await);
    let bound = FactorRecord { detail: Some("c***@example.com".to_owned()), ..factor(ada, 1) };
    let other = factor(ada, 2);
    for factor in [&bound, &other] {
        store.insert_factor(factor, MOST).await.unwrap();
    }
    assert_eq!(store.rename_factor(bob, bound.id, "Bob's").await.unwrap(), None, "it is another account's");
    assert_eq!(store.rename_factor(ada, bound.id, "钥匙").await.unwrap().as_deref(), Some("totp"));
    assert!(store.factor_used(bound.id, at(7)).await.unwrap());
    let renamed = FactorRecord { name: "钥匙".to_owned(), last_used_at: Some(at(7)), ..bound };
    let counted = factor(bob, 3);
    store.insert_factor(&counted, MOST).await.unwrap();
    assert!(store.claim_factor_step(counted.id, 5, at(7)).await.unwrap());
    assert!(!store.factor_used(counted.id, at(8)).await.unwrap(), "a counter does not end");
    assert_eq!(store.factors(ada).await.unwrap(), [renamed.clone(), other]);
    store.unbind_factors(ada, (None, Some(renamed.id)), (false, false)).await.unwrap();
    assert_eq!(store.rename_factor(ada, renamed.id, "x").await.unwrap(), None);
    assert!(!store.factor_used(renamed.id, at(8)).await.unwrap());
}

pub(super) async fn of_many_who_use_a_challenge_one_does(database: Database) {
    let store = Store::open(&database).await.unwrap();
    let used = all_at_once(50, |_| {
        let store = store.clone();
        async move { store.use_challenge(&[7; 32], at(300)).await.unwrap() }
    })
    .await;
    assert_eq!(used.into_iter().filter(|used| *used).count(), 1);
    assert!(store.use_challenge(&[8; 32], at(301)).await.unwrap());
    assert_eq!(store.prune_used_challenges(at(300)).await.unwrap(), 1, "the one that nobody can answer now");
    assert!(!store.use_challenge(&[8; 32], at(301)).await.unwrap());
}

pub(super) async fn of_many_who_use_a_recovery_code_one_does(database: Database) {
    let store = Store::open(&database).await.unwrap();
    let (ada, bob) = (add(&store, "ada").await, add(&store, "bob").await);
    let codes: Vec<[u8; 32]> = (0..10).map(|n| [n; 32]).collect();
    assert!(store.replace_recovery_codes(ada, &codes, at(1)).await.unwrap());
    let used = all_at_once(50, |_| {
        let store = store.clone();
        async move { store.use_recovery_code(ada, &[3; 32], at(2)).await.unwrap() }
    })
    .await;
    assert_eq!(used.into_iter().filter(|used| *used).count(), 1);
    assert_eq!(store.recovery_codes_left(ada).await.unwrap(), 9);
    assert!(!store.use_recovery_code(bob, &[4; 32], at(2)).await.unwrap(), "it is another account's");
    assert!(!store.use_recovery_code(ada, &[77; 32], at(2)).await.unwrap());
    assert!(store.replace_recovery_codes(ada, &[[77; 32]], at(3)).await.unwrap());
    assert_eq!(store.recovery_codes_left(ada).await.unwrap(), 1);
    assert!(!store.use_recovery_code(ada, &[4; 32], at(4)).await.unwrap(), "the old ones are void");
    store.remove_account(ada).await.unwrap();
    assert_eq!(store.recovery_codes_left(ada).await.unwrap(), 0);
    assert!(!store.replace_recovery_codes(ada, &codes, at(5)).await.unwrap());
}

pub(super) async fn recovery_codes_end_with_the_last_factor(database: Database) {
    let store = Store::open(&database).await.unwrap();
    let ada = add(&store, "ada").await;
    for bound in [factor(ada, 1), FactorRecord { kind: "token".to_owned(), ..factor(ada, 2) }] {
        store.insert_factor(&bound, MOST).await.unwrap();
    }
    store.replace_recovery_codes(ada, &[[1; 32]], at(1)).await.unwrap();
    store.unbind_factors(ada, (Some("token"), None), (true, false)).await.unwrap();
    assert_eq!(store.recovery_codes_left(ada).await.unwrap(), 1);
    store.unbind_factors(ada, (None, None), (false, false)).await.unwrap();
    assert_eq!(store.recovery_codes_left(ada).await.unwrap(), 0);
}
