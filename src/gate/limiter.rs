//! How often an attempt may fail: per network, per account, and per pair of both. Pure: time is an argument.
//!
//! ```text
//!              ┌─ Wait ───────────── cells are free, but reserved by attempts in flight
//!   reserve ───┼─ UsedUp(time) ───── refused unseen
//!              └─ Held ─┬─ succeed ─ the cells come back, the pair is known from now on
//!                       ├─ release ─ nothing was decided: the cells come back
//!                       └─ fail ──── the cells are charged, and regained over time
//! ```
//!
//! Which keys judge an attempt, so that a guesser can lock nobody out but himself:
//! - a label that matches a row of the account: label, account and network together, alone. The twelve symbols
//!   behind a label cannot be guessed, so neither a stale phone nor an attack on the account stands in the way;
//! - a pair that succeeded in the last 30 days: the pair, alone;
//! - anything else: network, account and pair. Accounts that do not exist have keys like those that do;
//! - from an exempt network: nothing is counted, but for codes of second factors account and pair.
//!
//! Whoever is judged alone gets in where others are refused unseen. One who does not get in must be answered like
//! those others, or a guesser who has used up his network would hear which accounts and labels there are: that is
//! what [`Limiter::refuses_strangers`] is for.
//!
//! Names come from hostile input: only keyed hashes of them are held, in maps with hard caps.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::cells::{Cells, Key, Regain, Room};
use super::known_pairs::KnownPairs;
use crate::base::key::HashKey;
use crate::base::{ClientAddress, Monotonic, NetworkList, Secret};
use crate::config;

/// Charged keys of each kind, and known pairs: about 100 bytes each, so some 50 MB in all when every map is
/// full. To fill one, an attacker needs as many failures within the time in which one is regained.
const KEYS_MAX: usize = 131_072;

/// What is tried. Each kind has cells of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tried {
    /// A password, which an upstream's budget stands behind as well.
    Password,
    /// A code of a second factor: few digits, and nothing else stands behind them.
    Code,
}

/// Who tries, as far as limits care.
#[derive(Clone, Copy)]
pub(super) struct Subject<'a> {
    /// What.
    pub(super) tried: Tried,
    /// From where.
    pub(super) client: ClientAddress,
    /// The folded address, or whatever was typed where it leads nowhere.
    pub(super) account: &'a str,
    /// The label, if a row of the account has it.
    pub(super) known_label: Option<&'a str>,
}

/// Whether an attempt may be looked at.
#[derive(Debug)]
pub(super) enum Reserve {
    /// Yes; to be settled by `succeed`, `release` or `fail`.
    Held(Reservation),
    /// Not yet: when something is given back at this key, ask again.
    Wait(Key),
    /// No; the first cell is free again after this time.
    UsedUp(Duration),
}

/// Cells held by one attempt in flight.
#[derive(Debug, Default)]
#[must_use = "a reservation that is not settled blocks its keys for ever"]
pub(super) struct Reservation {
    network: Option<Key>,
    account: Option<Key>,
    pair: Option<Key>,
    /// The pair to know once it succeeds.
    acquaintance: Option<Acquaintance>,
}

#[derive(Clone, Copy, Debug)]
struct Acquaintance {
    account: Key,
    pair: Key,
}

impl Reservation {
    /// The keys that it holds cells of.
    pub(super) fn keys(&self) -> impl Iterator<Item = Key> {
        [self.network, self.account, self.pair].into_iter().flatten()
    }
}

/// The limiter of this process.
pub(super) struct Limiter {
    inner: Mutex<Inner>,
    hash_key: HashKey,
}

struct Inner {
    exempt: NetworkList,
    networks: Cells,
    accounts: Cells,
    pairs: Cells,
    known: KnownPairs,
}

impl Limiter {
    /// Limits as configured; a pair may fail as often as an account. `hash_key` is this process's own.
    pub(super) fn new(limits: &config::Limits, hash_key: &Secret) -> Self {
        Self {
            inner: Mutex::new(Inner {
                exempt: limits.exempt.clone(),
                networks: Cells::new(limits.per_network, Regain::Slower, KEYS_MAX),
                accounts: Cells::new(limits.per_account, Regain::Slower, KEYS_MAX),
                pairs: Cells::new(limits.per_account, Regain::Slower, KEYS_MAX),
                known: KnownPairs::new(KEYS_MAX),
            }),
            hash_key: HashKey::new(hash_key),
        }
    }

