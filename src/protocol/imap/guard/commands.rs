//! The client's side of a guarded relay: cuts what a client sends into commands and content.
//!
//! ```text
//!   Opening ──verb──▶ Line ──{n}──▶ AwaitingLiteral ──+──▶ Literal ──▶ Line …  ──CRLF──▶ Opening
//!      │               └──IDLE──▶ AwaitingIdle ──+──▶ Idling ──DONE──▶ Opening
//!      └──not allowed──▶ Swallowing ──▶ Opening
//! ```

use std::mem;
use std::ops::Range;

use crate::protocol::Violation;
use crate::protocol::imap::command::is_tag;
use crate::protocol::imap::framing::{Announcement, Tail};
use crate::protocol::imap::offer::Capabilities;

/// Tag and verb together; both are short.
const OPENING_MAX: usize = 512;

/// The largest literal that `LITERAL-` lets a client send unasked (RFC 7888 section 5).
const SMALL_LITERAL: u64 = 4096;

/// The largest literal that passes at all. An upstream whose numbers wrap, or that refuses one it cannot hold,
/// would take content for commands; every server counts this far.
const LITERAL_MAX: u64 = i32::MAX as u64;

/// The most bytes of tags that await their answers; a client with more commands under way has to wait.
const TAGS_MAX: usize = 8192;

/// Reads commands.
#[derive(Clone, Debug)]
pub(super) struct Commands {
    /// The largest literal that the upstream takes unasked; 0 if it takes none, not even an empty one.
    unasked_max: u64,
    /// Of the command under way.
    tag: Vec<u8>,
    /// Of the commands that were passed on and not answered yet, each with a CR behind it.
    unanswered: Vec<u8>,
    /// The bytes of a line that are not passed on before they are understood.
    opening: Vec<u8>,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Opening,
    Line { line: Line, idle: bool },
    AwaitingLiteral { length: u64 },
    Literal { left: u64 },
    AwaitingIdle,
    Idling,
    Swallowing(Line),
    SwallowingLiteral { left: u64 },
}

/// A line as far as it was read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Line {
    tail: Tail,
    quote: Quote,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Quote {
    #[default]
    Outside,
    Inside,
    Escape,
}

/// What a byte does to a line.
enum Ended {
    NotYet,
    Here(Option<Announcement>),
    /// CR or LF alone: the upstream may see the end of the line elsewhere.
    Ambiguously,
}

/// What to do after some bytes were read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Read on.
    More,
    /// Nothing more is understood until the upstream answers.
    Wait,
    /// A command was not passed on; this line answers it.
    Answer(Vec<u8>),
}

impl Line {
    fn push(&mut self, byte: u8) -> Ended {
        let returned = matches!(self.tail, Tail::Return(_));
        match (byte, returned) {
            (b'\n', true) => return Ended::Here(self.tail.announcement()),
            (b'\n', false) | (_, true) => return Ended::Ambiguously,
            _ => {}
        }
        self.tail = self.tail.push(byte);
        self.quote = match (self.quote, byte) {
            (Quote::Outside, b'"') | (Quote::Escape, _) => Quote::Inside,
            (Quote::Inside, b'"') => Quote::Outside,
            (Quote::Inside, b'\\') => Quote::Escape,
            (quote, _) => quote,
        };
        Ended::NotYet
    }
}

impl Commands {
    pub(super) fn new(capabilities: &Capabilities) -> Self {
        let unasked_max = if capabilities.has("LITERAL+") {
            LITERAL_MAX
        } else if capabilities.has("LITERAL-") || capabilities.has("IMAP4rev2") {
            SMALL_LITERAL
        } else {
            0
        };
        Self {
            unasked_max,
            tag: Vec::new(),
            unanswered: Vec::new(),
            opening: Vec::new(),
            state: State::Opening,
        }
    }

    /// The upstream said `+`.
    pub(super) fn go_ahead(&mut self) {
        self.state = match self.state {
            State::AwaitingLiteral { length } => literal(length),
            State::AwaitingIdle => State::Idling,
            state @ (State::Opening
            | State::Line { .. }
            | State::Literal { .. }
            | State::Idling
            | State::Swallowing(_)
            | State::SwallowingLiteral { .. }) => state,
        };
    }

