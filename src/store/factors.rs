//! `factors`: what is bound to accounts, and which one-time codes were used.

use super::accounts::LOCK_ACCOUNT;
use super::recovery_codes::FORGET_CODES;
use super::{FactorInserted, FactorRecord, Store, StoreError, Unbound};
use super::{in_transaction, name_statements, on_pool};
use crate::base::{AccountId, FactorId, Timestamp};

macro_rules! columns {
    () => {
        "id, account, kind, name, detail, secret, bound_at, last_step, last_used_at"
    };
}

name_statements! {
    INSERT = concat!("INSERT INTO factors (", columns!(), ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)");
    BOUND = "UPDATE accounts SET must_bind = FALSE WHERE id = $1";
    LIST = concat!("SELECT ", columns!(), " FROM factors WHERE account = $1 ORDER BY bound_at, id");
    DELETE = concat!("DELETE FROM factors WHERE account = $1 AND (kind = $2 OR $2 IS NULL) \
         AND (id = $3 OR $3 IS NULL) RETURNING ", columns!());
    DELETE_ONE = "DELETE FROM factors WHERE account = $1 AND id = $2";
    UNBOUND_AGAIN = "UPDATE accounts SET must_bind = $2 \
                     WHERE id = $1 AND NOT EXISTS (SELECT 1 FROM factors WHERE factors.account = accounts.id)";
    RENAME = "UPDATE factors SET name = $3 WHERE account = $1 AND id = $2 RETURNING kind";
    COUNT = "SELECT COUNT(*) FROM factors WHERE account = $1";
    DELETE_APP_PASSWORDS = "DELETE FROM app_passwords WHERE account = $1";
    CLAIM_STEP = "UPDATE factors SET last_step = $2, last_used_at = $3 \
                  WHERE id = $1 AND (last_step < $2 OR last_step IS NULL) RETURNING id";
    USED = "UPDATE factors SET last_used_at = $2 WHERE id = $1 AND last_step IS NULL RETURNING id";
}

/// For the other files: how many factors an account has.
pub(super) const COUNT_FACTORS: &str = COUNT;

/// The parameters of [`INSERT`], on either database.
macro_rules! bind_factor {
    ($factor:expr) => {
        sqlx::query(INSERT)
            .bind($factor.id)
            .bind($factor.account)
            .bind(&$factor.kind)
            .bind(&$factor.name)
            .bind(&$factor.detail)
            .bind(&$factor.secret)
            .bind($factor.bound_at)
            .bind($factor.last_step)
            .bind($factor.last_used_at)
    };
}

