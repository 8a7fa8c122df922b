//! What follows the file in the database: each chain's head, under a MAC, and the search index.
//!
//! A task of its own, so that nobody who appends ever waits for the database. What could not be written is
//! written when the database is back; what a process that was killed left behind, the next one indexes.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::file::Tip;
use super::index::{self, FollowError, Size};
use super::writer::Counters;
use crate::base::key::Purpose;
use crate::base::{Clock, SiteKey};
use crate::store::{AuditHead, Store};

/// The least time between two passes: under load one write to the database serves all records of so long.
const PAUSE: Duration = Duration::from_millis(200);

/// Records of one pause that are indexed at once. Where there are more, each look at what the index lacks writes pages all
/// over its keys: what shares a look shares pages, and blocks.
const FEW: i64 = 50;

/// The least time between two looks at many records. Whoever searches on this node looks first.
const INDEX_PAUSE: Duration = Duration::from_secs(10);

/// The least time between two passes while the database does not answer.
const RETRY: Duration = Duration::from_secs(1);

/// How long a process that has done with its own chain goes on with those of others: a command must not linger, and after an
/// upgrade there is much to do, for whoever comes.
const OTHERS_PATIENCE: Duration = Duration::from_secs(1);

/// Chains that have ended and are in the database whole: the writer need not name them any more.
#[derive(Default)]
pub(super) struct Settled(Mutex<HashSet<String>>);

impl Settled {
    pub(super) fn add(&self, chain: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(chain.to_owned());
    }

    pub(super) fn take(&self) -> HashSet<String> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

pub(super) struct Follower {
    pub(super) directory: PathBuf,
    pub(super) place: String,
    pub(super) store: Store,
    pub(super) key: Arc<SiteKey>,
    pub(super) tips: watch::Receiver<Vec<Tip>>,
    /// Closed when the writer is gone.
    pub(super) writer: watch::Receiver<()>,
    pub(super) settled: Arc<Settled>,
    pub(super) counters: Arc<Counters>,
    pub(super) clock: Arc<dyn Clock>,
}

impl Follower {
    /// Until the writer is gone and all that it wrote is in the database, as far as that answers.
    pub(super) async fn run(mut self) {
        let mut anchored = HashMap::new();
        let mut failing = false;
        // By itself: it may take minutes, and no head waits for it. It ends with this.
        let mut others = JoinSet::new();
        others.spawn(catch_up_with_others(self.directory.clone(), self.store.clone()));
        let (mut indexed_at, mut indexed_to) = (None, 0);
        let usual = index::usual_size(&self.store);
        let mut at_most = usual;
        loop {
            // Asked before the pass, so that a pass follows the last record in any case.
            let writer_is_gone = self.tips.has_changed().is_err();
            self.counters.behind_since.begin(self.clock.monotonic());
            let last = self.tips.borrow().iter().map(|tip| tip.sequence).sum::<i64>();
            let index = writer_is_gone
                || last - indexed_to <= FEW
                || indexed_at.is_none_or(|at: Instant| at.elapsed() >= INDEX_PAUSE);
            let passed = self.pass(&mut anchored, index.then_some(at_most)).await;
            // A disk that takes too long for much may have the time for less.
            at_most = if passed.is_ok() { usual } else { index::SHORT };
            if index && passed.is_ok() {
                (indexed_at, indexed_to) = (Some(Instant::now()), last);
                self.counters.behind_since.set(None);
            }
            match &passed {
                Ok(()) => {
                    if std::mem::take(&mut failing) {
                        tracing::info!("audit heads and index are written again");
                    }
                }
                Err(error) => {
                    if !std::mem::replace(&mut failing, true) {
                        let error: &dyn std::error::Error = error;
                        tracing::warn!(
                            error,
                            "audit heads and index cannot be written; the trail itself goes on"
                        );
                    }
                }
            }
            if writer_is_gone {
                let _ = tokio::time::timeout(OTHERS_PATIENCE, others.join_next()).await;
                return;
            }
            match (&passed, index) {
                (Ok(()), true) if self.tips.changed().await.is_err() => continue,
                // The index lacks something, whether more comes or not.
                (Ok(()), false) => drop(tokio::time::timeout(INDEX_PAUSE, self.tips.changed()).await),
                (Ok(()), true) | (Err(_), _) => {}
            }
            let pause = if passed.is_ok() { PAUSE } else { RETRY };
            // Ends early when the writer is gone: a command that wrote one record must not linger.
            let _ = tokio::time::timeout(pause, self.writer.changed()).await;
        }
    }

