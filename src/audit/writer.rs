//! The one thread of a process that writes its chain: takes what is queued, writes and syncs it as one group, and
//! only then answers those who wait.
//!
//! A thread of its own, because it does nothing but wait for the disk. While it waits the queue grows, and so
//! does the next group: the slower the disk, the fewer syncs.
//!
//! When the disk is full, what matters is written from the [`Reserve`], and the rest is not; see there.

use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot, watch};

use super::answers::{Answers, Outcome, Waiter};
use super::file::{ChainFile, Tip};
use super::follower::Settled;
use super::reserve::{Reserve, is_full};
use super::{AuditError, Event};
use crate::base::{Clock, Monotonic, Timestamp};
use crate::config;

/// How many records wait at most; whoever comes then waits for a place. Less than a MiB.
pub(super) const QUEUE: usize = 1024;

/// How many records wait at leisure at most, while the disk does not answer: some 20 MB. Nobody waits for them, so that
/// nothing else bounds how many there are.
const LEISURE_MAX: usize = 65_536;

/// How many records share one sync at most, so that a full queue is answered in steps.
const GROUP: usize = 512;

/// How long after one sync the next begins, while many wait for each: a sync costs more processor time than all that is
/// written with it, and a login that waits for others behind a busy gate does not notice.
const BUSY_EVERY: Duration = Duration::from_millis(40);

/// What a record may take, name and program of a client included. Cutting more off the reserve than is needed costs
/// little, and less makes another try.
const RECORD_BYTES: u64 = 4096;

/// How often the reserve is cut for one group at most: others may take what was given back.
const TRIES: usize = 4;

/// How long a process writes one file, at least.
const CHAIN_LASTS: Duration = Duration::from_secs(86_400);

/// Until the next try, where another file could not be begun.
const CHAIN_RETRY: Duration = Duration::from_secs(3600);

/// How often a full disk is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What comes in.
pub(super) enum Message {
    Append(Box<Request>),
    /// Write what waits at leisure, if it is not written yet.
    Gather,
    /// The last one: what is queued behind it is written too, then the chain ends.
    Close(oneshot::Sender<()>),
    /// Write nothing until the other end is dropped.
    #[cfg(test)]
    Hold(std::sync::mpsc::Receiver<()>),
}

/// A record to write.
pub(super) struct Request {
    pub(super) event: Event,
    pub(super) at: Timestamp,
    /// Who waits for it; where nobody does, the log hears of a failure.
    pub(super) done: Option<Waiter>,
}

impl Request {
    fn answer(self, result: &Outcome, answers: &mut Answers) {
        match (self.done, result) {
            (Some(waiter), _) => answers.add(waiter, result),
            (None, Ok(())) => {}
            (None, Err(error)) => tracing::error!(%error, "an audit record is lost"),
        }
    }
}

/// Records that go with the next group, whose ever that is. `None` once the chain has ended.
pub(super) struct Leisure(Mutex<Option<Vec<Request>>>);

/// Why a record does not wait at leisure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NotWaiting {
    Ended,
    Full,
}

impl Default for Leisure {
    fn default() -> Self {
        Self(Mutex::new(Some(Vec::new())))
    }
}

impl Leisure {
    /// Adds one, if it has room. Whether it is the first.
    ///
    /// # Errors
    /// Nobody will come for it, or too many wait already.
    pub(super) fn add(&self, request: Request) -> Result<bool, NotWaiting> {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let waiting = waiting.as_mut().ok_or(NotWaiting::Ended)?;
        if waiting.len() >= LEISURE_MAX {
            return Err(NotWaiting::Full);
        }
        waiting.push(request);
        Ok(waiting.len() == 1)
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
    /// When the last record could not be written, until one could.
    pub(super) failed_at: Since,
    /// Since when the database has not been told of some record.
    pub(super) behind_since: Since,
}

/// A moment that something began, while it lasts.
#[derive(Default)]
pub(super) struct Since(Mutex<Option<Monotonic>>);

impl Since {
    pub(super) fn set(&self, moment: Option<Monotonic>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = moment;
    }

