//! An Apple configuration profile: a mail account with its servers and its app password, for iPhone, iPad and Mac.
//!
//! Its keys are Apple's (*Device Management*, the profile `TopLevel` and the payload `com.apple.mail.managed`), which the
//! tests hold it against. It is as secret as the app password in it.

use askama::Template;
use sha2::{Digest as _, Sha256};
use uuid::{Builder, Uuid};
use zeroize::Zeroizing;

use crate::base::{Protocol, Secret};
use crate::portal::{Profile, Settings};
use crate::web::words::Words;

/// Its media type.
pub(in crate::web) const KIND: &str = "application/x-apple-aspen-config";

/// What a Mac calls the file; other names it would not open.
pub(in crate::web) const FILE: &str = "attachment; filename=\"mail.mobileconfig\"";

#[derive(Template)]
#[template(path = "setup/apple.xml")]
struct Document<'a> {
    words: Words,
    host: &'a str,
    identifier: String,
    profile_uuid: String,
    mail_uuid: String,
    address: &'a str,
    password: &'a str,
    receive_port: u16,
    send_port: u16,
}

/// The profile for `profile`, under `settings`; `None` where there is no door to receive at over IMAP, or none to send.
pub(in crate::web) fn document(
    profile: &Profile,
    settings: &Settings,
    words: Words,
) -> Option<Zeroizing<Vec<u8>>> {
    let best = |protocol| settings.best_door(protocol, &profile.upstream);
    let (receive, send) = (best(Protocol::Imap)?, best(Protocol::Smtp)?);
    let password = joined(&profile.password);
    let document = Document {
        words,
        host: &settings.hostname,
        identifier: identifier(&settings.hostname, profile),
        profile_uuid: stable(profile, "profile"),
        mail_uuid: stable(profile, "mail account"),
        address: &profile.address,
        password: std::str::from_utf8(&password).ok()?,
        receive_port: receive.port,
        send_port: send.port,
    };
    Some(Zeroizing::new(document.render().ok()?.into_bytes()))
}

/// The same for every app password of an account: a second profile takes the place of the first, instead of setting up the
/// mailbox twice.
fn identifier(host: &str, profile: &Profile) -> String {
    let labels: Vec<_> = host.rsplit('.').collect();
    // Whoever knows what an account is called inside could answer for a passkey of it, wrongly.
    let account =
        Sha256::new().chain_update(b"mailward 1 apple account ").chain_update(profile.account.0.as_bytes());
    let account: String = account.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    format!("{}.mailward.{account}", labels.join("."))
}

/// Always the same UUID for one part of the profile of one app password.
fn stable(profile: &Profile, part: &str) -> String {
    let digest = Sha256::new()
        .chain_update(b"mailward 1 apple ")
        .chain_update(part)
        .chain_update(profile.app_password.0.as_bytes())
        .finalize();
    let uuid =
        digest.first_chunk().map_or(Uuid::nil(), |bytes| Builder::from_custom_bytes(*bytes).into_uuid());
    uuid.to_string().to_uppercase()
}

/// Without the blanks that are there for people.
fn joined(printed: &Secret) -> Zeroizing<Vec<u8>> {
    let mut joined = Zeroizing::new(Vec::with_capacity(printed.expose().len()));
    joined.extend(printed.expose().iter().filter(|byte| **byte != b' '));
    joined
}

#[cfg(test)]
mod tests {
    use roxmltree::{Node, ParsingOptions};

    use super::*;
    use crate::base::{AccountId, AppPasswordId, UpstreamName};
    use crate::portal::Door;

