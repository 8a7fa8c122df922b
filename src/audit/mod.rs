//! The audit trail: one durable, hash-chained record for every attempt, session end and change.
//!
//! Whoever appends is told only after the record is on disk. Names that belong to no account are never
//! recorded in clear: people type passwords into name fields.
//!
//! ```text
//!  append ─▶ queue ─▶ writer (a thread) ─▶ <started>-<random>.jsonl ─▶ the one who appended
//!                        │ tips
//!                        ▼
//!                     follower (a task) ─▶ database: head under a MAC, search index
//! ```
//!
//! Each process has a chain and a file of its own, and begins another each day, so that none waits for another and what is
//! too old can go file by file. The database may be away:
//! the trail goes on, and head and index follow when it is back. Records come from the gate itself; files and
//! database rows are not trusted when they are read again (see [`verify()`]).

mod answers;
mod attempt;
pub mod author;
pub mod event;
mod expiry;
mod file;
mod follower;
mod index;
mod place;
mod record;
mod report;
mod reserve;
mod search;
mod verify;
mod writer;

use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use crate::base::key::Purpose;
use crate::base::{Address, Clock, LoginName, SiteKey};
use crate::config;
use crate::store::Store;
use answers::Waiter;
pub use answers::deliver_here;
pub use author::Author;
pub use event::Event;
pub use expiry::{Expiry, ExpiryError};
use file::ChainFile;
use follower::{Follower, Settled};
pub use index::FollowError;
pub use report::{ChainReport, Note, Problem, Report};
pub use search::{search, search_soon};
pub use verify::verify;
use writer::{Counters, Ground, Leisure, Message, NotWaiting, Request, Since, Writer};

/// How long [`Audit::close`] waits for a database that does not answer. What is not indexed or anchored then is
/// in the file all the same.
const CLOSE_PATIENCE: Duration = Duration::from_secs(5);

/// How long a record waits for others that nobody is told of.
const LEISURE: Duration = Duration::from_millis(100);

/// The writing end of this process's chain. Cheap to clone.
///
/// When the last one is dropped without [`Audit::close`], what was appended is still written, but the chain has
/// no end that could be told from a crash.
#[derive(Clone)]
pub struct Audit {
    queue: mpsc::Sender<Message>,
    leisure: Arc<Leisure>,
    directory: Arc<Path>,
    follower: Arc<Mutex<Option<JoinHandle<()>>>>,
    counters: Arc<Counters>,
    key: Arc<SiteKey>,
    clock: Arc<dyn Clock>,
}

/// Why a record was not written.
#[derive(Debug, Clone, thiserror::Error)]
pub enum AuditError {
    /// Writing or syncing the file failed.
    #[error("the audit trail in `{directory}` cannot be written: {reason}")]
    Write {
        /// Where.
        directory: String,
        /// What the system said.
        reason: String,
    },
    /// The writer is gone.
    #[error("the audit trail is closed")]
    Closed,
}

/// What the trail of this process has done so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Figures {
    /// Durable records, the chain's own first one not counted.
    pub records: u64,
    /// Syncs that they took, the failed ones included.
    pub syncs: u64,
    /// Records that could not be written.
    pub failures: u64,
    /// How long ago the last record was that could not be written; none once one could again.
    pub failing: Option<Duration>,
    /// How long the oldest record has been waiting that the database does not know of yet.
    pub lag: Duration,
}

