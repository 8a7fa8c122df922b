//! What a gate does by itself, again and again, while it serves.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

use crate::gate::Authenticator;

/// How often last uses are written to the database: late enough to gather many, early enough for a list that
/// somebody looks at.
const USES_EVERY: Duration = Duration::from_secs(5);

/// How often changes are looked for that end sessions. With the time to read and to say goodbye they are over within
/// a second.
const CHANGES_EVERY: Duration = Duration::from_millis(250);

/// How often the list of live sessions is brought up to date.
const LIST_EVERY: Duration = Duration::from_secs(1);

/// Sessions are ended and listed until this is dropped, while the gate drains too.
pub(super) fn watch_sessions(gate: &Arc<Authenticator>) -> JoinSet<()> {
    let mut watches = JoinSet::new();
    let [changes, expiry, list] = [(); 3].map(|()| Arc::clone(gate));
    // Each by itself: a database that is slow to answer holds up no expiry.
    watches.spawn(every(CHANGES_EVERY, async move || changes.hear_changes().await));
    watches.spawn(every(CHANGES_EVERY, async move || expiry.end_expired()));
    watches.spawn(every(LIST_EVERY, async move || list.list_sessions().await));
    watches
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
                gate.flush_uses().await;
                gate.record_refusals(true).await;
            }
            () = async { drop(closing.wait_for(|closing| *closing).await) } => return,
        }
    }
}
