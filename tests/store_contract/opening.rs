//! Opening a database: new, old, locked, absent, of another version.

use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::time::Duration;

use mailward::config::Database;
use mailward::store::{Store, StoreError};
use sqlx::Executor;

use super::accounts::standing;
use super::scratch::Scratch;
use super::world::{add, address, all_at_once, app_password, at, block_on, upstream};

pub(super) async fn what_was_confirmed_is_there_after_reopening(database: Database) {
    let store = Store::open(&database).await.unwrap();
    let ada = add(&store, "ada").await;
    let row = app_password(ada, "abcd");
    store.insert_app_password(&row, 20).await.unwrap();
    // Another one that sees what this one wrote while both are open, as a command beside `serve` does.
    let beside = Store::open(&database).await.unwrap();
    assert_eq!(beside.app_passwords(ada).await.unwrap(), std::slice::from_ref(&row));
    assert!(beside.delete_app_password(ada, row.id).await.unwrap());
    assert_eq!(store.app_passwords(ada).await.unwrap(), []);
    store.close().await;
    assert!(matches!(store.accounts().await, Err(StoreError::Unavailable(_))), "closed");
    beside.close().await;
    let again = Store::open(&database).await.unwrap();
    assert_eq!(standing(&again, "ada").await.account.id, ada);
}

pub(super) async fn many_processes_may_open_a_new_database_at_once(database: Database) {
    all_at_once(8, |n| {
        let database = database.clone();
        async move {
            let store = Store::open(&database).await.unwrap();
            add(&store, &format!("ada{n}")).await;
        }
    })
    .await;
    assert_eq!(Store::open(&database).await.unwrap().accounts().await.unwrap().len(), 8);
}

pub(super) async fn of_many_who_claim_the_key_check_one_does(database: Database) {
    let store = Store::open(&database).await.unwrap();
    assert_eq!(store.key_check().await.unwrap(), None);
    let claimed = all_at_once(8, |n| {
        let store = store.clone();
        async move { store.claim_key_check(&[n as u8; 32]).await.unwrap() }
    })
    .await;
    assert!(claimed.iter().all(|check| *check == claimed[0]));
    assert_eq!(store.key_check().await.unwrap().as_ref(), claimed.first());
}

pub(super) async fn a_database_of_a_newer_version_is_left_alone_and_told(database: Database) {
    const NEWER: &str =
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
                         SELECT 9999, 'newer', success, checksum, 0 FROM _sqlx_migrations WHERE version = 1";
    let store = Store::open(&database).await.unwrap();
    match &store {
        Store::Sqlite(pool, _) => drop(pool.execute(NEWER).await.unwrap()),
        Store::Postgres(pool) => drop(pool.execute(NEWER).await.unwrap()),
    }
    store.close().await;
    let error = Store::open(&database).await.err().unwrap();
    assert!(error.to_string().contains("hint: another version of Mailward made it"), "{error}");
}

#[test]
fn the_sqlite_files_are_nobody_elses() {
    let directory = Scratch::new();
    let path = directory.path().join("made/here/mailward.db");
    let mode =
        |name: &str| std::fs::metadata(path.with_file_name(name)).unwrap().permissions().mode() & 0o777;
    block_on(async {
        let store = Store::open(&Database::Sqlite(path.clone())).await.unwrap();
        add(&store, "ada").await;
        for name in ["mailward.db", "mailward.db-wal", "mailward.db-shm"] {
            assert_eq!(mode(name), 0o600, "{name}");
        }
        assert_eq!(mode("."), 0o700);
        let Store::Sqlite(pool, _) = &store else { unreachable!() };
        let kept_in: i64 = sqlx::query_scalar("PRAGMA temp_store").fetch_one(pool).await.unwrap();
        assert_eq!(kept_in, 2, "no file elsewhere has parts of it: they are in memory");
        store.close().await;
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o644)).unwrap();
        Store::open(&Database::Sqlite(path.clone())).await.unwrap();
        assert_eq!(mode("mailward.db"), 0o600, "a copy that was restored carelessly");
    });
}

#[test]
fn what_root_makes_belongs_to_whom_the_directory_belongs() {
    let directory = Scratch::new();
    if chown(directory.path(), Some(65534), Some(65534)).is_err() {
        return; // only root can make things that are not its own
    }
    let path = directory.path().join("mailward.db");
    block_on(async {
        let store = Store::open(&Database::Sqlite(path.clone())).await.unwrap();
        add(&store, "ada").await;
        for name in ["mailward.db", "mailward.db-wal", "mailward.db-shm"] {
            assert_eq!(std::fs::metadata(path.with_file_name(name)).unwrap().uid(), 65534, "{name}");
        }
    });
}

#[test]
fn a_sqlite_file_that_cannot_be_used_says_which_and_why() {
    let directory = Scratch::new();
    let garbage = directory.path().join("garbage.db");
    std::fs::write(&garbage, [b'x'; 8192]).unwrap();
    let below_a_file = garbage.join("mailward.db");
    block_on(async {
        let error = Store::open(&Database::Sqlite(garbage)).await.err().unwrap();
        assert!(matches!(error, StoreError::Corrupt(_)), "{error:?}");
        let error = Store::open(&Database::Sqlite(below_a_file)).await.err().unwrap();
        assert!(matches!(error, StoreError::Open { .. }), "{error:?}");
        assert!(error.to_string().contains("garbage.db/mailward.db"), "{error}");
    });
}

#[test]
fn a_locked_sqlite_file_is_unavailable_for_writing_and_still_read() {
    let directory = Scratch::new();
    let database = Database::Sqlite(directory.path().join("mailward.db"));
    block_on(async {
        let store = Store::open(&database).await.unwrap();
        add(&store, "ada").await;
        let Store::Sqlite(pool, _) = Store::open(&database).await.unwrap() else { unreachable!() };
        let lock = pool.begin_with("BEGIN IMMEDIATE").await.unwrap();
        let refused = store.add_account(&address("bob"), &upstream(), at(1)).await;
        assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
        assert_eq!(store.accounts().await.unwrap().len(), 1);
        drop(lock);
        add(&store, "bob").await;
    });
}

#[test]
fn a_postgres_that_is_not_there_is_unavailable_soon_and_its_password_is_not_told() {
    let canary = "s3cr3t-canary";
    let nobody_listens = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let silent_port = silent.local_addr().unwrap().port();
    for url in [
        format!("postgres://mailward:{canary}@127.0.0.1:{nobody_listens}/mailward"),
        format!("postgres://mailward:{canary}@127.0.0.1:{silent_port}/mailward"),
        format!("postgres://mailward:{canary}@127.0.0.1:port/mailward"),
        format!("postgres://mailward:x?{canary}@127.0.0.1/mailward"),
        format!("postgres://mailward@127.0.0.1/mailward?passwort={canary}"),
    ] {
        let begun = std::time::Instant::now();
        let error = block_on(Store::open(&Database::Postgres(url))).err().unwrap();
        assert!(begun.elapsed() < Duration::from_secs(8));
        assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
        let mut told = format!("{error:?}");
        let mut cause: Option<&dyn std::error::Error> = Some(&error);
        while let Some(error) = cause {
            told += &error.to_string();
            cause = error.source();
        }
        assert!(!told.contains(canary), "{told}");
    }
}
