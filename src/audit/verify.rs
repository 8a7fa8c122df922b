//! Whether the trail is what was written. Files and database may both have been changed by anybody; the site
//! key is what this rests on.
//!
//! **What is proven.** Up to its head, a chain is exactly what was recorded: a record that was changed, taken
//! out, put in or moved shows in the file itself, and a chain whose end was cut off or made anew with fitting
//! hashes does not fit the head, which only the site's key can make. A head is written at most a fraction of
//! a second after its records, if the database answers, and when the chain is closed.
//!
//! **What is not.** Records behind the head of a process that was killed are reported as unanchored. Whoever can
//! write files *and* database can put back an older file with the head of its time, which shows as a chain that
//! was not closed; or delete a file and its head's row, which leaves no trace here. Nor does whoever holds the
//! key file: against them only heads that are kept on another machine help.
//!
//! Gates that share a database have each their own files. A chain whose file is missing here, and whose head says
//! that it was written elsewhere, is another gate's: that is reported, and is for `verify` there to check.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::Path;

use super::expiry::is_on_its_way_out;
use super::file::{self, Found};
use super::follower::is_genuine;
use super::index::{FollowError, off_thread};
use super::place;
use super::record::{CHAIN_ENDED, Hash, Line, genesis};
use super::report::{ChainReport, Note, Problem, Report};
use crate::base::{SiteKey, Timestamp};
use crate::store::{AuditHead, Store};

/// Checks every chain in `directory` against itself and its head. Writers may go on meanwhile.
///
/// # Errors
/// [`FollowError`] when files or heads cannot be read.
pub async fn verify(directory: &Path, store: &Store, key: &SiteKey) -> Result<Report, FollowError> {
    // Heads first: what is written between the two reads is then ahead of them, which is no fault.
    let heads = store.audit_heads().await?;
    let mut heads: HashMap<String, AuditHead> =
        heads.into_iter().map(|head| (head.chain.clone(), head)).collect();
    let listed = directory.to_owned();
    let files = off_thread(directory, move || file::list(&listed)).await?;

    let (mut chains, mut gone) = (Vec::new(), HashSet::new());
    for found in files {
        let head = heads.remove(&found.chain);
        let forged = head.as_ref().is_some_and(|head| !is_genuine(key, head));
        let head = head.filter(|_| !forged);
        if head.as_ref().is_some_and(is_on_its_way_out) {
            continue;
        }
        let path = found.path.clone();
        let (chain, anchored) = (found.chain.clone(), head.as_ref().map(|head| head.sequence));
        let mut report = match off_thread(&path, move || check_file(&found, head.as_ref())).await {
            Ok(report) => report,
            // One bad file must not hide what there is to say about the others.
            Err(FollowError::Read { source, .. }) => {
                if source.kind() == io::ErrorKind::NotFound {
                    gone.insert(chain.clone());
                }
                let problem = Problem::Unreadable { reason: source.to_string() };
                ChainReport { problems: vec![problem], ..ChainReport::without_file(chain, anchored) }
            }
            Err(error @ FollowError::Store(_)) => return Err(error),
        };
        if forged {
            report.problems.push(Problem::ForgedHead);
        }
        chains.push(report);
    }
    let here = place::of(directory);
    // What went meanwhile because its time was over is not missing.
    let now: HashMap<String, AuditHead> =
        store.audit_heads().await?.into_iter().map(|head| (head.chain.clone(), head)).collect();
    let goes =
        |chain: &str| now.get(chain).is_none_or(|head| is_genuine(key, head) && is_on_its_way_out(head));
    chains.retain(|report| !gone.contains(&report.chain) || !goes(&report.chain));
    for (chain, head) in heads.into_iter().filter(|(chain, _)| !goes(chain)) {
        let mut report = ChainReport::without_file(chain, Some(head.sequence));
        let genuine = is_genuine(key, &head);
        if genuine && store.is_shared() && head.place != here {
            report.notes.push(Note::Elsewhere { place: head.place });
        } else {
            report.problems.push(Problem::FileMissing { head: head.sequence });
        }
        if !genuine {
            report.problems.push(Problem::ForgedHead);
        }
        chains.push(report);
    }
    chains.sort_by(|one, other| one.chain.cmp(&other.chain));
    Ok(Report { chains })
}

/// Reads one file against `head`, whose MAC was checked.
pub(super) fn check_file(found: &Found, head: Option<&AuditHead>) -> io::Result<ChainReport> {
    // Before the first byte: a process that ends meanwhile has written all by the time it is read.
    let live = found.is_live()?;
    let mut check = Check::new(&found.chain, head);
    check.read(BufReader::new(File::open(&found.path)?))?;
    Ok(check.finish(found, live))
}

