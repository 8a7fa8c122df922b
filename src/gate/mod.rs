//! The gate: from an attempt to a decision.
//!
//! ```text
//!   Attempt ──judge──▶ Refuse(Refused) | Admit(Grant)
//!                                          │ the proxy logs in upstream with it
//!                                          ▼
//!                              conclude(Grant, UpstreamSaid) ──▶ Refuse(Refused) | Passage ──▶ relay
//! ```
//!
//! A [`Grant`] is the only thing that logs in upstream for a client, and a [`Passage`] the only key to a
//! relay; only this module makes them. Each attempt leaves exactly one audit record, written before the
//! answer is given.

mod cells;
mod limiter;
mod outage;
mod policy;
mod proof_cache;
mod timing;
mod turns;

use std::time::Duration;

use crate::base::{Address, ClientAddress, Protocol, SessionId, UpstreamName};
use crate::protocol::{Credentials, Refusal, UpstreamLogin};

/// Where an attempt comes from.
#[derive(Clone, Debug)]
pub struct Origin {
    /// The connection.
    pub session: SessionId,
    /// What is spoken.
    pub protocol: Protocol,
    /// From where.
    pub client: ClientAddress,
}

/// What the gate decided before anything was sent upstream.
pub enum Decision {
    /// Log in upstream with this, then [`Authenticator::conclude`].
    Admit(Box<Grant>),
    /// Say no.
    Refuse(Refused),
}

/// A recorded no.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused {
    /// What to say.
    pub refusal: Refusal,
    /// The least time between the attempt's arrival and the answer, so that all look alike.
    pub not_before: Duration,
}

/// Leave to log in upstream for one attempt. Not to be duplicated, and given up by `conclude`.
pub struct Grant {}

/// What the upstream said to a grant.
pub enum UpstreamSaid {
    /// Yes.
    Yes,
    /// A definite no.
    No,
    /// Neither.
    Unavailable {
        /// Passed on where the protocol has a code for it ([`Refusal::InUse`], [`Refusal::LoginDelay`]),
        /// else [`Refusal::Unavailable`].
        refusal: Refusal,
        /// For log and audit; no secret.
        reason: String,
        /// Whether any byte of the password went out: then an unproven one counts as a failure.
        credential_sent: bool,
    },
}

/// How an attempt ended after the upstream answered.
pub enum Conclusion {
    /// The client is in.
    Pass(Box<Passage>),
    /// Say no, and discard the upstream connection.
    Refuse(Refused),
}

/// Proof of admission: the only key to a relay. Holds a place among the account's sessions.
pub struct Passage {}

/// Judges attempts.
pub struct Authenticator {}

#[expect(clippy::unimplemented, unused_variables, reason = "signatures first; bodies follow")]
impl Grant {
    /// Which upstream.
    #[must_use]
    pub fn upstream(&self) -> &UpstreamName {
        unimplemented!()
    }
    /// The name and password to log in with; taken once.
    #[must_use]
    pub fn take_login(&mut self) -> UpstreamLogin {
        unimplemented!()
    }
}

#[expect(clippy::unimplemented, unused_variables, reason = "signatures first; bodies follow")]
impl Passage {
    /// Whose session it is.
    #[must_use]
    pub fn account(&self) -> &Address {
        unimplemented!()
    }
}

/// How a relayed session ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionSummary {
    /// How long it was relayed.
    pub duration: Duration,
    /// Bytes from the client to the upstream.
    pub bytes_from_client: u64,
    /// Bytes from the upstream to the client.
    pub bytes_to_client: u64,
    /// `client_closed`, `upstream_closed`, `idle`, `drained`, `error`.
    pub reason: &'static str,
}

#[expect(clippy::unimplemented, unused_variables, reason = "signatures first; bodies follow")]
impl Authenticator {
    /// Judges one attempt; what it refuses is recorded already.
    pub async fn judge(&self, origin: &Origin, credentials: Credentials) -> Decision {
        unimplemented!()
    }
    /// Takes the upstream's answer; the outcome is recorded before this returns.
    pub async fn conclude(&self, grant: Box<Grant>, said: UpstreamSaid) -> Conclusion {
        unimplemented!()
    }
    /// Records the end of a session.
    pub async fn session_ended(&self, passage: Box<Passage>, summary: SessionSummary) {
        unimplemented!()
    }
}
