//! `clients_seen`: which mail clients an account let in with its mailbox password. Written with last uses
//! ([`Store::record_uses`]), for display only: the trail has the truth. What a client calls itself is hostile.

use std::sync::LazyLock;

use super::several::{Together, several};
use super::{Store, StoreError};
use super::{name_statements, on_pool};
use crate::base::{AccountId, Timestamp};

name_statements! {
    /// Of an account that is gone nothing is kept. A trigger makes room for a client that is new.
    SEE = "INSERT INTO clients_seen (account, client, seen_at) \
           SELECT id, $2, $3 FROM accounts WHERE id = $1 AND state <> 'removed' \
           ON CONFLICT (account, client) DO UPDATE SET seen_at = excluded.seen_at \
           WHERE clients_seen.seen_at < excluded.seen_at";
    /// A use of an app password by what calls itself the same, later, says that this client has one.
    WITHOUT_APP_PASSWORD = "SELECT client FROM clients_seen WHERE account = $1 AND seen_at >= $2 AND NOT EXISTS \
                            (SELECT 1 FROM app_passwords WHERE app_passwords.account = $1 \
                             AND COALESCE(last_used_program, last_used_address) = clients_seen.client \
                             AND last_used_at > clients_seen.seen_at) \
                            ORDER BY client";
    FORGET_ACCOUNT = "DELETE FROM clients_seen WHERE account = $1";
    PRUNE = "DELETE FROM clients_seen WHERE seen_at < $1";
}

/// For whoever writes last uses: one client, under the account's lock.
pub(super) const SEE_CLIENT: &str = SEE;

/// The same for several at a time.
pub(super) static SEE_CLIENT_SEVERAL: LazyLock<[Together; 1]> = LazyLock::new(|| [several(SEE)]);

/// For whoever removes an account: all of its clients.
pub(super) const FORGET_CLIENTS: &str = FORGET_ACCOUNT;

impl Store {
    /// Clients that got in with the account's mailbox password, `since` then the last time, and with no app password
    /// after that; in the order of their bytes.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn clients_without_app_password(
        &self,
        account: AccountId,
        since: Timestamp,
    ) -> Result<Vec<String>, StoreError> {
        on_pool!(self, |pool| {
            sqlx::query_scalar(WITHOUT_APP_PASSWORD).bind(account).bind(since).fetch_all(pool).await?
        })
    }

    /// Forgets those that were seen the last time before `before`.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn prune_clients_seen(&self, before: Timestamp) -> Result<u64, StoreError> {
        on_pool!(self, |pool| sqlx::query(PRUNE).bind(before).execute(pool).await?.rows_affected())
    }
}
