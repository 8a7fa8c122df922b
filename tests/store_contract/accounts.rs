//! Accounts: added, listed, bound to an upstream, suspended, removed, and what comes back of one.

use mailward::base::{AccountId, UpstreamName, random};
use mailward::config::Database;
use mailward::store::{AccountRecord, AccountState, Added, FactorInserted, Inserted, Store};

use super::world::{MOST, add, address, all_at_once, app_password, at, factor, upstream, used};

pub(super) async fn of_many_who_add_an_account_one_does(database: Database) {
    let store = Store::open(&database).await.unwrap();
    let added = all_at_once(20, |_| {
        let store = store.clone();
        async move { store.add_account(&address("ada"), &upstream(), at(1)).await.unwrap() }
    })
    .await;
    assert_eq!(added.iter().filter(|(_, how)| *how == Added::New).count(), 1);
    assert_eq!(added.iter().filter(|(_, how)| *how == Added::Existing).count(), 19);
    let (first, _) = &added[0];
    assert!(added.iter().all(|(account, _)| account == first));
    assert_eq!(
        *first,
        AccountRecord {
            id: first.id,
            address: address("ada"),
            upstream: upstream(),
            bound_upstream: None,
            state: AccountState::Active,
            must_bind: false,
            created_at: at(1),
            last_login_at: None,
        }
    );
}

pub(super) async fn accounts_are_listed_by_address_without_tombstones(database: Database) {
    let store = Store::open(&database).await.unwrap();
    for name in ["zoe", "ada", "élise", "b-ob", "bob", "gone"] {
        add(&store, name).await;
    }
    let gone = store.standing(&address("gone")).await.unwrap().unwrap();
    assert!(store.remove_account(gone.account.id).await.unwrap());
    let zoe = store.standing(&address("zoe")).await.unwrap().unwrap();
    store.insert_factor(&factor(zoe.account.id, 1), MOST).await.unwrap();
    let listed = store.accounts().await.unwrap();
    let listed: Vec<_> = listed.iter().map(|s| (s.account.address.local(), s.bound_factors)).collect();
    assert_eq!(listed, [("ada", 0), ("b-ob", 0), ("bob", 0), ("zoe", 1), ("élise", 0)]);
    assert_eq!(store.standing(&address("nobody")).await.unwrap(), None);
}

pub(super) async fn an_account_is_bound_to_an_upstream_until_it_is_unbound_or_removed(database: Database) {
    let store = Store::open(&database).await.unwrap();
    let (ada, bob) = (add(&store, "ada").await, add(&store, "bob").await);
    let elsewhere = UpstreamName("elsewhere".into());
    let bound = async |name| store.standing(&address(name)).await.unwrap().unwrap().account.bound_upstream;
    assert_eq!((bound("ada").await, store.bound_upstreams().await.unwrap()), (None, vec![]));
    for account in [ada, bob] {
        assert!(store.set_bound_upstream(account, Some(&elsewhere)).await.unwrap());
    }
    assert_eq!(bound("ada").await, Some(elsewhere.clone()));
    assert_eq!(store.bound_upstreams().await.unwrap(), std::slice::from_ref(&elsewhere));
    assert!(store.set_bound_upstream(ada, None).await.unwrap());
    assert_eq!((bound("ada").await, bound("bob").await), (None, Some(elsewhere.clone())));
    store.remove_account(bob).await.unwrap();
    assert_eq!(bound("bob").await, None, "whoever comes back is where the domain leads");
    assert!(!store.set_bound_upstream(bob, Some(&elsewhere)).await.unwrap());
    assert_eq!(store.bound_upstreams().await.unwrap(), []);
}

pub(super) async fn suspending_and_resuming_touch_living_accounts_only(database: Database) {
    let store = Store::open(&database).await.unwrap();
    let ada = add(&store, "ada").await;
    for state in [AccountState::Suspended, AccountState::Active] {
        assert!(store.set_account_state(ada, state).await.unwrap());
        assert_eq!(standing(&store, "ada").await.account.state, state);
    }
    assert!(!store.set_account_state(ada, AccountState::Removed).await.unwrap());
    assert!(!store.set_account_state(AccountId(random::uuid(at(1))), AccountState::Active).await.unwrap());
    assert!(store.remove_account(ada).await.unwrap());
    assert!(!store.set_account_state(ada, AccountState::Active).await.unwrap());
    assert_eq!(standing(&store, "ada").await.account.state, AccountState::Removed);
}

pub(super) async fn a_removed_account_that_had_a_factor_comes_back_as_must_bind(database: Database) {
    let store = Store::open(&database).await.unwrap();
    let ada = add(&store, "ada").await;
    assert_eq!(store.insert_factor(&factor(ada, 1), MOST).await.unwrap(), FactorInserted::Done);
    store.insert_app_password(&app_password(ada, "abcd"), 5).await.unwrap();

    assert!(store.remove_account(ada).await.unwrap());
    assert!(!store.remove_account(ada).await.unwrap(), "it is gone already");
    let tombstone = standing(&store, "ada").await;
    assert_eq!(tombstone.account.state, AccountState::Removed);
    assert!(tombstone.account.must_bind);
    assert_eq!(tombstone.bound_factors, 0);
    assert_eq!(store.app_passwords(ada).await.unwrap(), []);

    let elsewhere = UpstreamName("elsewhere".to_owned());
    let (revived, how) = store.add_account(&address("ada"), &elsewhere, at(9)).await.unwrap();
    assert_eq!(how, Added::Revived);
    assert_eq!((revived.id, revived.created_at), (ada, at(1)), "it is the same account");
    assert_eq!((&revived.upstream, revived.state), (&elsewhere, AccountState::Active));
    assert!(revived.must_bind);

    assert!(store.remove_account(ada).await.unwrap());
    assert!(standing(&store, "ada").await.account.must_bind, "removed once more, without a factor");
    store.add_account(&address("ada"), &elsewhere, at(10)).await.unwrap();
    assert_eq!(store.insert_factor(&factor(ada, 2), MOST).await.unwrap(), FactorInserted::Done);
    assert!(!standing(&store, "ada").await.account.must_bind, "binding redeems it");
}

pub(super) async fn a_removed_account_without_a_factor_comes_back_free(database: Database) {
    let store = Store::open(&database).await.unwrap();
    let ada = add(&store, "ada").await;
    store.record_uses(&[used(ada, None, at(2))]).await.unwrap();
    assert!(store.remove_account(ada).await.unwrap());
    store.record_uses(&[used(ada, None, at(3))]).await.unwrap(); // written down late
    let (revived, how) = store.add_account(&address("ada"), &upstream(), at(3)).await.unwrap();
    assert_eq!((how, revived.must_bind, revived.last_login_at), (Added::Revived, false, None));
}

pub(super) async fn nothing_is_added_to_a_removed_account(database: Database) {
    let store = Store::open(&database).await.unwrap();
    let ada = add(&store, "ada").await;
    store.remove_account(ada).await.unwrap();
    for account in [ada, AccountId(random::uuid(at(1)))] {
        assert_eq!(store.insert_factor(&factor(account, 1), MOST).await.unwrap(), FactorInserted::NoAccount);
        let made = store.insert_app_password(&app_password(account, "abcd"), 5).await.unwrap();
        assert_eq!(made, Inserted::NoAccount);
        assert!(store.factors(account).await.unwrap().is_empty());
        assert!(store.app_passwords(account).await.unwrap().is_empty());
    }
}

pub(super) async fn standing(store: &Store, local: &str) -> mailward::store::Standing {
    store.standing(&address(local)).await.unwrap().unwrap()
}
