//! `outbox`: what users are yet to be told by mail; `told`, which keeps them from being told too often.
//!
//! A notice is taken by one conditional statement, which moves on when it may be taken again: of many nodes one sends it,
//! and what a node took that died is due again when that time is over.

use sqlx::FromRow;

use super::accounts::LOCK_ACCOUNT;
use super::portal_sessions::portal_session_columns;
use super::{PortalSessionRecord, Store, StoreError};
use super::{in_transaction, name_statements, on_pool};
use crate::base::{AccountId, NoticeId, PortalSessionId, Timestamp};

macro_rules! columns {
    () => {
        "id, account, address, notice, made_at, due_at, attempts, mac"
    };
}

name_statements! {
    INSERT = concat!("INSERT INTO outbox (", columns!(), ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8)");
    /// All but the youngest $2.
    DROP_OLDEST_OF = concat!(
        "DELETE FROM outbox WHERE account = $1 AND id IN (SELECT id FROM outbox WHERE account = $1 \
         ORDER BY made_at DESC, id DESC LIMIT 1000 OFFSET $2) RETURNING ",
        columns!()
    );
    DROP_OLDEST = concat!(
        "DELETE FROM outbox WHERE id IN (SELECT id FROM outbox ORDER BY made_at DESC, id DESC LIMIT 1000 OFFSET $1) \
         RETURNING ",
        columns!()
    );
    GIVE_UP = concat!("DELETE FROM outbox WHERE made_at <= $1 RETURNING ", columns!());
    DUE = "SELECT id FROM outbox WHERE due_at <= $1 ORDER BY due_at, id LIMIT $2";
    TAKE = concat!(
        "UPDATE outbox SET due_at = $3, attempts = attempts + 1 WHERE id = $1 AND due_at <= $2 RETURNING ",
        columns!()
    );
    PUT_OFF = "UPDATE outbox SET due_at = $3 WHERE id = $1 AND attempts = $2";
    DELETE = "DELETE FROM outbox WHERE id = $1";
    WAITING = concat!("SELECT ", columns!(), " FROM outbox WHERE account = $1 ORDER BY made_at, id");
    TELL_AGAIN = "INSERT INTO told (account, notice, told_at) VALUES ($1, $2, $3) ON CONFLICT (account, notice) \
                  DO UPDATE SET told_at = excluded.told_at WHERE told.told_at <= $4 RETURNING account";
    UNFINISHED = concat!(
        "SELECT ",
        portal_session_columns!(),
        " FROM portal_sessions WHERE step = $1 AND began_at <= $2 ORDER BY began_at LIMIT $3"
    );
    END_SESSION = "DELETE FROM portal_sessions WHERE token = $1 AND step = $2 RETURNING id";
}

/// A row of `outbox`.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct NoticeRecord {
    /// Key.
    pub id: NoticeId,
    /// Whom it concerns.
    pub account: AccountId,
    /// Where it goes.
    pub address: String,
    /// What it says, as JSON; no secrets.
    pub notice: String,
    /// When it was written.
    pub made_at: Timestamp,
    /// When it may be taken to be sent.
    pub due_at: Timestamp,
    /// How often it was taken.
    pub attempts: i64,
    /// MAC under the site key over what is sent to whom.
    pub mac: Vec<u8>,
}

/// What came of posting a notice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Posted {
    /// It waits to be sent; in its place these, the oldest of the account, do not any more.
    Waiting(Vec<NoticeRecord>),
    /// The account was told of the same lately.
    Lately,
    /// The account or the session is gone: there is nothing to tell.
    Gone,
}

/// A sign-in that ends with the notice of it.
#[derive(Clone, Copy, Debug)]
pub struct Instead<'a> {
    /// The token of its session.
    pub token: &'a [u8],
    /// The step at which it must still be.
    pub step: &'a str,
}

