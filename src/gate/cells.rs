//! Governor's cells, one bucket per key, in a map that cannot grow without end.
//!
//! ```text
//!   burst ┤████████ charged ████│▒▒ in flight ▒▒│   free   │
//! ```
//!
//! A key without an entry has all its cells. Keys come from hostile input; the map holds at most as many as it
//! was made for, and what leaves it first is what says least about its key.
//!
//! Cells can grow scarce ([`Regain::Slower`]): a failure that uses a key up again soon after it was used up before
//! doubles the time until the next cell comes back, up to [`DOUBLINGS_MAX`] times. Time in which the key is not used
//! up takes that back. The penalty is part of governor's own state, which merely lies further ahead.

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
use crate::base::key::HashKey;
use crate::config::Rate;

/// How often the time until the next cell may double: of the sixteenfold a guesser has a few tries an hour, and
/// whoever shares his network or his target is not shut out for a day.
const DOUBLINGS_MAX: u8 = 4;

/// What is limited: a keyed hash of a network, an account or a pair, so that the maps hold no names and every
/// entry has the same size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Key(pub(super) u128);

impl Key {
    /// Of `parts`, under a key of this process's own.
    pub(super) fn of(key: &HashKey, parts: &[&[u8]]) -> Self {
        let digest = key.hash(parts);
        Self(digest.first_chunk().map_or(0, |first| u128::from_be_bytes(*first)))
    }
}

/// How a key gets its cells back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Regain {
    /// Evenly, whatever happened before.
    Evenly,
    /// More slowly each time it is used up again.
    Slower,
}

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
    rate: Rate,
    burst: NonZeroU32,
    period: Duration,
    regain: Regain,
    /// Answers without charging.
    look: RateLimiter<Key, Look, ToldTime, NoOpMiddleware<Duration>>,
    /// Charges.
    take: RateLimiter<Key, Take, ToldTime, NoOpMiddleware<Duration>>,
}

impl Cells {
    /// Cells for at most `capacity` charged keys.
    pub(super) fn new(rate: Rate, regain: Regain, capacity: usize) -> Self {
        let ledger = Arc::new(Mutex::new(Ledger { capacity, ..Ledger::default() }));
        Self::on(ledger, ToldTime::default(), rate, regain)
    }

    fn on(ledger: Arc<Mutex<Ledger>>, time: ToldTime, rate: Rate, regain: Regain) -> Self {
        let burst = NonZeroU32::new(rate.burst).unwrap_or(NonZeroU32::MIN);
        let period = (rate.per / burst.get()).max(Duration::from_nanos(1));
        let quota = Quota::with_period(period)
            .unwrap_or_else(|| Quota::per_second(NonZeroU32::MIN))
            .allow_burst(burst);
        Self {
            rate,
            look: RateLimiter::new(quota, Look(Arc::clone(&ledger)), time.clone()),
            take: RateLimiter::new(quota, Take(Arc::clone(&ledger)), time.clone()),
            ledger,
            time,
            burst,
            period,
            regain,
        }
    }

    /// The same cells, charged and reserved as they are, with another rate: a key is whole again when it would have been,
    /// however many cells that is by the new rate.
    pub(super) fn at_rate(&self, rate: Rate) -> Self {
        Self::on(Arc::clone(&self.ledger), self.time.clone(), rate, self.regain)
    }

    /// Whether this is its rate.
    pub(super) fn has_rate(&self, rate: Rate) -> bool {
        self.rate == rate
    }

    /// Takes another rate, as [`Cells::at_rate`] does.
    pub(super) fn regain_at(&mut self, rate: Rate) {
        if rate != self.rate {
            *self = self.at_rate(rate);
        }
    }

    /// How many cells a key has.
    pub(super) fn burst(&self) -> u32 {
        self.burst.get()
    }

    /// Whether one more attempt fits `key` beside those in flight.
    pub(super) fn room(&self, key: Key, now: Monotonic) -> Room {
        self.room_beside(key, 0, now)
    }

    /// The same, if it must leave `spare` cells (fewer than there are in all) to others.
    pub(super) fn room_beside(&self, key: Key, spare: u32, now: Monotonic) -> Room {
        self.time.tell(now);
        let in_flight = locked(&self.ledger).in_flight.get(&key).copied().unwrap_or(0);
        let alone = NonZeroU32::MIN.saturating_add(spare).min(self.burst);
        match self.look.check_key_n(&key, alone.saturating_add(in_flight)) {
            Ok(Ok(())) => Room::Free,
            Ok(Err(_)) | Err(_) => match self.look.check_key_n(&key, alone) {
                Ok(Ok(())) | Err(_) => Room::Reserved,
                Ok(Err(until)) => Room::UsedUp(until.wait_time_from(now.0)),
            },
        }
    }

    /// Whether no cell of `key` is charged.
    pub(super) fn is_whole(&self, key: Key, now: Monotonic) -> bool {
        self.time.tell(now);
        matches!(self.look.check_key_n(&key, self.burst), Ok(Ok(())))
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
        // A reserved cell is free by construction, and time only adds more; unless cells became fewer meanwhile.
        let _ = self.take.check_key(&key);
        self.release(key);
        if self.regain == Regain::Slower {
            self.punish(key);
        }
    }

