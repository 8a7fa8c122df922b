//! The command that logs in upstream, in the pieces between which the upstream says `+`.
//!
//! Built from checked values only: a name holds no control character, a password no NUL, CR or LF, so nothing
//! that a client typed can end a line. Every buffer that holds a password is made in its full size, and
//! wiped.

use std::collections::VecDeque;

use zeroize::Zeroizing;

use super::offer::Capabilities;
use crate::protocol::output::secret_line;
use crate::protocol::{Mechanism, Output, Shown, UpstreamLogin, sasl};

/// A part of the command.
pub(super) struct Piece {
    pub(super) bytes: Output,
    /// What is in it.
    pub(super) shown: Shown,
}

/// How to log in to one upstream.
pub(super) struct Ways {
    pub(super) first: VecDeque<Piece>,
    /// The `LOGIN` command, for an upstream that declines the first way before it has seen anything of the
    /// credential: some list mechanisms that they do not do.
    pub(super) instead: Option<VecDeque<Piece>>,
}

/// The ways that log in to an upstream with these `capabilities`, first the first of these that it has: PLAIN,
/// because it carries every byte and an authorisation identity; LOGIN; the `LOGIN` command. `None` if none will
/// do. The commands are called `tag`, the other one `tag_instead`.
pub(super) fn ways(
    tag: &str,
    tag_instead: &str,
    login: &UpstreamLogin,
    capabilities: &Capabilities,
) -> Option<Ways> {
    let possible = login.authorize_as.is_none() && !capabilities.has("LOGINDISABLED");
    let first = if capabilities.has_mechanism(Mechanism::Plain) {
        plain(tag, login, capabilities.has("SASL-IR"))
    } else if capabilities.has_mechanism(Mechanism::Login) && login.authorize_as.is_none() {
        sasl_login(tag, login)
    } else if possible {
        return Some(Ways { first: command(tag, login), instead: None });
    } else {
        return None;
    };
    let nothing_said = first.front().is_some_and(|piece| piece.shown == Shown::Nothing);
    let instead = (possible && nothing_said).then(|| command(tag_instead, login));
    Some(Ways { first, instead })
}

/// RFC 4616; with the initial response (RFC 4959) where the upstream takes one.
fn plain(tag: &str, login: &UpstreamLogin, initial: bool) -> VecDeque<Piece> {
    let authzid = login.authorize_as.as_ref().map_or("", |name| name.as_str());
    let message = sasl::plain_message(authzid, login.user.as_str(), &login.password);
    let command = format!("{tag} AUTHENTICATE PLAIN");
    if initial {
        return [piece(&[command.as_bytes(), b" ", &message], Shown::Credential)].into();
    }
    [piece(&[command.as_bytes()], Shown::Nothing), piece(&[&message], Shown::Credential)].into()
}

fn sasl_login(tag: &str, login: &UpstreamLogin) -> VecDeque<Piece> {
    let command = format!("{tag} AUTHENTICATE LOGIN");
    let user = sasl::base64(login.user.as_str().as_bytes());
    let password = sasl::base64(login.password.expose());
    [
        piece(&[command.as_bytes()], Shown::Nothing),
        piece(&[&user], Shown::Client),
        piece(&[&password], Shown::Credential),
    ]
    .into()
}

/// RFC 9051 section 6.2.3. What is not ASCII goes as a synchronising literal, which every server takes.
fn command(tag: &str, login: &UpstreamLogin) -> VecDeque<Piece> {
    let user = Argument::new(login.user.as_str().as_bytes());
    let password = Argument::new(login.password.expose());
    let opening = format!("{tag} LOGIN ");
    let mut parts: Vec<(Vec<&[u8]>, Shown)> = vec![(vec![opening.as_bytes()], Shown::Nothing)];
    for (argument, shown, behind) in [(&user, Shown::Client, &b" "[..]), (&password, Shown::Credential, b"")]
    {
        match argument {
            Argument::Quoted(text) => extend(&mut parts, &[text, behind], shown),
            Argument::Literal(announcement, content) => {
                extend(&mut parts, &[announcement.as_bytes()], Shown::Nothing);
                parts.push((vec![content, behind], shown));
            }
        }
    }
    parts.into_iter().map(|(parts, shown)| piece(&parts, shown)).collect()
}

enum Argument<'a> {
    Quoted(Zeroizing<Vec<u8>>),
    /// Its announcement, and the content.
    Literal(String, &'a [u8]),
}

