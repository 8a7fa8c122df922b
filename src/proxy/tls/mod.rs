//! TLS on both legs, behind one type: [`Stream`]. Nothing outside this folder names the TLS library's connections.
//!
//! Peers are hostile until a handshake is complete; on the upstream leg until its certificate was verified.
//! This module must never log a key, and never hand out bytes that were read before a handshake.

mod acceptor;
mod certificates;
mod connector;
mod records;
mod secured;
mod verifier;

use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use rustls::client::UnbufferedClientConnection;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::CertificateDer;
use rustls::server::UnbufferedServerConnection;
use rustls::{CipherSuite, ProtocolVersion};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

pub use acceptor::Acceptor;
pub(super) use acceptor::Acceptors;
pub use certificates::{Certificates, read_certificates};
pub(super) use connector::seen;
pub use connector::{Connector, known_to_the_public};
use secured::Secured;
pub use verifier::RefusedCertificate;

use crate::proxy::socket::keep_alive;

/// A connection to a client or an upstream, protected or not.
pub struct Stream(Kind);

enum Kind {
    Plain(TcpStream),
    Client(Box<Secured<UnbufferedServerConnection>>),
    Upstream(Box<Secured<UnbufferedClientConnection>>),
}

impl Stream {
    /// A connection without TLS (yet).
    #[must_use]
    pub fn plain(tcp: TcpStream) -> Self {
        Self(Kind::Plain(tcp))
    }

    /// The host name that the client asked for in its handshake (RFC 6066 section 3); of the gate's own
    /// handshakes as a client, none.
    #[must_use]
    pub fn server_name(&self) -> Option<&str> {
        match &self.0 {
            Kind::Client(stream) => stream.server_name.as_deref(),
            Kind::Plain(_) | Kind::Upstream(_) => None,
        }
    }

