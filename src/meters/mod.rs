//! What the gate counts while it works, for whoever watches it.
//!
//! To count is one atomic addition: it waits for nobody and allocates nothing. Each label is of a closed set, or a
//! name out of the configuration. A stranger cannot choose one, or whoever connects could fill the memory of those
//! who watch; and no account is one, because who reads mail when is not everybody's who may see a graph.

mod histogram;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

pub use histogram::{Histogram, LOGIN_SECONDS, Reading};

use crate::audit::event::Outcome;
use crate::base::{Protocol, UpstreamName};

/// Goes up, or up and down.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// So many more.
    pub fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    fn remove(&self, fewer: u64) {
        self.0.fetch_sub(fewer, Ordering::Relaxed);
    }

    /// So far.
    #[must_use]
    pub fn so_far(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// How a TLS handshake with a client ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handshake {
    /// With TLS 1.2 (RFC 5246).
    Tls12,
    /// With TLS 1.3 (RFC 8446).
    Tls13,
    /// Not, by what one side said or did.
    Failed,
    /// Not in time.
    TimedOut,
}

impl Handshake {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Tls12, Self::Tls13, Self::Failed, Self::TimedOut];

    /// The result, and the version where there is one, as metrics call them.
    #[must_use]
    pub fn labels(self) -> (&'static str, &'static str) {
        match self {
            Self::Tls12 => ("completed", "1.2"),
            Self::Tls13 => ("completed", "1.3"),
            Self::Failed => ("failed", ""),
            Self::TimedOut => ("timed_out", ""),
        }
    }
}

/// What an upstream said to a login.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpstreamLogin {
    /// Yes.
    Accepted,
    /// A definite no.
    Refused,
    /// Nothing, or nothing definite.
    Unavailable,
}

impl UpstreamLogin {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Accepted, Self::Refused, Self::Unavailable];

    /// As metrics call it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Refused => "refused",
            Self::Unavailable => "unavailable",
        }
    }
}

/// What became of a request to the portal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PageAnswer {
    /// A page, a file, or the way to one.
    Given,
    /// A form that came from another site's page, or is not of this session.
    Foreign,
    /// Something that makes no sense or leads nowhere.
    Senseless,
    /// Something that was asked for too often.
    Limited,
    /// Something here or behind us does not work.
    Failed,
}

impl PageAnswer {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Given, Self::Foreign, Self::Senseless, Self::Limited, Self::Failed];

    /// As metrics call it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Given => "given",
            Self::Foreign => "foreign",
            Self::Senseless => "senseless",
            Self::Limited => "limited",
            Self::Failed => "failed",
        }
    }
}

/// What became of what users were to be told by mail.
#[derive(Debug, Default)]
pub struct NoticesMailed {
    /// The relay took it.
    pub sent: Counter,
    /// The relay did not take it for now.
    pub put_off: Counter,
    /// Nobody will be told.
    pub given_up: Counter,
}

/// Everything that is counted in one process.
#[derive(Debug)]
pub struct Meters {
    each: [OfProtocol; Protocol::ALL.len()],
    /// Tries to sign in to the portal.
    pub sign_ins: Outcomes,
    /// Answers for a second factor.
    pub second_factors: Outcomes,
    pages: [Counter; PageAnswer::ALL.len()],
    /// Notices to users.
    pub notices: NoticesMailed,
    upstreams: RwLock<HashMap<UpstreamName, EachProtocol>>,
    /// Logins that passed on a proof in memory, and those that found none.
    pub proofs_found: Counter,
    /// See `proofs_found`.
    pub proofs_missed: Counter,
}

/// How often something ended in each way.
#[derive(Debug, Default)]
pub struct Outcomes([Counter; OUTCOMES.len()]);

impl Outcomes {
    /// Once more in this way.
    pub fn add(&self, outcome: Outcome) {
        let [admitted, refused, limited, unavailable] = &self.0;
        match outcome {
            Outcome::Admitted => admitted.add(1),
            Outcome::Refused => refused.add(1),
            Outcome::Limited => limited.add(1),
            Outcome::Unavailable => unavailable.add(1),
        }
    }

    /// So far.
    pub fn so_far(&self) -> impl Iterator<Item = (Outcome, u64)> {
        OUTCOMES.into_iter().zip(self.0.each_ref().map(Counter::so_far))
    }
}

#[derive(Debug, Default)]
struct OfProtocol {
    attempts: Outcomes,
    handshakes: [Counter; Handshake::ALL.len()],
    connections: Counter,
}

/// What is counted of an upstream.
type EachProtocol = Arc<[OfUpstream; Protocol::ALL.len()]>;

/// What is counted of one protocol of one upstream.
#[derive(Debug, Default)]
struct OfUpstream {
    logins: [Counter; UpstreamLogin::ALL.len()],
    seconds: Histogram,
}

/// Every way in which an attempt ends.
pub const OUTCOMES: [Outcome; 4] =
    [Outcome::Admitted, Outcome::Refused, Outcome::Limited, Outcome::Unavailable];

