//! `trusted_devices`: browsers in which an account needs no second factor for a while. Triggers withdraw the trust when
//! the account's factors change.

use sqlx::FromRow;

use super::accounts::LOCK_ACCOUNT;
use super::{Store, StoreError};
use super::{in_transaction, name_statements, on_pool};
use crate::base::{AccountId, DeviceId, Timestamp};

macro_rules! columns {
    () => {
        "id, account, token, browser, address, trusted_at, expires_at, last_used_at, mac"
    };
}

name_statements! {
    TRUST = concat!(
        "INSERT INTO trusted_devices (",
        columns!(),
        ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (account, token) DO UPDATE \
         SET id = excluded.id, browser = excluded.browser, address = excluded.address, \
         trusted_at = excluded.trusted_at, expires_at = excluded.expires_at, \
         last_used_at = excluded.last_used_at, mac = excluded.mac"
    );
    FIND = concat!("SELECT ", columns!(), " FROM trusted_devices WHERE account = $1 AND token = $2");
    USED = "UPDATE trusted_devices SET last_used_at = $3 WHERE account = $1 AND id = $2";
    LIST = concat!("SELECT ", columns!(), " FROM trusted_devices WHERE account = $1 ORDER BY last_used_at DESC, id");
    WITHDRAW = "DELETE FROM trusted_devices WHERE account = $1 AND id = $2";
    WITHDRAW_ALL = "DELETE FROM trusted_devices WHERE account = $1";
    PRUNE = "DELETE FROM trusted_devices WHERE expires_at <= $1";
}

/// A row of `trusted_devices`.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct TrustedDeviceRecord {
    /// Key.
    pub id: DeviceId,
    /// Whose; unique together with `token`.
    pub account: AccountId,
    /// SHA-256 of what the browser holds.
    pub token: Vec<u8>,
    /// What the browser says it is.
    pub browser: Option<String>,
    /// From where it was trusted.
    pub address: String,
    /// When.
    pub trusted_at: Timestamp,
    /// Until when.
    pub expires_at: Timestamp,
    /// When it last spared a second factor.
    pub last_used_at: Timestamp,
    /// MAC under the site key over what opens something.
    pub mac: Vec<u8>,
}

impl Store {
    /// Trusts a browser, or trusts it again; `false` where the account is gone.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn trust_device(&self, device: &TrustedDeviceRecord) -> Result<bool, StoreError> {
        in_transaction!(self, |connection| {
            let lock = sqlx::query(LOCK_ACCOUNT).bind(device.account).execute(&mut *connection);
            if lock.await?.rows_affected() == 0 {
                return Ok(false);
            }
            sqlx::query(TRUST)
                .bind(device.id)
                .bind(device.account)
                .bind(&device.token)
                .bind(&device.browser)
                .bind(&device.address)
                .bind(device.trusted_at)
                .bind(device.expires_at)
                .bind(device.last_used_at)
                .bind(&device.mac)
                .execute(&mut *connection)
                .await?;
            true
        })
    }

    /// The account's trust in the browser with this token, whatever its time.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn trusted_device(
        &self,
        account: AccountId,
        token: &[u8],
    ) -> Result<Option<TrustedDeviceRecord>, StoreError> {
        on_pool!(self, |pool| sqlx::query_as(FIND).bind(account).bind(token).fetch_optional(pool).await?)
    }

    /// It spared a second factor.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn trusted_device_used(
        &self,
        account: AccountId,
        id: DeviceId,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        on_pool!(self, |pool| {
            sqlx::query(USED).bind(account).bind(id).bind(at).execute(pool).await?;
        })
    }

    /// The account's, the one that was used last first.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn trusted_devices(&self, account: AccountId) -> Result<Vec<TrustedDeviceRecord>, StoreError> {
        on_pool!(self, |pool| sqlx::query_as(LIST).bind(account).fetch_all(pool).await?)
    }

    /// Withdraws the trust in one of the account's; `false` where there is none.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn withdraw_device(&self, account: AccountId, id: DeviceId) -> Result<bool, StoreError> {
        on_pool!(self, |pool| {
            sqlx::query(WITHDRAW).bind(account).bind(id).execute(pool).await?.rows_affected() == 1
        })
    }

    /// Withdraws the trust in all of the account's; how many.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn withdraw_devices(&self, account: AccountId) -> Result<u64, StoreError> {
        in_transaction!(self, |connection| {
            sqlx::query(LOCK_ACCOUNT).bind(account).execute(&mut *connection).await?;
            sqlx::query(WITHDRAW_ALL).bind(account).execute(&mut *connection).await?.rows_affected()
        })
    }

    /// Forgets those whose time is over.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn prune_trusted_devices(&self, now: Timestamp) -> Result<u64, StoreError> {
        on_pool!(self, |pool| sqlx::query(PRUNE).bind(now).execute(pool).await?.rows_affected())
    }
}
