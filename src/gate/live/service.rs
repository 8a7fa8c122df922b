//! Live sessions for people: listed over all nodes, ended wherever they are.
//!
//! A list is about a second late. Asking for an end is durable when it returns, and carried out by the node that has
//! the session; the caller looks whether it is gone.

use super::Cause;
use crate::audit::{AuditError, Author, Event};
use crate::base::{AccountId, SessionId};
use crate::store::{LiveSessionRecord, Store, StoreError};

/// Lists and ends sessions; needs no running gate in this process.
pub struct LiveSessions {
    store: Store,
}

/// Why a session was not asked to end, or not as it should be.
#[derive(Debug, thiserror::Error)]
pub enum EndError {
    /// No node has it.
    #[error("there is no live session `{0}`")]
    NotFound(SessionId),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It ends, but the trail could not be written.
    #[error("the session ends, but it could not be recorded who ended it")]
    Unrecorded(#[from] AuditError),
}

impl LiveSessions {
    /// Those that are listed in `store`.
    #[must_use]
    pub fn new(store: Store) -> Self {
        Self { store }
    }

    /// Of one account, or all; the longest first.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn list(&self, account: Option<AccountId>) -> Result<Vec<LiveSessionRecord>, StoreError> {
        self.store.live_sessions(account).await
    }

    /// Whether it is still listed.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn is_live(&self, id: SessionId) -> Result<bool, StoreError> {
        Ok(self.store.live_session(id).await?.is_some())
    }

    /// Asks the node that has it to end it; returns it as it was.
    ///
    /// # Errors
    /// [`EndError`]
    pub async fn end(&self, id: SessionId, by: &Author<'_>) -> Result<LiveSessionRecord, EndError> {
        let session = self.store.live_session(id).await?.ok_or(EndError::NotFound(id))?;
        self.store.ask_to_end_session(session.account, id, Cause::asked_by(by.actor()).as_str()).await?;
        let account = session.address.clone();
        by.record(|by| Event::SessionEndAsked { account, session: id, by }).await?;
        Ok(session)
    }
}