    /// The certificate that the peer has shown.
    #[must_use]
    pub fn peer_certificate(&self) -> Option<CertificateDer<'static>> {
        match &self.0 {
            // The gate asks no client for one.
            Kind::Plain(_) | Kind::Client(_) => None,
            Kind::Upstream(tls) => tls.peer_certificate(),
        }
    }

    /// Whether it is TLS 1.2 that protects it.
    #[must_use]
    pub fn is_tls12(&self) -> bool {
        match &self.0 {
            Kind::Plain(_) => false,
            Kind::Client(tls) => tls.version() == Some(ProtocolVersion::TLSv1_2),
            Kind::Upstream(tls) => tls.version() == Some(ProtocolVersion::TLSv1_2),
        }
    }

    /// What is written from now on may wait for the goodbye, and goes out with it: see [`Self::poll_goodbye`].
    pub(in crate::proxy) fn hold(&mut self) {
        match &mut self.0 {
            Kind::Plain(_) => {}
            Kind::Client(tls) => tls.hold(),
            Kind::Upstream(tls) => tls.hold(),
        }
    }

    /// Says all that is to be said before the socket is closed.
    pub(in crate::proxy) fn poll_goodbye(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.0 {
            Kind::Plain(_) => Poll::Ready(Ok(())),
            Kind::Client(tls) => tls.poll_goodbye(cx),
            Kind::Upstream(tls) => tls.poll_goodbye(cx),
        }
    }

    /// From now on it is noticed when the peer is dead.
    pub(in crate::proxy) fn keep_alive(&self) -> io::Result<()> {
        keep_alive(match &self.0 {
            Kind::Plain(tcp) => tcp,
            Kind::Client(tls) => &tls.tcp,
            Kind::Upstream(tls) => &tls.tcp,
        })
    }

    /// The socket under a stream that has no TLS yet.
    fn into_plain(self) -> io::Result<TcpStream> {
        match self.0 {
            Kind::Plain(tcp) => Ok(tcp),
            Kind::Client(_) | Kind::Upstream(_) => {
                Err(io::Error::new(io::ErrorKind::InvalidInput, "TLS was started twice"))
            }
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut self.0 {
            Kind::Plain(tcp) => Pin::new(tcp).poll_read(cx, buf),
            Kind::Client(tls) => Pin::new(tls).poll_read(cx, buf),
            Kind::Upstream(tls) => Pin::new(tls).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.0 {
            Kind::Plain(tcp) => Pin::new(tcp).poll_write(cx, bytes),
            Kind::Client(tls) => Pin::new(tls).poll_write(cx, bytes),
            Kind::Upstream(tls) => Pin::new(tls).poll_write(cx, bytes),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.0 {
            Kind::Plain(tcp) => Pin::new(tcp).poll_flush(cx),
            Kind::Client(tls) => Pin::new(tls).poll_flush(cx),
            Kind::Upstream(tls) => Pin::new(tls).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.0 {
            Kind::Plain(tcp) => Pin::new(tcp).poll_shutdown(cx),
            Kind::Client(tls) => Pin::new(tls).poll_shutdown(cx),
            Kind::Upstream(tls) => Pin::new(tls).poll_shutdown(cx),
        }
    }
}

/// aws-lc-rs with X25519MLKEM768 first, so that what is recorded today stays closed to tomorrow's machines, and AES-128
/// before AES-256 (RFC 9325 section 4.2 lists it first, too): its handshakes hash with SHA-256, which processors do
/// themselves, and its records take a fifth less work.
fn provider() -> Arc<CryptoProvider> {
    let mut provider = rustls::crypto::aws_lc_rs::default_provider();
    // Stable: what is not named keeps its place behind them.
    provider.cipher_suites.sort_by_key(|suite| {
        let first = [
            CipherSuite::TLS13_AES_128_GCM_SHA256,
            CipherSuite::TLS13_AES_256_GCM_SHA384,
            CipherSuite::TLS13_CHACHA20_POLY1305_SHA256,
            CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
            CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
        ];
        first.iter().position(|first| *first == suite.suite()).unwrap_or(first.len())
    });
    Arc::new(provider)
}

/// What is wrong with the TLS part of the configuration.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A PEM file cannot be read.
    #[error("cannot read `{path}`\nhint: check that it exists, is PEM, and that mailward's user may read it")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What was wrong.
        #[source]
        source: rustls::pki_types::pem::Error,
    },
    /// A PEM file holds no certificate.
    #[error("`{path}` holds no certificate\nhint: it must be a PEM file with `-----BEGIN CERTIFICATE-----`")]
    NoCertificate {
        /// The file.
        path: PathBuf,
    },
    /// A certificate cannot be understood.
    #[error("`{path}` holds a certificate that cannot be used: {reason}")]
    BadCertificate {
        /// The file.
        path: PathBuf,
        /// What was wrong.
        reason: String,
    },
    /// A certificate's time is over.
    #[error(
        "the certificate `{path}` expired at {at}\nhint: renew it; the gate looks for the new one by itself"
    )]
    Expired {
        /// The file.
        path: PathBuf,
        /// When.
        at: String,
    },
    /// A certificate's time has not come.
    #[error(
        "the certificate `{path}` is not valid before {at}\nhint: wait until then, or set the clock right"
    )]
    NotYetValid {
        /// The file.
        path: PathBuf,
        /// When.
        at: String,
    },
    /// The key belongs to another certificate.
    #[error(
        "the key `{key}` does not belong to the certificate `{cert}`\nhint: `cert` must begin with the certificate made for this key, followed by its intermediates"
    )]
    Mismatch {
        /// The certificate file.
        cert: PathBuf,
        /// The key file.
        key: PathBuf,
    },
    /// The key cannot be used.
    #[error(
        "the key `{key}` cannot be used: {reason}\nhint: it must be an unencrypted RSA, ECDSA or Ed25519 key"
    )]
    BadKey {
        /// The key file.
        key: PathBuf,
        /// What was wrong.
        reason: String,
    },
    /// Listeners without any certificate.
    #[error("no certificate is configured\nhint: add a `[[tls.certificate]]` section")]
    NoneConfigured,
    /// `server_name` is neither a host name nor an address.
    #[error(
        "`{0}` cannot be a server's name\nhint: set `server_name` to the name in the upstream's certificate"
    )]
    BadServerName(String),
    /// The library refused the set-up.
    #[error("TLS cannot be set up")]
    Library(#[from] rustls::Error),
}

#[cfg(test)]
mod tests {
    use rustls::NamedGroup;

    use super::*;

    #[test]
    fn every_suite_seals_as_it_encrypts_and_no_later_theft_of_a_key_opens_it() {
        let provider = provider();
        let suites: Vec<_> = provider.cipher_suites.iter().map(rustls::SupportedCipherSuite::suite).collect();
        for suite in &suites {
            let name = format!("{suite:?}");
            assert!(name.starts_with("TLS13_") || name.starts_with("TLS_ECDHE_"), "{name}");
            assert!(name.contains("_GCM_SHA") || name.contains("_CHACHA20_POLY1305_SHA"), "{name}");
        }
        let first = [CipherSuite::TLS13_AES_128_GCM_SHA256, CipherSuite::TLS13_AES_256_GCM_SHA384];
        assert_eq!(suites[..2], first);
        assert_eq!(provider.kx_groups[0].name(), NamedGroup::X25519MLKEM768);
    }

    #[test]
    fn no_key_exchange_has_less_than_128_bits() {
        let strong =
            [NamedGroup::X25519MLKEM768, NamedGroup::X25519, NamedGroup::secp256r1, NamedGroup::secp384r1];
        let groups: Vec<_> = provider().kx_groups.iter().map(|group| group.name()).collect();
        assert!(!groups.is_empty() && groups.iter().all(|group| strong.contains(group)), "{groups:?}");
    }
}
