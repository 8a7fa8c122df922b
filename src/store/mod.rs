//! What must survive: accounts, factors, app passwords, audit heads and index, in SQLite or PostgreSQL.
//!
//! One SQL text serves both. Nothing here decides anything; callers are trusted code, the database is
//! trusted for availability only (rows that open doors carry MACs, which floors above check).

pub mod record;

use crate::base::{AccountId, Address, AppPasswordId, FactorId, Timestamp, UpstreamName};
use crate::config;
pub use record::*;

/// A pool of connections to the database of this site. Cheap to clone.
#[derive(Clone)]
pub enum Store {
    /// The embedded file.
    Sqlite(sqlx::SqlitePool),
    /// A server, shared by nodes.
    Postgres(sqlx::PgPool),
}

/// Why the store did not do it.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database does not answer, is locked, full or read-only; a retry may help.
    #[error("the database is not available")]
    Unavailable(#[source] sqlx::Error),
    /// What it holds cannot be read as what it should be.
    #[error("the database holds a row that cannot be read")]
    Corrupt(#[source] sqlx::Error),
    /// Creating or migrating it failed.
    #[error("the database cannot be migrated")]
    Migrate(#[source] sqlx::migrate::MigrateError),
}

#[expect(clippy::unimplemented, unused_variables, reason = "signatures first; bodies follow")]
impl Store {
    /// Opens, creates (SQLite, mode 0600) and migrates the database.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn open(database: &config::Database) -> Result<Self, StoreError> {
        unimplemented!()
    }
    /// Closes the pool after writing what is pending.
    pub async fn close(&self) {
        unimplemented!()
    }

    // accounts
    /// The account of `address` and its number of bound factors, in one read. A removed account is returned
    /// too, as a tombstone (`state == Removed`).
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn standing(&self, address: &Address) -> Result<Option<Standing>, StoreError> {
        unimplemented!()
    }
    /// Adds the account, or brings a tombstone back (keeping its `must_bind`); an existing one is returned as it is.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn add_account(
        &self,
        address: &Address,
        upstream: &UpstreamName,
        at: Timestamp,
    ) -> Result<(AccountRecord, Added), StoreError> {
        unimplemented!()
    }
    /// All accounts but tombstones, by address, with their number of bound factors.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn accounts(&self) -> Result<Vec<Standing>, StoreError> {
        unimplemented!()
    }
    /// Suspends or resumes; `false` where there is no such account (or a tombstone).
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn set_account_state(
        &self,
        account: AccountId,
        state: AccountState,
    ) -> Result<bool, StoreError> {
        unimplemented!()
    }
    /// Leaves a tombstone: factors and app passwords go, `must_bind` is set if a factor was bound.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn remove_account(&self, account: AccountId) -> Result<bool, StoreError> {
        unimplemented!()
    }

    // factors
    /// Binds a factor; clears `must_bind`.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn insert_factor(&self, factor: &FactorRecord) -> Result<(), StoreError> {
        unimplemented!()
    }
    /// The account's factors, oldest first.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn factors(&self, account: AccountId) -> Result<Vec<FactorRecord>, StoreError> {
        unimplemented!()
    }
    /// Unbinds the account's factors (of `kind`, or all); with `revoke_app_passwords`, and if no factor is
    /// left, its app passwords go in the same transaction. Returns what went.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn unbind_factors(
        &self,
        account: AccountId,
        kind: Option<&str>,
        revoke_app_passwords: bool,
    ) -> Result<Unbound, StoreError> {
        unimplemented!()
    }
    /// Marks TOTP step `step` as used, if it is later than every step used before: one conditional UPDATE,
    /// so that of many at once exactly one is told `true`.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn claim_totp_step(
        &self,
        factor: FactorId,
        step: i64,
        at: Timestamp,
    ) -> Result<bool, StoreError> {
        unimplemented!()
    }

    // app passwords
    /// Adds one, unless the account has `limit` already or its label is taken; decided in one transaction.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn insert_app_password(
        &self,
        row: &AppPasswordRecord,
        limit: u32,
    ) -> Result<Inserted, StoreError> {
        unimplemented!()
    }
    /// The one with this label.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn app_password_by_label(
        &self,
        account: AccountId,
        label: &str,
    ) -> Result<Option<AppPasswordRecord>, StoreError> {
        unimplemented!()
    }
    /// The account's, oldest first.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn app_passwords(&self, account: AccountId) -> Result<Vec<AppPasswordRecord>, StoreError> {
        unimplemented!()
    }
    /// Deletes one; `false` where there is none.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn delete_app_password(
        &self,
        account: AccountId,
        id: AppPasswordId,
    ) -> Result<bool, StoreError> {
        unimplemented!()
    }
    /// Deletes all; how many.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn delete_app_passwords(&self, account: AccountId) -> Result<u64, StoreError> {
        unimplemented!()
    }
    /// Replaces the sealed mailbox password, if the row still has `expected_version`; `false` if not.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn reseal_app_password(
        &self,
        id: AppPasswordId,
        expected_version: i64,
        sealed: &[u8],
        mac: &[u8],
    ) -> Result<bool, StoreError> {
        unimplemented!()
    }
    /// Writes down last uses, in one transaction; for display only, the trail has the truth.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn record_uses(&self, uses: &[Use]) -> Result<(), StoreError> {
        unimplemented!()
    }

    // audit
    /// Sets a chain's head.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn put_audit_head(&self, head: &AuditHead) -> Result<(), StoreError> {
        unimplemented!()
    }
    /// The heads of all chains.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn audit_heads(&self) -> Result<Vec<AuditHead>, StoreError> {
        unimplemented!()
    }
    /// Adds records to the search index; those it has already are left alone.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn index_audit(&self, rows: &[AuditRow]) -> Result<(), StoreError> {
        unimplemented!()
    }
    /// Finds records, newest last.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn search_audit(&self, query: &AuditQuery) -> Result<Vec<AuditRow>, StoreError> {
        unimplemented!()
    }
}

/// Where a use came from; see [`Store::record_uses`].
#[derive(Clone, Debug)]
pub struct Use {
    /// Whose.
    pub account: AccountId,
    /// With which app password, if it was one.
    pub app_password: Option<AppPasswordId>,
    /// When.
    pub at: Timestamp,
    /// From where (address as text).
    pub address: String,
    /// With which client program, as it announced itself.
    pub program: Option<String>,
}
