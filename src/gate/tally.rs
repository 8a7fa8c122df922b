//! Counts what was turned away unseen, or came to nothing, instead of recording each: a flood must not fill the trail.
//!
//! ```text
//!   network, account, outcome ──first──▶ recorded at once, as any attempt
//!                             ──more───▶ counted; one record at the end of each minute
//! ```
//!
//! Of those that came to nothing (the upstream or the gate could not tell, the client left) the first few are recorded,
//! because their reasons differ.
//!
//! Names and networks come from hostile input. There are few groups: what does not fit is counted for its network
//! without an account, and what does not fit there either for the gate as a whole. So the trail grows by less than a
//! mebibyte a minute, whatever comes, and nothing goes uncounted.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::audit::event::{Outcome, RefusedLogins};
use crate::base::{ClientAddress, Clock, Monotonic, Network, Timestamp};

/// How long is counted before it is recorded.
const WINDOW: Duration = Duration::from_secs(60);

/// Groups at a time, and those of one network; a sum takes half a kilobyte.
const GROUPS_MAX: usize = 512;
const OF_A_NETWORK_MAX: usize = 32;

/// How many of a group are recorded that came to nothing.
const FEW: u32 = 4;

/// How many are recorded of all groups, in a minute; each takes 0.8 KB at most.
const RECORDED_MAX: u32 = 768;

/// What is being counted.
#[derive(Default)]
pub(super) struct Tally {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    groups: HashMap<Group, Count>,
    /// How many were recorded in the present minute, and when that began.
    recorded: u32,
    since: Monotonic,
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct Group {
    network: Option<Network>,
    /// As it is recorded: in clear only if it exists.
    account: Option<String>,
    outcome: Outcome,
}

struct Count {
    /// Recorded themselves.
    recorded: u32,
    /// Counted only.
    count: u64,
    since: Timestamp,
    began: Monotonic,
    /// The last of them.
    ip: ClientAddress,
}

impl Tally {
    /// Counts one that ended with `outcome`. Whether it is among the first of its group, which are to be recorded
    /// themselves.
    pub(super) fn count(
        &self,
        client: ClientAddress,
        account: &str,
        outcome: Outcome,
        clock: &dyn Clock,
    ) -> bool {
        let (network, now) = (client.network(), clock.monotonic());
        let mut group = Group { network: Some(network), account: Some(account.to_owned()), outcome };
        let mut inner = self.locked();
        let Inner { groups, recorded, since } = &mut *inner;
        if now.since(*since) >= WINDOW {
            (*recorded, *since) = (0, now);
        }
        if !groups.contains_key(&group) {
            let of_network = groups.keys().filter(|other| other.network == Some(network)).count();
            if groups.len() >= GROUPS_MAX || of_network >= OF_A_NETWORK_MAX {
                group.account = None;
            }
            if groups.len() >= GROUPS_MAX && !groups.contains_key(&group) {
                group.network = None;
            }
        }
        let few = match outcome {
            _ if group.account.is_none() => 0,
            Outcome::Unavailable => FEW,
            Outcome::Admitted | Outcome::Refused | Outcome::Limited => 1,
        };
        let count = groups.entry(group).or_insert_with(|| Count {
            recorded: 0,
            count: 0,
            since: clock.now(),
            began: now,
            ip: client,
        });
        count.ip = client;
        let first = count.recorded < few && *recorded < RECORDED_MAX;
        if first {
            count.recorded += 1;
            *recorded += 1;
        } else {
            // What is not recorded once is not recorded later: a sum covers it.
            count.recorded = few;
            count.count += 1;
        }
        first
    }

