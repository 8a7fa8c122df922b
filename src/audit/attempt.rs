//! What is recorded of somebody who tries to get in: at the gate, at the portal, with a second factor.

use serde::{Deserialize, Serialize};

use super::event::{Credential, Outcome};
use crate::base::{AppPasswordId, ClientAddress, Protocol, SessionId, Timestamp, UpstreamName};

/// One try to sign in to the portal: whether the mailbox password let it in, or on to the second factor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignIn {
    /// From where.
    pub ip: ClientAddress,
    /// As in [`Login`].
    pub account: String,
    /// What the browser says it is.
    pub browser: Option<String>,
    /// The upstream that was asked, if its domain has one.
    pub upstream: Option<UpstreamName>,
    /// How it ended.
    pub outcome: Outcome,
    /// As in [`Login`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ground: Option<Ground>,
    /// Why, for whoever reads the trail.
    pub reason: String,
}

/// One answer for a second factor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecondFactor {
    /// From where.
    pub ip: ClientAddress,
    /// Address.
    pub account: String,
    /// What the browser says it is.
    pub browser: Option<String>,
    /// `totp`, `recovery`, `trusted_device`, …
    pub kind: String,
    /// How it ended.
    pub outcome: Outcome,
    /// Why, for whoever reads the trail.
    pub reason: String,
}

/// One attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Login {
    /// The connection.
    pub session: SessionId,
    /// What was spoken.
    pub protocol: Protocol,
    /// From where.
    pub ip: ClientAddress,
    /// Address if the account exists, else `#hash@domain` (keyed hash of the name).
    pub account: String,
    /// `PLAIN`, `LOGIN` or `command`.
    pub mechanism: String,
    /// What the client says it is.
    pub program: Option<String>,
    /// What was presented, as far as the gate knows.
    pub credential: Credential,
    /// The app password that was proven.
    pub app_password: Option<AppPasswordId>,
    /// Its label.
    pub label: Option<String>,
    /// The upstream that the account belongs to, if its domain has one.
    pub upstream: Option<UpstreamName>,
    /// How it ended.
    pub outcome: Outcome,
    /// On which ground it was refused, if it was on one of these.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ground: Option<Ground>,
    /// Why, for whoever reads the trail: more than the client was told.
    pub reason: String,
}

/// On which ground a password was refused, as the account's owner is told it; whoever presented it was not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ground {
    /// It is another one.
    WrongPassword,
    /// It is no app password, and nothing else lets in where a second factor is bound.
    AppPasswordNeeded,
    /// The same was refused a moment ago.
    SameAgain,
    /// It is right, and a second factor must be bound first.
    BindFirst,
    /// It is an app password for other protocols or networks.
    OutOfScope,
    /// It is an app password whose time is over.
    Expired,
    /// It is an app password that has not the mailbox password of today.
    Stale,
    /// It is right, and the account is suspended.
    Suspended,
}

/// Attempts that a limit turned away, or that were the same wrong password again: how many more there were.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusedLogins {
    /// From where the last one came; none where they came from many networks.
    pub ip: Option<ClientAddress>,
    /// The /32 or /64 of all.
    pub network: Option<String>,
    /// As in [`Login`]; none where they were many.
    pub account: Option<String>,
    /// How they ended.
    pub outcome: Outcome,
    /// How many.
    pub count: u64,
    /// Since when, up to the time of this record.
    pub since: Timestamp,
}
