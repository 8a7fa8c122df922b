//! SASL PLAIN (RFC 4616) and LOGIN (draft-murchison-sasl-login), the server's side.
//!
//! The three protocols carry the same exchange in different clothes: this module sees the base64 texts only.

use std::fmt;

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use zeroize::Zeroizing;

use crate::base::{LoginName, Password};

/// Clients that drop the padding are met in the wild; everything else about the alphabet is strict.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// How a client presented its credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mechanism {
    /// SASL PLAIN.
    Plain,
    /// SASL LOGIN.
    Login,
    /// IMAP `LOGIN`, POP3 `USER`/`PASS`.
    Command,
}

impl Mechanism {
    /// The SASL mechanism called `name`, in any case; `None` where the gate does not do it.
    #[must_use]
    pub fn sasl(name: &str) -> Option<Self> {
        [Self::Plain, Self::Login].into_iter().find(|m| m.as_str().eq_ignore_ascii_case(name))
    }

    /// `PLAIN`, `LOGIN` or `command`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::Login => "LOGIN",
            Self::Command => "command",
        }
    }
}

impl fmt::Display for Mechanism {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An exchange in progress.
pub enum Exchange {
    /// PLAIN, before its one message.
    Plain,
    /// LOGIN, before the user name.
    LoginName,
    /// LOGIN, before the password.
    LoginPassword(LoginName),
}

/// What follows a message of the client.
pub enum Progress {
    /// Send this challenge, already base64 (empty for PLAIN), and go on.
    Challenge(&'static str, Exchange),
    /// Both are known.
    Complete(LoginName, Password),
    /// Bad base64, wrong field count, NUL, CR or LF inside, not UTF-8, or another authorisation identity
    /// than the authentication identity.
    Malformed,
    /// The client sent `*` (RFC 4954 section 4, RFC 9051 section 6.2.2, RFC 5034 section 4).
    Cancelled,
}

impl Exchange {
    /// Begins `mechanism`, with the initial response where the client sent one (`=` means empty, RFC 4954
    /// section 4). [`Mechanism::Command`] is no SASL mechanism and is malformed.
    #[must_use]
    pub fn begin(mechanism: Mechanism, initial: Option<&[u8]>) -> Progress {
        let (exchange, challenge) = match mechanism {
            Mechanism::Plain => (Self::Plain, ""),
            // `Username:`; Outlook compares the text, whatever the draft says about it.
            Mechanism::Login => (Self::LoginName, "VXNlcm5hbWU6"),
            Mechanism::Command => return Progress::Malformed,
        };
        match initial {
            None => Progress::Challenge(challenge, exchange),
            Some(b"=") => exchange.answer(b""),
            Some(text) => exchange.answer(text),
        }
    }

