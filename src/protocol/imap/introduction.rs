//! What a client says about itself with `ID` (RFC 2971), made fit to be passed on to an upstream.
//!
//! The fields are hostile: an upstream that trusts the gate's address takes `x-originating-ip` and the like
//! for the gate's word (Dovecot does), so no field that begins with `x-` survives, and the gate's own stand in
//! front. Nothing else that a client says here is believed by anybody.

use imap_codec::CommandCodec;
use imap_codec::encode::Encoder;
use imap_types::command::{Command, CommandBody};
use imap_types::core::{IString, NString, Tag};

use crate::protocol::ClientOrigin;
use crate::protocol::clean::printable;

/// RFC 2971 section 3.3: at most 30 pairs, keys of at most 30 bytes.
const FIELDS_MAX: usize = 30;
const KEY_MAX: usize = 30;
/// In characters; below the RFC's, so that all fields fit a line of 8 KiB even where every character needs
/// escaping.
const VALUE_MAX: usize = 100;

/// The longest program name kept for audit, in characters.
const PROGRAM_MAX: usize = 128;

/// The last `ID` of a client, cleaned.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Introduction {
    /// `None` until the client sends `ID`; empty if it said nothing that is passed on.
    fields: Option<Vec<(String, Option<String>)>>,
    program: Option<String>,
}

impl Introduction {
    /// Keeps what is fit of the pairs of an `ID` command; `NIL` has none.
    pub fn new<'a>(pairs: impl IntoIterator<Item = (&'a [u8], Option<&'a [u8]>)>) -> Self {
        let mut fields: Vec<(String, Option<String>)> = Vec::new();
        for (key, value) in pairs {
            let Some(key) = clean_key(key) else { continue };
            if fields.len() < FIELDS_MAX && !fields.iter().any(|(known, _)| known.eq_ignore_ascii_case(&key))
            {
                fields.push((key, value.map(|value| printable(value, VALUE_MAX))));
            }
        }
        let of = |name: &str| {
            let field = fields.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
            field.and_then(|(_, value)| value.as_deref()).filter(|value| !value.is_empty())
        };
        let program = match (of("name"), of("version")) {
            (Some(name), Some(version)) => Some(format!("{name} {version}")),
            (name, _) => name.map(str::to_owned),
        };
        let program = program.map(|text| text.chars().take(PROGRAM_MAX).collect());
        Self { fields: Some(fields), program }
    }

    /// Name and version of the client program, as it says.
    #[must_use]
    pub fn program(&self) -> Option<&str> {
        self.program.as_deref()
    }

    /// The `ID` command that passes the fields on, with its CRLF, behind those that say where the client comes
    /// from; `None` if there is nothing to say.
    #[must_use]
    pub fn command(&self, tag: &str, origin: Option<&ClientOrigin>) -> Option<Vec<u8>> {
        if self.fields.is_none() && origin.is_none() {
            return None;
        }
        let gates = origin.map(gates_fields).into_iter().flatten();
        let clients = self.fields.iter().flatten().filter_map(|(key, value)| {
            let value = value.as_deref().map(ascii).map(IString::try_from).transpose().ok()?;
            Some((IString::try_from(key.as_str()).ok()?, NString(value)))
        });
        let parameters: Vec<_> = gates.chain(clients).take(FIELDS_MAX).collect();
        let body = CommandBody::Id { parameters: (!parameters.is_empty()).then_some(parameters) };
        let command = Command { tag: Tag::try_from(tag).ok()?, body };
        Some(CommandCodec::default().encode(&command).dump())
    }
}

/// What Dovecot's login process reads of a trusted peer, and takes into its logs and limits. How often a login may be
/// passed on (`x-proxy-ttl`) is left to its default.
fn gates_fields(origin: &ClientOrigin) -> impl Iterator<Item = (IString<'_>, NString<'_>)> {
    let (client, gate) = (origin.ends.client(), origin.ends.gate());
    let fields = [
        ("x-originating-ip", client.ip().to_string()),
        ("x-originating-port", client.port().to_string()),
        ("x-connected-ip", gate.ip().to_string()),
        ("x-connected-port", gate.port().to_string()),
        ("x-session-id", origin.session_text()),
    ];
    fields.into_iter().filter_map(|(key, value)| {
        Some((IString::try_from(key).ok()?, NString(Some(IString::try_from(value).ok()?))))
    })
}

/// A key that may be passed on.
fn clean_key(key: &[u8]) -> Option<String> {
    let key = std::str::from_utf8(key).ok()?.trim();
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._".contains(&b);
    let spoofing = key.get(..2).is_some_and(|start| start.eq_ignore_ascii_case("x-"));
    (!key.is_empty() && key.len() <= KEY_MAX && key.bytes().all(plain) && !spoofing).then(|| key.to_owned())
}

