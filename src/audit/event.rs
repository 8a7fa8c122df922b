//! The closed set of what is recorded, and how it reads as JSON.

mod guessing;

use serde::{Deserialize, Serialize};

use crate::base::{
    AppPasswordId, ClientAddress, DeviceId, FactorId, PortalSessionId, Protocol, SessionId, Timestamp,
    UpstreamName,
};

pub use super::attempt::{Ground, Login, RefusedLogins, SecondFactor, SignIn};
pub use guessing::{Guessing, Pattern};

/// Something that must be answerable months later.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// Somebody tried to log in: one record per attempt.
    Login(Login),
    /// More of what was turned away unseen, and of which only the first is a record of its own.
    RefusedLogins(RefusedLogins),
    /// Somebody seems to guess: one record for as long as it goes on.
    GuessingNoticed(Guessing),
    /// A relayed session is over.
    SessionEnd(SessionEnd),
    /// An account appeared: `by` says how.
    AccountAdded {
        /// Address.
        account: String,
        /// Who did it.
        by: Actor,
    },
    /// Suspended.
    AccountSuspended {
        /// Address.
        account: String,
        /// Who did it.
        by: Actor,
    },
    /// Resumed.
    AccountResumed {
        /// Address.
        account: String,
        /// Who did it.
        by: Actor,
    },
    /// Removed; a tombstone stays.
    AccountRemoved {
        /// Address.
        account: String,
        /// Who did it.
        by: Actor,
    },
    /// Bound to an upstream, or to none: then it is where its domain leads.
    AccountUpstreamChanged {
        /// Address.
        account: String,
        /// Where it was.
        from: UpstreamName,
        /// Where it is.
        to: UpstreamName,
        /// Whether it is bound there now.
        bound: bool,
        /// Who did it.
        by: Actor,
    },
    /// A second factor was bound.
    FactorBound {
        /// Address.
        account: String,
        /// Kind.
        kind: String,
        /// What its owner calls it; empty where he gave it no name.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        name: String,
        /// Who did it.
        by: Actor,
    },
    /// Somebody may bind a first second factor with a link.
    EnrolmentLinkMade {
        /// Address.
        account: String,
        /// Until when.
        until: Timestamp,
        /// Who did it.
        by: Actor,
    },
    /// Such a link was used; the binding follows.
    EnrolmentLinkUsed {
        /// Address.
        account: String,
        /// Who did it.
        by: Actor,
    },
    /// A code was sent by mail, or should have been.
    MailCodeSent {
        /// Address.
        account: String,
        /// To which mailbox, masked.
        to: String,
        /// Who asked for it.
        by: Actor,
    },
    /// A second factor was unbound.
    FactorUnbound {
        /// Address.
        account: String,
        /// Kind.
        kind: String,
        /// What its owner called it; empty where he gave it no name.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        name: String,
        /// Why, in the administrator's words.
        reason: String,
        /// How many app passwords were revoked with it.
        app_passwords_revoked: u64,
        /// Who did it.
        by: Actor,
    },
    /// A second factor was bound in the place of another of its kind, which was unbound with it.
    FactorReplaced {
        /// Address.
        account: String,
        /// Kind.
        kind: String,
        /// What its owner calls it; empty where he gave it no name.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        name: String,
        /// What he called the other one; likewise.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        replaced: String,
        /// Who did it.
        by: Actor,
    },
    /// A second factor has another name.
    FactorRenamed {
        /// Address.
        account: String,
        /// Which.
        id: FactorId,
        /// Kind.
        kind: String,
        /// Its name from now on.
        name: String,
        /// Who did it.
        by: Actor,
    },
    /// An app password was made.
    AppPasswordCreated {
        /// Address.
        account: String,
        /// Which.
        id: AppPasswordId,
        /// Its label.
        label: String,
        /// Its name.
        name: String,
        /// Whether it may only read.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        read_only: bool,
        /// Who did it.
        by: Actor,
    },
    /// An app password was revoked.
    AppPasswordRevoked {
        /// Address.
        account: String,
        /// Which.
        id: AppPasswordId,
        /// Its label.
        label: String,
        /// Who did it.
        by: Actor,
    },
    /// An app password has another name.
    AppPasswordRenamed {
        /// Address.
        account: String,
        /// Which.
        id: AppPasswordId,
        /// Its label.
        label: String,
        /// Its name from now on.
        name: String,
        /// Who did it.
        by: Actor,
    },
    /// An app password waits behind a link that was shown with it, for a device to fetch it once.
    ProfileMade {
        /// Address.
        account: String,
        /// Which app password.
        id: AppPasswordId,
        /// Its label.
        label: String,
        /// Who did it.
        by: Actor,
    },
    /// Whoever had the link fetched it.
    ProfileFetched {
        /// Address.
        account: String,
        /// Which app password.
        id: AppPasswordId,
        /// Its label.
        label: String,
        /// From where.
        ip: ClientAddress,
        /// What the browser says it is.
        browser: Option<String>,
    },
    /// Somebody tried to sign in to the portal with a mailbox password.
    SignIn(SignIn),
    /// Somebody who is signed in answered for a second factor.
    SecondFactor(SecondFactor),
    /// Recovery codes were made; older ones are void.
    RecoveryCodesMade {
        /// Address.
        account: String,
        /// How many.
        count: u64,
        /// Who did it.
        by: Actor,
    },
    /// A browser needs no second factor for a while.
    DeviceTrusted {
        /// Address.
        account: String,
        /// Which.
        id: DeviceId,
        /// Until when.
        until: Timestamp,
        /// Who did it.
        by: Actor,
    },
    /// A browser needs a second factor again.
    DeviceWithdrawn {
        /// Address.
        account: String,
        /// Which.
        id: DeviceId,
        /// Who did it.
        by: Actor,
    },
    /// A browser was signed out from another one.
    PortalSessionEnded {
        /// Address.
        account: String,
        /// Which.
        id: PortalSessionId,
        /// Who did it.
        by: Actor,
    },
    /// Somebody asked for the end of a live session; its own record follows.
    SessionEndAsked {
        /// Address.
        account: String,
        /// Which.
        session: SessionId,
        /// Who did it.
        by: Actor,
    },
    /// The upstream refused a sealed mailbox password: what the gate does not send any more.
    MailboxPasswordStale {
        /// Address.
        account: String,
        /// Who refused it.
        upstream: UpstreamName,
        /// The labels of the app passwords that it was sealed to.
        labels: Vec<String>,
        /// Who found out.
        by: Actor,
    },
    /// The upstream took a sealed mailbox password that was stale: it is sent again.
    MailboxPasswordTaken {
        /// Address.
        account: String,
        /// Who took it.
        upstream: UpstreamName,
        /// The labels of the app passwords that it is sealed to.
        labels: Vec<String>,
        /// Who found out.
        by: Actor,
    },
    /// A mailbox password that the upstream took was sealed to the account's app passwords anew.
    MailboxPasswordResealed {
        /// Address.
        account: String,
        /// Who took it.
        upstream: UpstreamName,
        /// The labels of those app passwords.
        labels: Vec<String>,
        /// Who did it.
        by: Actor,
    },
    /// A user was not told by mail of something that concerns the safety of his account, and will not be.
    NoticeGivenUp {
        /// Address.
        account: String,
        /// What he should have been told.
        notice: String,
        /// When.
        made_at: Timestamp,
        /// Why he was not.
        reason: String,
    },
    /// An upstream showed a certificate that was not taken: no password is sent there until it shows another. One record
    /// for as long as it shows the same.
    UpstreamCertificateRefused {
        /// Which.
        upstream: UpstreamName,
        /// What it speaks there.
        protocol: Protocol,
        /// Where, as `host:port`.
        address: String,
        /// What would have been taken, in words.
        expected: String,
        /// SHA-256 of the key that was found, as `pin_sha256` would have it; none if there was none to be read.
        found: Option<String>,
        /// Why it was not taken.
        reason: String,
    },
    /// The first record of every chain, written by the trail itself.
    ChainStarted {
        /// Its name, which is also its file's.
        chain: String,
    },
    /// The last record of a chain that was closed in order, written by the trail itself: nothing may follow it.
    ChainEnded,
    /// A chain whose last record is older than `audit.retention` is taken away whole.
    ChainExpired {
        /// Its name.
        chain: String,
        /// How many it had.
        records: i64,
        /// When the last one was written.
        until: Timestamp,
    },
    /// The gate began to serve.
    Started {
        /// Version of the program.
        version: String,
    },
    /// The gate serves another reading of its configuration.
    ConfigurationReloaded {
        /// Keys that were changed and hold only from the next start on.
        needing_restart: Vec<String>,
        /// Live sessions that end with it, because their upstream was withdrawn.
        sessions_ended: u64,
    },
    /// A new configuration, certificate or other file could not be used; what was in force stays so.
    ReloadFailed {
        /// What was wrong, in one line.
        reason: String,
    },
    /// The gate stopped in order.
    Stopped,
}

