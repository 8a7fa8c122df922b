//! Who may be connected: a place among all connections, and a place among those that are not logged in yet.
//!
//! Clients before login are strangers. Each network holds a bounded number of places before login; when the
//! gate is full, the stranger that has been there longest, of the network that holds most, makes room.
//! Nobody who is logged in is ever sent away for a newcomer.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use crate::base::{ClientAddress, Network};
use crate::config::Limits;

/// Of so many places one is kept free ahead of time, and no more than [`SPARE_MAX`].
const SPARE_OF: u32 = 64;

/// Places that are kept free ahead of time, where strangers can make room: what comes in one wave finds them.
const SPARE_MAX: u32 = 128;

/// How long a stranger has for leaving before the next one is asked.
const LEAVE_MAX: Duration = Duration::from_millis(500);

/// Every place of one kind of connections. Clones are the same.
#[derive(Clone)]
pub struct Permits {
    connections: Arc<Semaphore>,
    /// How many there are in all.
    total: u32,
    per_network: Arc<AtomicUsize>,
    strangers: Arc<Mutex<Strangers>>,
    /// The system has none to give, and that was said.
    exhausted: Arc<AtomicBool>,
}

/// A place among all connections, until dropped.
pub struct ConnectionPermit(#[expect(dead_code, reason = "held for its drop")] OwnedSemaphorePermit);

/// A place among those that are not logged in yet, until dropped.
pub struct StrangerPermit {
    strangers: Arc<Mutex<Strangers>>,
    network: Network,
    arrival: u64,
    leave: Arc<Notify>,
}

impl Permits {
    /// So many connections, and so many strangers of one network.
    #[must_use]
    pub fn new(connections: u32, strangers_per_network: u32) -> Self {
        Self {
            connections: Arc::new(Semaphore::new(count(connections))),
            total: connections,
            per_network: Arc::new(AtomicUsize::new(count(strangers_per_network))),
            strangers: Arc::default(),
            exhausted: Arc::default(),
        }
    }

    /// From now on a network holds as many strangers as `limits` say. How many connections there are in all stays as
    /// it is: so many descriptors were asked for.
    pub(super) fn adopt(&self, limits: &Limits) {
        self.per_network.store(count(limits.preauth_per_network), Ordering::Relaxed);
    }

    /// Waits for a place among all connections; where there is none, a stranger is asked to leave. Where few are left, one
    /// is asked as well, and nobody waits for that: whoever comes next must not have to, one after the other, behind a
    /// crowd that fills the kernel's queue. `None` when the gate closes.
    pub(super) async fn connection(&self) -> Option<ConnectionPermit> {
        if let Ok(permit) = Arc::clone(&self.connections).try_acquire_owned() {
            let spare = (self.total / SPARE_OF).min(SPARE_MAX) as usize;
            if self.connections.available_permits() < spare {
                lock(&self.strangers).evict();
            }
            return Some(ConnectionPermit(permit));
        }
        loop {
            lock(&self.strangers).evict();
            let place = Arc::clone(&self.connections).acquire_owned();
            // Who was asked may have been let in at that very moment, and stays.
            if let Ok(place) = timeout(LEAVE_MAX, place).await {
                return place.ok().map(ConnectionPermit);
            }
        }
    }

    /// A place before login for `client`; `None` when its network holds as many as it may.
    #[must_use]
    pub fn stranger(&self, client: ClientAddress) -> Option<StrangerPermit> {
        let leave = Arc::new(Notify::new());
        let network = client.network();
        let arrival =
            lock(&self.strangers).enter(network, self.per_network.load(Ordering::Relaxed), &leave)?;
        Some(StrangerPermit { strangers: Arc::clone(&self.strangers), network, arrival, leave })
    }

    /// Whether the system has no connection to give: what it said last. Returns what it said before, to any door.
    pub(super) fn note_exhausted(&self, exhausted: bool) -> bool {
        self.exhausted.swap(exhausted, Ordering::Relaxed)
    }

    /// Returns when no connection is left, or after `at_most`; whether none is left.
    pub async fn all_gone(&self, at_most: Duration) -> bool {
        timeout(at_most, self.connections.acquire_many(self.total)).await.is_ok()
    }
}

impl StrangerPermit {
    /// Returns when this stranger must make room.
    pub async fn evicted(&self) {
        self.leave.notified().await;
    }
}

impl Drop for StrangerPermit {
    fn drop(&mut self) {
        lock(&self.strangers).leave(self.network, self.arrival);
    }
}

fn count(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

fn lock(strangers: &Mutex<Strangers>) -> MutexGuard<'_, Strangers> {
    strangers.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Every stranger; as many as there are connections at most, so it needs no bound of its own.
#[derive(Default)]
struct Strangers {
    arrivals: u64,
    /// By network, then by arrival.
    networks: HashMap<Network, BTreeMap<u64, Arc<Notify>>>,
    /// Greatest last: who holds most, and among equals whose oldest came first.
    ranking: BTreeSet<(usize, Reverse<u64>, Network)>,
}

impl Strangers {
    fn enter(&mut self, network: Network, at_most: usize, leave: &Arc<Notify>) -> Option<u64> {
        let held = self.networks.get(&network).map_or(0, BTreeMap::len);
        if held >= at_most {
            return None;
        }
        self.arrivals += 1;
        let arrival = self.arrivals;
        self.change(network, |present| {
            present.insert(arrival, Arc::clone(leave));
        });
        Some(arrival)
    }

    fn leave(&mut self, network: Network, arrival: u64) {
        self.change(network, |present| {
            present.remove(&arrival);
        });
    }

    /// Asks one to leave and takes it off the list, so that the next call asks another.
    fn evict(&mut self) {
        let Some((_, Reverse(oldest), network)) = self.ranking.last().copied() else { return };
        self.change(network, |present| {
            if let Some(leave) = present.remove(&oldest) {
                leave.notify_one();
            }
        });
    }

    /// Changes who is present of `network` and keeps the ranking true.
    fn change(&mut self, network: Network, change: impl FnOnce(&mut BTreeMap<u64, Arc<Notify>>)) {
        let present = self.networks.entry(network).or_default();
        if let Some(rank) = rank(network, present) {
            self.ranking.remove(&rank);
        }
        change(present);
        match rank(network, present) {
            Some(rank) => {
                self.ranking.insert(rank);
            }
            None => {
                self.networks.remove(&network);
            }
        }
    }
}

fn rank(network: Network, present: &BTreeMap<u64, Arc<Notify>>) -> Option<(usize, Reverse<u64>, Network)> {
    present.first_key_value().map(|(oldest, _)| (present.len(), Reverse(*oldest), network))
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;
    use crate::proxy::testing::IN_TIME;

    fn client(text: &str) -> ClientAddress {
        ClientAddress::new(text.parse().unwrap())
    }

    async fn is_evicted(permit: &StrangerPermit) -> bool {
        timeout(Duration::from_millis(20), permit.evicted()).await.is_ok()
    }

    #[test]
    fn a_network_holds_no_more_than_its_places_and_gets_them_back() {
        let permits = Permits::new(100, 2);
        let held = (permits.stranger(client("2001:db8::1")), permits.stranger(client("2001:db8::2")));
        assert!(permits.stranger(client("2001:db8::3")).is_none(), "the same /64");
        assert!(permits.stranger(client("2001:db8:0:1::1")).is_some());
        drop(held);
        assert!(permits.stranger(client("2001:db8::3")).is_some());
        assert!(permits.strangers.lock().unwrap().networks.is_empty(), "nothing is kept for who is gone");
        assert!(permits.strangers.lock().unwrap().ranking.is_empty());
    }

    #[tokio::test]
    async fn strangers_make_room_before_the_last_place_is_taken_and_only_they() {
        let permits = Permits::new(128, 1000);
        let mut places = Vec::new();
        let mut strangers = Vec::new();
        for number in 0..126 {
            places.push(permits.connection().await.unwrap());
            strangers.push(permits.stranger(client(&format!("192.0.2.{number}"))).unwrap());
        }
        assert!(!is_evicted(&strangers[0]).await, "two places are free");
        places.push(permits.connection().await.unwrap());
        assert!(is_evicted(&strangers[0]).await, "one is: somebody has to go before the next one comes");
        assert!(!is_evicted(&strangers[1]).await, "no more than one for each that came");
        strangers.clear();
        assert!(
            permits.connection().await.is_some(),
            "whoever is logged in stays, and the last place is for all"
        );
    }

    #[tokio::test]
    async fn a_full_gate_sends_away_the_oldest_stranger_of_the_network_that_holds_most() {
        // Where the machine paused for so long, another one was asked rightly.
        while !sends_away_who_has_to_go().await {}
    }

    /// `false` if it could not be seen.
    async fn sends_away_who_has_to_go() -> bool {
        let permits = Permits::new(4, 100);
        let mut places = Vec::new();
        let mut strangers = Vec::new();
        for address in ["192.0.2.1", "192.0.2.9", "192.0.2.9"] {
            places.push(permits.connection().await.unwrap());
            strangers.push(permits.stranger(client(address)).unwrap());
        }
        let relayed = permits.connection().await.unwrap();
        let asked = Instant::now();
        let newcomer = tokio::spawn({
            let permits = permits.clone();
            async move { permits.connection().await }
        });
        timeout(IN_TIME, strangers[1].evicted()).await.unwrap();
        let others = is_evicted(&strangers[0]).await || is_evicted(&strangers[2]).await;
        if asked.elapsed() >= LEAVE_MAX {
            return false;
        }
        assert!(!others);
        assert!(!newcomer.is_finished(), "it has a place only when somebody has left");
        places.remove(1);
        strangers.remove(1);
        let newcomer = newcomer.await.unwrap();
        // Now both networks hold one: whoever came first goes.
        let asked = Instant::now();
        let next = tokio::spawn({
            let permits = permits.clone();
            async move { permits.connection().await }
        });
        timeout(IN_TIME, strangers[0].evicted()).await.unwrap();
        let other = is_evicted(&strangers[1]).await;
        if asked.elapsed() >= LEAVE_MAX {
            return false;
        }
        assert!(!other);
        // It does not leave, because it was let in just then: the next one is asked.
        timeout(IN_TIME, strangers[1].evicted()).await.unwrap();
        drop((relayed, newcomer, places));
        assert!(next.await.unwrap().is_some());
        assert!(permits.all_gone(Duration::from_millis(100)).await);
        true
    }
}