    /// The upstream answered the command called `tag`: what that announced will not come.
    pub(super) fn answered(&mut self, tag: &[u8]) {
        if let Some(place) = self.unanswered(tag) {
            self.unanswered.drain(place);
        }
        let waiting =
            matches!(self.state, State::AwaitingLiteral { .. } | State::AwaitingIdle | State::Idling);
        if waiting && tag == self.tag && self.opening.is_empty() {
            self.state = State::Opening;
        }
    }

    /// Where the tag of a command that awaits its answer stands.
    fn unanswered(&self, tag: &[u8]) -> Option<Range<usize>> {
        let mut start = 0;
        self.unanswered.split_inclusive(|b| *b == b'\r').find_map(|known| {
            let place = start..start + known.len();
            start = place.end;
            (known.strip_suffix(b"\r") == Some(tag)).then_some(place)
        })
    }

    /// Reads from the front of `bytes`, which is not empty, and passes on what may pass: how many bytes were
    /// used, and what to do next.
    ///
    /// # Errors
    /// [`Violation::Ambiguous`] where the upstream could read the bytes as something else than the guard
    /// does.
    pub(super) fn read(
        &mut self,
        bytes: &[u8],
        to_upstream: &mut Vec<u8>,
    ) -> Result<(usize, Next), Violation> {
        match self.state {
            State::AwaitingLiteral { .. } | State::AwaitingIdle => Ok((0, Next::Wait)),
            State::Opening if self.unanswered.len() > TAGS_MAX => Ok((0, Next::Wait)),
            State::Literal { left } => {
                let content = front(bytes, left);
                to_upstream.extend_from_slice(content);
                self.state = match left - content.len() as u64 {
                    0 => State::Line { line: Line::default(), idle: false },
                    left => State::Literal { left },
                };
                Ok((content.len(), Next::More))
            }
            State::SwallowingLiteral { left } => {
                let used = front(bytes, left).len();
                self.state = match left - used as u64 {
                    0 => State::Swallowing(Line::default()),
                    left => State::SwallowingLiteral { left },
                };
                Ok((used, Next::More))
            }
            State::Opening => self.each(bytes, |commands, byte| commands.open(byte, to_upstream)),
            State::Idling => self.each(bytes, |commands, byte| commands.idle(byte, to_upstream)),
            State::Line { mut line, idle } => {
                self.each(bytes, |commands, byte| commands.pass(&mut line, idle, byte, to_upstream))
            }
            State::Swallowing(mut line) => {
                self.each(bytes, |commands, byte| commands.swallow(&mut line, byte))
            }
        }
    }

    /// Reads byte by byte, until the state is another or there is something to do.
    fn each(
        &mut self,
        bytes: &[u8],
        mut read: impl FnMut(&mut Self, u8) -> Result<Next, Violation>,
    ) -> Result<(usize, Next), Violation> {
        let before = mem::discriminant(&self.state);
        for (at, byte) in bytes.iter().enumerate() {
            let next = read(self, *byte)?;
            if next != Next::More || mem::discriminant(&self.state) != before {
                return Ok((at + 1, next));
            }
        }
        Ok((bytes.len(), Next::More))
    }

