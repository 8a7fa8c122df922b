//! The name in EHLO and HELO (RFC 5321 section 4.1.1.1).

use std::fmt;

/// A client's name for itself, exactly as sent: 1 to 255 bytes, printable, without blanks.
///
/// It is no trusted name: clients say `[192.0.2.1]`, `localhost`, `My_Phone` and `Büro`. It is safe on a
/// command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientName(String);

/// Text that is no [`ClientName`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a name of 1 to 255 printable characters without blanks")]
pub struct InvalidClientName;

/// RFC 5321 section 4.5.3.1.2.
const NAME_MAX: usize = 255;

impl ClientName {
    /// Checks `text`.
    ///
    /// # Errors
    /// [`InvalidClientName`] when empty, too long, or holding blanks, control characters or the
    /// replacement character that stands for bytes that were not UTF-8.
    pub fn parse(text: &str) -> Result<Self, InvalidClientName> {
        let printable = |c: char| !c.is_control() && !c.is_whitespace() && c != char::REPLACEMENT_CHARACTER;
        if (1..=NAME_MAX).contains(&text.len()) && text.chars().all(printable) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidClientName)
        }
    }

    /// The name as sent.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ClientName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_names_pass_and_those_that_could_split_a_line_do_not() {
        for good in ["[IPv6:2001:db8::1]", "My_Phone", "Büro", &"x".repeat(255)] {
            assert_eq!(ClientName::parse(good).unwrap().as_str(), good);
        }
        for bad in ["", "a b", "a\r\nAUTH", "a\0", "\u{fffd}", "a\u{85}", &"x".repeat(256)] {
            assert_eq!(ClientName::parse(bad), Err(InvalidClientName), "{bad:?}");
        }
    }
}
