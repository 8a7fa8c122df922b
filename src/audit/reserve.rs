//! Disk that is kept for what matters, so that nobody who can make the gate refuse him can silence the trail.
//!
//! ```text
//!   room ─▶ everything is written ─▶ the disk is full ─▶ what matters, from the reserve; the rest is refused
//!     ▲                                                            │ once a second
//!     └──────────────── the reserve is whole again ◀───────────────┘
//! ```
//!
//! It is a file beside the chains that holds nothing. Whoever writes something that matters while the disk is full cuts
//! as much off it as that needs. All processes of a directory share it. It must never be what fills a disk.

use std::fs::{File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FallocateFlags, fallocate, fstatvfs};
use rustix::io::Errno;

use crate::base::owner;

const NAME: &str = "reserve";

/// What is cut off at a time, at least: file systems give and take whole blocks.
const SLICE: u64 = 64 * 1024;

/// The reserve of one directory.
#[derive(Clone, Debug)]
pub(super) struct Reserve {
    path: PathBuf,
    /// Bytes that it should hold; none at all if zero.
    wanted: u64,
}

impl Reserve {
    pub(super) fn new(directory: &Path, wanted: u64) -> Self {
        Self { path: directory.join(NAME), wanted }
    }

    /// Whether there should be one.
    pub(super) fn is_wanted(&self) -> bool {
        self.wanted > 0
    }

    /// Makes it as large as it should be, as far as that leaves room for a quarter of that. Whether it is whole now.
    pub(super) fn fill(&self) -> io::Result<bool> {
        if !self.is_wanted() {
            return match std::fs::remove_file(&self.path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                Ok(()) | Err(_) => Ok(true),
            };
        }
        let mut options = OpenOptions::new();
        let mut file =
            options.read(true).write(true).create(true).truncate(false).mode(0o600).open(&self.path)?;
        file.lock()?;
        let holds = file.metadata()?.len();
        if holds >= self.wanted {
            file.set_len(self.wanted)?;
            return Ok(true);
        }
        if holds == 0 {
            let directory = self.path.parent().unwrap_or(Path::new("."));
            owner::follow(directory, &self.path);
        }
        let missing = self.wanted - holds;
        let disk = fstatvfs(&file)?;
        let free = disk.f_bavail.saturating_mul(disk.f_frsize);
        let room = free.saturating_sub(self.wanted / 4);
        let taken = if missing <= room { missing } else { room / SLICE * SLICE };
        if let Err(error) = take(&mut file, holds, taken) {
            file.set_len(holds)?;
            return if is_full(&error) { Ok(false) } else { Err(error) };
        }
        Ok(taken == missing)
    }

    /// Gives so many bytes back to the disk, or some more. `false` when there are none left.
    pub(super) fn give(&self, bytes: u64) -> io::Result<bool> {
        let file = match OpenOptions::new().write(true).open(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            file => file?,
        };
        file.lock()?;
        let holds = file.metadata()?.len();
        if holds == 0 {
            return Ok(false);
        }
        file.set_len(holds.saturating_sub(bytes.next_multiple_of(SLICE)))?;
        Ok(true)
    }
}

/// Whether the disk, or what the process may have of it, is used up.
pub(super) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// Makes the file longer, with real blocks behind it.
fn take(file: &mut File, from: u64, bytes: u64) -> io::Result<()> {
    if bytes == 0 {
        return Ok(());
    }
    match fallocate(&*file, FallocateFlags::empty(), from, bytes) {
        Ok(()) => Ok(()),
        // File systems that cannot promise blocks have to be given bytes.
        Err(Errno::OPNOTSUPP) => {
            file.seek(SeekFrom::Start(from))?;
            let (zeros, mut left) = (vec![0; 64 * 1024], bytes);
            while left > 0 {
                let count = left.min(zeros.len() as u64);
                file.write_all(zeros.get(..usize::try_from(count).unwrap_or(0)).unwrap_or(&zeros))?;
                left -= count;
            }
            Ok(())
        }
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_holds_what_it_should_gives_back_what_is_asked_for_and_is_filled_again() {
        let directory = tempfile::tempdir().unwrap();
        let reserve = Reserve::new(directory.path(), 1_000_000);
        let held = || std::fs::metadata(directory.path().join(NAME)).map_or(0, |file| file.len());
        assert!(!reserve.give(1).unwrap(), "there is none yet");
        assert!(reserve.fill().unwrap());
        assert_eq!(held(), 1_000_000);
        assert!(reserve.give(1).unwrap());
        assert_eq!(held(), 1_000_000 - SLICE);
        assert!(reserve.give(SLICE + 1).unwrap());
        assert_eq!(held(), 1_000_000 - 3 * SLICE);
        assert!(reserve.fill().unwrap());
        assert_eq!(held(), 1_000_000);
        assert!(reserve.give(2_000_000).unwrap() && held() == 0);
        assert!(!reserve.give(1).unwrap(), "there is none left");
        assert!(Reserve::new(directory.path(), 70_000).fill().unwrap() && held() == 70_000);
        assert!(Reserve::new(directory.path(), 10).fill().unwrap() && held() == 10, "less is wanted now");
        assert!(Reserve::new(directory.path(), 0).fill().unwrap() && held() == 0);
    }

    #[test]
    fn it_is_not_what_fills_a_disk() {
        let directory = tempfile::tempdir().unwrap();
        let reserve = Reserve::new(directory.path(), 1 << 50);
        assert!(!reserve.fill().unwrap(), "no disk has as much");
        assert_eq!(std::fs::metadata(directory.path().join(NAME)).unwrap().len(), 0);
    }
}
