//! `[[upstream]]`: the legacy servers and how the gate logs in there.

use std::path::PathBuf;
use std::time::Duration;

use crate::base::{Domain, Protocol, UpstreamName};

/// A legacy mail server.
#[derive(Clone, Debug)]
pub struct Upstream {
    /// Stable name; sealed passwords are bound to it.
    pub name: UpstreamName,
    /// Which domains it serves.
    pub domains: Vec<DomainPattern>,
    /// What a bare local part means.
    pub default_domain: Option<Domain>,
    /// Other names of `default_domain`.
    pub domain_aliases: Vec<Domain>,
    /// Who may appear; `None` where the file leaves it to the policy (`listed` where binding is required).
    pub accounts: Option<AccountAdmission>,
    /// How the login name is spelled upstream.
    pub login: LoginRewrite,
    /// How the gate logs in for a client that used an app password.
    pub credential: UpstreamCredential,
    /// Where its IMAP is, if it has any; likewise the others.
    pub imap: Option<Endpoint>,
    /// POP3.
    pub pop3: Option<Endpoint>,
    /// SMTP submission.
    pub smtp: Option<Endpoint>,
    /// Dial, TLS and greeting together.
    pub connect_deadline: Duration,
    /// From the greeting to the answer to the login.
    pub login_deadline: Duration,
    /// How often what it offers is learned again.
    pub refresh: Duration,
}

impl Upstream {
    /// Where `protocol` is spoken, if it is.
    #[must_use]
    pub fn endpoint(&self, protocol: Protocol) -> Option<&Endpoint> {
        match protocol {
            Protocol::Imap => self.imap.as_ref(),
            Protocol::Pop3 => self.pop3.as_ref(),
            Protocol::Smtp => self.smtp.as_ref(),
        }
    }
}

/// One entry of `domains`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DomainPattern {
    /// This domain.
    Exact(Domain),
    /// `*`: whatever no other upstream names.
    Any,
}

/// Which accounts an upstream has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccountAdmission {
    /// An account appears at its first successful mailbox-password login.
    FirstLogin,
    /// Only accounts added by an administrator (or by making an app password).
    Listed,
}

/// How the login name is spelled upstream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LoginRewrite {
    /// `local@domain`.
    Address,
    /// `local`.
    LocalPart,
    /// Text with `{local}` and `{domain}`; holds at least `{local}`.
    Template(String),
}

/// How the gate logs in upstream for a client that used an app password.
#[derive(Clone, Debug)]
pub enum UpstreamCredential {
    /// With the mailbox password, sealed to the app password.
    Sealed,
    /// As a master user.
    Master(Master),
}

/// `[upstream.master]`
#[derive(Clone, Debug)]
pub struct Master {
    /// The master user's name.
    pub user: String,
    /// The file that holds its password (first line).
    pub password_file: PathBuf,
    /// How the account is named beside it.
    pub style: MasterStyle,
}

/// How a master login names the account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MasterStyle {
    /// `account<separator>master`, e.g. `separator:*`; names that hold the separator are refused.
    Separator(char),
    /// SASL PLAIN with the account as authorisation identity.
    Authzid,
}

/// Where one protocol of an upstream is.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// Host name or IP address literal.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// How the leg is protected.
    pub tls: EndpointTls,
    /// The name its certificate must carry; the host where the file says nothing.
    pub server_name: String,
    /// PEM roots to trust instead of the system's.
    pub ca_file: Option<PathBuf>,
    /// SHA-256 of the certificate's SubjectPublicKeyInfo; then the chain, name and dates are not looked at.
    pub pin_sha256: Option<[u8; 32]>,
}

/// How the leg to an upstream is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndpointTls {
    /// Not at all: for loopback and trusted wires.
    None,
    /// STARTTLS/STLS, demanded.
    Starttls,
    /// From the first byte.
    Implicit,
}
