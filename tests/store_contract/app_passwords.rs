//! App passwords, their last uses, their profiles, and the clients that have none yet.

use mailward::base::{AccountId, AppPasswordId, Timestamp, random};
use mailward::config::Database;
use mailward::store::{AccountState, AppPasswordRecord, Inserted, ProfileRecord, Store, Use};
use sqlx::Executor;

use super::accounts::standing;
use super::world::{add, address, all_at_once, app_password, at, used};

pub(super) async fn app_passwords_made_at_once_never_exceed_the_limit(database: Database) {
    let store = Store::open(&database).await.unwrap();
    let (ada, bob) = (add(&store, "ada").await, add(&store, "bob").await);
    let made = all_at_once(24, |n| {
        let store = store.clone();
        let row = app_password(if n % 4 == 0 { bob } else { ada }, &format!("a{n:03}"));
        async move { store.insert_app_password(&row, 5).await.unwrap() }
    })
    .await;
    let count = |wanted| made.iter().filter(|one| **one == wanted).count();
    assert_eq!((count(Inserted::Done), count(Inserted::LimitReached)), (10, 14));
    for account in [ada, bob] {
        assert_eq!(store.app_passwords(account).await.unwrap().len(), 5);
    }
    let one_more = app_password(ada, "zzzz");
    assert_eq!(store.insert_app_password(&one_more, 6).await.unwrap(), Inserted::Done);
    assert_eq!(
        store.insert_app_password(&app_password(bob, "zzzz"), 0).await.unwrap(),
        Inserted::LimitReached
    );
}

pub(super) async fn of_many_who_take_a_label_one_does(database: Database) {
    let store = Store::open(&database).await.unwrap();
    let (ada, bob) = (add(&store, "ada").await, add(&store, "bob").await);
    let made = all_at_once(12, |_| {
        let (store, row) = (store.clone(), app_password(ada, "abcd"));
        async move { (row.id, store.insert_app_password(&row, 20).await.unwrap()) }
    })
    .await;
    let done: Vec<_> = made.iter().filter(|(_, how)| *how == Inserted::Done).collect();
    assert_eq!(done.len(), 1);
    assert_eq!(made.iter().filter(|(_, how)| *how == Inserted::LabelTaken).count(), 11);
    assert_eq!(store.app_password_by_label(ada, "abcd").await.unwrap().unwrap().id, done[0].0);
    assert_eq!(store.app_password_by_label(bob, "abcd").await.unwrap(), None, "a label is its account's");
    assert_eq!(store.insert_app_password(&app_password(bob, "abcd"), 20).await.unwrap(), Inserted::Done);
}

pub(super) async fn an_app_password_is_read_as_it_was_written(database: Database) {
    let store = Store::open(&database).await.unwrap();
    let ada = add(&store, "ada").await;
    let full = AppPasswordRecord {
        name: "Füchsin 客户端 'quoted' \"twice\" \\".to_owned(),
        proof: (0..=255).collect(),
        sealed: Some((0..=255).rev().collect()),
        sealed_version: i64::MAX - 1,
        access: "read-only".to_owned(),
        expires_at: Some(at(999_999_999_999_999)),
        created_at: at(123_456),
        last_used_at: Some(at(-1)),
        last_used_address: Some("2001:db8::1".to_owned()),
        last_used_program: Some("Foxmail 7.2".to_owned()),
        ..app_password(ada, "abcd")
    };
    let sparse = AppPasswordRecord {
        sealed: None,
        sealed_at: None,
        expires_at: None,
        networks: String::new(),
        created_at: at(123_457),
        mac: vec![],
        ..app_password(ada, "bcde")
    };
    for row in [&sparse, &full] {
        assert_eq!(store.insert_app_password(row, 20).await.unwrap(), Inserted::Done);
        assert_eq!(store.app_password_by_label(ada, &row.label).await.unwrap().as_ref(), Some(row));
        let found = store.find(&address("ada"), &row.label).await.unwrap().unwrap();
        assert_eq!(found.app_password.as_ref(), Some(row), "also where the account is read with it");
        assert_eq!(Some(found.standing), store.standing(&address("ada")).await.unwrap());
    }
    let found = store.find(&address("ada"), "zzzz").await.unwrap().unwrap();
    assert_eq!((found.standing.account.id, found.app_password), (ada, None));
    assert_eq!(store.find(&address("nobody"), "abcd").await.unwrap(), None);
    let bob = add(&store, "bob").await;
    let found = store.find(&address("bob"), "abcd").await.unwrap().unwrap();
    assert_eq!((found.standing.account.id, found.app_password), (bob, None), "a label is its account's");
    assert_eq!(store.app_passwords(ada).await.unwrap(), [full, sparse], "oldest first, to the microsecond");
}