    /// From now on these limits; what was charged stays charged until it would have been whole again.
    pub(super) fn adopt(&self, limits: &config::Limits) {
        let mut inner = self.locked();
        inner.exempt = limits.exempt.clone();
        inner.networks.regain_at(limits.per_network);
        inner.accounts.regain_at(limits.per_account);
        inner.pairs.regain_at(limits.per_account);
    }

    /// Reserves a cell of each key that judges `subject`: of all or of none.
    pub(super) fn reserve(&self, subject: Subject<'_>, now: Monotonic) -> Reserve {
        let mut inner = self.locked();
        let exempt = inner.exempt.contains(subject.client);
        if exempt && subject.tried == Tried::Password {
            return Reserve::Held(Reservation::default());
        }
        let mut wanted = self.keys(&mut inner.known, subject, now);
        // Many may sit behind a known address, but nobody has a right to guess codes.
        wanted.network.take_if(|_| exempt);
        let rooms = inner.slots(&wanted).map(|(cells, key)| (key, cells.room(key, now)));
        let rooms: Vec<_> = rooms.collect();
        if let Some(time) = rooms.iter().filter_map(|(_, room)| used_up(*room)).max() {
            return Reserve::UsedUp(time);
        }
        if let Some((key, _)) = rooms.iter().find(|(_, room)| *room == Room::Reserved) {
            return Reserve::Wait(*key);
        }
        inner.slots(&wanted).for_each(|(cells, key)| cells.reserve(key));
        Reserve::Held(wanted)
    }

    /// The attempt got in.
    pub(super) fn succeed(&self, reservation: &Reservation, now: Monotonic) {
        let mut inner = self.locked();
        inner.slots(reservation).for_each(|(cells, key)| cells.release(key));
        if let Some(Acquaintance { account, pair }) = reservation.acquaintance {
            inner.known.remember(account, pair, now);
        }
    }

    /// The account got in from there in another way than by a password alone.
    pub(super) fn acquaint(&self, client: ClientAddress, account: &str, now: Monotonic) {
        let network = client.network().to_string();
        let keys = self.strangers_keys(Tried::Password, &network, account);
        if let Some(Acquaintance { account, pair }) = keys.acquaintance {
            self.locked().known.remember(account, pair, now);
        }
    }

    /// Nothing was decided about the attempt's password, or it was right and other reasons kept it out.
    pub(super) fn release(&self, reservation: &Reservation) {
        self.locked().slots(reservation).for_each(|(cells, key)| cells.release(key));
    }

    /// The attempt failed.
    pub(super) fn fail(&self, reservation: &Reservation, now: Monotonic) {
        self.locked().slots(reservation).for_each(|(cells, key)| cells.charge(key, now));
    }

    /// Whether an attempt of which nothing is known would be refused unseen now. Of one that holds cells itself it
    /// is not: what is reserved is not used up.
    pub(super) fn refuses_strangers(&self, client: ClientAddress, account: &str, now: Monotonic) -> bool {
        let network = client.network().to_string();
        let keys = self.strangers_keys(Tried::Password, &network, account);
        let inner = self.locked();
        if inner.exempt.contains(client) {
            return false;
        }
        inner.slots(&keys).any(|(cells, key)| used_up(cells.room(key, now)).is_some())
    }

    fn keys(&self, known: &mut KnownPairs, subject: Subject<'_>, now: Monotonic) -> Reservation {
        let network = subject.client.network().to_string();
        let strangers = self.strangers_keys(subject.tried, &network, subject.account);
        let alone = match subject.known_label {
            Some(label) => Some(self.hash(["label", &network, subject.account, label])),
            None => strangers.pair.filter(|pair| known.knows(*pair, now)),
        };
        match alone {
            Some(key) => Reservation { network: None, account: None, pair: Some(key), ..strangers },
            None => strangers,
        }
    }

    fn strangers_keys(&self, tried: Tried, network: &str, account: &str) -> Reservation {
        let kind = match tried {
            Tried::Password => "",
            Tried::Code => "code ",
        };
        let pair = self.hash([kind, "pair", network, account]);
        let account = self.hash([kind, "account", account]);
        Reservation {
            network: Some(self.hash([kind, "network", network])),
            account: Some(account),
            pair: Some(pair),
            acquaintance: Some(Acquaintance { account, pair }),
        }
    }

