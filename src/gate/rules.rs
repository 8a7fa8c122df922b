//! What the configuration says about who gets in: one value that never changes, and which of them holds now.
//!
//! An attempt takes the rules that hold when it comes and is judged by them; what it has to hear of later (a factor
//! that became required while the upstream was asked) is judged by those that hold then. The ways to the upstreams are of
//! a reading, too, which connections take when they come: an attempt whose connection is older than its rules is not
//! judged, or it would be spelled for one server and sent to another. The administrator's word is trusted; nothing of a
//! client's gets here.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use super::live::Session;
use super::upstream_login::UpstreamRules;
use crate::account::Directory;
use crate::base::{Address, LoginName, UpstreamName};
use crate::config::{Limits, Policies, WhenFull};

/// The rules of one reading of the configuration.
pub struct Rules {
    /// From names to accounts.
    pub directory: Arc<Directory>,
    /// Who must bind.
    pub policies: Policies,
    /// `[limits]`
    pub limits: Limits,
    /// What happens when the trail cannot be written.
    pub when_full: WhenFull,
    /// Every upstream that the directory leads to.
    pub upstreams: Vec<UpstreamRules>,
}

impl Rules {
    /// What is said of one upstream, if it is there.
    pub(super) fn upstream(&self, name: &UpstreamName) -> Option<&UpstreamRules> {
        self.upstreams.iter().find(|rules| rules.name == *name)
    }

    /// How long an attempt waits for those in flight before it: half of what a connection has before login, so that
    /// the answer still reaches the client.
    pub(super) fn longest_wait(&self) -> Duration {
        self.limits.auth_deadline / 2
    }

    /// The upstream that the domain of `address` leads to.
    pub(super) fn home_of(&self, address: &Address) -> Option<UpstreamName> {
        let login = LoginName::from_bytes(address.as_str().as_bytes()).ok()?;
        Some(self.directory.locate(&login).ok()?.upstream)
    }

    /// Whether the upstream of `session` is there still, over its protocol, and its account leads to any. To which,
    /// the account may say otherwise.
    pub(super) fn lead(&self, session: &Session) -> bool {
        let speaks = |rules: &UpstreamRules| rules.protocols.contains(&session.protocol);
        self.upstream(&session.upstream).is_some_and(speaks) && self.home_of(&session.address).is_some()
    }

    /// Whether `session`, which `before` led from `home`, is led from there to where it is by these, too.
    pub(super) fn lead_as(&self, before: &Self, home: Option<&UpstreamName>, session: &Session) -> bool {
        std::ptr::eq(self, before) || (self.lead(session) && self.home_of(&session.address).as_ref() == home)
    }
}

/// Which reading of the configuration, counted from the first one of this process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reading(u64);

/// The rules that hold now, and of which reading they are.
pub(super) struct InForce(RwLock<(Reading, Arc<Rules>)>);

impl InForce {
    /// These.
    pub(super) fn new(rules: Rules) -> Self {
        Self(RwLock::new((Reading::default(), Arc::new(rules))))
    }

    /// Those of this moment.
    pub(super) fn now(&self) -> Arc<Rules> {
        self.of_reading().1
    }

    /// The same, with the reading that they are of.
    pub(super) fn of_reading(&self) -> (Reading, Arc<Rules>) {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// From now on these.
    pub(super) fn replace(&self, rules: Rules) -> Arc<Rules> {
        let rules = Arc::new(rules);
        let mut now = self.0.write().unwrap_or_else(PoisonError::into_inner);
        *now = (Reading(now.0.0 + 1), Arc::clone(&rules));
        rules
    }
}
