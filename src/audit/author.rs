//! Who changes something, together with the trail that will say so.
//!
//! Every service that changes what the gate decides by takes one of these, so that no caller, be it the command
//! line or a later web console, can change anything and forget to record it. The order is always: the row is
//! durable, then the record is durable, then the caller is told.

use super::event::Actor;
use super::{Audit, AuditError, Event};

/// Somebody who changes something, and where it is recorded.
#[derive(Clone)]
pub struct Author<'a> {
    audit: &'a Audit,
    actor: Actor,
}

impl<'a> Author<'a> {
    /// `actor`, whose changes are recorded in `audit`.
    #[must_use]
    pub fn new(audit: &'a Audit, actor: Actor) -> Self {
        Self { audit, actor }
    }

    /// Who it is.
    pub(crate) fn actor(&self) -> &Actor {
        &self.actor
    }

    /// Records a change that this actor made; returns when the record is durable.
    ///
    /// # Errors
    /// [`AuditError`]; then the record is not in the trail.
    pub(crate) async fn record(&self, event: impl FnOnce(Actor) -> Event) -> Result<(), AuditError> {
        self.audit.append(event(self.actor.clone())).await
    }
}