    fn hash<const N: usize>(&self, parts: [&str; N]) -> Key {
        Key::of(&self.hash_key, &parts.map(str::as_bytes))
    }

    fn locked(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn slots(&self, reservation: &Reservation) -> impl Iterator<Item = (&Cells, Key)> {
        [
            (&self.networks, reservation.network),
            (&self.accounts, reservation.account),
            (&self.pairs, reservation.pair),
        ]
        .into_iter()
        .filter_map(|(cells, key)| key.map(|key| (cells, key)))
    }
}

fn used_up(room: Room) -> Option<Duration> {
    match room {
        Room::UsedUp(time) => Some(time),
        Room::Free | Room::Reserved => None,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::config::Rate;

    const PER_NETWORK: Rate = Rate { burst: 4, per: Duration::from_secs(40) };
    const PER_ACCOUNT: Rate = Rate { burst: 3, per: Duration::from_secs(60) };

    fn limiter(exempt: &str) -> Limiter {
        let limits = config::Limits {
            per_network: PER_NETWORK,
            per_account: PER_ACCOUNT,
            preauth_per_network: 200,
            sessions_per_account: 100,
            connections: 50_000,
            exempt: exempt.parse().unwrap(),
            auth_deadline: Duration::from_secs(60),
            failure_delay: Duration::from_secs(3),
            idle: Duration::from_secs(2100),
            tls_deadline: Duration::from_secs(10),
            proof_cache: Duration::from_secs(3600),
        };
        Limiter::new(&limits, &Secret::new(vec![7; 32]))
    }

    fn at(seconds: u64) -> Monotonic {
        Monotonic(Duration::from_secs(seconds))
    }

    fn from(host: u8) -> ClientAddress {
        ClientAddress::new([192, 0, 2, host].into())
    }

    fn subject(host: u8, account: &str) -> Subject<'_> {
        Subject { tried: Tried::Password, client: from(host), account, known_label: None }
    }

    fn fail(limiter: &Limiter, subject: Subject<'_>, now: Monotonic) {
        match limiter.reserve(subject, now) {
            Reserve::Held(reservation) => limiter.fail(&reservation, now),
            other @ (Reserve::Wait(_) | Reserve::UsedUp(_)) => panic!("no cell: {other:?}"),
        }
    }

    fn succeed(limiter: &Limiter, subject: Subject<'_>, now: Monotonic) {
        match limiter.reserve(subject, now) {
            Reserve::Held(reservation) => limiter.succeed(&reservation, now),
            other @ (Reserve::Wait(_) | Reserve::UsedUp(_)) => panic!("no cell: {other:?}"),
        }
    }

    #[test]
    fn an_attacked_account_stays_open_to_its_owner() {
        let limiter = limiter("");
        succeed(&limiter, subject(1, "a@example.org"), at(0));
        for host in 2..5 {
            fail(&limiter, subject(host, "a@example.org"), at(1));
        }
        let stranger = limiter.reserve(subject(9, "a@example.org"), at(1));
        assert!(matches!(stranger, Reserve::UsedUp(time) if time == Duration::from_secs(20)), "{stranger:?}");
        succeed(&limiter, subject(1, "a@example.org"), at(1));
        let with_label = Subject { known_label: Some("abcd"), ..subject(9, "a@example.org") };
        succeed(&limiter, with_label, at(1));
    }

    #[test]
    fn a_known_pair_is_judged_by_its_own_failures() {
        let limiter = limiter("");
        succeed(&limiter, subject(1, "a@example.org"), at(0));
        for _ in 0..3 {
            fail(&limiter, subject(1, "a@example.org"), at(1));
        }
        assert!(matches!(limiter.reserve(subject(1, "a@example.org"), at(1)), Reserve::UsedUp(_)));
        let other = limiter.reserve(subject(2, "a@example.org"), at(1));
        assert!(matches!(other, Reserve::Held(_)), "they were not charged to the account");
    }

    #[test]
    fn a_success_is_forgotten_after_thirty_days() {
        let limiter = limiter("");
        succeed(&limiter, subject(1, "a@example.org"), at(0));
        let late = at(30 * 24 * 3600 + 1);
        for host in 2..5 {
            fail(&limiter, subject(host, "a@example.org"), late);
        }
        assert!(matches!(limiter.reserve(subject(1, "a@example.org"), late), Reserve::UsedUp(_)));
    }

    #[test]
    fn a_network_is_charged_for_all_its_accounts() {
        let limiter = limiter("");
        for account in ["a@x.org", "b@x.org", "c@x.org", "d@x.org"] {
            fail(&limiter, subject(1, account), at(0));
        }
        assert!(matches!(limiter.reserve(subject(1, "e@x.org"), at(0)), Reserve::UsedUp(_)));
        assert!(matches!(limiter.reserve(subject(2, "e@x.org"), at(0)), Reserve::Held(_)));
    }

    #[test]
    fn codes_are_counted_apart_and_from_exempt_networks_too() {
        let limiter = limiter("192.0.2.0/28");
        let code = |host, account| Subject { tried: Tried::Code, ..subject(host, account) };
        for host in [1, 1, 2] {
            fail(&limiter, code(host, "a@x.org"), at(0));
        }
        assert!(matches!(limiter.reserve(code(1, "a@x.org"), at(0)), Reserve::UsedUp(_)));
        assert!(
            matches!(limiter.reserve(code(1, "b@x.org"), at(0)), Reserve::Held(_)),
            "its network is known"
        );
        for account in ["a@y.org", "b@y.org", "c@y.org", "d@y.org"] {
            fail(&limiter, code(200, account), at(0));
        }
        assert!(matches!(limiter.reserve(code(200, "e@y.org"), at(0)), Reserve::UsedUp(_)));
        assert!(
            matches!(limiter.reserve(subject(200, "e@y.org"), at(0)), Reserve::Held(_)),
            "passwords are not codes"
        );
        assert!(matches!(limiter.reserve(subject(100, "a@x.org"), at(0)), Reserve::Held(_)));
    }

    #[test]
    fn exempt_networks_are_not_counted() {
        let limiter = limiter("192.0.2.0/28");
        for _ in 0..100 {
            fail(&limiter, subject(1, "a@example.org"), at(0));
        }
        assert!(matches!(limiter.reserve(subject(200, "a@example.org"), at(0)), Reserve::Held(_)));
    }

    #[test]
    fn a_reservation_is_of_all_keys_or_of_none() {
        let limiter = limiter("");
        let held: Vec<_> = (1..4)
            .map(|host| match limiter.reserve(subject(host, "a@example.org"), at(0)) {
                Reserve::Held(reservation) => reservation,
                other @ (Reserve::Wait(_) | Reserve::UsedUp(_)) => panic!("{other:?}"),
            })
            .collect();
        // The account is reserved in full: this network's cells must not be touched by those who wait.
        for _ in 0..10 {
            assert!(matches!(limiter.reserve(subject(9, "a@example.org"), at(0)), Reserve::Wait(_)));
        }
        held.iter().for_each(|reservation| limiter.release(reservation));
        for account in ["a@x.org", "b@x.org", "c@x.org", "d@x.org"] {
            fail(&limiter, subject(9, account), at(0));
        }
    }

    /// A leaking bucket: how full it is, since when, how many doublings its owner has, and when it was last
    /// full.
    #[derive(Clone, Copy, Default)]
    struct Bucket {
        level: Duration,
        at: Monotonic,
        full: Option<(u32, Monotonic)>,
    }

    impl Bucket {
        fn level(&self, now: Monotonic) -> Duration {
            self.level.saturating_sub(now.since(self.at))
        }

        /// Takes a failure; `last` of those in flight, so that the bucket may be full.
        fn take(&mut self, rate: Rate, last: bool, now: Monotonic) {
            let cell = rate.per / rate.burst;
            self.level = self.level(now) + cell;
            self.at = now;
            if last && self.level + cell > rate.per {
                let doublings = self.full.map_or(0, |(doublings, at)| {
                    let quiet = (now.since(at).as_nanos() / rate.per.as_nanos()) as u32;
                    (doublings + 1).saturating_sub(quiet).min(4)
                });
                self.level += cell * (2_u32.pow(doublings) - 1);
                self.full = Some((doublings, now.plus(self.level + cell - rate.per)));
            }
        }
    }

    /// The same promise in the plainest words: a leaking bucket per key, and a count of attempts in flight.
    #[derive(Default)]
    struct Model {
        buckets: BTreeMap<String, Bucket>,
        in_flight: BTreeMap<String, u32>,
        known: BTreeMap<String, Monotonic>,
    }

    type Held = (Vec<(String, Rate)>, String);

    impl Model {
        fn keys(&self, host: u8, account: &str, label: bool) -> Held {
            let pair = format!("p {host} {account}");
            let keys = if label {
                vec![(format!("l {host} {account}"), PER_ACCOUNT)]
            } else if self.known.contains_key(&pair) {
                vec![(pair.clone(), PER_ACCOUNT)]
            } else {
                vec![
                    (format!("n {host}"), PER_NETWORK),
                    (format!("a {account}"), PER_ACCOUNT),
                    (pair.clone(), PER_ACCOUNT),
                ]
            };
            (keys, pair)
        }

        fn level(&self, key: &str, now: Monotonic) -> Duration {
            self.buckets.get(key).map_or(Duration::ZERO, |bucket| bucket.level(now))
        }

        fn reserve(&mut self, (keys, _): &Held, now: Monotonic) -> &'static str {
            let fits = |key: &str, rate: &Rate, cells: u32| {
                self.level(key, now) + rate.per / rate.burst * cells <= rate.per
            };
            if !keys.iter().all(|(key, rate)| fits(key, rate, 1)) {
                return "used up";
            }
            let reserved = |key: &str| self.in_flight.get(key).copied().unwrap_or(0);
            if !keys.iter().all(|(key, rate)| fits(key, rate, reserved(key) + 1)) {
                return "wait";
            }
            for (key, _) in keys {
                *self.in_flight.entry(key.clone()).or_default() += 1;
            }
            "held"
        }

        fn settle(&mut self, (keys, pair): Held, how: u8, now: Monotonic) {
            for (key, rate) in keys {
                let in_flight = self.in_flight.get_mut(&key).unwrap();
                *in_flight -= 1;
                if how == 0 {
                    self.buckets.entry(key).or_default().take(rate, *in_flight == 0, now);
                }
            }
            if how == 1 {
                self.known.insert(pair, now);
            }
        }
    }

