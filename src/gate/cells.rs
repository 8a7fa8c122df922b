//! Governor's cells, one bucket per key, in a map that cannot grow without end.
//!
//! ```text
//!   burst ┤████████ charged ████│▒▒ in flight ▒▒│   free   │
//! ```
//!
//! A key without an entry has all its cells. Keys come from hostile input; the map holds at most as many as it
//! was made for, and what leaves it first is what says least about its key.

use std::collections::{BTreeSet, HashMap};
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use governor::clock::Clock;
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::StateStore;
use governor::{Quota, RateLimiter};

use crate::base::Monotonic;
use crate::config::Rate;

/// What is limited: a keyed hash of a network, an account or a pair, so that the maps hold no names and every
/// entry has the same size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Key(pub(super) u128);

/// Whether one more attempt fits a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Room {
    /// It does.
    Free,
    /// All that is not charged is reserved by attempts in flight: one of them may give its cell back.
    Reserved,
    /// Every cell is charged; the first comes back after this time.
    UsedUp(Duration),
}

/// One kind of limit: so many failures per key.
pub(super) struct Cells {
    ledger: Arc<Mutex<Ledger>>,
    time: ToldTime,
    /// Answers without charging.
    look: RateLimiter<Key, Look, ToldTime, NoOpMiddleware<Duration>>,
    /// Charges.
    take: RateLimiter<Key, Take, ToldTime, NoOpMiddleware<Duration>>,
}

impl Cells {
    /// Cells for at most `capacity` charged keys.
    pub(super) fn new(rate: Rate, capacity: usize) -> Self {
        let burst = NonZeroU32::new(rate.burst).unwrap_or(NonZeroU32::MIN);
        let period = (rate.per / burst.get()).max(Duration::from_nanos(1));
        let quota = Quota::with_period(period)
            .unwrap_or_else(|| Quota::per_second(NonZeroU32::MIN))
            .allow_burst(burst);
        let ledger = Arc::new(Mutex::new(Ledger { capacity, ..Ledger::default() }));
        let time = ToldTime::default();
        Self {
            look: RateLimiter::new(quota, Look(Arc::clone(&ledger)), time.clone()),
            take: RateLimiter::new(quota, Take(Arc::clone(&ledger)), time.clone()),
            ledger,
            time,
        }
    }

    /// Whether one more attempt fits `key` beside those in flight.
    pub(super) fn room(&self, key: Key, now: Monotonic) -> Room {
        self.time.tell(now);
        let in_flight = locked(&self.ledger).in_flight.get(&key).copied().unwrap_or(0);
        let wanted = NonZeroU32::MIN.saturating_add(in_flight);
        match self.look.check_key_n(&key, wanted) {
            Ok(Ok(())) => Room::Free,
            Ok(Err(_)) | Err(_) => match self.look.check_key(&key) {
                Ok(()) => Room::Reserved,
                Err(until) => Room::UsedUp(until.wait_time_from(now.0)),
            },
        }
    }

    /// Reserves a cell; the caller saw [`Room::Free`].
    pub(super) fn reserve(&self, key: Key) {
        *locked(&self.ledger).in_flight.entry(key).or_insert(0) += 1;
    }

    /// Gives a reserved cell back.
    pub(super) fn release(&self, key: Key) {
        let mut ledger = locked(&self.ledger);
        if let Some(count) = ledger.in_flight.get_mut(&key) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                ledger.in_flight.remove(&key);
            }
        }
    }

    /// Charges a reserved cell.
    pub(super) fn charge(&self, key: Key, now: Monotonic) {
        self.time.tell(now);
        // A reserved cell is free by construction, and time only adds more.
        let fits = self.take.check_key(&key);
        debug_assert!(fits.is_ok(), "a reserved cell was not free");
        self.release(key);
    }
}

/// The time that the caller passed in, as governor's clock. It never goes back: of two threads that read the clock
/// and then meet here in the other order, the later one would find its reserved cell not free yet.
#[derive(Clone, Default)]
struct ToldTime(Arc<AtomicU64>);

