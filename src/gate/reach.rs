//! Where the names of one connection may lead: the upstreams behind its listener.
//!
//! The administrator says which those are, so this is a boundary. What a client was told before its login is none:
//! it follows from the host name that the client says it wants, which anybody may say.
//!
//! Whether an upstream can be asked at all is looked up anew for each attempt: a connection may be older than an
//! outage, and outlive it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::base::UpstreamName;

/// The upstreams of a connection. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Reach(Arc<[Led]>);

/// One of them.
#[derive(Clone, Debug)]
pub struct Led {
    /// Which.
    pub upstream: UpstreamName,
    /// Whether its client was told of something that is not there.
    pub misled: bool,
    /// Set while no server of it answers.
    pub down: Flag,
    /// Set while it has as many connections as it may have.
    pub full: Flag,
}

/// How an upstream stands to a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Its accounts may log in.
    Open,
    /// The client was told of something that is not there, and would be misunderstood.
    Misled,
    /// No server of it answers.
    Down,
    /// It has as many connections as it may have.
    Full,
}

/// Something that one side says and the other looks up. Clones are the same flag.
#[derive(Clone, Debug, Default)]
pub struct Flag(Arc<AtomicBool>);

impl Reach {
    /// Of these and no others.
    #[must_use]
    pub fn new(upstreams: impl IntoIterator<Item = Led>) -> Self {
        Self(upstreams.into_iter().collect())
    }

    /// The way to `upstream` now, if there is one.
    #[must_use]
    pub fn way_to(&self, upstream: &UpstreamName) -> Option<Way> {
        self.0.iter().find(|led| led.upstream == *upstream).map(Led::way)
    }
}

impl Led {
    /// To an upstream that can be asked as long as nobody says otherwise.
    #[must_use]
    pub fn to(upstream: UpstreamName) -> Self {
        Self { upstream, misled: false, down: Flag::default(), full: Flag::default() }
    }

    fn way(&self) -> Way {
        if self.misled {
            Way::Misled
        } else if self.down.is_set() {
            Way::Down
        } else if self.full.is_set() {
            Way::Full
        } else {
            Way::Open
        }
    }
}

impl Way {
    /// Why nobody is led there now, for the trail; `None` if it is open.
    pub(super) fn obstacle(self) -> Option<&'static str> {
        match self {
            Self::Open => None,
            Self::Misled => Some("its upstream lacks what the client was told under another's hostname"),
            Self::Down => Some("no server of its upstream answers"),
            Self::Full => Some("its upstream has as many connections as `max_connections` allows"),
        }
    }
}

impl Flag {
    /// From now on it says `value`.
    pub fn set(&self, value: bool) {
        self.0.store(value, Ordering::Relaxed);
    }

    /// What it says.
    #[must_use]
    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
