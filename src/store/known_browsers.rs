//! `known_browsers`: browsers that somebody signed in to an account with. What a browser says it is, is hostile.

use sqlx::FromRow;

use super::accounts::LOCK_ACCOUNT;
use super::{Store, StoreError};
use super::{in_transaction, name_statements, on_pool};
use crate::base::{AccountId, Timestamp};

name_statements! {
    SEEN_AGAIN = "UPDATE known_browsers SET seen_at = $3, browser = $4, address = $5 WHERE account = $1 AND mark = $2";
    SEEN_FIRST = "INSERT INTO known_browsers (account, mark, seen_at, browser, address) VALUES ($1, $2, $3, $4, $5) \
                  ON CONFLICT (account, mark) DO NOTHING";
    /// Of those that were seen by a version before, nobody knows where.
    LIST = "SELECT mark, seen_at, browser, address FROM known_browsers \
            WHERE account = $1 AND seen_at >= $2 AND address IS NOT NULL ORDER BY seen_at DESC, mark LIMIT $3";
    FORGET_ACCOUNT = "DELETE FROM known_browsers WHERE account = $1";
    FORGET = "DELETE FROM known_browsers WHERE seen_at <= $1";
}

/// For whoever removes an account: all of its browsers.
pub(super) const FORGET_BROWSERS_OF: &str = FORGET_ACCOUNT;

/// A row of `known_browsers`.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct KnownBrowserRecord {
    /// MAC over what tells it from others.
    pub mark: Vec<u8>,
    /// When it was last signed in with.
    pub seen_at: Timestamp,
    /// What it says it is.
    pub browser: Option<String>,
    /// Where it was then.
    pub address: String,
}

impl Store {
    /// Somebody signed in to the account with this browser; whether it is the first time.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn browser_seen(
        &self,
        account: AccountId,
        seen: &KnownBrowserRecord,
    ) -> Result<bool, StoreError> {
        let KnownBrowserRecord { mark, seen_at, browser, address } = seen;
        in_transaction!(self, |connection| {
            sqlx::query(LOCK_ACCOUNT).bind(account).execute(&mut *connection).await?;
            let again = sqlx::query(SEEN_AGAIN).bind(account).bind(mark).bind(seen_at);
            let again = again.bind(browser).bind(address).execute(&mut *connection);
            if again.await?.rows_affected() > 0 {
                false
            } else {
                let first = sqlx::query(SEEN_FIRST).bind(account).bind(mark).bind(seen_at);
                let first = first.bind(browser).bind(address).execute(&mut *connection);
                first.await?.rows_affected() == 1
            }
        })
    }

    /// Browsers that somebody signed in to the account with at `since` or later, the latest first; at most so many.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn known_browsers(
        &self,
        account: AccountId,
        since: Timestamp,
        at_most: u32,
    ) -> Result<Vec<KnownBrowserRecord>, StoreError> {
        on_pool!(self, |pool| {
            let list = sqlx::query_as(LIST).bind(account).bind(since).bind(i64::from(at_most));
            list.fetch_all(pool).await?
        })
    }

    /// Forgets browsers that nobody signed in with since.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn forget_browsers(&self, since: Timestamp) -> Result<u64, StoreError> {
        on_pool!(self, |pool| sqlx::query(FORGET).bind(since).execute(pool).await?.rows_affected())
    }
}
