//! `app_passwords`: rows that prove an app password and hold what is sealed to it.

use super::accounts::LOCK_ACCOUNT;
use super::{AppPasswordRecord, Found, Inserted, Store, StoreError};
use super::{in_transaction, name_statements, on_pool};
use crate::base::{AccountId, Address, AppPasswordId};

macro_rules! columns {
    () => {
        "id, account, label, name, kdf, proof, public_key, sealed, sealed_version, upstream, protocols, networks, \
         expires_at, created_at, last_used_at, last_used_address, last_used_program, mac, sealed_at, access"
    };
    (with staleness) => {
        concat!(columns!(), ", stale_since, probes, next_probe_at")
    };
}

name_statements! {
    COUNT = "SELECT COUNT(*) FROM app_passwords WHERE account = $1";
    INSERT = concat!(
        "INSERT INTO app_passwords (",
        columns!(),
        ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20) \
         ON CONFLICT (account, label) DO NOTHING"
    );
    BY_LABEL = concat!("SELECT ", columns!(with staleness), " FROM app_passwords WHERE account = $1 AND label = $2");
    /// The account first, alone, so that its columns have names of their own.
    FIND = concat!(
        "SELECT account_id, account_address, account_upstream, account_bound_upstream, account_state, \
         account_must_bind, account_created_at, \
         account_last_login_at, \
         (SELECT COUNT(*) FROM factors WHERE factors.account = account_id) AS bound_factors, ",
        columns!(with staleness),
        " FROM (SELECT id AS account_id, address AS account_address, upstream AS account_upstream, \
         bound_upstream AS account_bound_upstream, \
         state AS account_state, must_bind AS account_must_bind, created_at AS account_created_at, \
         last_login_at AS account_last_login_at FROM accounts WHERE address = $1) AS found \
         LEFT JOIN app_passwords ON account = account_id AND label = $2"
    );
    LIST = concat!("SELECT ", columns!(with staleness), " FROM app_passwords WHERE account = $1 ORDER BY created_at, id");
    DELETE = "DELETE FROM app_passwords WHERE account = $1 AND id = $2";
    DELETE_ALL = "DELETE FROM app_passwords WHERE account = $1";
    RENAME = "UPDATE app_passwords SET name = $3, mac = $4 WHERE id = $1 AND mac = $2 RETURNING id";
    RESEAL = "UPDATE app_passwords SET sealed = $3, mac = $4, upstream = $5, sealed_at = $6, \
              sealed_version = sealed_version + 1, stale_since = NULL, probes = 0, next_probe_at = NULL \
              WHERE id = $1 AND sealed_version = $2 RETURNING id";
}

impl Store {
    /// Adds one, unless the account has `limit` already or its label is taken; decided in one transaction.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn insert_app_password(
        &self,
        row: &AppPasswordRecord,
        limit: u32,
    ) -> Result<Inserted, StoreError> {
        in_transaction!(self, |connection| {
            let lock = sqlx::query(LOCK_ACCOUNT).bind(row.account).execute(&mut *connection);
            if lock.await?.rows_affected() == 0 {
                return Ok(Inserted::NoAccount);
            }
            let count: i64 = sqlx::query_scalar(COUNT).bind(row.account).fetch_one(&mut *connection).await?;
            if count >= i64::from(limit) {
                return Ok(Inserted::LimitReached);
            }
            let inserted = sqlx::query(INSERT)
                .bind(row.id)
                .bind(row.account)
                .bind(&row.label)
                .bind(&row.name)
                .bind(&row.kdf)
                .bind(&row.proof)
                .bind(&row.public_key)
                .bind(&row.sealed)
                .bind(row.sealed_version)
                .bind(&row.upstream)
                .bind(&row.protocols)
                .bind(&row.networks)
                .bind(row.expires_at)
                .bind(row.created_at)
                .bind(row.last_used_at)
                .bind(&row.last_used_address)
                .bind(&row.last_used_program)
                .bind(&row.mac)
                .bind(row.sealed_at)
                .bind(&row.access)
                .execute(&mut *connection)
                .await?;
            if inserted.rows_affected() == 0 {
                return Ok(Inserted::LabelTaken);
            }
            Inserted::Done
        })
    }

    /// The one with this label.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn app_password_by_label(
        &self,
        account: AccountId,
        label: &str,
    ) -> Result<Option<AppPasswordRecord>, StoreError> {
        on_pool!(self, |pool| sqlx::query_as(BY_LABEL).bind(account).bind(label).fetch_optional(pool).await?)
    }

    /// The account of `address`, as [`Store::standing`] has it, and its app password with this label, in one read.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn find(&self, address: &Address, label: &str) -> Result<Option<Found>, StoreError> {
        on_pool!(self, |pool| sqlx::query_as(FIND)
            .bind(address.as_str())
            .bind(label)
            .fetch_optional(pool)
            .await?)
    }

    /// The account's, oldest first.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn app_passwords(&self, account: AccountId) -> Result<Vec<AppPasswordRecord>, StoreError> {
        on_pool!(self, |pool| sqlx::query_as(LIST).bind(account).fetch_all(pool).await?)
    }

    /// Writes the name of `next`, which is the row as it will be, in the place of the one with `mac`. `false` if it is
    /// another by now.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn rename_app_password(
        &self,
        mac: &[u8],
        next: &AppPasswordRecord,
    ) -> Result<bool, StoreError> {
        on_pool!(self, |pool| {
            let rename = sqlx::query_scalar::<_, AppPasswordId>(RENAME)
                .bind(next.id)
                .bind(mac)
                .bind(&next.name)
                .bind(&next.mac);
            rename.fetch_optional(pool).await?.is_some()
        })
    }

    /// Deletes one; `false` where there is none.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn delete_app_password(
        &self,
        account: AccountId,
        id: AppPasswordId,
    ) -> Result<bool, StoreError> {
        on_pool!(self, |pool| sqlx::query(DELETE).bind(account).bind(id).execute(pool).await?.rows_affected()
            == 1)
    }

    /// Deletes all; how many.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn delete_app_passwords(&self, account: AccountId) -> Result<u64, StoreError> {
        in_transaction!(self, |connection| {
            // Whoever else touches several of its rows would otherwise do so in another order.
            sqlx::query(LOCK_ACCOUNT).bind(account).execute(&mut *connection).await?;
            sqlx::query(DELETE_ALL).bind(account).execute(&mut *connection).await?.rows_affected()
        })
    }

    /// Writes the seal of `next`, which is the row as it will be: one version on, with its MAC. Whatever was known of
    /// the one before it is forgotten. `false` if the row has another version by now.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn reseal_app_password(&self, next: &AppPasswordRecord) -> Result<bool, StoreError> {
        on_pool!(self, |pool| {
            let reseal = sqlx::query_scalar::<_, AppPasswordId>(RESEAL)
                .bind(next.id)
                .bind(next.sealed_version - 1)
                .bind(&next.sealed)
                .bind(&next.mac)
                .bind(&next.upstream)
                .bind(next.sealed_at);
            reseal.fetch_optional(pool).await?.is_some()
        })
    }
}