impl Audit {
    /// Starts a chain and a file of this process's own.
    ///
    /// # Errors
    /// [`AuditError`] when the directory or file cannot be made.
    pub async fn open(
        settings: &config::Audit,
        store: Store,
        key: Arc<SiteKey>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, AuditError> {
        let now = clock.now();
        let ground = Ground::new(settings);
        let begun = ground.clone();
        let chain = tokio::task::spawn_blocking(move || begun.begin(now)).await;
        let chain = chain.map_err(std::io::Error::other).and_then(|made| made);
        let chain = chain.map_err(|error| AuditError::write(&settings.directory, &error))?;
        Self::start(ground, Some(chain), store, key, clock)
    }

    /// The same for a gate whose logins go on without records: where the trail cannot be written yet, that is logged,
    /// and records are refused until it can.
    ///
    /// # Errors
    /// [`AuditError`] when no thread can be started.
    pub async fn open_later(
        settings: &config::Audit,
        store: Store,
        key: Arc<SiteKey>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, AuditError> {
        match Self::open(settings, store.clone(), Arc::clone(&key), Arc::clone(&clock)).await {
            Ok(audit) => Ok(audit),
            Err(error) => {
                tracing::error!("{error}");
                Self::start(Ground::new(settings), None, store, key, clock)
            }
        }
    }

    fn start(
        ground: Ground,
        chain: Option<ChainFile>,
        store: Store,
        key: Arc<SiteKey>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, AuditError> {
        let directory = ground.directory.clone();
        let failed = |error| AuditError::write(&directory, &error);
        let (queue, requests) = mpsc::channel(writer::QUEUE);
        let counters = Arc::<Counters>::default();
        let leisure = Arc::<Leisure>::default();
        let settled = Arc::<Settled>::default();
        let services =
            (Arc::clone(&clock), Arc::clone(&counters), Arc::clone(&leisure), Arc::clone(&settled));
        let (writer, tips, lives) = Writer::new(ground, chain, services);
        let named = std::thread::Builder::new().name("audit-writer".to_owned());
        named.spawn(move || writer.run(requests)).map_err(failed)?;
        let written_to = Arc::from(directory.as_path());
        let follower = Follower {
            place: place::of(&directory),
            directory,
            store,
            key: Arc::clone(&key),
            tips,
            writer: lives,
            settled,
            counters: Arc::clone(&counters),
            clock: Arc::clone(&clock),
        };
        let follower = Arc::new(Mutex::new(Some(tokio::spawn(follower.run()))));
        Ok(Self { queue, leisure, directory: written_to, follower, counters, key, clock })
    }

    /// Appends one record; returns when it is durable (records of the moment share one sync).
    ///
    /// Whoever stops waiting does not take the record back.
    ///
    /// # Errors
    /// [`AuditError`]; then the record is not in the trail, or, should the disk not even let it be taken back,
    /// there but not vouched for.
    pub async fn append(&self, event: Event) -> Result<(), AuditError> {
        let (waiter, answer) = Waiter::here();
        let request = Box::new(Request { event, at: self.clock.now(), done: Some(waiter) });
        match self.queue.try_send(Message::Append(request)) {
            Ok(()) => {}
            Err(TrySendError::Closed(_)) => return Err(AuditError::Closed),
            // It waits for its place by itself, whatever becomes of the one who appended.
            Err(TrySendError::Full(message)) => self.send_later(message, Duration::ZERO),
        }
        answer.await.unwrap_or(Err(AuditError::Closed))
    }

    /// Appends a record that nobody is told of and nobody waits for: others share their sync with it, within a tenth of a
    /// second. Should it be lost, the log says so.
    ///
    /// # Errors
    /// [`AuditError`]; then the record is not in the trail.
    pub fn append_at_leisure(&self, event: Event) -> Result<(), AuditError> {
        match self.leisure.add(Request { event, at: self.clock.now(), done: None }) {
            Err(NotWaiting::Ended) => return Err(AuditError::Closed),
            Err(NotWaiting::Full) => {
                let directory = self.directory.display().to_string();
                return Err(AuditError::Write {
                    directory,
                    reason: "too many records wait for it".to_owned(),
                });
            }
            // Whoever is the first sees to it that somebody comes for them.
            Ok(true) => match Handle::try_current() {
                Ok(_) => self.send_later(Message::Gather, LEISURE),
                // Somebody is dropped outside of everything. A queue that is full is looked at anyway.
                Err(_) => drop(self.queue.try_send(Message::Gather)),
            },
            Ok(false) => {}
        }
        Ok(())
    }

    /// Nothing is written until what this returns is dropped.
    #[cfg(test)]
    pub(crate) async fn hold(&self) -> std::sync::mpsc::Sender<()> {
        let (holder, held) = std::sync::mpsc::channel();
        assert!(self.queue.send(Message::Hold(held)).await.is_ok(), "the trail has ended");
        while self.queued() > 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        holder
    }

    /// How many messages the writer has not looked at.
    #[cfg(test)]
    pub(crate) fn queued(&self) -> usize {
        self.queue.max_capacity() - self.queue.capacity()
    }

    fn send_later(&self, message: Message, after: Duration) {
        let queue = self.queue.clone();
        tokio::spawn(async move {
            tokio::time::sleep(after).await;
            // A writer that has ended has taken what was left.
            drop(queue.send(message).await);
        });
    }

    /// Ends the chain: everything is written, head and index included, as far as the database answers. What is
    /// appended afterwards, to any clone, is refused.
    pub async fn close(&self) {
        let (done, closed) = oneshot::channel();
        if self.queue.send(Message::Close(done)).await.is_ok() {
            let _ = closed.await;
        }
        let follower = self.follower.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(mut follower) = follower
            && tokio::time::timeout(CLOSE_PATIENCE, &mut follower).await.is_err()
        {
            follower.abort();
            tracing::warn!(
                "the database is behind the audit trail: the next process indexes the rest, and the last \
                 records may stay without a head"
            );
        }
    }

    /// How a name that belongs to no account is recorded: `#` and 16 hexadecimal digits of a keyed hash, then
    /// `@known_domain` where one is given. Give one only if an upstream serves it: anything else that stands
    /// behind an `@` may be half of somebody's password.
    ///
    /// Spellings of one address have one hash, so that a guesser's attempts on it can be counted.
    #[must_use]
    pub fn unknown_name(&self, login: &LoginName, known_domain: Option<&str>) -> String {
        unknown_name(&self.key, login, known_domain)
    }

    /// Whether the thread that writes the records is still there.
    #[must_use]
    pub fn is_attended(&self) -> bool {
        !self.queue.is_closed()
    }

    /// For metrics.
    #[must_use]
    pub fn figures(&self) -> Figures {
        let Counters { records, syncs, failures, failed_at, behind_since } = &*self.counters;
        let now = self.clock.monotonic();
        let age = |since: &Since| since.read().map(|since| now.since(since));
        Figures {
            failing: age(failed_at),
            lag: age(behind_since).unwrap_or_default(),
            records: records.load(Ordering::Relaxed),
            syncs: syncs.load(Ordering::Relaxed),
            failures: failures.load(Ordering::Relaxed),
        }
    }
}

/// See [`Audit::unknown_name`].
pub(crate) fn unknown_name(key: &SiteKey, login: &LoginName, known_domain: Option<&str>) -> String {
    let folded = match Address::parse(login.as_str()) {
        Ok(address) => address.as_str().to_owned(),
        Err(_) => login.as_str().trim().to_lowercase(),
    };
    let tag = key.mac(Purpose::UnknownName, &[folded.as_bytes()]);
    let hash = record::hex(tag.get(..8).unwrap_or(&tag));
    match known_domain {
        Some(domain) => format!("#{hash}@{domain}"),
        None => format!("#{hash}"),
    }
}

impl AuditError {
    fn write(directory: &Path, error: &std::io::Error) -> Self {
        Self::Write { directory: directory.display().to_string(), reason: error.to_string() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_without_an_account_is_recorded_as_a_keyed_hash() {
        let key = SiteKey::from_bytes([7; 32]);
        let name = |text: &str| LoginName::from_bytes(text.as_bytes()).unwrap();
        let known = unknown_name(&key, &name("Hunter2@Example.org"), Some("example.org"));
        let (hash, domain) = known.split_once('@').unwrap();
        assert_eq!((hash.len(), domain), (17, "example.org"));
        assert!(hash.strip_prefix('#').unwrap().chars().all(|c| c.is_ascii_hexdigit()));
        assert_eq!(unknown_name(&key, &name("hunter2@example.ORG"), Some("example.org")), known);
        assert_eq!(unknown_name(&key, &name("hunter2@example.org"), None), hash);
        assert_ne!(unknown_name(&key, &name("hunter3@example.org"), None), hash);
        let other = SiteKey::from_bytes([8; 32]);
        assert_ne!(
            unknown_name(&other, &name("hunter2@example.org"), None),
            hash,
            "nobody else can guess it"
        );
        let bare = unknown_name(&key, &name("p@ssw0rd with blanks "), None);
        assert!(!bare.contains("ssw0rd") && bare.len() == 17, "{bare}");
    }
}
