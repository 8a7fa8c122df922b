//! The client's side of a guarded relay: cuts what a client sends into commands and content.
//!
//! ```text
//!   Opening ──verb──▶ Line ──{n}──▶ AwaitingLiteral ──+──▶ Literal ──▶ Line …  ──CRLF──▶ Opening
//!      │               └──IDLE──▶ AwaitingIdle ──+──▶ Idling ──DONE──▶ Opening
//!      └──not allowed──▶ Swallowing ──▶ Opening
//! ```
//!
//! What the upstream answers decides what some bytes of the client's are. So that an answer cannot be taken for
//! another's, a line that asks for one goes upstream only when every command before it was answered: a client
//! may use one tag twice.
//!
//! A literal that the client sends unasked (RFC 7888) goes upstream as one that asks: there are servers (Dovecot is one)
//! that skip the rest of a line that they do not understand, and then read the literal as commands. With a `+` they have
//! said that they read it as a literal; with an answer instead, that they do not, and then it does not reach them.

use std::collections::VecDeque;
use std::mem;

use super::verbs::{self, Fate, Kind};
use crate::base::Access;
use crate::protocol::Violation;
use crate::protocol::imap::command::is_tag;
use crate::protocol::imap::framing::{Announcement, Tail};
use crate::protocol::imap::offer::Capabilities;

/// Tag and verb together; both are short.
const OPENING_MAX: usize = 512;

/// Commands whose answers are outstanding before the client has to wait.
const OUTSTANDING_MAX: usize = 256;

/// The largest literal that `LITERAL-` lets a client send unasked (RFC 7888 section 5).
const SMALL_LITERAL: u64 = 4096;

/// A longer line of who may only read, between literals, does not pass: an upstream may cut it and take the rest for
/// a command. Dovecot takes so much, and RFC 7162 section 4 asks servers for an eighth of it.
const LINE_MAX: usize = 65_536;

/// The largest literal that passes at all. An upstream whose numbers wrap, or that refuses one it cannot hold,
/// would take content for commands; every server counts this far.
const LITERAL_MAX: u64 = i32::MAX as u64;

/// Reads commands.
#[derive(Clone, Debug)]
pub(super) struct Commands {
    /// What the client may do.
    access: Access,
    /// The largest literal that the upstream takes unasked; 0 if it takes none, not even an empty one.
    unasked_max: u64,
    /// Of the command under way.
    tag: Vec<u8>,
    /// What answers it, where it does not pass and the upstream has not answered it.
    answer: Option<&'static str>,
    /// The tags of the commands that wait for their answers, oldest first.
    outstanding: VecDeque<Vec<u8>>,
    /// The last of them is of a kind that the guard does not know: what follows it may be its continuation.
    unknown: bool,
    /// The bytes of a line that are not passed on before they are understood.
    opening: Vec<u8>,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Opening,
    Line {
        line: Line,
        kind: Kind,
    },
    /// The client waits as well, unless it sends the literal unasked.
    AwaitingLiteral {
        length: u64,
        kind: Kind,
        unasked: bool,
    },
    Literal {
        left: u64,
        kind: Kind,
    },
    AwaitingIdle,
    Idling,
    Swallowing(Line),
    SwallowingLiteral {
        left: u64,
    },
}

/// A line as far as it was read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Line {
    tail: Tail,
    quote: Quote,
    /// It has a brace outside of a quoted string: no more than the announcement of a literal has one there.
    braced: bool,
    length: usize,
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
    /// Nothing more is understood, or may pass, until the upstream answers.
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
        self.length = self.length.saturating_add(1);
        self.braced |= byte == b'{' && self.quote == Quote::Outside;
        self.quote = match (self.quote, byte) {
            (Quote::Outside, b'"') | (Quote::Escape, _) => Quote::Inside,
            (Quote::Inside, b'"') => Quote::Outside,
            (Quote::Inside, b'\\') => Quote::Escape,
            (quote, _) => quote,
        };
        Ended::NotYet
    }

    /// Whether it ends as a line that is understood does, where no literal follows. Somebody might take `{5-}` for one that
    /// comes unasked, be it in a quoted string that does not end.
    fn is_closed(&self) -> bool {
        !self.braced && self.quote == Quote::Outside
    }
}

impl Commands {
    pub(super) fn new(capabilities: &Capabilities, access: Access) -> Self {
        let unasked_max = if capabilities.has("LITERAL+") {
            LITERAL_MAX
        } else if capabilities.has("LITERAL-") || capabilities.has("IMAP4rev2") {
            SMALL_LITERAL
        } else {
            0
        };
        Self {
            access,
            unasked_max,
            tag: Vec::new(),
            answer: None,
            outstanding: VecDeque::new(),
            unknown: false,
            opening: Vec::new(),
            state: State::Opening,
        }
    }

