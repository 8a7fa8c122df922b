//! Names: what a client typed ([`LoginName`]), and the one address that an account has ([`Address`]).
//!
//! Input is hostile. A [`LoginName`] is safe to put on a protocol line; an [`Address`] is folded, so that
//! two spellings of one mailbox compare equal (case and Unicode normalisation; alias lists are elsewhere).

use std::fmt;
use std::str::FromStr;

use unicode_normalization::UnicodeNormalization;

use super::Domain;

/// The longest name taken from a client, in bytes: RFC 5321 section 4.5.3.1 allows 64 + 1 + 255, and
/// upstream login templates and UTF-8 want a little more.
pub const NAME_MAX: usize = 512;

/// A user name as the client sent it: 1 to [`NAME_MAX`] bytes of UTF-8 without control characters.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LoginName(String);

/// Why text is not a name. Never repeats the text: people type passwords into name fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidName {
    /// Nothing there.
    #[error("the name is empty")]
    Empty,
    /// More than [`NAME_MAX`] bytes.
    #[error("the name is longer than {NAME_MAX} bytes")]
    TooLong,
    /// Bytes that are not UTF-8.
    #[error("the name is not UTF-8")]
    NotUtf8,
    /// A control character, which could change the meaning of a line.
    #[error("the name holds a control character")]
    ControlCharacter,
    /// Not `local@domain`.
    #[error("the name is not of the form `local@domain`")]
    NotAnAddress,
    /// What should be a domain is none.
    #[error("it has no valid domain")]
    NotADomain,
}

impl LoginName {
    /// Checks the bytes a client sent.
    ///
    /// # Errors
    /// [`InvalidName`] when empty, too long, not UTF-8, or holding a control character.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, InvalidName> {
        let text = std::str::from_utf8(bytes).map_err(|_| InvalidName::NotUtf8)?;
        if text.is_empty() {
            Err(InvalidName::Empty)
        } else if text.len() > NAME_MAX {
            Err(InvalidName::TooLong)
        } else if text.chars().any(char::is_control) {
            Err(InvalidName::ControlCharacter)
        } else {
            Ok(Self(text.to_owned()))
        }
    }

    /// The name as typed.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Case and NFC folding of a local part. Lower-casing can undo normal form (and the reverse), so it ends in NFC.
#[must_use]
pub fn fold(local: &str) -> String {
    // Asked for each login; ASCII is in normal form already.
    if local.is_ascii() {
        return local.to_ascii_lowercase();
    }
    fold_characters(local)
}

fn fold_characters(local: &str) -> String {
    local.nfc().flat_map(char::to_lowercase).nfc().collect()
}

/// The address of an account: `local@domain`, one per mailbox; the local part NFC- and case-folded, the domain in
/// its ASCII form.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize)]
#[serde(transparent)]
pub struct Address {
    text: String,
}

impl Address {
    /// Folds `local@domain`; surrounding blanks are dropped.
    ///
    /// # Errors
    /// [`InvalidName`] when it is not an address.
    pub fn parse(text: &str) -> Result<Self, InvalidName> {
        let (local, domain) = text.trim().rsplit_once('@').ok_or(InvalidName::NotAnAddress)?;
        Self::from_parts(local, &Domain::parse(domain)?)
    }

    /// The address of `local` in `domain`; the local part is folded.
    ///
    /// # Errors
    /// [`InvalidName`] when the local part is empty, too long, or holds control characters or blanks.
    pub fn from_parts(local: &str, domain: &Domain) -> Result<Self, InvalidName> {
        if local.is_empty() {
            return Err(InvalidName::NotAnAddress);
        }
        if local.len() + domain.as_str().len() >= NAME_MAX {
            return Err(InvalidName::TooLong);
        }
        if local.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return Err(InvalidName::ControlCharacter);
        }
        Ok(Self { text: format!("{}@{domain}", fold(local)) })
    }

    /// The whole address.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// What stands before the last `@`.
    #[must_use]
    pub fn local(&self) -> &str {
        self.text.rsplit_once('@').map_or("", |(local, _)| local)
    }

    /// What stands behind the last `@`.
    #[must_use]
    pub fn domain(&self) -> &str {
        self.text.rsplit_once('@').map_or("", |(_, domain)| domain)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for Address {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_address_are_equal() {
        let folded = Address::parse("jos\u{e9}@example.org").unwrap();
        for spelling in ["JOSÉ@Example.ORG", "jose\u{301}@example.org.", " José@EXAMPLE.org "] {
            assert_eq!(Address::parse(spelling).unwrap(), folded, "{spelling}");
        }
        assert_eq!((folded.local(), folded.domain()), ("josé", "example.org"));
    }

    #[test]
    fn the_short_way_for_ascii_ends_where_the_long_one_does() {
        for first in 0..128u8 {
            for second in 0..128u8 {
                let local = String::from_utf8(vec![first, second]).unwrap();
                assert_eq!(fold(&local), fold_characters(&local), "{local:?}");
            }
        }
    }

    #[test]
    fn names_that_could_split_a_line_are_refused() {
        for bad in ["a\r\nb", "a\0b", "a\u{85}b"] {
            assert_eq!(LoginName::from_bytes(bad.as_bytes()), Err(InvalidName::ControlCharacter), "{bad:?}");
        }
        assert_eq!(LoginName::from_bytes(b"a\xff"), Err(InvalidName::NotUtf8));
        assert_eq!(LoginName::from_bytes(b""), Err(InvalidName::Empty));
        assert_eq!(LoginName::from_bytes(&[b'a'; NAME_MAX + 1]), Err(InvalidName::TooLong));
        for bad in ["@example.org", "a@", "a", "a b@example.org", "a@exa mple.org"] {
            assert!(Address::parse(bad).is_err(), "{bad}");
        }
    }
}
