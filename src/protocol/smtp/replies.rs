//! The upstream's replies after login, on their way to the client: only their codes are read, except that
//! the reply to EHLO is held until it can be filtered.

use memchr::memchr;

use super::offer::is_withheld;
use super::status::code_and_more;
use crate::protocol::Violation;

/// The longest EHLO reply, in bytes: those met in the wild have less than one kilobyte.
const HELLO_MAX: usize = 16 * 1024;

/// A reply under way.
#[derive(Default)]
pub(super) struct Replies {
    /// The first bytes of the line, as far as they came; its code once there are four or it ended.
    start: Vec<u8>,
    /// Behind the start of a line: whether another line follows this one.
    in_text: Option<bool>,
    code: Option<u16>,
    held: Vec<u8>,
}

/// What the client may see of a reply.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Manner {
    /// It passes as it comes.
    Pass,
    /// It is held, and handed out when complete.
    Hold,
}

/// How far a piece led.
pub(super) enum Led {
    On,
    /// The reply is complete: its code, and how many bytes of the piece were its.
    Complete(u16, usize),
}

impl Replies {
    /// Reads the next piece of one reply and appends to `out` what may pass. `allowed` says which codes may
    /// answer what was asked.
    pub(super) fn read(
        &mut self,
        bytes: &[u8],
        manner: Manner,
        allowed: impl Fn(u16) -> bool,
        out: &mut Vec<u8>,
    ) -> Result<Led, Violation> {
        let mut rest = bytes;
        while let Some((first, behind_first)) = rest.split_first() {
            match self.in_text {
                None => {
                    self.start.push(*first);
                    rest = behind_first;
                    if self.start.len() < 4 && *first != b'\n' {
                        continue;
                    }
                    let more = self.line_begins(&allowed)?;
                    let start = std::mem::take(&mut self.start);
                    self.hand_on(&start, manner, out)?;
                    if *first != b'\n' {
                        self.in_text = Some(more);
                    } else if !more {
                        return Ok(self.complete(bytes.len() - rest.len()));
                    }
                }
                Some(more) => {
                    let end = memchr(b'\n', rest).map(|at| at + 1);
                    let (text, behind) =
                        rest.split_at_checked(end.unwrap_or(rest.len())).unwrap_or((rest, &[]));
                    self.hand_on(text, manner, out)?;
                    rest = behind;
                    if end.is_some() {
                        self.in_text = None;
                        if !more {
                            return Ok(self.complete(bytes.len() - rest.len()));
                        }
                    }
                }
            }
        }
        Ok(Led::On)
    }

    /// The held reply as it is.
    pub(super) fn take_held(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.held)
    }

    fn line_begins(&mut self, allowed: impl Fn(u16) -> bool) -> Result<bool, Violation> {
        let mut start = [b'\n'; 4];
        for (place, byte) in start.iter_mut().zip(&self.start) {
            *place = *byte;
        }
        let (code, more) = code_and_more(start).ok_or(Violation::Garbage("what is no reply"))?;
        if self.code.is_some_and(|before| before != code) {
            return Err(Violation::Garbage("a reply of two codes"));
        }
        if !allowed(code) {
            return Err(Violation::UnknownExchange);
        }
        self.code = Some(code);
        Ok(more)
    }

    fn hand_on(&mut self, bytes: &[u8], manner: Manner, out: &mut Vec<u8>) -> Result<(), Violation> {
        match manner {
            Manner::Pass => out.extend_from_slice(bytes),
            Manner::Hold if self.held.len() + bytes.len() > HELLO_MAX => {
                return Err(Violation::Garbage("an endless reply to EHLO"));
            }
            Manner::Hold => self.held.extend_from_slice(bytes),
        }
        Ok(())
    }

    fn complete(&mut self, used: usize) -> Led {
        Led::Complete(self.code.take().unwrap_or_default(), used)
    }
}

/// A reply to EHLO without what a client must not see, and whether it offers CHUNKING.
pub(super) fn filter_hello(reply: &[u8]) -> (Vec<u8>, bool) {
    let lines: Vec<&[u8]> = reply.split_inclusive(|b| *b == b'\n').collect();
    let text = |line: &[u8]| String::from_utf8_lossy(line.get(4..).unwrap_or_default()).trim().to_owned();
    // The first line is the greeting, whatever it says.
    let kept = lines.iter().enumerate().filter(|(at, line)| *at == 0 || !is_withheld(&text(line)));
    let kept: Vec<&[u8]> = kept.map(|(_, line)| *line).collect();
    let chunking = kept.iter().skip(1).any(|line| text(line).eq_ignore_ascii_case("CHUNKING"));
    let mut out = Vec::with_capacity(reply.len());
    for (at, line) in kept.iter().enumerate() {
        let separator = out.len() + 3;
        out.extend_from_slice(line);
        if let Some(place) = out.get_mut(separator).filter(|byte| matches!(byte, b' ' | b'-')) {
            *place = if at + 1 == kept.len() { b' ' } else { b'-' };
        }
    }
    (out, chunking)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is held once `pieces` of a reply to EHLO have come.
    fn hold(pieces: &[&[u8]]) -> Result<usize, Violation> {
        let (mut replies, mut out) = (Replies::default(), Vec::new());
        for piece in pieces {
            replies.read(piece, Manner::Hold, |_| true, &mut out)?;
        }
        assert_eq!(out, b"");
        Ok(replies.held.len())
    }

    #[test]
    fn a_reply_to_ehlo_is_held_up_to_its_bound() {
        let begun = [&b"250-"[..], &[b'x'; HELLO_MAX - 4]].concat();
        assert_eq!(hold(&[&begun]), Ok(HELLO_MAX));
        let endless = Err(Violation::Garbage("an endless reply to EHLO"));
        assert_eq!(hold(&[&begun, b"x"]), endless);
        assert_eq!(hold(&[&begun, b"xx"]), endless);
        assert_eq!(hold(&[b"250-x", &begun]), endless);
        assert_eq!(hold(&[b"250-"]), Ok(4), "nothing waits that can be judged");
        assert!(hold(&[b"250x"]).is_err());
    }

    #[test]
    fn what_a_client_must_not_see_is_taken_out_of_a_reply_to_ehlo() {
        let reply = b"250-STARTTLS\r\n250-SIZE 5\r\n250-XCLIENT NAME ADDR\r\n250-chunking\r\n250-AUTH=PLAIN\r\n250 auth PLAIN\r\n";
        let (filtered, chunking) = filter_hello(reply);
        assert_eq!(String::from_utf8_lossy(&filtered), "250-STARTTLS\r\n250-SIZE 5\r\n250 chunking\r\n");
        assert!(chunking);
        assert_eq!(filter_hello(b"250-a\r\n250 STARTTLS\r\n"), (b"250 a\r\n".to_vec(), false));
        assert_eq!(filter_hello(b"250\r\n"), (b"250\r\n".to_vec(), false));
    }
}
