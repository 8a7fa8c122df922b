//! The name in EHLO and HELO (RFC 5321 section 4.1.1.1).

use std::fmt;

/// A client's name for itself, exactly as sent: 1 to 255 bytes without blanks and control characters.
///
/// It is no trusted name: clients say `[192.0.2.1]`, `localhost`, `My_Phone`, `Büro`, and the computer's name
/// in whatever character set Windows was installed with. It is safe on a command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientName(Vec<u8>);

/// Bytes that are no [`ClientName`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a name of 1 to 255 characters without blanks")]
pub struct InvalidClientName;

/// RFC 5321 section 4.5.3.1.2.
const NAME_MAX: usize = 255;

impl ClientName {
    /// Checks what follows the verb. Of several words the first is the name.
    ///
    /// # Errors
    /// [`InvalidClientName`] when there is none, or one that is too long or holds control characters.
    pub fn parse(bytes: &[u8]) -> Result<Self, InvalidClientName> {
        let name = bytes.split(|b| *b == b' ').find(|word| !word.is_empty()).unwrap_or_default();
        if (1..=NAME_MAX).contains(&name.len()) && !name.iter().any(u8::is_ascii_control) {
            Ok(Self(name.to_vec()))
        } else {
            Err(InvalidClientName)
        }
    }

    /// The name as sent.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for ClientName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_names_pass_and_those_that_could_split_a_line_do_not() {
        let long = [b'x'; 256];
        // The last is what a Chinese Windows says for itself, in GBK.
        let good: [&[u8]; 5] =
            [b"[IPv6:2001:db8::1]", b"My_Phone", "Büro".as_bytes(), &long[1..], b"\xd5\xc5\xc8\xfd-PC"];
        for good in good {
            assert_eq!(ClientName::parse(good).unwrap().as_bytes(), good);
        }
        for bad in [&b""[..], b"  ", b"\ta", b"a\r\nAUTH", b"a\0", b"a\x7f", &long] {
            assert_eq!(ClientName::parse(bad), Err(InvalidClientName), "{bad:?}");
        }
        assert_eq!(ClientName::parse(b" my phone").unwrap().as_bytes(), b"my");
    }
}