impl Meters {
    /// Nothing counted yet; `upstreams` are those of the configuration.
    pub fn new(upstreams: impl IntoIterator<Item = UpstreamName>) -> Arc<Self> {
        let meters = Self {
            each: Default::default(),
            sign_ins: Outcomes::default(),
            second_factors: Outcomes::default(),
            pages: Default::default(),
            notices: NoticesMailed::default(),
            upstreams: RwLock::default(),
            proofs_found: Counter::default(),
            proofs_missed: Counter::default(),
        };
        meters.adopt(upstreams);
        Arc::new(meters)
    }

    /// These are the upstreams from now on; those that were among them before go on counting.
    pub fn adopt(&self, upstreams: impl IntoIterator<Item = UpstreamName>) {
        let mut counted = self.upstreams.write().unwrap_or_else(PoisonError::into_inner);
        let adopted = upstreams.into_iter().map(|name| {
            let each = counted.remove(&name).unwrap_or_default();
            (name, each)
        });
        let adopted = adopted.collect();
        *counted = adopted;
    }

    /// An attempt ended.
    pub fn attempt(&self, protocol: Protocol, outcome: Outcome) {
        self.of(protocol).attempts.add(outcome);
    }

    /// A handshake with a client ended.
    pub fn handshake(&self, protocol: Protocol, handshake: Handshake) {
        let [tls12, tls13, failed, timed_out] = &self.of(protocol).handshakes;
        match handshake {
            Handshake::Tls12 => tls12.add(1),
            Handshake::Tls13 => tls13.add(1),
            Handshake::Failed => failed.add(1),
            Handshake::TimedOut => timed_out.add(1),
        }
    }

    /// A client is connected until what this returns is dropped.
    #[must_use]
    pub fn connected(self: &Arc<Self>, protocol: Protocol) -> Connected {
        self.of(protocol).connections.add(1);
        Connected { meters: Arc::clone(self), protocol }
    }

    /// A login at `upstream` ended after `took`.
    pub fn upstream_login(
        &self,
        upstream: &UpstreamName,
        protocol: Protocol,
        how: UpstreamLogin,
        took: Duration,
    ) {
        let counted = self.upstreams.read().unwrap_or_else(PoisonError::into_inner);
        let Some(each) = counted.get(upstream) else { return };
        let OfUpstream { logins: [accepted, refused, unavailable], seconds } = pick(each, protocol);
        match how {
            UpstreamLogin::Accepted => accepted.add(1),
            UpstreamLogin::Refused => refused.add(1),
            UpstreamLogin::Unavailable => unavailable.add(1),
        }
        seconds.observe(took);
    }

    /// The portal answered.
    pub fn page(&self, answer: PageAnswer) {
        let [given, foreign, senseless, limited, failed] = &self.pages;
        match answer {
            PageAnswer::Given => given.add(1),
            PageAnswer::Foreign => foreign.add(1),
            PageAnswer::Senseless => senseless.add(1),
            PageAnswer::Limited => limited.add(1),
            PageAnswer::Failed => failed.add(1),
        }
    }

    /// Its answers so far.
    pub fn pages(&self) -> impl Iterator<Item = (PageAnswer, u64)> {
        PageAnswer::ALL.into_iter().zip(self.pages.each_ref().map(Counter::so_far))
    }

    /// Attempts so far.
    pub fn attempts(&self) -> impl Iterator<Item = (Protocol, Outcome, u64)> {
        self.table(|of| &of.attempts.0, OUTCOMES)
    }

    /// Handshakes so far.
    pub fn handshakes(&self) -> impl Iterator<Item = (Protocol, Handshake, u64)> {
        self.table(|of| &of.handshakes, Handshake::ALL)
    }

    /// Clients that are connected, logged in or not.
    pub fn connections(&self) -> impl Iterator<Item = (Protocol, u64)> {
        Protocol::ALL.into_iter().map(|protocol| (protocol, self.of(protocol).connections.so_far()))
    }

    /// Logins so far at each upstream, by its name: how many ended how, and how long they took.
    #[must_use]
    pub fn upstreams(&self) -> Vec<LoginsAt> {
        let counted = self.upstreams.read().unwrap_or_else(PoisonError::into_inner);
        let row = |name: &UpstreamName, protocol, of: &OfUpstream| LoginsAt {
            upstream: name.clone(),
            protocol,
            logins: UpstreamLogin::ALL.into_iter().zip(of.logins.each_ref().map(Counter::so_far)).collect(),
            seconds: of.seconds.read(),
        };
        let rows = counted
            .iter()
            .flat_map(|(name, each)| Protocol::ALL.map(|protocol| row(name, protocol, pick(each, protocol))));
        let mut rows: Vec<_> = rows.collect();
        rows.sort_by(|a, b| (&a.upstream.0, a.protocol).cmp(&(&b.upstream.0, b.protocol)));
        rows
    }

