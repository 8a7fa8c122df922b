//! The legacy servers behind the gate: what they offer, how they are, and logging in there with a grant.
//!
//! ```text
//!   Upstreams ─ Legs<P>: one protocol ─ Leg: one upstream ─ Server: one address ─ Breaker: is it asked?
//!                                        │                   └ conversation: dial, TLS, dialogue
//!                                        └ Seats: how many connections it may have, over all protocols
//! ```

mod breaker;
mod check;
mod conversation;
mod dial;
mod forwarding;
pub mod health;
mod leg;
mod offering;
mod probe;
mod seats;
mod server;

use std::future::Future;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::audit::Event;
use crate::base::{UpstreamName, is_exhausted};
use crate::config::{self, Config};
use crate::gate::Concerns;
use crate::protocol::imap::Imap;
use crate::protocol::pop3::Pop3;
use crate::protocol::smtp::Smtp;
use crate::protocol::{ClientOrigin, MailProtocol, Output, Refusal, Shown, Trouble, UpstreamLogin};

use crate::proxy::tls::{RefusedCertificate, Stream, TlsError};
pub(super) use dial::dial;
pub use health::{Health, HealthState, LastFailure, Load};
use leg::{Leg, Trail};
use offering::Offerings;
pub(super) use offering::{Told, Ways};
pub use probe::{KnownBy, Probe, ProbeError, probe};
pub(super) use seats::Seat;
use seats::Seats;

/// How long the gate waits at its start for what the upstreams offer; whoever connects meanwhile waits too.
const FIRST_HEARD_MAX: Duration = Duration::from_secs(2);

/// Every upstream.
pub struct Upstreams {
    pub(super) imap: Legs<Imap>,
    pub(super) pop3: Legs<Pop3>,
    pub(super) smtp: Legs<Smtp>,
    /// What the gate calls itself where it speaks for itself.
    own_name: String,
    /// Of each upstream, in the order of the configuration, and how many it shall have.
    seats: Vec<(Arc<Seats>, u32)>,
    /// Of upstreams that were there before and may come back while somebody sits there still.
    former_seats: Vec<Arc<Seats>>,
    /// What happened that the audit trail must know.
    events: Mutex<Option<mpsc::UnboundedReceiver<Event>>>,
}

impl Upstreams {
    /// From the configuration; nothing is dialled yet.
    ///
    /// # Errors
    /// [`TlsError`] naming the file or name of an upstream that cannot be used.
    pub fn new(config: &Config) -> Result<Self, TlsError> {
        Self::with_seats(config, &[])
    }

    /// The same after `before`: with what that had learned of the servers that are in both, and with their connections
    /// counted on. How many it allows holds from [`Upstreams::take_effect`] on.
    ///
    /// # Errors
    /// As [`Upstreams::new`].
    pub(super) fn new_after(before: &Self, config: &Config) -> Result<Self, TlsError> {
        let seats = before.seats.iter().map(|(seats, _)| seats).chain(&before.former_seats);
        let after = Self::with_seats(config, &seats.cloned().collect::<Vec<_>>())?;
        after.imap.inherit(&before.imap);
        after.pop3.inherit(&before.pop3);
        after.smtp.inherit(&before.smtp);
        Ok(after)
    }

    fn with_seats(config: &Config, before: &[Arc<Seats>]) -> Result<Self, TlsError> {
        let (upstreams, own_name) = (&config.upstreams, &config.server.hostname);
        let seats = seats_of(upstreams, before);
        let is_former = |former: &&Arc<Seats>| !seats.iter().any(|seats| Arc::ptr_eq(seats, former));
        let former_seats = before.iter().filter(is_former).cloned().collect();
        // As good as bounded: each server says something once a minute at most.
        let (trail, events) = mpsc::unbounded_channel();
        Ok(Self {
            imap: Legs::new(upstreams, &seats, own_name, &trail)?,
            pop3: Legs::new(upstreams, &seats, own_name, &trail)?,
            smtp: Legs::new(upstreams, &seats, own_name, &trail)?,
            own_name: own_name.clone(),
            seats: seats.into_iter().zip(upstreams.iter().map(|upstream| upstream.max_connections)).collect(),
            former_seats,
            events: Mutex::new(Some(events)),
        })
    }

