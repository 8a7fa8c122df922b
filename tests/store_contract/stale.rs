//! Sealed mailbox passwords that have changed: who is marked, who may try again, what a re-sealing forgets.

use mailward::base::{AccountId, Timestamp, UpstreamName};
use mailward::config::Database;
use mailward::store::{AppPasswordRecord, Inserted, SentSeal, Store};
use sqlx::Executor;

use super::world::{add, all_at_once, app_password, at};

pub(super) async fn of_many_who_reseal_a_version_one_does(database: Database) {
    let store = Store::open(&database).await.unwrap();
    let ada = add(&store, "ada").await;
    let row = app_password(ada, "abcd");
    store.insert_app_password(&row, 20).await.unwrap();
    let resealed = all_at_once(10, |n| {
        let (store, n) = (store.clone(), n as u8);
        let next = AppPasswordRecord {
            sealed: Some(vec![n]),
            mac: vec![n, 1],
            sealed_version: row.sealed_version + 1,
            sealed_at: Some(at(5)),
            upstream: UpstreamName("moved".to_owned()),
            ..row.clone()
        };
        async move { store.reseal_app_password(&next).await.unwrap() }
    })
    .await;
    let winners: Vec<_> = (0u8..).zip(resealed).filter(|(_, won)| *won).collect();
    assert_eq!(winners.len(), 1);
    let (winner, _) = winners[0];
    let read = store.app_password_by_label(ada, "abcd").await.unwrap().unwrap();
    let expected = AppPasswordRecord {
        sealed: Some(vec![winner]),
        mac: vec![winner, 1],
        sealed_version: row.sealed_version + 1,
        sealed_at: Some(at(5)),
        upstream: UpstreamName("moved".to_owned()),
        ..row
    };
    assert_eq!(read, expected);
}

/// What was sent of a row.
pub(super) fn sent(row: &AppPasswordRecord) -> SentSeal {
    SentSeal {
        account: row.account,
        app_password: row.id,
        upstream: row.upstream.clone(),
        version: row.sealed_version,
    }
}

/// Labels, times of marks, probes and the times of the next ones of an account, in the order of the labels.
async fn staleness(
    store: &Store,
    account: AccountId,
) -> Vec<(String, Option<Timestamp>, i64, Option<Timestamp>)> {
    let mut rows = store.app_passwords(account).await.unwrap();
    rows.sort_by(|a, b| a.label.cmp(&b.label));
    rows.into_iter().map(|row| (row.label, row.stale_since, row.probes, row.next_probe_at)).collect()
}

/// An account with app passwords that were sealed at these moments, labelled `a`, `b`, …
pub(super) async fn sealed_at(store: &Store, local: &str, moments: &[i64]) -> Vec<AppPasswordRecord> {
    let account = add(store, local).await;
    let rows = moments.iter().zip('a'..).map(|(moment, label)| AppPasswordRecord {
        sealed_at: Some(at(*moment)),
        ..app_password(account, &label.to_string())
    });
    let rows: Vec<_> = rows.collect();
    for row in &rows {
        assert_eq!(store.insert_app_password(row, 20).await.unwrap(), Inserted::Done);
    }
    rows
}

pub(super) async fn a_refused_seal_marks_those_of_its_account_that_are_no_younger(database: Database) {
    let store = Store::open(&database).await.unwrap();
    let rows = sealed_at(&store, "ada", &[10, 20, 20, 21]).await;
    let (ada, refused) = (rows[0].account, sent(&rows[1]));
    let nothing = AppPasswordRecord { sealed: None, sealed_at: None, ..app_password(ada, "x") };
    let elsewhere =
        AppPasswordRecord { upstream: UpstreamName("other".to_owned()), ..app_password(ada, "y") };
    for row in [&nothing, &elsewhere] {
        store.insert_app_password(row, 20).await.unwrap();
    }
    let bobs = sealed_at(&store, "bob", &[10]).await;

    let mut marked = store.mark_stale(&refused, at(50), at(60)).await.unwrap();
    marked.sort();
    assert_eq!(marked, ["a", "b", "c"]);
    let (mark, next) = (Some(at(50)), Some(at(60)));
    let expected = [
        ("a", mark, next),
        ("b", mark, next),
        ("c", mark, next),
        ("d", None, None),
        ("x", None, None),
        ("y", None, None),
    ];
    let expected = expected.map(|(label, mark, next)| (label.to_owned(), mark, 0, next));
    assert_eq!(staleness(&store, ada).await, expected);
    assert_eq!(staleness(&store, bobs[0].account).await, [("a".to_owned(), None, 0, None)]);

    assert!(store.mark_stale(&refused, at(51), at(61)).await.unwrap().is_empty(), "the first one stands");
    assert_eq!(staleness(&store, ada).await, expected);
    assert_eq!(store.mark_stale(&sent(&rows[3]), at(52), at(62)).await.unwrap(), ["d"]);
}

