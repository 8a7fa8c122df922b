//! An upstream's status line (RFC 1939 section 3) and what its *no* means.
//!
//! Input is hostile and, from old servers, odd: text may be 8-bit or missing.

use crate::protocol::Trouble;
use crate::protocol::clean::printable;

/// The longest text of an upstream that is kept, in characters.
const SAID_MAX: usize = 200;

/// What the first word of a reply says.
pub(super) enum Status<'a> {
    /// `+OK`, and the text behind it.
    Ok(&'a [u8]),
    /// `-ERR`, and the text behind it.
    Err(&'a [u8]),
    /// `+`: go on (RFC 5034 section 4); some servers omit the blank behind it.
    Continue,
    /// None of these.
    Other,
}

impl<'a> Status<'a> {
    pub(super) fn parse(line: &'a [u8]) -> Self {
        if let Some(rest) = after_word(line, b"+OK") {
            Self::Ok(rest)
        } else if let Some(rest) = after_word(line, b"-ERR") {
            Self::Err(rest)
        } else if line.starts_with(b"+") {
            Self::Continue
        } else {
            Self::Other
        }
    }
}

fn after_word<'a>(line: &'a [u8], word: &[u8]) -> Option<&'a [u8]> {
    let (start, rest) = line.split_at_checked(word.len())?;
    let whole = start.eq_ignore_ascii_case(word) && !rest.first().is_some_and(u8::is_ascii_alphanumeric);
    whole.then(|| rest.trim_ascii())
}

/// Whether a `-ERR` with `text` to USER, PASS or AUTH is a definite refusal: any other code than `AUTH` speaks
/// of the system.
pub(super) fn is_refusal(text: &[u8]) -> bool {
    code(text).is_none_or(|code| code.eq_ignore_ascii_case(b"AUTH"))
}

/// What a `-ERR` with `text` means where it is no refusal.
pub(super) fn trouble(text: &[u8]) -> Trouble {
    match code(text) {
        Some(code) if code.eq_ignore_ascii_case(b"IN-USE") => Trouble::InUse,
        Some(code) if code.eq_ignore_ascii_case(b"LOGIN-DELAY") => Trouble::LoginDelay,
        Some(_) | None => Trouble::Said(said(text)),
    }
}

/// The text as it may be shown.
pub(super) fn said(text: &[u8]) -> String {
    printable(text, SAID_MAX)
}

/// The response code in brackets at the start (RFC 2449 section 8).
pub(super) fn code(text: &[u8]) -> Option<&[u8]> {
    let inside = text.strip_prefix(b"[")?;
    let end = inside.iter().position(|b| *b == b']')?;
    inside.get(..end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_auth_or_no_code_is_a_refusal() {
        for text in [&b""[..], b"no", b"[auth] no", b"[unclosed"] {
            assert!(is_refusal(text), "{text:?}");
        }
        for text in [&b"[IN-USE]"[..], b"[LOGIN-DELAY] 5", b"[SYS/TEMP] x", b"[SYS/PERM]", b"[X]"] {
            assert!(!is_refusal(text), "{text:?}");
        }
    }

    #[test]
    fn a_word_that_only_starts_like_a_status_is_none() {
        assert!(matches!(Status::parse(b"+OKAY"), Status::Continue));
        assert!(matches!(Status::parse(b"-ERROR"), Status::Other));
        assert!(matches!(Status::parse(b"+ok"), Status::Ok(b"")));
        assert!(matches!(Status::parse(b"+OK<1@x>"), Status::Ok(b"<1@x>")));
        assert!(matches!(Status::parse(b"+"), Status::Continue));
    }
}