pub(super) async fn an_app_password_of_before_may_do_everything_and_none_may_do_what_nobody_knows(
    database: Database,
) {
    const BACK: &str =
        "ALTER TABLE app_passwords DROP COLUMN access; DELETE FROM _sqlx_migrations WHERE version = 17";
    let store = Store::open(&database).await.unwrap();
    let row = app_password(add(&store, "ada").await, "abcd");
    store.insert_app_password(&row, 20).await.unwrap();
    match &store {
        Store::Sqlite(pool, _) => drop(pool.execute(sqlx::raw_sql(BACK)).await.unwrap()),
        Store::Postgres(pool) => drop(pool.execute(sqlx::raw_sql(BACK)).await.unwrap()),
    }
    store.close().await;
    let store = Store::open(&database).await.unwrap();
    assert_eq!(store.app_passwords(row.account).await.unwrap(), std::slice::from_ref(&row), "full");
    let other = AppPasswordRecord { access: "more".to_owned(), ..app_password(row.account, "bcde") };
    assert!(store.insert_app_password(&other, 20).await.is_err());
    assert_eq!(store.app_passwords(row.account).await.unwrap().len(), 1);
}

pub(super) async fn app_passwords_go_one_by_one_or_all(database: Database) {
    let store = Store::open(&database).await.unwrap();
    let (ada, bob) = (add(&store, "ada").await, add(&store, "bob").await);
    let rows: Vec<_> = ["a", "b", "c"].map(|label| app_password(ada, label)).into();
    for row in &rows {
        store.insert_app_password(row, 20).await.unwrap();
    }
    assert!(!store.delete_app_password(bob, rows[0].id).await.unwrap(), "not another account's");
    assert!(store.delete_app_password(ada, rows[0].id).await.unwrap());
    assert!(!store.delete_app_password(ada, rows[0].id).await.unwrap());
    assert_eq!(store.delete_app_passwords(bob).await.unwrap(), 0);
    assert_eq!(store.delete_app_passwords(ada).await.unwrap(), 2);
    assert_eq!(store.app_passwords(ada).await.unwrap(), []);
}

fn profile(of: &AppPasswordRecord, id: u8, made_at: i64) -> ProfileRecord {
    ProfileRecord {
        id: vec![id; 32],
        account: of.account,
        app_password: of.id,
        made_at: at(made_at),
        expires_at: at(made_at + 100),
        sealed: vec![id; 60],
    }
}

pub(super) async fn of_many_who_fetch_a_profile_one_gets_it(database: Database) {
    let store = Store::open(&database).await.unwrap();
    let row = app_password(add(&store, "ada").await, "abcd");
    store.insert_app_password(&row, 20).await.unwrap();
    let (first, second) = (profile(&row, 1, 1), profile(&row, 2, 2));
    for profile in [&first, &second] {
        assert!(store.keep_profile(profile, 3).await.unwrap());
    }
    assert_eq!(
        store.profile(&first.id, at(100)).await.unwrap(),
        Some(first.clone()),
        "looking takes nothing"
    );
    let taken = all_at_once(50, |_| {
        let (store, id) = (store.clone(), first.id.clone());
        async move { store.take_profile(&id, at(100)).await.unwrap() }
    })
    .await;
    assert_eq!(taken.into_iter().flatten().collect::<Vec<_>>(), std::slice::from_ref(&first));
    assert_eq!(store.profile(&first.id, at(1)).await.unwrap(), None);
    assert_eq!(store.profile(&second.id, at(102)).await.unwrap(), None, "its time is over");
    assert_eq!(store.take_profile(&second.id, at(102)).await.unwrap(), None);
    assert_eq!(store.prune_profiles(at(101)).await.unwrap(), 0);
    assert_eq!(store.prune_profiles(at(102)).await.unwrap(), 1);
    assert_eq!(store.profile(&second.id, at(2)).await.unwrap(), None);
}