pub(super) async fn a_seal_that_was_replaced_is_never_marked(database: Database) {
    let store = Store::open(&database).await.unwrap();
    for round in 0..10 {
        let rows = sealed_at(&store, &format!("ada{round}"), &[10, 20]).await;
        let next = AppPasswordRecord {
            sealed: Some(vec![9]),
            sealed_version: rows[1].sealed_version + 1,
            sealed_at: Some(at(30)),
            ..rows[1].clone()
        };
        let refused = sent(&rows[1]);
        let (resealed, marked) =
            tokio::join!(store.reseal_app_password(&next), store.mark_stale(&refused, at(40), at(50)));
        assert!(resealed.unwrap());
        let read = store.app_password_by_label(next.account, "b").await.unwrap().unwrap();
        assert_eq!(read, next, "after {marked:?}");
        assert!(store.mark_stale(&refused, at(41), at(51)).await.unwrap().is_empty(), "nor a late one");
        assert!(store.clear_stale(&refused, at(42)).await.unwrap().is_empty());
    }
}

pub(super) async fn of_many_on_two_nodes_one_claims_a_probe(database: Database) {
    let stores = [Store::open(&database).await.unwrap(), Store::open(&database).await.unwrap()];
    let rows = sealed_at(&stores[0], "ada", &[10, 10]).await;
    let seals: Vec<_> = rows.iter().map(sent).collect();
    stores[0].mark_stale(&seals[0], at(50), at(60)).await.unwrap();
    assert!(!stores[0].claim_probe(&seals[0], at(59), at(100)).await.unwrap(), "not due yet");
    for (number, now) in [(1, 60), (2, 160)] {
        let claims = all_at_once(50, |n| {
            // Two nodes, and two phones of one account.
            let (store, seal) = (stores[n % 2].clone(), seals[n / 2 % 2].clone());
            async move { store.claim_probe(&seal, at(now), at(now + 100)).await.unwrap() }
        })
        .await;
        assert_eq!(claims.into_iter().filter(|claimed| *claimed).count(), 1);
        let expected = ["a", "b"].map(|label| (label.to_owned(), Some(at(50)), number, Some(at(now + 100))));
        assert_eq!(staleness(&stores[0], rows[0].account).await, expected);
    }
    let fresh = sealed_at(&stores[0], "bob", &[10]).await;
    assert!(!stores[0].claim_probe(&sent(&fresh[0]), at(99), at(100)).await.unwrap(), "it needs none");
    let replaced = SentSeal { version: 9, ..seals[0].clone() };
    assert!(!stores[0].claim_probe(&replaced, at(999), at(1_000)).await.unwrap());
}

pub(super) async fn a_probe_given_back_is_due_again_and_does_not_count(database: Database) {
    let store = Store::open(&database).await.unwrap();
    let rows = sealed_at(&store, "ada", &[10, 10]).await;
    let (ada, seal) = (rows[0].account, sent(&rows[0]));
    store.mark_stale(&seal, at(50), at(60)).await.unwrap();
    assert!(store.claim_probe(&seal, at(60), at(100)).await.unwrap());
    store.give_probe_back(&seal, at(100), at(80)).await.unwrap();
    let due = |probes, next| ["a", "b"].map(|label| (label.to_owned(), Some(at(50)), probes, Some(at(next))));
    assert_eq!(staleness(&store, ada).await, due(0, 80));
    assert!(store.claim_probe(&sent(&rows[1]), at(80), at(120)).await.unwrap());
    store.give_probe_back(&seal, at(100), at(90)).await.unwrap();
    assert_eq!(staleness(&store, ada).await, due(1, 120), "somebody else's claim stands");
}

