//! App passwords: sixteen symbols, shown once; four find the row, twelve prove it.
//!
//! ```text
//!   abcd efgh ijkm npqr ── argon2id, salt of the row ──▶ 64 bytes
//!   └┬─┘ label: finds                                   ├─ 32: SHA-256 of them is in the row: proves
//!    └── the row, shown in lists                        └─ 32: seed an X25519 key pair: opens
//!                                                               its public key is in the row: seals
//! ```
//!
//! What is presented is hostile, what the database says is believed only under its MAC (`row.rs`). Nothing
//! stored opens a mailbox: the sealed mailbox password needs the app password itself (`vault.rs`), and that is
//! never stored, logged or recorded. An older seal that somebody puts back together with its MAC and version
//! opens, and gives a mailbox password that the upstream takes no more.

mod candidate;
mod create;
mod kdf;
mod rename;
mod reseal;
mod revoke;
mod row;
mod stale;
mod vault;
mod workers;

use std::sync::Arc;

use crate::base::{
    Access, AccountId, ClientAddress, Clock, NetworkList, Password, Protocol, ProtocolSet, SiteKey,
    Timestamp, UpstreamName,
};
use crate::store::{AppPasswordRecord, Store, StoreError};

pub use candidate::{Candidate, GROUP, SYMBOLS};
pub use create::{CreateError, Created};
pub use rename::RenameError;
pub use reseal::{LeftAlone, ResealError, Resealed, WhyLeftAlone};
pub use revoke::RevokeError;
pub use stale::Probe;
pub use workers::Argon2Figures;

/// Makes, proves, lists and revokes app passwords.
pub struct AppPasswords {
    store: Store,
    key: Arc<SiteKey>,
    clock: Arc<dyn Clock>,
    workers: workers::Workers,
}

/// What a new app password may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope {
    /// Which protocols.
    pub protocols: ProtocolSet,
    /// From where; empty: anywhere.
    pub networks: NetworkList,
    /// How much of the mailbox.
    pub access: Access,
    /// Until when.
    pub expires_at: Option<Timestamp>,
}

/// Why a scope does not cover a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outside {
    /// It has expired.
    Expired,
    /// It is for other protocols.
    Protocol,
    /// It is for other networks.
    Network,
}

impl Scope {
    /// Why this does not cover a client that speaks `protocol` from there, if it does not.
    #[must_use]
    pub fn excludes(&self, protocol: Protocol, client: ClientAddress, now: Timestamp) -> Option<Outside> {
        if self.is_over(now) {
            Some(Outside::Expired)
        } else if !self.covers(protocol) {
            Some(Outside::Protocol)
        } else if !self.networks.is_empty() && !self.networks.contains(client) {
            Some(Outside::Network)
        } else {
            None
        }
    }

    /// Whether it is for `protocol` at all. What may only read is not for sending mail, whatever it names.
    #[must_use]
    pub fn covers(&self, protocol: Protocol) -> bool {
        let reads = match protocol {
            Protocol::Imap | Protocol::Pop3 => true,
            Protocol::Smtp => false,
        };
        let allowed = match self.access {
            Access::Full => true,
            Access::ReadOnly => reads,
        };
        allowed && self.protocols.contains(protocol)
    }

    /// The protocols that it is for.
    pub fn covered(&self) -> impl Iterator<Item = Protocol> {
        Protocol::ALL.into_iter().filter(|protocol| self.covers(*protocol))
    }

    /// Whether it has expired.
    #[must_use]
    pub fn is_over(&self, now: Timestamp) -> bool {
        self.expires_at.is_some_and(|end| now >= end)
    }
}

/// A mailbox password that its upstream took.
#[derive(Clone, Copy)]
pub struct ProvenMailbox<'a> {
    /// The password.
    pub password: &'a Password,
    /// Who took it.
    pub upstream: &'a UpstreamName,
    /// When the upstream was asked. What is sealed with the same moment holds the same password.
    pub at: Timestamp,
}

/// Proof that a candidate belongs to a row; opens what is sealed to it.
pub struct Proven {
    private_key: vault::PrivateKey,
}

/// The argon2 workers' queue is full: nothing was decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the password workers are busy")]
pub struct Busy;

/// Why nobody can say whether a candidate is right.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Undecided {
    /// See [`Busy`].
    #[error(transparent)]
    Busy(#[from] Busy),
    /// The row is nothing to compare with.
    #[error(transparent)]
    Tampered(#[from] Tampered),
}

/// Why a row cannot be used although it was found: somebody changed it, or it belongs elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Tampered {
    /// Its MAC is wrong.
    #[error("the row's MAC does not match its content")]
    Mac,
    /// Its MAC is right, but this version of the program cannot read it.
    #[error("the row was written by a later version")]
    Unreadable,
    /// The sealed password does not open with the key it should be sealed to.
    #[error("the sealed mailbox password does not open")]
    Seal,
    /// Nothing is sealed in it, although the upstream needs it.
    #[error("no mailbox password is sealed to it")]
    NothingSealed,
}

impl AppPasswords {
    /// What its argon2 threads have to do.
    #[must_use]
    pub fn argon2(&self) -> Argon2Figures {
        self.workers.figures()
    }

