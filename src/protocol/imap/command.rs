//! Reads the commands that are allowed before login (RFC 9051 sections 6.1 and 6.2, RFC 2971, RFC 5255).
//!
//! Input is hostile and may hold a password. The verb is judged first, so that imap-codec's decoder meets
//! only `LOGIN` and `ID`, within the bounds of the framing; no other grammar of a client is parsed before
//! login. What is decoded borrows from a buffer that is wiped, and the password is moved out of imap-types at
//! once. Nothing of what was read is repeated to the client but a valid tag.

use imap_codec::CommandCodec;
use imap_codec::decode::Decoder;
use imap_types::command::CommandBody;
use zeroize::Zeroizing;

use super::introduction::Introduction;
use crate::protocol::stranger;

/// The longest tag taken, in bytes; clients use fewer than ten.
const TAG_MAX: usize = 64;

/// How a message begins.
pub(super) struct Head<'a> {
    /// `None` if there is no valid one, or no verb behind it: a word alone may be the base64 of a password, sent
    /// without waiting for the `+` that did not come.
    pub(super) tag: Option<&'a str>,
    /// What the client wants.
    pub(super) verb: Verb,
    /// What follows the verb, up to the end of its line.
    pub(super) rest: &'a [u8],
}

/// The commands that mean something before login.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verb {
    Capability,
    Noop,
    Logout,
    StartTls,
    Id,
    Language,
    Login,
    Authenticate,
    /// Any other: not known, or not before login.
    Other,
}

impl<'a> Head<'a> {
    /// Reads tag and verb of a message, or of as much of it as there is.
    pub(super) fn read(message: &'a [u8]) -> Self {
        let line = first_line(message);
        let (tag, after) = word(line);
        let (verb, rest) = word(after);
        let tag = std::str::from_utf8(tag).ok().filter(|tag| is_tag(tag) && !verb.is_empty());
        Self { tag, verb: Verb::read(verb), rest }
    }

    /// Whether nothing but blanks follows the verb.
    pub(super) fn is_bare(&self) -> bool {
        self.rest.iter().all(|b| *b == b' ')
    }
}

impl Verb {
    fn read(word: &[u8]) -> Self {
        const VERBS: [(&[u8], Verb); 8] = [
            (b"CAPABILITY", Verb::Capability),
            (b"NOOP", Verb::Noop),
            (b"LOGOUT", Verb::Logout),
            (b"STARTTLS", Verb::StartTls),
            (b"ID", Verb::Id),
            (b"LANGUAGE", Verb::Language),
            (b"LOGIN", Verb::Login),
            (b"AUTHENTICATE", Verb::Authenticate),
        ];
        let known = VERBS.into_iter().find(|(name, _)| name.eq_ignore_ascii_case(word));
        known.map_or(Self::Other, |(_, verb)| verb)
    }
}

/// Whether a message begins as an HTTP request or a PROXY header does: such a peer is given no byte to work with.
pub(super) fn is_foreign(message: &[u8]) -> bool {
    stranger::is_foreign(first_line(message))
}

/// Name and password of a `LOGIN` command.
pub(super) struct Login {
    pub(super) user: Zeroizing<Vec<u8>>,
    pub(super) password: Zeroizing<Vec<u8>>,
}

impl Login {
    /// Reads a whole `LOGIN` message; `None` if it is malformed.
    pub(super) fn decode(message: &[u8]) -> Option<Self> {
        let widened = widen(message);
        let CommandBody::Login { username, password } = decode(&widened)? else { return None };
        let copy = |bytes: &[u8]| Zeroizing::new(bytes.to_vec());
        Some(Self { user: copy(username.as_ref()), password: copy(password.declassify().as_ref()) })
    }
}

/// Reads a whole `ID` message; `None` if it is malformed.
pub(super) fn introduction(message: &[u8]) -> Option<Introduction> {
    let widened = widen(message);
    let CommandBody::Id { parameters } = decode(&widened)? else { return None };
    let parameters = parameters.unwrap_or_default();
    Some(Introduction::new(
        parameters.iter().map(|(key, value)| (key.as_ref(), value.0.as_ref().map(AsRef::as_ref))),
    ))
}

/// Mechanism and initial response (RFC 4959) of an `AUTHENTICATE` command, from what follows its verb. Not
/// decoded by imap-codec, which refuses base64 without padding; `None` if there is no mechanism, or a third
/// argument.
pub(super) fn authenticate(rest: &[u8]) -> Option<(&str, Option<&[u8]>)> {
    let (mechanism, rest) = word(rest);
    let (initial, rest) = word(rest);
    let mechanism = std::str::from_utf8(mechanism).ok().filter(|name| !name.is_empty())?;
    rest.is_empty().then_some((mechanism, (!initial.is_empty()).then_some(initial)))
}