pub(super) async fn a_profile_goes_with_its_app_password_or_its_account_and_the_oldest_make_room(
    database: Database,
) {
    let store = Store::open(&database).await.unwrap();
    let (ada, bob) = (add(&store, "ada").await, add(&store, "bob").await);
    let (row, other, bobs) =
        (app_password(ada, "abcd"), app_password(ada, "efgh"), app_password(bob, "abcd"));
    for row in [&row, &other, &bobs] {
        store.insert_app_password(row, 20).await.unwrap();
    }
    let kept = async |ids: &[u8]| {
        let mut kept = Vec::new();
        for id in ids {
            kept.extend(store.profile(&[*id; 32], at(50)).await.unwrap().map(|_| *id));
        }
        kept
    };
    for profile in [profile(&other, 2, 2), profile(&row, 1, 1), profile(&bobs, 9, 0), profile(&row, 3, 3)] {
        assert!(store.keep_profile(&profile, 2).await.unwrap());
    }
    assert_eq!(kept(&[1, 2, 3, 9]).await, [2, 3, 9], "of each account the youngest");

    assert!(store.delete_app_password(ada, other.id).await.unwrap());
    assert_eq!(kept(&[2, 3, 9]).await, [3, 9]);
    assert!(!store.keep_profile(&profile(&other, 4, 4), 2).await.unwrap(), "it is gone");
    let anothers = ProfileRecord { account: bob, ..profile(&row, 5, 5) };
    assert!(!store.keep_profile(&anothers, 2).await.unwrap(), "it is another's");

    store.set_account_state(ada, AccountState::Suspended).await.unwrap();
    assert_eq!(kept(&[3, 9]).await, [9]);
    store.remove_account(bob).await.unwrap();
    assert_eq!(kept(&[9]).await, [0_u8; 0]);
    assert!(!store.keep_profile(&profile(&bobs, 9, 9), 2).await.unwrap());
}

pub(super) async fn last_uses_never_go_back(database: Database) {
    let store = Store::open(&database).await.unwrap();
    let (ada, bob) = (add(&store, "ada").await, add(&store, "bob").await);
    let row = app_password(ada, "abcd");
    store.insert_app_password(&row, 20).await.unwrap();
    store.record_uses(&[]).await.unwrap();
    let program = Some("a\0b".to_owned());
    let later = Use { program, address: "192.0.2.2".to_owned(), ..used(ada, Some(row.id), at(5_000_001)) };
    store
        .record_uses(&[later, used(ada, Some(row.id), at(5_000_000)), used(bob, None, at(3))])
        .await
        .unwrap();
    // Somebody else's clock, and a row that is gone meanwhile.
    let unknown = AppPasswordId(random::uuid(at(1)));
    store.record_uses(&[used(ada, Some(row.id), at(4)), used(bob, Some(unknown), at(2))]).await.unwrap();

    assert_eq!(standing(&store, "ada").await.account.last_login_at, Some(at(5_000_001)));
    assert_eq!(standing(&store, "bob").await.account.last_login_at, Some(at(3)));
    let read = store.app_password_by_label(ada, "abcd").await.unwrap().unwrap();
    assert_eq!(
        (read.last_used_at, read.last_used_address.as_deref(), read.last_used_program.as_deref()),
        (Some(at(5_000_001)), Some("192.0.2.2"), Some("a\u{fffd}b"))
    );

    // Two nodes that write the same rows the other way round do not wait for each other for ever.
    let uses: Vec<_> = [ada, bob].map(|account| used(account, None, at(9_000_000))).into();
    all_at_once(16, |n| {
        let (store, mut uses) = (store.clone(), uses.clone());
        if n % 2 == 0 {
            uses.reverse();
        }
        async move { store.record_uses(&uses).await.unwrap() }
    })
    .await;
}

fn seen(account: AccountId, program: &str, at: Timestamp) -> Use {
    Use { program: Some(program.to_owned()), ..used(account, None, at) }
}