    fn table<L: Copy, const N: usize>(
        &self,
        row: impl Fn(&OfProtocol) -> &[Counter; N],
        labels: [L; N],
    ) -> impl Iterator<Item = (Protocol, L, u64)> {
        Protocol::ALL.into_iter().flat_map(move |protocol| {
            let counts = row(self.of(protocol)).each_ref().map(Counter::so_far);
            labels.into_iter().zip(counts).map(move |(label, count)| (protocol, label, count))
        })
    }

    fn of(&self, protocol: Protocol) -> &OfProtocol {
        pick(&self.each, protocol)
    }
}

/// A reading of what is counted of one protocol of one upstream.
#[derive(Debug)]
pub struct LoginsAt {
    /// The upstream.
    pub upstream: UpstreamName,
    /// The protocol.
    pub protocol: Protocol,
    /// How many ended how.
    pub logins: Vec<(UpstreamLogin, u64)>,
    /// How long they took.
    pub seconds: Reading,
}

/// A client that is connected.
#[derive(Debug)]
pub struct Connected {
    meters: Arc<Meters>,
    protocol: Protocol,
}

impl Drop for Connected {
    fn drop(&mut self) {
        self.meters.of(self.protocol).connections.remove(1);
    }
}

fn pick<T>(each: &[T; Protocol::ALL.len()], protocol: Protocol) -> &T {
    let [imap, pop3, smtp] = each;
    match protocol {
        Protocol::Imap => imap,
        Protocol::Pop3 => pop3,
        Protocol::Smtp => smtp,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> UpstreamName {
        UpstreamName(text.to_owned())
    }

    #[test]
    fn each_thing_is_counted_under_its_own_labels() {
        let meters = Meters::new([name("old"), name("new")]);
        for (number, outcome) in (1..).zip(OUTCOMES) {
            (0..number).for_each(|_| meters.attempt(Protocol::Pop3, outcome));
        }
        for (number, handshake) in (1..).zip(Handshake::ALL) {
            (0..number).for_each(|_| meters.handshake(Protocol::Smtp, handshake));
        }
        let attempts: Vec<_> = meters.attempts().filter(|(.., count)| *count > 0).collect();
        let expected = OUTCOMES.into_iter().zip(1..).map(|(outcome, count)| (Protocol::Pop3, outcome, count));
        assert_eq!(attempts, expected.collect::<Vec<_>>());
        let handshakes: Vec<_> = meters.handshakes().filter(|(.., count)| *count > 0).collect();
        let expected = Handshake::ALL.into_iter().zip(1..).map(|(how, count)| (Protocol::Smtp, how, count));
        assert_eq!(handshakes, expected.collect::<Vec<_>>());
    }

    #[test]
    fn each_answer_of_the_portal_is_counted_as_what_it_is() {
        let meters = Meters::new([]);
        for (number, answer) in (1..).zip(PageAnswer::ALL) {
            (0..number).for_each(|_| meters.page(answer));
        }
        assert!(meters.pages().eq(PageAnswer::ALL.into_iter().zip(1..)));
    }

    #[test]
    fn a_connection_counts_until_it_ends() {
        let meters = Meters::new([]);
        let held =
            [Protocol::Imap, Protocol::Imap, Protocol::Smtp].map(|protocol| meters.connected(protocol));
        let now = |meters: &Meters| meters.connections().map(|(_, count)| count).collect::<Vec<_>>();
        assert_eq!(now(&meters), [2, 0, 1]);
        drop(held);
        assert_eq!(now(&meters), [0, 0, 0]);
    }

    #[test]
    fn logins_are_counted_at_upstreams_of_the_configuration_only() {
        let meters = Meters::new([name("old")]);
        let second = Duration::from_secs(1);
        meters.upstream_login(&name("old"), Protocol::Imap, UpstreamLogin::Refused, second);
        meters.upstream_login(&name("other"), Protocol::Imap, UpstreamLogin::Accepted, second);
        let upstreams = meters.upstreams();
        assert_eq!(upstreams.len(), 3, "one row for each protocol of `old`");
        let imap = &upstreams[0];
        assert_eq!(imap.protocol, Protocol::Imap);
        assert_eq!(imap.logins.iter().map(|(_, count)| *count).collect::<Vec<_>>(), [0, 1, 0]);
        assert_eq!((imap.seconds.count, imap.seconds.sum), (1, second));
    }

    #[test]
    fn under_another_configuration_upstreams_that_stay_go_on_counting() {
        let meters = Meters::new([name("old"), name("gone")]);
        let count = |upstream: &str| {
            let refused = UpstreamLogin::Refused;
            meters.upstream_login(&name(upstream), Protocol::Imap, refused, Duration::from_secs(1));
            let all = meters.upstreams();
            let row = all.iter().find(|row| row.upstream == name(upstream) && row.protocol == Protocol::Imap);
            row.map(|row| row.seconds.count)
        };
        assert_eq!((count("old"), count("gone"), count("new")), (Some(1), Some(1), None));
        meters.adopt([name("old"), name("new")]);
        assert_eq!((count("old"), count("gone"), count("new")), (Some(2), None, Some(1)));
    }
}
