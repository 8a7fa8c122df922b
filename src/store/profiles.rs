//! `profiles`: what a phone is about to fetch to set itself up, once. They go with their app password, and by trigger when
//! their account is suspended or removed.

use sqlx::FromRow;

use super::accounts::LOCK_ACCOUNT;
use super::{Store, StoreError};
use super::{in_transaction, name_statements, on_pool};
use crate::base::{AccountId, AppPasswordId, Timestamp};

macro_rules! columns {
    () => {
        "id, account, app_password, made_at, expires_at, sealed"
    };
}

name_statements! {
    /// Of an app password that is gone nothing is kept, and nothing fails.
    INSERT = concat!(
        "INSERT INTO profiles (",
        columns!(),
        ") SELECT $1, $2, id, $4, $5, $6 FROM app_passwords WHERE id = $3 AND account = $2"
    );
    /// The oldest make room.
    CROWDED_OUT = "DELETE FROM profiles WHERE account = $1 AND id NOT IN \
                   (SELECT id FROM profiles WHERE account = $1 ORDER BY made_at DESC, id LIMIT $2)";
    BY_ID = concat!("SELECT ", columns!(), " FROM profiles WHERE id = $1 AND expires_at > $2");
    /// Of many at once one takes it.
    TAKE = concat!("DELETE FROM profiles WHERE id = $1 AND expires_at > $2 RETURNING ", columns!());
    PRUNE = "DELETE FROM profiles WHERE expires_at <= $1";
}

/// A row of `profiles`.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct ProfileRecord {
    /// SHA-256 of what its link holds.
    pub id: Vec<u8>,
    /// Whose.
    pub account: AccountId,
    /// What is in it; gone with that.
    pub app_password: AppPasswordId,
    /// When its link was shown.
    pub made_at: Timestamp,
    /// From when on it leads nowhere.
    pub expires_at: Timestamp,
    /// The app password's text, under a key that follows from the link.
    pub sealed: Vec<u8>,
}

impl Store {
    /// Keeps one, and of its account's the `at_most` youngest; `false`, and nothing is kept, where its account or app
    /// password is gone.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn keep_profile(&self, profile: &ProfileRecord, at_most: u32) -> Result<bool, StoreError> {
        in_transaction!(self, |connection| {
            let lock = sqlx::query(LOCK_ACCOUNT).bind(profile.account).execute(&mut *connection);
            if lock.await?.rows_affected() == 0 {
                return Ok(false);
            }
            let kept = sqlx::query(INSERT)
                .bind(&profile.id)
                .bind(profile.account)
                .bind(profile.app_password)
                .bind(profile.made_at)
                .bind(profile.expires_at)
                .bind(&profile.sealed)
                .execute(&mut *connection)
                .await?;
            if kept.rows_affected() == 0 {
                return Ok(false);
            }
            let crowded_out = sqlx::query(CROWDED_OUT).bind(profile.account).bind(i64::from(at_most));
            crowded_out.execute(&mut *connection).await?;
            true
        })
    }

    /// The one with this id, if its time is not over; it stays.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn profile(&self, id: &[u8], now: Timestamp) -> Result<Option<ProfileRecord>, StoreError> {
        on_pool!(self, |pool| sqlx::query_as(BY_ID).bind(id).bind(now).fetch_optional(pool).await?)
    }

    /// Takes the one with this id out, if its time is not over: of many at once exactly one gets it.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn take_profile(&self, id: &[u8], now: Timestamp) -> Result<Option<ProfileRecord>, StoreError> {
        on_pool!(self, |pool| sqlx::query_as(TAKE).bind(id).bind(now).fetch_optional(pool).await?)
    }

    /// Forgets those whose time is over.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn prune_profiles(&self, now: Timestamp) -> Result<u64, StoreError> {
        on_pool!(self, |pool| sqlx::query(PRUNE).bind(now).execute(pool).await?.rows_affected())
    }
}
