//! Bytes that must not be seen: no `Debug` with content, no `Display`, no `Clone`, zeroised on drop.
//!
//! Input is not trusted; [`Password::new`] refuses what could change the meaning of a line sent upstream.

use std::fmt;

use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// Secret bytes: keys, plaintexts, derived material. Compared in constant time, wiped on drop.
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// Takes ownership of `bytes`; the caller must hold no other copy.
    #[must_use]
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The content, for the one place that uses it.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for Secret {}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// The longest password taken from a client or a terminal, in bytes: it fits every protocol's line limit
/// after base64 (RFC 4954 section 4 allows 12,288 octets, our IMAP and POP3 lines 8 KiB).
pub const PASSWORD_MAX: usize = 1024;

/// A password as somebody presented it, byte for byte: 1 to [`PASSWORD_MAX`] bytes without NUL, CR or LF.
///
/// Blanks at either end belong to it. It may be a mailbox password or the printed form of an app password;
/// only the gate can tell.
#[derive(PartialEq, Eq)]
pub struct Password(Secret);

/// Why bytes are not a [`Password`]. Says nothing about the content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPassword {
    /// No byte at all.
    #[error("the password is empty")]
    Empty,
    /// More than [`PASSWORD_MAX`] bytes.
    #[error("the password is longer than {PASSWORD_MAX} bytes")]
    TooLong,
    /// NUL, CR or LF, which SASL PLAIN (RFC 4616 section 2) and line protocols cannot carry.
    #[error("the password holds a NUL, CR or LF")]
    ControlCharacter,
}

impl Password {
    /// Checks and wraps `bytes`.
    ///
    /// # Errors
    /// [`InvalidPassword`] when empty, too long, or holding NUL, CR or LF; the bytes are wiped.
    pub fn new(bytes: Vec<u8>) -> Result<Self, InvalidPassword> {
        let secret = Secret::new(bytes);
        let content = secret.expose();
        if content.is_empty() {
            Err(InvalidPassword::Empty)
        } else if content.len() > PASSWORD_MAX {
            Err(InvalidPassword::TooLong)
        } else if content.iter().any(|b| matches!(b, 0 | b'\r' | b'\n')) {
            Err(InvalidPassword::ControlCharacter)
        } else {
            Ok(Self(secret))
        }
    }

    /// The bytes, for the one place that uses them.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        self.0.expose()
    }

    /// A second holder of the same bytes; named, so that every copy of a password can be found by reading.
    #[must_use]
    pub fn duplicate(&self) -> Self {
        Self(Secret::new(self.expose().to_vec()))
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_never_shows_its_content() {
        let password = Password::new(b"hunter2".to_vec()).unwrap();
        assert_eq!(format!("{password:?} {:?}", Secret::new(b"hunter2".to_vec())), "Password(…) Secret(…)");
    }

    #[test]
    fn a_password_that_could_split_a_line_is_refused() {
        for bad in [&b"a\rb"[..], b"a\nb", b"a\0b"] {
            assert_eq!(Password::new(bad.to_vec()), Err(InvalidPassword::ControlCharacter));
        }
        assert_eq!(Password::new(vec![]), Err(InvalidPassword::Empty));
        assert_eq!(Password::new(vec![b'x'; PASSWORD_MAX + 1]), Err(InvalidPassword::TooLong));
        assert_eq!(Password::new(b" blanks stay ".to_vec()).unwrap().expose(), b" blanks stay ");
    }
}
