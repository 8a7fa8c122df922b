//! What is recorded of those who guess, and of floods: sums, where a record for each would be too many.

use serde::{Deserialize, Serialize};

use super::Outcome;
use crate::base::{ClientAddress, Timestamp};

/// Attempts that a limit turned away, or that were the same wrong password again: how many more there were.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusedLogins {
    /// From where the last one came; none where they came from many networks.
    pub ip: Option<ClientAddress>,
    /// The /32 or /64 of all.
    pub network: Option<String>,
    /// As in [`Login`](super::Login); none where they were many.
    pub account: Option<String>,
    /// How they ended.
    pub outcome: Outcome,
    /// How many.
    pub count: u64,
    /// Since when, up to the time of this record.
    pub since: Timestamp,
}

/// What looks like guessing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Guessing {
    /// In which way.
    pub pattern: Pattern,
    /// From where, if it is one network.
    pub ip: Option<ClientAddress>,
    /// The /32 or /64, if it is one.
    pub network: Option<String>,
    /// At which account, as in [`Login`](super::Login), if it is one.
    pub account: Option<String>,
    /// How many accounts, networks or passwords there were when it was noticed.
    pub count: u64,
    /// In how many seconds at most.
    pub within_s: u64,
}

/// How somebody guesses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pattern {
    /// From one network, at many accounts.
    ManyAccounts,
    /// At one account, from many networks.
    ManyNetworks,
    /// At one account, with many passwords.
    ManyPasswords,
}
