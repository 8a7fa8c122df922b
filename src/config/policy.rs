//! `[policy]`: who must bind, and what is allowed.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::base::{Domain, Timestamp};

/// The rules of every domain.
#[derive(Clone, Debug)]
pub struct Policies {
    /// `[policy]`
    pub default: Policy,
    /// `[policy."domain"]`: the default with what the section overrides.
    pub domains: BTreeMap<Domain, Policy>,
}

impl Policies {
    /// The rules for accounts of `domain` (folded).
    #[must_use]
    pub fn of(&self, domain: &str) -> &Policy {
        self.domains
            .iter()
            .find(|(name, _)| name.as_str() == domain)
            .map_or(&self.default, |(_, policy)| policy)
    }
}

/// The rules of one domain.
#[derive(Clone, Debug)]
pub struct Policy {
    /// Whether a second factor must be bound.
    pub second_factor: Requirement,
    /// Which kinds may be bound; never empty.
    pub factors: Vec<FactorKind>,
    /// What unbinding the last factor does to app passwords.
    pub app_passwords_after_unbind: AfterUnbind,
    /// At least 1.
    pub app_passwords_per_account: u32,
}

/// Whether a second factor must be bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Requirement {
    /// It may.
    Optional,
    /// It must; until `since + grace` the mailbox password still passes.
    Required {
        /// `required_since`, midnight UTC; the beginning of time where the file says nothing.
        since: Timestamp,
        /// `grace_period`
        grace: Duration,
    },
}

/// A kind of second factor that is built.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FactorKind {
    /// RFC 6238 one-time passwords.
    Totp,
}

impl FactorKind {
    /// The name in configuration, database and audit.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Totp => "totp",
        }
    }
}

/// What unbinding the last factor does to app passwords.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AfterUnbind {
    /// They are revoked.
    Stop,
    /// They stay good.
    Keep,
}