impl<'a> Argument<'a> {
    fn new(content: &'a [u8]) -> Self {
        if !content.is_ascii() {
            return Self::Literal(format!("{{{}}}", content.len()), content);
        }
        let mut quoted = Zeroizing::new(Vec::with_capacity(content.len() * 2 + 2));
        quoted.push(b'"');
        for byte in content {
            if matches!(byte, b'"' | b'\\') {
                quoted.push(b'\\');
            }
            quoted.push(*byte);
        }
        quoted.push(b'"');
        Self::Quoted(quoted)
    }
}

/// Goes on in the last piece.
fn extend<'a>(parts: &mut [(Vec<&'a [u8]>, Shown)], more: &[&'a [u8]], shown: Shown) {
    if let Some((last, shows)) = parts.last_mut() {
        last.extend_from_slice(more);
        *shows = shown.max(*shows);
    }
}

fn piece(parts: &[&[u8]], shown: Shown) -> Piece {
    Piece { bytes: secret_line(parts), shown }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{LoginName, Password};

    fn shown(
        capabilities: &str,
        user: &str,
        authorize_as: Option<&str>,
        password: &str,
    ) -> Option<Vec<String>> {
        let name = |text: &str| LoginName::from_bytes(text.as_bytes()).unwrap();
        let login = UpstreamLogin {
            user: name(user),
            authorize_as: authorize_as.map(name),
            password: Password::new(password.as_bytes().to_vec()).unwrap(),
        };
        let ways = ways("g4", "g8", &login, &Capabilities::parse(capabilities.as_bytes()))?;
        let show = |piece: Piece| {
            let mark = if piece.shown == Shown::Credential { "!" } else { "" };
            format!("{mark}{}", String::from_utf8(piece.bytes.to_vec()).unwrap())
        };
        let instead =
            ways.instead.map(|pieces| pieces.into_iter().map(|piece| format!("or {}", show(piece))));
        Some(ways.first.into_iter().map(show).chain(instead.into_iter().flatten()).collect())
    }

    #[test]
    fn the_first_way_that_the_upstream_has_is_taken() {
        let tim = |capabilities| shown(capabilities, "tim", None, "p w").unwrap();
        assert_eq!(tim("AUTH=PLAIN SASL-IR"), ["!g4 AUTHENTICATE PLAIN AHRpbQBwIHc=\r\n"]);
        let or = "or !g8 LOGIN \"tim\" \"p w\"\r\n";
        assert_eq!(tim("AUTH=LOGIN auth=plain"), ["g4 AUTHENTICATE PLAIN\r\n", "!AHRpbQBwIHc=\r\n", or]);
        assert_eq!(tim("AUTH=LOGIN SASL-IR"), ["g4 AUTHENTICATE LOGIN\r\n", "dGlt\r\n", "!cCB3\r\n", or]);
        assert_eq!(tim("AUTH=PLAIN LOGINDISABLED"), ["g4 AUTHENTICATE PLAIN\r\n", "!AHRpbQBwIHc=\r\n"]);
        assert_eq!(tim("IMAP4rev1"), ["!g4 LOGIN \"tim\" \"p w\"\r\n"]);
        assert_eq!(shown("LOGINDISABLED AUTH=CRAM-MD5", "tim", None, "p"), None);
    }

    #[test]
    fn only_plain_can_act_for_another() {
        let master = |capabilities| shown(capabilities, "proxy", Some("tim"), "s");
        assert_eq!(master("AUTH=PLAIN SASL-IR").unwrap(), ["!g4 AUTHENTICATE PLAIN dGltAHByb3h5AHM=\r\n"]);
        assert_eq!(master("AUTH=PLAIN").unwrap(), ["g4 AUTHENTICATE PLAIN\r\n", "!dGltAHByb3h5AHM=\r\n"]);
        assert_eq!(master("AUTH=LOGIN IMAP4rev1"), None);
    }

    #[test]
    fn the_login_command_quotes_what_it_can_and_waits_with_what_it_cannot() {
        let sent = |user, password| shown("IMAP4rev1", user, None, password).unwrap();
        assert_eq!(sent("a\"b", "c\\d"), ["!g4 LOGIN \"a\\\"b\" \"c\\\\d\"\r\n"]);
        assert_eq!(sent("é", "密"), ["g4 LOGIN {2}\r\n", "é {3}\r\n", "!密\r\n"]);
        assert_eq!(sent("é", "x"), ["g4 LOGIN {2}\r\n", "!é \"x\"\r\n"]);
        assert_eq!(sent("tim", "密"), ["g4 LOGIN \"tim\" {3}\r\n", "!密\r\n"]);
    }
}
