//! The authenticator: limits, policy, credentials, trail, in this order.
//!
//! Everything that a client sends is hostile. Whatever goes wrong inside ends as *unavailable*, never as a wrong
//! password and never as a way in: an account whose state cannot be read is not an unbound account.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::attempt::{Desk, Door, Finishing, OpenAttempt};
use super::budget::Budgets;
use super::grant::{Conclusion, Decision, Grant, Origin, Refused, UpstreamSaid};
use super::limiter::Limiter;
use super::live::{Ear, Hearing, Listing, Registry, SessionFigures};
use super::outage::Outages;
use super::passage::{Passage, SessionSummary};
use super::password_memory::PasswordMemory;
use super::proof_cache::ProofCache;
use super::rules::{InForce, Rules};
use super::stale::RefusedSeals;
use super::tally::Tally;
use super::timing::RefusalTime;
use super::turns::Turns;
use super::uses::{CLIENTS_KEPT, Uses};
use super::verdict::{Consequences, Fate, Kind, No};
use super::watch::{self, Watch};
use crate::account::{Accounts, NameRefused};
use crate::app_password::{AppPasswords, Argon2Figures};
use crate::audit::event::{Guessing, Outcome, Pattern, RefusedLogins};
use crate::audit::{Audit, Event};
use crate::base::key::KEY_LEN;
use crate::base::{AccountId, Clock, Domain, LoginName, Monotonic, Protocol, Secret, UpstreamName, random};
use crate::config::WhenFull;
use crate::meters::Meters;
use crate::protocol::{Credentials, Refusal};
use crate::store::{Store, StoreError};

/// What the authenticator stands on.
pub struct Dependencies {
    /// Accounts and app-password rows.
    pub store: Store,
    /// Proves and opens app passwords.
    pub app_passwords: Arc<AppPasswords>,
    /// The trail.
    pub audit: Audit,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// What the configuration says.
    pub rules: Rules,
}

/// Judges attempts.
pub struct Authenticator {
    pub(super) gate: Arc<Gate>,
}

impl Authenticator {
    /// Whether mail to `address` is for a mailbox behind the gate, as far as it can be known: where an upstream serves every
    /// domain, all are.
    #[must_use]
    pub fn leads_here(&self, address: &str) -> bool {
        let Ok(name) = LoginName::from_bytes(address.as_bytes()) else { return false };
        match self.gate.rules().directory.locate(&name) {
            Ok(_) => true,
            Err(why) => !matches!(why, NameRefused::UnknownDomain | NameRefused::NotAnAddress),
        }
    }

    /// With empty limits and caches, under keys of this process's own.
    #[must_use]
    pub fn new(on: Dependencies) -> Self {
        let process_key = || Secret::new(random::bytes::<KEY_LEN>().to_vec());
        let (rules, limits) = (&on.rules, &on.rules.limits);
        let limiter = Limiter::new(limits, &process_key());
        let times = rules.upstreams.iter().map(|upstream| {
            (upstream.name.clone(), RefusalTime::new(limits.failure_delay, upstream.login_deadline))
        });
        let clock = on.clock;
        let gate = Gate {
            accounts: Accounts::new(on.store.clone(), Arc::clone(&clock)),
            ear: tokio::sync::Mutex::new(Ear::new(&on.store)),
            store: on.store,
            app_passwords: on.app_passwords,
            registry: Arc::new(Registry::new(limits.sessions_per_account)),
            hearing: Hearing::default(),
            to_judge: Mutex::default(),
            listing: tokio::sync::Mutex::new(Listing::new()),
            proofs: Mutex::new(ProofCache::new(process_key(), limits.proof_cache)),
            refusal_times: Mutex::new(times.collect()),
            outages: Mutex::default(),
            budgets: Budgets::new(&rules.upstreams, &process_key(), &clock),
            watch: Watch::new(&process_key(), limits.exempt.clone()),
            refused_seals: Mutex::default(),
            uses: Uses::default(),
            moved_to: Mutex::default(),
            desk: Arc::new(Desk {
                turns: Turns::new(limiter, Arc::clone(&clock)),
                passwords: PasswordMemory::new(&process_key()),
                tally: Tally::default(),
                audit: on.audit,
                clock,
                meters: Meters::new(rules.upstreams.iter().map(|upstream| upstream.name.clone())),
                rules: InForce::new(on.rules),
                unfinished: Default::default(),
            }),
            #[cfg(test)]
            argon2_runs: std::sync::atomic::AtomicUsize::new(0),
        };
        Self { gate: Arc::new(gate) }
    }

