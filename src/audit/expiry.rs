//! How long the trail is kept: a chain whose last record is too old is taken away whole, file, head and index.
//!
//! That it was is itself recorded first, in the chain of whoever does it. The file then gets another ending, by which it
//! belongs to no trail any more; what a crash leaves half done under that ending is finished the next time. Nothing is
//! taken away that cannot be read, or that somebody still writes.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::file::{self, Found};
use super::index::{FollowError, off_thread};
use super::record::Line;
use super::{Audit, AuditError, Event};
use crate::base::Timestamp;
use crate::store::Store;

/// Where the last record of a chain is looked for: several times what one takes.
const TAIL: u64 = 64 << 10;

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

/// The last whole record of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Last {
    sequence: i64,
    at: Timestamp,
}

impl Audit {
    /// Takes away the chains here whose last record is `kept_for` old; returns how many.
    ///
    /// # Errors
    /// [`ExpiryError`]; what is left is for the next time.
    pub async fn expire(&self, store: &Store, kept_for: Duration) -> Result<usize, ExpiryError> {
        let directory = &*self.directory;
        let listed = directory.to_owned();
        for (chain, path) in off_thread(directory, move || file::expired(&listed)).await? {
            forget(store, &chain, path).await?;
        }
        let (now, listed) = (self.clock.now(), directory.to_owned());
        let due = move |last: &Last| now.since(last.at) >= kept_for;
        let mut taken = 0;
        for (found, last) in off_thread(directory, move || outdated(&listed, due)).await? {
            let (chain, records) = (found.chain.clone(), last.sequence);
            self.append(Event::ChainExpired { chain, records, until: last.at }).await?;
            let path = found.path.clone();
            let expired = off_thread(&path, move || file::set_aside(&found.path)).await?;
            forget(store, &found.chain, expired).await?;
            taken += 1;
        }
        Ok(taken)
    }
}

/// The chains of `directory` that nobody writes, and whose last record is due.
fn outdated(directory: &Path, due: impl Fn(&Last) -> bool) -> io::Result<Vec<(Found, Last)>> {
    let mut outdated = Vec::new();
    for found in file::list(directory)? {
        // Asked first: whoever has ended by then writes nothing more.
        if found.is_live()? {
            continue;
        }
        if let Some(last) = last_of(&found.path)?.filter(&due) {
            outdated.push((found, last));
        }
    }
    Ok(outdated)
}

/// None where none can be read.
fn last_of(path: &Path) -> io::Result<Option<Last>> {
    let mut file = File::open(path)?;
    let len = file.metadata()?.len();
    file.seek(SeekFrom::Start(len.saturating_sub(TAIL)))?;
    let mut tail = Vec::new();
    file.take(TAIL).read_to_end(&mut tail)?;
    // Behind the last line end there may be half a line, as a crash leaves it.
    let whole = tail.iter().rposition(|byte| *byte == b'\n').and_then(|end| tail.get(..end));
    let line = whole.and_then(|whole| whole.rsplit(|byte| *byte == b'\n').next());
    let record = line.and_then(Line::parse).map(|line| line.fields);
    Ok(record.map(|fields| Last { sequence: fields.seq, at: fields.at }))
}

/// Takes a chain out of the database, and then its file, which stands at `path` by now.
async fn forget(store: &Store, chain: &str, path: PathBuf) -> Result<(), FollowError> {
    store.expire_audit_chain(chain).await?;
    let gone = path.clone();
    off_thread(&path, move || file::remove(&gone)).await
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::audit::{ChainReport, search, verify};
    use crate::base::{Clock, ManualClock, SiteKey};
    use crate::config::{self, Database, WhenFull};
    use crate::store::AuditQuery;

    const DAY: Duration = Duration::from_secs(86_400);

    struct Site {
        directory: tempfile::TempDir,
        store: Store,
        key: Arc<SiteKey>,
        clock: Arc<ManualClock>,
    }

    impl Site {
        async fn open() -> Self {
            let directory = tempfile::tempdir().unwrap();
            let database = Database::Sqlite(directory.path().join("mailward.db"));
            let store = Store::open(&database).await.unwrap();
            let key = Arc::new(SiteKey::from_bytes([7; 32]));
            Self { directory, store, key, clock: Arc::default() }
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

        async fn found(&self, event: &str) -> usize {
            let query = AuditQuery { event: Some(event.to_owned()), ..AuditQuery::default() };
            search(&self.trail(), &self.store, &query).await.unwrap().len()
        }

        async fn chains(&self) -> Vec<ChainReport> {
            let report = verify(&self.trail(), &self.store, &self.key).await.unwrap();
            assert!(report.is_sound(), "{report:?}");
            report.chains
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
        assert_eq!(audit.expire(&site.store, 10 * DAY).await.unwrap(), 0);
        site.clock.advance(Duration::from_secs(1));
        assert_eq!(audit.expire(&site.store, 10 * DAY).await.unwrap(), 1);
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
            taken += audit.expire(&site.store, DAY).await.unwrap();
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
        assert_eq!(audit.expire(&site.store, DAY).await.unwrap(), 0);
        assert_eq!(std::fs::read_dir(site.trail()).unwrap().count(), 3);
        assert_eq!(site.found("stopped").await, 1);
    }

    #[tokio::test]
    async fn what_a_crash_left_half_done_is_finished() {
        let site = Site::open().await;
        site.ended(Event::Stopped).await;
        assert_eq!(site.found("stopped").await, 1);
        let chain = site.chains().await.remove(0).chain;
        file::set_aside(&file::path(&site.trail(), &chain)).unwrap();
        // Its head has no file; that is nobody's fault.
        assert_eq!(site.chains().await.len(), 0);
        let audit = site.audit().await;
        assert_eq!(audit.expire(&site.store, 1000 * DAY).await.unwrap(), 0);
        assert_eq!(site.found("stopped").await, 0);
        assert!(site.store.audit_heads().await.unwrap().iter().all(|head| head.chain != chain));
        assert_eq!(std::fs::read_dir(site.trail()).unwrap().count(), 1, "the one that is written");
    }

    #[test]
    fn the_last_whole_record_counts() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x.jsonl");
        for (text, sequence) in [(String::new(), None), ("{}\n".to_owned(), None), (line(1), Some(1))] {
            std::fs::write(&path, text).unwrap();
            assert_eq!(last_of(&path).unwrap().map(|last| last.sequence), sequence);
        }
        for behind in ["", "{\"seq\":3,\"at\""] {
            std::fs::write(&path, format!("{}{}{behind}", line(1), line(2))).unwrap();
            let at = Timestamp::from_unix_seconds(2);
            assert_eq!(last_of(&path).unwrap(), Some(Last { sequence: 2, at }), "{behind}");
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
