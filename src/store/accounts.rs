//! `accounts`: who is known, and the tombstones of who was.

use std::sync::LazyLock;

use super::clients_seen::{FORGET_CLIENTS, SEE_CLIENT, SEE_CLIENT_SEVERAL};
use super::known_browsers::FORGET_BROWSERS_OF;
use super::several::{Together, several};
use super::{AccountRecord, AccountState, Added, Standing, Store, StoreError, Use};
use super::{in_transaction, name_statements, on_pool};
use crate::base::{AccountId, Address, Timestamp, UpstreamName, random};

macro_rules! columns {
    () => {
        "id, address, upstream, bound_upstream, state, must_bind, created_at, last_login_at"
    };
}

macro_rules! standing {
    () => {
        concat!(
            "SELECT ",
            columns!(),
            ", (SELECT COUNT(*) FROM factors WHERE factors.account = accounts.id) AS bound_factors FROM accounts "
        )
    };
}

name_statements! {
    STANDING = concat!(standing!(), "WHERE address = $1");
    STANDING_OF = concat!(standing!(), "WHERE id = $1");
    LIST = concat!(standing!(), "WHERE state <> 'removed' ORDER BY address");
    SIGNED_IN = concat!(
        "SELECT ",
        columns!(),
        " FROM accounts WHERE id IN (SELECT account FROM portal_sessions) ORDER BY address"
    );
    /// Also locks a row that is there already, so that [`BY_ADDRESS`] finds what this found.
    ADD_OR_REVIVE = concat!(
        "INSERT INTO accounts (id, address, upstream, state, must_bind, created_at) \
         VALUES ($1, $2, $3, 'active', FALSE, $4) \
         ON CONFLICT (address) DO UPDATE SET state = 'active', upstream = excluded.upstream \
         WHERE accounts.state = 'removed' RETURNING ",
        columns!()
    );
    BY_ADDRESS = concat!("SELECT ", columns!(), " FROM accounts WHERE address = $1");
    SET_STATE = "UPDATE accounts SET state = $2 WHERE id = $1 AND state <> 'removed'";
    /// Changes nothing, but whoever else wants to change this account, its factors or its app passwords waits.
    LOCK = "UPDATE accounts SET state = state WHERE id = $1 AND state <> 'removed'";
    SET_BOUND = "UPDATE accounts SET bound_upstream = $2 WHERE id = $1 AND state <> 'removed'";
    BOUND = "SELECT DISTINCT bound_upstream FROM accounts WHERE bound_upstream IS NOT NULL";
    BURY = "UPDATE accounts SET state = 'removed', last_login_at = NULL, bound_upstream = NULL, \
            must_bind = (must_bind OR EXISTS (SELECT 1 FROM factors WHERE factors.account = accounts.id)) \
            WHERE id = $1";
    DELETE_FACTORS = "DELETE FROM factors WHERE account = $1";
    DELETE_APP_PASSWORDS = "DELETE FROM app_passwords WHERE account = $1";
    /// Also where there is a later login: what follows must find the account's row locked.
    RECORD_LOGIN = "UPDATE accounts SET last_login_at = CASE WHEN last_login_at > $2 THEN last_login_at ELSE $2 END \
                    WHERE id = $1 AND state <> 'removed'";
    RECORD_USE = "UPDATE app_passwords SET last_used_at = $3, last_used_address = $4, last_used_program = $5 \
                  WHERE account = $1 AND id = $2 AND (last_used_at <= $3 OR last_used_at IS NULL)";
}

static RECORD_LOGIN_SEVERAL: LazyLock<[Together; 1]> = LazyLock::new(|| [several(RECORD_LOGIN)]);
static RECORD_USE_SEVERAL: LazyLock<[Together; 1]> = LazyLock::new(|| [several(RECORD_USE)]);

/// For the other files: the statement with which a change to an account's belongings begins. It touches no row
/// where the account is gone.
pub(super) const LOCK_ACCOUNT: &str = LOCK;

impl Store {
    /// The account of `address` and its number of bound factors, in one read. A removed account is returned
    /// too, as a tombstone (`state == Removed`).
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn standing(&self, address: &Address) -> Result<Option<Standing>, StoreError> {
        on_pool!(self, |pool| sqlx::query_as(STANDING).bind(address.as_str()).fetch_optional(pool).await?)
    }

