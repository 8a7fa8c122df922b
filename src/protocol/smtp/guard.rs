//! The relay of a submission session: reads the client's commands on their way, and the codes of the
//! upstream's replies, so that the two are matched and every reply reaches the client in its order.
//!
//! Untrusted on both sides. It must never let a command pass that changes who the client is, never take
//! message content for commands or commands for content, and never change content.
//!
//! ```text
//!   Commands ── DATA, EHLO, unknown ─▶ Waiting ── reply ─▶ Commands
//!     │  ▲ ▲                              └────── 354 ───▶ Content ─┐
//!     │  │ └────────────────── CRLF . CRLF ─────────────────────────┘
//!     └──┴─ BDAT ─▶ Chunk
//! ```

use std::collections::VecDeque;

use memchr::memchr;

use super::Offer;
use super::after_login::{Fate, Last, Own, Pivot, judge};
use super::content::{self, Content};
use super::replies::{self, Manner, Replies, filter_hello};
use crate::protocol::course::Rest;
use crate::protocol::guard::{Forward, RelayGuard, Violation};

/// The longest command line that passes, in bytes with its line end. Servers that cut longer lines take the rest
/// for another command, and Postfix, which knows `XCLIENT`, did so at this length for years. What RFC 5321
/// section 4.5.3.1.4 and the extensions to MAIL and RCPT allow is half of it.
const LINE_MAX: usize = 2048;

/// Commands whose replies are outstanding before the client has to wait: more recipients than submission
/// servers take in one message (RFC 5321 section 4.5.3.1.8 asks for 100).
const OUTSTANDING_MAX: usize = 1024;

/// Commands that the gate had to answer itself before the connection ends: an honest client sends none.
const REFUSED_MAX: u32 = 100;

/// Reads along; see the module.
pub struct Guard {
    phase: Phase,
    /// A command line that has not ended yet.
    line: Vec<u8>,
    /// What the client waits for, oldest first; the gate's own answers are never first.
    outstanding: VecDeque<Due>,
    /// Of the reply that has begun: what it answers; `Some(None)` where nobody asked.
    answering: Option<Option<Due>>,
    replies: Replies,
    /// Whether the upstream takes BDAT: sent to one that does not, a chunk would be read as commands.
    chunking: bool,
    refused: u32,
}

/// What the client's next byte is.
enum Phase {
    /// Part of a command line.
    Commands,
    /// Part of a line that is too long, up to its LF.
    Skipping,
    /// Unknown until the upstream has replied.
    Waiting,
    /// Part of a message after DATA.
    Content(Content),
    /// One of so many bytes after BDAT.
    Chunk(u64, Chunk),
}

#[derive(Clone, Copy)]
enum Chunk {
    Passes,
    /// The upstream never heard of it.
    Vanishes,
}

/// A reply that is due to the client.
#[derive(Clone, Copy)]
enum Due {
    Reply,
    /// To BDAT.
    Chunk,
    Pivot(Pivot),
    Own(Own),
}

impl Guard {
    /// For an upstream that offers `offer` to this client.
    #[must_use]
    pub fn new(offer: &Offer) -> Self {
        Self {
            phase: Phase::Commands,
            line: Vec::new(),
            outstanding: VecDeque::new(),
            answering: None,
            replies: Replies::default(),
            chunking: offer.has("CHUNKING"),
            refused: 0,
        }
    }
}