    pub(super) fn begin(&self, now: Monotonic) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(now);
    }

    pub(super) fn read(&self) -> Option<Monotonic> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where chains begin.
#[derive(Clone)]
pub(super) struct Ground {
    pub(super) directory: PathBuf,
    reserve: Reserve,
}

pub(super) struct Writer {
    ground: Ground,
    /// None after a failure that ended the chain: the next group tries to start another.
    chain: Option<ChainFile>,
    /// When another is to be begun.
    next_at: Monotonic,
    /// The last durable record of every chain of this process that is not settled, the current one's last.
    tips: watch::Sender<Vec<Tip>>,
    /// Held for its drop, after the last tip.
    #[expect(dead_code, reason = "held for its drop")]
    lives: watch::Sender<()>,
    settled: Arc<Settled>,
    counters: Arc<Counters>,
    leisure: Arc<Leisure>,
    clock: Arc<dyn Clock>,
    failing: bool,
    /// Only what matters is written, because the disk is full; when it was last looked at.
    rationed: Option<Monotonic>,
}

impl Ground {
    pub(super) fn new(settings: &config::Audit) -> Self {
        let directory = settings.directory.clone();
        Self { reserve: Reserve::new(&directory, settings.reserve), directory }
    }

    /// Begins the chain of a process: where the disk is full from the reserve. Fills that, where there is room.
    pub(super) fn begin(self, at: Timestamp) -> io::Result<ChainFile> {
        let chain = match ChainFile::create(&self.directory, at) {
            Err(error) if is_full(&error) && self.reserve.give(RECORD_BYTES)? => {
                ChainFile::create(&self.directory, at)?
            }
            chain => chain?,
        };
        match self.reserve.fill() {
            Ok(true) => {}
            Ok(false) => tracing::warn!(
                directory = %self.directory.display(),
                hint = "make room: a flood of refused logins may keep others off the trail once it is full",
                "the disk has too little room for `audit.reserve`"
            ),
            Err(error) => tracing::warn!(%error, "the reserve of the audit trail cannot be kept"),
        }
        Ok(chain)
    }
}

impl Writer {
    pub(super) fn new(
        ground: Ground,
        chain: Option<ChainFile>,
        (clock, counters, leisure, settled): (Arc<dyn Clock>, Arc<Counters>, Arc<Leisure>, Arc<Settled>),
    ) -> (Self, watch::Receiver<Vec<Tip>>, watch::Receiver<()>) {
        let tip = chain.as_ref().map(|chain| chain.tip().clone());
        let (tips, watched) = watch::channel(tip.into_iter().collect());
        let failing = chain.is_none();
        let (lives, living) = watch::channel(());
        let (next_at, rationed) = (clock.monotonic().plus(CHAIN_LASTS), None);
        (
            Self {
                ground,
                chain,
                next_at,
                tips,
                lives,
                settled,
                counters,
                leisure,
                clock,
                failing,
                rationed,
            },
            watched,
            living,
        )
    }

    /// Until everybody who could append is gone, or somebody closes.
    pub(super) fn run(mut self, mut queue: mpsc::Receiver<Message>) {
        let mut group = Vec::with_capacity(GROUP);
        let mut closing = Vec::new();
        let mut busy_since: Option<Instant> = None;
        while let Some(first) = queue.blocking_recv() {
            if let Some(wait) = busy_since.and_then(|since| BUSY_EVERY.checked_sub(since.elapsed())) {
                std::thread::sleep(wait);
            }
            let mut next = Some(first);
            while let Some(message) = next {
                match message {
                    Message::Append(request) => group.push(*request),
                    Message::Gather => {}
                    Message::Close(done) => {
                        closing.push(done);
                        queue.close();
                    }
                    #[cfg(test)]
                    Message::Hold(held) => drop(held.recv()),
                }
                next = if group.len() < GROUP { queue.try_recv().ok() } else { None };
            }
            busy_since = (group.len() > 1).then(Instant::now);
            group.append(&mut self.leisure.take(false));
            self.commit(&mut group);
        }
        group.append(&mut self.leisure.take(true));
        // In the file that there is, however old: nobody would write the next one.
        self.write(&mut group);
        if !closing.is_empty() && self.chain.is_some() {
            let last = [(self.clock.now(), &Event::ChainEnded)];
            let ended = self.append_from_reserve(&last);
            let _ = self.note(1, ended);
        }
        drop(self); // the last tip is out
        for done in closing {
            let _ = done.send(());
        }
    }

