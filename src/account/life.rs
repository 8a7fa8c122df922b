//! Accounts appear, are suspended and resumed, and leave a tombstone.
//!
//! Callers are trusted code acting for an [`Author`]; addresses come folded. A change is durable, then
//! recorded, then reported. Where it cannot be recorded, what opens a door is taken back, what closes one
//! stands.

use std::sync::Arc;

use super::Located;
use crate::audit::{AuditError, Author, Event};
use crate::base::{Address, Clock, UpstreamName};
use crate::store::{AccountRecord, AccountState, Added, Standing, Store, StoreError};

/// Adds, shows and changes accounts.
pub struct Accounts {
    store: Store,
    clock: Arc<dyn Clock>,
}

/// At which upstream an account was and is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bound {
    /// Whether anything was changed; it may be at the same upstream all the same.
    pub changed: bool,
    /// Before.
    pub from: UpstreamName,
    /// Now.
    pub to: UpstreamName,
}

/// Why an account was not changed, or not as it should be.
#[derive(Debug, thiserror::Error)]
pub enum AccountError {
    /// There is no such account, or it was removed.
    #[error("there is no account `{0}`")]
    NotFound(Address),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The trail could not be written, so the change was taken back.
    #[error("nothing was changed, because it could not be recorded")]
    Undone(#[source] AuditError),
    /// It is done, but the trail could not be written.
    #[error("done, but it could not be recorded")]
    Unrecorded(#[source] AuditError),
}

impl Accounts {
    /// The accounts in `store`.
    #[must_use]
    pub fn new(store: Store, clock: Arc<dyn Clock>) -> Self {
        Self { store, clock }
    }

    /// Adds the account, or brings a removed one back; one that is there is returned as it is, and nothing
    /// is recorded.
    ///
    /// # Errors
    /// [`AccountError::Undone`]; then a tombstone is left.
    pub async fn add(
        &self,
        located: &Located,
        by: &Author<'_>,
    ) -> Result<(AccountRecord, Added), AccountError> {
        let (account, added) =
            self.store.add_account(&located.address, &located.upstream, self.clock.now()).await?;
        match added {
            Added::Existing => return Ok((account, added)),
            Added::New | Added::Revived => {}
        }
        let recorded = by.record(|by| Event::AccountAdded { account: account.address.to_string(), by });
        if let Err(unrecorded) = recorded.await {
            self.store.remove_account(account.id).await?;
            return Err(AccountError::Undone(unrecorded));
        }
        Ok((account, added))
    }

    /// Keeps it out until [`Accounts::resume`]; `false` if it was suspended already. Its sessions end within a
    /// second.
    ///
    /// # Errors
    /// [`AccountError`]
    pub async fn suspend(&self, address: &Address, by: &Author<'_>) -> Result<bool, AccountError> {
        let account = self.show(address).await?.account;
        if account.state == AccountState::Suspended {
            return Ok(false);
        }
        self.set_state(&account, AccountState::Suspended).await?;
        by.record(|by| Event::AccountSuspended { account: account.address.to_string(), by })
            .await
            .map_err(AccountError::Unrecorded)?;
        Ok(true)
    }

    /// Lets it in again; `false` if it was not suspended.
    ///
    /// # Errors
    /// [`AccountError`]
    pub async fn resume(&self, address: &Address, by: &Author<'_>) -> Result<bool, AccountError> {
        let account = self.show(address).await?.account;
        if account.state == AccountState::Active {
            return Ok(false);
        }
        self.set_state(&account, AccountState::Active).await?;
        let recorded = by.record(|by| Event::AccountResumed { account: account.address.to_string(), by });
        if let Err(unrecorded) = recorded.await {
            self.set_state(&account, AccountState::Suspended).await?;
            return Err(AccountError::Undone(unrecorded));
        }
        Ok(true)
    }

    /// Binds the account of `home`, where its domain leads, to an upstream, or to none: then it is at `home` again. At
    /// which upstream it was and is; the same, and nothing is recorded, if nothing was changed. Its sessions at another
    /// end within a second. The caller knows that the upstream can have it ([`super::Directory::at`]).
    ///
    /// # Errors
    /// [`AccountError`]
    pub async fn bind_to_upstream(
        &self,
        home: &Located,
        upstream: Option<&UpstreamName>,
        by: &Author<'_>,
    ) -> Result<Bound, AccountError> {
        let account = self.show(&home.address).await?.account;
        let before = account.bound_upstream.as_ref();
        let at = |bound: Option<&UpstreamName>| bound.unwrap_or(&home.upstream).clone();
        let bound = Bound { changed: before != upstream, from: at(before), to: at(upstream) };
        if !bound.changed {
            return Ok(bound);
        }
        self.set_bound(&account, upstream).await?;
        let recorded = by.record(|by| Event::AccountUpstreamChanged {
            account: account.address.to_string(),
            from: bound.from.clone(),
            to: bound.to.clone(),
            bound: upstream.is_some(),
            by,
        });
        if let Err(unrecorded) = recorded.await {
            self.set_bound(&account, before).await?;
            return Err(AccountError::Undone(unrecorded));
        }
        Ok(bound)
    }

    /// Removes it with its factors and app passwords; returns it as it was. A tombstone stays: an account
    /// that had a factor must bind one when it comes back.
    ///
    /// # Errors
    /// [`AccountError`]
    pub async fn remove(&self, address: &Address, by: &Author<'_>) -> Result<Standing, AccountError> {
        let standing = self.show(address).await?;
        if !self.store.remove_account(standing.account.id).await? {
            return Err(AccountError::NotFound(address.clone()));
        }
        by.record(|by| Event::AccountRemoved { account: standing.account.address.to_string(), by })
            .await
            .map_err(AccountError::Unrecorded)?;
        Ok(standing)
    }

    /// All accounts, by address.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn list(&self) -> Result<Vec<Standing>, StoreError> {
        self.store.accounts().await
    }

    /// One account. A tombstone is not found.
    ///
    /// # Errors
    /// [`AccountError::NotFound`], [`AccountError::Store`]
    pub async fn show(&self, address: &Address) -> Result<Standing, AccountError> {
        let standing = self.store.standing(address).await?;
        standing
            .filter(|standing| standing.account.state != AccountState::Removed)
            .ok_or_else(|| AccountError::NotFound(address.clone()))
    }

    async fn set_bound(
        &self,
        account: &AccountRecord,
        upstream: Option<&UpstreamName>,
    ) -> Result<(), AccountError> {
        if self.store.set_bound_upstream(account.id, upstream).await? {
            Ok(())
        } else {
            Err(AccountError::NotFound(account.address.clone()))
        }
    }

    async fn set_state(&self, account: &AccountRecord, state: AccountState) -> Result<(), AccountError> {
        if self.store.set_account_state(account.id, state).await? {
            Ok(())
        } else {
            Err(AccountError::NotFound(account.address.clone()))
        }
    }
}