    /// The upstream said `+`; whether that is for the client.
    ///
    /// # Errors
    /// [`Violation::UnknownExchange`] where it asks for what only the client could know.
    pub(super) fn go_ahead(&mut self) -> Result<bool, Violation> {
        self.state = match self.state {
            State::AwaitingLiteral { length, kind, unasked } => {
                self.state = literal(length, kind);
                return Ok(!unasked);
            }
            State::AwaitingIdle => State::Idling,
            State::Opening if self.unknown => return Err(Violation::UnknownExchange),
            state @ (State::Opening
            | State::Line { .. }
            | State::Literal { .. }
            | State::Idling
            | State::Swallowing(_)
            | State::SwallowingLiteral { .. }) => state,
        };
        Ok(true)
    }

    /// The upstream answered the command called `tag`: what that announced will not come.
    ///
    /// # Errors
    /// [`Violation::AnsweredEarly`] where the rest of that command is on its way: some upstreams would read it
    /// as commands.
    pub(super) fn answered(&mut self, tag: &[u8]) -> Result<(), Violation> {
        if let Some(at) = self.outstanding.iter().position(|known| known == tag) {
            self.outstanding.remove(at);
            self.unknown &= !self.outstanding.is_empty();
            return Ok(());
        }
        match self.state {
            _ if tag != self.tag => {}
            // It is on its way all the same, with the rest of the command.
            State::AwaitingLiteral { length, unasked: true, .. } => {
                self.answer = None;
                self.state = swallowed(length);
            }
            State::AwaitingLiteral { .. } | State::AwaitingIdle => self.state = State::Opening,
            State::Idling if self.opening.is_empty() => self.state = State::Opening,
            State::Line { .. } | State::Literal { .. } => return Err(Violation::AnsweredEarly),
            State::Idling | State::Opening | State::Swallowing(_) | State::SwallowingLiteral { .. } => {}
        }
        Ok(())
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
            // Every command takes a place that its answer gives back.
            State::Opening if self.opening.is_empty() && self.must_wait() => Ok((0, Next::Wait)),
            State::Literal { left, kind } => {
                let content = front(bytes, left);
                to_upstream.extend_from_slice(content);
                self.state = literal(left - content.len() as u64, kind);
                Ok((content.len(), Next::More))
            }
            State::SwallowingLiteral { left } => {
                let used = front(bytes, left).len();
                self.state = swallowed(left - used as u64);
                Ok((used, Next::More))
            }
            State::Opening => self.each(bytes, |commands, byte| commands.open(byte, to_upstream)),
            State::Idling => self.each(bytes, |commands, byte| commands.idle(byte, to_upstream)),
            State::Line { mut line, kind } => {
                self.each(bytes, |commands, byte| commands.pass(&mut line, kind, byte, to_upstream))
            }
            State::Swallowing(mut line) => {
                self.each(bytes, |commands, byte| commands.swallow(&mut line, byte))
            }
        }
    }

    /// Whether the next command must not begin yet.
    fn must_wait(&self) -> bool {
        self.unknown || self.outstanding.len() >= OUTSTANDING_MAX
    }

    /// Reads byte by byte, until the state is another or there is something to do. A byte that has to wait was
    /// not read.
    fn each(
        &mut self,
        bytes: &[u8],
        mut read: impl FnMut(&mut Self, u8) -> Result<Next, Violation>,
    ) -> Result<(usize, Next), Violation> {
        let before = mem::discriminant(&self.state);
        for (at, byte) in bytes.iter().enumerate() {
            let next = read(self, *byte)?;
            if next == Next::Wait {
                return Ok((at, next));
            }
            // An answer ends its command, so that the state is another behind it.
            if mem::discriminant(&self.state) != before {
                return Ok((at + 1, next));
            }
        }
        Ok((bytes.len(), Next::More))
    }

    /// Collects tag and verb, and where that does not tell enough the word behind it. Where blanks go first, or another
    /// control character than the CR of the line end stands among them, two servers may disagree about which word is
    /// the verb; and the answer to a command with an invalid tag could be taken for another's, or for a `+`.
    fn open(&mut self, byte: u8, to_upstream: &mut Vec<u8>) -> Result<Next, Violation> {
        let words = words(&self.opening).count();
        let verb = words_of(&self.opening).1;
        match byte {
            b'\r' => {}
            b' ' if words >= verbs::telling_words(verb, self.access) => {}
            b' ' if words == 0 => return Err(Violation::Ambiguous),
            _ if byte.is_ascii_control() || self.opening.len() >= OPENING_MAX => {
                return Err(Violation::Ambiguous);
            }
            _ => {
                self.opening.push(byte);
                return Ok(Next::More);
            }
        }
        let mut opening = mem::take(&mut self.opening);
        let (tag, verb, behind) = words_of(&opening);
        // A line without any word is nothing that is answered by tag.
        if !tag.is_empty() && !std::str::from_utf8(tag).is_ok_and(is_tag) {
            return Err(Violation::Ambiguous);
        }
        let fate = match verb {
            // A word alone is no command, and nobody knows by which tag it would be answered: the `DONE` of an `IDLE`
            // that is over already, most likely.
            b"" if !tag.is_empty() => Fate::Answered(verbs::NOT_AVAILABLE),
            verb => verbs::fate(verb, behind, self.access),
        };
        self.tag = tag.to_vec();
        if let Fate::PassesAs(other, _) = fate {
            // A line that does not begin with its tag was not read so far.
            let blanks = opening.iter().skip(tag.len()).take_while(|byte| **byte == b' ').count();
            let start = tag.len() + blanks;
            let end = start + verb.len();
            drop(opening.splice(start..end, other.iter().copied()));
        }
        opening.push(byte);
        let mut line = Line::default();
        for byte in &opening {
            // No LF among them, and CR at most as the last.
            line.push(*byte);
        }
        match fate {
            Fate::Answered(answer) => {
                self.answer = Some(answer);
                self.state = State::Swallowing(line);
            }
            Fate::Passes(kind) | Fate::PassesAs(_, kind) => {
                to_upstream.extend_from_slice(opening.strip_suffix(line.tail.unasked()).unwrap_or(&opening));
                self.state = State::Line { line, kind };
            }
        }
        Ok(Next::More)
    }

    /// The rest of a line that passes.
    fn pass(
        &mut self,
        line: &mut Line,
        kind: Kind,
        byte: u8,
        to_upstream: &mut Vec<u8>,
    ) -> Result<Next, Violation> {
        let held = line.tail.unasked();
        let is_strange = byte.is_ascii_control() && !matches!(byte, b'\r' | b'\n' | b'\t');
        let announcement = match line.push(byte) {
            // No text has a NUL (RFC 9051 section 9), and a server may end a line at it.
            _ if (is_strange || line.length > LINE_MAX) && self.access == Access::ReadOnly => {
                return Err(Violation::Ambiguous);
            }
            Ended::NotYet => {
                if line.tail.unasked().is_empty() {
                    to_upstream.extend_from_slice(held);
                    to_upstream.push(byte);
                }
                self.state = State::Line { line: *line, kind };
                return Ok(Next::More);
            }
            Ended::Ambiguously => return Err(Violation::Ambiguous),
            Ended::Here(None) if !line.is_closed() && self.access == Access::ReadOnly => {
                return Err(Violation::Ambiguous);
            }
            Ended::Here(announcement) => announcement,
        };
        let quote = line.quote;
        let next = match announcement {
            None if kind == Kind::Idle => State::AwaitingIdle,
            None => State::Opening,
            Some(Announcement { length, .. }) if length > LITERAL_MAX => return Err(Violation::Ambiguous),
            Some(Announcement { length, synchronising: true }) => {
                State::AwaitingLiteral { length, kind, unasked: false }
            }
            // No client sends what it was not told that it may, and an upstream that reads an unfinished quoted string
            // announces nothing.
            Some(Announcement { length, .. })
                if length > self.unasked_max || self.unasked_max == 0 || quote != Quote::Outside =>
            {
                return Err(Violation::Ambiguous);
            }
            Some(Announcement { length, .. }) => State::AwaitingLiteral { length, kind, unasked: true },
        };
        // The answer that this asks for must be the only one that can come.
        let asks = matches!(next, State::AwaitingLiteral { .. } | State::AwaitingIdle);
        if asks && !self.outstanding.is_empty() {
            return Ok(Next::Wait);
        }
        if next == State::Opening && !self.tag.is_empty() {
            self.outstanding.push_back(mem::take(&mut self.tag));
            self.unknown = kind == Kind::Unknown;
        }
        *line = Line::default();
        self.state = next;
        match held {
            b"" => to_upstream.push(byte),
            _ => to_upstream.extend_from_slice(b"}\r\n"),
        }
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
            self.outstanding.push_back(mem::take(&mut self.tag));
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
            self.state = swallowed(length);
            return Ok(Next::More);
        }
        self.state = State::Opening;
        let Some(answer) = self.answer.take() else { return Ok(Next::More) };
        let tag = std::str::from_utf8(&self.tag).ok().filter(|tag| is_tag(tag)).unwrap_or("*");
        Ok(Next::Answer(format!("{tag} {answer}\r\n").into_bytes()))
    }
}

/// The words of an opening: blanks stand between them.
fn words(opening: &[u8]) -> impl Iterator<Item = &[u8]> {
    opening.split(|byte| *byte == b' ').filter(|word| !word.is_empty())
}

/// The first three, empty where there are fewer: tag, verb, and what is behind it.
fn words_of(opening: &[u8]) -> (&[u8], &[u8], &[u8]) {
    let mut words = words(opening);
    let mut next = || words.next().unwrap_or_default();
    (next(), next(), next())
}

/// The next state where so many bytes of content follow.
fn literal(length: u64, kind: Kind) -> State {
    match length {
        0 => State::Line { line: Line::default(), kind },
        left => State::Literal { left, kind },
    }
}

/// The same of a command that does not pass.
fn swallowed(length: u64) -> State {
    match length {
        0 => State::Swallowing(Line::default()),
        left => State::SwallowingLiteral { left },
    }
}

fn front(bytes: &[u8], count: u64) -> &[u8] {
    let count = usize::try_from(count).unwrap_or(usize::MAX).min(bytes.len());
    bytes.get(..count).unwrap_or(bytes)
}