    /// Empties `group`, telling each whether its record is durable; in the file of the day.
    fn commit(&mut self, group: &mut Vec<Request>) {
        if !group.is_empty() {
            self.turn_over();
        }
        self.write(group);
    }

    fn write(&mut self, group: &mut Vec<Request>) {
        self.look_for_room();
        if self.rationed.is_some() {
            let full = io::Error::from(io::ErrorKind::StorageFull);
            self.turn_away(group, &AuditError::write(&self.ground.directory, &full));
        }
        if group.is_empty() {
            return;
        }
        let mut result = self.try_append(&events_of(group));
        if result.as_ref().is_err_and(is_full) && self.ground.reserve.is_wanted() {
            self.ration();
            if let Err(error) = &result {
                self.turn_away(group, &AuditError::write(&self.ground.directory, error));
            }
            result = self.append_from_reserve(&events_of(group));
        }
        let result = self.note(group.len(), result);
        let mut answers = Answers::default();
        for request in group.drain(..) {
            request.answer(&result, &mut answers);
        }
    }

    /// Goes on in another file each day, so that what is too old can be taken away file by file.
    fn turn_over(&mut self) {
        let monotonic = self.clock.monotonic();
        if self.rationed.is_some() || monotonic < self.next_at {
            return;
        }
        let Some(old) = &mut self.chain else { return };
        let now = self.clock.now();
        // First the next one: if it cannot be had, this one goes on.
        let next = match ChainFile::create(&self.ground.directory, now) {
            Ok(next) => next,
            Err(error) => {
                tracing::warn!(%error, "the audit trail cannot begin another file yet: it goes on in the old one");
                self.next_at = monotonic.plus(CHAIN_RETRY);
                return;
            }
        };
        if let Err(error) = old.append([(now, &Event::ChainEnded)]) {
            tracing::warn!(error = %error.source, "the file of the audit trail before this one has no end");
        }
        let (ended, first) = (old.tip().clone(), next.tip().clone());
        (self.chain, self.next_at) = (Some(next), monotonic.plus(CHAIN_LASTS));
        self.show(ended);
        self.show(first);
    }

    /// Names the last record of a chain to the follower.
    fn show(&self, tip: Tip) {
        let settled = self.settled.take();
        self.tips.send_modify(|tips| {
            tips.retain(|tip| !settled.contains(&tip.chain));
            match tips.last_mut() {
                Some(last) if last.chain == tip.chain => *last = tip,
                _ => tips.push(tip),
            }
        });
    }

    /// From now on only what matters is written.
    fn ration(&mut self) {
        if self.rationed.replace(self.clock.monotonic()).is_none() {
            tracing::error!(
                directory = %self.ground.directory.display(),
                hint = "make room",
                "the disk of the audit trail is full: refused logins are not recorded, successes and changes are as long as `audit.reserve` lasts"
            );
        }
    }

    /// Whether there is room for all again.
    fn look_for_room(&mut self) {
        let now = self.clock.monotonic();
        if self.rationed.is_some_and(|at| now.since(at) >= LOOK_EVERY) {
            self.rationed = match self.ground.reserve.fill() {
                Ok(true) => {
                    tracing::info!("the disk of the audit trail has room again, and its reserve is whole");
                    None
                }
                Ok(false) | Err(_) => Some(now),
            };
        }
    }

    /// Takes what does not matter out of `group`, telling each why it is not recorded.
    fn turn_away(&self, group: &mut Vec<Request>, error: &AuditError) {
        let (turned_away, mut answers) = (Err(error.clone()), Answers::default());
        for request in group.extract_if(.., |request| !request.event.matters()) {
            self.counters.failures.fetch_add(1, Ordering::Relaxed);
            request.answer(&turned_away, &mut answers);
        }
    }