    /// How every server of every upstream is, by protocol, then in the order of the configuration. Asks nobody.
    #[must_use]
    pub fn health(&self) -> Vec<Health> {
        self.imap.health().chain(self.pop3.health()).chain(self.smtp.health()).collect()
    }

    /// How many connections each upstream has with this process, in the order of the configuration.
    #[must_use]
    pub fn load(&self) -> Vec<Load> {
        let load = |(seats, _): &(Arc<Seats>, u32)| Load {
            upstream: seats.upstream.clone(),
            connections: seats.taken(),
            max_connections: seats.most(),
        };
        self.seats.iter().map(load).collect()
    }

    /// These are in force from now on.
    pub(super) fn take_effect(&self) {
        for (seats, most) in &self.seats {
            seats.allow(*most);
        }
    }

    /// Looks once at every server; returns when each has answered or failed. For commands that then ask for
    /// [`Upstreams::health`].
    pub async fn look(&self) {
        tokio::join!(self.imap.learn(), self.pop3.learn(), self.smtp.learn());
    }

    /// Returns when every upstream was asked what it offers, or after two seconds.
    pub(super) async fn first_heard(&self) {
        // Whoever did not answer is asked again in the background.
        let _ = tokio::time::timeout(FIRST_HEARD_MAX, self.look()).await;
    }

