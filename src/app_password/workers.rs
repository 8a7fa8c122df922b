//! The threads that run argon2, so that no I/O thread ever does.
//!
//! Argon2 costs megabytes and tens of milliseconds on purpose, and whoever sends passwords makes the gate pay:
//! so threads, memory and queue are bounded, a full queue says so at once, and work that nobody waits for any
//! more is not done.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use tokio::sync::oneshot;

use super::Busy;
use super::candidate::Candidate;
use super::kdf::{Kdf, Memory, Stretched};
use crate::base::Secret;

/// The most threads: each holds some 19 MiB, and past that many a site needs the proof cache, not more argon2.
const THREADS_MAX: usize = 16;

/// Jobs that may wait, per thread. At 20 to 30 ms each the last one waits two seconds; a client that
/// would wait longer is better told to come again.
const QUEUE_PER_THREAD: usize = 64;

/// How long a thread keeps its memory while there is nothing to do: to get it anew takes as long as a tenth of a job.
const KEEPS_MEMORY: Duration = Duration::from_secs(30);

/// A bounded pool of argon2 threads. They end when it is dropped.
pub(super) struct Workers {
    queue: SyncSender<Job>,
    figures: Arc<Figures>,
}

#[derive(Default)]
struct Figures {
    waiting: AtomicU64,
    turned_away: AtomicU64,
    /// Threads that may hold memory.
    holding: AtomicUsize,
}

/// What the threads have to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Argon2Figures {
    /// Candidates in the queue now.
    pub waiting: u64,
    /// Candidates that found no place in it so far.
    pub turned_away: u64,
}

struct Job {
    kdf: Kdf,
    symbols: Secret,
    answer: oneshot::Sender<Stretched>,
}

impl Workers {
    /// One thread per core but one, which stays free for I/O; at least one.
    pub(super) fn start() -> Self {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let threads = cores.saturating_sub(1).clamp(1, THREADS_MAX);
        Self::with(threads, threads * QUEUE_PER_THREAD)
    }

    pub(super) fn with(threads: usize, queue: usize) -> Self {
        let (sender, receiver) = sync_channel(queue);
        let receiver = Arc::new(Mutex::new(receiver));
        let figures = Arc::<Figures>::default();
        for _ in 0..threads {
            let (receiver, figures) = (Arc::clone(&receiver), Arc::clone(&figures));
            let begun = move || work(&receiver, &figures, KEEPS_MEMORY);
            let spawned = thread::Builder::new().name("argon2".to_owned()).spawn(begun);
            if let Err(error) = spawned {
                // Without any thread the receiver is gone, and every job is told `Busy`.
                tracing::error!(%error, "cannot start an argon2 thread");
            }
        }
        Self { queue: sender, figures }
    }

    /// Stretches `candidate`; dropping the future takes the job back if no thread has begun it.
    ///
    /// # Errors
    /// [`Busy`] when the queue is full.
    pub(super) async fn stretch(&self, kdf: Kdf, candidate: &Candidate) -> Result<Stretched, Busy> {
        let (answer, stretched) = oneshot::channel();
        let symbols = Secret::new(candidate.symbols().to_vec());
        // Before it is queued: a thread may take it at once.
        self.figures.waiting.fetch_add(1, Ordering::Relaxed);
        if self.queue.try_send(Job { kdf, symbols, answer }).is_err() {
            self.figures.waiting.fetch_sub(1, Ordering::Relaxed);
            self.figures.turned_away.fetch_add(1, Ordering::Relaxed);
            return Err(Busy);
        }
        stretched.await.map_err(|_| Busy)
    }

    pub(super) fn figures(&self) -> Argon2Figures {
        let Figures { waiting, turned_away, holding: _ } = &*self.figures;
        Argon2Figures {
            waiting: waiting.load(Ordering::Relaxed),
            turned_away: turned_away.load(Ordering::Relaxed),
        }
    }
}

fn work(queue: &Mutex<Receiver<Job>>, figures: &Figures, keeps_memory: Duration) {
    let (mut memory, mut holds) = (Memory::default(), false);
    loop {
        let Job { kdf, symbols, answer } = match next(queue, figures, keeps_memory, &mut holds) {
            Ok(job) => job,
            Err(RecvTimeoutError::Timeout) => {
                if std::mem::take(&mut holds) {
                    memory = Memory::default();
                    figures.holding.fetch_sub(1, Ordering::Relaxed);
                }
                // The others have their turn at the queue, to find out the same.
                thread::yield_now();
                continue;
            }
            Err(RecvTimeoutError::Disconnected) => return,
        };
        figures.waiting.fetch_sub(1, Ordering::Relaxed);
        if answer.is_closed() {
            continue;
        }
        match kdf.stretch(symbols.expose(), &mut memory) {
            Ok(stretched) => drop(answer.send(stretched)),
            // The waiter sees the closed channel. Parsed parameters are within argon2's range, so that this
            // does not happen while there is memory.
            Err(error) => tracing::error!(%error, "argon2 failed"),
        }
    }
}

