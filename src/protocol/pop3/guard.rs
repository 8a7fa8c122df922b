//! Stands in the relay of a client that may only read: commands that are known to read pass, and whatever else it says,
//! `DELE` above all, is answered by the gate and never reaches the upstream.
//!
//! Answers in POP3 carry no name. So that the gate's own stand in their place among those of the upstream (RFC 2449
//! section 6.6), it counts what is awaited, and follows how long each answer is.
//!
//! The client is hostile: a line passes only if every server ends it where the gate does, and reads the same verb in it.
//! Of the upstream no more is read than where its answers end. A line is held until it ends, bounded; content never is.

use std::collections::VecDeque;
use std::mem;

use memchr::memchr;

use crate::protocol::guard::{Forward, RelayGuard, Violation};

/// With its line end (RFC 2449 section 4). A server that cuts what is longer might take the rest for a command.
const LINE_MAX: usize = 255;

/// Commands whose answers are outstanding before the client has to wait.
const OUTSTANDING_MAX: usize = 1024;

/// The most bytes of answers to what came at once: more than to as many `DELE` as the relay reads in one go.
const ANSWERS_MAX: usize = 512 * 1024;

const READS_ONLY: &[u8] = b"-ERR This app password may only read\r\n";
const LINE_TOO_LONG: &[u8] = super::reply::LINE_TOO_LONG.as_bytes();

/// The guard of one session.
#[derive(Debug, Default)]
pub(super) struct Guard {
    /// A command line that has not ended.
    line: Vec<u8>,
    /// That line is too long already.
    too_long: bool,
    /// What the client waits for, oldest first.
    outstanding: VecDeque<Due>,
    answer: Answer,
}

/// An answer that is due to the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Due {
    /// One line.
    Line,
    /// A line, and if that is a yes, more up to one of a dot alone (RFC 1939 section 3).
    Lines,
    /// The gate's own.
    Own(&'static [u8]),
}

/// How far the upstream has come with an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Answer {
    /// It has not begun.
    #[default]
    Awaited,
    /// In its first line, which begins with this byte.
    Status(u8),
    /// In one of its other lines.
    Further(Ending),
}

/// What there is of a line that may be a dot alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    Nothing,
    Dot,
    DotReturn,
    /// It is none.
    Other,
}

impl RelayGuard for Guard {
    fn client_sent(&mut self, bytes: &[u8], out: &mut Forward) -> Result<usize, Violation> {
        let mut rest = bytes;
        while !rest.is_empty() && self.outstanding.len() < OUTSTANDING_MAX {
            let end = memchr(b'\n', rest);
            let (part, behind) = rest.split_at_checked(end.unwrap_or(rest.len())).unwrap_or((rest, b""));
            // Its LF counts.
            self.too_long |= self.line.len() + part.len() >= LINE_MAX;
            if !self.too_long {
                self.line.extend_from_slice(part);
            }
            rest = behind.get(1..).unwrap_or_default();
            if end.is_some() {
                self.take_line(out);
            }
            if out.to_client.len() > ANSWERS_MAX {
                return Err(Violation::TooManyRefused);
            }
        }
        Ok(bytes.len() - rest.len())
    }

    fn upstream_sent(&mut self, bytes: &[u8], out: &mut Forward) -> Result<(), Violation> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let used = self.follow(rest);
            let (passed, behind) = rest.split_at_checked(used).unwrap_or((rest, b""));
            out.to_client.extend_from_slice(passed);
            rest = behind;
            self.say_own(out);
        }
        Ok(())
    }
}

impl Guard {
    /// The line has ended: passes it on, or answers it.
    fn take_line(&mut self, out: &mut Forward) {
        let line = mem::take(&mut self.line);
        let line = line.strip_suffix(b"\r").unwrap_or(&line);
        let due = if mem::take(&mut self.too_long) { Due::Own(LINE_TOO_LONG) } else { judge(line) };
        self.outstanding.push_back(due);
        match due {
            Due::Line | Due::Lines => {
                // Whatever ended it: to a server for which a bare LF ends nothing it would be one line with the next.
                out.to_upstream.extend_from_slice(line);
                out.to_upstream.extend_from_slice(b"\r\n");
            }
            Due::Own(_) => self.say_own(out),
        }
    }

