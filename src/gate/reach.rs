//! Where the names of one connection may lead: the upstreams behind its listener.
//!
//! The administrator says which those are, so this is a boundary. What a client was told before its login is none:
//! it follows from the host name that the client says it wants, which anybody may say.

use std::sync::Arc;

use crate::base::UpstreamName;

/// The upstreams of a connection. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Reach(Arc<[(UpstreamName, Way)]>);

/// How an upstream stands to a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Its accounts may log in.
    Open,
    /// The client was told of something that is not there, and would be misunderstood.
    Misled,
}

impl Reach {
    /// Of these and no others.
    #[must_use]
    pub fn new(upstreams: impl IntoIterator<Item = (UpstreamName, Way)>) -> Self {
        Self(upstreams.into_iter().collect())
    }

    /// The way to `upstream`, if there is one.
    #[must_use]
    pub fn way_to(&self, upstream: &UpstreamName) -> Option<Way> {
        self.0.iter().find(|(name, _)| name == upstream).map(|(_, way)| *way)
    }
}
