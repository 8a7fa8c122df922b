//! Browsers that are signed in, for administrators: listed over all accounts, signed out at once.
//!
//! A browser's session is its row: without it nobody is signed in there, on whichever node asks next. What was trusted stays so;
//! whoever has the mailbox password, and the second factor or a trusted browser, may sign in again.

use std::sync::Arc;

use super::session::is_in;
use crate::audit::{AuditError, Author, Event};
use crate::base::{Clock, PortalSessionId};
use crate::store::{AccountRecord, PortalSessionRecord, Store, StoreError};

/// Lists them and signs them out; needs no portal in this process.
pub struct SignedIn {
    store: Store,
    clock: Arc<dyn Clock>,
}

/// Why a browser is not signed out, or not as it should be.
#[derive(Debug, thiserror::Error)]
pub enum SignOutError {
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It is signed out, but the trail could not be written.
    #[error("the browser is signed out, but it could not be recorded who did that")]
    Unrecorded(#[from] AuditError),
}

impl SignedIn {
    /// Those whose rows are in `store`.
    #[must_use]
    pub fn new(store: Store, clock: Arc<dyn Clock>) -> Self {
        Self { store, clock }
    }

    /// Of one account, or of all by their addresses; of each the one that was used last first.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn list(
        &self,
        of: Option<&AccountRecord>,
    ) -> Result<Vec<(AccountRecord, PortalSessionRecord)>, StoreError> {
        let accounts = match of {
            Some(account) => vec![account.clone()],
            None => self.store.accounts_with_portal_sessions().await?,
        };
        let now = self.clock.now();
        let mut listed = Vec::new();
        for account in accounts {
            let sessions = self.store.portal_sessions(account.id).await?;
            let sessions = sessions.into_iter().filter(|session| is_in(session, now));
            listed.extend(sessions.map(|session| (account.clone(), session)));
        }
        Ok(listed)
    }

    /// Signs a browser of `account` out; `false` where it has no such session.
    ///
    /// # Errors
    /// [`SignOutError`]
    pub async fn sign_out(
        &self,
        account: &AccountRecord,
        id: PortalSessionId,
        by: &Author<'_>,
    ) -> Result<bool, SignOutError> {
        sign_out(&self.store, account, id, by).await
    }

    /// Signs every browser of `account` out that is in; how many that were. A sign-in that is under way ends by itself, and its
    /// owner is told of a right password without a second factor.
    ///
    /// # Errors
    /// [`SignOutError`]; then some of them may be out, and doing it again is safe.
    pub async fn sign_all_out(&self, account: &AccountRecord, by: &Author<'_>) -> Result<u32, SignOutError> {
        let mut out = 0;
        for (_, session) in self.list(Some(account)).await? {
            out += u32::from(self.sign_out(account, session.id, by).await?);
        }
        Ok(out)
    }
}

/// The same, for whoever has the database and no such service.
pub(super) async fn sign_out(
    store: &Store,
    account: &AccountRecord,
    id: PortalSessionId,
    by: &Author<'_>,
) -> Result<bool, SignOutError> {
    if !store.end_portal_session_of(account.id, id).await? {
        return Ok(false);
    }
    let account = account.address.to_string();
    by.record(|by| Event::PortalSessionEnded { account, id, by }).await?;
    Ok(true)
}