impl Store {
    /// Binds a factor, unless the account has `most` already; clears `must_bind`.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn insert_factor(
        &self,
        factor: &FactorRecord,
        most: u32,
    ) -> Result<FactorInserted, StoreError> {
        in_transaction!(self, |connection| {
            let lock = sqlx::query(LOCK_ACCOUNT).bind(factor.account).execute(&mut *connection);
            if lock.await?.rows_affected() == 0 {
                return Ok(FactorInserted::NoAccount);
            }
            let count = sqlx::query_scalar::<_, i64>(COUNT).bind(factor.account);
            if count.fetch_one(&mut *connection).await? >= i64::from(most) {
                return Ok(FactorInserted::LimitReached);
            }
            bind_factor!(factor).execute(&mut *connection).await?;
            sqlx::query(BOUND).bind(factor.account).execute(&mut *connection).await?;
            FactorInserted::Done
        })
    }

    /// Binds `new` in the place of the account's factor `old` of the same kind, which is returned: nobody finds both, or
    /// neither. `None`, and nothing is changed, where there is no such factor.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn replace_factor(
        &self,
        new: &FactorRecord,
        old: FactorId,
    ) -> Result<Option<FactorRecord>, StoreError> {
        in_transaction!(self, |connection| {
            sqlx::query(LOCK_ACCOUNT).bind(new.account).execute(&mut *connection).await?;
            let delete = sqlx::query_as(DELETE).bind(new.account).bind(Some(&new.kind)).bind(Some(old));
            let gone: Option<FactorRecord> = delete.fetch_optional(&mut *connection).await?;
            if gone.is_none() {
                return Ok(None);
            }
            bind_factor!(new).execute(&mut *connection).await?;
            gone
        })
    }

    /// Takes back a factor that was only just bound, as if it had never been: where no other one is bound,
    /// `must_bind`, which is what it was before, holds again.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn take_back_factor(&self, factor: &FactorRecord, must_bind: bool) -> Result<(), StoreError> {
        in_transaction!(self, |connection| {
            sqlx::query(LOCK_ACCOUNT).bind(factor.account).execute(&mut *connection).await?;
            sqlx::query(DELETE_ONE).bind(factor.account).bind(factor.id).execute(&mut *connection).await?;
            sqlx::query(UNBOUND_AGAIN).bind(factor.account).bind(must_bind).execute(&mut *connection).await?;
        })
    }

    /// The account's factors, oldest first.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn factors(&self, account: AccountId) -> Result<Vec<FactorRecord>, StoreError> {
        on_pool!(self, |pool| sqlx::query_as(LIST).bind(account).fetch_all(pool).await?)
    }

    /// Gives one of the account's factors another name: of which kind it is. `None` where there is none with `id`.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn rename_factor(
        &self,
        account: AccountId,
        id: FactorId,
        name: &str,
    ) -> Result<Option<String>, StoreError> {
        on_pool!(self, |pool| {
            sqlx::query_scalar(RENAME).bind(account).bind(id).bind(name).fetch_optional(pool).await?
        })
    }

    /// Unbinds the account's factors (of `kind`, the one with `id`, or all); with `revoke_app_passwords`, and if that took the last
    /// one, its app passwords go in the same transaction. Recovery codes go with the last one in any case. With
    /// `keep_one` nothing goes where that would take the last one. Returns what went.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn unbind_factors(
        &self,
        account: AccountId,
        (kind, id): (Option<&str>, Option<FactorId>),
        (revoke_app_passwords, keep_one): (bool, bool),
    ) -> Result<Unbound, StoreError> {
        in_transaction!(self, |connection| {
            sqlx::query(LOCK_ACCOUNT).bind(account).execute(&mut *connection).await?;
            let mut factors: Vec<FactorRecord> =
                sqlx::query_as(DELETE).bind(account).bind(kind).bind(id).fetch_all(&mut *connection).await?;
            factors.sort_by_key(|factor| (factor.bound_at, factor.id));
            let left: i64 = sqlx::query_scalar(COUNT).bind(account).fetch_one(&mut *connection).await?;
            if left == 0 && keep_one {
                return Ok(Unbound::default());
            }
            if left == 0 {
                sqlx::query(FORGET_CODES).bind(account).execute(&mut *connection).await?;
            }
            let app_passwords = if revoke_app_passwords && left == 0 && !factors.is_empty() {
                let delete = sqlx::query(DELETE_APP_PASSWORDS).bind(account).execute(&mut *connection);
                delete.await?.rows_affected()
            } else {
                0
            };
            Unbound { factors, app_passwords }
        })
    }

    /// Marks step `step` (of a one-time password, of a counter) as used, if it is later than every step used before: one conditional UPDATE,
    /// so that of many at once exactly one is told `true`.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn claim_factor_step(
        &self,
        factor: FactorId,
        step: i64,
        at: Timestamp,
    ) -> Result<bool, StoreError> {
        on_pool!(self, |pool| {
            let claim = sqlx::query_scalar::<_, FactorId>(CLAIM_STEP).bind(factor).bind(step).bind(at);
            claim.fetch_optional(pool).await?.is_some()
        })
    }

    /// It was used, in a way that leaves no step behind; `false` where it is not bound any more, or left steps behind before.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn factor_used(&self, factor: FactorId, at: Timestamp) -> Result<bool, StoreError> {
        on_pool!(self, |pool| {
            let used = sqlx::query_scalar::<_, FactorId>(USED).bind(factor).bind(at);
            used.fetch_optional(pool).await?.is_some()
        })
    }
}