impl RelayGuard for Guard {
    fn client_sent(&mut self, bytes: &[u8], out: &mut Forward) -> Result<usize, Violation> {
        let mut rest = bytes;
        while !rest.is_empty() {
            // An upstream that replies now may have stopped reading this as a message.
            if self.is_answered() {
                break;
            }
            let used = match &mut self.phase {
                Phase::Waiting => break,
                Phase::Commands if self.outstanding.len() >= OUTSTANDING_MAX => break,
                Phase::Commands => self.take_command_bytes(rest, out)?,
                Phase::Skipping => match memchr(b'\n', rest) {
                    Some(at) => {
                        self.phase = Phase::Commands;
                        self.answer(Own::LineTooLong, out)?;
                        at + 1
                    }
                    None => rest.len(),
                },
                Phase::Content(content) => match content.read(rest, &mut out.to_upstream) {
                    content::Led::On => rest.len(),
                    content::Led::ToTheEnd(used) => {
                        self.phase = Phase::Commands;
                        self.outstanding.push_back(Due::Reply);
                        used
                    }
                    content::Led::Astray => {
                        out.to_client
                            .extend_from_slice(b"554 5.6.0 Message has a line that looks like its end\r\n");
                        return Err(Violation::DeviatingEnd);
                    }
                },
                Phase::Chunk(left, chunk) => {
                    let used = usize::try_from(*left).map_or(rest.len(), |left| left.min(rest.len()));
                    if let Chunk::Passes = chunk {
                        out.to_upstream.extend_from_slice(rest.get(..used).unwrap_or_default());
                    }
                    *left -= used as u64;
                    if *left == 0 {
                        self.phase = Phase::Commands;
                    }
                    used
                }
            };
            rest = rest.get(used..).unwrap_or_default();
        }
        Ok(bytes.len() - rest.len())
    }

    fn upstream_sent(&mut self, bytes: &[u8], out: &mut Forward) -> Result<(), Violation> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let due = *self.answering.get_or_insert_with(|| self.outstanding.pop_front());
            let manner = match due {
                Some(Due::Pivot(Pivot::Ehlo)) => Manner::Hold,
                Some(
                    Due::Pivot(Pivot::Data | Pivot::Helo | Pivot::Other)
                    | Due::Reply
                    | Due::Chunk
                    | Due::Own(_),
                )
                | None => Manner::Pass,
            };
            // A 3xx asks for more, which only DATA has to give, and only after 354.
            let allowed =
                |code| code / 100 != 3 || (code == 354 && matches!(due, Some(Due::Pivot(Pivot::Data))));
            match self.replies.read(rest, manner, allowed, &mut out.to_client)? {
                replies::Led::On => return Ok(()),
                replies::Led::Complete(code, used) => {
                    rest = rest.get(used..).unwrap_or_default();
                    self.replied(due, code, out)?;
                }
            }
        }
        Ok(())
    }

    fn rest(&self) -> Option<Rest> {
        Some(if self.is_between() { Rest::Done } else { Rest::Busy })
    }
}

impl Guard {
    /// Whether no command, message or reply is under way.
    fn is_between(&self) -> bool {
        matches!(self.phase, Phase::Commands)
            && self.line.is_empty()
            && self.outstanding.is_empty()
            && self.answering.is_none()
    }

    /// Takes bytes up to the end of a command line, and says how many.
    fn take_command_bytes(&mut self, bytes: &[u8], out: &mut Forward) -> Result<usize, Violation> {
        let end = memchr(b'\n', bytes).map(|at| at + 1);
        let used = end.unwrap_or(bytes.len());
        let line = bytes.get(..used).unwrap_or_default();
        let length = self.line.len() + line.len();
        // A line of `LINE_MAX` bytes is within the bound; one that has not ended by then is not.
        let too_long = length > LINE_MAX || (end.is_none() && length == LINE_MAX);
        match end {
            None if too_long => {
                self.line = Vec::new();
                self.phase = Phase::Skipping;
            }
            None => self.line.extend_from_slice(line),
            Some(_) if too_long => {
                self.line = Vec::new();
                self.answer(Own::LineTooLong, out)?;
            }
            Some(_) if self.line.is_empty() => self.take_line(line, out)?,
            Some(_) => {
                let mut whole = std::mem::take(&mut self.line);
                whole.extend_from_slice(line);
                self.take_line(&whole, out)?;
            }
        }
        Ok(used)
    }

