//! `changes`: what happened to what live sessions rest on. Triggers write most of it, in the transaction of
//! whatever statement made the change (see the migrations).

use std::time::Duration;

use super::{Change, Store, StoreError};
use super::{name_statements, on_pool};
use crate::base::{AccountId, SessionId};

/// Rows that are kept: who did not read for so long must judge everything again. More than the accounts that an
/// administrator's script changes while a reader pauses, few enough to read them all at once.
const KEPT: i64 = 4096;

/// A number is drawn within a transaction, and no statement or transaction of the gate lasts longer than 10 s: what
/// PostgreSQL drew before a row that has been seen for so long is visible, or never will be.
const SETTLE_IN: Duration = Duration::from_secs(30);

name_statements! {
    FROM = "SELECT seq, account, session, reason FROM changes WHERE seq >= $1 ORDER BY seq";
    END_SESSION = "INSERT INTO changes (account, session, reason) VALUES ($1, $2, $3)";
    /// By number, not by age: no clock is asked that might jump.
    PRUNE = "DELETE FROM changes WHERE seq <= (SELECT MAX(seq) FROM changes) - $1";
}

impl Store {
    /// How many numbers before the latest change are kept.
    pub const CHANGES_KEPT: i64 = KEPT;

    /// How long after a change one with a lower number may come to be seen. SQLite has one writer at a time, who draws
    /// numbers.
    #[must_use]
    pub fn changes_settle_in(&self) -> Duration {
        if self.is_shared() { SETTLE_IN } else { Duration::ZERO }
    }

    /// Changes from number `seq` on, itself included, in order. In PostgreSQL one with a lower number may become
    /// visible later, by as long as a transaction takes.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn changes_from(&self, seq: i64) -> Result<Vec<Change>, StoreError> {
        on_pool!(self, |pool| sqlx::query_as(FROM).bind(seq).fetch_all(pool).await?)
    }

    /// Asks whichever process has that session to end it, for `reason`.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn ask_to_end_session(
        &self,
        account: AccountId,
        session: SessionId,
        reason: &str,
    ) -> Result<(), StoreError> {
        on_pool!(self, |pool| {
            sqlx::query(END_SESSION).bind(account).bind(session).bind(reason).execute(pool).await?;
        })
    }

    /// Forgets all changes but the latest.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn prune_changes(&self) -> Result<(), StoreError> {
        on_pool!(self, |pool| {
            sqlx::query(PRUNE).bind(KEPT).execute(pool).await?;
        })
    }
}
