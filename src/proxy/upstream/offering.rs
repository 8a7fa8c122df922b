//! What clients are told before login, whose upstream is not known yet: what all those upstreams offer that their
//! listener leads to.
//!
//! Offers come from the upstreams, which may be odd; host names come from clients, who may say anything. A host name
//! narrows what its client is told, never where it may log in (docs/decisions/0053-sni-narrows-what-is-told.md). An
//! upstream that was never heard counts as one that offers the least, and one that is down as what it offered last.
//!
//! ```text
//!   leg learns ──refresh──▶ every Offering: intersection, reach ──told──▶ a connection takes two pointers
//! ```

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use super::leg::Leg;
use crate::base::UpstreamName;
use crate::gate::{Led, Reach};
use crate::protocol::{MailProtocol, Offered};

/// What one connection starts from. Cheap to clone.
pub(in crate::proxy) struct Told<P: MailProtocol> {
    pub(in crate::proxy) offer: Arc<P::Offer>,
    pub(in crate::proxy) reach: Reach,
}

/// Where one listener leads.
pub(in crate::proxy) struct Ways<P: MailProtocol> {
    everywhere: Arc<Offering<P>>,
    /// For the host names of some of its upstreams, in lower case.
    by_hostname: HashMap<String, Arc<Offering<P>>>,
}

impl<P: MailProtocol> Ways<P> {
    /// For a client that asked for `hostname`.
    pub(in crate::proxy) fn told(&self, hostname: Option<&str>) -> Told<P> {
        let narrowed = hostname.filter(|_| !self.by_hostname.is_empty()).and_then(|name| {
            let name = name.trim_end_matches('.').to_ascii_lowercase();
            self.by_hostname.get(&name)
        });
        narrowed.unwrap_or(&self.everywhere).told()
    }
}

/// Every offering that some listener uses.
pub(super) struct Offerings<P: MailProtocol>(Mutex<Vec<Arc<Offering<P>>>>);

/// What is told to clients of one kind.
struct Offering<P: MailProtocol> {
    /// Where they may log in.
    reach: Vec<UpstreamName>,
    /// Whose offers count; of those in `reach`.
    expected: Vec<UpstreamName>,
    told: RwLock<Told<P>>,
}

impl<P: MailProtocol> Offerings<P> {
    /// For a listener that leads to `reach`.
    pub(super) fn ways(&self, legs: &[Leg<P>], reach: &[UpstreamName]) -> Ways<P> {
        let reached: Vec<&Leg<P>> = legs.iter().filter(|leg| reach.contains(leg.upstream())).collect();
        let offering = |expected: &[&Leg<P>]| {
            let expected = expected.iter().map(|leg| leg.upstream().clone()).collect();
            self.offering(legs, reach.to_vec(), expected)
        };
        let mut by_hostname: HashMap<String, Vec<&Leg<P>>> = HashMap::new();
        for leg in &reached {
            for hostname in &leg.hostnames {
                by_hostname.entry(hostname.clone()).or_default().push(leg);
            }
        }
        Ways {
            everywhere: offering(&reached),
            by_hostname: by_hostname.into_iter().map(|(name, legs)| (name, offering(&legs))).collect(),
        }
    }

    /// Listeners that lead to the same upstreams share it.
    fn offering(
        &self,
        legs: &[Leg<P>],
        reach: Vec<UpstreamName>,
        expected: Vec<UpstreamName>,
    ) -> Arc<Offering<P>> {
        let mut offerings = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let same = |offering: &&Arc<Offering<P>>| offering.reach == reach && offering.expected == expected;
        if let Some(offering) = offerings.iter().find(same) {
            return Arc::clone(offering);
        }
        let told = RwLock::new(Told { offer: Arc::default(), reach: Reach::new([]) });
        let offering = Arc::new(Offering { reach, expected, told });
        offering.refresh(legs);
        offerings.push(Arc::clone(&offering));
        offering
    }

    /// One of `legs` has learned something. The lock is held throughout, so that what was learned last is told last.
    pub(super) fn refresh(&self, legs: &[Leg<P>]) {
        for offering in self.0.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            offering.refresh(legs);
        }
    }
}

impl<P: MailProtocol> Offering<P> {
    fn refresh(&self, legs: &[Leg<P>]) {
        let known: HashMap<&UpstreamName, Option<Arc<P::Offer>>> =
            legs.iter().map(|leg| (leg.upstream(), leg.offer())).collect();
        let offer_of = |name: &UpstreamName| known.get(name).cloned().flatten();
        let offers = self.expected.iter().map(|name| offer_of(name).unwrap_or_default());
        let offer = offers.reduce(|one, two| Arc::new(one.intersect(&two))).unwrap_or_default();
        let led = |name: &UpstreamName| {
            let leg = legs.iter().find(|leg| leg.upstream() == name);
            // Where nothing is known, the login finds out.
            let lacks = |own: Arc<P::Offer>| !self.expected.contains(name) && !own.keeps(&offer);
            Led {
                misled: offer_of(name).is_some_and(lacks),
                down: leg.map(|leg| leg.down.clone()).unwrap_or_default(),
                full: leg.map(|leg| leg.seats.full.clone()).unwrap_or_default(),
                upstream: name.clone(),
            }
        };
        let reach = Reach::new(self.reach.iter().map(led));
        *self.told.write().unwrap_or_else(PoisonError::into_inner) = Told { offer, reach };
    }