    /// The same of an account whose key is known.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn standing_of(&self, account: AccountId) -> Result<Option<Standing>, StoreError> {
        on_pool!(self, |pool| sqlx::query_as(STANDING_OF).bind(account).fetch_optional(pool).await?)
    }

    /// Adds the account, or brings a tombstone back (keeping its `must_bind`); an existing one is returned as it is.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn add_account(
        &self,
        address: &Address,
        upstream: &UpstreamName,
        at: Timestamp,
    ) -> Result<(AccountRecord, Added), StoreError> {
        let id = AccountId(random::uuid(at));
        in_transaction!(self, |connection| {
            let written: Option<AccountRecord> = sqlx::query_as(ADD_OR_REVIVE)
                .bind(id)
                .bind(address.as_str())
                .bind(upstream)
                .bind(at)
                .fetch_optional(&mut *connection)
                .await?;
            match written {
                Some(account) if account.id == id => (account, Added::New),
                Some(account) => (account, Added::Revived),
                None => {
                    let there = sqlx::query_as(BY_ADDRESS).bind(address.as_str()).fetch_one(&mut *connection);
                    (there.await?, Added::Existing)
                }
            }
        })
    }

    /// All accounts but tombstones, by address, with their number of bound factors.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn accounts(&self) -> Result<Vec<Standing>, StoreError> {
        on_pool!(self, |pool| sqlx::query_as(LIST).fetch_all(pool).await?)
    }

    /// Those in whose name a browser is signed in to the portal, or on its way, by address.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn accounts_with_portal_sessions(&self) -> Result<Vec<AccountRecord>, StoreError> {
        on_pool!(self, |pool| sqlx::query_as(SIGNED_IN).fetch_all(pool).await?)
    }

    /// Suspends or resumes; `false` where there is no such account (or a tombstone). To remove one there is
    /// [`Store::remove_account`]; asked for here, it does nothing and is `false`.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn set_account_state(
        &self,
        account: AccountId,
        state: AccountState,
    ) -> Result<bool, StoreError> {
        if state == AccountState::Removed {
            return Ok(false);
        }
        on_pool!(self, |pool| {
            sqlx::query(SET_STATE).bind(account).bind(state.as_str()).execute(pool).await?.rows_affected()
                == 1
        })
    }

    /// Binds the account to an upstream, or to none; `false` where there is no such account (or a tombstone).
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn set_bound_upstream(
        &self,
        account: AccountId,
        upstream: Option<&UpstreamName>,
    ) -> Result<bool, StoreError> {
        on_pool!(self, |pool| {
            sqlx::query(SET_BOUND).bind(account).bind(upstream).execute(pool).await?.rows_affected() == 1
        })
    }

    /// The upstreams that accounts are bound to.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn bound_upstreams(&self) -> Result<Vec<UpstreamName>, StoreError> {
        on_pool!(self, |pool| sqlx::query_scalar(BOUND).fetch_all(pool).await?)
    }

    /// Leaves a tombstone: factors and app passwords go, and what is known of its mail clients; `must_bind` is set if a
    /// factor was bound. `false` where there is no such account, or a tombstone already.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn remove_account(&self, account: AccountId) -> Result<bool, StoreError> {
        in_transaction!(self, |connection| {
            // First alone, so that BURY looks for factors when nobody can be binding one.
            if sqlx::query(LOCK_ACCOUNT).bind(account).execute(&mut *connection).await?.rows_affected() == 0 {
                return Ok(false);
            }
            for statement in [BURY, DELETE_FACTORS, DELETE_APP_PASSWORDS, FORGET_CLIENTS, FORGET_BROWSERS_OF]
            {
                sqlx::query(statement).bind(account).execute(&mut *connection).await?;
            }
            true
        })
    }

    /// Writes down last uses, in one transaction, and which clients used the mailbox password; for display only, the
    /// trail has the truth.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn record_uses(&self, uses: &[Use]) -> Result<(), StoreError> {
        // Always in the same order, so that two nodes never wait for each other's rows in a circle.
        let mut uses: Vec<&Use> = uses.iter().collect();
        uses.sort_by_key(|one| (one.account, one.app_password, one.at));
        let (by_app_password, mut by_mailbox_password): (Vec<&Use>, Vec<&Use>) =
            uses.iter().partition(|one| one.app_password.is_some());
        by_mailbox_password.sort_by_key(|one| (one.account, one.client()));
        in_transaction!(self, |connection| {
            for (statement, uses) in self.portions(&uses, RECORD_LOGIN, &*RECORD_LOGIN_SEVERAL) {
                let mut record = sqlx::query(statement);
                for one in uses {
                    record = record.bind(one.account).bind(one.at);
                }
                record.execute(&mut *connection).await?;
            }
            for (statement, uses) in self.portions(&by_app_password, RECORD_USE, &*RECORD_USE_SEVERAL) {
                let mut record = sqlx::query(statement);
                for one in uses {
                    record = record
                        .bind(one.account)
                        .bind(one.app_password)
                        .bind(one.at)
                        .bind(&one.address)
                        .bind(one.program.as_deref().map(storable));
                }
                record.execute(&mut *connection).await?;
            }
            for (statement, uses) in self.portions(&by_mailbox_password, SEE_CLIENT, &*SEE_CLIENT_SEVERAL) {
                let mut record = sqlx::query(statement);
                for one in uses {
                    record = record.bind(one.account).bind(storable(one.client())).bind(one.at);
                }
                record.execute(&mut *connection).await?;
            }
        })
    }
}

/// A client may call itself anything; PostgreSQL's text cannot hold NUL (SQLite's can).
fn storable(program: &str) -> String {
    program.replace('\0', "\u{fffd}")
}
