//! Bytes received and not used yet, and the lines in them.
//!
//! What is held is bounded by the caller's limit plus one read; it may hold a password, so it is wiped.

use zeroize::Zeroizing;

/// The longest line taken before login, in bytes with its line end: RFC 2683 section 3.2.1.5 advises 8,000
/// for IMAP, and nothing legitimate before login is longer.
pub const LINE_MAX: usize = 8192;

/// Received bytes with a read position.
#[derive(Default)]
pub struct Input {
    bytes: Zeroizing<Vec<u8>>,
    /// So many bytes at the front were taken: many short lines in one read do not move the rest again and again.
    taken: usize,
    /// So many bytes behind those hold no LF: a line that comes byte by byte is not searched again and again.
    searched: usize,
    /// Inside a line that was reported as too long, up to its LF.
    discarding: bool,
}

/// The next line of an [`Input`].
#[derive(Debug, PartialEq, Eq)]
pub enum Line {
    /// No LF yet.
    Incomplete,
    /// Longer than the limit; reported once, the rest is skipped up to its LF.
    TooLong,
    /// A line without its CRLF or bare LF.
    Complete(Zeroizing<Vec<u8>>),
}

impl Input {
    /// Adds what was read.
    pub fn extend(&mut self, bytes: &[u8]) {
        let held = self.bytes().len() + bytes.len();
        if self.taken > 0 || held > self.bytes.capacity() {
            // Moving or growing in place would leave a copy of a password in memory that is not wiped.
            let mut fresh = Zeroizing::new(Vec::with_capacity(held.next_power_of_two().max(256)));
            fresh.extend_from_slice(self.bytes());
            self.bytes = fresh;
            self.taken = 0;
        }
        self.bytes.extend_from_slice(bytes);
    }

    /// Takes the next line of at most `max` bytes, its LF included.
    pub fn line(&mut self, max: usize) -> Line {
        let unsearched = self.bytes().get(self.searched..).unwrap_or_default();
        let end = unsearched.iter().position(|b| *b == b'\n').map(|at| self.searched + at + 1);
        self.searched = self.bytes().len();
        if self.discarding {
            self.drop_front(end.unwrap_or(self.bytes().len()));
            if end.is_none() {
                return Line::Incomplete;
            }
            self.discarding = false;
            return self.line(max);
        }
        match end {
            Some(end) if end <= max => {
                let line = self.take(end);
                let content =
                    line.strip_suffix(b"\r\n").or_else(|| line.strip_suffix(b"\n")).unwrap_or(&line);
                Line::Complete(Zeroizing::new(content.to_vec()))
            }
            Some(end) => {
                self.drop_front(end);
                Line::TooLong
            }
            None if self.bytes().len() >= max => {
                self.drop_front(self.bytes().len());
                self.discarding = true;
                Line::TooLong
            }
            None => Line::Incomplete,
        }
    }

    /// Takes up to `count` bytes as they are.
    pub fn take(&mut self, count: usize) -> Zeroizing<Vec<u8>> {
        let taken = self.bytes().get(..count).unwrap_or(self.bytes());
        let taken = Zeroizing::new(taken.to_vec());
        self.drop_front(taken.len());
        taken
    }

    fn drop_front(&mut self, count: usize) {
        self.taken += count;
        self.searched = 0;
        if self.is_empty() {
            // Wiped and freed: a connection that waits holds nothing.
            *self = Self { discarding: self.discarding, ..Self::default() };
        }
    }

    /// What is held.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.bytes.get(self.taken..).unwrap_or_default()
    }

    /// Whether nothing is held.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes().is_empty()
    }

    /// Gives up what is held.
    #[must_use]
    pub fn into_bytes(mut self) -> Zeroizing<Vec<u8>> {
        self.take(usize::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complete(text: &[u8]) -> Line {
        Line::Complete(Zeroizing::new(text.to_vec()))
    }

    #[test]
    fn lines_end_in_crlf_or_lf() {
        let mut input = Input::default();
        input.extend(b"a\r\nb\n\r\nc");
        assert_eq!(input.line(8), complete(b"a"));
        assert_eq!(input.line(8), complete(b"b"));
        assert_eq!(input.line(8), complete(b""));
        assert_eq!(input.line(8), Line::Incomplete);
        assert_eq!(input.bytes(), b"c");
    }

    #[test]
    fn a_line_that_is_too_long_is_reported_once_and_skipped_however_it_is_split() {
        let bytes = b"0123456789\r\nok\r\n";
        for split in 0..bytes.len() {
            let mut input = Input::default();
            let mut seen = Vec::new();
            for part in [&bytes[..split], &bytes[split..]] {
                input.extend(part);
                loop {
                    match input.line(8) {
                        Line::Incomplete => break,
                        line @ (Line::TooLong | Line::Complete(_)) => seen.push(line),
                    }
                }
            }
            assert_eq!(seen, [Line::TooLong, complete(b"ok")], "split at {split}");
        }
    }
}