    /// What is counted.
    #[must_use]
    pub fn meters(&self) -> &Arc<Meters> {
        &self.gate.desk.meters
    }

    /// How many sessions there are now, and what all have moved, by protocol.
    #[must_use]
    pub fn sessions(&self) -> [(Protocol, SessionFigures); Protocol::ALL.len()] {
        self.gate.registry.figures()
    }

    /// What the argon2 threads have to do.
    #[must_use]
    pub fn argon2(&self) -> Argon2Figures {
        self.gate.app_passwords.argon2()
    }

    /// What happens to logins when the trail cannot be written.
    #[must_use]
    pub fn when_full(&self) -> WhenFull {
        self.gate.rules().when_full
    }

    /// The upstream that accounts of `domain` lead to, if there is one.
    #[must_use]
    pub fn upstream_of(&self, domain: &Domain) -> Option<UpstreamName> {
        self.gate.rules().directory.upstream_of(domain).cloned()
    }

    /// Judges one attempt; what it refuses is recorded already.
    ///
    /// Dropping the future (the client left) ends the attempt, recorded.
    pub async fn judge(&self, origin: &Origin, credentials: Credentials) -> Decision {
        let mut attempt = OpenAttempt::new(&self.gate.desk, Door::Mail, origin, &credentials);
        match self.gate.judge(&mut attempt, credentials).await {
            Ok(leave) => Decision::Admit(Box::new(Grant {
                attempt,
                upstream: leave.upstream,
                login: leave.login,
                basis: leave.basis,
            })),
            Err(no) => Decision::Refuse(Box::pin(self.gate.refuse(attempt, no)).await),
        }
    }

    /// Takes the upstream's answer; the outcome is recorded before this returns.
    ///
    /// If the future is dropped, what was begun is ended: an account that was added is recorded, and so is what an
    /// upstream said of a seal.
    pub async fn conclude(&self, grant: Box<Grant>, said: UpstreamSaid) -> Conclusion {
        let gate = Arc::clone(&self.gate);
        // The usual yes waits for nothing but its record, which goes on by itself.
        if grant.is_settled_by(&said) {
            return gate.conclude(*grant, said).await;
        }
        let finishing = gate.desk.unfinished.begin();
        let concluding = async move {
            let _finishing = finishing;
            gate.conclude(*grant, said).await
        };
        tokio::spawn(concluding).await.unwrap_or_else(|error| {
            tracing::error!(%error, "the gate failed to conclude an attempt");
            Conclusion::Refuse(Refused { refusal: Refusal::Unavailable, not_before: Duration::ZERO })
        })
    }

    /// Records what happened that no attempt is behind; what cannot be written is said in the log.
    pub async fn record(&self, event: Event) {
        self.gate.desk.record(event).await;
    }

    /// Something is being done that goes on when nobody waits for it any more: the gate's end waits for it, until what this
    /// returns is dropped.
    pub fn finishing(&self) -> Finishing {
        self.gate.desk.unfinished.begin()
    }

    /// Returns when the attempts and sessions of those who are gone are recorded; for the gate's end.
    pub async fn finished(&self) {
        self.gate.desk.unfinished.done().await;
    }

    /// Records the end of a session and gives its place back.
    pub async fn session_ended(&self, passage: Box<Passage>, summary: SessionSummary) {
        passage.end(summary).await;
    }

    /// Ends sessions, and forgets proofs, that rest on what any process has changed since this was last called; for a
    /// caller that does so several times a second, and once before anybody is let in.
    pub async fn hear_changes(&self) {
        self.gate.hear_changes().await;
    }

    /// Ends sessions whose app password has expired; for a caller that does so several times a second.
    pub fn end_expired(&self) {
        self.gate.registry.end_expired(self.gate.desk.clock.now());
    }

    /// Writes down for other processes who is in; for a caller that does so every second.
    pub async fn list_sessions(&self) {
        self.gate.write_listing().await;
    }