/// Other than ASCII would need a literal, and old servers do not expect one here.
fn ascii(text: &str) -> String {
    text.chars().map(|c| if c.is_ascii() { c } else { '?' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::Ends;

    fn introduction(pairs: &[(&str, Option<&str>)]) -> Introduction {
        Introduction::new(pairs.iter().map(|(key, value)| (key.as_bytes(), value.map(str::as_bytes))))
    }

    fn sent(pairs: &[(&str, Option<&str>)]) -> String {
        String::from_utf8(introduction(pairs).command("g1", None).unwrap()).unwrap()
    }

    #[test]
    fn no_field_that_an_upstream_could_take_for_the_gates_word_survives() {
        let pairs = [
            ("name", Some("Mail")),
            ("x-originating-ip", Some("192.0.2.1")),
            ("X-Proxy-TTL", Some("1")),
            (" x-session-id", Some("z")),
            ("x-originating-ip\0", Some("192.0.2.1")),
            ("na me", Some("b")),
            ("NAME", Some("twice")),
            ("os", None),
        ];
        assert_eq!(sent(&pairs), "g1 ID (\"name\" \"Mail\" \"os\" NIL)\r\n");
    }

    #[test]
    fn values_cannot_leave_their_quotes() {
        let pairs = [("name", Some("a\"b\\c\r\ng2 NOOP \u{7f51}")), ("vendor", Some("  "))];
        assert_eq!(sent(&pairs), "g1 ID (\"name\" \"a\\\"b\\\\c  g2 NOOP ?\" \"vendor\" \"\")\r\n");
    }

    #[test]
    fn thirty_long_fields_stay_within_a_line() {
        let keys: Vec<String> = (0..60).map(|n| format!("{n:030}")).collect();
        let long = "\"".repeat(2000);
        let pairs: Vec<_> = keys.iter().map(|key| (key.as_str(), Some(long.as_str()))).collect();
        assert!(sent(&pairs).len() < crate::protocol::input::LINE_MAX);
        assert_eq!(introduction(&pairs).fields.unwrap().len(), FIELDS_MAX);
    }

    #[test]
    fn a_client_that_said_nil_is_passed_on_and_one_that_said_nothing_is_not() {
        assert_eq!(sent(&[]), "g1 ID NIL\r\n");
        assert_eq!(Introduction::default().command("g1", None), None);
    }

    #[test]
    fn the_gates_fields_stand_in_front_and_a_client_cannot_crowd_them_out() {
        let ends = Ends::new("192.0.2.7:51234".parse().unwrap(), "[2001:db8::1]:993".parse().unwrap());
        let origin = ClientOrigin { ends, session: u128::MAX };
        let sent = |introduction: &Introduction| {
            String::from_utf8(introduction.command("g1", Some(&origin)).unwrap()).unwrap()
        };
        let gates = "\"x-originating-ip\" \"192.0.2.7\" \"x-originating-port\" \"51234\" \
                     \"x-connected-ip\" \"2001:db8::1\" \"x-connected-port\" \"993\" \
                     \"x-session-id\" \"ffffffff-ffff-ffff-ffff-ffffffffffff\"";
        assert_eq!(sent(&Introduction::default()), format!("g1 ID ({gates})\r\n"));
        assert_eq!(sent(&introduction(&[])), format!("g1 ID ({gates})\r\n"));
        let forged = [("x-originating-ip", Some("192.0.2.66")), ("name", Some("Mail"))];
        assert_eq!(sent(&introduction(&forged)), format!("g1 ID ({gates} \"name\" \"Mail\")\r\n"));
        let keys: Vec<String> = (0..60).map(|n| format!("{n:030}")).collect();
        let long = "\"".repeat(2000);
        let pairs: Vec<_> = keys.iter().map(|key| (key.as_str(), Some(long.as_str()))).collect();
        let line = sent(&introduction(&pairs));
        assert!(
            line.starts_with(&format!("g1 ID ({gates} ")) && line.len() < crate::protocol::input::LINE_MAX
        );
        assert_eq!(line.matches("\"000000").count(), FIELDS_MAX - 5);
    }

    #[test]
    fn the_program_is_name_and_version() {
        let program = |pairs: &[_]| introduction(pairs).program().map(str::to_owned);
        assert_eq!(
            program(&[("version", Some("1.2")), ("name", Some("网易邮箱"))]),
            Some("网易邮箱 1.2".to_owned())
        );
        assert_eq!(program(&[("name", Some("Foxmail"))]), Some("Foxmail".to_owned()));
        assert_eq!(program(&[("version", Some("1.2"))]), None);
    }
}
