//! `portal_sessions`: browsers that somebody is signed in with. Triggers end them when the account's factors change.

use sqlx::FromRow;

use super::accounts::LOCK_ACCOUNT;
use super::factors::COUNT_FACTORS;
use super::{Store, StoreError};
use super::{in_transaction, name_statements, on_pool};
use crate::base::{AccountId, PortalSessionId, Timestamp, UpstreamName};

macro_rules! columns {
    () => {
        "id, token, account, step, began_at, seen_at, expires_at, verified_at, address, browser, mailbox, \
         mailbox_upstream, mailbox_at, mac"
    };
}

pub(super) use columns as portal_session_columns;

name_statements! {
    INSERT = concat!(
        "INSERT INTO portal_sessions (",
        columns!(),
        ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)"
    );
    BY_TOKEN = concat!("SELECT ", columns!(), " FROM portal_sessions WHERE token = $1");
    SEEN = "UPDATE portal_sessions SET seen_at = $2 WHERE token = $1 AND seen_at < $2";
    DELETE = "DELETE FROM portal_sessions WHERE token = $1 RETURNING id";
    DELETE_BY_ID = "DELETE FROM portal_sessions WHERE account = $1 AND id = $2";
    LIST = concat!("SELECT ", columns!(), " FROM portal_sessions WHERE account = $1 ORDER BY seen_at DESC, id");
    PRUNE = "DELETE FROM portal_sessions WHERE expires_at <= $1";
    /// None was used last before it began: that is what the index knows.
    PRUNE_IDLE = "DELETE FROM portal_sessions WHERE step = $1 AND began_at <= $2 AND seen_at <= $2";
    /// Those that came as far as `$2` stay before the others, the latest before those that were used before it.
    BEYOND = concat!(
        "SELECT ",
        columns!(),
        " FROM portal_sessions WHERE account = $1 \
         ORDER BY CASE WHEN step = $2 THEN 0 ELSE 1 END, seen_at DESC, id DESC LIMIT 1000 OFFSET $3"
    );
}

/// A row of `portal_sessions`.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct PortalSessionRecord {
    /// What lists call it; stays when the token changes.
    pub id: PortalSessionId,
    /// SHA-256 of what the browser holds.
    pub token: Vec<u8>,
    /// Whose.
    pub account: AccountId,
    /// How far in it is; the portal knows the words.
    pub step: String,
    /// When the mailbox password was given.
    pub began_at: Timestamp,
    /// When it was last used, at most a minute late.
    pub seen_at: Timestamp,
    /// When it ends whatever happens.
    pub expires_at: Timestamp,
    /// When a second factor was last given.
    pub verified_at: Option<Timestamp>,
    /// Where it began.
    pub address: String,
    /// What the browser says it is.
    pub browser: Option<String>,
    /// The mailbox password, under a key that only the browser's token gives.
    pub mailbox: Option<Vec<u8>>,
    /// Who took it.
    pub mailbox_upstream: Option<UpstreamName>,
    /// When.
    pub mailbox_at: Option<Timestamp>,
    /// MAC under the site key over what opens something.
    pub mac: Vec<u8>,
}

/// The parameters of [`INSERT`], on either database.
macro_rules! bind_session {
    ($session:expr) => {
        sqlx::query(INSERT)
            .bind($session.id)
            .bind(&$session.token)
            .bind($session.account)
            .bind(&$session.step)
            .bind($session.began_at)
            .bind($session.seen_at)
            .bind($session.expires_at)
            .bind($session.verified_at)
            .bind(&$session.address)
            .bind(&$session.browser)
            .bind(&$session.mailbox)
            .bind(&$session.mailbox_upstream)
            .bind($session.mailbox_at)
            .bind(&$session.mac)
    };
}

