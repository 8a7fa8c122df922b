//! `app_passwords` again: seals that the upstream refused.
//!
//! What is decided for one app password holds for the others of its account and upstream, so that three phones do
//! not cost three refusals. Each change names the seal that it learnt of by its version: a seal that was replaced
//! meanwhile is never touched.

use super::accounts::LOCK_ACCOUNT;
use super::{SentSeal, Store, StoreError};
use super::{in_transaction, name_statements};
use crate::base::Timestamp;

name_statements! {
    /// Also what is no younger: each seal was good when it was made, so that an older one holds the same mailbox
    /// password or one before it.
    MARK = "UPDATE app_passwords SET stale_since = $5, probes = 0, next_probe_at = $6 \
            WHERE account = $1 AND upstream = $2 AND stale_since IS NULL AND sealed_at <= \
            (SELECT refused.sealed_at FROM app_passwords AS refused WHERE refused.id = $3 AND refused.sealed_version = $4) \
            RETURNING label";
    CLAIM = "UPDATE app_passwords SET probes = probes + 1, next_probe_at = $6 \
             WHERE account = $1 AND upstream = $2 AND stale_since IS NOT NULL AND EXISTS \
             (SELECT 1 FROM app_passwords AS due WHERE due.id = $3 AND due.sealed_version = $4 AND due.next_probe_at <= $5)";
    /// A claim is known by the moment that it set: no other claim of the account set the same.
    GIVE_BACK = "UPDATE app_passwords SET probes = probes - 1, next_probe_at = $4 \
                 WHERE account = $1 AND upstream = $2 AND stale_since IS NOT NULL AND next_probe_at = $3";
    /// Only what was sealed in the same go is known to hold the same mailbox password.
    CLEAR = "UPDATE app_passwords SET stale_since = NULL, probes = 0, next_probe_at = NULL \
             WHERE account = $1 AND upstream = $2 AND stale_since IS NOT NULL AND sealed_at = \
             (SELECT taken.sealed_at FROM app_passwords AS taken WHERE taken.id = $3 AND taken.sealed_version = $4) \
             RETURNING label";
    PROBE_THE_REST = "UPDATE app_passwords SET probes = 0, next_probe_at = $3 \
                      WHERE account = $1 AND upstream = $2 AND stale_since IS NOT NULL";
}

impl Store {
    /// The upstream refused `sent` at `at`: marks it, and what is sealed for the same account and upstream and is
    /// no younger. Returns the labels of those that were not marked before; none if `sent` was replaced meanwhile.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn mark_stale(
        &self,
        sent: &SentSeal,
        at: Timestamp,
        next_probe_at: Timestamp,
    ) -> Result<Vec<String>, StoreError> {
        in_transaction!(self, |connection| {
            sqlx::query(LOCK_ACCOUNT).bind(sent.account).execute(&mut *connection).await?;
            sqlx::query_scalar(MARK)
                .bind(sent.account)
                .bind(&sent.upstream)
                .bind(sent.app_password)
                .bind(sent.version)
                .bind(at)
                .bind(next_probe_at)
                .fetch_all(&mut *connection)
                .await?
        })
    }

    /// Whether the caller may send the stale `sent` once: for one of all who ask while it is due at `at`. The next
    /// one of the account may be sent at `next_probe_at`, whichever it is.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn claim_probe(
        &self,
        sent: &SentSeal,
        at: Timestamp,
        next_probe_at: Timestamp,
    ) -> Result<bool, StoreError> {
        in_transaction!(self, |connection| {
            sqlx::query(LOCK_ACCOUNT).bind(sent.account).execute(&mut *connection).await?;
            let claimed = sqlx::query(CLAIM)
                .bind(sent.account)
                .bind(&sent.upstream)
                .bind(sent.app_password)
                .bind(sent.version)
                .bind(at)
                .bind(next_probe_at)
                .execute(&mut *connection)
                .await?;
            claimed.rows_affected() > 0
        })
    }

    /// The probe whose claim set `claimed` as the next moment told nothing: it does not count, and another may be
    /// sent at `next_probe_at`.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn give_probe_back(
        &self,
        sent: &SentSeal,
        claimed: Timestamp,
        next_probe_at: Timestamp,
    ) -> Result<(), StoreError> {
        in_transaction!(self, |connection| {
            sqlx::query(LOCK_ACCOUNT).bind(sent.account).execute(&mut *connection).await?;
            sqlx::query(GIVE_BACK)
                .bind(sent.account)
                .bind(&sent.upstream)
                .bind(claimed)
                .bind(next_probe_at)
                .execute(&mut *connection)
                .await?;
        })
    }

    /// The upstream took the stale `sent`: clears it and what was sealed in the same go, and lets what else of the
    /// account is stale be probed from `at` on. Returns the labels of those that were cleared; none if `sent` was
    /// replaced meanwhile.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn clear_stale(&self, sent: &SentSeal, at: Timestamp) -> Result<Vec<String>, StoreError> {
        in_transaction!(self, |connection| {
            sqlx::query(LOCK_ACCOUNT).bind(sent.account).execute(&mut *connection).await?;
            let cleared: Vec<String> = sqlx::query_scalar(CLEAR)
                .bind(sent.account)
                .bind(&sent.upstream)
                .bind(sent.app_password)
                .bind(sent.version)
                .fetch_all(&mut *connection)
                .await?;
            if !cleared.is_empty() {
                sqlx::query(PROBE_THE_REST)
                    .bind(sent.account)
                    .bind(&sent.upstream)
                    .bind(at)
                    .execute(&mut *connection)
                    .await?;
            }
            cleared
        })
    }
}
