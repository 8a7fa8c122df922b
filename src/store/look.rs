//! A look at a database that changes nothing: not even what `open` would migrate.

use std::path::Path;

use sqlx::ConnectOptions;
use sqlx::migrate::{Migrate, MigrateError, Migrator};
use sqlx::postgres::PgConnectOptions;
use sqlx::sqlite::SqliteConnectOptions;

use super::StoreError;
use super::open::{ACQUIRE_DEADLINE, POSTGRES_MIGRATIONS, SQLITE_MIGRATIONS};
use super::site;
use crate::config;

/// How a database stands to this program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// There is no file: the first start makes it.
    Absent,
    /// It has all that this program needs.
    Current,
    /// So many migrations are to come with the next start; all of them, where it is empty.
    Behind(usize),
    /// A newer program has used it.
    Ahead,
}

/// Looks at `database`, for three seconds at most.
///
/// # Errors
/// [`StoreError`]
pub async fn look(database: &config::Database) -> Result<Look, StoreError> {
    let looking = async {
        match database {
            config::Database::Sqlite(path) => look_at_sqlite(path).await,
            config::Database::Postgres(url) => {
                Ok(compare(postgres(url)?.connect().await?, &POSTGRES_MIGRATIONS).await)
            }
        }
    };
    tokio::time::timeout(ACQUIRE_DEADLINE, looking).await.map_err(|_| StoreError::timed_out())?
}

async fn look_at_sqlite(path: &Path) -> Result<Look, StoreError> {
    if !path.exists() {
        return Ok(Look::Absent);
    }
    Ok(compare(sqlite(path).connect().await?, &SQLITE_MIGRATIONS).await)
}

/// [`Store::key_check`](super::Store::key_check) of a database that is only looked at.
///
/// # Errors
/// [`StoreError`]
pub async fn look_at_key_check(database: &config::Database) -> Result<Option<Vec<u8>>, StoreError> {
    let looking = async {
        match database {
            config::Database::Sqlite(path) => {
                let mut connection = sqlite(path).connect().await?;
                Ok(sqlx::query_scalar(site::READ).fetch_optional(&mut connection).await?)
            }
            config::Database::Postgres(url) => {
                let mut connection = postgres(url)?.connect().await?;
                Ok(sqlx::query_scalar(site::READ).fetch_optional(&mut connection).await?)
            }
        }
    };
    tokio::time::timeout(ACQUIRE_DEADLINE, looking).await.map_err(|_| StoreError::timed_out())?
}

fn sqlite(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new().filename(path).read_only(true).create_if_missing(false)
}

fn postgres(url: &str) -> Result<PgConnectOptions, StoreError> {
    config::postgres_options(url)
        .map_err(|wrong| StoreError::Unavailable(sqlx::Error::Configuration(wrong.into())))
}

async fn compare(mut connection: impl Migrate + Send, known: &Migrator) -> Look {
    let listed: Result<_, MigrateError> = connection.list_applied_migrations(&known.table_name).await;
    // Without the table nothing was migrated yet.
    let applied: Vec<i64> = listed.map_or_else(|_| vec![], |all| all.iter().map(|one| one.version).collect());
    let ours: Vec<i64> = known.iter().map(|one| one.version).collect();
    if applied.iter().any(|version| !ours.contains(version)) {
        return Look::Ahead;
    }
    match ours.iter().filter(|version| !applied.contains(version)).count() {
        0 => Look::Current,
        more => Look::Behind(more),
    }
}

/// Whether all of `known` was applied, as it is here, and nothing else.
pub(super) async fn is_current(connection: &mut (impl Migrate + Send), known: &Migrator) -> bool {
    let Ok(applied) = connection.list_applied_migrations(&known.table_name).await else { return false };
    let ours = known.iter().map(|one| (one.version, &one.checksum));
    applied.iter().map(|one| (one.version, &one.checksum)).eq(ours)
        && matches!(connection.dirty_version(&known.table_name).await, Ok(None))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Store;

    #[tokio::test]
    async fn looking_makes_and_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mailward.db");
        let database = config::Database::Sqlite(path.clone());
        assert_eq!(look(&database).await.unwrap(), Look::Absent);
        assert!(!path.exists());
        std::fs::write(&path, "").unwrap();
        assert!(matches!(look(&database).await.unwrap(), Look::Behind(1..)));
        assert_eq!(std::fs::read(&path).unwrap(), b"");
        Store::open(&database).await.unwrap().close().await;
        assert_eq!(look(&database).await.unwrap(), Look::Current);
        std::fs::write(&path, "no database at all, but long enough to be one").unwrap();
        assert!(matches!(look(&database).await, Err(_) | Ok(Look::Behind(_))));
    }
}
