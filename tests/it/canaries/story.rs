//! A day at the gate, with secrets that can be recognised.

use super::search::{Canaries, files_below};
use crate::support::{Gate, GateConfig, Guest, LegacyOptions, LegacyServer, Mail, log_in, on_each_protocol};

const MAILBOX: &str = "Canary-mailbox-b7Qw";
const WRONG: &str = "Canary-wrong-x9Lt";
const TYPED_AS_NAME: &str = "Canary-typed-as-name-p4";
const OTHERS_MAILBOX: &str = "Canary-others-r2Zk";
const MASTER: &str = "Canary-master-m8Vn";

/// What the configuration itself keeps beside the data.
const NOT_DATA: [&str; 1] = ["master.secret"];

fn legacy_server() -> LegacyServer {
    let options = LegacyOptions::default().user("user0@example.test", MAILBOX);
    let options = options.user("user1@example.test", OTHERS_MAILBOX).master("proxy", MASTER);
    LegacyServer::start(options.fast_auth())
}

/// The forms in which people type an app password.
fn spellings(printed: &str) -> [String; 4] {
    let joined = printed.replace(' ', "");
    [printed.to_owned(), joined.clone(), printed.replace(' ', "-"), joined.to_uppercase()]
}

fn base32(text: &str) -> Vec<u8> {
    let mut bits = text.trim_end_matches('=').bytes().flat_map(|symbol| {
        let value = if symbol.is_ascii_digit() { symbol - b'2' + 26 } else { symbol - b'A' };
        (0..5).rev().map(move |bit| value >> bit & 1)
    });
    let mut bytes = Vec::new();
    while let Some(first) = bits.next() {
        let rest = bits.by_ref().take(7).collect::<Vec<_>>();
        if rest.len() == 7 {
            bytes.push(rest.into_iter().fold(first, |byte, bit| byte << 1 | bit));
        }
    }
    bytes
}

fn a_day(config: GateConfig) {
    let mut gate = Gate::prepare(config.uncounted());
    gate.log_at("trace");
    gate.start_again();
    let mut canaries = Canaries::default();
    for (name, secret) in [
        ("the mailbox password", MAILBOX),
        ("a wrong password", WRONG),
        ("a password typed as a name", TYPED_AS_NAME),
        ("another mailbox password", OTHERS_MAILBOX),
        ("the master password", MASTER),
    ] {
        canaries.add(name, secret);
    }
    let (user, other) = ("user0@example.test", "user1@example.test");

    on_each_protocol(|mail| {
        assert!(mail.is_yes(&log_in(&gate, mail, user, MAILBOX)));
        assert!(mail.is_yes(&Guest::at(&gate, mail).log_in_with_command(other, OTHERS_MAILBOX)));
        assert!(!mail.is_yes(&log_in(&gate, mail, user, WRONG)));
        assert!(!mail.is_yes(&log_in(&gate, mail, TYPED_AS_NAME, WRONG)));
        assert!(!mail.is_yes(&log_in(&gate, mail, &format!("{TYPED_AS_NAME}@elsewhere.test"), WRONG)));
    });
    let made = gate.app_password(user, MAILBOX, &[]);
    let imap_only = gate.app_password(user, MAILBOX, &["--protocols", "imap"]);
    let revoked = gate.app_password(user, MAILBOX, &[]);
    for (name, app_password) in [("an app password", &made), ("a second", &imap_only), ("a third", &revoked)]
    {
        for spelling in spellings(&app_password.password) {
            canaries.add(name, &spelling);
            // The label may be known; what follows it may not.
            canaries.add(name, spelling[4..].trim_start_matches([' ', '-']));
        }
    }
    let refused = gate.cli_with_input(
        &["app-password", "create", user, "--name", "Test", "--mailbox-password-stdin"],
        &format!("{WRONG}\n"),
    );
    assert!(refused.status != 0 || gate.directory().join("master.secret").exists());
    assert!(!refused.stderr.contains(WRONG), "{}", refused.stderr);
    let totp = gate.bind_totp(user);
    canaries.add("the factor's secret", &totp);
    canaries.add("the factor's key", base32(&totp));

    gate.cli(&["app-password", "revoke", user, &revoked.id]).success();
    on_each_protocol(|mail| {
        for spelling in spellings(&made.password) {
            assert!(mail.is_yes(&log_in(&gate, mail, user, &spelling)), "{spelling}");
        }
        assert!(!mail.is_yes(&log_in(&gate, mail, user, MAILBOX)));
        assert!(!mail.is_yes(&log_in(&gate, mail, user, &revoked.password)));
        assert_eq!(mail.is_yes(&log_in(&gate, mail, user, &imap_only.password)), mail == Mail::Imap);
    });
    for shown in [
        gate.cli(&["account", "show", user, "--json"]).success(),
        gate.cli(&["app-password", "list", user]).success(),
        gate.cli(&["factor", "list", user, "--json"]).success(),
        gate.cli(&["audit", "search", "--json"]).success(),
        gate.cli(&["config", "show"]).success(),
    ] {
        assert_eq!(canaries.find_in(shown.as_bytes()), [""; 0], "{shown}");
    }

    // Everything is there to be looked at: while it runs, after a power cut, and after an orderly end.
    let names = files_below(gate.directory());
    for name in ["data/mailward.db", "data/mailward.db-wal", "mailward.log"] {
        assert!(names.iter().any(|path| path.ends_with(name)), "no {name} among {names:?}");
    }
    assert!(names.iter().any(|path| path.starts_with(gate.directory().join("data/audit"))), "{names:?}");
    assert!(gate.log().contains("TRACE"), "the log tells all it can");
    gate.kill();
    assert_eq!(canaries.find(gate.directory(), &NOT_DATA), [""; 0]);
    gate.start_again();
    gate.stop();
    assert_eq!(canaries.find(gate.directory(), &NOT_DATA), [""; 0]);
}

#[test]
fn with_sealed_mailbox_passwords() {
    a_day(GateConfig::in_front_of(&legacy_server()));
}

#[test]
fn with_a_master_user() {
    let legacy = legacy_server();
    a_day(GateConfig::in_front_of(&legacy).master("proxy", MASTER, "authzid"));
}
