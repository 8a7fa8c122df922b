//! A client's command line (RFC 1939 section 3), parsed into what it asks for.
//!
//! Input is hostile. What a command holds may be a secret, so nothing here can be printed.

use crate::base::{InvalidName, InvalidPassword, LoginName, Password};

/// One command of the AUTHORIZATION state. Arguments that are no valid name or password are kept as such:
/// that is for the server to answer.
pub(super) enum Command<'a> {
    Capa,
    Stls,
    User(Result<LoginName, InvalidName>),
    Pass(Result<Password, InvalidPassword>),
    /// Without a mechanism it asks for the list (an old habit; RFC 5034 demands one).
    Auth(Option<AuthArguments<'a>>),
    Utf8,
    /// Without a tag it asks for the list.
    Lang(Option<&'a str>),
    Noop,
    Quit,
    Apop,
    /// Known, but for after login.
    AfterLogin,
    Unknown,
}

pub(super) struct AuthArguments<'a> {
    pub(super) mechanism: &'a [u8],
    pub(super) initial: Option<&'a [u8]>,
}

impl<'a> Command<'a> {
    /// Parses a line without its line end.
    pub(super) fn parse(line: &'a [u8]) -> Self {
        let (verb, argument) = match line.iter().position(|b| *b == b' ') {
            Some(at) => (line.get(..at).unwrap_or_default(), line.get(at + 1..)),
            None => (line, None),
        };
        // No command of RFC 1939 is longer, and UTF8 (RFC 6856) is the shortest match of four as well.
        let mut keyword = [0; 4];
        match keyword.get_mut(..verb.len()) {
            Some(place) => place.copy_from_slice(verb),
            None => return Self::Unknown,
        }
        keyword.make_ascii_uppercase();
        match &keyword {
            b"CAPA" => Self::Capa,
            b"STLS" => Self::Stls,
            b"USER" => Self::User(LoginName::from_bytes(argument.unwrap_or_default())),
            // One blank separates; every other belongs to the password (RFC 1939 section 7).
            b"PASS" => Self::Pass(Password::new(argument.unwrap_or_default().to_vec())),
            b"AUTH" => Self::Auth(argument.filter(|a| !a.trim_ascii().is_empty()).map(AuthArguments::parse)),
            b"UTF8" => Self::Utf8,
            b"LANG" => Self::Lang(
                argument.map(|a| std::str::from_utf8(a).unwrap_or("?").trim()).filter(|a| !a.is_empty()),
            ),
            b"NOOP" => Self::Noop,
            b"QUIT" => Self::Quit,
            b"APOP" => Self::Apop,
            b"STAT" | b"LIST" | b"RETR" | b"DELE" | b"RSET" | b"TOP\0" | b"UIDL" => Self::AfterLogin,
            _ => Self::Unknown,
        }
    }
}

impl<'a> AuthArguments<'a> {
    fn parse(argument: &'a [u8]) -> Self {
        let mut words = argument.split(|b| *b == b' ').filter(|word| !word.is_empty());
        let mechanism = words.next().unwrap_or_default();
        let initial = words.next();
        // More than an initial response cannot be base64: let the exchange refuse it.
        Self { mechanism, initial: if words.next().is_some() { Some(b"?") } else { initial } }
    }
}
