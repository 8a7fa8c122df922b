//! Reads what an upstream says before and at login (RFC 9051 section 7), tolerantly.
//!
//! The upstream is only as trusted as its certificate, and many servers in the field send what the grammar
//! does not allow: 8-bit text, `* OK` without text, a bare `+`. Only what the gate acts on is understood; the
//! rest is passed on or dropped whole, never interpreted.

use super::offer::Capabilities;
use crate::protocol::clean::printable;

/// The longest text of an upstream's that is kept for logs, in characters.
const TEXT_MAX: usize = 200;

/// One message of an upstream's.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Response<'a> {
    /// `+`: go on.
    Continue,
    /// `* CAPABILITY …`
    Capability(Capabilities),
    /// `* ID …`
    Id,
    /// `* OK …` and its kind.
    Untagged(Status),
    /// Any other untagged data.
    Data,
    /// The answer to the command called by this tag.
    Tagged(&'a [u8], Status),
    /// Nothing that an IMAP server says.
    Garbage,
}

/// `OK`, `NO`, `BAD`, `BYE` or `PREAUTH`, with what follows.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Status {
    pub(super) kind: Kind,
    /// The response code's name in upper case, without its arguments.
    pub(super) code: Option<String>,
    /// From the `CAPABILITY` code.
    pub(super) capabilities: Option<Capabilities>,
    /// Without the code; without control characters, at most 200 characters.
    pub(super) text: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Ok,
    No,
    Bad,
    Bye,
    PreAuth,
}

impl<'a> Response<'a> {
    pub(super) fn read(message: &'a [u8]) -> Self {
        let line = message.strip_suffix(b"\r\n").unwrap_or(message);
        if line.starts_with(b"+") {
            return Self::Continue;
        }
        let (tag, rest) = word(line);
        let (name, after) = word(rest);
        let kind = Kind::read(name);
        match (tag, kind) {
            (b"*", Some(kind)) => Self::Untagged(Status::read(kind, after)),
            (b"*", None) if name.eq_ignore_ascii_case(b"CAPABILITY") => {
                Self::Capability(Capabilities::parse(after))
            }
            (b"*", None) if name.eq_ignore_ascii_case(b"ID") => Self::Id,
            (b"*", None) => Self::Data,
            (tag, Some(kind @ (Kind::Ok | Kind::No | Kind::Bad))) => {
                Self::Tagged(tag, Status::read(kind, after))
            }
            (_, Some(Kind::Bye | Kind::PreAuth) | None) => Self::Garbage,
        }
    }
}

/// Whether a line may end in the announcement of a literal: untagged data may, the free text of a status
/// line, a continuation or a tagged answer may not.
pub(super) fn announces(message: &[u8]) -> bool {
    let (tag, rest) = word(message.split(|b| *b == b'\r').next().unwrap_or(message));
    tag == b"*" && Kind::read(word(rest).0).is_none()
}

impl Kind {
    fn read(word: &[u8]) -> Option<Self> {
        const KINDS: [(&[u8], Kind); 5] = [
            (b"OK", Kind::Ok),
            (b"NO", Kind::No),
            (b"BAD", Kind::Bad),
            (b"BYE", Kind::Bye),
            (b"PREAUTH", Kind::PreAuth),
        ];
        KINDS.into_iter().find(|(name, _)| name.eq_ignore_ascii_case(word)).map(|(_, kind)| kind)
    }
}

impl Status {
    fn read(kind: Kind, rest: &[u8]) -> Self {
        let code = rest.strip_prefix(b"[").and_then(|rest| {
            let end = rest.iter().position(|b| *b == b']')?;
            let (code, text) = rest.split_at_checked(end)?;
            Some((code, text.strip_prefix(b"]").unwrap_or(text)))
        });
        let (code, text) = code.map_or((None, rest), |(code, text)| (Some(code), text));
        let (name, arguments) = word(code.unwrap_or_default());
        let listed = name.eq_ignore_ascii_case(b"CAPABILITY");
        Self {
            kind,
            code: code.map(|_| String::from_utf8_lossy(name).to_ascii_uppercase()),
            capabilities: listed.then(|| Capabilities::parse(arguments)),
            text: printable(text, TEXT_MAX),
        }
    }
}

/// The word at the start of `line`, and what follows the blanks behind it.
fn word(line: &[u8]) -> (&[u8], &[u8]) {
    let end = line.iter().position(|b| *b == b' ').unwrap_or(line.len());
    let (word, rest) = line.split_at_checked(end).unwrap_or((line, b""));
    let blanks = rest.iter().position(|b| *b != b' ').unwrap_or(rest.len());
    (word, rest.get(blanks..).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(message: &[u8]) -> Status {
        match Response::read(message) {
            Response::Untagged(status) | Response::Tagged(_, status) => status,
            other @ (Response::Continue
            | Response::Capability(_)
            | Response::Id
            | Response::Data
            | Response::Garbage) => unreachable!("{other:?}"),
        }
    }

    #[test]
    fn status_lines_are_read_as_servers_write_them() {
        let got = status(b"* OK\r\n");
        assert_eq!((got.kind, got.code, got.text), (Kind::Ok, None, String::new()));
        let got = status(b"g1  no [Unavailable] \xc3\xfc later\x07\r\n");
        assert_eq!((got.kind, got.code.as_deref()), (Kind::No, Some("UNAVAILABLE")));
        assert_eq!(got.text, "\u{fffd}\u{fffd} later");
        let got = status(b"* OK [CAPABILITY IMAP4rev1 IDLE] hello\r\n");
        assert_eq!(got.capabilities.unwrap().as_listed(), "IMAP4rev1 IDLE");
        assert_eq!(status(b"* OK [unclosed\r\n").code, None);
    }

    #[test]
    fn a_tagged_answer_is_never_taken_for_anything_else() {
        assert!(matches!(Response::read(b"g1 OK\r\n"), Response::Tagged(b"g1", _)));
        assert_eq!(Response::read(b"g1 BYE\r\n"), Response::Garbage);
        assert_eq!(Response::read(b"\r\n"), Response::Garbage);
        assert_eq!(Response::read(b"220 mail ESMTP\r\n"), Response::Garbage);
        assert_eq!(Response::read(b"* 3 EXISTS\r\n"), Response::Data);
        assert_eq!(Response::read(b"+\r\n"), Response::Continue);
    }

    #[test]
    fn only_data_announces_literals() {
        assert!(announces(b"* ID (\"name\" {3}\r\n") && announces(b"* 1 FETCH (BODY[] {3}\r\nabc {3}\r\n"));
        assert!(
            !announces(b"* OK see {3}\r\n") && !announces(b"g1 NO see {3}\r\n") && !announces(b"+ {3}\r\n")
        );
    }
}
