//! How many failed logins an upstream may see from the gate: in all, and for one account.
//!
//! The upstream takes every failure for the gate's own. Dovecot holds back all who come from an address that fails,
//! other servers ban it or lock the mailbox: then nobody gets in. So a password that only the upstream can judge
//! needs a place in its budget, and is not sent without.
//!
//! ```text
//!   strangers   nobody has proven them   a place reserved, charged for a failure, else given back
//!   trusted     proven app passwords, and mailbox passwords that were right lately:
//!               as much again for themselves, reserved and charged alike
//! ```
//!
//! No guesser gets at the places of the trusted, so he cannot keep those out who have been here before. Among them
//! those of one account wait for each other when all its places are reserved: of ten connections that come at once
//! with a password that has changed, no more fail than may. Those of different accounts do so only once one of them
//! has failed lately, because what makes one fail seldom makes others fail, and they are everybody who logs in.
//!
//! Whoever is turned away for want of a place must not learn that he would have been asked about upstream. What the
//! gate refuses by itself is charged to the account like a failure there, and turned away like one. The whole is not
//! charged so, or forgotten devices of bound accounts would use it up; instead, once it is used up, *all* unproven
//! attempts are turned away until it is whole again.
//!
//! The same wrong password again is asked about only while half of the places are free: it must not keep those out
//! who have something new to say.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use tokio::sync::Notify;

use super::cells::{Cells, Key, Regain, Room};
use super::upstream_login::UpstreamRules;
use crate::base::key::HashKey;
use crate::base::{Clock, Monotonic, Secret, UpstreamName};
use crate::config::Rate;

/// Charged accounts of each upstream; some 100 bytes each.
const ACCOUNTS_MAX: usize = 65_536;

/// The one key of what is counted in all.
const ALL: Key = Key(0);

/// The budgets of all upstreams.
pub(super) struct Budgets {
    upstreams: RwLock<HashMap<UpstreamName, Arc<Budget>>>,
    clock: Arc<dyn Clock>,
    hash_key: HashKey,
}

/// One upstream's.
struct Budget {
    upstream: UpstreamName,
    strangers: Mutex<Strangers>,
    trusted: Mutex<Pool>,
    /// To strangers, and to the trusted.
    given_back: [Notify; 2],
    clock: Arc<dyn Clock>,
}

struct Pool {
    all: Cells,
    accounts: Cells,
}

struct Strangers {
    pool: Pool,
    /// All places were used up, and are not all back yet.
    exhausted: bool,
}

/// Who asks for a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// A password that nobody has proven is to be sent.
    Sent,
    /// The gate refuses by itself, and must look as if it had asked.
    AsIfSent,
}

/// No place.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct OverBudget;

/// A place that was free, at once or in the end.
pub(super) struct Taken {
    /// The place.
    pub(super) hold: Hold,
    /// Whether time passed: what was known before may be old.
    pub(super) waited: bool,
}

/// A place, given back when it is dropped.
#[must_use]
pub(super) struct Hold {
    budget: Arc<Budget>,
    account: Key,
    kind: HoldKind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum HoldKind {
    Stranger(Place),
    Trusted,
}

impl Budgets {
    /// All is free. `hash_key` is this process's own.
    pub(super) fn new(upstreams: &[UpstreamRules], hash_key: &Secret, clock: &Arc<dyn Clock>) -> Self {
        let budget = |rules: &UpstreamRules| (rules.name.clone(), Arc::new(Budget::new(rules, clock)));
        let upstreams = RwLock::new(upstreams.iter().map(budget).collect());
        Self { upstreams, clock: Arc::clone(clock), hash_key: HashKey::new(hash_key) }
    }

    /// From now on these upstreams, with their rates; what was charged stays charged until it would have been whole
    /// again.
    pub(super) fn adopt(&self, upstreams: &[UpstreamRules]) {
        let mut budgets = self.upstreams.write().unwrap_or_else(PoisonError::into_inner);
        let adopted = upstreams.iter().map(|rules| {
            let budget = match budgets.get(&rules.name) {
                Some(budget) => budget.at_rates(rules),
                None => Arc::new(Budget::new(rules, &self.clock)),
            };
            (rules.name.clone(), budget)
        });
        let adopted = adopted.collect();
        *budgets = adopted;
    }

    fn of(&self, upstream: &UpstreamName) -> Option<Arc<Budget>> {
        self.upstreams.read().unwrap_or_else(PoisonError::into_inner).get(upstream).cloned()
    }

