//! From the files to the search index in the database: what it lacks is read and added, in batches.
//!
//! Any process may do it for any chain of its directory, also while the chain is written and while others do
//! the same. The files are taken as they are: whether they are genuine is for [`verify`](super::verify()) to say.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use tokio::sync::Mutex;

use super::file;
use crate::store::{AuditBatch, AuditMark, Store, StoreError};

/// What is indexed at once, at most (a single longer line is, too): it is one transaction, and whoever writes meanwhile waits
/// behind it. Where there is much to catch up with, one follows the other.
pub(super) const SHORT: Size = Size { records: 4_000, bytes: 4 << 20 };

/// The same for whoever does it every few seconds: in a file each page of the keys is written once for all records of a
/// transaction. Over a network each block is a question and an answer.
const LONG: Size = Size { records: 32_000, bytes: 10 << 20 };

/// Of a part of a chain's file.
#[derive(Clone, Copy)]
pub(super) struct Size {
    records: usize,
    bytes: usize,
}

/// How many of the last bytes before a mark are remembered: they hold the hash of the last record.
const TAIL: usize = 67;

/// One at a time in this process: many who search while there is much to do would all do the same.
static CATCHING_UP: Mutex<()> = Mutex::const_new(());

/// Why the database does not follow the files.
#[derive(Debug, thiserror::Error)]
pub enum FollowError {
    /// A file or the directory cannot be read.
    #[error("the audit trail at `{path}` cannot be read")]
    Read {
        /// Which.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Indexes all that the files of `directory` have and the index lacks. A chain that cannot be read does not keep
/// the others out; it is the error in the end.
pub(super) async fn catch_up(directory: &Path, store: &Store) -> Result<(), FollowError> {
    let _alone = CATCHING_UP.lock().await;
    let marks = store.audit_marks().await?;
    let mut marks: HashMap<String, AuditMark> =
        marks.into_iter().map(|mark| (mark.chain.clone(), mark)).collect();
    let listed = directory.to_owned();
    let files = off_thread(directory, move || file::list(&listed)).await?;
    let mut unread = Ok(());
    for found in files {
        let mark = marks.remove(&found.chain).unwrap_or_else(|| beginning(&found.chain));
        if u64::try_from(mark.position) == Ok(found.len) {
            continue;
        }
        match follow(directory, mark, store, SHORT).await {
            Ok(_) => {}
            Err(error @ FollowError::Store(_)) => return Err(error),
            Err(error @ FollowError::Read { .. }) => unread = Err(error),
        }
    }
    unread
}

/// Nobody catches up until what this returns is dropped.
#[cfg(test)]
pub(super) async fn hold() -> tokio::sync::MutexGuard<'static, ()> {
    CATCHING_UP.lock().await
}

/// Before the first byte of a chain's file.
pub(super) fn beginning(chain: &str) -> AuditMark {
    AuditMark { chain: chain.to_owned(), position: 0, tail: Vec::new() }
}

/// How much is indexed at once by whoever does it every few seconds.
pub(super) fn usual_size(store: &Store) -> Size {
    if store.is_shared() { SHORT } else { LONG }
}

/// Indexes what the chain's file has behind `mark`, and returns how far that is.
pub(super) async fn follow(
    directory: &Path,
    mut mark: AuditMark,
    store: &Store,
    at_most: Size,
) -> Result<AuditMark, FollowError> {
    let path = file::path(directory, &mark.chain);
    loop {
        let (file, from) = (path.clone(), mark.clone());
        match off_thread(&path, move || read_batch(&file, &from, at_most)).await? {
            Batch::Nothing => return Ok(mark),
            Batch::Records(records, next) => {
                mark = if store.index_audit(mark.position, &next, records).await? {
                    next
                } else {
                    // Somebody else moved it meanwhile: go on from there.
                    let marks = store.audit_marks().await?;
                    let moved = marks.into_iter().find(|moved| moved.chain == mark.chain);
                    moved.unwrap_or_else(|| beginning(&mark.chain))
                };
            }
            Batch::AnotherFile => {
                store.forget_audit_index(&mark.chain).await?;
                mark = beginning(&mark.chain);
            }
        }
    }
}

enum Batch {
    /// No whole line behind the mark.
    Nothing,
    /// Some, and where they end.
    Records(AuditBatch, AuditMark),
    /// What stands before the mark is not what was indexed: records that were never confirmed were taken back
    /// after a failed write, or somebody changed the file.
    AnotherFile,
}

fn read_batch(path: &Path, mark: &AuditMark, at_most: Size) -> io::Result<Batch> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Batch::Nothing),
        file => file?,
    };
    let start = u64::try_from(mark.position).map_err(io::Error::other)?;
    let mut tail = vec![0; mark.tail.len()];
    let before = start.saturating_sub(tail.len() as u64);
    match file.read_exact_at(&mut tail, before) {
        Ok(()) if tail == mark.tail => {}
        Ok(()) => return Ok(Batch::AnotherFile),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(Batch::AnotherFile),
        Err(error) => return Err(error),
    }

    let mut lines = BufReader::new(file);
    lines.seek(SeekFrom::Start(start))?;
    let (mut records, mut read, mut line) =
        (AuditBatch::default(), Size { records: 0, bytes: 0 }, Vec::new());
    while read.records < at_most.records && read.bytes < at_most.bytes {
        line.clear();
        lines.read_until(b'\n', &mut line)?;
        let Some(record) = line.strip_suffix(b"\n") else {
            break; // it is being written, or a crash cut it off
        };
        if let Ok(record) = std::str::from_utf8(record) {
            records.add(record);
        }
        read = Size { records: read.records + 1, bytes: read.bytes + line.len() };
        tail.clear();
        tail.extend(line.iter().skip(line.len().saturating_sub(TAIL)));
    }
    if read.records == 0 {
        return Ok(Batch::Nothing);
    }
    let position = mark.position.saturating_add(i64::try_from(read.bytes).unwrap_or(i64::MAX));
    Ok(Batch::Records(records, AuditMark { chain: mark.chain.clone(), position, tail }))
}