/// The language ranges of a `LANGUAGE` command (RFC 5255 section 3.2), from what follows its verb.
pub(super) fn languages(rest: &[u8]) -> impl Iterator<Item = &[u8]> {
    let words = rest.split(|b| *b == b' ').filter(|range| !range.is_empty());
    words.map(|range| range.strip_prefix(b"\"").and_then(|range| range.strip_suffix(b"\"")).unwrap_or(range))
}

fn decode(message: &[u8]) -> Option<CommandBody<'_>> {
    match CommandCodec::default().decode(message) {
        Ok((b"", command)) => Some(command.body),
        _ => None,
    }
}

/// Puts every quoted string and atom that imap-codec would refuse or copy into a literal, which may hold any
/// byte: those with 8-bit characters, which clients send (RFC 9051 section 4.3 allows them in quoted
/// strings), and those with escapes, whose unescaped copy would not be wiped.
fn widen(message: &[u8]) -> Zeroizing<Vec<u8>> {
    // An atom of one byte and the blank before it, two, become eight: so nothing is ever moved to a larger
    // buffer, which would leave a copy behind.
    let mut out = Zeroizing::new(Vec::with_capacity(message.len() * 4));
    let mut rest = message;
    while let Some(first) = rest.first() {
        let (token, content) = match first {
            b'"' => quoted(rest),
            b'{' => (literal(rest), None),
            b if is_boundary(*b) => (1, None),
            _ => atom(rest),
        };
        let (token, after) = rest.split_at_checked(token).unwrap_or((rest, b""));
        match content {
            Some(content) => {
                out.extend_from_slice(format!("{{{}+}}\r\n", content.len()).as_bytes());
                out.extend_from_slice(&content);
            }
            None => out.extend_from_slice(token),
        }
        rest = after;
    }
    out
}

/// The length of the quoted string at the start of `text`, and its content if that must become a literal.
/// What is no quoted string counts as its first byte, for imap-codec to refuse.
fn quoted(text: &[u8]) -> (usize, Option<Zeroizing<Vec<u8>>>) {
    let mut content = Zeroizing::new(Vec::with_capacity(text.len()));
    let mut bytes = text.iter().enumerate().skip(1);
    let mut plain = true;
    while let Some((at, byte)) = bytes.next() {
        match byte {
            b'"' => return (at + 1, (!plain).then_some(content)),
            b'\\' => match bytes.next() {
                Some((_, escaped @ (b'"' | b'\\'))) => {
                    plain = false;
                    content.push(*escaped);
                }
                _ => break,
            },
            b'\r' | b'\n' | 0 => break,
            _ => {
                plain &= byte.is_ascii();
                content.push(*byte);
            }
        }
    }
    (1, None)
}

/// The length of the literal at the start of `text` with its announcement; 1 if there is none.
fn literal(text: &[u8]) -> usize {
    let length = |text: &[u8]| {
        let line = text.windows(2).position(|pair| pair == b"\r\n")?;
        let number = text.get(1..line)?.strip_suffix(b"}")?;
        let number = number.strip_suffix(b"+").unwrap_or(number);
        let number: usize = std::str::from_utf8(number).ok()?.parse().ok()?;
        Some(line + 2 + number)
    };
    length(text).filter(|length| *length <= text.len()).unwrap_or(1)
}

/// The length of the atom at the start of `text`, and its content if that must become a literal.
fn atom(text: &[u8]) -> (usize, Option<Zeroizing<Vec<u8>>>) {
    let end = text.iter().position(|b| is_boundary(*b)).unwrap_or(text.len());
    let atom = text.get(..end).unwrap_or(text);
    (end, (!atom.is_ascii()).then(|| Zeroizing::new(atom.to_vec())))
}

fn is_boundary(byte: u8) -> bool {
    b" \r\n\"{()".contains(&byte)
}

