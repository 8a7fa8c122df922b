//! Follows what an upstream says after login, to know at any moment whether a response is under way: only between two
//! of them may the gate say `* BYE` (RFC 9051 section 7.1.5), be the client in IDLE or not.
//!
//! The upstream may be odd, and its client may have turned compression on (RFC 4978), unseen: whoever says what no
//! response looks like gets no word any more. Literals, which mail comes in, are skipped and not read.

use memchr::memchr;

use super::framing::Tail;
use crate::protocol::course::{Course, Rest};

/// How much of a line is looked at to tell what it is: a tag as clients make them, and `BAD`.
const HEAD_MAX: usize = 32;

/// How much of its end: `{18446744073709551615}` and CR.
const TAIL_MAX: usize = 24;

/// One session's.
#[derive(Debug)]
pub(super) struct Following {
    client_spoke_last: bool,
    place: Place,
    head: Vec<u8>,
    tail: Tail,
    /// Whether the line under way may announce a literal, where it is the first of its response no longer.
    further: bool,
}

/// What comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// A response.
    Between,
    /// More of a line.
    Line,
    /// So many bytes of a literal, then more of its response.
    Literal(u64),
    /// Who knows.
    Lost,
}

impl Default for Following {
    fn default() -> Self {
        let (head, tail) = (Vec::new(), Tail::default());
        Self { client_spoke_last: false, place: Place::Between, head, tail, further: false }
    }
}

impl Course for Following {
    fn client_sent(&mut self) {
        self.client_spoke_last = true;
    }

    fn upstream_sent(&mut self, bytes: &[u8]) {
        self.client_spoke_last = false;
        let mut rest = bytes;
        while !rest.is_empty() {
            let used = match self.place {
                Place::Lost => return,
                Place::Literal(left) => self.skip(left, rest.len()),
                Place::Between | Place::Line => self.line(rest),
            };
            rest = rest.get(used..).unwrap_or_default();
        }
    }

    fn rest(&self) -> Rest {
        match self.place {
            _ if self.client_spoke_last => Rest::Busy,
            Place::Literal(_) | Place::Line => Rest::Busy,
            Place::Between => Rest::Quiet,
            Place::Lost => Rest::Unclear,
        }
    }
}

impl Following {
    fn skip(&mut self, left: u64, available: usize) -> usize {
        let used = usize::try_from(left).map_or(available, |left| left.min(available));
        self.place = match left - used as u64 {
            0 => Place::Line,
            left => Place::Literal(left),
        };
        used
    }

    /// Reads to the end of a line, or of what there is.
    fn line(&mut self, bytes: &[u8]) -> usize {
        let end = memchr(b'\n', bytes);
        let part = bytes.get(..end.unwrap_or(bytes.len())).unwrap_or(bytes);
        if !self.further {
            let room = HEAD_MAX.saturating_sub(self.head.len()).min(part.len());
            self.head.extend_from_slice(part.get(..room).unwrap_or_default());
        }
        self.tail = match part.len().checked_sub(TAIL_MAX) {
            Some(start) => tail_of(Tail::default(), part.get(start..).unwrap_or_default()),
            None => tail_of(self.tail, part),
        };
        self.place = Place::Line;
        if end.is_some() {
            self.end_line();
        }
        part.len() + usize::from(end.is_some())
    }

    fn end_line(&mut self) {
        let announced = std::mem::take(&mut self.tail).announcement();
        let kind = if self.further { Kind::Data } else { Kind::of(&self.head) };
        match (kind, announced) {
            (Kind::Unheard, _) => {
                (self.place, self.head) = (Place::Lost, Vec::new());
                return;
            }
            (Kind::Data, Some(announced)) => {
                self.further = true;
                self.place =
                    if announced.length == 0 { Place::Line } else { Place::Literal(announced.length) };
            }
            (Kind::Data | Kind::Words, _) => {
                self.further = false;
                self.place = Place::Between;
            }
        }
        // An idle session holds nothing for it.
        self.head = Vec::new();
    }
}

/// What a first line is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Untagged data, which may hold literals.
    Data,
    /// A status, a continuation, a tagged answer: free text.
    Words,
    /// Nothing that a server says.
    Unheard,
}

