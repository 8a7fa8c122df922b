//! The audit trail: one durable, hash-chained record for every attempt, session end and change.
//!
//! Whoever appends is told only after the record is on disk. Names that belong to no account are never
//! recorded in clear: people type passwords into name fields.

pub mod author;
pub mod event;

use std::sync::Arc;

use crate::base::{Clock, SiteKey};
use crate::config;
use crate::store::Store;
pub use author::Author;
pub use event::Event;

/// The writing end of this process's chain. Cheap to clone.
#[derive(Clone)]
pub struct Audit {}

/// Why a record was not written.
#[derive(Debug, Clone, thiserror::Error)]
pub enum AuditError {
    /// Writing or syncing the file failed.
    #[error("the audit trail in `{directory}` cannot be written: {reason}")]
    Write {
        /// Where.
        directory: String,
        /// What the system said.
        reason: String,
    },
    /// The writer is gone.
    #[error("the audit trail is closed")]
    Closed,
}

#[expect(clippy::unimplemented, unused_variables, reason = "signatures first; bodies follow")]
impl Audit {
    /// Starts a chain and a file of this process's own.
    ///
    /// # Errors
    /// [`AuditError`] when the directory or file cannot be made.
    pub async fn open(
        settings: &config::Audit,
        store: Store,
        key: Arc<SiteKey>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, AuditError> {
        unimplemented!()
    }
    /// Appends one record; returns when it is durable (records of the moment share one sync).
    ///
    /// # Errors
    /// [`AuditError`]; then the record is not in the trail.
    pub async fn append(&self, event: Event) -> Result<(), AuditError> {
        unimplemented!()
    }
    /// Ends the chain: everything is written, head and index included.
    pub async fn close(&self) {
        unimplemented!()
    }
}