pub(super) async fn clients_with_the_mailbox_password_are_known_until_they_have_an_app_password(
    database: Database,
) {
    let store = Store::open(&database).await.unwrap();
    let (ada, bob) = (add(&store, "ada").await, add(&store, "bob").await);
    let row = app_password(ada, "abcd");
    store.insert_app_password(&row, 20).await.unwrap();
    let clients =
        async |account, since| store.clients_without_app_password(account, at(since)).await.unwrap();
    let with_app_password = |program: Option<&str>, at| Use {
        program: program.map(str::to_owned),
        ..used(ada, Some(row.id), at)
    };
    let uses = [
        seen(ada, "华为邮箱", at(5)),
        seen(ada, "a\0b", at(5)),
        seen(ada, "Z", at(5)),
        seen(ada, "Z", at(7)),
        seen(ada, "Z", at(6)),
        used(ada, None, at(5)),
        seen(bob, "Z", at(5)),
        with_app_password(Some("Evolution"), at(5)),
    ];
    store.record_uses(&uses).await.unwrap();
    assert_eq!(clients(ada, 5).await, ["192.0.2.1", "Z", "a\u{fffd}b", "华为邮箱"], "by their bytes");
    assert_eq!(clients(ada, 7).await, ["Z"]);
    assert_eq!(clients(ada, 8).await, [""; 0]);
    assert_eq!(clients(bob, 0).await, ["Z"]);
    store.record_uses(&[seen(ada, "Z", at(4))]).await.unwrap();
    assert_eq!(clients(ada, 7).await, ["Z"], "somebody else's clock");

    // The latest says how it gets in now.
    for (with, left) in [
        (with_app_password(Some("Z"), at(8)), &["192.0.2.1", "a\u{fffd}b", "华为邮箱"][..]),
        (with_app_password(None, at(9)), &["Z", "a\u{fffd}b", "华为邮箱"]),
        (with_app_password(Some("a\0b"), at(10)), &["192.0.2.1", "Z", "华为邮箱"]),
        (seen(ada, "a\0b", at(11)), &["192.0.2.1", "Z", "a\u{fffd}b", "华为邮箱"]),
    ] {
        store.record_uses(&[with]).await.unwrap();
        assert_eq!(clients(ada, 0).await, left);
    }
    assert_eq!(clients(bob, 0).await, ["Z"], "not his app password");

    assert_eq!(store.prune_clients_seen(at(7)).await.unwrap(), 3);
    assert_eq!(clients(ada, 0).await, ["Z", "a\u{fffd}b"]);
    assert!(store.remove_account(ada).await.unwrap());
    store
        .record_uses(&[seen(ada, "Z", at(20)), seen(AccountId(random::uuid(at(1))), "Z", at(20))])
        .await
        .unwrap();
    assert_eq!(add(&store, "ada").await, ada);
    assert_eq!(clients(ada, 0).await, [""; 0], "whoever comes back is nobody's heir");
}

pub(super) async fn of_an_accounts_clients_the_fifty_that_were_seen_last_are_known(database: Database) {
    let store = Store::open(&database).await.unwrap();
    let (ada, bob) = (add(&store, "ada").await, add(&store, "bob").await);
    store.record_uses(&[seen(bob, "Z", at(1))]).await.unwrap();
    let named = |n| format!("client {n:02}");
    let many: Vec<_> = (0..60).map(|n| seen(ada, &named(n), at(n))).collect();
    let (first, rest) = many.split_at(50);
    store.record_uses(first).await.unwrap();
    assert_eq!(store.clients_without_app_password(ada, at(0)).await.unwrap().len(), 50);
    // One that comes again makes nobody go, and is among the latest.
    store.record_uses(&[seen(ada, &named(3), at(70))]).await.unwrap();
    store.record_uses(rest).await.unwrap();
    let expected: Vec<_> = [3].into_iter().chain(11..60).map(named).collect();
    assert_eq!(store.clients_without_app_password(ada, at(0)).await.unwrap(), expected);
    // Nor do many of one moment stay.
    let many: Vec<_> = (0..99).map(|n| seen(ada, &format!("other {n}"), at(80))).collect();
    store.record_uses(&many).await.unwrap();
    assert_eq!(store.clients_without_app_password(ada, at(0)).await.unwrap().len(), 50);
    assert_eq!(store.clients_without_app_password(bob, at(0)).await.unwrap(), ["Z"]);
}