    /// What happens that the audit trail must know; for the first who asks.
    pub(super) fn events(&self) -> Option<mpsc::UnboundedReceiver<Event>> {
        self.events.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Learns what the upstreams offer, again and again.
    pub(super) async fn keep_learning(self: Arc<Self>) {
        tokio::join!(self.imap.keep_learning(), self.pop3.keep_learning(), self.smtp.keep_learning());
    }
}

/// Those in `before`, where they are of the same upstream.
fn seats_of(upstreams: &[config::Upstream], before: &[Arc<Seats>]) -> Vec<Arc<Seats>> {
    let seats = |upstream: &config::Upstream| {
        let same = before.iter().find(|seats| seats.upstream == upstream.name);
        same.map_or_else(|| Seats::new(&upstream.name, upstream.max_connections), Arc::clone)
    };
    upstreams.iter().map(seats).collect()
}

/// Every upstream that speaks one protocol. Cheap to clone.
pub(super) struct Legs<P: MailProtocol>(Arc<Shared<P>>);

struct Shared<P: MailProtocol> {
    /// In the order of the configuration.
    legs: Vec<Leg<P>>,
    /// Every upstream of the configuration, whatever it speaks.
    names: Vec<UpstreamName>,
    offerings: Offerings<P>,
}

/// What an upstream answered to a login.
pub(super) enum Answer<P: MailProtocol> {
    Yes(Entered<P>),
    /// A definite no to this name and password.
    No,
    Unavailable {
        failure: Failure,
        /// The most that went out to the server that was asked last.
        shown: Shown,
    },
}

/// A connection that is logged in.
pub(super) struct Entered<P: MailProtocol> {
    pub(super) stream: Stream,
    /// Received behind the answer.
    pub(super) unread: Output,
    pub(super) welcome: P::Welcome,
    /// Its place among the upstream's connections, to be held as long as the stream.
    pub(super) seat: Seat,
}

/// Why an upstream could not be asked.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// Its name has no address.
    #[error("its name cannot be resolved: {0}")]
    Resolve(#[source] io::Error),
    /// It refused the connection, or there is no way to it.
    #[error("it cannot be reached: {0}")]
    Connect(#[source] io::Error),
    /// No TLS.
    #[error("the TLS handshake failed: {0}")]
    Handshake(#[source] io::Error),
    /// A certificate that was not accepted.
    #[error("its certificate is refused: {}; expected is {expected}", .refused.why)]
    Certificate {
        /// What it showed, and why not.
        refused: RefusedCertificate,
        /// What it should have been.
        expected: String,
    },
    /// The connection broke.
    #[error("the connection broke: {0}")]
    Broken(#[source] io::Error),
    /// It was silent when it should have greeted.
    #[error("it did not {0} in time")]
    Silent(&'static str),
    /// It was silent when it should have answered a login.
    #[error("it did not answer the login in time")]
    Slow,
    /// The client had less time left than the server may take.
    #[error("the client's time was over before it answered")]
    ClientsTime,
    /// The gate had no time left.
    #[error("the gate stopped before it answered")]
    Stopping,
    /// What the dialogue found.
    #[error(transparent)]
    Said(Trouble),
    /// No server of it is asked just now.
    #[error("no server of it answers: {0}")]
    Down(String),
    /// It has as many connections as it may have.
    #[error("it has as many connections as `max_connections` allows")]
    Full,
    /// The configuration has no such upstream for this protocol.
    #[error("it does not speak this protocol here")]
    NotServed,
}

/// Whose fault a failure is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    /// It is in trouble itself.
    TheServers,
    /// It has heard whom this is about, and may want nothing of that one: a client must not make it look as if it were down
    /// for everybody. Who asks for nobody finds out.
    Unclear,
    /// This login's, or the gate's.
    NotTheServers,
}

impl Failure {
    /// What it says about the server, which was shown so much. Once it has heard a credential, a silence or a hang-up may be
    /// its answer to that.
    fn fault(&self, shown: Shown) -> Fault {
        match self {
            // A gate that has no descriptor left knows nothing about the server.
            Self::Resolve(error) | Self::Connect(error) if is_exhausted(error) => Fault::NotTheServers,
            Self::Resolve(_)
            | Self::Connect(_)
            | Self::Certificate { .. }
            | Self::Said(Trouble::StartTls | Trouble::PreAuthenticated) => Fault::TheServers,
            Self::Handshake(_)
            | Self::Silent(_)
            | Self::Broken(_)
            | Self::Slow
            | Self::Said(Trouble::Closed | Trouble::Garbage(_) | Trouble::Said(_)) => match shown {
                Shown::Nothing => Fault::TheServers,
                Shown::Client => Fault::Unclear,
                Shown::Credential => Fault::NotTheServers,
            },
            Self::Down(_)
            | Self::Full
            | Self::ClientsTime
            | Self::Stopping
            | Self::NotServed
            | Self::Said(
                Trouble::InUse | Trouble::LoginDelay | Trouble::OfferChanged | Trouble::NoMechanism,
            ) => Fault::NotTheServers,
        }
    }

    /// Whom it concerns, of those whom a server may know that was shown so much.
    pub(super) fn concerns(&self, shown: Shown) -> Concerns {
        match self {
            _ if self.fault(shown) == Fault::Unclear => Concerns::Mailbox,
            Self::ClientsTime | Self::Stopping => Concerns::Client,
            Self::Said(Trouble::InUse | Trouble::LoginDelay) => Concerns::Mailbox,
            Self::Said(Trouble::Said(_)) if shown == Shown::Credential => Concerns::Mailbox,
            Self::Resolve(_)
            | Self::Connect(_)
            | Self::Handshake(_)
            | Self::Certificate { .. }
            | Self::Broken(_)
            | Self::Silent(_)
            | Self::Slow
            | Self::Down(_)
            | Self::Full
            | Self::NotServed
            | Self::Said(
                Trouble::OfferChanged
                | Trouble::NoMechanism
                | Trouble::StartTls
                | Trouble::PreAuthenticated
                | Trouble::Closed
                | Trouble::Garbage(_)
                | Trouble::Said(_),
            ) => Concerns::Everybody,
        }
    }

    /// What a client is told.
    pub(super) fn refusal(&self) -> Refusal {
        let Self::Said(trouble) = self else { return Refusal::Unavailable };
        match trouble {
            Trouble::InUse => Refusal::InUse,
            Trouble::LoginDelay => Refusal::LoginDelay,
            Trouble::OfferChanged
            | Trouble::NoMechanism
            | Trouble::StartTls
            | Trouble::PreAuthenticated
            | Trouble::Closed
            | Trouble::Garbage(_)
            | Trouble::Said(_) => Refusal::Unavailable,
        }
    }
}

impl<P: MailProtocol> Legs<P> {
    /// The legs of all `upstreams` that speak `P`, with the seats of each; `own_name` is what the gate calls itself there.
    fn new(
        upstreams: &[config::Upstream],
        seats: &[Arc<Seats>],
        own_name: &str,
        trail: &Trail,
    ) -> Result<Self, TlsError> {
        let mut legs = Vec::new();
        for (upstream, seats) in upstreams.iter().zip(seats) {
            legs.extend(Leg::new(upstream, seats, own_name, trail)?);
        }
        let names = upstreams.iter().map(|upstream| upstream.name.clone()).collect();
        Ok(Self(Arc::new(Shared { legs, names, offerings: Offerings::default() })))
    }

    /// The same for tests, which look at nothing else.
    #[cfg(test)]
    pub(super) fn alone(upstreams: &[config::Upstream]) -> Self {
        let (trail, _) = mpsc::unbounded_channel();
        Self::new(upstreams, &seats_of(upstreams, &[]), "gate.example.org", &trail).unwrap()
    }

    fn inherit(&self, before: &Self) {
        for leg in &self.0.legs {
            if let Some(before) = before.leg(leg.upstream()) {
                leg.inherit(before);
            }
        }
    }

    /// Where a listener leads that the administrator has lead to `listed`; to every upstream if that is empty.
    pub(super) fn ways(&self, listed: &[UpstreamName]) -> Ways<P> {
        let Shared { legs, names, offerings } = &*self.0;
        offerings.ways(legs, if listed.is_empty() { names } else { listed })
    }

    fn leg(&self, upstream: &UpstreamName) -> Option<&Leg<P>> {
        self.0.legs.iter().find(|leg| leg.upstream() == upstream)
    }

    /// Whether `upstream` speaks `P`.
    fn serves(&self, upstream: &UpstreamName) -> bool {
        self.leg(upstream).is_some()
    }

    /// What a login at `upstream` takes at most.
    fn patience(&self, upstream: &UpstreamName) -> Duration {
        self.leg(upstream).map_or(Duration::ZERO, Leg::patience)
    }

    /// How its servers are.
    fn health(&self) -> impl Iterator<Item = Health> + '_ {
        self.0.legs.iter().flat_map(Leg::health)
    }

    /// Looks at each server once.
    async fn learn(&self) {
        self.for_each(|legs, leg, server| async move { legs.look(leg, server).await }).await;
    }

    async fn keep_learning(&self) {
        self.for_each(|legs, at, server| async move {
            while let Some(leg) = legs.0.legs.get(at) {
                leg.due(server).await;
                legs.look(at, server).await;
            }
        })
        .await;
    }

    /// Looks at one server of one leg; from then on clients are told what it offers.
    async fn look(&self, leg: usize, server: usize) {
        if let Some(leg) = self.0.legs.get(leg)
            && leg.look(server).await
        {
            self.0.offerings.refresh(&self.0.legs);
        }
    }

    /// Runs `work` for every server of every leg at the same time; dropping this ends it.
    async fn for_each<F: Future<Output = ()> + Send + 'static>(
        &self,
        work: impl Fn(Self, usize, usize) -> F,
    ) {
        let legs = self.0.legs.iter().enumerate();
        let places = legs.flat_map(|(at, leg)| (0..leg.servers()).map(move |server| (at, server)));
        let mut all: JoinSet<()> = places.map(|(leg, server)| work(self.clone(), leg, server)).collect();
        while all.join_next().await.is_some() {}
    }

    /// Logs in at `upstream`, for `client` if there is one, by `by` at the latest.
    pub(super) async fn log_in(
        &self,
        upstream: &UpstreamName,
        login: UpstreamLogin,
        introduction: P::Introduction,
        client: Option<ClientOrigin>,
        by: Instant,
    ) -> Answer<P> {
        match self.leg(upstream) {
            Some(leg) => leg.log_in(login, introduction, client, by).await,
            None => Answer::Unavailable { failure: Failure::NotServed, shown: Shown::Nothing },
        }
    }
}

impl<P: MailProtocol> Clone for Legs<P> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}
