//! The file of one chain, at its writing end.
//!
//! After any failure the file ends where the last record that anybody was told of ends, or it is given up:
//! a record is never glued to half a line.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use time::format_description::BorrowedFormatItem;
use time::macros::format_description;

use super::Event;
use super::record::{Hash, genesis, hex, write_line};
use crate::base::{Timestamp, new_file, owner, random};

const ENDING: &str = "jsonl";
const STARTED: &[BorrowedFormatItem<'_>] = format_description!("[year][month][day]T[hour][minute][second]Z");

/// A chain that this process alone may append to.
pub(super) struct ChainFile {
    file: Arc<File>,
    path: PathBuf,
    tip: Tip,
    /// Where the last good record ends.
    end: u64,
    #[cfg(test)]
    pub(super) next_sync_fails: bool,
}

/// The last durable record of a chain.
#[derive(Clone, Debug)]
pub(super) struct Tip {
    pub(super) chain: String,
    pub(super) sequence: i64,
    pub(super) hash: Hash,
    /// Keeps the file locked until the head is written, too: what still waits for its head must not look as if
    /// its process had been killed. None for a chain that was given up.
    pub(super) lock: Option<Arc<File>>,
}

/// Why records were not appended.
#[derive(Debug)]
pub(super) struct AppendError {
    pub(super) source: io::Error,
    /// Whether the chain can go on. If not, it has ended where it was.
    pub(super) usable: bool,
}

impl ChainFile {
    /// Starts a chain in `directory` with its first record, durably.
    pub(super) fn create(directory: &Path, at: Timestamp) -> io::Result<Self> {
        create_directory(directory)?;
        let started = at.date_time().format(STARTED).map_err(io::Error::other)?;
        let chain = format!("{started}-{}", hex(&random::bytes::<4>()));
        let path = path(directory, &chain);
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
        owner::follow(directory, &path);
        let begun = Self::begin(file, path.clone(), &chain, at).and_then(|begun| {
            File::open(directory)?.sync_all()?;
            Ok(begun)
        });
        if begun.is_err() {
            // A full disk would otherwise collect empty chains, one for each attempt.
            let _ = fs::remove_file(&path);
        }
        begun
    }

    fn begin(file: File, path: PathBuf, chain: &str, at: Timestamp) -> io::Result<Self> {
        // Held until the head is written or the process ends, however it ends: so a reader knows that somebody
        // is still at it.
        file.lock()?;
        let file = Arc::new(file);
        let lock = Some(Arc::clone(&file));
        let tip = Tip { chain: chain.to_owned(), sequence: 0, hash: genesis(chain), lock };
        let mut begun = Self {
            file,
            path,
            tip,
            end: 0,
            #[cfg(test)]
            next_sync_fails: false,
        };
        let first = Event::ChainStarted { chain: chain.to_owned() };
        begun.append([(at, &first)]).map_err(|error| error.source)?;
        Ok(begun)
    }

    pub(super) fn tip(&self) -> &Tip {
        &self.tip
    }

    /// Appends records and makes them durable, with one write and one sync. On failure none of them counts.
    pub(super) fn append<'a>(
        &mut self,
        events: impl IntoIterator<Item = (Timestamp, &'a Event)>,
    ) -> Result<(), AppendError> {
        let mut lines = Vec::new();
        let (mut sequence, mut hash) = (self.tip.sequence, self.tip.hash);
        for (at, event) in events {
            sequence += 1;
            hash = write_line(&mut lines, sequence, at, &hash, event)
                .map_err(|error| AppendError { source: error.into(), usable: true })?;
        }
        if let Err(source) = self.file.write_all_at(&lines, self.end) {
            // Whatever part was written must go, or the next record would follow on half a line.
            return Err(AppendError { source, usable: self.file.set_len(self.end).is_ok() });
        }
        if let Err(source) = self.sync() {
            // The kernel reports a failed write-back once and may then forget the pages: this file proves
            // nothing any more beyond what was synced before.
            let _ = self.file.set_len(self.end);
            return Err(AppendError { source, usable: false });
        }
        if let Err(source) = self.stands() {
            let _ = self.file.set_len(self.end);
            return Err(AppendError { source, usable: false });
        }
        self.end += lines.len() as u64;
        (self.tip.sequence, self.tip.hash) = (sequence, hash);
        Ok(())
    }

    /// Whether it is where readers look for it: what is written to a file that was removed, or moved away by a program that
    /// rotates logs, is nowhere.
    fn stands(&self) -> io::Result<()> {
        let (own, there) = (self.file.metadata()?, fs::metadata(&self.path));
        match there {
            Ok(there) if (there.dev(), there.ino()) == (own.dev(), own.ino()) => Ok(()),
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            Ok(_) | Err(_) => Err(io::Error::other(format!(
                "its file `{}` was taken away or replaced: another is begun",
                self.path.display()
            ))),
        }
    }

    fn sync(&mut self) -> io::Result<()> {
        #[cfg(test)]
        if std::mem::take(&mut self.next_sync_fails) {
            return Err(io::Error::other("a test wants it so"));
        }
        self.file.sync_data()
    }
}

/// Makes the directory, mode 0700, where there is none.
fn create_directory(directory: &Path) -> io::Result<()> {
    if directory.is_dir() {
        return Ok(());
    }
    DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    let parent = new_file::directory_of(directory);
    owner::follow(parent, directory);
    File::open(parent)?.sync_all()
}

/// Where `chain` is kept.
pub(super) fn path(directory: &Path, chain: &str) -> PathBuf {
    directory.join(format!("{chain}.{ENDING}"))
}

/// The file of a chain, as a reader finds it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Found {
    pub(super) chain: String,
    pub(super) path: PathBuf,
    pub(super) len: u64,
}

/// The chains in `directory`, oldest first; none where there is no directory.
pub(super) fn list(directory: &Path) -> io::Result<Vec<Found>> {
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry?.path();
        let Some(chain) = path.file_stem().and_then(|stem| stem.to_str()) else { continue };
        if path.extension().is_some_and(|ending| ending == ENDING) {
            let len = match fs::metadata(&path) {
                Ok(metadata) => metadata.len(),
                // One that could not be begun, or is kept no longer, and was taken away meanwhile.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            };
            found.push(Found { chain: chain.to_owned(), len, path });
        }
    }
    found.sort();
    Ok(found)
}

/// Takes a file away for good; somebody else may have done so.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        removed => removed?,
    }
    File::open(new_file::directory_of(path))?.sync_all()
}

impl Found {
    /// Whether its name says that it had begun by `moment`.
    pub(super) fn had_begun(&self, moment: Timestamp) -> io::Result<bool> {
        let moment = moment.date_time().format(STARTED).map_err(io::Error::other)?;
        Ok(self.chain.get(..moment.len()).is_some_and(|started| started <= moment.as_str()))
    }

    /// Whether a process is still writing this chain, or its head.
    pub(super) fn is_live(&self) -> io::Result<bool> {
        match File::open(&self.path)?.try_lock_shared() {
            Ok(()) => Ok(false),
            Err(fs::TryLockError::WouldBlock) => Ok(true),
            Err(fs::TryLockError::Error(error)) => Err(error),
        }
    }
}