    /// Appends what matters to a disk that is full.
    fn append_from_reserve(&mut self, events: &[(Timestamp, &Event)]) -> io::Result<()> {
        let bytes = RECORD_BYTES.saturating_mul(events.len() as u64 + 1);
        for _ in 0..TRIES {
            // First, for another process may have made room.
            match self.try_append(events) {
                Err(error) if is_full(&error) => {
                    if !self.ground.reserve.give(bytes)? {
                        return Err(error);
                    }
                }
                done => return done,
            }
        }
        self.try_append(events)
    }

    /// Counts what became of so many records, and says so where it changes.
    fn note(&mut self, count: usize, appended: io::Result<()>) -> Result<(), AuditError> {
        let result = appended.map_err(|error| AuditError::write(&self.ground.directory, &error));
        match &result {
            Ok(()) => {
                self.counters.records.fetch_add(count as u64, Ordering::Relaxed);
                self.counters.failed_at.set(None);
                if std::mem::take(&mut self.failing) {
                    tracing::info!("the audit trail is written again");
                }
            }
            Err(error) => {
                self.counters.failures.fetch_add(count as u64, Ordering::Relaxed);
                self.counters.failed_at.set(Some(self.clock.monotonic()));
                if !std::mem::replace(&mut self.failing, true) {
                    tracing::error!("{error}");
                }
            }
        }
        result
    }

