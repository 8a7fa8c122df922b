//! A client's command line before login, parsed by smtp-proto, which is given exactly one line at a time
//! and none that holds what it would overlook.

use std::borrow::Cow;

use smtp_proto::{AUTH_LOGIN, AUTH_PLAIN, Error, Request};
use zeroize::Zeroizing;

use super::ClientName;
use crate::protocol::Mechanism;
use crate::protocol::input::LINE_MAX;

/// One command, as far as the gate answers it.
pub(super) enum Command {
    Ehlo(ClientName),
    Helo(ClientName),
    StartTls,
    /// `None` where the gate does not do the mechanism.
    Auth(Option<Mechanism>, Option<Zeroizing<Vec<u8>>>),
    Noop,
    Rset,
    Help,
    Vrfy,
    Quit,
    /// A mail transaction, or another thing that needs a login.
    AfterLogin,
    /// Known, but its arguments are not.
    BadArguments,
    /// Longer than a command may be.
    TooLong,
    Unknown,
}

impl Command {
    /// Parses a line without its line end.
    pub(super) fn parse(line: &[u8]) -> Self {
        // smtp-proto skips CR within words, and would take `AU<CR>TH` for AUTH.
        if line.iter().any(|b| matches!(b, b'\r' | 0)) {
            return Self::Unknown;
        }
        let mut whole = Zeroizing::new(Vec::with_capacity(line.len() + 1));
        whole.extend_from_slice(line);
        whole.push(b'\n');
        let command = match Request::parse(&mut whole.iter()) {
            Ok(Request::Ehlo { .. }) => {
                ClientName::parse(arguments(line)).map_or(Self::BadArguments, Self::Ehlo)
            }
            Ok(Request::Helo { .. }) => {
                ClientName::parse(arguments(line)).map_or(Self::BadArguments, Self::Helo)
            }
            Ok(request) => Self::from_request(request),
            Err(error) => Self::from_error(&error),
        };
        // Only AUTH may be longer (RFC 4954 section 4). A line end has two bytes.
        if line.len() + 2 > LINE_MAX && !matches!(command, Self::Auth(..)) { Self::TooLong } else { command }
    }

    fn from_request(request: Request<Cow<'_, str>>) -> Self {
        match request {
            Request::StartTls => Self::StartTls,
            Request::Auth { mechanism, initial_response } => {
                let mechanism = match mechanism {
                    AUTH_PLAIN => Some(Mechanism::Plain),
                    AUTH_LOGIN => Some(Mechanism::Login),
                    _ => None,
                };
                let initial = Zeroizing::new(initial_response.into_owned().into_bytes());
                Self::Auth(mechanism, Some(initial).filter(|text| !text.is_empty()))
            }
            Request::Noop { .. } => Self::Noop,
            Request::Rset => Self::Rset,
            Request::Help { .. } => Self::Help,
            Request::Vrfy { .. } => Self::Vrfy,
            Request::Quit => Self::Quit,
            Request::Mail { .. }
            | Request::Rcpt { .. }
            | Request::Data
            | Request::Bdat { .. }
            | Request::Burl { .. }
            | Request::Expn { .. }
            | Request::Etrn { .. }
            | Request::Atrn { .. } => Self::AfterLogin,
            Request::Ehlo { .. } | Request::Helo { .. } | Request::Lhlo { .. } => Self::Unknown,
        }
    }

    fn from_error(error: &Error) -> Self {
        match error {
            // These come from MAIL and RCPT alone: whatever is wrong with them, a login is what is missing.
            Error::InvalidSenderAddress
            | Error::InvalidRecipientAddress
            | Error::InvalidParameter { .. }
            | Error::UnsupportedParameter { .. } => Self::AfterLogin,
            Error::SyntaxError { syntax } => match syntax.split(' ').next().unwrap_or_default() {
                "EHLO" | "HELO" | "AUTH" | "VRFY" => Self::BadArguments,
                "LHLO" => Self::Unknown,
                _ => Self::AfterLogin,
            },
            Error::UnknownCommand
            | Error::NeedsMoreData { .. }
            | Error::ResponseTooLong
            | Error::InvalidResponse { .. } => Self::Unknown,
        }
    }
}

/// What stands behind the verb, as it was sent: smtp-proto replaces what is not UTF-8.
fn arguments(line: &[u8]) -> &[u8] {
    let verb = line.trim_ascii_start();
    verb.iter().position(|b| *b == b' ').and_then(|at| verb.get(at..)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn auth_is_read_in_any_case_with_and_without_an_initial_response() {
        let auth = |line: &[u8]| {
            let Command::Auth(mechanism, initial) = Command::parse(line) else {
                panic!("not AUTH: {line:?}")
            };
            (mechanism, initial.map(|text| text.to_vec()))
        };
        assert_eq!(auth(b"auth plain AHQAcA=="), (Some(Mechanism::Plain), Some(b"AHQAcA==".to_vec())));
        assert_eq!(auth(b"AUTH LOGIN"), (Some(Mechanism::Login), None));
        assert_eq!(auth(b"AUTH LOGIN "), (Some(Mechanism::Login), None));
        assert_eq!(auth(b"AUTH PLAIN ="), (Some(Mechanism::Plain), Some(b"=".to_vec())));
        assert_eq!(auth(b"AUTH CRAM-MD5"), (None, None));
        assert_eq!(auth(b"AUTH WHATEVER-LONG-NAME-OF-NOBODY x").0, None);
        let long = [b"AUTH PLAIN ".to_vec(), vec![b'A'; 12_000]].concat();
        assert_eq!(auth(&long).1.unwrap().len(), 12_000);
    }

    #[test]
    fn what_smtp_proto_would_overlook_never_reaches_it() {
        assert!(matches!(Command::parse(b"AU\rTH PLAIN x"), Command::Unknown));
        assert!(matches!(Command::parse(b"NOOP\0"), Command::Unknown));
        assert!(matches!(Command::parse(b""), Command::Unknown));
        assert!(matches!(Command::parse(b"XCLIENT NAME=a"), Command::Unknown));
        assert!(matches!(Command::parse(&[b'x'; LINE_MAX - 2]), Command::Unknown));
        assert!(matches!(Command::parse(&[b'x'; LINE_MAX - 1]), Command::TooLong));
    }

    #[test]
    fn a_transaction_is_recognised_however_wrong_it_is() {
        for line in
            ["MAIL FROM:<a@b> SIZE=x", "MAIL", "RCPT TO:<>", "rcpt to:<a@b> X=y", "DATA", "BDAT x", "ETRN"]
        {
            assert!(matches!(Command::parse(line.as_bytes()), Command::AfterLogin), "{line}");
        }
        for line in ["EHLO", "HELO", "EHLO \u{1}", "AUTH"] {
            assert!(matches!(Command::parse(line.as_bytes()), Command::BadArguments), "{line}");
        }
    }
}
