//! The one thread of a process that writes its chain: takes what is queued, writes and syncs it as one group, and
//! only then answers those who wait.
//!
//! A thread of its own, because it does nothing but wait for the disk. While it waits the queue grows, and so
//! does the next group: the slower the disk, the fewer syncs.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{mpsc, oneshot, watch};

use super::file::{ChainFile, Tip};
use super::{AuditError, Event};
use crate::base::{Clock, Timestamp};

/// How many records wait at most; whoever comes then waits for a place. Less than a MiB.
pub(super) const QUEUE: usize = 1024;

/// How many records share one sync at most, so that a full queue is answered in steps.
const GROUP: usize = 512;

/// What comes in.
pub(super) enum Message {
    Append(Box<Request>),
    /// Write what waits at leisure, if it is not written yet.
    Gather,
    /// The last one: what is queued behind it is written too, then the chain ends.
    Close(oneshot::Sender<()>),
}

/// A record to write.
pub(super) struct Request {
    pub(super) event: Event,
    pub(super) at: Timestamp,
    pub(super) done: oneshot::Sender<Result<(), AuditError>>,
}

/// Records that go with the next group, whose ever that is. `None` once the chain has ended.
pub(super) struct Leisure(Mutex<Option<Vec<Request>>>);

impl Default for Leisure {
    fn default() -> Self {
        Self(Mutex::new(Some(Vec::new())))
    }
}

impl Leisure {
    /// Adds one. Whether it is the first, or `None` where nobody will come for it.
    pub(super) fn add(&self, request: Box<Request>) -> Option<bool> {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let waiting = waiting.as_mut()?;
        waiting.push(*request);
        Some(waiting.len() == 1)
    }

    /// Takes all; for the last time if `ending`.
    fn take(&self, ending: bool) -> Vec<Request> {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if ending {
            waiting.take().unwrap_or_default()
        } else {
            waiting.as_mut().map(std::mem::take).unwrap_or_default()
        }
    }
}

/// What was done, for metrics and tests.
#[derive(Default)]
pub(super) struct Counters {
    pub(super) records: AtomicU64,
    pub(super) syncs: AtomicU64,
    pub(super) failures: AtomicU64,
}

pub(super) struct Writer {
    directory: PathBuf,
    /// None after a failure that ended the chain: the next group tries to start another.
    chain: Option<ChainFile>,
    /// The last durable record of every chain of this process, the current one's last.
    tips: watch::Sender<Vec<Tip>>,
    counters: Arc<Counters>,
    leisure: Arc<Leisure>,
    clock: Arc<dyn Clock>,
    failing: bool,
}

impl Writer {
    pub(super) fn new(
        directory: PathBuf,
        chain: ChainFile,
        clock: Arc<dyn Clock>,
        counters: Arc<Counters>,
        leisure: Arc<Leisure>,
    ) -> (Self, watch::Receiver<Vec<Tip>>) {
        let (tips, watched) = watch::channel(vec![chain.tip().clone()]);
        (Self { directory, chain: Some(chain), tips, counters, leisure, clock, failing: false }, watched)
    }

    /// Until everybody who could append is gone, or somebody closes.
    pub(super) fn run(mut self, mut queue: mpsc::Receiver<Message>) {
        let mut group = Vec::with_capacity(GROUP);
        let mut closing = Vec::new();
        while let Some(first) = queue.blocking_recv() {
            let mut next = Some(first);
            while let Some(message) = next {
                match message {
                    Message::Append(request) => group.push(*request),
                    Message::Gather => {}
                    Message::Close(done) => {
                        closing.push(done);
                        queue.close();
                    }
                }
                next = if group.len() < GROUP { queue.try_recv().ok() } else { None };
            }
            group.append(&mut self.leisure.take(false));
            self.commit(&mut group);
        }
        group.append(&mut self.leisure.take(true));
        self.commit(&mut group);
        if !closing.is_empty() && self.chain.is_some() {
            let at = self.clock.now();
            let _ = self.append(&[(at, &Event::ChainEnded)]);
        }
        drop(self); // the last tip is out
        for done in closing {
            let _ = done.send(());
        }
    }