/// Walks a file from its first line to its last.
struct Check<'a> {
    head: Option<&'a AuditHead>,
    /// Hash of the record with the head's sequence number, if it came by.
    at_head: Option<Hash>,
    lines: u64,
    /// Sequence number of the furthest record so far.
    last: i64,
    /// What the next record must follow; unknown behind a gap or a line that is no record.
    follows: Option<Hash>,
    ended: bool,
    /// Gaps, from and to: a record that is out of order fills one.
    missing: Vec<(i64, i64)>,
    half_line: u64,
    newest: Option<Timestamp>,
    problems: Vec<Problem>,
}

impl<'a> Check<'a> {
    fn new(chain: &str, head: Option<&'a AuditHead>) -> Self {
        Self {
            head,
            at_head: None,
            lines: 0,
            last: 0,
            follows: Some(genesis(chain)),
            ended: false,
            missing: Vec::new(),
            half_line: 0,
            newest: None,
            problems: Vec::new(),
        }
    }

    fn read(&mut self, mut lines: impl BufRead) -> io::Result<()> {
        let mut line = Vec::new();
        loop {
            line.clear();
            if lines.read_until(b'\n', &mut line)? == 0 {
                return Ok(());
            }
            let Some(whole) = line.strip_suffix(b"\n") else {
                // The end, for now: what a live writer adds behind it would be taken for a line of its own.
                self.half_line = line.len() as u64;
                return Ok(());
            };
            self.line(whole);
        }
    }

    fn line(&mut self, bytes: &[u8]) {
        self.lines += 1;
        let line = self.lines;
        if self.ended {
            self.problems.push(Problem::AfterEnd { line });
        }
        let Some(record) = Line::parse(bytes) else {
            // It stands where the next record would.
            self.problems.push(Problem::Changed { line });
            self.last = self.last.saturating_add(1);
            self.follows = None;
            return;
        };
        if !record.hash_holds {
            self.problems.push(Problem::Changed { line });
        }
        self.newest = self.newest.max(Some(record.fields.at));
        let sequence = record.fields.seq;
        if sequence <= self.last {
            let late = self.fills_gap(sequence);
            self.problems.push(match late {
                true => Problem::Reordered { sequence, line },
                false => Problem::Inserted { sequence, line },
            });
            return;
        }
        if sequence - 1 > self.last {
            self.missing.push((self.last + 1, sequence - 1));
        } else if self.follows.is_some_and(|hash| hash != record.prev) {
            self.problems.push(Problem::BrokenLink { sequence });
        }
        if self.head.is_some_and(|head| head.sequence == sequence) {
            self.at_head = Some(record.hash);
        }
        self.last = sequence;
        self.follows = Some(record.hash);
        self.ended = record.fields.event == CHAIN_ENDED;
    }

    /// Whether `sequence` was missed, and takes it out of the gap.
    fn fills_gap(&mut self, sequence: i64) -> bool {
        let gap = self.missing.iter().position(|(from, to)| (*from..=*to).contains(&sequence));
        let Some(gap) = gap else { return false };
        let (from, to) = self.missing.swap_remove(gap);
        let rest = [(from, sequence - 1), (sequence + 1, to)];
        self.missing.extend(rest.into_iter().filter(|(from, to)| from <= to));
        true
    }

    fn finish(mut self, found: &Found, live: bool) -> ChainReport {
        self.missing.sort_unstable();
        let gaps = self.missing.iter().map(|&(from, to)| Problem::Missing { from, to });
        self.problems.extend(gaps);
        let anchored = self.head.map_or(0, |head| head.sequence);
        if let Some(head) = self.head {
            if self.last < head.sequence {
                self.problems.push(Problem::CutOff { last: self.last, head: head.sequence });
            } else if self.at_head.is_some_and(|hash| hash[..] != head.hash[..]) {
                self.problems.push(Problem::Recomputed { sequence: head.sequence });
            }
        }
        let mut notes = Vec::new();
        if !live && self.last > anchored {
            notes.push(Note::Unanchored { from: anchored.saturating_add(1), to: self.last });
        } else if !live && !self.ended {
            notes.push(Note::NotEnded);
        }
        if !live && self.half_line > 0 {
            notes.push(Note::HalfLine { bytes: self.half_line });
        }
        ChainReport {
            chain: found.chain.clone(),
            records: self.lines,
            head: self.head.map(|head| head.sequence),
            live,
            newest: self.newest,
            problems: self.problems,
            notes,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    /// A file that is written while it is read: an empty piece is its end at that moment.
    struct Growing(Vec<&'static [u8]>);

    impl Read for Growing {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            if self.0.is_empty() {
                return Ok(0);
            }
            let piece = self.0.remove(0);
            into[..piece.len()].copy_from_slice(piece);
            Ok(piece.len())
        }
    }

    #[test]
    fn what_a_live_writer_adds_behind_half_a_line_is_no_line_of_its_own() {
        let mut check = Check::new("one", None);
        check.read(BufReader::new(Growing(vec![b"{\"seq\"", b"", b":1}\n"]))).unwrap();
        assert_eq!((check.lines, check.half_line), (0, 6));
        assert_eq!(check.problems, []);
    }
}
