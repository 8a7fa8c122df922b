//! `[limits]`: only failures and what precedes login are limited; success costs nothing.

use std::time::Duration;

use crate::base::NetworkList;

/// `{ burst, per }`: so many failures at once, regained evenly over the time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// At least 1.
    pub burst: u32,
    /// Longer than zero.
    pub per: Duration,
}

/// The limits.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Failures of one /32 or /64. 20 in 10 min.
    pub per_network: Rate,
    /// Failures of one account. 10 in 10 min.
    pub per_account: Rate,
    /// Connections of one network before login. 200.
    pub preauth_per_network: u32,
    /// Relayed sessions of one account at a time. 100.
    pub sessions_per_account: u32,
    /// Connections in all. 50,000.
    pub connections: u32,
    /// Networks whose failures are not counted.
    pub exempt: NetworkList,
    /// For everything before login, from accept on. 60 s.
    pub auth_deadline: Duration,
    /// The least time a refusal takes. 3 s.
    pub failure_delay: Duration,
    /// Silence in both directions that ends a session. 35 min; at least 31 min, because IDLE clients are
    /// silent for 29 (RFC 2177).
    pub idle: Duration,
    /// For the TLS handshake, within `auth_deadline`. 10 s.
    pub tls_deadline: Duration,
    /// How long a proven login may pass without argon2; sliding, 24 h at most; zero turns it off. 1 h.
    pub proof_cache: Duration,
}
