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

/// A temporary directory that is gone when this is dropped, even if SQLite still opens something in it.
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
                // Once it is gone, nobody makes anything in it.
                Ok(()) => break,
                Err(error) if error.kind() == io::ErrorKind::NotFound => break,
                Err(_) => thread::sleep(PAUSE),
            }
        }
    }
}

#[test]
fn a_directory_in_which_somebody_makes_files_meanwhile_is_gone_in_the_end() {
    const FILES: usize = 2_000;
    let scratch = Scratch::new();
    let path = scratch.path().to_owned();
    let (begun, begins) = std::sync::mpsc::channel();
    let busy = thread::spawn(move || {
        let made = (0..FILES).take_while(|n| {
            let made = fs::write(path.join(format!("{n}-wal")), b"").is_ok();
            let _ = begun.send(());
            made
        });
        (made.count(), path)
    });
    // So many that the removal takes a while.
    assert_eq!(begins.iter().take(FILES / 4).count(), FILES / 4);
    drop(scratch);
    let (made, path) = busy.join().unwrap();
    assert!(made > 0);
    assert!(!path.exists());
}