    async fn pass(
        &mut self,
        anchored: &mut HashMap<String, i64>,
        index: Option<Size>,
    ) -> Result<(), FollowError> {
        let tips = self.tips.borrow_and_update().clone();
        let named = |chain: &str| tips.iter().any(|tip| tip.chain == chain);
        anchored.retain(|chain, _| named(chain));
        for tip in &tips {
            if anchored.get(&tip.chain).is_none_or(|sequence| *sequence < tip.sequence) {
                let head = head(&self.key, &self.place, &tip.chain, (tip.sequence, &tip.hash));
                self.store.put_audit_head(&head).await?;
                anchored.insert(tip.chain.clone(), tip.sequence);
            }
        }
        let Some(at_most) = index else { return Ok(()) };
        // Whoever searches has indexed some of it meanwhile.
        let mut marks = self.store.audit_marks().await?;
        for tip in &tips {
            let known = marks.iter().position(|mark| mark.chain == tip.chain);
            let mark = known.map_or_else(|| index::beginning(&tip.chain), |known| marks.swap_remove(known));
            index::follow(&self.directory, mark, &self.store, at_most).await?;
        }
        // All but the last have ended.
        for tip in tips.iter().rev().skip(1) {
            self.settled.add(&tip.chain);
        }
        Ok(())
    }
}

/// Once: what processes that were killed left behind.
async fn catch_up_with_others(directory: PathBuf, store: Store) {
    let mut told = false;
    while let Err(error) = index::catch_up(&directory, &store).await {
        // A file that cannot be read meets nobody else.
        if !std::mem::replace(&mut told, true) {
            let error: &dyn std::error::Error = &error;
            tracing::warn!(error, "searches do not find yet what other processes have recorded");
        }
        tokio::time::sleep(RETRY).await;
    }
}

/// The head that says which record is the last of `chain`.
pub(super) fn head(key: &SiteKey, place: &str, chain: &str, (sequence, hash): (i64, &[u8])) -> AuditHead {
    let parts = [chain.as_bytes(), place.as_bytes(), &sequence.to_be_bytes(), hash];
    AuditHead {
        chain: chain.to_owned(),
        place: place.to_owned(),
        sequence,
        hash: hash.to_vec(),
        mac: key.mac(Purpose::AuditHead, &parts).to_vec(),
    }
}

/// Whether this site's key made `head`.
pub(super) fn is_genuine(key: &SiteKey, head: &AuditHead) -> bool {
    let parts = [head.chain.as_bytes(), head.place.as_bytes(), &head.sequence.to_be_bytes(), &head.hash];
    key.verify(Purpose::AuditHead, &parts, &head.mac)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::{Audit, Event, search, search_soon};
    use crate::base::{ManualClock, Scratch};
    use crate::config::{self, Database};
    use crate::store::AuditQuery;

    #[tokio::test]
    async fn no_head_and_no_page_waits_for_the_index_of_other_chains() {
        let directory = Scratch::new();
        let store = Store::open(&Database::Sqlite(directory.path().join("mailward.db"))).await.unwrap();
        let settings = config::Audit {
            directory: directory.path().join("audit"),
            when_full: config::WhenFull::Refuse,
            retention: None,
            reserve: 0,
        };
        let (key, clock) = (Arc::new(SiteKey::from_bytes([7; 32])), Arc::new(ManualClock::default()));
        let much_to_do = index::hold().await;
        let audit = Audit::open(&settings, store.clone(), key, clock).await.unwrap();
        audit.append(Event::Stopped).await.unwrap();
        let written = async {
            while store.audit_heads().await.unwrap().iter().all(|head| head.sequence < 2) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), written).await.expect("a head");
        let (all, soon) = (AuditQuery::default(), Duration::from_millis(10));
        search_soon(&settings.directory, &store, &all, soon).await.unwrap();
        drop(much_to_do);
        assert_eq!(search(&settings.directory, &store, &all).await.unwrap().len(), 2);
        audit.close().await;
    }
}
