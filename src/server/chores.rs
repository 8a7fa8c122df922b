//! What a gate does by itself, again and again, while it serves; and how one can tell that it still does.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::audit::{Audit, Expiry};
use crate::base::{Clock, Monotonic};
use crate::gate::Authenticator;
use crate::meters::Meters;
use crate::notify::{Postman, ROUND_EVERY, Round};
use crate::store::Store;

/// How often last uses are written to the database: late enough to gather many, early enough for a list that
/// somebody looks at.
const USES_EVERY: Duration = Duration::from_secs(5);

/// How often changes are looked for that end sessions. With the time to read and to say goodbye they are over within
/// a second.
const CHANGES_EVERY: Duration = Duration::from_millis(250);

/// How often the list of live sessions is brought up to date.
const LIST_EVERY: Duration = Duration::from_secs(1);

/// How often records are looked for that are kept no longer.
const EXPIRY_EVERY: Duration = Duration::from_secs(3600);

/// How often mail clients are forgotten that were not seen for long.
const CLIENTS_EVERY: Duration = Duration::from_secs(3600);

/// A database that answers nothing is asked again after this long. It does not stop the gate, so it is no reason to end
/// it either.
const ANSWER_MAX: Duration = Duration::from_secs(20);

/// How long a chore may go without a turn before it counts as stuck.
const TURN_MAX: Duration = Duration::from_secs(30);

/// The chores that end sessions, running until this is dropped: while the gate drains, too.
pub(super) struct Watches {
    tasks: JoinSet<()>,
    pulses: [Arc<Pulse>; 2],
    clock: Arc<dyn Clock>,
}

impl Watches {
    /// Each by itself: a database that is slow to answer holds up no expiry.
    pub(super) fn start(gate: &Arc<Authenticator>, clock: &Arc<dyn Clock>) -> Self {
        let mut tasks = JoinSet::new();
        let [changes, expiry, list, clients] = [(); 4].map(|()| Arc::clone(gate));
        let [heard, expired] = [(); 2].map(|()| Arc::new(Pulse::new(clock)));
        let pulses = [Arc::clone(&heard), Arc::clone(&expired)];
        tasks.spawn(every(CHANGES_EVERY, async move || {
            if timeout(ANSWER_MAX, changes.hear_changes()).await.is_err() {
                tracing::warn!("the database did not say in time what was changed: it is asked again");
            }
            heard.beat();
        }));
        tasks.spawn(every(CHANGES_EVERY, async move || {
            expiry.end_expired();
            expired.beat();
        }));
        tasks.spawn(every(LIST_EVERY, async move || list.list_sessions().await));
        tasks.spawn(every(CLIENTS_EVERY, async move || clients.forget_clients().await));
        Self { tasks, pulses, clock: Arc::clone(clock) }
    }

    /// Sends users what they are told by mail, for as long as the others run.
    pub(super) fn send_mail(&mut self, postman: &Arc<Postman>, meters: &Arc<Meters>) {
        let (postman, meters) = (Arc::clone(postman), Arc::clone(meters));
        self.tasks.spawn(every(ROUND_EVERY, async move || {
            let Round { sent, put_off, given_up } = postman.round().await;
            meters.notices.sent.add(sent);
            meters.notices.put_off.add(put_off);
            meters.notices.given_up.add(given_up);
        }));
    }

    /// Takes away what the trail keeps no longer: what is older than what `kept_for` says at that moment.
    pub(super) fn expire_records(
        &mut self,
        audit: &Audit,
        store: &Store,
        kept_for: watch::Receiver<Option<Duration>>,
    ) {
        let expiry = Expiry::new(audit, store);
        self.tasks.spawn(every(EXPIRY_EVERY, async move || {
            let Some(kept_for) = *kept_for.borrow() else { return };
            match expiry.round(kept_for).await {
                Ok(0) => {}
                Ok(chains) => {
                    tracing::info!(chains, "audit records are gone that `audit.retention` keeps no longer");
                }
                Err(error) => tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "audit records that `audit.retention` keeps no longer are still there"
                ),
            }
        }));
    }

    /// Whether those that others rely on have had their turn lately.
    pub(super) fn are_kept(&self) -> bool {
        let now = self.clock.monotonic();
        self.pulses.iter().all(|pulse| now.since(pulse.last()) < TURN_MAX)
    }
}

/// When a chore last had its turn.
struct Pulse {
    micros: AtomicU64,
    clock: Arc<dyn Clock>,
}

impl Pulse {
    fn new(clock: &Arc<dyn Clock>) -> Self {
        let pulse = Self { micros: AtomicU64::new(0), clock: Arc::clone(clock) };
        pulse.beat();
        pulse
    }

    fn beat(&self) {
        let micros = self.clock.monotonic().0.as_micros();
        self.micros.store(u64::try_from(micros).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    fn last(&self) -> Monotonic {
        Monotonic(Duration::from_micros(self.micros.load(Ordering::Relaxed)))
    }
}

async fn every(period: Duration, work: impl AsyncFn()) {
    let mut ticks = interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        work().await;
    }
}

pub(super) async fn write_uses(gate: Arc<Authenticator>, mut closing: watch::Receiver<bool>) {
    let mut ticks = interval(USES_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => {
                gate.flush_due_uses().await;
                gate.record_refusals(true).await;
            }
            () = async { drop(closing.wait_for(|closing| *closing).await) } => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::ManualClock;

    #[test]
    fn a_chore_without_a_turn_for_too_long_is_noticed() {
        let manual = Arc::new(ManualClock::default());
        let clock: Arc<dyn Clock> = manual.clone();
        let pulses = [(); 2].map(|()| Arc::new(Pulse::new(&clock)));
        let watches = Watches { tasks: JoinSet::new(), pulses: pulses.clone(), clock };
        manual.advance(TURN_MAX - Duration::from_micros(1));
        assert!(watches.are_kept());
        pulses[0].beat();
        manual.advance(Duration::from_micros(1));
        assert!(!watches.are_kept(), "one of them is stuck");
        pulses[1].beat();
        assert!(watches.are_kept());
    }
}
