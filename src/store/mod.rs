//! What must survive: accounts, factors, app passwords, audit heads and index, in SQLite or PostgreSQL; and what
//! serving processes tell each other.
//!
//! One SQL text serves both. Nothing here decides anything; callers are trusted code, the database is
//! trusted for availability only (rows that open doors carry MACs, which floors above check).
//!
//! One file per table family; each names its statements once, as constants that both databases prepare. What
//! must not be decided twice at once is decided by the database: by one conditional statement, or in a
//! transaction that begins by locking the account's row (in SQLite: the file).

mod accounts;
mod app_passwords;
mod audit_block;
mod audit_heads;
mod audit_index;
mod changes;
mod clients_seen;
mod enrolment_links;
mod factors;
mod known_browsers;
mod live_sessions;
mod look;
mod mail_codes;
mod moment;
mod open;
mod opened;
mod outbox;
mod portal_kept;
mod portal_sessions;
mod profiles;
pub mod record;
mod recovery_codes;
mod several;
mod site;
mod stale;
mod trusted_devices;
mod used_challenges;
mod used_forms;

use std::io;
use std::path::PathBuf;
use std::time::Duration;

pub use audit_block::AuditBatch;
pub use enrolment_links::{EnrolmentLinkRecord, LinkKept};
pub use known_browsers::KnownBrowserRecord;
pub use look::{Look, look, look_at_key_check};
pub use mail_codes::MailSends;
pub use opened::Opened;
pub use outbox::{Instead, NoticeRecord, Posted};
pub use portal_kept::KeptFor;
pub use portal_sessions::PortalSessionRecord;
pub use profiles::ProfileRecord;
pub use record::*;
pub use trusted_devices::TrustedDeviceRecord;

/// A pool of connections to the database of this site. Cheap to clone.
#[derive(Clone)]
pub enum Store {
    /// The embedded file, and which one that is.
    Sqlite(sqlx::SqlitePool, Opened),
    /// A server, shared by nodes.
    Postgres(sqlx::PgPool),
}