    #[derive(Clone, Debug)]
    enum Action {
        Reserve { host: u8, account: u8, label: bool },
        Settle { which: prop::sample::Index, how: u8 },
        Advance(u64),
    }

    fn action() -> impl Strategy<Value = Action> {
        prop_oneof![
            4 => (0..3u8, 0..3u8, prop::bool::weighted(0.2))
                .prop_map(|(host, account, label)| Action::Reserve { host, account, label }),
            3 => (any::<prop::sample::Index>(), prop_oneof![4 => Just(0u8), 1 => Just(1), 2 => Just(2)])
                .prop_map(|(which, how)| Action::Settle { which, how }),
            1 => prop_oneof![4 => 0..30_000u64, 1 => 30_000..300_000u64].prop_map(Action::Advance),
        ]
    }

    proptest! {
        #[test]
        fn the_limiter_agrees_with_a_naive_model(actions in prop::collection::vec(action(), 1..200)) {
            let limiter = limiter("");
            let mut model = Model::default();
            let mut held = Vec::new();
            let mut now = Monotonic::default();
            for action in actions {
                match action {
                    Action::Advance(millis) => now = now.plus(Duration::from_millis(millis)),
                    Action::Reserve { host, account, label } => {
                        let account = format!("{account}@example.org");
                        let keys = model.keys(host, &account, label);
                        let subject = Subject { known_label: label.then_some("abcd"), ..subject(host, &account) };
                        let expected = model.reserve(&keys, now);
                        let heard = match limiter.reserve(subject, now) {
                            Reserve::Held(reservation) => {
                                held.push((reservation, keys));
                                "held"
                            }
                            Reserve::Wait(_) => "wait",
                            Reserve::UsedUp(_) => "used up",
                        };
                        prop_assert_eq!(heard, expected);
                    }
                    Action::Settle { which, how } if !held.is_empty() => {
                        let (reservation, keys) = held.swap_remove(which.index(held.len()));
                        match how {
                            0 => limiter.fail(&reservation, now),
                            1 => limiter.succeed(&reservation, now),
                            _ => limiter.release(&reservation),
                        }
                        model.settle(keys, how, now);
                    }
                    Action::Settle { .. } => {}
                }
            }
        }
    }
}
