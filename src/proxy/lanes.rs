//! Lanes: threads that each drive their own connections, from the accept to the end.
//!
//! A connection never leaves the lane that accepted it, so its steps wake no other thread: with a runtime whose threads
//! take work from each other, that was a fifth of what a login costs (docs/decisions/0112-lanes.md). All lanes wait at
//! every door, and whichever has time takes the next connection.

use std::cell::Cell;
use std::io;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio::runtime::{Builder, Handle};
use tokio::sync::watch;
use uapi::c;

/// Every idle lane looks up when somebody connects: more of them cost more than they bring, and one of them carries
/// thousands of logins a second.
const LANES_MAX: usize = 8;

/// From so many attempts on that are being judged in one lane, it rests before it waits for what comes next.
const MANY: usize = 16;

/// So that what comes together is handled together: to sleep and wake for each word of each of many clients is what a lane
/// spends most on then. Who waits for many others does not see it (docs/decisions/0134-a-lane-rests-among-many.md).
const REST: Duration = Duration::from_micros(300);

thread_local! {
    /// How many are being judged in the lane of this thread.
    static JUDGED: Cell<usize> = const { Cell::new(0) };
}

/// An attempt that is being judged in the lane of this thread, until it is dropped there. Who is connected and says nothing is
/// none: a stranger could hold up everybody.
pub(super) struct Judging(());

impl Judging {
    pub(super) fn begin() -> Self {
        JUDGED.set(JUDGED.get() + 1);
        Self(())
    }
}

impl Drop for Judging {
    fn drop(&mut self) {
        JUDGED.set(JUDGED.get().saturating_sub(1));
    }
}

/// Before a lane waits.
fn rest_among_many() {
    if JUDGED.get() >= MANY {
        thread::sleep(REST);
    }
}

/// From now on this thread, and those that it starts, wait for a core until whoever works there pauses or has had his turn. What
/// comes meanwhile is then handled together (docs/decisions/0136-lanes-interrupt-nobody.md). Where an administrator chose another
/// policy, or the system forbids this one, that stands.
fn interrupt_nobody() {
    const THIS_THREAD: c::pid_t = 0;
    if uapi::sched_getscheduler(THIS_THREAD) != Ok(c::SCHED_OTHER) {
        return;
    }
    let parameters = c::sched_param { sched_priority: 0 };
    if let Err(error) = uapi::sched_setscheduler(THIS_THREAD, c::SCHED_BATCH, &parameters) {
        tracing::debug!(%error, "lanes run under the usual policy of the system");
    }
}

/// Threads that serve connections, until this is dropped. What was opened in a lane, such as a connection to the database,
/// ends with it.
pub struct Lanes {
    handles: Vec<Handle>,
    threads: Vec<JoinHandle<()>>,
    stop: watch::Sender<bool>,
}

impl Lanes {
    /// One for each core.
    ///
    /// # Errors
    /// The system's, where it has no thread or descriptor to give.
    pub fn start() -> io::Result<Self> {
        let count = thread::available_parallelism().map_or(1, usize::from).min(LANES_MAX);
        let (stop, stopped) = watch::channel(false);
        let mut lanes = Self { handles: Vec::new(), threads: Vec::new(), stop };
        for _ in 0..count {
            let runtime =
                Builder::new_current_thread().enable_all().on_thread_park(rest_among_many).build()?;
            let mut stopped = stopped.clone();
            lanes.handles.push(runtime.handle().clone());
            runtime.spawn(crate::audit::deliver_here());
            let run = move || {
                interrupt_nobody();
                drop(runtime.block_on(stopped.wait_for(|stopped| *stopped)));
            };
            lanes.threads.push(thread::Builder::new().name("lane".to_owned()).spawn(run)?);
        }
        Ok(lanes)
    }

    /// Where to spawn into each.
    pub(super) fn handles(&self) -> &[Handle] {
        &self.handles
    }
}

impl Drop for Lanes {
    fn drop(&mut self) {
        self.stop.send_replace(true);
        for thread in self.threads.drain(..) {
            // A lane that panicked said so itself.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::sync::Arc;

    use super::*;

    #[test]
    fn a_lane_counts_what_it_judges_itself_and_nothing_else() {
        let judged = [(); 3].map(|()| Judging::begin());
        assert_eq!(JUDGED.get(), 3);
        assert_eq!(thread::spawn(|| JUDGED.get()).join().unwrap(), 0);
        drop(judged);
        assert_eq!(JUDGED.get(), 0);
    }

    #[test]
    fn what_is_left_in_a_lane_is_dropped_with_it() {
        let lanes = Lanes::start().unwrap();
        let held = Arc::new(());
        for lane in lanes.handles() {
            let held = Arc::clone(&held);
            lane.spawn(async move {
                std::future::pending::<()>().await;
                drop(held);
            });
        }
        drop(lanes);
        assert_eq!(Arc::strong_count(&held), 1);
    }

    /// How nice the calling thread is, and under which policy it runs: fields 19 and 41 of proc_pid_stat(5).
    fn nice_and_policy() -> (i32, i32) {
        let stat = std::fs::read_to_string("/proc/thread-self/stat").unwrap();
        let (_, behind_the_name) = stat.rsplit_once(") ").unwrap();
        let fields: Vec<&str> = behind_the_name.split(' ').collect();
        (fields[19 - 3].parse().unwrap(), fields[41 - 3].parse().unwrap())
    }

    #[test]
    fn a_lane_interrupts_nobody_and_is_as_nice_as_it_was() {
        let (nice, policy) = nice_and_policy();
        assert_eq!(policy, c::SCHED_OTHER, "as cargo starts it, unless somebody asked for more");
        let nicer = thread::spawn(|| {
            rustix::process::nice(1).unwrap();
            let before = nice_and_policy().0;
            interrupt_nobody();
            (before, nice_and_policy())
        });
        let (before, after) = nicer.join().unwrap();
        assert_eq!(after, (before, c::SCHED_BATCH));
        let lanes = Lanes::start().unwrap();
        let (tell, told) = std::sync::mpsc::channel();
        lanes.handles()[0].spawn(async move { tell.send(nice_and_policy()) });
        assert_eq!(told.recv().unwrap(), (nice, c::SCHED_BATCH));
    }

    #[tokio::test]
    async fn each_lane_has_a_thread_of_its_own_and_stays_there() {
        let lanes = Lanes::start().unwrap();
        let mut threads = HashSet::new();
        for lane in lanes.handles() {
            let work = lane.spawn(async {
                let before = thread::current().id();
                tokio::task::yield_now().await;
                (before, tokio::spawn(async { thread::current().id() }).await.unwrap())
            });
            let (mine, of_child) = work.await.unwrap();
            assert_eq!(mine, of_child);
            threads.insert(mine);
        }
        assert_eq!(threads.len(), lanes.handles().len());
        tokio::task::spawn_blocking(|| drop(lanes)).await.unwrap();
    }
}
