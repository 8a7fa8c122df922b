//! `enrolment_links`: an administrator's leave to bind a first factor, used up by the binding. Triggers end them when a
//! factor is bound by whatever means, and with the account.

use sqlx::FromRow;

use super::accounts::LOCK_ACCOUNT;
use super::factors::COUNT_FACTORS;
use super::{Store, StoreError};
use super::{in_transaction, name_statements, on_pool};
use crate::base::{AccountId, Timestamp};

macro_rules! columns {
    () => {
        "account, token, made_at, expires_at, mac"
    };
}

name_statements! {
    PUT = concat!(
        "INSERT INTO enrolment_links (",
        columns!(),
        ") VALUES ($1, $2, $3, $4, $5) ON CONFLICT (account) DO UPDATE SET token = excluded.token, \
         made_at = excluded.made_at, expires_at = excluded.expires_at, mac = excluded.mac"
    );
    FIND = concat!("SELECT ", columns!(), " FROM enrolment_links WHERE account = $1 AND token = $2");
    /// Of many at once one takes it.
    TAKE = "DELETE FROM enrolment_links WHERE account = $1 AND token = $2 RETURNING account";
    PRUNE = "DELETE FROM enrolment_links WHERE expires_at <= $1";
}

/// A row of `enrolment_links`.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct EnrolmentLinkRecord {
    /// Key: whose.
    pub account: AccountId,
    /// SHA-256 of what the link holds.
    pub token: Vec<u8>,
    /// When it was made.
    pub made_at: Timestamp,
    /// Until when it is good.
    pub expires_at: Timestamp,
    /// MAC under the site key over all of it.
    pub mac: Vec<u8>,
}

/// What came of keeping a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkKept {
    /// It is kept, in the place of an earlier one.
    Kept,
    /// The account has a factor already.
    Bound,
    /// The account is gone.
    NoAccount,
}

impl Store {
    /// Keeps a link in the place of any other that the account has.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn put_enrolment_link(&self, link: &EnrolmentLinkRecord) -> Result<LinkKept, StoreError> {
        in_transaction!(self, |connection| {
            let lock = sqlx::query(LOCK_ACCOUNT).bind(link.account).execute(&mut *connection);
            if lock.await?.rows_affected() == 0 {
                return Ok(LinkKept::NoAccount);
            }
            let count = sqlx::query_scalar::<_, i64>(COUNT_FACTORS).bind(link.account);
            if count.fetch_one(&mut *connection).await? > 0 {
                return Ok(LinkKept::Bound);
            }
            sqlx::query(PUT)
                .bind(link.account)
                .bind(&link.token)
                .bind(link.made_at)
                .bind(link.expires_at)
                .bind(&link.mac)
                .execute(&mut *connection)
                .await?;
            LinkKept::Kept
        })
    }

    /// The account's link with this token, whatever its time.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn enrolment_link(
        &self,
        account: AccountId,
        token: &[u8],
    ) -> Result<Option<EnrolmentLinkRecord>, StoreError> {
        on_pool!(self, |pool| sqlx::query_as(FIND).bind(account).bind(token).fetch_optional(pool).await?)
    }

    /// Uses it up: of many at once exactly one is told `true`.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn take_enrolment_link(&self, account: AccountId, token: &[u8]) -> Result<bool, StoreError> {
        on_pool!(self, |pool| {
            let take = sqlx::query_scalar::<_, AccountId>(TAKE).bind(account).bind(token);
            take.fetch_optional(pool).await?.is_some()
        })
    }

    /// Forgets those whose time is over.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn prune_enrolment_links(&self, now: Timestamp) -> Result<u64, StoreError> {
        on_pool!(self, |pool| sqlx::query(PRUNE).bind(now).execute(pool).await?.rows_affected())
    }
}
