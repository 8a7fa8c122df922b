//! The proxy: listeners, TLS, the driver of the dialogues, the upstreams and the relay.
//!
//! Everybody who connects is a stranger, and an upstream may be anybody until it was verified. The proxy moves
//! bytes and keeps time; what a line means is the dialogues' to know, and who may pass is the gate's. It must
//! never open a relay without a [`crate::gate::Passage`], and never log content.

mod arrival;
mod buffers;
pub mod descriptors;
pub mod driver;
pub mod listener;
pub mod permits;
pub mod relay;
mod seldom;
pub mod session;
#[cfg(test)]
mod testing;
pub mod tls;
pub mod upstream;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use crate::audit::Event;
use crate::base::{Clock, Protocol};
use crate::config::{self, Config, Limits};
use crate::gate::Authenticator;
use crate::protocol::{MailProtocol, Wording};
use arrival::Arrivals;
use buffers::Buffers;
pub use listener::BindError;
use permits::Permits;
use session::Door;
use tls::{Acceptor, Certificates, TlsError};
use upstream::Legs;
pub use upstream::Upstreams;

/// What sessions may take to end once the gate stops: the relay's own limit and the last record.
const DRAIN_MAX: Duration = Duration::from_secs(relay::DRAIN_MAX.as_secs() + 3);

/// Every listener, bound and not serving yet: the kernel keeps those who connect waiting.
pub struct Bound {
    doors: Vec<(config::Listener, TcpListener)>,
    certificates: Arc<Certificates>,
    limits: Arc<Limits>,
    wording: Arc<Wording>,
}

/// Why the proxy cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A listener's address.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// A certificate or key.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// What every door needs.
struct Common {
    certificates: Arc<Certificates>,
    limits: Arc<Limits>,
    wording: Arc<Wording>,
    gate: Arc<Authenticator>,
    clock: Arc<dyn Clock>,
    permits: Permits,
    buffers: Buffers,
    closing: watch::Receiver<bool>,
}

impl Bound {
    /// Reads the certificates and binds every listener.
    ///
    /// # Errors
    /// [`StartError`] naming the file or address.
    pub fn new(config: &Config) -> Result<Self, StartError> {
        let certificates = Arc::new(Certificates::load(&config.certificates)?);
        let doors = config
            .listeners
            .iter()
            .map(|door| Ok((door.clone(), listener::bind(door.address)?)))
            .collect::<Result<_, BindError>>()?;
        let wording = Wording {
            hostname: config.server.hostname.clone(),
            portal: config.portal.as_ref().map(|portal| portal.public_url.clone()),
            language: config.server.refusal_text,
        };
        Ok(Self { doors, certificates, limits: Arc::new(config.limits.clone()), wording: Arc::new(wording) })
    }

    /// Where it listens, in the order of the configuration; port 0 there is a real port here.
    #[must_use]
    pub fn addresses(&self) -> Vec<(Protocol, SocketAddr)> {
        self.doors
            .iter()
            .filter_map(|(door, socket)| Some((door.protocol, socket.local_addr().ok()?)))
            .collect()
    }

    /// Serves until `closing` turns true, then lets the sessions end and returns.
    ///
    /// # Errors
    /// [`StartError::Tls`], before anybody is served.
    pub async fn serve(
        self,
        gate: Arc<Authenticator>,
        upstreams: Arc<Upstreams>,
        clock: Arc<dyn Clock>,
        closing: watch::Receiver<bool>,
    ) -> Result<(), StartError> {
        let permits = Permits::new(&self.limits);
        let common = Common {
            certificates: self.certificates,
            limits: self.limits,
            wording: self.wording,
            gate,
            clock,
            permits: permits.clone(),
            buffers: Buffers::default(),
            closing: closing.clone(),
        };
        // Dropping the set ends what is left of it.
        let mut learning = JoinSet::new();
        learning.spawn(record(upstreams.events(), Arc::clone(&common.gate)));
        upstreams.first_heard().await;
        learning.spawn(Arc::clone(&upstreams).keep_learning());
        let mut doors = JoinSet::new();
        for (listener, socket) in self.doors {
            match listener.protocol {
                Protocol::Imap => common.open(&listener, socket, &upstreams.imap, &mut doors)?,
                Protocol::Pop3 => common.open(&listener, socket, &upstreams.pop3, &mut doors)?,
                Protocol::Smtp => common.open(&listener, socket, &upstreams.smtp, &mut doors)?,
            }
        }
        while doors.join_next().await.is_some() {}
        if !permits.all_gone(DRAIN_MAX).await {
            tracing::warn!("sessions were still open when the gate stopped");
        }
        Ok(())
    }
}

/// Records what the upstreams tell.
async fn record(events: Option<mpsc::UnboundedReceiver<Event>>, gate: Arc<Authenticator>) {
    let Some(mut events) = events else { return };
    while let Some(event) = events.recv().await {
        gate.record(event).await;
    }
}

impl Common {
    fn open<P: MailProtocol>(
        &self,
        listener: &config::Listener,
        socket: TcpListener,
        legs: &Legs<P>,
        doors: &mut JoinSet<()>,
    ) -> Result<(), TlsError> {
        let door = Arc::new(Door {
            acceptor: Acceptor::new(Arc::clone(&self.certificates), P::PROTOCOL)?,
            arrivals: Arrivals::new(listener.proxy_protocol_from.clone()),
            tls: listener.tls,
            wording: Arc::clone(&self.wording),
            limits: Arc::clone(&self.limits),
            gate: Arc::clone(&self.gate),
            ways: legs.ways(&listener.upstreams),
            legs: legs.clone(),
            permits: self.permits.clone(),
            buffers: self.buffers.clone(),
            clock: Arc::clone(&self.clock),
            closing: self.closing.clone(),
        });
        let serve = move |tcp, client, place| session::serve(Arc::clone(&door), tcp, client, place);
        doors.spawn(listener::accept_all(socket, self.permits.clone(), self.closing.clone(), serve));
        Ok(())
    }
}

#[cfg(test)]
mod tests;