    /// With argon2 on a bounded pool of its own.
    #[must_use]
    pub fn new(store: Store, key: Arc<SiteKey>, clock: Arc<dyn Clock>) -> Self {
        Self { store, key, clock, workers: workers::Workers::start() }
    }

    /// The account's app passwords, oldest first. Their MACs are not checked: [`AppPasswords::scope`] does.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn list(&self, account: AccountId) -> Result<Vec<AppPasswordRecord>, StoreError> {
        self.store.app_passwords(account).await
    }

    /// Proves `candidate` against `row`: `Ok(None)` when it is another password.
    ///
    /// A row whose MAC is wrong costs no argon2. Dropping the future takes the work back, if it has not begun.
    ///
    /// # Errors
    /// [`Undecided`]; never for a candidate that is wrong.
    pub async fn prove(
        &self,
        row: &AppPasswordRecord,
        candidate: &Candidate,
    ) -> Result<Option<Proven>, Undecided> {
        row::check(&self.key, row)?;
        if row.label != candidate.label() {
            return Ok(None);
        }
        let kdf = kdf::Kdf::parse(&row.kdf).ok_or(Tampered::Unreadable)?;
        let stretched = self.workers.stretch(kdf, candidate).await?;
        Ok(stretched.proves(&row.proof).then(|| Proven { private_key: stretched.key_pair().0 }))
    }

    /// The scope a row carries.
    ///
    /// # Errors
    /// [`Tampered`] when the row's MAC or content is wrong.
    pub fn scope(&self, row: &AppPasswordRecord) -> Result<Scope, Tampered> {
        row::check(&self.key, row)?;
        row::scope(row)
    }

    /// Opens the mailbox password sealed in `row`. It belongs to `row.upstream`, and must be sent to no other.
    ///
    /// # Errors
    /// [`Tampered`]
    pub fn open(&self, row: &AppPasswordRecord, proven: &Proven) -> Result<Password, Tampered> {
        row::check(&self.key, row)?;
        let sealed = row.sealed.as_deref().ok_or(Tampered::NothingSealed)?;
        vault::open(&proven.private_key, sealed, row::binding(row)).ok_or(Tampered::Seal)
    }
}

#[cfg(test)]
impl AppPasswords {
    /// `row` as it would be with another scope.
    pub(crate) fn rescoped(&self, row: &AppPasswordRecord, scope: &Scope) -> AppPasswordRecord {
        let mut row = AppPasswordRecord {
            protocols: scope.protocols.to_string(),
            networks: scope.networks.to_string(),
            access: scope.access.to_string(),
            expires_at: scope.expires_at,
            ..row.clone()
        };
        row.mac = row::mac(&self.key, &row).to_vec();
        row
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::base::{AppPasswordId, ManualClock};
    use crate::store::Opened;

    #[tokio::test]
    async fn only_a_row_with_the_label_and_a_right_mac_is_worth_argon2() {
        let key = Arc::new(SiteKey::from_bytes([7; 32]));
        let app_passwords = AppPasswords {
            store: Store::Sqlite(
                sqlx::SqlitePool::connect_lazy("sqlite::memory:").unwrap(),
                Opened::default(),
            ),
            key: Arc::clone(&key),
            clock: Arc::new(ManualClock::default()),
            // Whatever is asked of these workers is `Busy`.
            workers: workers::Workers::with(0, 1),
        };
        let candidate = Candidate::draw();
        let mut row = AppPasswordRecord {
            id: AppPasswordId(Uuid::from_u128(2)),
            account: AccountId(Uuid::from_u128(1)),
            label: candidate.label().to_owned(),
            name: "Foxmail".into(),
            kdf: kdf::Kdf::fresh().to_string(),
            proof: vec![0; 32],
            public_key: vec![0; 32],
            sealed: None,
            sealed_version: 0,
            upstream: UpstreamName("legacy".into()),
            protocols: "imap".into(),
            networks: String::new(),
            access: "full".into(),
            expires_at: None,
            created_at: Timestamp::from_unix_seconds(0),
            last_used_at: None,
            last_used_address: None,
            last_used_program: None,
            mac: vec![],
            sealed_at: None,
            stale_since: None,
            probes: 0,
            next_probe_at: None,
        };
        row.mac = row::mac(&key, &row).to_vec();
        assert_eq!(app_passwords.prove(&row, &candidate).await.err(), Some(Undecided::Busy(Busy)));
        let changed = AppPasswordRecord { name: "iPhone".into(), ..row.clone() };
        let refused = app_passwords.prove(&changed, &candidate).await.err();
        assert_eq!(refused, Some(Undecided::Tampered(Tampered::Mac)));
        let mut later = AppPasswordRecord { kdf: row.kdf.replace("m=19456", "m=4194304"), ..row.clone() };
        later.mac = row::mac(&key, &later).to_vec();
        let refused = app_passwords.prove(&later, &candidate).await.err();
        assert_eq!(refused, Some(Undecided::Tampered(Tampered::Unreadable)), "not a wrong password");
        row.label = Candidate::draw().label().to_owned();
        row.mac = row::mac(&key, &row).to_vec();
        assert!(matches!(app_passwords.prove(&row, &candidate).await, Ok(None)));
    }
}