    fn take_line(&mut self, line: &[u8], out: &mut Forward) -> Result<(), Violation> {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        match judge(line) {
            Fate::Answer(own) => return self.answer(own, out),
            Fate::UnclearChunk => {
                out.to_client.extend_from_slice(b"501 5.5.4 Unclear chunk size\r\n");
                return Err(Violation::UnclearChunk);
            }
            Fate::Chunk(size, _) if !self.chunking => {
                self.chunk(size, Chunk::Vanishes);
                return self.answer(Own::NoChunks, out);
            }
            // Spelled so that every upstream reads the same length.
            Fate::Chunk(size, last) => {
                let last = if last == Last::Yes { " LAST" } else { "" };
                out.to_upstream.extend_from_slice(format!("BDAT {size}{last}\r\n").as_bytes());
                self.outstanding.push_back(Due::Chunk);
                self.chunk(size, Chunk::Passes);
                return Ok(());
            }
            Fate::Pass => self.outstanding.push_back(Due::Reply),
            Fate::PassAndWait(pivot) => {
                self.outstanding.push_back(Due::Pivot(pivot));
                self.phase = Phase::Waiting;
            }
        }
        // With a CRLF, whatever the client sent: the upstream sees the line end where the gate saw it.
        out.to_upstream.extend_from_slice(line);
        out.to_upstream.extend_from_slice(b"\r\n");
        Ok(())
    }

    fn chunk(&mut self, size: u64, chunk: Chunk) {
        if size > 0 {
            self.phase = Phase::Chunk(size, chunk);
        }
    }

    /// The gate answers, behind the replies that are still to come.
    fn answer(&mut self, own: Own, out: &mut Forward) -> Result<(), Violation> {
        self.refused += 1;
        if self.refused > REFUSED_MAX {
            out.to_client.extend_from_slice(b"421 4.7.0 Too many errors\r\n");
            return Err(Violation::TooManyRefused);
        }
        if self.outstanding.is_empty() && self.answering.is_none() {
            out.to_client.extend_from_slice(own.text().as_bytes());
        } else {
            self.outstanding.push_back(Due::Own(own));
        }
        Ok(())
    }

    /// The upstream's reply to `due` is complete.
    fn replied(&mut self, due: Option<Due>, code: u16, out: &mut Forward) -> Result<(), Violation> {
        let early = self.is_answered();
        self.answering = None;
        match due {
            // What follows would be read as commands: a message or a chunk is replied to when it was read to
            // its end (RFC 3030 section 2).
            _ if early => return Err(Violation::AnsweredEarly),
            // Nobody asked: a farewell, most likely.
            None | Some(Due::Reply | Due::Chunk | Due::Own(_)) => {}
            Some(Due::Pivot(pivot)) => {
                self.phase = Phase::Commands;
                match pivot {
                    Pivot::Data if code == 354 => self.phase = Phase::Content(Content::new()),
                    Pivot::Ehlo => self.hello(code, out),
                    Pivot::Helo if code == 250 => self.chunking = false,
                    Pivot::Data | Pivot::Helo | Pivot::Other => {}
                }
            }
        }
        while let Some(Due::Own(own)) = self.outstanding.front() {
            out.to_client.extend_from_slice(own.text().as_bytes());
            self.outstanding.pop_front();
        }
        Ok(())
    }

    /// Whether a reply has begun to the message or chunk that is still on its way.
    fn is_answered(&self) -> bool {
        match (&self.phase, self.answering) {
            (Phase::Content(_), Some(_)) => true,
            // Its own is the last of what is due; those before may be to chunks as well.
            (Phase::Chunk(_, Chunk::Passes), Some(Some(Due::Chunk))) => self.outstanding.is_empty(),
            _ => false,
        }
    }

    fn hello(&mut self, code: u16, out: &mut Forward) {
        let reply = self.replies.take_held();
        if code == 250 {
            let (filtered, chunking) = filter_hello(&reply);
            self.chunking = chunking;
            out.to_client.extend_from_slice(&filtered);
        } else {
            out.to_client.extend_from_slice(&reply);
        }
    }
}

#[cfg(test)]
mod tests;
