//! How the upstreams are, for those who watch: metrics, `doctor`. Looking asks nobody and changes nothing.
//!
//! Failures are told in the gate's own words and what a server said, cleaned; no secret is among them.

use std::time::Duration;

use crate::base::{Protocol, UpstreamName};
use crate::config::HostPort;
use crate::proxy::tls::RefusedCertificate;

/// One server of one protocol of an upstream, at the moment of the question.
#[derive(Clone, Debug)]
pub struct Health {
    /// Whose it is.
    pub upstream: UpstreamName,
    /// What it speaks.
    pub protocol: Protocol,
    /// Where it is.
    pub address: HostPort,
    /// How it stands.
    pub state: HealthState,
    /// For how long it has been up (well or in doubt), or down.
    pub lasting: Duration,
    /// Whether it ever answered this process.
    pub heard: bool,
    /// How long dialling, TLS and greeting took together, the last time that they came about.
    pub connected_in: Option<Duration>,
    /// What went wrong last, by its own fault; it may be well again.
    pub last_failure: Option<LastFailure>,
    /// The certificate for which nothing is sent there, while that is so.
    pub refused_certificate: Option<RefusedCertificate>,
}

/// How a server stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HealthState {
    /// It answers, as far as is known.
    Up,
    /// It failed just now; others of its upstream are asked first.
    InDoubt,
    /// It is left alone, but for a look now and then.
    Down,
}

/// What went wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastFailure {
    /// In words.
    pub reason: String,
    /// How long ago.
    pub ago: Duration,
}

/// How busy an upstream is with this process, over all protocols.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Load {
    /// Which.
    pub upstream: UpstreamName,
    /// Sessions, and logins under way.
    pub connections: u32,
    /// `max_connections`, if there is a limit.
    pub max_connections: Option<u32>,
}
