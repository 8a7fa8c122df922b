//! A look at the mail server: is it there, does it speak the protocol, how can the way to it be protected?

use crate::base::Protocol;
use crate::config::{EndpointTls, HostPort};

/// What was seen.
pub(super) struct Found {
    /// Where.
    pub(super) place: HostPort,
    /// The best protection that it offers.
    pub(super) tls: EndpointTls,
    /// Its key, where its certificate is not publicly trusted for its name.
    pub(super) pin_sha256: Option<[u8; 32]>,
}

impl Found {
    /// For whoever runs `init`.
    pub(super) fn describe(&self) -> &'static str {
        match (self.tls, self.pin_sha256) {
            (EndpointTls::None, _) => "no TLS! Passwords will cross the wire to it in clear",
            (EndpointTls::Starttls, None) => "STARTTLS with a trusted certificate",
            (EndpointTls::Implicit, None) => "TLS with a trusted certificate",
            (EndpointTls::Starttls, Some(_)) => "STARTTLS with a certificate of its own; its key is pinned",
            (EndpointTls::Implicit, Some(_)) => "TLS with a certificate of its own; its key is pinned",
        }
    }
}

/// Connects and leaves again; no credential is sent.
pub(super) async fn look(protocol: Protocol, place: &HostPort) -> anyhow::Result<Found> {
    todo!()
}