    /// The gate's own answers that are next.
    fn say_own(&mut self, out: &mut Forward) {
        while self.answer == Answer::Awaited
            && let Some(Due::Own(answer)) = self.outstanding.front()
        {
            out.to_client.extend_from_slice(answer);
            self.outstanding.pop_front();
        }
    }

    /// Reads from the front of `bytes`, which is not empty, at most to the end of a line: how many bytes.
    fn follow(&mut self, bytes: &[u8]) -> usize {
        let end = memchr(b'\n', bytes);
        let part = bytes.get(..end.unwrap_or(bytes.len())).unwrap_or(bytes);
        let in_line = match self.answer {
            Answer::Awaited => Answer::Status(bytes.first().copied().unwrap_or_default()),
            Answer::Status(first) => Answer::Status(first),
            Answer::Further(ending) => Answer::Further(ending.push(part)),
        };
        self.answer = match (end, in_line) {
            (None, in_line) => in_line,
            (Some(_), Answer::Awaited | Answer::Further(Ending::Dot | Ending::DotReturn)) => Answer::Awaited,
            (Some(_), Answer::Further(Ending::Nothing | Ending::Other)) => Answer::Further(Ending::Nothing),
            (Some(_), Answer::Status(first)) => self.after_status(first),
        };
        part.len() + usize::from(end.is_some())
    }

    /// What follows the first line of an answer, which begins with this byte.
    fn after_status(&mut self, first: u8) -> Answer {
        match self.outstanding.front() {
            // Nobody asked for it; else the gate's own would have been said before it began.
            Some(Due::Own(_)) | None => return Answer::Awaited,
            Some(Due::Line | Due::Lines) => {}
        }
        match self.outstanding.pop_front() {
            Some(Due::Lines) if first == b'+' => Answer::Further(Ending::Nothing),
            _ => Answer::Awaited,
        }
    }
}

impl Ending {
    /// The line goes on with `part`, which holds no LF.
    fn push(self, part: &[u8]) -> Self {
        match (self, part) {
            (ending, b"") => ending,
            (Self::Nothing, b".") => Self::Dot,
            (Self::Nothing, b".\r") | (Self::Dot, b"\r") => Self::DotReturn,
            (Self::Nothing | Self::Dot | Self::DotReturn | Self::Other, _) => Self::Other,
        }
    }
}