impl Store {
    /// Begins one; `false` where its account is gone, or has another number of factors by now than `bound_factors`: whoever
    /// counted them was told what is no longer so.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn begin_portal_session(
        &self,
        session: &PortalSessionRecord,
        bound_factors: u32,
    ) -> Result<bool, StoreError> {
        in_transaction!(self, |connection| {
            let lock = sqlx::query(LOCK_ACCOUNT).bind(session.account).execute(&mut *connection);
            if lock.await?.rows_affected() == 0 {
                return Ok(false);
            }
            let count = sqlx::query_scalar::<_, i64>(COUNT_FACTORS).bind(session.account);
            if count.fetch_one(&mut *connection).await? != i64::from(bound_factors) {
                return Ok(false);
            }
            bind_session!(session).execute(&mut *connection).await?;
            true
        })
    }

    /// Puts `next` in the place of the one with `token`; `false`, and nothing is changed, where that has ended.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn replace_portal_session(
        &self,
        token: &[u8],
        next: &PortalSessionRecord,
    ) -> Result<bool, StoreError> {
        in_transaction!(self, |connection| {
            sqlx::query(LOCK_ACCOUNT).bind(next.account).execute(&mut *connection).await?;
            let ended: Option<PortalSessionId> =
                sqlx::query_scalar(DELETE).bind(token).fetch_optional(&mut *connection).await?;
            if ended.is_none() {
                return Ok(false);
            }
            bind_session!(next).execute(&mut *connection).await?;
            true
        })
    }

    /// The one with this token, whatever its time.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn portal_session(&self, token: &[u8]) -> Result<Option<PortalSessionRecord>, StoreError> {
        on_pool!(self, |pool| sqlx::query_as(BY_TOKEN).bind(token).fetch_optional(pool).await?)
    }

    /// It is being used.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn portal_session_seen(&self, token: &[u8], at: Timestamp) -> Result<(), StoreError> {
        on_pool!(self, |pool| {
            sqlx::query(SEEN).bind(token).bind(at).execute(pool).await?;
        })
    }

    /// Ends the one with this token; `false` where there is none.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn end_portal_session(&self, token: &[u8]) -> Result<bool, StoreError> {
        on_pool!(self, |pool| {
            sqlx::query_scalar::<_, PortalSessionId>(DELETE).bind(token).fetch_optional(pool).await?.is_some()
        })
    }

    /// Ends one of the account's; `false` where there is none.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn end_portal_session_of(
        &self,
        account: AccountId,
        id: PortalSessionId,
    ) -> Result<bool, StoreError> {
        in_transaction!(self, |connection| {
            // It may be getting another token at this moment, which keeps its ID.
            sqlx::query(LOCK_ACCOUNT).bind(account).execute(&mut *connection).await?;
            let ended = sqlx::query(DELETE_BY_ID).bind(account).bind(id).execute(&mut *connection);
            ended.await?.rows_affected() == 1
        })
    }

    /// The account's, the one that was used last first.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn portal_sessions(&self, account: AccountId) -> Result<Vec<PortalSessionRecord>, StoreError> {
        on_pool!(self, |pool| sqlx::query_as(LIST).bind(account).fetch_all(pool).await?)
    }

    /// Forgets those whose time is over, and those at `step` that were last used at `idle_since` or before.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn prune_portal_sessions(
        &self,
        now: Timestamp,
        step: &str,
        idle_since: Timestamp,
    ) -> Result<u64, StoreError> {
        on_pool!(self, |pool| {
            let over = sqlx::query(PRUNE).bind(now).execute(pool).await?.rows_affected();
            let idle = sqlx::query(PRUNE_IDLE).bind(step).bind(idle_since).execute(pool).await?;
            over + idle.rows_affected()
        })
    }

    /// What the account has beyond `at_most`: those that have not come as far as `step` go before those that have, and of either
    /// those that were used longest ago.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn portal_sessions_beyond(
        &self,
        account: AccountId,
        step: &str,
        at_most: u32,
    ) -> Result<Vec<PortalSessionRecord>, StoreError> {
        on_pool!(self, |pool| {
            let beyond = sqlx::query_as(BEYOND).bind(account).bind(step).bind(i64::from(at_most));
            beyond.fetch_all(pool).await?
        })
    }
}
