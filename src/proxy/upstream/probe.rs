//! A first look at a mail server, for whoever writes the configuration: does it speak the protocol, and how can
//! the leg to it be protected? No credential is sent, so it does not matter yet who answers.

use std::time::Duration;

use super::Failure;
use super::conversation::Reach;
use super::forwarding::Forwarder;
use super::server::Server;
use crate::base::{Protocol, UpstreamName};
use crate::config::server::is_hostname;
use crate::config::{Endpoint, EndpointTls, ForwardClient, HostPort};
use crate::protocol::imap::Imap;
use crate::protocol::pop3::Pop3;
use crate::protocol::smtp::Smtp;
use crate::protocol::{MailProtocol, Trouble};
use crate::proxy::tls::{Connector, TlsError, seen};

/// For each connection to a server that may not answer at all.
const CONNECT_DEADLINE: Duration = Duration::from_secs(5);

/// For telling what it offers.
const ANSWER_DEADLINE: Duration = Duration::from_secs(10);

/// Ports where TLS begins at once: tried first there, last elsewhere.
const IMPLICIT_PORTS: [u16; 4] = [993, 995, 465, 994];

/// What was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    /// The best protection that the server offers on this port.
    pub tls: EndpointTls,
    /// How its certificate is known again; `None` without TLS.
    pub known_by: Option<KnownBy>,
}

/// What a server's certificate is known by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KnownBy {
    /// The system trusts it for the host that was named.
    Host,
    /// The system trusts it, and it is for this host.
    Name(String),
    /// The system does not trust it: SHA-256 of its SubjectPublicKeyInfo.
    Key([u8; 32]),
}

/// Why nothing was seen.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// The host cannot stand in a certificate.
    #[error(transparent)]
    Name(#[from] TlsError),
    /// It did not answer, or not in this protocol.
    #[error("`{host}:{port}` did not answer as an {protocol} server: {failure}")]
    Failed {
        /// Where.
        host: String,
        /// Where.
        port: u16,
        /// What was expected.
        protocol: Protocol,
        /// What happened on the likeliest kind of leg.
        failure: Failure,
    },
}

/// Looks at the server on `host:port`; within half a minute.
///
/// # Errors
/// [`ProbeError`]
pub async fn probe(protocol: Protocol, host: &str, port: u16) -> Result<Probe, ProbeError> {
    match protocol {
        Protocol::Imap => look::<Imap>(host, port).await,
        Protocol::Pop3 => look::<Pop3>(host, port).await,
        Protocol::Smtp => look::<Smtp>(host, port).await,
    }
}

async fn look<P: MailProtocol>(host: &str, port: u16) -> Result<Probe, ProbeError> {
    let order = if IMPLICIT_PORTS.contains(&port) {
        [EndpointTls::Implicit, EndpointTls::Starttls, EndpointTls::None]
    } else {
        [EndpointTls::Starttls, EndpointTls::None, EndpointTls::Implicit]
    };
    let mut first = None;
    for tls in order {
        match try_leg::<P>(host, port, tls).await? {
            Ok(known_by) => return Ok(Probe { tls, known_by }),
            // Another kind of leg does not help a server that is not there.
            Err(failure @ (Failure::Resolve(_) | Failure::Connect(_))) => {
                first.get_or_insert(failure);
                break;
            }
            Err(failure) => {
                first.get_or_insert(failure);
            }
        }
    }
    let failure = first.unwrap_or(Failure::Said(Trouble::Closed));
    Err(ProbeError::Failed { host: host.to_owned(), port, protocol: P::PROTOCOL, failure })
}

/// Who a server is that answers on this kind of leg.
async fn try_leg<P: MailProtocol>(
    host: &str,
    port: u16,
    tls: EndpointTls,
) -> Result<Result<Option<KnownBy>, Failure>, TlsError> {
    let address = HostPort { host: host.to_owned(), port };
    let reach = Reach {
        upstream: UpstreamName("probe".to_owned()),
        tls,
        connect_deadline: CONNECT_DEADLINE,
        login_deadline: ANSWER_DEADLINE,
        own_name: "localhost".to_owned(),
        forwarder: Forwarder::new(ForwardClient::None),
    };
    if tls == EndpointTls::None {
        return Ok(reach.look::<P>(&Server::with(address, None)).await.map(|_| None));
    }
    let (observing, observed) = Connector::observing(host)?;
    if let Err(failure) = reach.look::<P>(&Server::with(address.clone(), Some(observing))).await {
        return Ok(Err(failure));
    }
    let Some(shown) = seen(&observed) else { return Ok(Err(Failure::Said(Trouble::Closed))) };
    // A certificate is for all of its names or for none.
    let name = shown.names.into_iter().find(|name| is_hostname(name));
    for server_name in std::iter::once(None).chain(name.map(Some)) {
        let known_by = server_name.clone().map_or(KnownBy::Host, KnownBy::Name);
        let addresses = vec![address.clone()];
        let endpoint = Endpoint { addresses, tls, server_name, ca_file: None, pin_sha256: Vec::new() };
        if reach.look::<P>(&Server::new(&endpoint, &address)?).await.is_ok() {
            return Ok(Ok(Some(known_by)));
        }
    }
    Ok(Ok(Some(KnownBy::Key(shown.key))))
}