    /// Charges a cell that nobody reserved, if one is left.
    pub(super) fn charge_unreserved(&self, key: Key, now: Monotonic) {
        self.time.tell(now);
        let _ = self.take.check_key(&key);
    }

    /// If `key` is used up now, for good and not for attempts in flight, its next cell takes longer than the last.
    fn punish(&self, key: Key) {
        let mut ledger = locked(&self.ledger);
        if ledger.in_flight.contains_key(&key) {
            return;
        }
        let (now, period) = (self.time.now(), self.period);
        let window = period.saturating_mul(self.burst.get());
        let Some(entry) = ledger.charged.get(&key).copied() else { return };
        let whole_again = Duration::from_nanos(entry.whole_again);
        if whole_again.saturating_sub(now) <= window.saturating_sub(period) {
            return;
        }
        let (doublings, extra) = match entry.used_up {
            None => (0, Duration::ZERO),
            Some(last) => {
                let quiet = now.saturating_sub(last.until).as_nanos() / window.as_nanos().max(1);
                let left = u128::from(last.doublings) + 1;
                let doublings =
                    u8::try_from(left.saturating_sub(quiet)).unwrap_or(u8::MAX).min(DOUBLINGS_MAX);
                (doublings, period.saturating_mul((1 << doublings) - 1))
            }
        };
        let whole_again = whole_again.saturating_add(extra);
        let until = whole_again.saturating_sub(window.saturating_sub(period));
        ledger.enter(key, nanos(whole_again));
        if let Some(entry) = ledger.charged.get_mut(&key) {
            entry.used_up = Some(UsedUp { doublings, until });
        }
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// The time that the caller passed in, as governor's clock. It never goes back: of two threads that read the clock
/// and then meet here in the other order, the later one would find its reserved cell not free yet.
#[derive(Clone, Default)]
struct ToldTime(Arc<AtomicU64>);

impl ToldTime {
    fn tell(&self, now: Monotonic) {
        self.0.fetch_max(nanos(now.0), Ordering::Relaxed);
    }
}

impl Clock for ToldTime {
    type Instant = Duration;

    fn now(&self) -> Duration {
        Duration::from_nanos(self.0.load(Ordering::Relaxed))
    }
}

/// What is charged to one key.
#[derive(Clone, Copy)]
struct Charged {
    /// When it has all its cells again (GCRA's theoretical arrival time): the smaller, the less it says.
    whole_again: u64,
    /// When it was last used up, if ever.
    used_up: Option<UsedUp>,
}

#[derive(Clone, Copy)]
struct UsedUp {
    doublings: u8,
    /// When the next cell came back.
    until: Duration,
}

/// What is charged and what is reserved.
#[derive(Default)]
struct Ledger {
    charged: HashMap<Key, Charged>,
    by_time: BTreeSet<(u64, Key)>,
    /// As many keys as attempts are under way; the connection limits bound them.
    in_flight: HashMap<Key, u32>,
    capacity: usize,
}

impl Ledger {
    fn enter(&mut self, key: Key, whole_again: u64) {
        match self.charged.get_mut(&key) {
            Some(entry) => {
                self.by_time.remove(&(entry.whole_again, key));
                entry.whole_again = whole_again;
            }
            None => {
                self.charged.insert(key, Charged { whole_again, used_up: None });
                if self.charged.len() > self.capacity {
                    self.evict(key);
                }
            }
        }
        self.by_time.insert((whole_again, key));
    }

    /// Makes room for `newcomer`. Keys that are whole again come first in order of time, then those with the
    /// fewest charges left: a flood of fresh keys pushes out its own, until what it would have to push out has
    /// been regained by waiting. Keys with attempts in flight stay as long as there are others.
    fn evict(&mut self, newcomer: Key) {
        let mut keys = self.by_time.iter().filter(|(_, key)| *key != newcomer);
        let idle = keys.clone().find(|(_, key)| !self.in_flight.contains_key(key));
        if let Some(&(at, key)) = idle.or_else(|| keys.next()) {
            self.by_time.remove(&(at, key));
            self.charged.remove(&key);
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
        let at = locked(&self.0).charged.get(key).map(|entry| Nanos::new(entry.whole_again));
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
        let at = ledger.charged.get(key).map(|entry| Nanos::new(entry.whole_again));
        let (outcome, whole_again) = decide(at)?;
        ledger.enter(*key, whole_again.as_u64());
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
        let cells = Cells::new(TEN_IN_TEN_MINUTES, Regain::Evenly, 4);
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
        let cells = Cells::new(Rate { burst: 2, per: Duration::from_secs(2) }, Regain::Evenly, 4);
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
        let cells = Cells::new(Rate { burst: 2, per: Duration::from_secs(20) }, Regain::Evenly, 4);
        cells.reserve(Key(1));
        cells.reserve(Key(1));
        cells.charge(Key(1), at(6));
        cells.charge(Key(1), at(5));
        assert_eq!(cells.room(Key(1), at(6)), Room::UsedUp(Duration::from_secs(10)));
    }

    #[test]
    fn a_flood_of_new_keys_does_not_reset_a_charged_one() {
        let cells = Cells::new(TEN_IN_TEN_MINUTES, Regain::Evenly, 100);
        for _ in 0..10 {
            fail(&cells, Key(0), at(0));
        }
        for flood in 1..=10_000 {
            fail(&cells, Key(flood), at(1));
        }
        assert!(matches!(cells.room(Key(0), at(1)), Room::UsedUp(_)));
        let ledger = locked(&cells.ledger);
        assert_eq!((ledger.charged.len(), ledger.by_time.len()), (100, 100), "the cap is hard");
        assert!(ledger.in_flight.is_empty());
    }

    #[test]
    fn keys_that_are_whole_again_leave_before_charged_ones() {
        let cells = Cells::new(TEN_IN_TEN_MINUTES, Regain::Evenly, 2);
        fail(&cells, Key(1), at(0));
        fail(&cells, Key(2), at(100));
        fail(&cells, Key(2), at(100));
        fail(&cells, Key(3), at(100));
        let ledger = locked(&cells.ledger);
        assert!(!ledger.charged.contains_key(&Key(1)) && ledger.charged.contains_key(&Key(2)));
    }

    #[test]
    fn a_key_with_an_attempt_in_flight_keeps_its_charges() {
        let cells = Cells::new(TEN_IN_TEN_MINUTES, Regain::Evenly, 2);
        fail(&cells, Key(1), at(0));
        cells.reserve(Key(1));
        for flood in 2..50 {
            fail(&cells, Key(flood), at(1));
        }
        assert!(locked(&cells.ledger).charged.contains_key(&Key(1)));
    }

    /// Fails as soon as it may, and says how long that took each time.
    fn waits(cells: &Cells, times: usize, from: Monotonic) -> (Vec<u64>, Monotonic) {
        let (mut waits, mut now) = (Vec::new(), from);
        for _ in 0..times {
            let wait = match cells.room(Key(1), now) {
                Room::Free => Duration::ZERO,
                Room::UsedUp(time) => time,
                Room::Reserved => panic!("nothing is in flight"),
            };
            now = now.plus(wait);
            fail(cells, Key(1), now);
            waits.push(wait.as_secs());
        }
        (waits, now)
    }

    #[test]
    fn who_goes_on_failing_waits_twice_as_long_each_time_up_to_the_sixteenfold() {
        let cells = Cells::new(Rate { burst: 3, per: Duration::from_secs(30) }, Regain::Slower, 4);
        let (heard, _) = waits(&cells, 10, at(0));
        assert_eq!(heard, [0, 0, 0, 10, 20, 40, 80, 160, 160, 160]);
        assert_eq!(cells.room(Key(2), at(0)), Room::Free, "nobody else pays");
    }

    #[test]
    fn the_penalty_is_forgotten_step_by_step_while_a_key_is_quiet() {
        let cells = Cells::new(Rate { burst: 3, per: Duration::from_secs(30) }, Regain::Slower, 4);
        let (_, last) = waits(&cells, 6, at(0));
        // Three doublings: the next cell after 80 s, and then three windows of 30 s but for a second.
        let (heard, _) = waits(&cells, 4, last.plus(Duration::from_secs(80 + 89)));
        assert_eq!(heard, [0, 0, 0, 40], "two are taken back, one is added");
        let cells = Cells::new(Rate { burst: 3, per: Duration::from_secs(30) }, Regain::Slower, 4);
        let (_, last) = waits(&cells, 6, at(0));
        let (heard, _) = waits(&cells, 4, last.plus(Duration::from_secs(3600)));
        assert_eq!(heard, [0, 0, 0, 10]);
    }

    #[test]
    fn attempts_in_flight_keep_their_cells_until_the_last_has_failed() {
        let cells = Cells::new(Rate { burst: 3, per: Duration::from_secs(30) }, Regain::Slower, 4);
        for round in 0..3 {
            let now = at(round * 1000);
            for _ in 0..3 {
                assert_eq!(cells.room(Key(1), now), Room::Free, "round {round}");
                cells.reserve(Key(1));
            }
            for _ in 0..3 {
                cells.charge(Key(1), now);
            }
            assert!(matches!(cells.room(Key(1), now), Room::UsedUp(_)));
        }
    }

    #[test]
    fn whoever_must_leave_room_to_others_finds_less() {
        let cells = Cells::new(Rate { burst: 4, per: Duration::from_secs(40) }, Regain::Evenly, 4);
        fail(&cells, Key(1), at(0));
        assert_eq!(cells.room_beside(Key(1), 2, at(0)), Room::Free);
        cells.reserve(Key(1));
        assert_eq!(cells.room_beside(Key(1), 2, at(0)), Room::Reserved);
        cells.charge(Key(1), at(0));
        assert_eq!(cells.room_beside(Key(1), 2, at(0)), Room::UsedUp(Duration::from_secs(10)));
        assert_eq!(cells.room(Key(1), at(0)), Room::Free);
        assert!(!cells.is_whole(Key(1), at(19)) && cells.is_whole(Key(1), at(20)));
    }
}
