//! What is recorded of those who guess: sums, where a record for each would be too many.

use serde::{Deserialize, Serialize};

use crate::base::ClientAddress;

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
