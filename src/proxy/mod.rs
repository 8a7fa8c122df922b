//! The proxy: listeners, TLS, the driver of the dialogues, the upstreams and the relay.
//!
//! Everybody who connects is a stranger, and an upstream may be anybody until it was verified. The proxy moves
//! bytes and keeps time; what a line means is the dialogues' to know, and who may pass is the gate's. It must
//! never open a relay without a [`crate::gate::Passage`], and never log content.

mod arrival;
mod buffers;
pub mod descriptors;
mod doors;
mod drain;
pub mod driver;
pub mod examine;
pub mod inherited;
mod lanes;
pub mod listener;
pub mod permits;
mod reason;
pub mod relay;
mod seldom;
pub mod session;
mod socket;
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
use crate::base::{Clock, Protocol, Timestamp};
use crate::config::{self, Config, Limits};
use crate::gate::Authenticator;
use crate::protocol::{MailProtocol, Wording};
pub use arrival::Arrivals;
use buffers::Buffers;
pub use doors::{Connections, Served};
use doors::{Doors, Serve, Wanted};
use inherited::{Inherited, InheritedError};
pub use lanes::Lanes;
pub use listener::{BindError, accept_all, bind};
pub use permits::Permits;
pub use seldom::Seldom;
use session::Door;
use tls::{Acceptors, Certificates, TlsError};
use upstream::Legs;
pub use upstream::Upstreams;

/// What sessions may take to end once the gate stops, beyond what their relay may: the last words and the last record.
const LAST_WORDS: Duration = Duration::from_secs(3);

/// What it takes to cut off those that took longer.
const CUT_OFF_MAX: Duration = Duration::from_secs(1);

/// One reading of the configuration, ready to be served: all that can fail has been done.
pub struct Prepared {
    /// With a socket where there is no door yet.
    listeners: Vec<(config::Listener, Option<TcpListener>)>,
    acceptors: Arc<Acceptors>,
    upstreams: Arc<Upstreams>,
    limits: Arc<Limits>,
    wording: Arc<Wording>,
    drain: Duration,
}

/// Every listener, open.
pub struct Proxy {
    doors: Doors,
    acceptors: Arc<Acceptors>,
    upstreams: watch::Sender<Arc<Upstreams>>,
    /// What upstreams offer is learned until this is dropped.
    learning: JoinSet<()>,
    /// What they tell is recorded, for as long as there are sessions of theirs.
    recording: JoinSet<()>,
    drain: Duration,
    common: Common,
}

