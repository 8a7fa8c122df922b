//! Opening, creating and migrating either database.
//!
//! The path or URL comes from the administrator. No error repeats the URL: it may hold a password.

use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::migrate::{MigrateError, Migrator};
use sqlx::postgres::PgPoolOptions;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection, Executor, SqliteConnection};

use super::look::is_current;
use super::{Opened, Store, StoreError};
use crate::base::{new_file, owner};
use crate::config;

pub(super) static SQLITE_MIGRATIONS: Migrator = sqlx::migrate!("./migrations/sqlite");
pub(super) static POSTGRES_MIGRATIONS: Migrator = sqlx::migrate!("./migrations/postgres");

/// How long a statement waits for a connection. A client waits behind it: soon *unavailable* is better than late.
pub(super) const ACQUIRE_DEADLINE: Duration = Duration::from_secs(3);

/// How long a start waits for the SQLite file: nobody waits behind it.
const MIGRATION_DEADLINE: Duration = Duration::from_secs(60);

/// How long a SQLite statement waits for other processes' (or connections') writing.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Each is a thread with a cache of its own, and they are used in turn. These may be busy writing, or wait for each other's
/// writing (the index, the list of sessions, last uses, what a login notes); beside them one for each core reads, since
/// more would only find their caches cold.
const SQLITE_WRITERS: u32 = 4;
const SQLITE_READERS_MAX: usize = 8;

/// Per node: PostgreSQL allows 100 to all nodes together unless told otherwise.
const POSTGRES_CONNECTIONS: u32 = 16;

/// A transaction that the gate has given up ([`super::DEADLINE`]), its last words lost on the way, is not to be committed by
/// words that arrive later: the feed of changes rests on it (`changes_settle_in`).
const ENDS_WHAT_IS_LEFT_OPEN: &str = "SET idle_in_transaction_session_timeout = '10s'";

impl Store {
    /// Opens, creates (SQLite, mode 0600) and migrates the database.
    ///
    /// A SQLite file that others may read is made private: nobody but the gate has business in it.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn open(database: &config::Database) -> Result<Self, StoreError> {
        match database {
            config::Database::Sqlite(path) => open_sqlite(path).await,
            config::Database::Postgres(url) => open_postgres(url).await,
        }
    }

    /// Closes the pool after writing what is pending.
    pub async fn close(&self) {
        match self {
            Self::Sqlite(pool, _) => pool.close().await,
            Self::Postgres(pool) => pool.close().await,
        }
    }
}

async fn open_sqlite(path: &Path) -> Result<Store, StoreError> {
    let failed = |source| StoreError::Open { path: path.to_owned(), source };
    let prepared = path.to_owned();
    let lock = tokio::task::spawn_blocking(move || prepare_file(&prepared))
        .await
        .map_err(io::Error::other)
        .and_then(|r| r)
        .map_err(failed)?;
    let opened = Opened::at(path).map_err(failed)?;
    let connected = opened.clone();

    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(false)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(BUSY_TIMEOUT)
        .foreign_keys(true);
    // In a pool of its own, for the patience of the other is a client's: a new file takes longer where the disk is slow.
    let first = SqlitePoolOptions::new().max_connections(1).acquire_timeout(MIGRATION_DEADLINE);
    let first = first.connect_lazy_with(options.clone());
    let migrated = SQLITE_MIGRATIONS.run(&first).await;
    first.close().await;
    migrated.map_err(classify_migration)?;
    let pool = SqlitePoolOptions::new()
        .max_connections(sqlite_connections())
        .acquire_timeout(ACQUIRE_DEADLINE)
        // Another file may stand there by now.
        .after_connect(move |_, _| {
            let stands = connected.stands();
            Box::pin(async { stands })
        })
        .after_release(|connection, _| Box::pin(is_reusable(connection)))
        // A file does not hang up: asking first would be a second question for each one.
        .test_before_acquire(false)
        // Journals of statements, and sorts: else they are files in the temporary directory, with parts of the database in them.
        // Migrations may need more for them than there is memory.
        .connect_lazy_with(options.pragma("temp_store", "memory"));
    drop(lock);
    Ok(Store::Sqlite(pool, opened))
}

/// Whether nothing of what it was last used for is left. A write that failed (a full disk, an I/O error) may have ended
/// its transaction in SQLite already; the rollback behind it then fails, and sqlx would take the connection to be within
/// a transaction for ever, in which no other can begin.
async fn is_reusable(connection: &mut SqliteConnection) -> Result<bool, sqlx::Error> {
    // A rollback waits in its queue.
    connection.ping().await?;
    Ok(!connection.is_in_transaction())
}

fn sqlite_connections() -> u32 {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    SQLITE_WRITERS + u32::try_from(cores.min(SQLITE_READERS_MAX)).unwrap_or(1)
}

/// Makes the directory and the file where there is none, and returns the lock under which of several processes
/// that start at once one migrates (SQLite has none of its own for that). It is on the directory: closing any
/// handle of the database file itself would drop SQLite's locks on it.
fn prepare_file(path: &Path) -> io::Result<File> {
    let directory = new_file::directory_of(path);
    DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    let lock = File::open(directory)?;
    lock.lock()?;
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Ok(_) => {
            // SQLite does the same for its `-wal` and `-shm`.
            owner::follow(directory, path);
            lock.sync_all()?;
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => make_private(path)?,
        Err(error) => return Err(error),
    }
    Ok(lock)
}

/// SQLite gives its `-wal` and `-shm` files the mode of the database file, when it makes them.
fn make_private(path: &Path) -> io::Result<()> {
    for ending in ["", "-wal", "-shm"] {
        let mut name = path.as_os_str().to_owned();
        name.push(ending);
        let file = PathBuf::from(name);
        let mode = match std::fs::metadata(&file) {
            Ok(metadata) => metadata.permissions().mode() & 0o7777,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        if mode & 0o077 != 0 {
            std::fs::set_permissions(&file, Permissions::from_mode(mode & 0o700))?;
        }
    }
    Ok(())
}

async fn open_postgres(url: &str) -> Result<Store, StoreError> {
    let options = config::postgres_options(url)
        .map_err(|wrong| StoreError::Unavailable(sqlx::Error::Configuration(wrong.into())))?;
    // Once without the pool, which would keep the reason to itself and say that time ran out.
    let dialled = tokio::time::timeout(ACQUIRE_DEADLINE, options.connect()).await;
    let mut first = dialled.map_err(|_| StoreError::timed_out())??;
    // Even a migration of nothing asks for a table to be made: a database that may not be written could not be read either.
    let current = is_current(&mut first, &POSTGRES_MIGRATIONS).await;
    first.close().await?;

    let pool = PgPoolOptions::new()
        .max_connections(POSTGRES_CONNECTIONS)
        .acquire_timeout(ACQUIRE_DEADLINE)
        .after_connect(|connection, _| {
            Box::pin(async { connection.execute(ENDS_WHAT_IS_LEFT_OPEN).await.map(drop) })
        })
        .connect_lazy_with(options);
    if !current {
        POSTGRES_MIGRATIONS.run(&pool).await.map_err(classify_migration)?;
    }
    Ok(Store::Postgres(pool))
}

fn classify_migration(error: MigrateError) -> StoreError {
    if let MigrateError::Execute(source) = error { source.into() } else { StoreError::Migrate(error) }
}