    /// Collects tag and verb.
    fn open(&mut self, byte: u8, to_upstream: &mut Vec<u8>) -> Result<Next, Violation> {
        self.opening.push(byte);
        let words = |separators: &'static [u8]| {
            self.opening.split(|b| separators.contains(b)).filter(|word| !word.is_empty())
        };
        match byte {
            b'\r' => {}
            b' ' if words(b" \r").count() >= 2 => {}
            b'\n' => return Err(Violation::Ambiguous),
            // Some servers end a word where others read on.
            _ if byte.is_ascii_control() && byte != b'\t' => return Err(Violation::Ambiguous),
            _ if self.opening.len() > OPENING_MAX => return Err(Violation::Ambiguous),
            _ => return Ok(Next::More),
        }
        // An upstream that skips blanks before a command and one that takes them for an empty tag disagree
        // about which word is the verb.
        let blank_first = self.opening.first().is_some_and(|b| b" \t".contains(b));
        // So do one to which a tab is a blank, and one to which it is part of a word.
        let is = |name: &[u8]| {
            [&b" \r"[..], b" \t\r"].into_iter().any(|separators| {
                let mut verbs = words(separators).take(2).skip(usize::from(!blank_first));
                verbs.any(|verb| verb.eq_ignore_ascii_case(name))
            })
        };
        let refused = REFUSED.iter().any(|name| is(name));
        let idle = is(b"IDLE");
        self.tag = words(b" \t\r").next().unwrap_or_default().to_vec();
        let opening = mem::take(&mut self.opening);
        let mut line = Line::default();
        for byte in &opening {
            // No LF among them, and CR at most as the last.
            line.push(*byte);
        }
        // An answer to the command before would be taken for one to this, and its literal for refused; one that
        // repeats a `+` would be taken for leave to send it.
        if self.unanswered(&self.tag).is_some() || self.tag.starts_with(b"+") {
            return Err(Violation::Ambiguous);
        }
        if refused {
            self.state = State::Swallowing(line);
        } else {
            if !self.tag.is_empty() {
                self.unanswered.extend_from_slice(&self.tag);
                self.unanswered.push(b'\r');
            }
            to_upstream.extend_from_slice(&opening);
            self.state = State::Line { line, idle };
        }
        Ok(Next::More)
    }

    /// The rest of a line that passes.
    fn pass(
        &mut self,
        line: &mut Line,
        idle: bool,
        byte: u8,
        to_upstream: &mut Vec<u8>,
    ) -> Result<Next, Violation> {
        let announcement = match line.push(byte) {
            Ended::NotYet => {
                to_upstream.push(byte);
                self.state = State::Line { line: *line, idle };
                return Ok(Next::More);
            }
            Ended::Ambiguously => return Err(Violation::Ambiguous),
            Ended::Here(announcement) => announcement,
        };
        let quote = line.quote;
        *line = Line::default();
        self.state = match announcement {
            None if idle => State::AwaitingIdle,
            None => State::Opening,
            Some(Announcement { length, .. }) if length > LITERAL_MAX => return Err(Violation::Ambiguous),
            Some(Announcement { length, synchronising: true }) => State::AwaitingLiteral { length },
            // An upstream that does not take the literal takes its content for commands, and so may one that
            // reads an unfinished quoted string.
            Some(Announcement { length, .. })
                if length > self.unasked_max || self.unasked_max == 0 || quote != Quote::Outside =>
            {
                return Err(Violation::Ambiguous);
            }
            Some(Announcement { length, .. }) => literal(length),
        };
        to_upstream.push(byte);
        Ok(Next::More)
    }

    /// While `IDLE` lasts there is one thing to say (RFC 9051 section 6.3.13).
    fn idle(&mut self, byte: u8, to_upstream: &mut Vec<u8>) -> Result<Next, Violation> {
        const DONE: &[u8] = b"DONE\r\n";
        self.opening.push(byte);
        match DONE.get(..self.opening.len()) {
            Some(so_far) if so_far.eq_ignore_ascii_case(&self.opening) => {}
            _ => return Err(Violation::Ambiguous),
        }
        if self.opening.len() == DONE.len() {
            to_upstream.append(&mut self.opening);
            self.state = State::Opening;
        }
        Ok(Next::More)
    }

    /// The rest of a command that does not pass. Nobody says `+` to it, so a synchronising literal will not
    /// come.
    fn swallow(&mut self, line: &mut Line, byte: u8) -> Result<Next, Violation> {
        let announcement = match line.push(byte) {
            Ended::NotYet => {
                self.state = State::Swallowing(*line);
                return Ok(Next::More);
            }
            Ended::Ambiguously => return Err(Violation::Ambiguous),
            Ended::Here(announcement) => announcement,
        };
        *line = Line::default();
        if let Some(Announcement { length, synchronising: false }) = announcement {
            self.state = match length {
                0 => State::Swallowing(Line::default()),
                left => State::SwallowingLiteral { left },
            };
            return Ok(Next::More);
        }
        self.state = State::Opening;
        let tag = std::str::from_utf8(&self.tag).ok().filter(|tag| is_tag(tag)).unwrap_or("*");
        Ok(Next::Answer(format!("{tag} BAD Not available here\r\n").into_bytes()))
    }
}

/// What would change who the client is; what would hide the commands from the guard; and what is no command
/// once logged in, but would have continuation lines.
const REFUSED: [&[u8]; 3] = [b"UNAUTHENTICATE", b"COMPRESS", b"AUTHENTICATE"];

fn literal(length: u64) -> State {
    match length {
        0 => State::Line { line: Line::default(), idle: false },
        left => State::Literal { left },
    }
}

fn front(bytes: &[u8], count: u64) -> &[u8] {
    let count = usize::try_from(count).unwrap_or(usize::MAX).min(bytes.len());
    bytes.get(..count).unwrap_or(bytes)
}