impl Kind {
    fn of(head: &[u8]) -> Self {
        let head = head.strip_suffix(b"\r").unwrap_or(head);
        if head.iter().any(|byte| byte.is_ascii_control() && *byte != b'\t') {
            return Self::Unheard;
        }
        let mut words = head.split(|byte| *byte == b' ').filter(|word| !word.is_empty());
        let (first, second) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let says = |word: &[u8]| second.eq_ignore_ascii_case(word);
        match first {
            b"*" if [&b"OK"[..], b"NO", b"BAD", b"BYE", b"PREAUTH"].into_iter().any(says) => Self::Words,
            b"*" if second.iter().all(u8::is_ascii) && !second.is_empty() => Self::Data,
            b"*" => Self::Unheard,
            _ if first.starts_with(b"+") => Self::Words,
            tag if tag.iter().all(u8::is_ascii_graphic) => {
                // Of a long tag the end is not seen.
                let answers = [&b"OK"[..], b"NO", b"BAD"].into_iter().any(says);
                if answers || head.len() >= HEAD_MAX - 3 { Self::Words } else { Self::Unheard }
            }
            _ => Self::Unheard,
        }
    }
}

fn tail_of(tail: Tail, part: &[u8]) -> Tail {
    part.iter().fold(tail, |tail, byte| tail.push(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How the session stands after each piece.
    fn after(pieces: &[&str]) -> Vec<Rest> {
        let mut course = Following::default();
        let follow = |piece: &&str| {
            course.upstream_sent(piece.as_bytes());
            course.rest()
        };
        pieces.iter().map(follow).collect()
    }

    #[test]
    fn between_responses_a_word_is_understood_and_within_one_it_is_waited() {
        use Rest::{Busy, Quiet};
        assert_eq!(
            after(&["* 3 EXISTS\r\n", "* 4 EXI", "STS\r\n", "a1 OK done\r\n"]),
            [Quiet, Busy, Quiet, Quiet]
        );
        assert_eq!(after(&["+ idling\r\n", "* 2 RECENT\r\n"]), [Quiet, Quiet]);
        assert_eq!(after(&["+\r\n"]), [Quiet]);
        assert_eq!(after(&["* BYE later {3}\r\n"]), [Quiet], "free text announces nothing");
        assert_eq!(after(&["a1 NO see {3}\r\n"]), [Quiet]);
    }

    #[test]
    fn lines_of_a_message_are_no_responses_wherever_it_is_cut() {
        let text = "* 1 FETCH (BODY[] {22}\r\na1 OK no\r\n* BYE {5}\r\n FLAGS {0}\r\n)\r\n";
        for cut in 1..text.len() {
            let (one, two) = text.split_at(cut);
            assert_eq!(after(&[one, two]), [Rest::Busy, Rest::Quiet], "{one:?}");
        }
        let mut course = Following::default();
        for byte in text.as_bytes() {
            course.upstream_sent(&[*byte]);
        }
        assert_eq!(course.rest(), Rest::Quiet);
        assert_eq!(course.head.capacity(), 0, "nothing is held for it");
    }

    #[test]
    fn a_literal_of_any_length_is_skipped() {
        let long = "x".repeat(5000);
        let line = format!("* 1 FETCH (ENVELOPE (\"{long}\" BODY[] {{10000}}\r\n");
        assert_eq!(after(&[&line, &long, &long, ")\r\n"]), [Rest::Busy, Rest::Busy, Rest::Busy, Rest::Quiet]);
        let binary = after(&["* 1 FETCH (BINARY[1] ~{3}\r\n", "\0\n\n", ")\r\n"]);
        assert_eq!(binary, [Rest::Busy, Rest::Busy, Rest::Quiet]);
    }

    #[test]
    fn whoever_awaits_an_answer_is_busy() {
        let mut course = Following::default();
        assert_eq!(course.rest(), Rest::Quiet);
        course.client_sent();
        assert_eq!(course.rest(), Rest::Busy);
        course.upstream_sent(b"a1 OK done\r\n");
        assert_eq!(course.rest(), Rest::Quiet);
    }

    #[test]
    fn what_is_no_imap_any_more_gets_no_word() {
        for strange in ["x\u{1}\u{2}\u{3}\n", "\r\n", "*\r\n", "220 ready\r\n", "* \u{e9}\u{e9}\r\n"] {
            assert_eq!(after(&[strange, "* 3 EXISTS\r\n"]), [Rest::Unclear, Rest::Unclear], "{strange:?}");
        }
        let tag = "a-tag-that-is-longer-than-anybody-looks-at OK done\r\n";
        assert_eq!(after(&[tag]), [Rest::Quiet]);
    }
}
