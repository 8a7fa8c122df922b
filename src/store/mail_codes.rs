//! `mail_codes`: codes that were sent by mail, how often each was tried, and how many there were; the codes themselves are in
//! the sessions that asked for them.

use super::accounts::LOCK_ACCOUNT;
use super::{Store, StoreError};
use super::{in_transaction, name_statements, on_pool};
use crate::base::{AccountId, MailCodeId, Timestamp};

name_statements! {
    INSERT = "INSERT INTO mail_codes (id, account, network, sent_at, tries) VALUES ($1, $2, $3, $4, 0)";
    OF_PAIR = "SELECT COUNT(*) FROM mail_codes WHERE account = $1 AND network = $2 AND sent_at > $3";
    OF_ACCOUNT = "SELECT COUNT(*) FROM mail_codes WHERE account = $1 AND sent_at > $2";
    OF_NETWORK = "SELECT COUNT(*) FROM mail_codes WHERE network = $1 AND sent_at > $2";
    IN_ALL = "SELECT COUNT(*) FROM mail_codes WHERE sent_at > $1";
    TRY = "UPDATE mail_codes SET tries = tries + 1 WHERE id = $1 AND tries < $2 RETURNING id";
    PRUNE = "DELETE FROM mail_codes WHERE sent_at <= $1";
}

/// How many codes may be sent.
#[derive(Clone, Copy, Debug)]
pub struct MailSends {
    /// Since when they are counted.
    pub since: Timestamp,
    /// For one account, asked for in one network.
    pub pair: u32,
    /// For one account.
    pub account: u32,
    /// To one network.
    pub network: u32,
    /// To everybody.
    pub all: u32,
}

impl Store {
    /// Counts a code that is about to be sent; `false`, and nothing is counted, where there are as many as may be, or the account is
    /// gone. Of one account's that are asked for at once none is counted too many; of several accounts' as many as there
    /// are at once.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn count_mail_code(
        &self,
        id: MailCodeId,
        account: AccountId,
        network: &str,
        at: Timestamp,
        most: MailSends,
    ) -> Result<bool, StoreError> {
        in_transaction!(self, |connection| {
            let lock = sqlx::query(LOCK_ACCOUNT).bind(account).execute(&mut *connection);
            if lock.await?.rows_affected() == 0 {
                return Ok(false);
            }
            let of_pair: i64 = sqlx::query_scalar(OF_PAIR)
                .bind(account)
                .bind(network)
                .bind(most.since)
                .fetch_one(&mut *connection)
                .await?;
            let of_account: i64 = sqlx::query_scalar(OF_ACCOUNT)
                .bind(account)
                .bind(most.since)
                .fetch_one(&mut *connection)
                .await?;
            let of_network: i64 = sqlx::query_scalar(OF_NETWORK)
                .bind(network)
                .bind(most.since)
                .fetch_one(&mut *connection)
                .await?;
            let in_all: i64 = sqlx::query_scalar(IN_ALL).bind(most.since).fetch_one(&mut *connection).await?;
            let used_up = of_pair >= i64::from(most.pair)
                || of_account >= i64::from(most.account)
                || of_network >= i64::from(most.network)
                || in_all >= i64::from(most.all);
            if used_up {
                return Ok(false);
            }
            sqlx::query(INSERT)
                .bind(id)
                .bind(account)
                .bind(network)
                .bind(at)
                .execute(&mut *connection)
                .await?;
            true
        })
    }

    /// Counts one more try at a code; `false` where it has had `most`, or is forgotten.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn try_mail_code(&self, id: MailCodeId, most: u32) -> Result<bool, StoreError> {
        on_pool!(self, |pool| {
            let tried = sqlx::query_scalar::<_, MailCodeId>(TRY).bind(id).bind(i64::from(most));
            tried.fetch_optional(pool).await?.is_some()
        })
    }

    /// Forgets those that were sent before `before`.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn prune_mail_codes(&self, before: Timestamp) -> Result<u64, StoreError> {
        on_pool!(self, |pool| sqlx::query(PRUNE).bind(before).execute(pool).await?.rows_affected())
    }
}
