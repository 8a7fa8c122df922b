//! What passes between the gate and whoever talks to the upstream.

use std::time::Duration;

use super::attempt::OpenAttempt;
use super::passage::Passage;
use super::reach::Reach;
use super::rules::Reading;
use super::stale::Sent;
use crate::base::{
    Access, AccountId, AppPasswordId, ClientAddress, Protocol, SessionId, Timestamp, UpstreamName,
};
use crate::protocol::{Refusal, UpstreamLogin};

/// Where an attempt comes from.
#[derive(Clone, Debug)]
pub struct Origin {
    /// The connection.
    pub session: SessionId,
    /// What is spoken.
    pub protocol: Protocol,
    /// From where.
    pub client: ClientAddress,
    /// Where its names may lead.
    pub reach: Reach,
    /// The reading of the configuration that says so, and how to get there.
    pub reading: Reading,
}

/// What the gate decided before anything was sent upstream.
pub enum Decision {
    /// Log in upstream with this, then [`Authenticator::conclude`](super::Authenticator::conclude).
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

/// Leave to log in upstream for one attempt. Not to be duplicated, and given up by
/// [`Authenticator::conclude`](super::Authenticator::conclude).
///
/// Dropping it instead (the client left) ends the attempt as undecided; if a password that nobody has proven may
/// have been sent by then, it counts as a failure.
#[must_use]
pub struct Grant {
    pub(super) attempt: OpenAttempt,
    pub(super) upstream: UpstreamName,
    pub(super) login: UpstreamLogin,
    pub(super) basis: Basis,
}

/// What a grant rests on.
pub(super) enum Basis {
    /// A proven app password.
    AppPassword {
        account: AccountId,
        app_password: AppPasswordId,
        /// How much of the mailbox it opens.
        access: Access,
        /// When it ends, if it does.
        expires_at: Option<Timestamp>,
        /// The sealed mailbox password that the upstream hears; `None`: it hears the master's.
        sealed: Option<Sent>,
    },
    /// The upstream is to say.
    MailboxPassword,
}

impl Grant {
    /// Which upstream.
    #[must_use]
    pub fn upstream(&self) -> &UpstreamName {
        &self.upstream
    }

    /// Whether nothing is left to be found out or written down after `said`, but that the client is let in.
    pub(super) fn is_settled_by(&self, said: &UpstreamSaid) -> bool {
        match (&self.basis, said) {
            (Basis::AppPassword { sealed, .. }, UpstreamSaid::Yes) => {
                sealed.as_ref().is_none_or(|sent| sent.probe.is_none())
            }
            (Basis::AppPassword { .. } | Basis::MailboxPassword, _) => false,
        }
    }

    /// The name and password to log in with, once: from now on the password counts as sent.
    #[must_use]
    pub fn take_login(&mut self) -> UpstreamLogin {
        self.attempt.at_stake = matches!(self.basis, Basis::MailboxPassword);
        self.login.duplicate()
    }
}

/// What the upstream said to a grant.
#[derive(Debug)]
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
        /// Whom it concerns.
        concerns: Concerns,
    },
}

/// Whom it concerns that an upstream said neither yes nor no.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Concerns {
    /// All who ask: the server cannot be asked.
    Everybody,
    /// This mailbox, as far as one answer tells.
    Mailbox,
    /// Nobody else: the client's own time was over.
    Client,
}

/// How an attempt ended after the upstream answered.
pub enum Conclusion {
    /// The client is in.
    Pass(Box<Passage>),
    /// Say no, and discard the upstream connection.
    Refuse(Refused),
}
