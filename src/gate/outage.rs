//! While something that could prove a password is not available, nobody is told that one is wrong.
//!
//! An attempt that goes upstream learns of an outage by itself. One that does not (a wrong app password, a mailbox
//! password although a factor is bound) would still hear a plain no, and the difference would tell a guesser that
//! the account exists and is bound. So the last outage of each upstream and of the argon2 workers is remembered
//! for a short while, and every unproven attempt hears *unavailable*, after the time that it took to find out: also
//! the one to which the upstream says no again. Which outage counts is read when the attempt comes, because it may
//! be over when the upstream answers.
//!
//! What an upstream says of one mailbox is no outage until it says so of another: mailboxes can be made to be locked.

use std::collections::HashMap;
use std::time::Duration;

use super::timing;
use crate::base::{Monotonic, Protocol, UpstreamName};

/// How long an outage is believed in when nobody asks the upstream meanwhile.
const UPSTREAM_REMEMBERED: Duration = Duration::from_secs(60);

/// The queue of the argon2 workers empties within seconds.
const WORKERS_REMEMBERED: Duration = Duration::from_secs(2);

/// An outage, as those see it who ask the upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Outage {
    /// How long it takes to find out, with room.
    pub(super) shows_after: Duration,
    /// Whether passwords are sent before it shows: such attempts count.
    pub(super) sent: bool,
}

/// The outages of late. At most one entry per upstream and protocol.
#[derive(Default)]
pub(super) struct Outages {
    upstreams: HashMap<(UpstreamName, Protocol), Seen>,
    /// Of whom an upstream last said that it is temporarily unable.
    unable: HashMap<(UpstreamName, Protocol), (String, Monotonic)>,
    workers_busy_at: Option<Monotonic>,
}

struct Seen {
    at: Monotonic,
    outage: Outage,
}

impl Outage {
    /// That showed after `took`; `sent`: behind a password.
    pub(super) fn new(took: Duration, sent: bool) -> Self {
        Self { shows_after: timing::with_room(took), sent }
    }
}

impl Outages {
    /// The upstream could not be asked.
    pub(super) fn failed(
        &mut self,
        upstream: &UpstreamName,
        protocol: Protocol,
        outage: Outage,
        now: Monotonic,
    ) {
        self.upstreams.insert((upstream.clone(), protocol), Seen { at: now, outage });
    }

    /// The upstream said that it is temporarily unable to let `account` in. An outage, if it said so of another lately.
    pub(super) fn unable(
        &mut self,
        upstream: &UpstreamName,
        protocol: Protocol,
        account: &str,
        outage: Outage,
        now: Monotonic,
    ) {
        let latest = (account.to_owned(), now);
        let before = self.unable.insert((upstream.clone(), protocol), latest);
        if before.is_some_and(|(other, at)| other != account && now.since(at) < UPSTREAM_REMEMBERED) {
            self.failed(upstream, protocol, outage, now);
        }
    }

    /// The upstream let somebody in, or answered to a password that the gate knows. A no to one that nobody has proven
    /// ends no outage: its sender would see by the next answer that the upstream was asked.
    pub(super) fn answered(&mut self, upstream: &UpstreamName, protocol: Protocol) {
        if self.upstreams.is_empty() && self.unable.is_empty() {
            return;
        }
        let which = (upstream.clone(), protocol);
        self.upstreams.remove(&which);
        self.unable.remove(&which);
    }

    /// The argon2 workers took no more.
    pub(super) fn workers_busy(&mut self, now: Monotonic) {
        self.workers_busy_at = Some(now);
    }

    /// The outage of the moment, in which unproven attempts are undecided.
    pub(super) fn present(
        &self,
        upstream: &UpstreamName,
        protocol: Protocol,
        now: Monotonic,
    ) -> Option<Outage> {
        // As it nearly always is.
        let known = (!self.upstreams.is_empty()).then(|| (upstream.clone(), protocol));
        let seen = known.and_then(|which| self.upstreams.get(&which));
        if let Some(seen) = seen.filter(|seen| now.since(seen.at) < UPSTREAM_REMEMBERED) {
            return Some(seen.outage);
        }
        let busy = self.workers_busy_at.filter(|at| now.since(*at) < WORKERS_REMEMBERED);
        busy.map(|_| Outage { shows_after: Duration::ZERO, sent: false })
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
        outages.failed(&legacy, imap, Outage::new(Duration::from_secs(5), true), now);
        let seen = outages.present(&legacy, imap, now);
        assert!(seen.is_some_and(|seen| seen.sent && seen.shows_after > Duration::from_secs(5)), "{seen:?}");
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

    #[test]
    fn what_is_said_of_one_mailbox_is_an_outage_once_it_is_said_of_another() {
        let mut outages = Outages::default();
        let (legacy, imap) = (UpstreamName("legacy".to_owned()), Protocol::Imap);
        let now = Monotonic(Duration::from_secs(100));
        let outage = Outage::new(Duration::from_secs(1), true);
        for _ in 0..10 {
            outages.unable(&legacy, imap, "a@x.org", outage, now);
        }
        assert_eq!(outages.present(&legacy, imap, now), None);
        outages.unable(&legacy, imap, "b@x.org", outage, now.plus(UPSTREAM_REMEMBERED));
        assert_eq!(outages.present(&legacy, imap, now.plus(UPSTREAM_REMEMBERED)), None, "long after");
        let soon = now.plus(UPSTREAM_REMEMBERED + Duration::from_secs(1));
        outages.unable(&legacy, imap, "a@x.org", outage, soon);
        assert_eq!(outages.present(&legacy, imap, soon), Some(outage));
        outages.answered(&legacy, imap);
        outages.unable(&legacy, imap, "b@x.org", outage, soon);
        assert_eq!(outages.present(&legacy, imap, soon), None, "it answered between");
    }
}
