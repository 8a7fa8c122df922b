//! Networks from which accounts got in lately. Pure: time is an argument.
//!
//! Whoever owns one account and a large network (a /48 has 65,536 of what counts as one) gets in from as many as he
//! likes; so each account has few, and pushes out its own.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use super::cells::Key;
use crate::base::Monotonic;

/// How long a success speaks for its pair: as long as people are away on holiday.
const KNOWN_FOR: Duration = Duration::from_secs(30 * 24 * 3600);

/// Of one account: a month of a phone that is given another /64 every day, and a few other places.
const OF_AN_ACCOUNT_MAX: usize = 64;

/// Pairs that got in lately; the one that did so longest ago leaves first.
pub(super) struct KnownPairs {
    last_success: HashMap<Key, (Monotonic, Key)>,
    by_time: BTreeSet<(Monotonic, Key)>,
    /// By account.
    of_account: HashMap<Key, BTreeSet<(Monotonic, Key)>>,
    capacity: usize,
}

impl KnownPairs {
    /// Of at most `capacity` pairs, with some 250 bytes each.
    pub(super) fn new(capacity: usize) -> Self {
        Self { last_success: HashMap::new(), by_time: BTreeSet::new(), of_account: HashMap::new(), capacity }
    }

    /// Whether `pair` got in lately.
    pub(super) fn knows(&mut self, pair: Key, now: Monotonic) -> bool {
        let Some((at, _)) = self.last_success.get(&pair).copied() else { return false };
        if now.since(at) <= KNOWN_FOR {
            return true;
        }
        self.forget(pair);
        false
    }

    /// `pair`, of `account`, got in.
    pub(super) fn remember(&mut self, account: Key, pair: Key, now: Monotonic) {
        self.forget(pair);
        self.last_success.insert(pair, (now, account));
        self.by_time.insert((now, pair));
        let own = self.of_account.entry(account).or_default();
        own.insert((now, pair));
        let over = match own.first() {
            Some((_, oldest)) if own.len() > OF_AN_ACCOUNT_MAX => Some(*oldest),
            _ if self.by_time.len() > self.capacity => self.by_time.first().map(|(_, oldest)| *oldest),
            _ => None,
        };
        if let Some(oldest) = over {
            self.forget(oldest);
        }
    }

    fn forget(&mut self, pair: Key) {
        let Some((at, account)) = self.last_success.remove(&pair) else { return };
        self.by_time.remove(&(at, pair));
        if let Some(own) = self.of_account.get_mut(&account) {
            own.remove(&(at, pair));
            if own.is_empty() {
                self.of_account.remove(&account);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALICE: Key = Key(1 << 100);
    const BOB: Key = Key(2 << 100);

    fn at(seconds: u64) -> Monotonic {
        Monotonic(Duration::from_secs(seconds))
    }

    #[test]
    fn the_oldest_acquaintance_makes_room() {
        let mut known = KnownPairs::new(2);
        known.remember(ALICE, Key(1), at(1));
        known.remember(BOB, Key(2), at(2));
        known.remember(ALICE, Key(1), at(3));
        known.remember(BOB, Key(3), at(4));
        assert!(known.knows(Key(1), at(5)) && !known.knows(Key(2), at(5)) && known.knows(Key(3), at(5)));
        assert_eq!((known.last_success.len(), known.by_time.len(), known.of_account.len()), (2, 2, 2));
    }

    #[test]
    fn one_account_from_a_whole_prefix_pushes_out_its_own_pairs_only() {
        let mut known = KnownPairs::new(1000);
        known.remember(BOB, Key(1), at(0));
        for network in 2..10_000 {
            known.remember(ALICE, Key(network), at(1));
        }
        assert!(known.knows(Key(1), at(2)));
        let latest = (2..10_000).filter(|network| known.knows(Key(*network), at(2))).count();
        assert_eq!((latest, known.last_success.len(), known.by_time.len()), (64, 65, 65));
    }

    #[test]
    fn nothing_is_kept_for_those_who_were_away_for_more_than_thirty_days() {
        let mut known = KnownPairs::new(10);
        known.remember(ALICE, Key(1), at(0));
        assert!(known.knows(Key(1), at(30 * 86_400)));
        assert!(!known.knows(Key(1), at(30 * 86_400 + 1)));
        assert!(known.last_success.is_empty() && known.by_time.is_empty() && known.of_account.is_empty());
    }
}
