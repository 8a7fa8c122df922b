//! Follows what a server says after login, to know whether an answer is under way.
//!
//! Which commands the client gave nobody knows here: many answers are one line, and some go on until a line of one dot (RFC 1939
//! section 3). So an answer counts as complete behind a line that may be its last; whatever else stands last is the
//! content of a message or a list. Two are cut off by a long silence all the same: a message with such a line in it, right
//! behind that, and one of which a slow server has said no more than that it comes.

use memchr::memrchr;

use crate::protocol::course::{Course, Rest};

/// As much of a line as tells what it is: `+OK` or `-ERR`, or a dot alone.
const HEAD: usize = 4;

/// One session's.
#[derive(Debug, Default)]
pub(super) struct Answers {
    client_spoke_last: bool,
    /// The beginning of the line that came last, and how much of it that is.
    head: [u8; HEAD],
    known: usize,
    /// That line has not come to its end.
    in_line: bool,
}

impl Course for Answers {
    fn client_sent(&mut self) {
        self.client_spoke_last = true;
    }

    fn upstream_sent(&mut self, bytes: &[u8]) {
        self.client_spoke_last = false;
        let (complete, lines) = match bytes.strip_suffix(b"\n") {
            Some(lines) => (true, lines),
            None => (false, bytes),
        };
        let line = match memrchr(b'\n', lines) {
            Some(end) => lines.get(end + 1..).unwrap_or_default(),
            None => lines,
        };
        if line.len() < lines.len() || !self.in_line {
            self.known = 0;
        }
        for (place, byte) in self.head.iter_mut().skip(self.known).zip(line) {
            *place = *byte;
            self.known += 1;
        }
        self.in_line = !complete;
    }

    fn rest(&self) -> Rest {
        let head = self.head.get(..self.known).unwrap_or_default();
        let may_be_the_last = match head.strip_suffix(b"\r").unwrap_or(head) {
            // Nothing was said yet; else it is an empty line.
            b"" => head.is_empty(),
            b"." | b"-ERR" => true,
            head => head.starts_with(b"+OK"),
        };
        if self.client_spoke_last || self.in_line || !may_be_the_last { Rest::Busy } else { Rest::Unclear }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How it stands after the server's words, in pieces of that size.
    fn after(said: &[u8], size: usize) -> Rest {
        let mut answers = Answers::default();
        answers.client_sent();
        said.chunks(size).for_each(|piece| answers.upstream_sent(piece));
        answers.rest()
    }

    #[test]
    fn a_session_is_busy_while_an_answer_is_awaited_or_under_way_and_unclear_else() {
        let mut answers = Answers::default();
        assert_eq!(answers.rest(), Rest::Unclear, "nothing was said");
        answers.client_sent();
        assert_eq!(answers.rest(), Rest::Busy);
        for (said, rest) in [
            ("+OK", Rest::Busy),
            ("+OK\r\n", Rest::Unclear),
            ("+OK 3 messages\r\n", Rest::Unclear),
            ("-ERR no such message\r\n", Rest::Unclear),
            ("+OK\r\n+OK\r\n-ERR\r\n", Rest::Unclear),
            ("+OK\r\nSubject: a\r\n", Rest::Busy),
            ("+OK\r\nSubject: a\r\n\r\n", Rest::Busy),
            ("+OK\r\nSubject: a\r\n\r\nHello", Rest::Busy),
            ("+OK\r\nSubject: a\r\n\r\nHello\r\n.\r\n", Rest::Unclear),
            ("+OK\r\n1 120\r\n..\r\n", Rest::Busy),
            ("+OK\n.\n", Rest::Unclear),
        ] {
            for size in 1..=said.len() {
                assert_eq!(after(said.as_bytes(), size), rest, "{said:?} by {size}");
            }
        }
    }
}