    /// Takes this process off the list when it stops.
    pub async fn unlist_sessions(&self) {
        self.gate.withdraw_listing().await;
    }

    /// Records how many attempts were turned away unseen, once a minute for each account and network; of all, if
    /// the gate stops, else of those whose minute is over.
    pub async fn record_refusals(&self, only_due: bool) {
        let desk = &self.gate.desk;
        for sum in desk.tally.take(only_due, &*desk.clock) {
            let RefusedLogins { network, account, outcome, count, .. } = &sum;
            tracing::info!(
                network,
                account,
                outcome = outcome.as_str(),
                count,
                "more logins were refused unseen"
            );
            desk.record(Event::RefusedLogins(sum)).await;
        }
    }

    /// Writes last uses to the store that are due; for a caller that does so every few seconds.
    pub async fn flush_due_uses(&self) {
        told_if_late(self.gate.uses.flush_due(&self.gate.store, self.gate.now()).await);
    }

    /// Writes all of them; when the gate stops.
    pub async fn flush_uses(&self) {
        told_if_late(self.gate.uses.flush_all(&self.gate.store, self.gate.now()).await);
    }

    /// Forgets mail clients that got in with a mailbox password longer than [`CLIENTS_KEPT`] ago; for a caller that does so
    /// every hour or so.
    pub async fn forget_clients(&self) {
        let before = self.gate.desk.clock.now().minus(CLIENTS_KEPT);
        if let Err(error) = self.gate.store.prune_clients_seen(before).await {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "old mail clients are not forgotten yet"
            );
        }
    }
}

/// What judging and concluding share.
pub(super) struct Gate {
    pub(super) desk: Arc<Desk>,
    pub(super) store: Store,
    pub(super) accounts: Accounts,
    pub(super) app_passwords: Arc<AppPasswords>,
    pub(super) registry: Arc<Registry>,
    pub(super) hearing: Hearing,
    /// One look at a time.
    pub(super) ear: tokio::sync::Mutex<Ear>,
    /// Accounts whose sessions are to be judged with the next look.
    to_judge: Mutex<Vec<AccountId>>,
    pub(super) listing: tokio::sync::Mutex<Listing>,
    pub(super) uses: Uses,
    pub(super) budgets: Budgets,
    pub(super) watch: Watch,
    proofs: Mutex<ProofCache>,
    refusal_times: Mutex<HashMap<UpstreamName, RefusalTime>>,
    outages: Mutex<Outages>,
    refused_seals: Mutex<RefusedSeals>,
    /// Upstreams that accounts were moved to.
    moved_to: Mutex<Vec<UpstreamName>>,
    /// How often argon2 was asked.
    #[cfg(test)]
    pub(super) argon2_runs: std::sync::atomic::AtomicUsize,
}

impl Gate {
    /// Ends an attempt with a no: settled, recorded, and told no earlier than all that look alike.
    pub(super) async fn refuse(&self, mut attempt: OpenAttempt, no: No) -> Refused {
        let now = self.now();
        let outage = attempt.outage.or_else(|| self.trouble(&attempt));
        let fate = match outage {
            Some(outage) => Fate::InVain { sent: outage.sent },
            None if attempt.over_budget => Fate::InVain { sent: false },
            None => Fate::Answered,
        };
        self.settle_upstream(&mut attempt, no.kind, fate);
        self.keep_watch(&attempt, no.kind).await;
        attempt.unseen = no.kind.is_unseen();
        attempt.ground = no.ground;
        let Consequences { mut refusal, settle, outcome, uniform } = no.kind.consequences(fate);
        if outcome == Outcome::Refused
            && matches!(no.kind, Kind::Wrong | Kind::Hopeless)
            && let Some(presented) = attempt.presented
        {
            self.desk.passwords.refused(presented, now);
        }
        let mut not_before = Duration::ZERO;
        if uniform {
            let shows_after = outage.map(|outage| outage.shows_after);
            not_before = attempt.refused_after.max(shows_after.unwrap_or_default());
            if self.desk.turns.refuses_strangers(attempt.origin.client, attempt.account_key()) {
                refusal = Refusal::TooManyFailures;
            }
        }
        if !attempt.close(settle, outcome, no.why).await {
            refusal = Refusal::Unavailable;
        }
        Refused { refusal, not_before }
    }