    /// Takes the client's base64 `text`, without its line end.
    #[must_use]
    pub fn answer(self, text: &[u8]) -> Progress {
        if text == b"*" {
            return Progress::Cancelled;
        }
        let Ok(decoded) = BASE64.decode(text).map(Zeroizing::new) else {
            return Progress::Malformed;
        };
        match self {
            Self::Plain => plain(&decoded),
            Self::LoginName => match LoginName::from_bytes(&decoded) {
                // `Password:`
                Ok(name) => Progress::Challenge("UGFzc3dvcmQ6", Self::LoginPassword(name)),
                Err(_) => Progress::Malformed,
            },
            Self::LoginPassword(name) => match Password::new(decoded.to_vec()) {
                Ok(password) => Progress::Complete(name, password),
                Err(_) => Progress::Malformed,
            },
        }
    }
}

/// `[authzid] NUL authcid NUL passwd`, RFC 4616 section 2.
fn plain(message: &[u8]) -> Progress {
    let mut fields = message.split(|b| *b == 0);
    let (Some(authzid), Some(authcid), Some(password), None) =
        (fields.next(), fields.next(), fields.next(), fields.next())
    else {
        return Progress::Malformed;
    };
    // A client that acts for itself may say so; one that asks for another identity is not served.
    if !authzid.is_empty() && authzid != authcid {
        return Progress::Malformed;
    }
    match (LoginName::from_bytes(authcid), Password::new(password.to_vec())) {
        (Ok(name), Ok(password)) => Progress::Complete(name, password),
        _ => Progress::Malformed,
    }
}

/// SASL PLAIN's message, base64, for an upstream.
#[must_use]
pub fn plain_message(authzid: &str, authcid: &str, password: &Password) -> Zeroizing<Vec<u8>> {
    let mut message =
        Zeroizing::new(Vec::with_capacity(authzid.len() + authcid.len() + password.expose().len() + 2));
    message.extend_from_slice(authzid.as_bytes());
    message.push(0);
    message.extend_from_slice(authcid.as_bytes());
    message.push(0);
    message.extend_from_slice(password.expose());
    base64(&message)
}

/// Base64 with padding, for an upstream.
#[must_use]
pub fn base64(bytes: &[u8]) -> Zeroizing<Vec<u8>> {
    Zeroizing::new(BASE64.encode(bytes).into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn completed(progress: Progress) -> Option<(String, Vec<u8>)> {
        match progress {
            Progress::Complete(name, password) => {
                Some((name.as_str().to_owned(), password.expose().to_vec()))
            }
            Progress::Challenge(..) | Progress::Malformed | Progress::Cancelled => None,
        }
    }

    #[test]
    fn plain_is_taken_with_and_without_the_same_authorisation_identity() {
        for message in [&b"\0tim\0tanstaaftanstaaf"[..], b"tim\0tim\0tanstaaftanstaaf"] {
            let got = completed(Exchange::begin(Mechanism::Plain, Some(&base64(message))));
            assert_eq!(got, Some(("tim".into(), b"tanstaaftanstaaf".to_vec())));
        }
    }

    #[test]
    fn bad_messages_are_malformed() {
        let bad: [&[u8]; 8] = [
            b"ursel\0kurt\0x",
            b"kurt\0x",
            b"\0kurt\0x\0y",
            b"\0kurt\0",
            b"\0\0x",
            b"\0k\r\n\0x",
            b"\0kurt\0a\nb",
            b"",
        ];
        for message in bad {
            assert!(
                matches!(Exchange::begin(Mechanism::Plain, Some(&base64(message))), Progress::Malformed),
                "{message:?}"
            );
        }
        assert!(matches!(Exchange::begin(Mechanism::Plain, Some(b"!!!!")), Progress::Malformed));
        assert!(matches!(Exchange::begin(Mechanism::Plain, Some(b"=")), Progress::Malformed));
        assert!(matches!(Exchange::Plain.answer(b"*"), Progress::Cancelled));
    }

    #[test]
    fn login_asks_for_the_name_and_the_password_in_the_words_that_outlook_needs() {
        let Progress::Challenge("VXNlcm5hbWU6", exchange) = Exchange::begin(Mechanism::Login, None) else {
            unreachable!("no name asked")
        };
        let Progress::Challenge("UGFzc3dvcmQ6", exchange) = exchange.answer(&base64(b"tim")) else {
            unreachable!("no password asked")
        };
        assert_eq!(completed(exchange.answer(&base64(b"p w"))), Some(("tim".into(), b"p w".to_vec())));
        assert!(matches!(
            Exchange::begin(Mechanism::Login, Some(&base64(b"tim"))),
            Progress::Challenge("UGFzc3dvcmQ6", _)
        ));
    }

    #[test]
    fn what_is_sent_upstream_is_what_would_be_taken() {
        let password = Password::new("密码 ".as_bytes().to_vec()).unwrap();
        let message = plain_message("", "tim", &password);
        assert_eq!(
            completed(Exchange::begin(Mechanism::Plain, Some(&message))).unwrap().1,
            "密码 ".as_bytes()
        );
    }
}