    /// A place for an unproven attempt, as soon as those in flight leave one. Waits without end: the caller sets the
    /// deadline. `repeated`: the same password was refused before.
    pub(super) async fn stranger(
        &self,
        upstream: &UpstreamName,
        account: &str,
        place: Place,
        repeated: bool,
    ) -> Result<Option<Hold>, OverBudget> {
        let Some(budget) = self.of(upstream) else { return Ok(None) };
        let account = self.key(account);
        let take = || budget.reserve(account, place, repeated);
        Ok(Some(budget.wait(account, HoldKind::Stranger(place), take).await?.hold))
    }

    /// Whether an unproven attempt would be turned away now.
    pub(super) fn turns_away(&self, upstream: &UpstreamName, account: &str, repeated: bool) -> bool {
        self.of(upstream).is_some_and(|budget| {
            let room = budget.strangers().look(&budget, self.key(account), Place::AsIfSent, repeated);
            matches!(room, Room::UsedUp(_))
        })
    }

    /// A place for a password that is most likely right. Waits like [`Self::stranger`].
    pub(super) async fn trusted(
        &self,
        upstream: &UpstreamName,
        account: &str,
    ) -> Result<Option<Taken>, OverBudget> {
        let Some(budget) = self.of(upstream) else { return Ok(None) };
        let account = self.key(account);
        Ok(Some(budget.wait(account, HoldKind::Trusted, || budget.reserve_trusted(account)).await?))
    }

    /// An attempt that held no place was refused: the account is charged as if it had.
    pub(super) fn charge_account(&self, upstream: &UpstreamName, account: &str) {
        if let Some(budget) = self.of(upstream) {
            let (account, now) = (self.key(account), budget.clock.monotonic());
            budget.strangers().pool.accounts.charge_unreserved(account, now);
        }
    }

    fn key(&self, account: &str) -> Key {
        Key::of(&self.hash_key, &[b"budget", account.as_bytes()])
    }
}

impl Pool {
    fn of(rules: &UpstreamRules) -> Self {
        Self::new(rules.failures_in_all, rules.failures_per_account)
    }

    fn at_rates(&self, rules: &UpstreamRules) -> Self {
        Self {
            all: self.all.at_rate(rules.failures_in_all),
            accounts: self.accounts.at_rate(rules.failures_per_account),
        }
    }

    fn new(in_all: Rate, per_account: Rate) -> Self {
        Self {
            all: Cells::new(in_all, Regain::Evenly, 1),
            accounts: Cells::new(per_account, Regain::Evenly, ACCOUNTS_MAX),
        }
    }
}

impl Budget {
    fn new(rules: &UpstreamRules, clock: &Arc<dyn Clock>) -> Self {
        Self {
            upstream: rules.name.clone(),
            strangers: Mutex::new(Strangers { pool: Pool::of(rules), exhausted: false }),
            trusted: Mutex::new(Pool::of(rules)),
            given_back: [Notify::new(), Notify::new()],
            clock: Arc::clone(clock),
        }
    }

    /// The same places at other rates. Who waits for one of the old is not woken by one of the new, but waits no
    /// longer than it would anyway.
    fn at_rates(self: &Arc<Self>, rules: &UpstreamRules) -> Arc<Self> {
        let strangers = self.strangers();
        if strangers.pool.all.has_rate(rules.failures_in_all)
            && strangers.pool.accounts.has_rate(rules.failures_per_account)
        {
            return Arc::clone(self);
        }
        let exhausted = strangers.exhausted;
        Arc::new(Self {
            upstream: self.upstream.clone(),
            strangers: Mutex::new(Strangers { pool: strangers.pool.at_rates(rules), exhausted }),
            trusted: Mutex::new(self.trusted().at_rates(rules)),
            given_back: [Notify::new(), Notify::new()],
            clock: Arc::clone(&self.clock),
        })
    }

    /// Calls `take` until it took a place, whenever one was given back.
    async fn wait(
        self: &Arc<Self>,
        account: Key,
        kind: HoldKind,
        take: impl Fn() -> Room,
    ) -> Result<Taken, OverBudget> {
        let taken = |waited| Taken { hold: Hold { budget: Arc::clone(self), account, kind }, waited };
        match take() {
            Room::Free => return Ok(taken(false)),
            Room::UsedUp(_) => return Err(OverBudget),
            Room::Reserved => {}
        }
        let bell = self.bell(kind);
        let mut ring = Box::pin(bell.notified());
        loop {
            ring.as_mut().enable();
            // What was given back before `enable` rang for nobody.
            match take() {
                Room::Free => return Ok(taken(true)),
                Room::UsedUp(_) => return Err(OverBudget),
                Room::Reserved => ring.as_mut().await,
            }
            ring.set(bell.notified());
        }
    }