/// What a command line, without its end, is answered with, and by whom.
fn judge(line: &[u8]) -> Due {
    // A server may end the line at a lone CR or a NUL, or take a tab for a blank.
    if !line.iter().all(|byte| matches!(byte, b' '..=b'~')) {
        return Due::Own(READS_ONLY);
    }
    let (verb, argument) = match memchr(b' ', line) {
        Some(at) => line.split_at_checked(at).unwrap_or((line, b"")),
        None => (line, &b""[..]),
    };
    let is_bare = argument.trim_ascii().is_empty();
    match verb.to_ascii_uppercase().as_slice() {
        // RFC 1939; LAST is of RFC 1460, and old clients ask for it where there is no UIDL.
        b"STAT" | b"NOOP" | b"RSET" | b"QUIT" | b"LAST" => Due::Line,
        // RFC 2449 section 5 for CAPA.
        b"RETR" | b"TOP" | b"CAPA" => Due::Lines,
        // The list, or what it says of one message; RFC 6856 section 3.2 for LANG.
        b"LIST" | b"UIDL" | b"LANG" => {
            if is_bare {
                Due::Lines
            } else {
                Due::Line
            }
        }
        _ => Due::Own(READS_ONLY),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A session behind the guard.
    #[derive(Default)]
    struct Relay {
        guard: Guard,
        out: Forward,
        held: Vec<u8>,
    }

    impl Relay {
        fn client(&mut self, bytes: &str) -> &mut Self {
            self.held.extend_from_slice(bytes.as_bytes());
            let taken = self.guard.client_sent(&self.held, &mut self.out).unwrap();
            self.held.drain(..taken);
            self
        }

        fn upstream(&mut self, bytes: &str) -> &mut Self {
            self.guard.upstream_sent(bytes.as_bytes(), &mut self.out).unwrap();
            self.client("")
        }

        /// What the upstream and the client received since last asked.
        fn got(&mut self) -> (String, String) {
            let text = |bytes: &mut Vec<u8>| String::from_utf8(mem::take(bytes)).unwrap();
            (text(&mut self.out.to_upstream), text(&mut self.out.to_client))
        }
    }

    fn got(upstream: &str, client: &str) -> (String, String) {
        (upstream.to_owned(), client.to_owned())
    }

    const NO: &str = "-ERR This app password may only read\r\n";

    #[test]
    fn whoever_asks_for_answers_without_end_is_heard_no_more() {
        let at_once = |bytes: &str| Guard::default().client_sent(bytes.as_bytes(), &mut Forward::default());
        let deleting: String = (1..=9999).map(|number| format!("DELE {number}\r\n")).collect();
        assert_eq!(at_once(&deleting), Ok(deleting.len()));
        assert_eq!(at_once(&"\n".repeat(64 * 1024)), Err(Violation::TooManyRefused));
    }

    #[test]
    fn what_reads_passes_as_it_is_and_nothing_else_does() {
        let mut relay = Relay::default();
        for line in [
            "STAT", "LIST", "list 1", "UIDL", "uidl 2", "RETR 1", "TOP 1 0", "noop", "RSET", "CAPA", "LANG",
            "LANG en", "LAST", "LIST ", "STAT  x", "QUIT",
        ] {
            relay.client(&format!("{line}\r\n"));
            assert_eq!(relay.got(), got(&format!("{line}\r\n"), ""), "{line:?}");
            relay.upstream("-ERR\r\n").got();
        }
        for line in [
            "DELE 1",
            "dele 1",
            "Dele",
            "DELE  1",
            " DELE 1",
            "  NOOP",
            "\tNOOP",
            "NOOP\t",
            "NOOP\0",
            "NOOP\rDELE 1",
            "NOOP\r",
            "XTND XMIT",
            "XCLIENT ADDR=192.0.2.1",
            "AUTH PLAIN",
            "USER a",
            "PASS b",
            "STLS",
            "UTF8",
            "RETRDELE",
            "RE",
            "",
            "é",
            "STAT é",
            "NOOP x\rDELE 1",
            "NOOP x\0DELE 1",
            "NOOP x\x0bDELE 1",
        ] {
            relay.client(&format!("{line}\r\n"));
            assert_eq!(relay.got(), got("", NO), "{line:?}");
        }
    }

    #[test]
    fn a_line_ends_at_its_lf_and_the_upstream_hears_crlf() {
        let mut relay = Relay::default();
        relay.client("NOOP\nDELE 1\nNOOP\r\n");
        assert_eq!(relay.got(), got("NOOP\r\nNOOP\r\n", ""));
        relay.upstream("+OK\r\n");
        assert_eq!(relay.got().1, format!("+OK\r\n{NO}"));
    }

    #[test]
    fn an_answer_of_the_gates_own_stands_where_the_client_awaits_it() {
        let mut relay = Relay::default();
        relay.client("RETR 1\r\nDELE 1\r\nLIST 2\r\nDELE 2\r\nUIDL\r\nDELE 3\r\nDELE 4\r\nQUIT\r\n");
        assert_eq!(relay.got(), got("RETR 1\r\nLIST 2\r\nUIDL\r\nQUIT\r\n", ""));
        let message = "+OK 30 octets\r\nSubject: x\r\n\r\n..\r\n.x\r\n-ERR\r\n";
        relay.upstream(message);
        assert_eq!(relay.got().1, message);
        relay.upstream(".\r\n");
        assert_eq!(relay.got().1, format!(".\r\n{NO}"));
        relay.upstream("+OK 2 120\r\n-ERR no list\r\n+OK bye\r\n");
        assert_eq!(relay.got().1, format!("+OK 2 120\r\n{NO}-ERR no list\r\n{NO}{NO}+OK bye\r\n"));
        relay.client("DELE 5\r\n");
        assert_eq!(relay.got(), got("", NO), "nothing is awaited any more");
    }

    #[test]
    fn a_line_that_a_server_might_cut_does_not_pass() {
        let mut relay = Relay::default();
        let longest = format!("NOOP {}\r\n", "x".repeat(LINE_MAX - 7));
        relay.client(&longest);
        assert_eq!(relay.got(), got(&longest, ""));
        relay.upstream("+OK\r\n").got();
        for more in [1, 2, 10_000] {
            relay.client(&format!("NOOP {}DELE 1\r\nNOOP\r\n", "x".repeat(LINE_MAX - 7 - 6 + more)));
            assert_eq!(relay.got(), got("NOOP\r\n", "-ERR Line too long\r\n"), "{more}");
            relay.upstream("+OK\r\n").got();
        }
    }

    #[test]
    fn what_nobody_asked_for_is_passed_and_cut_by_no_answer() {
        let mut relay = Relay::default();
        relay.upstream("-ERR Discon").client("DELE 1\r\n");
        assert_eq!(relay.got().1, "-ERR Discon");
        relay.upstream("nected\r\n");
        assert_eq!(relay.got().1, format!("nected\r\n{NO}"));
    }

    #[test]
    fn what_is_outstanding_is_bounded_and_goes_on() {
        let mut relay = Relay::default();
        relay.client(&"NOOP\r\nDELE 1\r\n".repeat(1000));
        assert_eq!(relay.got().0.len(), 6 * OUTSTANDING_MAX / 2);
        let mut answers = String::new();
        for _ in 0..1000 {
            answers += &relay.upstream("+OK\r\n").got().1;
        }
        assert_eq!(answers, format!("+OK\r\n{NO}").repeat(1000));
        assert!(relay.held.is_empty());
        // A client that deletes all that it has fetched is told so each time, and waits for nobody.
        relay.client(&"DELE 1\r\n".repeat(10_000));
        assert_eq!(relay.got().1, NO.repeat(10_000));
    }

    /// One side says something.
    #[derive(Clone, Debug)]
    enum Said {
        Client(&'static str),
        Upstream(&'static str),
    }

    fn conversation() -> impl Strategy<Value = Vec<Said>> {
        let client = prop::sample::select(
            &["RETR 1\r\n", "DELE 1\r\n", "NOOP\n", "LIST\r\n", "STAT", "\r", "\r\n", "X\0\r\n", " DELE 2\n"]
                [..],
        );
        let upstream =
            prop::sample::select(&["+OK\r\n", "-ERR no\r\n", "text\r\n", ".\r\n", "..\r\n", ".", "\n"][..]);
        let said = prop_oneof![client.prop_map(Said::Client), upstream.prop_map(Said::Upstream)];
        prop::collection::vec(said, 0..24)
    }

    proptest! {
        /// What is passed does not depend on how it arrives, and the upstream hears nothing but what reads.
        #[test]
        fn every_split_passes_the_same_and_no_command_that_deletes(said in conversation()) {
            let (mut whole, mut split) = (Relay::default(), Relay::default());
            for said in &said {
                match said {
                    Said::Client(text) => {
                        whole.client(text);
                        text.split_inclusive(|_| true).for_each(|c| { split.client(c); });
                    }
                    Said::Upstream(text) => {
                        whole.upstream(text);
                        text.split_inclusive(|_| true).for_each(|c| { split.upstream(c); });
                    }
                }
            }
            let (upstream, client) = whole.got();
            prop_assert_eq!((upstream.clone(), client), split.got());
            // Whatever a server takes for the end of a line.
            for line in upstream.split(['\r', '\n', '\0']) {
                let verb = line.split(' ').next().unwrap_or_default();
                prop_assert!(["", "RETR", "NOOP", "LIST", "STAT"].contains(&verb), "{:?}", upstream);
            }
        }
    }
}