impl Store {
    /// Keeps a notice until it is sent; the account has `most` at most. With `seldom`, the word for its kind and the time since when
    /// another one of the kind keeps it from being told; with `instead`, it is kept only if that sign-in ends by it.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn post_notice(
        &self,
        notice: &NoticeRecord,
        most: u32,
        seldom: Option<(&str, Timestamp)>,
        instead: Option<Instead<'_>>,
    ) -> Result<Posted, StoreError> {
        in_transaction!(self, |connection| {
            let lock = sqlx::query(LOCK_ACCOUNT).bind(notice.account).execute(&mut *connection);
            if lock.await?.rows_affected() == 0 {
                return Ok(Posted::Gone);
            }
            if let Some(Instead { token, step }) = instead {
                let ended = sqlx::query_scalar::<_, PortalSessionId>(END_SESSION).bind(token).bind(step);
                if ended.fetch_optional(&mut *connection).await?.is_none() {
                    return Ok(Posted::Gone);
                }
            }
            let again = match seldom {
                None => true,
                Some((kind, since)) => {
                    let told = sqlx::query_scalar::<_, AccountId>(TELL_AGAIN).bind(notice.account).bind(kind);
                    let told = told.bind(notice.made_at).bind(since).fetch_optional(&mut *connection);
                    told.await?.is_some()
                }
            };
            if again {
                sqlx::query(INSERT)
                    .bind(notice.id)
                    .bind(notice.account)
                    .bind(&notice.address)
                    .bind(&notice.notice)
                    .bind(notice.made_at)
                    .bind(notice.due_at)
                    .bind(notice.attempts)
                    .bind(&notice.mac)
                    .execute(&mut *connection)
                    .await?;
                let dropped = sqlx::query_as(DROP_OLDEST_OF).bind(notice.account).bind(i64::from(most));
                Posted::Waiting(dropped.fetch_all(&mut *connection).await?)
            } else {
                Posted::Lately
            }
        })
    }

    /// Which may be taken now, the one that is due for longest first; `most` at most.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn due_notices(&self, now: Timestamp, most: u32) -> Result<Vec<NoticeId>, StoreError> {
        on_pool!(self, |pool| {
            sqlx::query_scalar(DUE).bind(now).bind(i64::from(most)).fetch_all(pool).await?
        })
    }

    /// Takes one to send it, if it is still due; nobody else can until `until`.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn take_notice(
        &self,
        id: NoticeId,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Option<NoticeRecord>, StoreError> {
        on_pool!(self, |pool| {
            sqlx::query_as(TAKE).bind(id).bind(now).bind(until).fetch_optional(pool).await?
        })
    }

    /// It was not sent, and may be taken again at `at`; nothing happens if somebody else has taken it since.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn put_off_notice(&self, taken: &NoticeRecord, at: Timestamp) -> Result<(), StoreError> {
        on_pool!(self, |pool| {
            sqlx::query(PUT_OFF).bind(taken.id).bind(taken.attempts).bind(at).execute(pool).await?;
        })
    }

    /// It was sent, or never will be.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn forget_notice(&self, id: NoticeId) -> Result<(), StoreError> {
        on_pool!(self, |pool| {
            sqlx::query(DELETE).bind(id).execute(pool).await?;
        })
    }

    /// Forgets those that were written before `before`, and all but the youngest `most`; what they were. Each is told to one caller.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn give_up_notices(
        &self,
        before: Timestamp,
        most: u32,
    ) -> Result<(Vec<NoticeRecord>, Vec<NoticeRecord>), StoreError> {
        on_pool!(self, |pool| {
            let old = sqlx::query_as(GIVE_UP).bind(before).fetch_all(pool).await?;
            let many = sqlx::query_as(DROP_OLDEST).bind(i64::from(most)).fetch_all(pool).await?;
            (old, many)
        })
    }

    /// What waits for the account, oldest first.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn waiting_notices(&self, account: AccountId) -> Result<Vec<NoticeRecord>, StoreError> {
        on_pool!(self, |pool| sqlx::query_as(WAITING).bind(account).fetch_all(pool).await?)
    }

    /// Portal sessions that have been at `step` since `before`; `most` at most.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn unfinished_sign_ins(
        &self,
        step: &str,
        before: Timestamp,
        most: u32,
    ) -> Result<Vec<PortalSessionRecord>, StoreError> {
        on_pool!(self, |pool| {
            let unfinished = sqlx::query_as(UNFINISHED).bind(step).bind(before).bind(i64::from(most));
            unfinished.fetch_all(pool).await?
        })
    }
}
