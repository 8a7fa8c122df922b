//! One server of an upstream: where it is, who it must be, and how it has been lately.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use super::Failure;
use super::breaker::{Asked, Breaker, Change, Standing};
use super::health::{HealthState, LastFailure};
use crate::config::{Endpoint, EndpointTls, HostPort};
use crate::proxy::tls::{Connector, RefusedCertificate, TlsError};

/// A server that shows another bad certificate each time is told of so often at most.
const TOLD_EVERY: Duration = Duration::from_secs(60);

/// Clients that ask for looks, by whatever the server does not like about them, get no more of them.
const ASKED_EVERY: Duration = Duration::from_secs(2);

/// One server.
pub(super) struct Server {
    pub(super) address: HostPort,
    /// Where the leg is protected.
    pub(super) connector: Option<Connector>,
    lately: Mutex<Lately>,
    /// When to look may have changed.
    sooner: Notify,
}

struct Lately {
    breaker: Breaker,
    heard: bool,
    /// Somebody found that it offers something else, or may.
    look_now: bool,
    looked_at: Option<Instant>,
    connected_in: Option<Duration>,
    failure: Option<(String, Instant)>,
    /// What it shows, if that is refused.
    refused: Option<RefusedCertificate>,
    /// What was said of that last, and when.
    told: Option<(RefusedCertificate, Instant)>,
    /// It was well since.
    well_since: bool,
}

/// What there is to say after a conversation.
#[derive(Debug, Default)]
pub(super) struct News {
    pub(super) change: Option<Change>,
    /// A certificate that was refused, and was not told of yet.
    pub(super) refused: Option<RefusedCertificate>,
}

/// What is known of it, for [`super::Health`].
pub(super) struct Seen {
    pub(super) state: HealthState,
    pub(super) lasting: Duration,
    pub(super) heard: bool,
    pub(super) connected_in: Option<Duration>,
    pub(super) last_failure: Option<LastFailure>,
    pub(super) refused: Option<RefusedCertificate>,
}

impl Server {
    /// The one at `address` of `endpoint`.
    pub(super) fn new(endpoint: &Endpoint, address: &HostPort) -> Result<Self, TlsError> {
        let connector = match endpoint.tls {
            EndpointTls::None => None,
            EndpointTls::Starttls | EndpointTls::Implicit => {
                Some(Connector::new(endpoint, endpoint.name_of(address))?)
            }
        };
        Ok(Self::with(address.clone(), connector))
    }

    /// The one at `address`, as far as `connector` takes it for that.
    pub(super) fn with(address: HostPort, connector: Option<Connector>) -> Self {
        let lately = Lately {
            breaker: Breaker::new(Instant::now()),
            heard: false,
            look_now: false,
            looked_at: None,
            connected_in: None,
            failure: None,
            refused: None,
            told: None,
            well_since: false,
        };
        Self { address, connector, lately: Mutex::new(lately), sooner: Notify::new() }
    }

    /// How it stands, for those who choose one.
    pub(super) fn standing(&self) -> Standing {
        self.lately().breaker.standing()
    }

    /// Why it is left alone, in words.
    pub(super) fn last_failure(&self) -> Option<String> {
        self.lately().failure.as_ref().map(|(reason, _)| reason.clone())
    }

    /// It did what a server does; the connection came about within `connected_in`.
    pub(super) fn succeeded(&self, asked: Asked, connected_in: Duration) -> News {
        let mut lately = self.lately();
        lately.heard = true;
        lately.connected_in = Some(connected_in);
        let change = lately.breaker.succeeded(asked, Instant::now());
        if lately.breaker.standing() == Standing::Well {
            lately.refused = None;
        }
        lately.well_since |= asked == Asked::ToSee;
        News { change, refused: None }
    }

    /// It failed, by its own fault.
    pub(super) fn failed(&self, asked: Asked, failure: &Failure) -> News {
        let now = Instant::now();
        let mut lately = self.lately();
        lately.failure = Some((failure.to_string(), now));
        let mut news = News::default();
        if let Failure::Certificate { refused, .. } = failure {
            news.change = lately.breaker.unmasked(asked, now);
            lately.refused = Some(refused.clone());
            if lately.is_news(refused, now) {
                lately.told = Some((refused.clone(), now));
                lately.well_since = false;
                news.refused = Some(refused.clone());
            }
        } else {
            news.change = lately.breaker.failed(asked, now);
        }
        drop(lately);
        self.sooner.notify_one();
        news
    }

    /// It failed, and that may be about the client alone: only a look can tell.
    pub(super) fn failed_perhaps(&self, failure: &Failure) {
        self.lately().failure = Some((failure.to_string(), Instant::now()));
        self.look_now();
    }

    /// Asks for a look now.
    pub(super) fn look_now(&self) {
        self.lately().look_now = true;
        self.sooner.notify_one();
    }

    /// Returns when it should be looked at: `usual` after the last time, soon where something is wrong, and at once
    /// when somebody asked for it, or almost.
    pub(super) async fn due(&self, usual: Duration) {
        let usual = Instant::now() + usual;
        loop {
            let at = {
                let lately = self.lately();
                // Whoever looked first may have been stopped before it answered.
                if !lately.heard && lately.failure.is_none() {
                    return;
                }
                let asked = lately
                    .look_now
                    .then(|| lately.looked_at.map_or_else(Instant::now, |at| at + ASKED_EVERY));
                [asked, lately.breaker.look_at()].into_iter().flatten().fold(usual, Instant::min)
            };
            tokio::select! {
                () = sleep_until(at) => return,
                () = self.sooner.notified() => {}
            }
        }
    }

    /// A look begins.
    pub(super) fn look_begins(&self) {
        let (mut lately, now) = (self.lately(), Instant::now());
        (lately.look_now, lately.looked_at) = (false, Some(now));
        lately.breaker.look_begins(now);
    }

    /// What is known of it.
    pub(super) fn seen(&self) -> Seen {
        let (lately, now) = (self.lately(), Instant::now());
        let state = match lately.breaker.standing() {
            Standing::Well => HealthState::Up,
            Standing::InDoubt => HealthState::InDoubt,
            Standing::Down => HealthState::Down,
        };
        Seen {
            state,
            lasting: now.saturating_duration_since(lately.breaker.since()),
            heard: lately.heard,
            connected_in: lately.connected_in,
            last_failure: lately.failure.as_ref().map(|(reason, at)| LastFailure {
                reason: reason.clone(),
                ago: now.saturating_duration_since(*at),
            }),
            refused: lately.refused.clone(),
        }
    }

    fn lately(&self) -> MutexGuard<'_, Lately> {
        self.lately.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lately {
    fn is_news(&self, refused: &RefusedCertificate, now: Instant) -> bool {
        match &self.told {
            None => true,
            Some((told, at)) => {
                let is_another = told != refused || self.well_since;
                is_another && now.saturating_duration_since(*at) >= TOLD_EVERY
            }
        }
    }
}
