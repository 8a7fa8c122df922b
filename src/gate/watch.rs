//! Notices guessing that limits alone only slow down: spraying (one network, many accounts) and stuffing (one account,
//! many networks or many passwords).
//!
//! It only tells; who is let in does not depend on it. What is counted comes from hostile input: only keyed hashes are
//! held, of few keys, and each episode is told once, however long it goes on.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::cells::Key;
use super::tags::{Tag, Tags};
use crate::audit::event::Pattern;
use crate::base::key::HashKey;
use crate::base::{ClientAddress, Monotonic, NetworkList, Secret};

/// So many different ones within [`WINDOW`] are guessing: more than the devices of a household or the networks of a
/// traveller with a forgotten password.
pub(super) const MANY: usize = 20;

/// How far back is counted; an episode is over when it was quiet for as long.
pub(super) const WINDOW: Duration = Duration::from_secs(3600);

/// Networks or accounts that are watched for each pattern: each takes 5 MB when it is full. One that goes on failing
/// is not pushed out by those who fail once.
const KEYS_MAX: usize = 8_192;

/// The watch of this process.
pub(super) struct Watch {
    key: HashKey,
    inner: Mutex<Inner>,
}

struct Inner {
    exempt: NetworkList,
    accounts_of_network: Episodes,
    networks_of_account: Episodes,
    passwords_of_account: Episodes,
}

impl Watch {
    /// Has seen nothing yet. `key` is this process's own; nobody in `exempt` is counted as a network that sprays.
    pub(super) fn new(key: &Secret, exempt: NetworkList) -> Self {
        let inner = Inner {
            exempt,
            accounts_of_network: Episodes::new(),
            networks_of_account: Episodes::new(),
            passwords_of_account: Episodes::new(),
        };
        Self { key: HashKey::new(key), inner: Mutex::new(inner) }
    }

    /// From now on nobody in `exempt` is counted as a network that sprays.
    pub(super) fn adopt(&self, exempt: &NetworkList) {
        self.locked().exempt = exempt.clone();
    }

    /// An attempt was refused; what begins with it, mostly nothing.
    pub(super) fn refused(
        &self,
        client: ClientAddress,
        account: &str,
        password: Tag,
        now: Monotonic,
    ) -> Vec<Pattern> {
        let network = Key::of(&self.key, &[b"network", client.network().to_string().as_bytes()]);
        let account = Key::of(&self.key, &[b"account", account.as_bytes()]);
        let mut inner = self.locked();
        let mut begun = Vec::new();
        if !inner.exempt.contains(client) && inner.accounts_of_network.note(network, tag(account), now) {
            begun.push(Pattern::ManyAccounts);
        }
        if inner.networks_of_account.note(account, tag(network), now) {
            begun.push(Pattern::ManyNetworks);
        }
        if inner.passwords_of_account.note(account, password, now) {
            begun.push(Pattern::ManyPasswords);
        }
        begun
    }

    fn locked(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn tag(key: Key) -> Tag {
    let [.., high, low] = key.0.to_be_bytes();
    Tag::from(u16::from_be_bytes([high, low]))
}

/// One pattern.
struct Episodes {
    seen: Tags,
    /// Those that were told.
    told: Tags,
}

impl Episodes {
    fn new() -> Self {
        Self { seen: Tags::new(WINDOW, MANY, KEYS_MAX), told: Tags::new(WINDOW, 1, KEYS_MAX) }
    }

    /// Whether an episode of `key` begins.
    fn note(&mut self, key: Key, tag: Tag, now: Monotonic) -> bool {
        if self.seen.note(key, tag, now) < MANY {
            return false;
        }
        let begins = !self.told.has(key, 0, now);
        self.told.note(key, 0, now);
        begins
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watch() -> Watch {
        Watch::new(&Secret::new(vec![7; 32]), "198.51.100.0/24".parse().unwrap())
    }

    fn at(seconds: u64) -> Monotonic {
        Monotonic(Duration::from_secs(seconds))
    }

    fn from(number: u16) -> ClientAddress {
        let [high, low] = number.to_be_bytes();
        ClientAddress::new([10, 0, high, low].into())
    }

    #[test]
    fn five_hundred_networks_with_one_try_each_on_one_account_are_told_once() {
        let watch = watch();
        let begun: Vec<_> =
            (0..500).flat_map(|number| watch.refused(from(number), "a@x.org", 1, at(1))).collect();
        assert_eq!(begun, [Pattern::ManyNetworks]);
    }

    #[test]
    fn one_network_with_many_accounts_is_told_once_unless_it_is_exempt() {
        let watch = watch();
        let spray = |client| -> Vec<_> {
            (0..500).flat_map(|number| watch.refused(client, &format!("{number}@x.org"), 1, at(1))).collect()
        };
        assert_eq!(spray(from(1)), [Pattern::ManyAccounts]);
        assert_eq!(spray(ClientAddress::new([198, 51, 100, 7].into())), []);
    }

    #[test]
    fn many_passwords_are_guessing_and_the_same_again_and_again_is_not() {
        let watch = watch();
        let tries = |passwords: std::ops::Range<Tag>| -> Vec<_> {
            passwords.flat_map(|password| watch.refused(from(1), "a@x.org", password, at(1))).collect()
        };
        for _ in 0..1000 {
            assert_eq!(tries(0..1), []);
        }
        assert_eq!(tries(1..500), [Pattern::ManyPasswords]);
    }

    #[test]
    fn an_episode_ends_when_it_was_quiet_for_an_hour() {
        let watch = watch();
        let tell = |from_number: u16, seconds: u64| -> usize {
            let tries = (from_number..from_number + 30)
                .flat_map(|number| watch.refused(from(number), "a@x.org", 1, at(seconds)));
            tries.count()
        };
        assert_eq!((tell(0, 0), tell(100, 1800), tell(200, 5000)), (1, 0, 0), "one episode that goes on");
        assert_eq!(tell(300, 9000), 1, "and the next");
    }

    #[test]
    fn those_who_fail_once_do_not_push_out_one_who_goes_on() {
        let mut episodes = Episodes::new();
        for tag in 0..19 {
            assert!(!episodes.note(Key(0), tag, at(tag * 2)));
            for other in 1..=1000 {
                episodes.note(Key(other + u128::from(tag) * 1000), 0, at(tag * 2 + 1));
            }
        }
        assert!(episodes.note(Key(0), 19, at(50)));
    }
}