impl ToldTime {
    fn tell(&self, now: Monotonic) {
        self.0.fetch_max(u64::try_from(now.0.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }
}

impl Clock for ToldTime {
    type Instant = Duration;

    fn now(&self) -> Duration {
        Duration::from_nanos(self.0.load(Ordering::Relaxed))
    }
}

/// What is charged and what is reserved. An entry's time is when its key has all its cells again (GCRA's
/// theoretical arrival time): the smaller, the less it says.
#[derive(Default)]
struct Ledger {
    whole_again: HashMap<Key, u64>,
    by_time: BTreeSet<(u64, Key)>,
    /// As many keys as attempts are under way; the connection limits bound them.
    in_flight: HashMap<Key, u32>,
    capacity: usize,
}

impl Ledger {
    fn enter(&mut self, key: Key, whole_again: Nanos) {
        let at = whole_again.as_u64();
        match self.whole_again.insert(key, at) {
            Some(before) => {
                self.by_time.remove(&(before, key));
            }
            None if self.whole_again.len() > self.capacity => self.evict(key),
            None => {}
        }
        self.by_time.insert((at, key));
    }

    /// Makes room for `newcomer`. Keys that are whole again come first in order of time, then those with the
    /// fewest charges left: a flood of fresh keys pushes out its own, until what it would have to push out has
    /// been regained by waiting. Keys with attempts in flight stay as long as there are others.
    fn evict(&mut self, newcomer: Key) {
        let mut keys = self.by_time.iter().filter(|(_, key)| *key != newcomer);
        let idle = keys.clone().find(|(_, key)| !self.in_flight.contains_key(key));
        if let Some(&(at, key)) = idle.or_else(|| keys.next()) {
            self.by_time.remove(&(at, key));
            self.whole_again.remove(&key);
        }
    }
}

fn locked(ledger: &Mutex<Ledger>) -> MutexGuard<'_, Ledger> {
    ledger.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The ledger, read only.
struct Look(Arc<Mutex<Ledger>>);

impl StateStore for Look {
    type Key = Key;

    fn measure_and_replace<T, F, E>(&self, key: &Key, decide: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let at = locked(&self.0).whole_again.get(key).copied().map(Nanos::new);
        decide(at).map(|(outcome, _)| outcome)
    }
}

/// The ledger, written.
struct Take(Arc<Mutex<Ledger>>);

impl StateStore for Take {
    type Key = Key;

    fn measure_and_replace<T, F, E>(&self, key: &Key, decide: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let mut ledger = locked(&self.0);
        let at = ledger.whole_again.get(key).copied().map(Nanos::new);
        let (outcome, whole_again) = decide(at)?;
        ledger.enter(*key, whole_again);
        Ok(outcome)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEN_IN_TEN_MINUTES: Rate = Rate { burst: 10, per: Duration::from_secs(600) };

    fn at(seconds: u64) -> Monotonic {
        Monotonic(Duration::from_secs(seconds))
    }

    fn fail(cells: &Cells, key: Key, now: Monotonic) {
        assert_eq!(cells.room(key, now), Room::Free);
        cells.reserve(key);
        cells.charge(key, now);
    }

    #[test]
    fn a_key_regains_its_cells_one_by_one() {
        let cells = Cells::new(TEN_IN_TEN_MINUTES, 4);
        for _ in 0..10 {
            fail(&cells, Key(1), at(5));
        }
        assert_eq!(cells.room(Key(1), at(5)), Room::UsedUp(Duration::from_secs(60)));
        assert_eq!(cells.room(Key(1), at(35)), Room::UsedUp(Duration::from_secs(30)));
        fail(&cells, Key(1), at(65));
        assert!(matches!(cells.room(Key(1), at(65)), Room::UsedUp(_)));
        assert_eq!(cells.room(Key(2), at(65)), Room::Free, "another key is another bucket");
    }

    #[test]
    fn what_is_reserved_is_not_used_up() {
        let cells = Cells::new(Rate { burst: 2, per: Duration::from_secs(2) }, 4);
        cells.reserve(Key(1));
        fail(&cells, Key(1), at(0));
        assert_eq!(cells.room(Key(1), at(0)), Room::Reserved);
        cells.release(Key(1));
        assert_eq!(cells.room(Key(1), at(0)), Room::Free);
        fail(&cells, Key(1), at(0));
        assert_eq!(cells.room(Key(1), at(0)), Room::UsedUp(Duration::from_secs(1)));
    }

    #[test]
    fn a_failure_that_was_timed_before_another_is_charged_all_the_same() {
        let cells = Cells::new(Rate { burst: 2, per: Duration::from_secs(20) }, 4);
        cells.reserve(Key(1));
        cells.reserve(Key(1));
        cells.charge(Key(1), at(6));
        cells.charge(Key(1), at(5));
        assert_eq!(cells.room(Key(1), at(6)), Room::UsedUp(Duration::from_secs(10)));
    }

    #[test]
    fn a_flood_of_new_keys_does_not_reset_a_charged_one() {
        let cells = Cells::new(TEN_IN_TEN_MINUTES, 100);
        for _ in 0..10 {
            fail(&cells, Key(0), at(0));
        }
        for flood in 1..=10_000 {
            fail(&cells, Key(flood), at(1));
        }
        assert!(matches!(cells.room(Key(0), at(1)), Room::UsedUp(_)));
        let ledger = locked(&cells.ledger);
        assert_eq!((ledger.whole_again.len(), ledger.by_time.len()), (100, 100), "the cap is hard");
        assert!(ledger.in_flight.is_empty());
    }

    #[test]
    fn keys_that_are_whole_again_leave_before_charged_ones() {
        let cells = Cells::new(TEN_IN_TEN_MINUTES, 2);
        fail(&cells, Key(1), at(0));
        fail(&cells, Key(2), at(100));
        fail(&cells, Key(2), at(100));
        fail(&cells, Key(3), at(100));
        let ledger = locked(&cells.ledger);
        assert!(!ledger.whole_again.contains_key(&Key(1)) && ledger.whole_again.contains_key(&Key(2)));
    }

    #[test]
    fn a_key_with_an_attempt_in_flight_keeps_its_charges() {
        let cells = Cells::new(TEN_IN_TEN_MINUTES, 2);
        fail(&cells, Key(1), at(0));
        cells.reserve(Key(1));
        for flood in 2..50 {
            fail(&cells, Key(flood), at(1));
        }
        assert!(locked(&cells.ledger).whole_again.contains_key(&Key(1)));
    }
}