fn first_line(message: &[u8]) -> &[u8] {
    let line = message.split(|b| *b == b'\n').next().unwrap_or(message);
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// The word at the start of `line`, and what follows the one blank behind it.
fn word(line: &[u8]) -> (&[u8], &[u8]) {
    let end = line.iter().position(|b| *b == b' ').unwrap_or(line.len());
    let (word, rest) = line.split_at_checked(end).unwrap_or((line, b""));
    (word, rest.strip_prefix(b" ").unwrap_or(rest))
}

/// `1*<any ASTRING-CHAR except "+">`, RFC 9051 section 9.
pub(super) fn is_tag(tag: &str) -> bool {
    !tag.is_empty()
        && tag.len() <= TAG_MAX
        && tag.bytes().all(|b| b.is_ascii_graphic() && !b"(){%*\"\\+".contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn login(message: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
        Login::decode(message).map(|login| (login.user.to_vec(), login.password.to_vec()))
    }

    #[test]
    fn login_is_read_in_every_form_that_clients_send() {
        let tim = Some((b"tim".to_vec(), b"p w".to_vec()));
        assert_eq!(login(b"a LOGIN tim \"p w\"\r\n"), tim);
        assert_eq!(login(b"a login \"tim\" {3}\r\np w\r\n"), tim);
        assert_eq!(login(b"a LOGIN {3+}\r\ntim {3+}\r\np w\r\n"), tim);
        assert_eq!(
            login(b"a LOGIN tim@example.org p]w\r\n"),
            Some((b"tim@example.org".to_vec(), b"p]w".to_vec()))
        );
    }

    #[test]
    fn eight_bits_are_taken_in_atoms_quoted_strings_and_literals() {
        let want = Some(("josé@例.cn".as_bytes().to_vec(), "密\"码\\".as_bytes().to_vec()));
        assert_eq!(login("a LOGIN josé@例.cn \"密\\\"码\\\\\"\r\n".as_bytes()), want);
        assert_eq!(login("a LOGIN \"josé@例.cn\" {8}\r\n密\"码\\\r\n".as_bytes()), want);
        assert_eq!(
            login(b"a LOGIN x \"\xc3\xdc\xc2\xeb\"\r\n"),
            Some((b"x".to_vec(), b"\xc3\xdc\xc2\xeb".to_vec()))
        );
    }

    #[test]
    fn a_literal_is_content_whatever_it_looks_like() {
        let content = "\"é\" {3}\r\nb \\";
        let message = format!("a LOGIN é {{{}}}\r\n{content}\r\n", content.len());
        assert_eq!(login(message.as_bytes()).unwrap().1, content.as_bytes());
    }

    #[test]
    fn malformed_logins_are_not_read() {
        for bad in [
            &b"a LOGIN tim\r\n"[..],
            b"a LOGIN tim p w\r\n",
            b"a LOGIN tim \"p\r\n",
            b"a LOGIN tim \"p\\w\"\r\n",
            b"a LOGIN tim p\"w\r\n",
            b"a LOGIN tim (p)\r\n",
            b"a LOGIN {3}\r\nt\0m x\r\n",
            b"a LOGIN  tim x\r\n",
        ] {
            assert_eq!(login(bad), None, "{}", bad.escape_ascii());
        }
        assert_eq!(login(b"a LOGIN \"\" \"\"\r\n"), Some((vec![], vec![])));
    }

    #[test]
    fn an_id_is_read_with_literals_and_eight_bits() {
        let read = |message: &[u8]| introduction(message).and_then(|id| Some(id.program()?.to_owned()));
        let outlook = b"1 ID ({4+}\r\nname {7+}\r\nOutlook \"version\" NIL)\r\n";
        assert_eq!(read(outlook).as_deref(), Some("Outlook"));
        assert_eq!(read("1 ID (\"name\" \"网易\")\r\n".as_bytes()).as_deref(), Some("网易"));
        assert_eq!(introduction(b"1 ID NIL\r\n"), Some(Introduction::new([])));
        assert_eq!(introduction(b"1 ID ()\r\n"), Some(Introduction::new([])));
        for bad in [&b"1 ID\r\n"[..], b"1 ID ((\"name\" \"x\"))\r\n", b"1 ID (\"name\")\r\n"] {
            assert_eq!(introduction(bad), None, "{}", bad.escape_ascii());
        }
    }

    #[test]
    fn only_a_valid_tag_may_be_repeated() {
        let tag = |message| Head::read(message).tag;
        assert_eq!(tag(b"a]1. NOOP\r\n"), Some("a]1."));
        assert_eq!(tag(b"a x"), Some("a"));
        for bad in [
            &b"* NOOP\r\n"[..],
            b"+ NOOP",
            b"a+ NOOP",
            b" NOOP",
            b"",
            b"\xff NOOP",
            b"a\tb NOOP",
            b"{3}\r\n",
            b"a\r\n",
            b"a \r\n",
        ] {
            assert_eq!(tag(bad), None, "{}", bad.escape_ascii());
        }
        assert_eq!(tag(&[b'a'; TAG_MAX + 1]), None);
    }
}
