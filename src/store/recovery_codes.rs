//! `recovery_codes`: for whoever has lost what a second factor needs. Each is good once.

use super::accounts::LOCK_ACCOUNT;
use super::{Store, StoreError};
use super::{in_transaction, name_statements, on_pool};
use crate::base::{AccountId, Timestamp};

name_statements! {
    FORGET = "DELETE FROM recovery_codes WHERE account = $1";
    INSERT = "INSERT INTO recovery_codes (account, mac, made_at) VALUES ($1, $2, $3)";
    USE = "UPDATE recovery_codes SET used_at = $3 WHERE account = $1 AND mac = $2 AND used_at IS NULL RETURNING account";
    LEFT = "SELECT COUNT(*) FROM recovery_codes WHERE account = $1 AND used_at IS NULL";
}

/// For the other files: the first factor of an account ends what older codes were good for.
pub(super) const FORGET_CODES: &str = FORGET;

impl Store {
    /// Puts these in the place of all that the account has; `false` where it is gone.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn replace_recovery_codes(
        &self,
        account: AccountId,
        macs: &[[u8; 32]],
        at: Timestamp,
    ) -> Result<bool, StoreError> {
        in_transaction!(self, |connection| {
            let lock = sqlx::query(LOCK_ACCOUNT).bind(account).execute(&mut *connection);
            if lock.await?.rows_affected() == 0 {
                return Ok(false);
            }
            sqlx::query(FORGET).bind(account).execute(&mut *connection).await?;
            for mac in macs {
                sqlx::query(INSERT).bind(account).bind(&mac[..]).bind(at).execute(&mut *connection).await?;
            }
            true
        })
    }

    /// Uses one up, if it is there and unused: one conditional UPDATE, so that of many at once exactly one is told
    /// `true`.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn use_recovery_code(
        &self,
        account: AccountId,
        mac: &[u8; 32],
        at: Timestamp,
    ) -> Result<bool, StoreError> {
        on_pool!(self, |pool| {
            let used = sqlx::query_scalar::<_, AccountId>(USE).bind(account).bind(&mac[..]).bind(at);
            used.fetch_optional(pool).await?.is_some()
        })
    }

    /// How many are left.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn recovery_codes_left(&self, account: AccountId) -> Result<u32, StoreError> {
        let count: i64 =
            on_pool!(self, |pool| sqlx::query_scalar(LEFT).bind(account).fetch_one(pool).await?)?;
        Ok(u32::try_from(count).unwrap_or_default())
    }
}
