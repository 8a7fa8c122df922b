//! What nodes tell each other of changes, and of who is in.

use std::time::Duration;

use mailward::base::{AccountId, AppPasswordId, ClientAddress, Protocol, SessionId, UpstreamName, random};
use mailward::config::Database;
use mailward::store::{AccountState, AppPasswordRecord, LiveSession, NodeId, SentSeal, Store};
use sqlx::Executor;

use super::stale::sent;
use super::world::{MOST, add, address, app_password, at, factor, upstream, used};

pub(super) async fn a_change_under_a_live_session_leaves_a_row_and_nothing_else_does(database: Database) {
    let store = Store::open(&database).await.unwrap();
    let (ada, bob) = (add(&store, "ada").await, add(&store, "bob").await);
    let (first, second) = (app_password(ada, "abcd"), app_password(ada, "efgh"));
    for row in [&first, &second] {
        store.insert_app_password(row, 20).await.unwrap();
    }
    store.record_uses(&[used(ada, Some(first.id), at(9))]).await.unwrap();
    store.set_account_state(ada, AccountState::Active).await.unwrap();
    add(&store, "ada").await;
    assert_eq!(store.changes_from(0).await.unwrap(), [], "nothing happened that ends a session");

    let mut heard = 0;
    let mut news = async || {
        let rows = store.changes_from(heard + 1).await.unwrap();
        heard = rows.last().map_or(heard, |row| row.seq);
        assert!(rows.iter().all(|row| row.account == ada && row.session.is_none()), "{rows:?}");
        rows.into_iter().map(|row| row.reason).collect::<Vec<_>>()
    };
    let because = |word: &str| Some(word.to_owned());
    store.set_account_state(ada, AccountState::Suspended).await.unwrap();
    assert_eq!(news().await, [because("suspended")]);
    store.set_account_state(ada, AccountState::Active).await.unwrap();
    assert_eq!(news().await, [None]);
    let one = factor(ada, 1);
    store.insert_factor(&one, MOST).await.unwrap();
    assert_eq!(news().await, [because("factor_bound")]);
    store.take_back_factor(&one, true).await.unwrap();
    assert_eq!(news().await, [None, None], "it is gone, and one must bind again");
    let next = AppPasswordRecord { sealed_version: 2, mac: vec![5; 32], ..first.clone() };
    assert!(store.reseal_app_password(&next).await.unwrap());
    assert_eq!(news().await, [None]);
    assert!(store.delete_app_password(ada, first.id).await.unwrap());
    assert_eq!(news().await, [None]);
    store.insert_factor(&one, MOST).await.unwrap();
    store.unbind_factors(ada, (None, None), (true, false)).await.unwrap();
    let gone = [because("factor_bound"), None, None, None];
    assert_eq!(news().await, gone, "bound, not bound any more, and its last app password gone");
    let last = AppPasswordRecord { sealed_at: Some(at(1)), ..app_password(ada, "ijkm") };
    store.insert_app_password(&last, 20).await.unwrap();
    let upstream = last.upstream.clone();
    let sent = SentSeal { account: ada, app_password: last.id, upstream, version: last.sealed_version };
    assert_eq!(store.mark_stale(&sent, at(2), at(3)).await.unwrap().len(), 1);
    assert_eq!(news().await, [None], "what is sealed is not sent any more");
    assert_eq!(store.clear_stale(&sent, at(4)).await.unwrap().len(), 1);
    assert_eq!(news().await, [None], "and is again");
    let elsewhere = UpstreamName("elsewhere".into());
    for bound in [Some(&elsewhere), None] {
        assert!(store.set_bound_upstream(ada, bound).await.unwrap());
        assert_eq!(news().await, [None], "it is somewhere else now");
        assert!(store.set_bound_upstream(ada, bound).await.unwrap());
        assert_eq!(news().await, [], "where it was already");
    }
    store.remove_account(ada).await.unwrap();
    assert_eq!(news().await, [because("removed"), None], "and its app password");
    assert_eq!(store.standing(&address("bob")).await.unwrap().unwrap().account.id, bob);
}

pub(super) async fn a_change_that_is_undone_leaves_no_row(database: Database) {
    let store = Store::open(&database).await.unwrap();
    let ada = add(&store, "ada").await;
    let suspend = "UPDATE accounts SET state = 'suspended'";
    match &store {
        Store::Sqlite(pool, _) => {
            let mut transaction = pool.begin_with("BEGIN IMMEDIATE").await.unwrap();
            transaction.execute(suspend).await.unwrap();
        }
        Store::Postgres(pool) => {
            let mut transaction = pool.begin().await.unwrap();
            transaction.execute(suspend).await.unwrap();
        }
    }
    assert_eq!(store.changes_from(0).await.unwrap(), []);
    let session = SessionId(random::uuid(at(1)));
    store.ask_to_end_session(ada, session, "ended_by_admin").await.unwrap();
    let asked = &store.changes_from(0).await.unwrap()[0];
    assert_eq!((asked.session, asked.reason.as_deref()), (Some(session), Some("ended_by_admin")));
}

/// Why whoever reads them looks back.
pub(super) async fn changes_become_visible_out_of_order_in_postgres_only(database: Database) {
    let store = Store::open(&database).await.unwrap();
    let (ada, bob) = (add(&store, "ada").await, add(&store, "bob").await);
    let Store::Postgres(pool) = &store else { return };
    let mut slow = pool.begin().await.unwrap();
    slow.execute("UPDATE accounts SET state = 'suspended' WHERE address LIKE 'ada%'").await.unwrap();
    store.set_account_state(bob, AccountState::Suspended).await.unwrap();
    let [later] = &store.changes_from(0).await.unwrap()[..] else { panic!("one is not committed") };
    assert_eq!(later.account, bob);
    slow.commit().await.unwrap();
    let [earlier, _] = &store.changes_from(0).await.unwrap()[..] else { panic!("both are") };
    assert!(earlier.account == ada && earlier.seq < later.seq);
}