    fn bell(&self, kind: HoldKind) -> &Notify {
        let [strangers, trusted] = &self.given_back;
        match kind {
            HoldKind::Stranger(_) => strangers,
            HoldKind::Trusted => trusted,
        }
    }

    /// Takes a place, if it says [`Room::Free`].
    fn reserve_trusted(&self, account: Key) -> Room {
        let now = self.clock.monotonic();
        let pool = self.trusted();
        let of_all = match pool.all.room(ALL, now) {
            // None of them failed lately.
            Room::Reserved if pool.all.is_whole(ALL, now) => Room::Free,
            room @ (Room::Free | Room::Reserved | Room::UsedUp(_)) => room,
        };
        match (of_all, pool.accounts.room(account, now)) {
            (Room::Free, Room::Free) => {
                pool.all.reserve(ALL);
                pool.accounts.reserve(account);
                Room::Free
            }
            (used_up @ Room::UsedUp(_), _) | (_, used_up @ Room::UsedUp(_)) => used_up,
            (Room::Reserved, _) | (_, Room::Reserved) => Room::Reserved,
        }
    }

    /// Takes a place, if it says [`Room::Free`].
    fn reserve(&self, account: Key, place: Place, repeated: bool) -> Room {
        let mut strangers = self.strangers();
        let room = strangers.look(self, account, place, repeated);
        if room == Room::Free {
            strangers.pool.accounts.reserve(account);
            if place == Place::Sent {
                strangers.pool.all.reserve(ALL);
            }
        }
        room
    }

    fn strangers(&self) -> MutexGuard<'_, Strangers> {
        self.strangers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn trusted(&self) -> MutexGuard<'_, Pool> {
        self.trusted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Strangers {
    fn look(&mut self, of: &Budget, account: Key, place: Place, repeated: bool) -> Room {
        let now = of.clock.monotonic();
        if self.is_exhausted(of, now) {
            return Room::UsedUp(Duration::ZERO);
        }
        let spare = |cells: &Cells| if repeated { cells.burst() / 2 } else { 0 };
        let Pool { all, accounts } = &self.pool;
        let of_all = match (all.room_beside(ALL, spare(all), now), place) {
            (room @ Room::UsedUp(_), _) => return room,
            (room, Place::Sent) => room,
            // It needs no place there.
            (_, Place::AsIfSent) => Room::Free,
        };
        match accounts.room_beside(account, spare(accounts), now) {
            Room::Free => of_all,
            room @ (Room::Reserved | Room::UsedUp(_)) => room,
        }
    }

    fn is_exhausted(&mut self, of: &Budget, now: Monotonic) -> bool {
        let all = &self.pool.all;
        if self.exhausted {
            self.exhausted = !all.is_whole(ALL, now);
        } else if matches!(all.room(ALL, now), Room::UsedUp(_)) {
            self.exhausted = true;
            tracing::warn!(
                upstream = %of.upstream,
                hint = "somebody guesses, see `mailward audit search`; or raise `failures_in_all`",
                "as many failed logins were sent upstream as it may see: for now, unproven passwords are not sent"
            );
        }
        self.exhausted
    }
}

impl Hold {
    /// The upstream refused, or may have; or would have been asked.
    pub(super) fn charge(self) {
        let now = self.budget.clock.monotonic();
        match self.kind {
            HoldKind::Stranger(place) => {
                // Reserved again, because dropping this gives back what it holds.
                let strangers = self.budget.strangers();
                strangers.pool.accounts.charge_unreserved(self.account, now);
                if place == Place::Sent {
                    strangers.pool.all.charge_unreserved(ALL, now);
                }
            }
            HoldKind::Trusted => {
                let trusted = self.budget.trusted();
                trusted.accounts.charge_unreserved(self.account, now);
                trusted.all.charge_unreserved(ALL, now);
            }
        }
    }

    /// The attempt ended without a definite answer, after its password was sent: an unproven one counts. One that
    /// was right lately does not, or whoever has a right password could use up the places of the trusted by leaving.
    pub(super) fn charge_undecided(self) {
        if !self.is_trusted() {
            self.charge();
        }
    }

    /// Whether it is one of those for passwords that are most likely right.
    pub(super) fn is_trusted(&self) -> bool {
        self.kind == HoldKind::Trusted
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        match self.kind {
            HoldKind::Stranger(place) => {
                let strangers = self.budget.strangers();
                strangers.pool.accounts.release(self.account);
                if place == Place::Sent {
                    strangers.pool.all.release(ALL);
                }
            }
            HoldKind::Trusted => {
                let trusted = self.budget.trusted();
                trusted.accounts.release(self.account);
                trusted.all.release(ALL);
            }
        }
        self.budget.bell(self.kind).notify_waiters();
    }
}
