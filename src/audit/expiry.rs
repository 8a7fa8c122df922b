//! How long the trail is kept: a chain whose last record is too old is taken away whole, file, head and index.
//!
//! That it was is recorded first, in the chain of whoever does it. Then its head says that it is on its way out, under the
//! site's key: by that, and by nothing that a file is called, a round that was broken off is finished by the next one. What
//! is still written, or is not what was written, stays: damage is evidence.
//!
//! A wrong clock must not cost the trail. Only what was due in the round before goes, so that a clock that is set right
//! within that time does no harm.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::file::{self, Found};
use super::follower::{head, is_genuine};
use super::index::{FollowError, off_thread};
use super::record::Line;
use super::verify::check_file;
use super::{Audit, AuditError, Event, place};
use crate::base::{SiteKey, Timestamp};
use crate::store::{AuditHead, Store};

/// Where the last record of a chain is looked for: several times what one takes.
const TAIL: u64 = 64 << 10;

/// How the place of a head begins that is on its way out; no machine is called so.
const ON_ITS_WAY_OUT: &str = "expired from ";

/// Why what is too old was not taken away.
#[derive(Debug, thiserror::Error)]
pub enum ExpiryError {
    /// Files or database.
    #[error(transparent)]
    Follow(#[from] FollowError),
    /// It could not be recorded, and so it stays.
    #[error(transparent)]
    Unrecorded(#[from] AuditError),
}

/// Takes away what is kept no longer, round by round.
pub struct Expiry {
    audit: Audit,
    store: Store,
    key: Arc<SiteKey>,
    /// Chains that were due in the round before.
    due: Mutex<HashSet<String>>,
    /// Chains that stay because they are damaged; the log has said so.
    damaged: Mutex<HashSet<String>>,
}

impl Expiry {
    /// Nothing was due yet.
    #[must_use]
    pub fn new(audit: &Audit, store: &Store) -> Self {
        let key = Arc::clone(&audit.key);
        let (due, damaged) = (Mutex::default(), Mutex::default());
        Self { audit: audit.clone(), store: store.clone(), key, due, damaged }
    }

    /// Takes away the chains here whose last record is `kept_for` old, and was so in the round before; returns how many.
    ///
    /// # Errors
    /// The first [`ExpiryError`]; other chains go all the same, and what is left is for the next round.
    pub async fn round(&self, kept_for: Duration) -> Result<usize, ExpiryError> {
        let (directory, here) = (Arc::clone(&self.audit.directory), self.place());
        let heads = self.store.audit_heads().await.map_err(FollowError::from)?;
        let heads: Vec<AuditHead> = heads.into_iter().filter(|head| is_genuine(&self.key, head)).collect();
        let mut problem = None;
        // What a crash left half done.
        for left in heads.iter().filter(|head| head.place == here) {
            if let Err(error) = self.take_away(&left.chain).await {
                problem.get_or_insert(error.into());
            }
        }
        let (now, listed) = (self.audit.clock.now(), directory.to_path_buf());
        let due = off_thread(&directory, move || candidates(&listed, now, kept_for)).await?;
        let names = due.iter().map(|found| found.chain.clone()).collect();
        let before = std::mem::replace(&mut *locked(&self.due), names);
        let mut taken = 0;
        for found in due.into_iter().filter(|found| before.contains(&found.chain)) {
            // One on its way out, from a machine that has another name now, says nothing of what the file should be.
            let head =
                heads.iter().find(|head| head.chain == found.chain && !is_on_its_way_out(head)).cloned();
            match self.expire(found, head, (now, kept_for)).await {
                Ok(true) => taken += 1,
                Ok(false) => {}
                Err(error) => drop(problem.get_or_insert(error)),
            }
        }
        problem.map_or(Ok(taken), Err)
    }

    /// Whether the chain is gone now: one that is damaged, or has a younger record, is not.
    async fn expire(
        &self,
        found: Found,
        last: Option<AuditHead>,
        (now, kept_for): (Timestamp, Duration),
    ) -> Result<bool, ExpiryError> {
        let (chain, path) = (found.chain.clone(), found.path.clone());
        let report = off_thread(&path, move || check_file(&found, last.as_ref())).await?;
        if !report.problems.is_empty() {
            if locked(&self.damaged).insert(chain.clone()) {
                tracing::warn!(
                    chain,
                    hint = "see `mailward audit verify`",
                    "a chain of the audit trail is older than `audit.retention` and stays, because it is damaged"
                );
            }
            return Ok(false);
        }
        let Some(until) = report.newest.filter(|newest| now.since(*newest) >= kept_for) else {
            return Ok(false);
        };
        let records = i64::try_from(report.records).unwrap_or(i64::MAX);
        self.audit.append(Event::ChainExpired { chain: chain.clone(), records, until }).await?;
        let goes = head(&self.key, &self.place(), &chain, (records, &[]));
        self.store.replace_audit_head(&goes).await.map_err(FollowError::from)?;
        self.take_away(&chain).await?;
        Ok(true)
    }

    /// The file first: nobody indexes it again.
    async fn take_away(&self, chain: &str) -> Result<(), FollowError> {
        let path = file::path(&self.audit.directory, chain);
        let gone = path.clone();
        off_thread(&path, move || file::remove(&gone)).await?;
        Ok(self.store.expire_audit_chain(chain).await?)
    }

    fn place(&self) -> String {
        format!("{ON_ITS_WAY_OUT}{}", place::of(&self.audit.directory))
    }
}

/// Whether its chain is being taken away, because its time was over; `head` is genuine.
pub(super) fn is_on_its_way_out(head: &AuditHead) -> bool {
    head.place.starts_with(ON_ITS_WAY_OUT)
}

fn locked(chains: &Mutex<HashSet<String>>) -> std::sync::MutexGuard<'_, HashSet<String>> {
    chains.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The chains of `directory` that nobody writes, and that seem to be due.
fn candidates(directory: &Path, now: Timestamp, kept_for: Duration) -> io::Result<Vec<Found>> {
    let seconds = i64::try_from(kept_for.as_secs()).unwrap_or(i64::MAX);
    let before = Timestamp::from_unix_seconds(now.unix_seconds().saturating_sub(seconds).max(0));
    let mut candidates = Vec::new();
    for found in file::list(directory)? {
        // Whether somebody writes it is asked first: whoever has ended by then writes nothing more.
        if found.had_begun(before)?
            && !found.is_live().unwrap_or(true)
            && last_of(&found.path).ok().flatten().is_some_and(|last| now.since(last) >= kept_for)
        {
            candidates.push(found);
        }
    }
    Ok(candidates)
}

/// When the last record was made, as it says; none where none can be read.
fn last_of(path: &Path) -> io::Result<Option<Timestamp>> {
    let mut file = File::open(path)?;
    let len = file.metadata()?.len();
    file.seek(SeekFrom::Start(len.saturating_sub(TAIL)))?;
    let mut tail = Vec::new();
    file.take(TAIL).read_to_end(&mut tail)?;
    // Behind the last line end there may be half a line, as a crash leaves it.
    let whole = tail.iter().rposition(|byte| *byte == b'\n').and_then(|end| tail.get(..end));
    let line = whole.and_then(|whole| whole.rsplit(|byte| *byte == b'\n').next());
    Ok(line.and_then(Line::parse).map(|line| line.fields.at))
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::audit::{ChainReport, search, verify};
    use crate::base::{Clock, ManualClock, Scratch};
    use crate::config::{self, Database, WhenFull};
    use crate::store::AuditQuery;

    const DAY: Duration = Duration::from_secs(86_400);

    struct Site {
        store: Store,
        key: Arc<SiteKey>,
        clock: Arc<ManualClock>,
        directory: Scratch,
    }

    impl Site {
        async fn open() -> Self {
            let directory = Scratch::new();
            let database = Database::Sqlite(directory.path().join("mailward.db"));
            let store = Store::open(&database).await.unwrap();
            let key = Arc::new(SiteKey::from_bytes([7; 32]));
            Self { store, key, clock: Arc::default(), directory }
        }

        fn trail(&self) -> PathBuf {
            self.directory.path().join("audit")
        }

        async fn audit(&self) -> Audit {
            let directory = self.trail();
            let settings =
                config::Audit { directory, when_full: WhenFull::Refuse, reserve: 0, retention: None };
            let clock: Arc<dyn Clock> = self.clock.clone();
            Audit::open(&settings, self.store.clone(), Arc::clone(&self.key), clock).await.unwrap()
        }

        /// A chain of a process that ended in order.
        async fn ended(&self, event: Event) {
            let audit = self.audit().await;
            audit.append(event).await.unwrap();
            audit.close().await;
        }

        /// What two rounds take away.
        async fn expire(&self, audit: &Audit, kept_for: Duration) -> usize {
            let expiry = Expiry::new(audit, &self.store);
            assert_eq!(expiry.round(kept_for).await.unwrap(), 0, "what is due is looked at again");
            expiry.round(kept_for).await.unwrap()
        }

        async fn found(&self, event: &str) -> usize {
            let query = AuditQuery { event: Some(event.to_owned()), ..AuditQuery::default() };
            search(&self.trail(), &self.store, &query).await.unwrap().len()
        }

        async fn chains_and_problems(&self) -> Vec<ChainReport> {
            verify(&self.trail(), &self.store, &self.key).await.unwrap().chains
        }

        async fn chains(&self) -> Vec<ChainReport> {
            let chains = self.chains_and_problems().await;
            assert!(chains.iter().all(|chain| chain.problems.is_empty()), "{chains:?}");
            chains
        }
    }

    #[tokio::test]
    async fn what_is_too_old_is_gone_whole_and_that_is_recorded() {
        let site = Site::open().await;
        site.ended(Event::Stopped).await;
        site.clock.advance(DAY);
        site.ended(Event::Started { version: "1".to_owned() }).await;
        assert_eq!((site.found("stopped").await, site.found("started").await), (1, 1));
        let oldest = site.chains().await[0].chain.clone();

        let audit = site.audit().await;
        site.clock.advance(9 * DAY - Duration::from_secs(1));
        assert_eq!(site.expire(&audit, 10 * DAY).await, 0);
        site.clock.advance(Duration::from_secs(1));
        assert_eq!(site.expire(&audit, 10 * DAY).await, 1);
        assert_eq!((site.found("stopped").await, site.found("started").await), (0, 1));
        let expired = AuditQuery { event: Some("chain_expired".to_owned()), ..AuditQuery::default() };
        let expired = search(&site.trail(), &site.store, &expired).await.unwrap().remove(0);
        let expired: serde_json::Value = serde_json::from_str(&expired.json).unwrap();
        assert_eq!((&expired["chain"], &expired["records"]), (&oldest.as_str().into(), &3.into()));
        audit.close().await;
        // The second one, and the two that this process has written in as many days.
        let left = site.chains().await;
        assert!(left.len() == 3 && left.iter().all(|chain| chain.chain != oldest));
        let heads = site.store.audit_heads().await.unwrap();
        assert!(heads.len() == 3 && heads.iter().all(|head| head.chain != oldest));
        let marks = site.store.audit_marks().await.unwrap();
        assert!(marks.iter().all(|mark| mark.chain != oldest));
        assert_eq!(std::fs::read_dir(site.trail()).unwrap().count(), 3);
    }

    #[tokio::test]
    async fn a_process_that_goes_on_loses_its_own_days_one_by_one() {
        let site = Site::open().await;
        let audit = site.audit().await;
        let started = || audit.append(Event::Started { version: "1".to_owned() });
        audit.append(Event::Stopped).await.unwrap();
        site.clock.advance(DAY);
        started().await.unwrap();
        site.clock.advance(DAY);
        let mut taken = 0;
        for _ in 0..200 {
            // A file is let go of when the database has all of it, and the next record is written.
            started().await.unwrap();
            taken += site.expire(&audit, DAY).await;
            if taken > 0 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert_eq!((taken, site.found("stopped").await), (1, 0));
        assert!(site.found("started").await > 0);
        audit.close().await;
        assert_eq!(site.chains().await.len(), 2, "yesterday's and today's");
    }

    #[tokio::test]
    async fn a_chain_that_is_written_or_cannot_be_read_stays() {
        let site = Site::open().await;
        let audit = site.audit().await;
        audit.append(Event::Stopped).await.unwrap();
        let unreadable = site.trail().join("20200101T000000Z-00000000.jsonl");
        std::fs::write(&unreadable, "no record\n").unwrap();
        std::fs::write(site.trail().join("20200101T000000Z-00000001.jsonl"), "").unwrap();
        site.clock.advance(1000 * DAY);
        assert_eq!(site.expire(&audit, DAY).await, 0);
        assert_eq!(std::fs::read_dir(site.trail()).unwrap().count(), 3);
        assert_eq!(site.found("stopped").await, 1);
    }

    #[tokio::test]
    async fn what_is_damaged_stays_whoever_wants_it_gone() {
        let site = Site::open().await;
        site.ended(Event::Stopped).await;
        let chain = site.chains().await.remove(0).chain;
        let path = file::path(&site.trail(), &chain);
        let whole = std::fs::read_to_string(&path).unwrap();
        site.clock.advance(10 * DAY);
        let audit = site.audit().await;
        for damaged in [
            whole.replacen("stopped", "started", 1),
            whole.lines().take(2).map(|line| format!("{line}\n")).collect(),
            format!("{whole}{}", line(9)),
        ] {
            std::fs::write(&path, damaged).unwrap();
            assert_eq!(site.expire(&audit, DAY).await, 0);
            assert!(path.exists());
        }
        // One that seems to be of long ago, because of what was added to it, is as young as its youngest record.
        site.ended(Event::Stopped).await;
        let young = site.chains_and_problems().await.pop().unwrap().chain;
        let path = file::path(&site.trail(), &young);
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, format!("{text}{}", line(4))).unwrap();
        assert_eq!(site.expire(&audit, 9 * DAY).await, 0);
        assert!(path.exists());
        // Nor does a name take anything away.
        std::fs::rename(&path, path.with_extension("expired")).unwrap();
        assert_eq!(site.expire(&audit, DAY).await, 0);
        assert!(site.store.audit_heads().await.unwrap().iter().any(|head| head.chain == young));
        let report = verify(&site.trail(), &site.store, &site.key).await.unwrap();
        assert!(!report.is_sound(), "the file is missing");
    }

    #[tokio::test]
    async fn what_a_crash_left_half_done_is_finished_and_is_no_fault_meanwhile() {
        let site = Site::open().await;
        site.ended(Event::Stopped).await;
        assert_eq!(site.found("stopped").await, 1);
        let chain = site.chains().await.remove(0).chain;
        let audit = site.audit().await;
        let goes = |key: &SiteKey| head(key, &Expiry::new(&audit, &site.store).place(), &chain, (3, &[]));
        let path = file::path(&site.trail(), &chain);
        // Whoever has not the site's key takes nothing away.
        site.store.replace_audit_head(&goes(&SiteKey::from_bytes([8; 32]))).await.unwrap();
        assert_eq!(site.expire(&audit, 1000 * DAY).await, 0);
        assert!(path.exists());
        site.store.replace_audit_head(&goes(&site.key)).await.unwrap();
        assert_eq!(site.chains().await.len(), 1, "its file is there still");
        std::fs::remove_file(&path).unwrap();
        assert_eq!(site.chains().await.len(), 1, "its head has no file, and that is nobody's fault");
        assert_eq!(site.expire(&audit, 1000 * DAY).await, 0);
        assert_eq!(site.found("stopped").await, 0);
        assert!(site.store.audit_heads().await.unwrap().iter().all(|head| head.chain != chain));
    }

    #[tokio::test]
    async fn a_clock_that_is_set_right_again_costs_nothing() {
        let site = Site::open().await;
        site.ended(Event::Stopped).await;
        let audit = site.audit().await;
        let expiry = Expiry::new(&audit, &site.store);
        assert_eq!(expiry.round(DAY).await.unwrap(), 0);
        site.clock.advance(DAY);
        assert_eq!(expiry.round(DAY).await.unwrap(), 0, "due for the first time");
        assert_eq!(expiry.round(2 * DAY).await.unwrap(), 0, "not due any more");
        assert_eq!(expiry.round(DAY).await.unwrap(), 0);
        assert_eq!(expiry.round(DAY).await.unwrap(), 1);
    }

    #[test]
    fn the_last_whole_record_counts() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x.jsonl");
        for (text, at) in [(String::new(), None), ("{}\n".to_owned(), None), (line(1), Some(1))] {
            std::fs::write(&path, text).unwrap();
            assert_eq!(last_of(&path).unwrap(), at.map(Timestamp::from_unix_seconds));
        }
        for behind in ["", "{\"seq\":3,\"at\""] {
            std::fs::write(&path, format!("{}{}{behind}", line(1), line(2))).unwrap();
            assert_eq!(last_of(&path).unwrap(), Some(Timestamp::from_unix_seconds(2)), "{behind}");
        }
        std::fs::write(&path, format!("{}{}", "x".repeat(2 * TAIL as usize), line(2))).unwrap();
        assert_eq!(last_of(&path).unwrap(), None, "a record is not that long");
    }

    fn line(sequence: i64) -> String {
        let mut lines = Vec::new();
        let (at, prev) = (Timestamp::from_unix_seconds(sequence), super::super::record::genesis("x"));
        super::super::record::write_line(&mut lines, sequence, at, &prev, &Event::Stopped).unwrap();
        String::from_utf8(lines).unwrap()
    }
}