pub(super) async fn a_taken_probe_clears_what_was_sealed_with_it_and_lets_the_rest_be_tried(
    database: Database,
) {
    let store = Store::open(&database).await.unwrap();
    let rows = sealed_at(&store, "ada", &[10, 20, 20, 30]).await;
    let ada = rows[0].account;
    store.mark_stale(&sent(&rows[3]), at(50), at(60)).await.unwrap();
    assert!(store.claim_probe(&sent(&rows[1]), at(60), at(100)).await.unwrap());
    let mut cleared = store.clear_stale(&sent(&rows[1]), at(61)).await.unwrap();
    cleared.sort();
    assert_eq!(cleared, ["b", "c"], "an older or a younger seal may hold another password");
    let stale = |label: &str| (label.to_owned(), Some(at(50)), 0, Some(at(61)));
    let fresh = |label: &str| (label.to_owned(), None, 0, None);
    assert_eq!(staleness(&store, ada).await, [stale("a"), fresh("b"), fresh("c"), stale("d")]);
    assert!(store.clear_stale(&sent(&rows[1]), at(70)).await.unwrap().is_empty(), "nothing is left to clear");
    assert_eq!(staleness(&store, ada).await[0], stale("a"));
}

pub(super) async fn re_sealing_forgets_that_a_seal_was_stale(database: Database) {
    let store = Store::open(&database).await.unwrap();
    let rows = sealed_at(&store, "ada", &[10]).await;
    store.mark_stale(&sent(&rows[0]), at(50), at(60)).await.unwrap();
    assert!(store.claim_probe(&sent(&rows[0]), at(60), at(100)).await.unwrap());
    let next = AppPasswordRecord {
        sealed_version: rows[0].sealed_version + 1,
        sealed_at: Some(at(70)),
        ..rows[0].clone()
    };
    assert!(store.reseal_app_password(&next).await.unwrap());
    assert_eq!(store.app_password_by_label(next.account, "a").await.unwrap().as_ref(), Some(&next));
}

/// Runs the migration once more on rows as the version before left them.
pub(super) async fn rows_of_the_version_before_were_sealed_when_they_were_made(database: Database) {
    const UNDO: &str = "ALTER TABLE app_passwords DROP COLUMN sealed_at;
                        ALTER TABLE app_passwords DROP COLUMN stale_since;
                        ALTER TABLE app_passwords DROP COLUMN probes;
                        ALTER TABLE app_passwords DROP COLUMN next_probe_at;
                        DELETE FROM _sqlx_migrations WHERE version IN (2, 5)";
    // What came later stands on the columns.
    const UNDO_SQLITE: &str = "DROP TRIGGER app_passwords_stale; DROP TRIGGER factors_unbound";
    const UNDO_POSTGRES: &str =
        "DROP TRIGGER app_passwords_stale ON app_passwords; DROP TRIGGER factors_unbound ON factors";
    let store = Store::open(&database).await.unwrap();
    let ada = add(&store, "ada").await;
    let sealed = AppPasswordRecord { created_at: at(7), sealed_at: Some(at(9)), ..app_password(ada, "a") };
    let bare =
        AppPasswordRecord { sealed: None, sealed_at: None, created_at: at(8), ..app_password(ada, "b") };
    for row in [&sealed, &bare] {
        store.insert_app_password(row, 20).await.unwrap();
    }
    match &store {
        Store::Sqlite(pool, _) => {
            for text in [UNDO_SQLITE, UNDO] {
                pool.execute(sqlx::raw_sql(text)).await.unwrap();
            }
        }
        Store::Postgres(pool) => {
            for text in [UNDO_POSTGRES, UNDO] {
                pool.execute(sqlx::raw_sql(text)).await.unwrap();
            }
        }
    }
    store.close().await;
    let store = Store::open(&database).await.unwrap();
    let migrated = AppPasswordRecord { sealed_at: Some(at(7)), ..sealed };
    assert_eq!(store.app_passwords(ada).await.unwrap(), [migrated, bare]);
}