    fn try_append(&mut self, events: &[(Timestamp, &Event)]) -> io::Result<()> {
        if events.is_empty() {
            return Ok(());
        }
        let mut chain = match self.chain.take() {
            Some(chain) => chain,
            None => {
                self.next_at = self.clock.monotonic().plus(CHAIN_LASTS);
                ChainFile::create(&self.ground.directory, self.clock.now())?
            }
        };
        self.counters.syncs.fetch_add(1, Ordering::Relaxed);
        let appended = chain.append(events.iter().copied());
        let usable = appended.as_ref().map_or_else(|error| error.usable, |()| true);
        let mut tip = chain.tip().clone();
        tip.lock.take_if(|_| !usable);
        self.show(tip);
        self.chain = usable.then_some(chain);
        appended.map_err(|error| error.source)
    }
}

fn events_of(group: &[Request]) -> Vec<(Timestamp, &Event)> {
    group.iter().map(|request| (request.at, &request.event)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::verify::check_file;
    use crate::base::ManualClock;

    impl Writer {
        fn append(&mut self, events: &[(Timestamp, &Event)]) -> Result<(), AuditError> {
            let appended = self.try_append(events);
            self.note(events.len(), appended)
        }
    }

    fn writer(directory: &std::path::Path) -> (Writer, watch::Receiver<Vec<Tip>>) {
        writer_by(Arc::new(ManualClock::default()), directory)
    }

    fn writer_by(clock: Arc<dyn Clock>, directory: &std::path::Path) -> (Writer, watch::Receiver<Vec<Tip>>) {
        let settings = config::Audit {
            directory: directory.to_owned(),
            when_full: config::WhenFull::Refuse,
            retention: None,
            reserve: 0,
        };
        let ground = Ground::new(&settings);
        let chain = ground.clone().begin(clock.now()).unwrap();
        let (writer, tips, _) =
            Writer::new(ground, Some(chain), (clock, Arc::default(), Arc::default(), Arc::default()));
        (writer, tips)
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

    fn request() -> Request {
        Request { event: Event::Stopped, at: Timestamp::from_unix_seconds(0), done: None }
    }

    #[test]
    fn each_day_has_a_file_of_its_own() {
        let directory = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::default());
        let (mut writer, tips) = writer_by(clock.clone(), directory.path());
        for step in
            [Duration::ZERO, CHAIN_LASTS - Duration::from_secs(1), Duration::from_secs(1), Duration::ZERO]
        {
            clock.advance(step);
            writer.commit(&mut vec![request()]);
        }
        let reports: Vec<_> = super::super::file::list(directory.path())
            .unwrap()
            .iter()
            .map(|file| check_file(file, None).unwrap())
            .collect();
        assert!(reports.iter().all(|report| report.problems.is_empty()), "{reports:?}");
        let records: Vec<_> = reports.iter().map(|report| report.records).collect();
        assert_eq!(records, [4, 3], "the first one begins, has two records and ends");
        assert_eq!(tips.borrow().iter().map(|tip| tip.sequence).collect::<Vec<_>>(), [4, 3]);
        // The follower has done with the first one.
        let (first, last) = (tips.borrow()[0].chain.clone(), tips.borrow()[1].chain.clone());
        writer.settled.add(&first);
        writer.commit(&mut vec![request()]);
        let named: Vec<_> = tips.borrow().iter().map(|tip| tip.chain.clone()).collect();
        assert_eq!(named, [last]);
    }

    #[test]
    fn what_is_left_when_a_process_ends_begins_no_other_file() {
        let directory = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::default());
        let (writer, tips) = writer_by(clock.clone(), directory.path());
        clock.advance(CHAIN_LASTS);
        assert_eq!(writer.leisure.add(request()), Ok(true));
        let (nobody, queue) = mpsc::channel(1);
        drop(nobody);
        writer.run(queue);
        assert_eq!(tips.borrow().iter().map(|tip| tip.sequence).collect::<Vec<_>>(), [2]);
        assert_eq!(super::super::file::list(directory.path()).unwrap().len(), 1);
    }

    #[test]
    fn a_file_goes_on_where_no_other_can_be_begun() {
        let directory = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::default());
        let (mut writer, tips) = writer_by(clock.clone(), directory.path());
        let in_the_way = directory.path().join("in the way");
        std::fs::write(&in_the_way, "a file").unwrap();
        let trail = std::mem::replace(&mut writer.ground.directory, in_the_way);
        clock.advance(CHAIN_LASTS);
        writer.commit(&mut vec![request()]);
        assert_eq!(tips.borrow().iter().map(|tip| tip.sequence).collect::<Vec<_>>(), [2]);
        writer.ground.directory = trail;
        writer.commit(&mut vec![request()]);
        assert_eq!(tips.borrow().len(), 1, "that is not tried with each record");
        clock.advance(CHAIN_RETRY);
        writer.commit(&mut vec![request()]);
        assert_eq!(tips.borrow().iter().map(|tip| tip.sequence).collect::<Vec<_>>(), [4, 2]);
    }

    #[test]
    fn a_file_that_is_not_where_readers_look_for_it_is_not_written() {
        let directory = tempfile::tempdir().unwrap();
        let (trail, away) = (directory.path().join("audit"), directory.path().join("away"));
        let (mut writer, _tips) = writer(&trail);
        let at = writer.clock.now();
        writer.append(&[(at, &Event::Stopped)]).unwrap();
        std::fs::rename(&trail, &away).unwrap();
        let refused = writer.append(&[(at, &Event::Stopped)]).unwrap_err();
        assert!(refused.to_string().contains("was taken away or replaced"), "{refused}");
        writer.append(&[(at, &Event::Stopped)]).unwrap();
        for folder in [trail, away] {
            let files = super::super::file::list(&folder).unwrap();
            let report = check_file(&files[0], None).unwrap();
            assert_eq!((files.len(), report.records, report.problems), (1, 2, vec![]));
        }
    }

    #[test]
    fn so_many_wait_at_leisure_and_no_more() {
        let leisure = Leisure::default();
        assert_eq!(leisure.add(request()), Ok(true));
        for _ in 1..LEISURE_MAX {
            assert_eq!(leisure.add(request()), Ok(false));
        }
        assert_eq!(leisure.add(request()), Err(NotWaiting::Full));
        assert_eq!(leisure.take(true).len(), LEISURE_MAX);
        assert_eq!(leisure.add(request()), Err(NotWaiting::Ended));
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
