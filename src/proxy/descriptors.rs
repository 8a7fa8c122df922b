//! As many connections as the system gives descriptors for.
//!
//! A relayed session holds two: one to the client, one to the upstream. Running out of them would hurt the database
//! and the trail first, so the gate takes fewer connections instead, and says so.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// For the database, the trail, listeners, certificates, learning what upstreams offer, and logs.
const KEPT: u64 = 256;

/// Each session: to the client and to the upstream.
const EACH: u64 = 2;

/// Asks the system for as many descriptors as `connections` need, and so many `others`, which are no mail clients'. Returns
/// how many connections there can be: no more than `connections`, and at least one.
#[must_use]
pub fn fit(connections: u32, others: u64) -> u32 {
    let wanted = needed(connections, others);
    let granted = raise(wanted);
    let fitting = fitting(connections, granted.saturating_sub(others));
    if fitting < connections {
        tracing::warn!(
            configured = connections,
            served = fitting,
            descriptors = granted,
            hint = format!("raise `LimitNOFILE` of the unit to {wanted}, or lower the limit"),
            "the system gives fewer descriptors than `limits.connections` needs"
        );
    }
    fitting
}

/// How many descriptors so many connections, and so many `others`, need.
#[must_use]
pub fn needed(connections: u32, others: u64) -> u64 {
    KEPT + u64::from(connections) * EACH + others
}

/// How many this process could have.
#[must_use]
pub fn most() -> u64 {
    getrlimit(Resource::Nofile).maximum.unwrap_or(u64::MAX)
}

/// Raises the soft limit as far as the hard one allows and `wanted` needs; what holds then.
fn raise(wanted: u64) -> u64 {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let (Some(current), hard) = (current, maximum.unwrap_or(u64::MAX)) else { return u64::MAX };
    if current >= wanted {
        return current;
    }
    let raised = wanted.min(hard);
    match setrlimit(Resource::Nofile, Rlimit { current: Some(raised), maximum }) {
        Ok(()) => raised,
        Err(_) => current,
    }
}

fn fitting(connections: u32, descriptors: u64) -> u32 {
    let most = descriptors.saturating_sub(KEPT) / EACH;
    u32::try_from(most).unwrap_or(u32::MAX).clamp(1, connections.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_connection_has_two_descriptors_and_the_rest_is_kept() {
        assert_eq!(fitting(50_000, 1024), 384);
        assert_eq!(fitting(50_000, KEPT + 100_000), 50_000);
        assert_eq!(fitting(50_000, KEPT + 99_999), 49_999);
        assert_eq!(fitting(10, u64::MAX), 10);
        assert_eq!(fitting(10, 100), 1, "a gate that serves one at a time beats one that does not start");
    }
}