    /// A key as Apple publishes it: its type, whether it has to be there, and the values that it may have, where they are
    /// few.
    type Key = (&'static str, &'static str, bool, &'static [&'static str]);

    /// Of a whole profile: `mdm/profiles/TopLevel.yaml` of github.com/apple/device-management, which is the source of
    /// developer.apple.com/documentation/devicemanagement/toplevel.
    const TOP_LEVEL: [Key; 8] = [
        ("PayloadContent", "array", true, &[]),
        ("PayloadDescription", "string", false, &[]),
        ("PayloadDisplayName", "string", false, &[]),
        ("PayloadIdentifier", "string", true, &[]),
        ("PayloadOrganization", "string", false, &[]),
        ("PayloadType", "string", true, &["Configuration"]),
        ("PayloadUUID", "string", true, &[]),
        ("PayloadVersion", "integer", true, &["1"]),
    ];

    /// Of every payload: `CommonPayloadKeys.yaml` in the same place.
    const COMMON: [Key; 5] = [
        ("PayloadDisplayName", "string", false, &[]),
        ("PayloadIdentifier", "string", true, &[]),
        ("PayloadType", "string", true, &["com.apple.mail.managed"]),
        ("PayloadUUID", "string", true, &[]),
        ("PayloadVersion", "integer", true, &["1"]),
    ];

    const AUTHENTICATION: &[&str] =
        &["EmailAuthNone", "EmailAuthPassword", "EmailAuthCRAMMD5", "EmailAuthNTLM", "EmailAuthHTTPMD5"];

    /// Of a mail account: `com.apple.mail.managed.yaml` in the same place, which is the source of
    /// developer.apple.com/documentation/devicemanagement/mail.
    const MAIL: [Key; 15] = [
        ("EmailAccountDescription", "string", false, &[]),
        ("EmailAccountType", "string", true, &["EmailTypeIMAP", "EmailTypePOP"]),
        ("EmailAddress", "string", false, &[]),
        ("IncomingMailServerAuthentication", "string", true, AUTHENTICATION),
        ("IncomingMailServerHostName", "string", true, &[]),
        ("IncomingMailServerPortNumber", "integer", false, &[]),
        ("IncomingMailServerUseSSL", "boolean", false, &[]),
        ("IncomingMailServerUsername", "string", false, &[]),
        ("IncomingPassword", "string", false, &[]),
        ("OutgoingMailServerAuthentication", "string", true, AUTHENTICATION),
        ("OutgoingMailServerHostName", "string", true, &[]),
        ("OutgoingMailServerPortNumber", "integer", false, &[]),
        ("OutgoingMailServerUseSSL", "boolean", false, &[]),
        ("OutgoingMailServerUsername", "string", false, &[]),
        ("OutgoingPassword", "string", false, &[]),
    ];

    fn profile(app_password: u128) -> Profile {
        Profile {
            account: AccountId(Uuid::from_u128(7)),
            app_password: AppPasswordId(Uuid::from_u128(app_password)),
            upstream: UpstreamName("legacy".to_owned()),
            address: "r&d<x>@example.org".to_owned(),
            password: Secret::new(b"abcd efgh ijkm npqr".to_vec()),
        }
    }

    fn settings(doors: &[(Protocol, bool, u16)]) -> Settings {
        let mut settings = crate::portal::testing::settings();
        let door = |(protocol, implicit, port): &(Protocol, bool, u16)| Door {
            protocol: *protocol,
            implicit: *implicit,
            port: *port,
        };
        settings.doors = doors.iter().map(door).collect();
        settings
    }

    fn text(profile: &Profile, language: usize) -> String {
        let doors = [(Protocol::Imap, true, 993), (Protocol::Imap, false, 143), (Protocol::Smtp, true, 465)];
        let document = document(profile, &settings(&doors), Words::ALL[language]).unwrap();
        String::from_utf8(document.to_vec()).unwrap()
    }

    /// The keys of a `<dict>`, which `known` has all and of which none that must be there is missing: each as type and
    /// text.
    fn checked(dict: Node<'_, '_>, known: &[&[Key]]) -> std::collections::BTreeMap<String, String> {
        assert!(dict.has_tag_name("dict"));
        let known = known.concat();
        let children: Vec<_> = dict.children().filter(Node::is_element).collect();
        let mut found = std::collections::BTreeMap::new();
        for pair in children.chunks(2) {
            let [key, value] = pair else { panic!("a key without a value") };
            assert!(key.has_tag_name("key"));
            let key = key.text().unwrap();
            let (_, kind, _, values) = known
                .iter()
                .find(|(name, ..)| *name == key)
                .unwrap_or_else(|| panic!("Apple has no `{key}`"));
            let is = match value.tag_name().name() {
                "true" | "false" => "boolean",
                other => other,
            };
            assert_eq!(is, *kind, "`{key}`");
            let text = value.text().unwrap_or_else(|| value.tag_name().name());
            assert!(values.is_empty() || values.contains(&text), "`{key}` is `{text}`");
            assert!(*kind != "integer" || text.parse::<u16>().is_ok(), "`{key}` is `{text}`");
            assert!(found.insert(key.to_owned(), text.to_owned()).is_none(), "`{key}` twice");
        }
        for (key, ..) in known.iter().filter(|(_, _, required, _)| *required) {
            assert!(found.contains_key(*key), "`{key}` is missing");
        }
        found
    }

    /// The two dictionaries of a profile.
    fn read(text: &str) -> [std::collections::BTreeMap<String, String>; 2] {
        let options = ParsingOptions { allow_dtd: true, ..ParsingOptions::default() };
        let document = roxmltree::Document::parse_with_options(text, options).unwrap();
        let plist = document.root_element();
        assert!(plist.has_tag_name("plist") && plist.attribute("version") == Some("1.0"));
        let dict = plist.first_element_child().unwrap();
        assert!(dict.next_sibling_element().is_none());
        let array = dict.children().find(|child| child.has_tag_name("array")).unwrap();
        let payload = array.first_element_child().unwrap();
        assert!(payload.next_sibling_element().is_none(), "one payload");
        [checked(dict, &[&TOP_LEVEL]), checked(payload, &[&COMMON, &MAIL])]
    }

    #[test]
    fn a_profile_has_the_keys_that_apple_publishes_and_the_doors_that_there_are() {
        let xml = text(&profile(1), 1);
        let [top, mail] = read(&xml);
        let is = |key: &str, value: &str| assert_eq!(mail[key], value, "{key}");
        for side in ["Incoming", "Outgoing"] {
            is(&format!("{side}MailServerHostName"), "mail.example.org");
            is(&format!("{side}MailServerUsername"), "r&d<x>@example.org");
            is(&format!("{side}MailServerAuthentication"), "EmailAuthPassword");
            is(&format!("{side}MailServerUseSSL"), "true");
            is(&format!("{side}Password"), "abcdefghijkmnpqr");
        }
        is("IncomingMailServerPortNumber", "993");
        is("OutgoingMailServerPortNumber", "465");
        is("EmailAccountType", "EmailTypeIMAP");
        is("EmailAddress", "r&d<x>@example.org");
        let account = Uuid::from_u128(7);
        let identifier = top["PayloadIdentifier"].clone();
        assert!(
            identifier.starts_with("org.example.mail.mailward.") && identifier.len() == 42,
            "{identifier}"
        );
        assert!(!xml.contains(&account.to_string()), "the account's own identifier stays inside");
        assert_eq!(mail["PayloadIdentifier"], format!("{identifier}.mail"));
        assert_eq!(top["PayloadDisplayName"], "Mail for r&d<x>@example.org");
        assert_eq!(read(&text(&profile(1), 0))[0]["PayloadDisplayName"], "r&d<x>@example.org 的邮箱");
    }

    #[test]
    fn identifiers_stay_for_one_app_password_and_differ_for_another() {
        let uuids = |app_password| {
            let [top, mail] = read(&text(&profile(app_password), 1));
            [top["PayloadUUID"].clone(), mail["PayloadUUID"].clone()]
        };
        let [top, mail] = uuids(1);
        assert_eq!(uuids(1), [top.clone(), mail.clone()]);
        assert!(top != mail && uuids(2).iter().all(|other| *other != top && *other != mail));
        for uuid in [&top, &mail] {
            assert_eq!((uuid.parse::<Uuid>().unwrap().get_version_num(), uuid.len()), (8, 36));
        }
    }

    #[test]
    fn where_there_is_no_door_there_is_no_profile() {
        for doors in
            [&[(Protocol::Imap, true, 993)][..], &[(Protocol::Smtp, true, 465), (Protocol::Pop3, true, 995)]]
        {
            assert!(document(&profile(1), &settings(doors), Words::ALL[0]).is_none());
        }
        let starttls = [(Protocol::Imap, false, 143), (Protocol::Smtp, false, 587)];
        let document = document(&profile(1), &settings(&starttls), Words::ALL[0]).unwrap();
        let [_, mail] = read(std::str::from_utf8(&document).unwrap());
        assert_eq!(
            (&*mail["IncomingMailServerPortNumber"], &*mail["OutgoingMailServerPortNumber"]),
            ("143", "587")
        );
        assert_eq!(mail["IncomingMailServerUseSSL"], "true", "Apple's name for STARTTLS, too");
    }
}
