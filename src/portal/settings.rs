//! What the configuration says that the portal goes by.

use crate::base::{Language, Protocol, UpstreamName};
use crate::config::{Config, Listener, ListenerTls, Policies, Policy, UpstreamCredential};
use crate::store::AccountRecord;

/// Of one reading of the configuration.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What clients connect to.
    pub hostname: String,
    /// Where the portal is, without trailing slash.
    pub public_url: String,
    /// The language of whoever prefers none of ours.
    pub language: Language,
    /// The doors that mail clients may take; of each protocol the one that they should take comes first.
    pub doors: Vec<Door>,
    /// Who must bind, and what is allowed.
    pub policies: Policies,
    /// Where the records are.
    pub(super) audit_directory: std::path::PathBuf,
    /// Upstreams that hear mailbox passwords which are sealed to app passwords.
    sealed: Vec<UpstreamName>,
    /// Doors that lead to some upstreams only, and to which.
    limited: Vec<(Door, Vec<UpstreamName>)>,
    /// What an upstream does not speak.
    unspoken: Vec<(UpstreamName, Protocol)>,
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
        let door = |listener: &Listener| Door {
            protocol: listener.protocol,
            implicit: listener.tls == ListenerTls::Implicit,
            port: listener.address.port(),
        };
        let limited = config.listeners.iter().filter(|listener| !listener.upstreams.is_empty());
        let limited = limited.map(|listener| (door(listener), listener.upstreams.clone())).collect();
        let unspoken = config.upstreams.iter().flat_map(|upstream| {
            let silent = Protocol::ALL.into_iter().filter(|protocol| upstream.endpoint(*protocol).is_none());
            silent.map(|protocol| (upstream.name.clone(), protocol))
        });
        let mut doors: Vec<Door> = config.listeners.iter().map(door).collect();
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
            language: config.server.refusal_text,
            doors,
            policies: config.policies.clone(),
            audit_directory: config.audit.directory.clone(),
            sealed: sealed.map(|upstream| upstream.name.clone()).collect(),
            limited,
            unspoken: unspoken.collect(),
        })
    }

    /// The door that a client should take for `protocol` to get to `upstream`, if there is one.
    #[must_use]
    pub fn best_door(&self, protocol: Protocol, upstream: &UpstreamName) -> Option<Door> {
        self.doors_to(upstream).find(|door| door.protocol == protocol)
    }

    /// Doors that a client may try by itself to get to `upstream`, one of each kind, the best of each protocol first.
    #[must_use]
    pub fn doors_to_try(&self, upstream: &UpstreamName) -> Vec<Door> {
        let mut doors: Vec<Door> = self.doors_to(upstream).collect();
        doors.dedup_by_key(|door| (door.protocol, door.implicit));
        doors
    }

    /// All doors through which a client gets to `upstream`.
    pub fn doors_to(&self, upstream: &UpstreamName) -> impl Iterator<Item = Door> {
        self.doors.iter().copied().filter(|door| self.leads(*door, upstream))
    }

    fn leads(&self, door: Door, upstream: &UpstreamName) -> bool {
        let mut limits = self.limited.iter().filter(|(limited, _)| *limited == door).peekable();
        let open = limits.peek().is_none() || limits.any(|(_, to)| to.contains(upstream));
        open && !self.unspoken.contains(&(upstream.clone(), door.protocol))
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

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    const CONFIG: &str = r#"
[server]
hostname = "mail.example.org"
data_dir = "/nowhere"
[database]
url = "sqlite:///nowhere/mailward.db"
[audit]
directory = "/nowhere/audit"
[[tls.certificate]]
cert = "/nowhere/cert.pem"
key = "/nowhere/key.pem"
[[listener]]
protocol = "imap"
address = "[::]:143"
tls = "starttls"
[[listener]]
protocol = "imap"
address = "[::]:993"
tls = "implicit"
upstreams = ["one"]
[[listener]]
protocol = "smtp"
address = "[::]:25"
tls = "starttls"
[[listener]]
protocol = "smtp"
address = "[::]:587"
tls = "starttls"
[[listener]]
protocol = "smtp"
address = "[::]:994"
tls = "implicit"
[[listener]]
protocol = "smtp"
address = "[::]:465"
tls = "implicit"
[[upstream]]
name = "one"
domains = ["one.example"]
accounts = "first-login"
imap = { address = ["127.0.0.1:143"], tls = "none" }
smtp = { address = ["127.0.0.1:587"], tls = "none" }
[[upstream]]
name = "two"
domains = ["two.example"]
accounts = "first-login"
imap = { address = ["127.0.0.1:143"], tls = "none" }
[portal]
public_url = "https://mail.example.org"
"#;

    #[test]
    fn a_client_is_led_to_the_best_door_of_its_own_upstream() {
        let config = Config::parse(CONFIG, Path::new("/nowhere/mailward.toml")).unwrap();
        let settings = Settings::of(&config).unwrap();
        let ports = |upstream: &str| {
            let upstream = UpstreamName(upstream.to_owned());
            let tried = settings.doors_to_try(&upstream);
            let best = Protocol::ALL.map(|protocol| settings.best_door(protocol, &upstream));
            let best: Vec<_> = best.into_iter().flatten().map(|door| door.port).collect();
            (best, tried.into_iter().map(|door| door.port).collect::<Vec<_>>())
        };
        assert_eq!(ports("one"), (vec![993, 465], vec![993, 143, 465, 587]));
        assert_eq!(ports("two"), (vec![143], vec![143]), "no way in by 993, and nobody sends there");
    }
}
