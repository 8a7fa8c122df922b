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
        // Where it cannot be removed for another reason, the directory's own drop tries once more.
        let _ = until_gone(|| fs::remove_dir_all(self.path()));
    }
}

/// Asks `remove` again as long as it finds that somebody made a file meanwhile. Once the directory is gone, nothing is made in it.
fn until_gone(mut remove: impl FnMut() -> io::Result<()>) -> io::Result<()> {
    for _ in 1..TRIES {
        match remove() {
            Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => thread::sleep(PAUSE),
            ended => return ended,
        }
    }
    remove()
}

#[test]
fn a_directory_in_which_somebody_makes_files_meanwhile_is_gone_in_the_end() {
    let scratch = Scratch::new();
    let path = scratch.path().to_owned();
    let mut made = 0..3;
    until_gone(|| match made.next() {
        // Between the last file's removal and the directory's, another comes to be.
        Some(number) => {
            fs::write(path.join(format!("{number}-wal")), b"").and_then(|()| fs::remove_dir(&path))
        }
        None => fs::remove_dir_all(&path),
    })
    .unwrap();
    assert_eq!(made.next(), None);
    assert!(!path.exists());
}

#[test]
fn a_directory_that_cannot_be_removed_is_tried_once() {
    let mut tries = 0;
    let ended = until_gone(|| {
        tries += 1;
        Err(io::ErrorKind::PermissionDenied.into())
    });
    assert_eq!(ended.unwrap_err().kind(), io::ErrorKind::PermissionDenied);
    assert_eq!(tries, 1);
}