/// Why the proxy cannot serve a configuration.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A listener's address.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// A socket that came with the process.
    #[error(transparent)]
    Inherited(#[from] InheritedError),
    /// A certificate or key.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// What every door needs, whatever the configuration.
struct Common {
    gate: Arc<Authenticator>,
    clock: Arc<dyn Clock>,
    permits: Permits,
    buffers: Buffers,
    closing: watch::Receiver<bool>,
}

impl Prepared {
    /// Reads certificates and binds every listener whose socket is not among `inherited`. The kernel keeps those who
    /// connect waiting until it is served.
    ///
    /// # Errors
    /// [`StartError`] naming the file or address.
    pub fn first(config: &Config, mut inherited: Inherited) -> Result<Self, StartError> {
        let acceptors = Acceptors::new(Certificates::load(&config.certificates)?)?;
        let socket = |door: &config::Listener| inherited.take_or_bind(door.address);
        let sockets = config.listeners.iter().map(socket).map(|bound| bound.map(Some));
        let sockets = sockets.collect::<Result<_, BindError>>()?;
        inherited.all_taken()?;
        let upstreams = Arc::new(Upstreams::new(config)?);
        Ok(Self::new(config, sockets, Arc::new(acceptors), upstreams))
    }

    fn new(
        config: &Config,
        sockets: Vec<Option<TcpListener>>,
        acceptors: Arc<Acceptors>,
        upstreams: Arc<Upstreams>,
    ) -> Self {
        let wording = Wording {
            hostname: config.server.hostname.clone(),
            portal: config.portal.as_ref().map(|portal| portal.public_url.clone()),
            language: config.server.refusal_text,
        };
        let (limits, wording) = (Arc::new(config.limits.clone()), Arc::new(wording));
        let listeners = config.listeners.iter().cloned().zip(sockets).collect();
        Self { listeners, acceptors, upstreams, limits, wording, drain: config.server.drain }
    }

    /// Which sockets it brings, in the order of the configuration; port 0 there is a real port here.
    #[must_use]
    pub fn addresses(&self) -> Vec<(Protocol, SocketAddr)> {
        let bound = self.listeners.iter().filter_map(|(door, socket)| Some((door, socket.as_ref()?)));
        bound.filter_map(|(door, socket)| Some((door.protocol, socket.local_addr().ok()?))).collect()
    }

    /// What is wrong with the dates of a certificate.
    #[must_use]
    pub fn out_of_date(&self, now: Timestamp) -> Option<TlsError> {
        self.acceptors.certificates().out_of_date(now, None)
    }
}

impl Proxy {
    /// Opens every door, once the upstreams have said what they offer or had the time to. Serves in `lanes` until
    /// `closing` turns true.
    pub async fn open(
        prepared: Prepared,
        lanes: &Lanes,
        gate: Arc<Authenticator>,
        clock: Arc<dyn Clock>,
        closing: watch::Receiver<bool>,
    ) -> Self {
        let Limits { connections, preauth_per_network, .. } = *prepared.limits;
        let permits = Permits::new(connections, preauth_per_network);
        let doors = Doors::new(lanes.handles().to_vec(), permits.clone(), closing.clone());
        prepared.upstreams.first_heard().await;
        let mut proxy = Self {
            doors,
            acceptors: Arc::clone(&prepared.acceptors),
            upstreams: watch::Sender::new(Arc::clone(&prepared.upstreams)),
            learning: JoinSet::new(),
            recording: JoinSet::new(),
            drain: prepared.drain,
            common: Common { gate, clock, permits, buffers: Buffers::default(), closing },
        };
        proxy.adopt(prepared);
        proxy
    }

    /// Makes another configuration ready, changing nothing yet.
    ///
    /// # Errors
    /// [`StartError`] naming the file or address. A certificate that is out of date is one, unless it is in use already.
    pub async fn prepare(&self, config: &Config) -> Result<Prepared, StartError> {
        let certificates = Certificates::load(&config.certificates)?;
        let in_use = self.acceptors.certificates();
        if let Some(error) = certificates.out_of_date(self.common.clock.now(), Some(in_use)) {
            return Err(error.into());
        }
        let acceptors = if self.acceptors.present(&certificates) {
            Arc::clone(&self.acceptors)
        } else {
            Arc::new(Acceptors::new(certificates)?)
        };
        let upstreams = Arc::new(Upstreams::new_after(&self.upstreams.borrow(), config)?);
        let addresses = config.listeners.iter().map(|door| door.address);
        let sockets = addresses.clone().zip(self.doors.lacking(addresses));
        let bind = |(address, lacks): (SocketAddr, bool)| lacks.then(|| bind(address)).transpose();
        let sockets = sockets.map(bind).collect::<Result<_, BindError>>()?;
        upstreams.first_heard().await;
        Ok(Prepared::new(config, sockets, acceptors, upstreams))
    }

    /// Who connects from now on is served by what was prepared, which is of the reading that the gate has adopted; who is
    /// logged in goes on as before. Returns the addresses at which nobody listens any more.
    pub fn adopt(&mut self, prepared: Prepared) -> Vec<SocketAddr> {
        let Prepared { listeners, acceptors, upstreams, limits, wording, drain } = prepared;
        self.common.permits.adopt(&limits);
        upstreams.take_effect();
        self.upstreams.send_replace(Arc::clone(&upstreams));
        (self.acceptors, self.drain) = (acceptors, drain);
        let wanted = listeners.into_iter().map(|(listener, socket)| {
            let serve = match listener.protocol {
                Protocol::Imap => self.behind(&listener, &upstreams.imap, &limits, &wording),
                Protocol::Pop3 => self.behind(&listener, &upstreams.pop3, &limits, &wording),
                Protocol::Smtp => self.behind(&listener, &upstreams.smtp, &limits, &wording),
            };
            Wanted { address: listener.address, socket, serve }
        });
        let wanted = wanted.collect();
        // Dropping the set ends what is left of it.
        self.learning = JoinSet::new();
        self.learning.spawn(Arc::clone(&upstreams).keep_learning());
        while self.recording.try_join_next().is_some() {}
        self.recording.spawn(record(upstreams.events(), Arc::clone(&self.common.gate)));
        self.doors.adopt(wanted)
    }

    /// What is behind one door.
    fn behind<P: MailProtocol>(
        &self,
        listener: &config::Listener,
        legs: &Legs<P>,
        limits: &Arc<Limits>,
        wording: &Arc<Wording>,
    ) -> Arc<Serve> {
        let Common { gate, clock, permits, buffers, closing } = &self.common;
        let door = Arc::new(Door {
            acceptor: self.acceptors.of(P::PROTOCOL),
            arrivals: Arrivals::new(listener.proxy_protocol_from.clone()),
            tls: listener.tls,
            wording: Arc::clone(wording),
            limits: Arc::clone(limits),
            drain: self.drain,
            gate: Arc::clone(gate),
            reading: gate.reading(),
            ways: legs.ways(&listener.upstreams),
            legs: legs.clone(),
            permits: permits.clone(),
            buffers: buffers.clone(),
            clock: Arc::clone(clock),
            closing: closing.clone(),
        });
        Arc::new(move |tcp, peer, place| Box::pin(session::serve(Arc::clone(&door), tcp, peer, place)))
    }

    /// The upstreams of the configuration that is in force, now and later.
    #[must_use]
    pub fn upstreams(&self) -> watch::Receiver<Arc<Upstreams>> {
        self.upstreams.subscribe()
    }

    /// The certificates that are in force, for whoever serves browsers.
    #[must_use]
    pub fn tls_for_browsers(&self) -> Arc<rustls::ServerConfig> {
        self.acceptors.for_browsers()
    }

    /// The certificate that a browser which asks for `name` is shown, and its key.
    #[must_use]
    pub fn certificate_of(&self, name: &str) -> Arc<rustls::sign::CertifiedKey> {
        self.acceptors.certificates().choose(Some(name))
    }

    /// Whether somebody accepts at every door.
    #[must_use]
    pub fn is_attended(&self) -> bool {
        self.doors.are_attended()
    }

    /// How long sessions may take to end once `closing` turns true.
    #[must_use]
    pub fn drain(&self) -> Duration {
        self.drain
    }

    /// Returns when `closing` turned true and the connections have ended, or had the time to and were cut off.
    pub async fn drained(mut self) {
        self.doors.closed().await;
        if !self.common.permits.all_gone(self.drain + LAST_WORDS).await {
            tracing::warn!("connections were still open when the gate stopped: they are cut off");
            self.doors.cut_off();
            self.common.permits.all_gone(CUT_OFF_MAX).await;
        }
    }
}

/// Records what the upstreams tell.
async fn record(events: Option<mpsc::UnboundedReceiver<Event>>, gate: Arc<Authenticator>) {
    let Some(mut events) = events else { return };
    while let Some(event) = events.recv().await {
        gate.record(event).await;
    }
}

#[cfg(test)]
mod tests;
