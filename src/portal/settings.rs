//! What the configuration says that the portal goes by.

use crate::base::{Protocol, UpstreamName};
use crate::config::{Config, ListenerTls, Policies, Policy, UpstreamCredential};
use crate::store::AccountRecord;

/// Of one reading of the configuration.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What clients connect to.
    pub hostname: String,
    /// Where the portal is, without trailing slash.
    pub public_url: String,
    /// The doors that mail clients may take; of each protocol the one that they should take comes first.
    pub doors: Vec<Door>,
    /// Who must bind, and what is allowed.
    pub policies: Policies,
    /// Where the records are.
    pub(super) audit_directory: std::path::PathBuf,
    /// Upstreams that hear mailbox passwords which are sealed to app passwords.
    sealed: Vec<UpstreamName>,
}

/// A port for mail clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Door {
    /// What is spoken there.
    pub protocol: Protocol,
    /// Whether TLS begins with the first byte.
    pub implicit: bool,
    /// Which port.
    pub port: u16,
}

impl Settings {
    /// Of `config`; `None` where it has no portal.
    #[must_use]
    pub fn of(config: &Config) -> Option<Self> {
        let mut doors: Vec<Door> = config
            .listeners
            .iter()
            .map(|listener| Door {
                protocol: listener.protocol,
                implicit: listener.tls == ListenerTls::Implicit,
                port: listener.address.port(),
            })
            .collect();
        // TLS from the first byte, as RFC 8314 section 3 prefers; port 25 is for other servers.
        doors.sort_by_key(|door| (door.protocol, !door.implicit, door.port == 25, door.port));
        doors.dedup();
        let sealed = config.upstreams.iter().filter(|upstream| match upstream.credential {
            UpstreamCredential::Sealed => true,
            UpstreamCredential::Master(_) => false,
        });
        Some(Self {
            hostname: config.server.hostname.clone(),
            public_url: config.portal.as_ref()?.public_url.clone(),
            doors,
            policies: config.policies.clone(),
            audit_directory: config.audit.directory.clone(),
            sealed: sealed.map(|upstream| upstream.name.clone()).collect(),
        })
    }

    /// The door that a client should take for `protocol`, if there is one.
    #[must_use]
    pub fn best_door(&self, protocol: Protocol) -> Option<Door> {
        self.doors.iter().copied().find(|door| door.protocol == protocol)
    }

    /// Doors that a client may try by itself, one of each kind, the best of each protocol first.
    #[must_use]
    pub fn doors_to_try(&self) -> Vec<Door> {
        let mut doors = self.doors.clone();
        doors.dedup_by_key(|door| (door.protocol, door.implicit));
        doors
    }

    /// The rules for `account`.
    pub(super) fn policy(&self, account: &AccountRecord) -> &Policy {
        self.policies.of(account.address.domain())
    }

    /// Whether mailbox passwords for this upstream are sealed to app passwords.
    pub(super) fn seals(&self, upstream: &UpstreamName) -> bool {
        self.sealed.contains(upstream)
    }
}
