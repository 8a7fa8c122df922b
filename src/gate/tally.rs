//! Counts what was turned away unseen instead of recording each: a flood must not fill the trail.
//!
//! ```text
//!   network, account, outcome ──first──▶ recorded at once, as any attempt
//!                             ──more───▶ counted; one record at the end of each minute
//! ```
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

/// Groups at a time, and those of one network; a first record and a sum take 1.2 KB at most.
const GROUPS_MAX: usize = 512;
const OF_A_NETWORK_MAX: usize = 32;

/// What is being counted.
#[derive(Default)]
pub(super) struct Tally {
    groups: Mutex<HashMap<Group, Count>>,
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct Group {
    network: Option<Network>,
    /// As it is recorded: in clear only if it exists.
    account: Option<String>,
    outcome: Outcome,
}

struct Count {
    count: u64,
    since: Timestamp,
    began: Monotonic,
    /// The last of them.
    ip: ClientAddress,
}

impl Tally {
    /// Counts one that ended with `outcome`. Whether it is the first of its group, which is to be recorded itself.
    pub(super) fn count(
        &self,
        client: ClientAddress,
        account: &str,
        outcome: Outcome,
        clock: &dyn Clock,
    ) -> bool {
        let network = client.network();
        let mut group = Group { network: Some(network), account: Some(account.to_owned()), outcome };
        let mut groups = self.locked();
        let mut first = false;
        if !groups.contains_key(&group) {
            let of_network = groups.keys().filter(|other| other.network == Some(network)).count();
            first = groups.len() < GROUPS_MAX && of_network < OF_A_NETWORK_MAX;
            if !first {
                group.account = None;
            }
            if groups.len() >= GROUPS_MAX && !groups.contains_key(&group) {
                group.network = None;
            }
        }
        let count = groups.entry(group).or_insert_with(|| Count {
            count: 0,
            since: clock.now(),
            began: clock.monotonic(),
            ip: client,
        });
        count.ip = client;
        if !first {
            count.count += 1;
        }
        first
    }

    /// Takes the sums of all groups whose minute is over, or of all there are.
    pub(super) fn take(&self, only_due: bool, clock: &dyn Clock) -> Vec<RefusedLogins> {
        let (now, at) = (clock.monotonic(), clock.now());
        let mut sums = Vec::new();
        self.locked().retain(|group, count| {
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

    fn locked(&self) -> MutexGuard<'_, HashMap<Group, Count>> {
        self.groups.lock().unwrap_or_else(PoisonError::into_inner)
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
        assert!(tally.locked().is_empty() && count(), "it was over");
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
}