pub(super) async fn a_list_of_sessions_is_kept_by_nodes_that_live(database: Database) {
    let store = Store::open(&database).await.unwrap();
    let ada = add(&store, "ada").await;
    let row = app_password(ada, "abcd");
    store.insert_app_password(&row, 20).await.unwrap();
    let [here, there] = [1, 2].map(|n| NodeId(uuid::Uuid::from_u128(n)));
    let session = |n: u128, app_password: Option<AppPasswordId>| LiveSession {
        id: SessionId(uuid::Uuid::from_u128(n)),
        account: ada,
        protocol: Protocol::Imap,
        client: ClientAddress::new([192, 0, 2, 1].into()),
        program: Some("Fox\0mail".to_owned()),
        app_password,
        upstream: upstream(),
        since: at(n as i64),
        bytes_from_client: 1,
        bytes_to_client: u64::MAX,
    };
    let (first, second) = (session(1, Some(row.id)), session(2, None));
    let one = std::slice::from_ref::<LiveSession>;
    assert!(!store.write_sessions(here, one(&first), &[], &[]).await.unwrap(), "unknown node");
    for node in [here, there] {
        store.enlist_node(node).await.unwrap();
    }
    for _ in 0..2 {
        assert!(store.write_sessions(here, one(&first), &[], &[]).await.unwrap(), "twice is once");
    }
    assert!(store.write_sessions(there, one(&second), &[], &[]).await.unwrap());
    let listed = store.live_sessions(None).await.unwrap();
    assert_eq!(
        listed.iter().map(|one| one.id).collect::<Vec<_>>(),
        [first.id, second.id],
        "the longest first"
    );
    assert_eq!((listed[0].label.as_deref(), listed[0].name.as_deref()), (Some("abcd"), Some("Foxmail")));
    assert_eq!((listed[0].address.as_str(), listed[0].bytes_to_client), ("ada@example.org", i64::MAX));
    assert_eq!(store.live_sessions(Some(ada)).await.unwrap(), listed);
    assert_eq!(store.live_sessions(Some(AccountId(random::uuid(at(1))))).await.unwrap(), []);

    let moved = LiveSession { bytes_to_client: 5, ..first.clone() };
    assert!(store.write_sessions(here, &[], &[moved], &[]).await.unwrap());
    assert_eq!(store.live_session(first.id).await.unwrap().unwrap().bytes_to_client, 5);
    assert!(store.write_sessions(here, &[], &[], &[first.id]).await.unwrap());
    assert_eq!(store.live_session(first.id).await.unwrap(), None);

    let run = async |statement: &'static str| match &store {
        Store::Sqlite(pool, _) => drop(pool.execute(statement).await.unwrap()),
        Store::Postgres(pool) => drop(pool.execute(statement).await.unwrap()),
    };
    run("UPDATE nodes SET beat = beat - 19").await;
    assert!(store.write_sessions(here, &[first], &[], &[]).await.unwrap());
    store.forget_dead_nodes().await.unwrap();
    assert_eq!(store.live_sessions(None).await.unwrap().len(), 2);
    run("UPDATE nodes SET beat = beat - 50 WHERE beat < unixepoch() - 10").await;
    assert_eq!(store.live_sessions(None).await.unwrap().len(), 1, "the other node is dead");
    store.forget_dead_nodes().await.unwrap();
    assert!(!store.write_sessions(there, &[], &[], &[]).await.unwrap());
    store.forget_node(here).await.unwrap();
    assert_eq!(store.live_sessions(None).await.unwrap(), []);
}

/// Else two that change the same rows in another order would wait for each other.
pub(super) async fn changes_to_rows_of_an_account_wait_for_the_account_first(database: Database) {
    let store = Store::open(&database).await.unwrap();
    let ada = add(&store, "ada").await;
    let row = app_password(ada, "abcd");
    store.insert_app_password(&row, 20).await.unwrap();
    store.record_uses(&[used(ada, Some(row.id), at(9))]).await.unwrap();
    let Store::Postgres(pool) = &store else { return }; // SQLite has one lock for all

    let mut holder = pool.begin().await.unwrap();
    holder.execute("SELECT id FROM accounts FOR UPDATE").await.unwrap();
    let earlier = [used(ada, Some(row.id), at(5)), used(ada, Some(row.id), at(9))];
    let (uses, mark, revoke, refused) = (store.clone(), store.clone(), store.clone(), sent(&row));
    let waiting = [
        tokio::spawn(async move { uses.record_uses(&earlier).await.map(drop) }),
        tokio::spawn(async move { mark.mark_stale(&refused, at(50), at(60)).await.map(drop) }),
        tokio::spawn(async move { revoke.delete_app_passwords(ada).await.map(drop) }),
    ];
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(waiting.iter().all(|task| !task.is_finished()));
    holder.execute("SELECT id FROM app_passwords FOR UPDATE NOWAIT").await.unwrap();
    holder.rollback().await.unwrap();
    for task in waiting {
        task.await.unwrap().unwrap();
    }
    assert_eq!(store.app_passwords(ada).await.unwrap(), []);
}
