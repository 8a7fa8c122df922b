//! An upstream's reply (RFC 5321 section 4.2): its lines, its code, and what its *no* to a login means.
//!
//! Input is hostile and, from old servers, odd: text may be 8-bit or missing.

use crate::protocol::Trouble;
use crate::protocol::clean::printable;

/// The longest reply, in bytes: an EHLO reply has less than one kilobyte, the rest is an upstream that does
/// not end.
const REPLY_MAX: usize = 16 * 1024;

/// The longest text of an upstream that is kept, in characters.
const SAID_MAX: usize = 200;

/// The start of a reply line: its code, and whether more lines follow (RFC 5321 section 4.2.1).
pub(super) fn code_and_more(start: [u8; 4]) -> Option<(u16, bool)> {
    let [hundreds, tens, ones, separator] = start;
    if !matches!(hundreds, b'2'..=b'5') || !tens.is_ascii_digit() || !ones.is_ascii_digit() {
        return None;
    }
    let more = match separator {
        b'-' => true,
        // A code without text is allowed for.
        b' ' | b'\r' | b'\n' => false,
        _ => return None,
    };
    let digit = |byte: u8| u16::from(byte - b'0');
    Some((digit(hundreds) * 100 + digit(tens) * 10 + digit(ones), more))
}

/// A reply whose last line may be missing yet.
#[derive(Default)]
pub(super) struct Reply {
    code: u16,
    /// The texts behind the codes, each with an LF.
    text: String,
}

/// What a line did to a reply.
pub(super) enum Progress {
    More(Reply),
    Complete(Reply),
    /// No reply at all, a code that changed half-way, or no end.
    Garbage,
}

impl Reply {
    /// Takes the next line, without its line end.
    pub(super) fn take(mut self, line: &[u8]) -> Progress {
        let mut start = [b'\n'; 4];
        for (place, byte) in start.iter_mut().zip(line) {
            *place = *byte;
        }
        let Some((code, more)) = code_and_more(start) else { return Progress::Garbage };
        if !self.text.is_empty() && code != self.code {
            return Progress::Garbage;
        }
        self.code = code;
        self.text.push_str(String::from_utf8_lossy(line.get(4..).unwrap_or_default()).trim());
        self.text.push('\n');
        if self.text.len() > REPLY_MAX {
            return Progress::Garbage;
        }
        if more { Progress::More(self) } else { Progress::Complete(self) }
    }

    pub(super) fn code(&self) -> u16 {
        self.code
    }

    /// The lines behind the first: an EHLO reply's keywords.
    pub(super) fn keywords(&self) -> impl Iterator<Item = &str> {
        self.text.lines().skip(1)
    }

    /// Whether this reply to AUTH is a definite no to the name and password: 535, unless its enhanced code
    /// says that it will pass, and any other 5xx that says 5.7.8 (RFC 4954 section 6).
    pub(super) fn is_refusal(&self) -> bool {
        let enhanced = self.first_line().split(' ').next().unwrap_or_default();
        match self.code {
            535 => !enhanced.starts_with("4."),
            500..=599 => enhanced == "5.7.8",
            _ => false,
        }
    }

    fn first_line(&self) -> &str {
        self.text.lines().next().unwrap_or_default()
    }

    /// Code and first line as they may be shown.
    pub(super) fn said(&self) -> Trouble {
        Trouble::Said(self.said_text())
    }

    /// The same as text.
    pub(super) fn said_text(&self) -> String {
        let text = format!("{} {}", self.code, self.first_line());
        printable(text.as_bytes(), SAID_MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(lines: &[&str]) -> Option<Reply> {
        let mut reply = Reply::default();
        for line in lines {
            match reply.take(line.as_bytes()) {
                Progress::More(more) => reply = more,
                Progress::Complete(reply) => return Some(reply),
                Progress::Garbage => return None,
            }
        }
        None
    }

    #[test]
    fn only_a_definite_no_is_a_refusal() {
        for no in
            ["535 5.7.8 no", "535", "535 wrong", "535 5.7.3 Authentication unsuccessful", "550 5.7.8 no"]
        {
            assert!(reply(&[no]).unwrap().is_refusal(), "{no}");
        }
        for other in
            ["535 4.7.0 later", "534 5.7.9 too weak", "550 5.7.1 no", "454 4.7.0", "421", "235 2.7.0"]
        {
            assert!(!reply(&[other]).unwrap().is_refusal(), "{other}");
        }
    }

    #[test]
    fn a_reply_has_one_code_and_an_end() {
        let ehlo = reply(&["250-mail.example.org", "250-SIZE 5", "250 DSN"]).unwrap();
        assert_eq!((ehlo.code(), ehlo.keywords().collect::<Vec<_>>()), (250, vec!["SIZE 5", "DSN"]));
        assert_eq!(reply(&["250"]).unwrap().code(), 250);
        for garbage in [&["250-a", "354 b"][..], &["hello"], &["25"], &["250x"], &["150 x"], &["999 x"]] {
            assert!(reply(garbage).is_none(), "{garbage:?}");
        }
        assert!(reply(&vec!["250-x"; 10_000]).is_none());
        let long: Vec<_> = std::iter::repeat_n("250-x", 8_000).chain(["250 x"]).collect();
        assert!(reply(&long).is_some(), "16 KiB");
    }
}
