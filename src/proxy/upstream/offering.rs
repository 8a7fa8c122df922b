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
use crate::gate::{Reach, Way};
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
        let way = |name: &UpstreamName| match offer_of(name) {
            Some(own) if !self.expected.contains(name) && !own.keeps(&offer) => Way::Misled,
            // Where nothing is known, the login finds out.
            Some(_) | None => Way::Open,
        };
        let reach = Reach::new(self.reach.iter().map(|name| (name.clone(), way(name))));
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
