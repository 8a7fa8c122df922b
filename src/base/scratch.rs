//! Where tests of a store keep its files.

#![expect(clippy::expect_used, reason = "a test says what is wrong by panicking")]

use std::fs;
use std::io;
use std::path::Path;
use std::thread;
use std::time::Duration;

/// How often it is tried, and how long it waits in between: a thread of the database soon sees that nobody awaits it.
const TRIES: usize = 1_000;
const PAUSE: Duration = Duration::from_millis(10);

/// A temporary directory that is gone when this is dropped, even if SQLite still opens something in it. It is to be dropped behind
/// what writes there.
///
/// A test may end while a background task is about to connect. Its thread then makes `-wal` and `-shm` in a directory that is
/// being removed, and a single try would leave both behind.
pub(crate) struct Scratch(tempfile::TempDir);

impl Scratch {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary directory"))
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        for _ in 0..TRIES {
            match fs::remove_dir_all(self.path()) {
                Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => thread::sleep(PAUSE),
                // Once it is gone, SQLite makes nothing in it. Where it cannot be, the directory's own drop tries once more.
                _ => return,
            }
        }
    }
}

#[test]
fn a_directory_in_which_somebody_makes_files_meanwhile_is_gone_in_the_end() {
    const MANY: usize = 500;
    let scratch = Scratch::new();
    let path = scratch.path().to_owned();
    let (made, is_made) = std::sync::mpsc::channel();
    let busy = thread::spawn(move || {
        for number in 0..4 * MANY {
            let _ = made.send(fs::write(path.join(format!("{number}-wal")), b"").is_ok());
        }
        path
    });
    // So many that the removal takes a while.
    assert_eq!(is_made.iter().take(MANY).count(), MANY);
    drop(scratch);
    assert!(is_made.try_iter().any(|made| made), "nobody made any while it was removed");
    assert!(!busy.join().unwrap().exists());
}