    /// Charges or gives back the attempt's place in what the upstream may see. What the gate refuses by itself is
    /// charged like the rest, unless the rest is not sent either.
    fn settle_upstream(&self, attempt: &mut OpenAttempt, kind: Kind, fate: Fate) {
        match (kind, attempt.hold.take()) {
            (Kind::Hopeless | Kind::Repeated, hold) if fate == (Fate::InVain { sent: false }) => drop(hold),
            (Kind::Wrong | Kind::Hopeless | Kind::Repeated, Some(hold)) => hold.charge(),
            (Kind::Wrong | Kind::Hopeless, None) => {
                if let Some(located) = &attempt.located {
                    self.budgets.charge_account(&located.upstream, attempt.account_key());
                }
            }
            (Kind::Undecided { sent: true }, Some(hold)) => hold.charge_undecided(),
            (_, held_or_not) => drop(held_or_not),
        }
    }

    /// Tells the trail and the log when guessing begins.
    async fn keep_watch(&self, attempt: &OpenAttempt, kind: Kind) {
        let refused = matches!(kind, Kind::Wrong | Kind::Hopeless) || kind.is_unseen();
        let Some(presented) = attempt.presented.filter(|_| refused) else { return };
        let client = attempt.origin.client;
        for pattern in self.watch.refused(client, attempt.account_key(), presented.tag(), self.now()) {
            let network = (pattern == Pattern::ManyAccounts).then(|| client.network().to_string());
            let account = (pattern != Pattern::ManyAccounts).then(|| attempt.recorded_account());
            tracing::warn!(
                ?pattern,
                network,
                account,
                hint = "see `mailward audit search`; put a network that you know into `exempt` of `[limits]`",
                "somebody seems to guess"
            );
            let guessing = Guessing {
                pattern,
                ip: network.is_some().then_some(client),
                network,
                account,
                count: watch::MANY as u64,
                within_s: watch::WINDOW.as_secs(),
            };
            self.desk.record(Event::GuessingNoticed(guessing)).await;
        }
    }

    /// The upstream said no after `took`.
    pub(super) fn refused_after(&self, upstream: &UpstreamName, took: Duration) {
        let now = self.now();
        if let Some(time) = self.refusal_times().get_mut(upstream) {
            time.observe(took, now);
        }
    }

    /// The least time that a plain no takes now. A name that leads to no upstream takes as long as the slowest of
    /// them.
    pub(super) fn refusal_time(&self, upstream: Option<&UpstreamName>) -> Duration {
        let now = self.now();
        let mut times = self.refusal_times();
        let slowest = match upstream {
            Some(upstream) => times.get_mut(upstream).map(|time| time.not_before(now)),
            None => times.values_mut().map(|time| time.not_before(now)).max(),
        };
        slowest.unwrap_or_else(|| self.rules().limits.failure_delay)
    }

    pub(super) fn now(&self) -> Monotonic {
        self.desk.clock.monotonic()
    }

    /// Those that hold at this moment.
    pub(super) fn rules(&self) -> Arc<Rules> {
        self.desk.rules.now()
    }

    pub(super) fn refusal_times(&self) -> MutexGuard<'_, HashMap<UpstreamName, RefusalTime>> {
        locked(&self.refusal_times)
    }

    pub(super) fn proofs(&self) -> MutexGuard<'_, ProofCache> {
        locked(&self.proofs)
    }

    pub(super) fn to_judge(&self) -> MutexGuard<'_, Vec<AccountId>> {
        locked(&self.to_judge)
    }

    pub(super) fn refused_seals(&self) -> MutexGuard<'_, RefusedSeals> {
        locked(&self.refused_seals)
    }

    pub(super) fn moved_to(&self) -> MutexGuard<'_, Vec<UpstreamName>> {
        locked(&self.moved_to)
    }

    pub(super) fn outages(&self) -> MutexGuard<'_, Outages> {
        locked(&self.outages)
    }
}

fn told_if_late(written: Result<(), StoreError>) {
    if let Err(error) = written {
        tracing::warn!(error = &error as &dyn std::error::Error, "last uses are not written yet");
    }
}

/// Nothing that is held under these locks is left half done by a panic.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
