//! The upstream's side of a guarded relay: finds the answers that decide what the client's next bytes are,
//! and the places between responses where an answer of the gate's own fits.

use crate::protocol::imap::framing::Tail;
use crate::protocol::imap::offer;
use crate::protocol::imap::response::announces;

/// Lines up to this length are looked at whole; of longer ones only the beginning.
const LINE_MAX: usize = 8192;

/// Reads responses.
#[derive(Clone, Debug, Default)]
pub(super) struct Responses {
    /// The beginning of a line that was not passed on yet.
    held: Vec<u8>,
    state: State,
}

#[derive(Clone, Copy, Debug, Default)]
enum State {
    /// The first line of a response.
    #[default]
    First,
    /// A line behind a literal.
    Further,
    /// The rest of a long line.
    Long { tail: Tail, data: bool },
    /// A literal.
    Literal { left: u64 },
}

/// A response that may matter to the client's side.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Noticed {
    /// `+`.
    Continuation,
    /// The first word of a line that is not untagged.
    Tagged(Vec<u8>),
}

impl Responses {
    /// Whether the client has seen the last response whole, and nothing of the next.
    pub(super) fn between(&self) -> bool {
        matches!(self.state, State::First)
    }

    /// Reads at most one line or literal from the front of `bytes`, which is not empty, and passes it on.
    pub(super) fn read(&mut self, bytes: &[u8], to_client: &mut Vec<u8>) -> (usize, Option<Noticed>) {
        if let State::Literal { left } = self.state {
            let used = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
            to_client.extend_from_slice(bytes.get(..used).unwrap_or(bytes));
            self.state = match left - used as u64 {
                0 => State::Further,
                left => State::Literal { left },
            };
            return (used, None);
        }
        let end = bytes.iter().position(|b| *b == b'\n').map(|at| at + 1);
        let part = bytes.get(..end.unwrap_or(bytes.len())).unwrap_or(bytes);
        let noticed = match self.state {
            State::Long { tail, data } => {
                to_client.extend_from_slice(part);
                self.go_on(tail_of(tail, part), data, end.is_some());
                None
            }
            State::First | State::Further | State::Literal { .. } => {
                self.line(part, end.is_some(), to_client)
            }
        };
        (part.len(), noticed)
    }

    fn line(&mut self, part: &[u8], ended: bool, to_client: &mut Vec<u8>) -> Option<Noticed> {
        self.held.extend_from_slice(part);
        if !ended && self.held.len() <= LINE_MAX {
            return None;
        }
        let line = std::mem::take(&mut self.held);
        let first = matches!(self.state, State::First);
        let data = !first || announces(&line);
        self.go_on(tail_of(Tail::default(), &line), data, ended);
        if !first {
            to_client.extend_from_slice(&line);
            return None;
        }
        // However a longer one ends, its first word says what it is.
        to_client.extend_from_slice(&withhold(&line));
        match line.split(|b| b" \r\n".contains(b)).next() {
            Some(b"*") | None => None,
            Some(word) if word.starts_with(b"+") => Some(Noticed::Continuation),
            Some(tag) => Some(Noticed::Tagged(tag.to_vec())),
        }
    }

    /// What follows the part of a line that `tail` ends.
    fn go_on(&mut self, tail: Tail, data: bool, ended: bool) {
        self.state = match tail.announcement().filter(|_| data) {
            _ if !ended => State::Long { tail, data },
            None => State::First,
            Some(announcement) if announcement.length == 0 => State::Further,
            Some(announcement) => State::Literal { left: announcement.length },
        };
    }
}

fn tail_of(tail: Tail, part: &[u8]) -> Tail {
    part.iter().filter(|b| **b != b'\n').fold(tail, |tail, byte| tail.push(*byte))
}

/// The line without the capabilities that clients are not told of, be they a response or a response code.
fn withhold(line: &[u8]) -> Vec<u8> {
    let upper = line.to_ascii_uppercase();
    // Only status lines have codes; in data it may be the subject of a message.
    let code = upper.windows(12).position(|part| part == b"[CAPABILITY ").filter(|_| !announces(line));
    let code = code.map(|at| at + 12);
    let start = if upper.starts_with(b"* CAPABILITY ") { Some(13) } else { code };
    let Some((before, list)) = start.and_then(|start| line.split_at_checked(start)) else {
        return line.to_vec();
    };
    let end = list.iter().position(|b| b"]\r\n".contains(b)).unwrap_or(list.len());
    let (list, after) = list.split_at_checked(end).unwrap_or((list, b""));
    let kept: Vec<&[u8]> = list
        .split(|b| *b == b' ')
        .filter(|word| !std::str::from_utf8(word).is_ok_and(|word| offer::is_withheld(word, true)))
        .collect();
    [before, &kept.join(&b' '), after].concat()
}
