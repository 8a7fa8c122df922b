//! `[limits]`: only failures and what precedes login are limited; success costs nothing.

use std::time::Duration;

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};

use super::count::Count;
use super::document::Raw;
use super::duration::{self, DurationText};
use super::networks::Networks;
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
    /// Failures of one /32 or /64. 20 in 10 min; more slowly for one that goes on failing.
    pub per_network: Rate,
    /// Failures of one account. 10 in 10 min; likewise.
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

#[derive(Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawLimits {
    per_network: RawRate,
    per_account: RawRate,
    preauth_per_network: Count,
    sessions_per_account: Count,
    connections: Count,
    exempt: Networks,
    #[serde(deserialize_with = "duration::longer_than_zero")]
    auth_deadline: DurationText,
    failure_delay: DurationText,
    #[serde(deserialize_with = "idle")]
    idle: DurationText,
    #[serde(deserialize_with = "duration::longer_than_zero")]
    tls_deadline: DurationText,
    #[serde(deserialize_with = "proof_cache")]
    proof_cache: DurationText,
}

#[derive(Clone, Copy, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawRate {
    burst: Count,
    #[serde(deserialize_with = "duration::longer_than_zero")]
    per: DurationText,
}

impl RawRate {
    pub(super) const fn new(burst: u32, per: Duration) -> Self {
        Self { burst: Count::at_least_one(burst), per: DurationText(per) }
    }

    pub(super) fn rate(self) -> Rate {
        Rate { burst: self.burst.number(), per: self.per.0 }
    }
}

impl From<Rate> for RawRate {
    fn from(rate: Rate) -> Self {
        Self::new(rate.burst, rate.per)
    }
}

impl Raw for RawLimits {}

impl Default for RawLimits {
    fn default() -> Self {
        let time = |seconds| DurationText(Duration::from_secs(seconds));
        let ten_minutes = Duration::from_secs(600);
        Self {
            per_network: RawRate::new(20, ten_minutes),
            per_account: RawRate::new(10, ten_minutes),
            preauth_per_network: Count::at_least_one(200),
            sessions_per_account: Count::at_least_one(100),
            connections: Count::at_least_one(50_000),
            exempt: Networks(NetworkList::default()),
            auth_deadline: time(60),
            failure_delay: time(3),
            idle: time(35 * 60),
            tls_deadline: time(10),
            proof_cache: time(3600),
        }
    }
}

impl RawLimits {
    /// What does not fit together, if anything.
    pub(super) fn check(self) -> Result<Limits, String> {
        let within = |name: &str, time: Duration| {
            let deadline = self.auth_deadline.0;
            if time < deadline {
                return Ok(());
            }
            Err(format!(
                "`{name}` ({}) is not shorter than `auth_deadline` ({}) in `[limits]`: no login could end in time\nhint: shorten `{name}` or lengthen `auth_deadline`",
                duration::format(time),
                duration::format(deadline),
            ))
        };
        within("tls_deadline", self.tls_deadline.0)?;
        within("failure_delay", self.failure_delay.0)?;
        Ok(Limits {
            per_network: self.per_network.rate(),
            per_account: self.per_account.rate(),
            preauth_per_network: self.preauth_per_network.number(),
            sessions_per_account: self.sessions_per_account.number(),
            connections: self.connections.number(),
            exempt: self.exempt.0,
            auth_deadline: self.auth_deadline.0,
            failure_delay: self.failure_delay.0,
            idle: self.idle.0,
            tls_deadline: self.tls_deadline.0,
            proof_cache: self.proof_cache.0,
        })
    }
}

impl From<&Limits> for RawLimits {
    fn from(limits: &Limits) -> Self {
        Self {
            per_network: limits.per_network.into(),
            per_account: limits.per_account.into(),
            preauth_per_network: Count::at_least_one(limits.preauth_per_network),
            sessions_per_account: Count::at_least_one(limits.sessions_per_account),
            connections: Count::at_least_one(limits.connections),
            exempt: Networks(limits.exempt.clone()),
            auth_deadline: DurationText(limits.auth_deadline),
            failure_delay: DurationText(limits.failure_delay),
            idle: DurationText(limits.idle),
            tls_deadline: DurationText(limits.tls_deadline),
            proof_cache: DurationText(limits.proof_cache),
        }
    }
}

fn idle<'de, D: Deserializer<'de>>(deserializer: D) -> Result<DurationText, D::Error> {
    let time = DurationText::deserialize(deserializer)?;
    if time.0 < Duration::from_secs(31 * 60) {
        return Err(D::Error::custom(format!(
            "`{}` would cut off clients that wait for mail: they are silent for 29 minutes at a time (RFC 2177)\nhint: write `31m` or more; the default is `35m`",
            duration::format(time.0)
        )));
    }
    Ok(time)
}

fn proof_cache<'de, D: Deserializer<'de>>(deserializer: D) -> Result<DurationText, D::Error> {
    let time = DurationText::deserialize(deserializer)?;
    if time.0 > Duration::from_secs(24 * 3600) {
        return Err(D::Error::custom(format!(
            "`{}` is longer than a proof may be remembered\nhint: write `24h` or less; the default is `1h`",
            duration::format(time.0)
        )));
    }
    Ok(time)
}