impl Event {
    /// Whether it is recorded from the reserve while the disk is full: successes and changes are. What a stranger can
    /// cause without end is not, or he could use the reserve up.
    pub(super) fn matters(&self) -> bool {
        match self {
            Self::Login(login) => login.outcome == Outcome::Admitted,
            Self::SignIn(sign_in) => sign_in.outcome == Outcome::Admitted,
            Self::SecondFactor(answer) => answer.outcome == Outcome::Admitted,
            Self::RefusedLogins(_) | Self::GuessingNoticed(_) => false,
            Self::SessionEnd(_)
            | Self::AccountAdded { .. }
            | Self::AccountSuspended { .. }
            | Self::AccountResumed { .. }
            | Self::AccountRemoved { .. }
            | Self::FactorBound { .. }
            | Self::FactorUnbound { .. }
            | Self::FactorReplaced { .. }
            | Self::FactorRenamed { .. }
            | Self::EnrolmentLinkMade { .. }
            | Self::MailCodeSent { .. }
            | Self::EnrolmentLinkUsed { .. }
            | Self::AppPasswordCreated { .. }
            | Self::AppPasswordRevoked { .. }
            | Self::AppPasswordRenamed { .. }
            | Self::ProfileMade { .. }
            | Self::ProfileFetched { .. }
            | Self::RecoveryCodesMade { .. }
            | Self::DeviceTrusted { .. }
            | Self::DeviceWithdrawn { .. }
            | Self::PortalSessionEnded { .. }
            | Self::SessionEndAsked { .. }
            | Self::AccountUpstreamChanged { .. }
            | Self::NoticeGivenUp { .. }
            | Self::UpstreamCertificateRefused { .. }
            | Self::MailboxPasswordStale { .. }
            | Self::MailboxPasswordTaken { .. }
            | Self::MailboxPasswordResealed { .. }
            | Self::ChainStarted { .. }
            | Self::ChainEnded
            | Self::ChainExpired { .. }
            | Self::ConfigurationReloaded { .. }
            | Self::ReloadFailed { .. }
            | Self::Started { .. }
            | Self::Stopped => true,
        }
    }
}