    /// Takes the sums of all groups whose minute is over, or of all there are.
    pub(super) fn take(&self, only_due: bool, clock: &dyn Clock) -> Vec<RefusedLogins> {
        let (now, at) = (clock.monotonic(), clock.now());
        let mut sums = Vec::new();
        self.locked().groups.retain(|group, count| {
            if only_due && now.since(count.began) < WINDOW {
                return true;
            }
            if count.count > 0 {
                sums.push(RefusedLogins {
                    ip: group.network.map(|_| count.ip),
                    network: group.network.map(|network| network.to_string()),
                    account: group.account.clone(),
                    outcome: group.outcome,
                    count: count.count,
                    since: count.since,
                });
            }
            // A flood that goes on leaves one record a minute, not a first one each time as well.
            let goes_on = count.count > 0;
            (count.count, count.since, count.began) = (0, at, now);
            goes_on
        });
        sums
    }

    fn locked(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::ManualClock;

    fn from(number: u16) -> ClientAddress {
        let [high, low] = number.to_be_bytes();
        ClientAddress::new([10, 0, high, low].into())
    }

    fn sums(sums: Vec<RefusedLogins>) -> Vec<(Option<String>, Option<String>, u64)> {
        sums.into_iter().map(|sum| (sum.network, sum.account, sum.count)).collect()
    }

    #[test]
    fn the_first_is_told_at_once_and_the_rest_by_the_minute() {
        let (tally, clock) = (Tally::default(), ManualClock::default());
        let count = || tally.count(from(1), "a@x.org", Outcome::Limited, &clock);
        assert!(count());
        assert!(
            tally.count(from(1), "a@x.org", Outcome::Refused, &clock),
            "another outcome is another story"
        );
        for _ in 0..1000 {
            assert!(!count());
        }
        assert_eq!(sums(tally.take(true, &clock)), []);
        clock.advance(WINDOW);
        let expected = (Some("10.0.0.1/32".to_owned()), Some("a@x.org".to_owned()), 1000);
        assert_eq!(sums(tally.take(true, &clock)), [expected]);
        assert!(!count(), "it goes on");
        assert_eq!(sums(tally.take(false, &clock))[0].2, 1);
        clock.advance(WINDOW);
        assert_eq!(sums(tally.take(true, &clock)), []);
        assert!(tally.locked().groups.is_empty() && count(), "it was over");
    }

    #[test]
    fn whatever_comes_there_are_few_records_and_all_is_counted() {
        let (tally, clock) = (Tally::default(), ManualClock::default());
        let mut firsts = 0;
        for number in 0..60_000_u64 {
            let client = from(if number % 2 == 0 { 1 } else { u16::try_from(number % 50_000).unwrap() });
            firsts += u64::from(tally.count(client, &format!("{number}@x.org"), Outcome::Limited, &clock));
        }
        let sums = sums(tally.take(false, &clock));
        assert!(firsts + sums.len() as u64 <= 1 + 2 * GROUPS_MAX as u64, "{firsts} and {}", sums.len());
        assert_eq!(firsts + sums.iter().map(|sum| sum.2).sum::<u64>(), 60_000);
        assert!(sums.iter().any(|sum| sum.0.as_deref() == Some("10.0.0.1/32") && sum.1.is_none()));
        assert!(sums.iter().any(|sum| sum.0.is_none()));
    }

    #[test]
    fn of_those_that_came_to_nothing_the_first_few_are_told_and_no_more_while_it_goes_on() {
        let (tally, clock) = (Tally::default(), ManualClock::default());
        let count = |number: u16| tally.count(from(number), "a@x.org", Outcome::Unavailable, &clock);
        for minute in 0..3 {
            let told = (0..100).filter(|_| count(1)).count();
            assert_eq!(told, if minute == 0 { 4 } else { 0 });
            clock.advance(WINDOW);
            assert_eq!(sums(tally.take(true, &clock))[0].2, if minute == 0 { 96 } else { 100 });
        }
        let told: usize = (0..1000).map(|number| (0..10).filter(|_| count(number)).count()).sum();
        assert_eq!(told, RECORDED_MAX as usize, "of all together");
        let counted: u64 = sums(tally.take(false, &clock)).iter().map(|sum| sum.2).sum();
        assert_eq!(told as u64 + counted, 10_000);
    }
}
