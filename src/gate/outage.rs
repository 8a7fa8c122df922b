//! While something that could prove a password is not available, nobody is told that one is wrong.
//!
//! An attempt that goes upstream learns of an outage by itself. One that does not (a wrong app password, a mailbox
//! password although a factor is bound) would still hear a plain no, and the difference would tell a guesser that
//! the account exists and is bound. So the last outage of each upstream and of the argon2 workers is remembered
//! for a short while, and every unproven attempt hears *unavailable*, after the time that it took to find out.

use std::collections::HashMap;
use std::time::Duration;

use super::timing;
use crate::base::{Monotonic, Protocol, UpstreamName};

/// How long an outage is believed in when nobody asks the upstream meanwhile.
const UPSTREAM_REMEMBERED: Duration = Duration::from_secs(60);

/// The queue of the argon2 workers empties within seconds.
const WORKERS_REMEMBERED: Duration = Duration::from_secs(2);

/// The outages of late. At most one entry per upstream and protocol.
#[derive(Default)]
pub(super) struct Outages {
    upstreams: HashMap<(UpstreamName, Protocol), Seen>,
    workers_busy_at: Option<Monotonic>,
}

struct Seen {
    at: Monotonic,
    /// How long it takes to find out, with room.
    shows_after: Duration,
}

impl Outages {
    /// The upstream could not be asked, which showed after `took`.
    pub(super) fn failed(
        &mut self,
        upstream: &UpstreamName,
        protocol: Protocol,
        took: Duration,
        now: Monotonic,
    ) {
        let shows_after = timing::with_room(took);
        self.upstreams.insert((upstream.clone(), protocol), Seen { at: now, shows_after });
    }

    /// The upstream said yes or no.
    pub(super) fn answered(&mut self, upstream: &UpstreamName, protocol: Protocol) {
        self.upstreams.remove(&(upstream.clone(), protocol));
    }

    /// The argon2 workers took no more.
    pub(super) fn workers_busy(&mut self, now: Monotonic) {
        self.workers_busy_at = Some(now);
    }

    /// Whether an unproven attempt is undecided now; then after how long all may say so.
    pub(super) fn present(
        &self,
        upstream: &UpstreamName,
        protocol: Protocol,
        now: Monotonic,
    ) -> Option<Duration> {
        let seen = self.upstreams.get(&(upstream.clone(), protocol));
        if let Some(seen) = seen.filter(|seen| now.since(seen.at) < UPSTREAM_REMEMBERED) {
            return Some(seen.shows_after);
        }
        self.workers_busy_at.filter(|at| now.since(*at) < WORKERS_REMEMBERED).map(|_| Duration::ZERO)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outage_ends_with_the_next_answer_or_after_a_minute() {
        let mut outages = Outages::default();
        let (legacy, imap) = (UpstreamName("legacy".to_owned()), Protocol::Imap);
        let now = Monotonic(Duration::from_secs(100));
        outages.failed(&legacy, imap, Duration::from_secs(5), now);
        assert!(outages.present(&legacy, imap, now) > Some(Duration::from_secs(5)));
        assert_eq!(outages.present(&legacy, Protocol::Smtp, now), None, "each protocol has its own server");
        assert_eq!(outages.present(&legacy, imap, now.plus(UPSTREAM_REMEMBERED)), None);
        outages.answered(&legacy, imap);
        assert_eq!(outages.present(&legacy, imap, now), None);
    }

    #[test]
    fn busy_workers_make_every_unproven_attempt_undecided() {
        let mut outages = Outages::default();
        let legacy = UpstreamName("legacy".to_owned());
        let now = Monotonic(Duration::from_secs(100));
        outages.workers_busy(now);
        assert!(outages.present(&legacy, Protocol::Pop3, now.plus(Duration::from_secs(1))).is_some());
        assert!(outages.present(&legacy, Protocol::Pop3, now.plus(WORKERS_REMEMBERED)).is_none());
    }
}
