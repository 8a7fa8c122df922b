//! App passwords: sixteen symbols, shown once; four find the row, twelve prove it.
//!
//! Nothing stored opens a mailbox: the sealed mailbox password needs the app password itself.

use std::sync::Arc;

use crate::base::{
    AccountId, AppPasswordId, Clock, NetworkList, Password, ProtocolSet, Secret, SiteKey, Timestamp,
    UpstreamName,
};
use crate::store::{AccountRecord, AppPasswordRecord, Store, StoreError};

/// Makes, proves, lists and revokes app passwords.
pub struct AppPasswords {}

/// What a new app password may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope {
    /// Which protocols.
    pub protocols: ProtocolSet,
    /// From where; empty: anywhere.
    pub networks: NetworkList,
    /// Until when.
    pub expires_at: Option<Timestamp>,
}

/// A presented password that has the form of an app password: sixteen symbols of the alphabet once blanks
/// and hyphens are dropped and case is folded.
pub struct Candidate {
    #[expect(dead_code, reason = "signatures first; bodies follow")]
    folded: Secret,
}

/// A fresh app password; its text is shown once and kept nowhere.
pub struct Created {
    /// Key of the row.
    pub id: AppPasswordId,
    /// First group.
    pub label: String,
    /// Four groups of four, separated by blanks: `abcd efgh jkmn pqrs`.
    pub printed: Secret,
}

/// Proof that a candidate belongs to a row; opens what is sealed to it.
pub struct Proven {}

/// Why none was made.
#[derive(Debug, thiserror::Error)]
pub enum CreateError {
    /// The account has as many as policy allows.
    #[error("the account has {0} app passwords already, as many as policy allows")]
    LimitReached(u32),
    /// The account vanished meanwhile.
    #[error("the account is gone")]
    NoAccount,
    /// Argon2 has more to do than it can queue.
    #[error(transparent)]
    Busy(#[from] Busy),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The argon2 workers' queue is full: nothing was decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the password workers are busy")]
pub struct Busy;

/// Why a row cannot be used although it was found: somebody changed it, or it belongs elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Tampered {
    /// Its MAC is wrong.
    #[error("the row's MAC does not match its content")]
    Mac,
    /// The sealed password does not open with the key it should be sealed to.
    #[error("the sealed mailbox password does not open")]
    Seal,
    /// Nothing is sealed in it, although the upstream needs it.
    #[error("no mailbox password is sealed to it")]
    NothingSealed,
}

#[expect(clippy::unimplemented, unused_variables, reason = "signatures first; bodies follow")]
impl Candidate {
    /// `None` for whatever cannot be an app password.
    #[must_use]
    pub fn parse(presented: &Password) -> Option<Self> {
        unimplemented!()
    }
    /// The first group, as stored.
    #[must_use]
    pub fn label(&self) -> &str {
        unimplemented!()
    }
}

#[expect(clippy::unimplemented, unused_variables, reason = "signatures first; bodies follow")]
impl AppPasswords {
    /// With argon2 on a bounded pool of its own.
    #[must_use]
    pub fn new(store: Store, key: Arc<SiteKey>, clock: Arc<dyn Clock>) -> Self {
        unimplemented!()
    }
    /// Makes one; `mailbox` is sealed to it where given. Returned only when its row is durable.
    ///
    /// # Errors
    /// [`CreateError`]
    pub async fn create(
        &self,
        account: &AccountRecord,
        name: &str,
        scope: &Scope,
        mailbox: Option<&Password>,
        limit: u32,
    ) -> Result<Created, CreateError> {
        unimplemented!()
    }
    /// Proves `candidate` against `row`: `Ok(None)` when it is another password.
    ///
    /// # Errors
    /// [`Busy`]
    pub async fn prove(
        &self,
        row: &AppPasswordRecord,
        candidate: &Candidate,
    ) -> Result<Option<Proven>, Busy> {
        unimplemented!()
    }
    /// The scope a row carries.
    ///
    /// # Errors
    /// [`Tampered`] when the row's MAC or content is wrong.
    pub fn scope(&self, row: &AppPasswordRecord) -> Result<Scope, Tampered> {
        unimplemented!()
    }
    /// Opens the mailbox password sealed in `row`.
    ///
    /// # Errors
    /// [`Tampered`]
    pub fn open(&self, row: &AppPasswordRecord, proven: &Proven) -> Result<Password, Tampered> {
        unimplemented!()
    }
    /// Seals a changed mailbox password to every app password of the account; needs no app password.
    /// Rows whose MAC is wrong are left alone and returned.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn reseal(
        &self,
        account: AccountId,
        upstream: &UpstreamName,
        mailbox: &Password,
    ) -> Result<Vec<AppPasswordId>, StoreError> {
        unimplemented!()
    }
}
