//! What [`verify`](super::verify::verify) found.

use serde::Serialize;

use crate::base::Timestamp;

/// Every chain of the directory and every head of the database.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// By name, which is by the time at which they were started.
    pub chains: Vec<ChainReport>,
}

impl Report {
    /// Whether no problem was found. Notes are none.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.chains.iter().all(|chain| chain.problems.is_empty())
    }
}

/// One chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ChainReport {
    /// Its name.
    pub chain: String,
    /// Whole lines in its file.
    pub records: u64,
    /// The sequence number that its head in the database names.
    pub head: Option<i64>,
    /// A process is writing it, or its head, at this moment.
    pub live: bool,
    /// When the latest of its records was made, as they say; none without any.
    #[serde(skip)]
    pub newest: Option<Timestamp>,
    /// Signs of tampering or damage.
    pub problems: Vec<Problem>,
    /// What a crash leaves behind, and what cannot be proven.
    pub notes: Vec<Note>,
}

impl ChainReport {
    /// Of a chain that could not be read.
    pub(super) fn without_file(chain: String, head: Option<i64>) -> Self {
        let (problems, notes) = (Vec::new(), Vec::new());
        Self { chain, records: 0, head, live: false, newest: None, problems, notes }
    }
}

/// A sign that somebody, or a failing disk, changed what was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, thiserror::Error)]
#[serde(tag = "problem", rename_all = "snake_case")]
pub enum Problem {
    /// A line is not what its hash says, or no record at all.
    #[error("line {line} was changed")]
    Changed {
        /// From 1.
        line: u64,
    },
    /// A record does not carry the hash of the one before it: one of the two is another than was written.
    #[error("record {sequence} does not follow from the record before it: one of them was replaced")]
    BrokenLink {
        /// Its sequence number.
        sequence: i64,
    },
    /// Records are not there.
    #[error("records {from} to {to} are missing")]
    Missing {
        /// The first.
        from: i64,
        /// The last.
        to: i64,
    },
    /// A record stands behind one that came later.
    #[error("record {sequence} is out of order, at line {line}")]
    Reordered {
        /// Its sequence number.
        sequence: i64,
        /// Where it stands.
        line: u64,
    },
    /// A sequence number comes a second time.
    #[error("line {line} was inserted: there is a record {sequence} already")]
    Inserted {
        /// The sequence number it has.
        sequence: i64,
        /// Where it stands.
        line: u64,
    },
    /// Something follows the last record of a chain that was closed in order.
    #[error("line {line} was added after the end of the chain")]
    AfterEnd {
        /// Where it stands.
        line: u64,
    },
    /// The file ends before the record that the database knows to be written.
    #[error("the end was cut off: the last record is {last}, but record {head} was written")]
    CutOff {
        /// The last one in the file; 0 for none.
        last: i64,
        /// The last one that is known.
        head: i64,
    },
    /// The record that the head names has another hash: the chain was made anew.
    #[error("record {sequence} is not the one that was written: the chain was recomputed")]
    Recomputed {
        /// The sequence number of the head.
        sequence: i64,
    },
    /// The database has a head for a chain without a file.
    #[error("the file is missing; it had {head} records at least")]
    FileMissing {
        /// The sequence number of the head.
        head: i64,
    },
    /// The file cannot be read to its end.
    #[error("the file cannot be read: {reason}")]
    Unreadable {
        /// What the system said.
        reason: String,
    },
    /// The head's MAC is not this site's.
    #[error("the head in the database was changed: its MAC does not match this site's key")]
    ForgedHead,
}

/// What is no problem, but should be known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, thiserror::Error)]
#[serde(tag = "note", rename_all = "snake_case")]
pub enum Note {
    /// The last line has no end: its process was killed, or the power failed, while it was written. Nobody was
    /// told that the record is kept.
    #[error("the last line is cut off after {bytes} bytes, as a crash leaves it")]
    HalfLine {
        /// How long it is.
        bytes: u64,
    },
    /// The chain ends at its head, but was never closed: so does one whose newest records were taken away together
    /// with the newer head. Whoever sees this knows whether there was a crash.
    #[error("its process did not close it: it was killed, or the end was cut off and an older head put back")]
    NotEnded,
    /// Another gate on the same database keeps the file; it can be checked there only.
    #[error("kept at {place} and not checked here")]
    Elsewhere {
        /// Machine and directory.
        place: String,
    },
    /// The chain is whole, but ends behind its head, or has none: its process was killed before it wrote the
    /// head. Whoever can write the file could have added or changed these records.
    #[error("records {from} to {to} are not vouched for by a head in the database, as a crash leaves them")]
    Unanchored {
        /// The first.
        from: i64,
        /// The last.
        to: i64,
    },
}
