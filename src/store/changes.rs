//! `changes`: what happened to what live sessions rest on. Triggers write most of it, in the transaction of
//! whatever statement made the change (see the migrations).

use super::{Change, Store, StoreError};
use super::{name_statements, on_pool};
use crate::base::{AccountId, SessionId};

/// Rows that are kept: who did not read for so long must judge everything again. More than the accounts that an
/// administrator's script changes while a reader pauses, few enough to read them all at once.
const KEPT: i64 = 4096;

name_statements! {
    FROM = "SELECT seq, account, session, reason FROM changes WHERE seq >= $1 ORDER BY seq";
    END_SESSION = "INSERT INTO changes (account, session, reason) VALUES ($1, $2, $3)";
    /// By number, not by age: no clock is asked that might jump.
    PRUNE = "DELETE FROM changes WHERE seq <= (SELECT MAX(seq) FROM changes) - $1";
}

impl Store {
    /// How many numbers before the latest change are kept.
    pub const CHANGES_KEPT: i64 = KEPT;

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