/// Why the store did not do it. After [`StoreError::Unavailable`] a change may have happened all the same: the
/// connection can be lost between the commit and its confirmation.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database does not answer, is locked, full or read-only; a retry may help.
    #[error("the database is not available")]
    Unavailable(#[source] sqlx::Error),
    /// What it holds cannot be read as what it should be.
    #[error("the database holds a row that cannot be read")]
    Corrupt(#[source] sqlx::Error),
    /// Creating or migrating it failed.
    #[error("the database cannot be migrated{}", migrate_hint(.0))]
    Migrate(#[source] sqlx::migrate::MigrateError),
    /// The database file or its directory cannot be made or read.
    #[error("cannot open the database file `{path}`")]
    Open {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

/// The longest that one call may take, waiting for a connection included: a server that vanished without a word
/// must not hold a login for as long as TCP would.
const DEADLINE: Duration = Duration::from_secs(10);

impl Store {
    /// Whether gates on other machines may keep their things here too.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        match self {
            Self::Sqlite(..) => false,
            Self::Postgres(_) => true,
        }
    }
}

/// Every statement of this module, for the test that prepares them all on both databases.
pub fn statements() -> impl Iterator<Item = &'static str> {
    [
        accounts::STATEMENTS,
        factors::STATEMENTS,
        app_passwords::STATEMENTS,
        stale::STATEMENTS,
        audit_heads::STATEMENTS,
        audit_index::STATEMENTS,
        site::STATEMENTS,
        changes::STATEMENTS,
        clients_seen::STATEMENTS,
        known_browsers::STATEMENTS,
        live_sessions::STATEMENTS,
        portal_sessions::STATEMENTS,
        portal_kept::STATEMENTS,
        profiles::STATEMENTS,
        trusted_devices::STATEMENTS,
        used_challenges::STATEMENTS,
        recovery_codes::STATEMENTS,
        outbox::STATEMENTS,
        enrolment_links::STATEMENTS,
        used_forms::STATEMENTS,
        mail_codes::STATEMENTS,
    ]
    .into_iter()
    .flatten()
    .copied()
}

/// Names a file's statements, and lists them for [`statements`].
macro_rules! name_statements {
    ($($(#[$comment:meta])* $name:ident = $sql:expr;)+) => {
        $($(#[$comment])* const $name: &str = $sql;)+
        pub(super) const STATEMENTS: &[&str] = &[$($name),+];
    };
}

/// Runs one statement on whichever pool there is: `$run` may await and `?`.
macro_rules! on_pool {
    ($store:expr, |$pool:ident| $run:expr) => {
        match $store {
            $crate::store::Store::Sqlite($pool, opened) => {
                $crate::store::within_deadline(opened.work(async { Ok($run) })).await
            }
            $crate::store::Store::Postgres($pool) => $crate::store::within_deadline(async { Ok($run) }).await,
        }
    };
}

/// Runs several statements as one; leaving `$run` early, by `return Ok(…)` or `?`, undoes them.
macro_rules! in_transaction {
    ($store:expr, |$connection:ident| $run:expr) => {
        match $store {
            $crate::store::Store::Sqlite(pool, opened) => {
                $crate::store::within_deadline(opened.work(async {
                    // Not the deferred BEGIN: two of those that read first can only fail when both then write.
                    let mut transaction = pool.begin_with("BEGIN IMMEDIATE").await?;
                    let $connection = &mut *transaction;
                    let value = $run;
                    transaction.commit().await?;
                    Ok(value)
                }))
                .await
            }
            $crate::store::Store::Postgres(pool) => {
                $crate::store::within_deadline(async {
                    let mut transaction = pool.begin().await?;
                    let $connection = &mut *transaction;
                    let value = $run;
                    transaction.commit().await?;
                    Ok(value)
                })
                .await
            }
        }
    };
}

use {in_transaction, name_statements, on_pool};

fn within_deadline<T>(
    work: impl Future<Output = Result<T, StoreError>>,
) -> impl Future<Output = Result<T, StoreError>> {
    // In a place of its own: several KiB, which would else be part of every login, asked or not, and copied with it.
    let work = Box::pin(work);
    async { tokio::time::timeout(DEADLINE, work).await.unwrap_or_else(|_| Err(StoreError::timed_out())) }
}

fn migrate_hint(error: &sqlx::migrate::MigrateError) -> &'static str {
    use sqlx::migrate::MigrateError as E;
    if matches!(error, E::VersionMissing(_) | E::VersionMismatch(_) | E::VersionTooNew(..)) {
        "\nhint: another version of Mailward made it: run that one, or a newer one"
    } else {
        ""
    }
}

impl StoreError {
    fn timed_out() -> Self {
        Self::Unavailable(sqlx::Error::Io(io::ErrorKind::TimedOut.into()))
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        use sqlx::Error as E;
        let unreadable = if let E::Database(said) = &error {
            said.code().is_some_and(|code| means_corruption(&code))
        } else {
            matches!(
                error,
                E::RowNotFound
                    | E::TypeNotFound { .. }
                    | E::ColumnIndexOutOfBounds { .. }
                    | E::ColumnNotFound(_)
                    | E::ColumnDecode { .. }
                    | E::Decode(_)
            )
        };
        if unreadable { Self::Corrupt(error) } else { Self::Unavailable(error) }
    }
}

/// SQLite's `SQLITE_CORRUPT` (11 with extensions in the higher bytes) and `SQLITE_NOTADB` (26); PostgreSQL's
/// "data corrupted" and "index corrupted" (XX001, XX002) and undefined tables and columns (class 42).
fn means_corruption(code: &str) -> bool {
    match code.parse::<u32>() {
        Ok(number) if code.len() < 5 => matches!(number & 0xff, 11 | 26),
        _ => matches!(code, "XX001" | "XX002") || code.starts_with("42"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damage_is_told_from_absence() {
        for damage in ["11", "26", "267", "XX001", "42P01"] {
            assert!(means_corruption(damage), "{damage}");
        }
        // busy, full, read-only, I/O error; too many connections, disk full, admin shutdown
        for absence in ["5", "13", "8", "10", "517", "53300", "53100", "57P01", "26000"] {
            assert!(!means_corruption(absence), "{absence}");
        }
        assert!(matches!(StoreError::from(sqlx::Error::PoolTimedOut), StoreError::Unavailable(_)));
        assert!(matches!(StoreError::from(sqlx::Error::RowNotFound), StoreError::Corrupt(_)));
    }
}