    /// Empties `group`, telling each whether its record is durable. Who no longer listens is recorded all the same.
    fn commit(&mut self, group: &mut Vec<Request>) {
        if group.is_empty() {
            return;
        }
        let events: Vec<_> = group.iter().map(|request| (request.at, &request.event)).collect();
        let result = self.append(&events);
        for request in group.drain(..) {
            let _ = request.done.send(result.clone());
        }
    }

    fn append(&mut self, events: &[(Timestamp, &Event)]) -> Result<(), AuditError> {
        let result = self.try_append(events);
        match &result {
            Ok(()) => {
                self.counters.records.fetch_add(events.len() as u64, Ordering::Relaxed);
                if std::mem::take(&mut self.failing) {
                    tracing::info!("the audit trail is written again");
                }
            }
            Err(error) => {
                self.counters.failures.fetch_add(events.len() as u64, Ordering::Relaxed);
                if !std::mem::replace(&mut self.failing, true) {
                    tracing::error!("{error}");
                }
            }
        }
        result
    }

    fn try_append(&mut self, events: &[(Timestamp, &Event)]) -> Result<(), AuditError> {
        let mut chain = match self.chain.take() {
            Some(chain) => chain,
            None => ChainFile::create(&self.directory, self.clock.now())
                .map_err(|error| AuditError::write(&self.directory, &error))?,
        };
        self.counters.syncs.fetch_add(1, Ordering::Relaxed);
        let appended = chain.append(events.iter().copied());
        let usable = appended.as_ref().map_or_else(|error| error.usable, |()| true);
        let mut tip = chain.tip().clone();
        tip.lock.take_if(|_| !usable);
        self.tips.send_modify(|tips| match tips.last_mut() {
            Some(last) if last.chain == tip.chain => *last = tip,
            _ => tips.push(tip),
        });
        self.chain = usable.then_some(chain);
        appended.map_err(|error| AuditError::write(&self.directory, &error.source))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::verify::check_file;
    use crate::base::ManualClock;

    fn writer(directory: &std::path::Path) -> (Writer, watch::Receiver<Vec<Tip>>) {
        let clock: Arc<dyn Clock> = Arc::new(ManualClock::default());
        let chain = ChainFile::create(directory, clock.now()).unwrap();
        Writer::new(directory.to_owned(), chain, clock, Arc::default(), Arc::default())
    }

    #[test]
    fn after_a_failed_sync_the_trail_goes_on_in_another_file() {
        let directory = tempfile::tempdir().unwrap();
        let (mut writer, tips) = writer(directory.path());
        let at = writer.clock.now();
        writer.append(&[(at, &Event::Stopped)]).unwrap();
        writer.chain.as_mut().unwrap().next_sync_fails = true;
        let refused = writer.append(&[(at, &Event::Stopped), (at, &Event::Stopped)]);
        assert!(matches!(refused, Err(AuditError::Write { .. })));
        writer.append(&[(at, &Event::Stopped)]).unwrap();

        let sequences: Vec<_> = tips.borrow().iter().map(|tip| tip.sequence).collect();
        assert_eq!(sequences, [2, 2], "each file holds its first record and one that somebody was told of");
        for file in super::super::file::list(directory.path()).unwrap() {
            let report = check_file(&file, None).unwrap();
            assert_eq!((report.records, report.problems), (2, vec![]));
        }
    }

    #[test]
    fn a_directory_that_comes_back_is_written_again() {
        let directory = tempfile::tempdir().unwrap();
        let trail = directory.path().join("audit");
        let (mut writer, _tips) = writer(&trail);
        let at = writer.clock.now();
        writer.chain.as_mut().unwrap().next_sync_fails = true;
        assert!(writer.append(&[(at, &Event::Stopped)]).is_err());
        std::fs::rename(&trail, directory.path().join("away")).unwrap();
        std::fs::write(&trail, "in the way").unwrap();
        assert!(writer.append(&[(at, &Event::Stopped)]).is_err());
        std::fs::remove_file(&trail).unwrap();
        writer.append(&[(at, &Event::Stopped)]).unwrap();
        assert_eq!(super::super::file::list(&trail).unwrap().len(), 1);
    }
}