    fn told(&self) -> Told<P> {
        self.told.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl<P: MailProtocol> Default for Offerings<P> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<P: MailProtocol> Clone for Told<P> {
    fn clone(&self) -> Self {
        Self { offer: Arc::clone(&self.offer), reach: self.reach.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{EndpointTls, Upstream};
    use crate::gate::Way;
    use crate::proxy::testing::{Fake, FakeUpstream, Play, endpoint, upstream};
    use crate::proxy::upstream::Legs;

    /// Two upstreams and what they offer; neither was heard yet.
    struct Two {
        legs: Legs<Fake>,
        servers: [FakeUpstream; 2],
    }

    const NAMES: [&str; 2] = ["one", "two"];

    fn name(text: &str) -> UpstreamName {
        UpstreamName(text.to_owned())
    }

    async fn server(greeting: &'static str) -> FakeUpstream {
        FakeUpstream::play(vec![Play::Say(greeting), Play::Hear]).await
    }

    impl Two {
        async fn open() -> Self {
            let servers = [server("hello A B !C\r\n").await, server("hello D B A\r\n").await];
            let settings = [0, 1].map(|at| Upstream {
                name: name(NAMES[at]),
                hostnames: vec![format!("{}.example", NAMES[at]), "both.example".to_owned()],
                ..upstream(endpoint(servers[at].port, EndpointTls::None))
            });
            Self { legs: Legs::alone(&settings), servers }
        }
    }

    fn offer(ways: &Ways<Fake>, hostname: Option<&str>) -> String {
        (*ways.told(hostname).offer).clone()
    }

    fn way(ways: &Ways<Fake>, hostname: Option<&str>) -> [Option<Way>; 2] {
        let reach = ways.told(hostname).reach;
        NAMES.map(|upstream| reach.way_to(&name(upstream)))
    }

    #[tokio::test]
    async fn what_all_offer_is_told_as_soon_as_all_were_heard_and_kept_while_one_is_down() {
        let two = Two::open().await;
        let ways = two.legs.ways(&[]);
        assert_eq!(offer(&ways, None), "");
        two.legs.look(0, 0).await;
        assert_eq!(offer(&ways, None), "", "the other may have anything, or nothing");
        assert_eq!(offer(&ways, Some("one.example")), "A B !C");
        two.legs.look(1, 0).await;
        assert_eq!(offer(&ways, None), "A B");
        assert_eq!(offer(&two.legs.ways(&[]), None), "A B", "whenever the listener opens");
        let [one, other] = two.servers;
        let _refuse = (one.leave().await, other.leave().await);
        two.legs.learn().await;
        assert_eq!(offer(&ways, None), "A B");
    }

    #[tokio::test]
    async fn a_host_name_narrows_what_is_told_and_never_where_its_client_may_log_in() {
        let two = Two::open().await;
        let ways = two.legs.ways(&[]);
        two.legs.learn().await;
        let open = Some(Way::Open);
        for (hostname, told, led) in [
            (None, "A B", [open, open]),
            (Some("one.example"), "A B !C", [open, Some(Way::Misled)]),
            (Some("ONE.Example."), "A B !C", [open, Some(Way::Misled)]),
            (Some("two.example"), "D B A", [open, open]),
            (Some("both.example"), "A B", [open, open]),
            (Some("unknown.example"), "A B", [open, open]),
            (Some(""), "A B", [open, open]),
        ] {
            assert_eq!((&*offer(&ways, hostname), way(&ways, hostname)), (told, led), "{hostname:?}");
        }
    }

    #[tokio::test]
    async fn a_listener_leads_where_its_list_says_whatever_the_host_name() {
        let two = Two::open().await;
        let ways = two.legs.ways(&[name("two")]);
        two.legs.learn().await;
        for hostname in [None, Some("one.example"), Some("two.example"), Some("both.example")] {
            assert_eq!(offer(&ways, hostname), "D B A", "{hostname:?}");
            assert_eq!(way(&ways, hostname), [None, Some(Way::Open)], "{hostname:?}");
        }
    }

    #[tokio::test]
    async fn a_connection_takes_pointers_and_listeners_of_the_same_upstreams_the_same() {
        let two = Two::open().await;
        two.legs.learn().await;
        let (one, other) = (two.legs.ways(&[]), two.legs.ways(&[name("one"), name("two")]));
        assert!(Arc::ptr_eq(&one.told(None).offer, &one.told(None).offer));
        assert!(Arc::ptr_eq(&one.told(None).offer, &other.told(None).offer));
        assert!(Arc::ptr_eq(&one.told(Some("both.example")).offer, &other.told(None).offer));
        let alone = two.legs.ways(&[name("one")]);
        assert_eq!(offer(&alone, None), "A B !C");
    }

    #[tokio::test]
    async fn whether_an_upstream_can_be_asked_shows_on_connections_that_are_there_already() {
        let two = Two::open().await;
        let reach = two.legs.ways(&[]).told(None).reach;
        let leg = two.legs.leg(&name("one")).unwrap();
        for (down, full, way) in [
            (true, false, Way::Down),
            (true, true, Way::Down),
            (false, true, Way::Full),
            (false, false, Way::Open),
        ] {
            leg.down.set(down);
            leg.seats.full.set(full);
            assert_eq!(reach.way_to(&name("one")), Some(way));
            assert_eq!(reach.way_to(&name("two")), Some(Way::Open));
        }
    }
}