/// Who did something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Actor {
    /// The gate itself, following its rules (a first login).
    Gate,
    /// Somebody on the gate's command line; the system user's name.
    CommandLine {
        /// `$SUDO_USER` or the user name or number.
        user: String,
    },
    /// Whoever is signed in to the portal as the account.
    Owner {
        /// From where.
        ip: ClientAddress,
        /// What the browser says it is.
        browser: Option<String>,
    },
}

/// What was presented.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Credential {
    /// A proven app password.
    AppPassword,
    /// A mailbox password that the upstream took.
    MailboxPassword,
    /// Nothing that was proven.
    Unproven,
}

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Let in.
    Admitted,
    /// Definitely refused.
    Refused,
    /// Turned away by a limit, unseen.
    Limited,
    /// Not decided: something behind or inside the gate did not work.
    Unavailable,
}

impl Outcome {
    /// The name in the trail, in the log and in metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Admitted => "admitted",
            Self::Refused => "refused",
            Self::Limited => "limited",
            Self::Unavailable => "unavailable",
        }
    }
}

/// The end of a relayed session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionEnd {
    /// The connection.
    pub session: SessionId,
    /// What was spoken.
    pub protocol: Protocol,
    /// From where.
    pub ip: ClientAddress,
    /// Address.
    pub account: String,
    /// Upstream.
    pub upstream: UpstreamName,
    /// When it was let in.
    pub since: Timestamp,
    /// How long it was relayed, in milliseconds.
    pub duration_ms: u64,
    /// Bytes from the client to the upstream.
    pub bytes_from_client: u64,
    /// Bytes from the upstream to the client.
    pub bytes_to_client: u64,
    /// Why it ended: `client_closed`, `upstream_closed`, `idle`, `drained`, `error`; or what it rested on is no more:
    /// `revoked`, `expired`, `out_of_scope`, `suspended`, `removed`, `factor_bound`, `upstream_withdrawn`; or somebody ended it:
    /// `ended_by_admin`, `ended_by_owner`.
    pub reason: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outcome_is_called_the_same_in_trail_and_log() {
        for outcome in [Outcome::Admitted, Outcome::Refused, Outcome::Limited, Outcome::Unavailable] {
            assert_eq!(serde_json::to_value(outcome).unwrap(), outcome.as_str());
        }
    }
}
