//! What follows a login is the same with and without the gate, byte for byte.

use std::path::Path;

use crate::support::{Gate, GateConfig, LegacyOptions, LegacyServer, PROTOCOLS, UpstreamTls, client};

/// What would let a client change who it is, and is therefore not offered through the gate after login.
const WITHHELD: [&str; 4] = ["AUTH", "STARTTLS", "XCLIENT", "XFORWARD"];

#[test]
fn a_recorded_dialogue_is_the_same_through_the_gate() {
    let mut legacy = LegacyServer::start(LegacyOptions::default());
    let gate = Gate::start(GateConfig::in_front_of(&legacy));
    let plain_leg = GateConfig::in_front_of(&legacy).upstream_tls(&legacy, UpstreamTls::None);
    let plain_leg = Gate::start(plain_leg);
    let (user, password) = legacy.user(0);
    let (user, password) = (user.to_owned(), password.to_owned());
    let made = gate.app_password(&user, &password, &[]);
    gate.bind_totp(&user);

    let directly = |legacy: &LegacyServer| {
        PROTOCOLS.map(|mail| {
            let place = Place { ca: &legacy.ca_file(), port: legacy.port(mail.name()), tls: "starttls" };
            without_withheld(&record(mail.name(), &place, &user, &password))
        })
    };
    directly(&legacy);
    legacy.save_mailboxes();
    let expected = {
        legacy.restore_mailboxes();
        directly(&legacy)
    };
    assert!(expected.iter().all(|dialogue| dialogue.lines().count() > 20), "{expected:?}");

    for (gate, password) in [(&gate, &made.password), (&plain_leg, &password)] {
        for (implicit, tls) in [(true, "implicit"), (false, "starttls")] {
            legacy.restore_mailboxes();
            for (mail, expected) in PROTOCOLS.iter().zip(&expected) {
                let place = Place { ca: &gate.ca_file(), port: gate.port(mail.name(), implicit), tls };
                let through = record(mail.name(), &place, &user, password);
                assert_eq!(&through, expected, "{mail:?}, {tls}");
            }
        }
    }
}

struct Place<'p> {
    ca: &'p Path,
    port: u16,
    tls: &'p str,
}

fn record(protocol: &str, place: &Place<'_>, user: &str, password: &str) -> String {
    let (port, ca) = (place.port.to_string(), place.ca.display().to_string());
    let at = [protocol, "--port", &port, "--tls", place.tls, "--ca", &ca];
    client("record.py", &[&at[..], &["--user", user, "--password", password]].concat()).success()
}

/// A reply to EHLO after login as the gate must pass it on.
fn without_withheld(dialogue: &str) -> String {
    let mut kept = Vec::<String>::new();
    for line in dialogue.split_inclusive('\n') {
        let keyword = line.strip_prefix("250-").or_else(|| line.strip_prefix("250 "));
        let keyword = keyword.unwrap_or_default().split([' ', '=', '\r']).next().unwrap_or_default();
        if !WITHHELD.contains(&keyword) {
            kept.push(line.to_owned());
        } else if line.starts_with("250 ")
            && let Some(last) = kept.last_mut()
        {
            last.replace_range(3..4, " ");
        }
    }
    kept.concat()
}