/// The next job, for which memory will be held; or that there was none for long. While nobody holds any, nobody need look up.
fn next(
    queue: &Mutex<Receiver<Job>>,
    figures: &Figures,
    keeps_memory: Duration,
    holds: &mut bool,
) -> Result<Job, RecvTimeoutError> {
    // A thread that fell over while it held the lock held nothing but the lock.
    let queue = queue.lock().unwrap_or_else(PoisonError::into_inner);
    let job = if figures.holding.load(Ordering::Relaxed) > 0 {
        queue.recv_timeout(keeps_memory)?
    } else {
        queue.recv().map_err(|_| RecvTimeoutError::Disconnected)?
    };
    // Before the next one comes to the queue, who would wait there for ever and let nobody look up.
    if !std::mem::replace(holds, true) {
        figures.holding.fetch_add(1, Ordering::Relaxed);
    }
    Ok(job)
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;

    fn poll<F: Future>(future: std::pin::Pin<&mut F>) -> Poll<F::Output> {
        future.poll(&mut Context::from_waker(Waker::noop()))
    }

    /// A pool whose threads take nothing, so that what is queued stays queued.
    fn asleep(queue: usize) -> (Workers, Receiver<Job>) {
        let (queue, receiver) = sync_channel(queue);
        (Workers { queue, figures: Arc::default() }, receiver)
    }

    #[test]
    fn a_full_queue_says_busy_at_once() {
        let (workers, _receiver) = asleep(2);
        let (kdf, candidate) = (Kdf::fresh(), Candidate::draw());
        let mut waiting = [0, 1].map(|_| Box::pin(workers.stretch(kdf.clone(), &candidate)));
        assert!(waiting.iter_mut().all(|future| poll(future.as_mut()).is_pending()));
        assert!(matches!(poll(pin!(workers.stretch(kdf, &candidate))), Poll::Ready(Err(Busy))));
        assert_eq!(workers.figures(), Argon2Figures { waiting: 2, turned_away: 1 });
    }

    #[test]
    fn without_threads_every_job_is_told_busy() {
        let workers = Workers::with(0, 1);
        assert!(matches!(
            poll(pin!(workers.stretch(Kdf::fresh(), &Candidate::draw()))),
            Poll::Ready(Err(Busy))
        ));
    }

    #[test]
    fn a_job_nobody_waits_for_is_not_done() {
        let (workers, receiver) = asleep(1_000);
        for _ in 0..1_000 {
            let _ = poll(pin!(workers.stretch(Kdf::fresh(), &Candidate::draw())));
        }
        let figures = Arc::clone(&workers.figures);
        drop(workers);
        let began = std::time::Instant::now();
        work(&Mutex::new(receiver), &figures, KEEPS_MEMORY);
        // A thousand of them would take at least five seconds on any machine there is.
        assert!(began.elapsed() < Duration::from_secs(2));
    }

    #[tokio::test]
    async fn memory_is_given_back_when_there_is_nothing_to_do_and_taken_again_when_there_is() {
        let (queue, receiver) = sync_channel(16);
        let (figures, receiver) = (Arc::<Figures>::default(), Arc::new(Mutex::new(receiver)));
        let keeps_memory = Duration::from_millis(20);
        let threads = [0, 1].map(|_| {
            let (receiver, figures) = (Arc::clone(&receiver), Arc::clone(&figures));
            thread::spawn(move || work(&receiver, &figures, keeps_memory))
        });
        let workers = Workers { queue, figures: Arc::clone(&figures) };
        let (kdf, candidate) = (Kdf::fresh(), Candidate::draw());
        let mut proofs = Vec::new();
        for _ in 0..2 {
            let mut jobs: Vec<_> =
                (0..4).map(|_| Box::pin(workers.stretch(kdf.clone(), &candidate))).collect();
            for job in &mut jobs {
                proofs.push(job.as_mut().await.unwrap().proof());
            }
            let began = std::time::Instant::now();
            while figures.holding.load(Ordering::Relaxed) > 0 {
                assert!(began.elapsed() < Duration::from_secs(20), "it is kept");
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
        assert!(proofs.windows(2).all(|pair| pair[0] == pair[1]));
        drop(workers);
        for thread in threads {
            thread.join().unwrap();
        }
    }

    #[tokio::test]
    async fn many_at_once_are_all_answered_by_few_threads() {
        let workers = Workers::with(2, 16);
        let (kdf, candidate) = (Kdf::fresh(), Candidate::draw());
        let expected = workers.stretch(kdf.clone(), &candidate).await.unwrap().proof();
        let mut jobs: Vec<_> = (0..8).map(|_| Box::pin(workers.stretch(kdf.clone(), &candidate))).collect();
        for job in &mut jobs {
            assert!(job.as_mut().await.unwrap().proves(&expected));
        }
    }
}
