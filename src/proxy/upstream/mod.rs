//! The legacy servers behind the gate: what they offer, and logging in there with a grant.

mod check;
mod dial;
mod forwarding;
mod leg;
mod offering;
mod probe;

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::base::UpstreamName;
use crate::config::{self, Config};
use crate::protocol::imap::Imap;
use crate::protocol::pop3::Pop3;
use crate::protocol::smtp::Smtp;
use crate::protocol::{ClientOrigin, MailProtocol, Output, Refusal, Trouble, UpstreamLogin};
use crate::proxy::tls::{Stream, TlsError};
use leg::Leg;
use offering::Offerings;
pub(super) use offering::{Told, Ways};
pub use probe::{Probe, ProbeError, probe};

/// How long the gate waits at its start for what the upstreams offer; whoever connects meanwhile waits too.
const FIRST_HEARD_MAX: Duration = Duration::from_secs(2);

/// Every upstream.
pub struct Upstreams {
    pub(super) imap: Legs<Imap>,
    pub(super) pop3: Legs<Pop3>,
    pub(super) smtp: Legs<Smtp>,
    /// What the gate calls itself where it speaks for itself.
    own_name: String,
}

impl Upstreams {
    /// From the configuration; nothing is dialled yet.
    ///
    /// # Errors
    /// [`TlsError`] naming the file or name of an upstream that cannot be used.
    pub fn new(config: &Config) -> Result<Self, TlsError> {
        let (upstreams, own_name) = (&config.upstreams, &config.server.hostname);
        Ok(Self {
            imap: Legs::new(upstreams, own_name)?,
            pop3: Legs::new(upstreams, own_name)?,
            smtp: Legs::new(upstreams, own_name)?,
            own_name: own_name.clone(),
        })
    }

    /// Returns when every upstream was asked what it offers, or after two seconds.
    pub(super) async fn first_heard(&self) {
        let all = async { tokio::join!(self.imap.learn(), self.pop3.learn(), self.smtp.learn()) };
        // Whoever did not answer is asked again in the background.
        let _ = tokio::time::timeout(FIRST_HEARD_MAX, all).await;
    }

    /// Learns what the upstreams offer, again and again.
    pub(super) async fn keep_learning(self: Arc<Self>) {
        tokio::join!(self.imap.keep_learning(), self.pop3.keep_learning(), self.smtp.keep_learning());
    }
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
        /// Whether any byte of the password went out.
        credential_sent: bool,
    },
}

/// A connection that is logged in.
pub(super) struct Entered<P: MailProtocol> {
    pub(super) stream: Stream,
    /// Received behind the answer.
    pub(super) unread: Output,
    pub(super) welcome: P::Welcome,
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
    /// No TLS, or a certificate that was not accepted.
    #[error("the TLS handshake failed: {0}")]
    Handshake(#[source] io::Error),
    /// The connection broke.
    #[error("the connection broke: {0}")]
    Broken(#[source] io::Error),
    /// It was silent when it should have greeted.
    #[error("it did not {0} in time")]
    Silent(&'static str),
    /// It was silent when it should have answered a login.
    #[error("it did not answer the login in time")]
    Slow,
    /// What the dialogue found.
    #[error(transparent)]
    Said(Trouble),
    /// The configuration has no such upstream for this protocol.
    #[error("it does not speak this protocol here")]
    NotServed,
}

impl Failure {
    /// Whether the server itself is in trouble, and not just this login.
    fn is_outage(&self) -> bool {
        match self {
            Self::Resolve(_)
            | Self::Connect(_)
            | Self::Handshake(_)
            | Self::Silent(_)
            | Self::Said(Trouble::StartTls | Trouble::PreAuthenticated | Trouble::Garbage(_)) => true,
            Self::Broken(_)
            | Self::Slow
            | Self::NotServed
            | Self::Said(
                Trouble::InUse
                | Trouble::LoginDelay
                | Trouble::OfferChanged
                | Trouble::NoMechanism
                | Trouble::Closed
                | Trouble::Said(_),
            ) => false,
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
    /// The legs of all `upstreams` that speak `P`; `own_name` is what the gate calls itself there.
    pub(super) fn new(upstreams: &[config::Upstream], own_name: &str) -> Result<Self, TlsError> {
        let mut legs = Vec::new();
        for upstream in upstreams {
            legs.extend(Leg::new(upstream, own_name)?);
        }
        let names = upstreams.iter().map(|upstream| upstream.name.clone()).collect();
        Ok(Self(Arc::new(Shared { legs, names, offerings: Offerings::default() })))
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

    /// Asks each upstream once what it offers.
    async fn learn(&self) {
        self.for_each(|legs, name| async move { legs.learn_from(&name).await }).await;
    }

    async fn keep_learning(&self) {
        self.for_each(|legs, name| async move {
            while let Some(leg) = legs.leg(&name) {
                leg.stale().await;
                legs.learn_from(&name).await;
            }
        })
        .await;
    }

    /// Asks `upstream` what it offers; from then on clients are told.
    async fn learn_from(&self, upstream: &UpstreamName) {
        if let Some(leg) = self.leg(upstream)
            && leg.learn().await.is_ok()
        {
            self.0.offerings.refresh(&self.0.legs);
        }
    }

    /// Runs `work` for all upstreams at the same time; dropping this ends it.
    async fn for_each<F: Future<Output = ()> + Send + 'static>(
        &self,
        work: impl Fn(Self, UpstreamName) -> F,
    ) {
        let names = self.0.legs.iter().map(|leg| leg.upstream().clone());
        let mut all: JoinSet<()> = names.map(|name| work(self.clone(), name)).collect();
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
            None => Answer::Unavailable { failure: Failure::NotServed, credential_sent: false },
        }
    }
}

impl<P: MailProtocol> Clone for Legs<P> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}
