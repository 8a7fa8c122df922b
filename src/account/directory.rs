//! From what a client typed to the one account it means: folding, default domain, alias domains, routing,
//! and the spelling the upstream wants. Hostile input; a name that could smuggle a master login is refused.

use crate::base::{Address, LoginName, UpstreamName};
use crate::config;

/// Every upstream's names.
pub struct Directory {}

/// Where a name leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Located {
    /// The account's address.
    pub address: Address,
    /// Its upstream.
    pub upstream: UpstreamName,
    /// How its mailbox is called there.
    pub upstream_user: LoginName,
}

/// Why a name leads nowhere. A guesser hears the same for all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameRefused {
    /// Not an address, and no default domain.
    #[error("not an address")]
    NotAnAddress,
    /// No upstream serves its domain.
    #[error("no upstream serves this domain")]
    UnknownDomain,
    /// It holds the separator of master logins.
    #[error("the name holds the master separator")]
    MasterSeparator,
}

#[expect(clippy::unimplemented, unused_variables, reason = "signatures first; bodies follow")]
impl Directory {
    /// From the configuration.
    #[must_use]
    pub fn new(upstreams: &[config::Upstream]) -> Self {
        unimplemented!()
    }
    /// Finds the account that `login` means. A bare local part belongs to the first upstream's default
    /// domain that is set.
    ///
    /// # Errors
    /// [`NameRefused`]
    pub fn locate(&self, login: &LoginName) -> Result<Located, NameRefused> {
        unimplemented!()
    }
}