/// Runs what waits for the disk where it holds up nobody.
pub(super) async fn off_thread<T: Send + 'static>(
    path: &Path,
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, FollowError> {
    let done = tokio::task::spawn_blocking(work).await.map_err(io::Error::other);
    done.and_then(|result| result).map_err(|source| FollowError::Read { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Scratch;
    use crate::config::Database;
    use crate::store::AuditQuery;

    /// Twenty records, a line that is none and one that is no text; the last line is still being written.
    fn file() -> (Vec<u8>, usize) {
        let record = |n: u8| {
            let hash = format!("{n:02x}").repeat(32);
            let at = format!("2026-01-01T00:00:{n:02}Z");
            format!("{{\"seq\":{n},\"at\":\"{at}\",\"event\":\"stopped\",\"hash\":\"{hash}\"}}\n")
        };
        let mut lines: Vec<Vec<u8>> = (1..=20).map(|n| record(n).into_bytes()).collect();
        lines.insert(7, b"{}\n".to_vec());
        lines.insert(14, b"\xff\n".to_vec());
        let whole = lines.concat();
        let len = whole.len();
        ([whole, b"{\"seq\":21".to_vec()].concat(), len)
    }

    #[tokio::test]
    async fn a_file_is_indexed_to_its_last_whole_line_however_much_is_taken_at_once() {
        let (bytes, whole) = file();
        for (records, at_once) in [(1, 1 << 20), (7, 1 << 20), (100, 1), (100, 150), (100, 1 << 20)] {
            let directory = Scratch::new();
            let store = Store::open(&Database::Sqlite(directory.path().join("mailward.db"))).await.unwrap();
            std::fs::write(file::path(directory.path(), "one"), &bytes).unwrap();
            let at_most = Size { records, bytes: at_once };
            let mark = follow(directory.path(), beginning("one"), &store, at_most).await.unwrap();
            assert_eq!(usize::try_from(mark.position).unwrap(), whole);
            assert_eq!(mark.tail, bytes[whole - TAIL..whole]);
            assert_eq!(store.audit_marks().await.unwrap(), std::slice::from_ref(&mark));
            let found = store.search_audit(&AuditQuery::default()).await.unwrap();
            let found: Vec<_> = found.iter().map(|row| row.sequence).collect();
            assert_eq!(found, (1..=20).collect::<Vec<_>>(), "{records} records or {at_once} bytes at once");
            // It knows its own place again.
            assert_eq!(follow(directory.path(), mark.clone(), &store, at_most).await.unwrap(), mark);
            store.close().await;
        }
    }
}
