//! A server that shows another certificate than it should gets no password, and everybody who should know is told.

use super::{Pair, entered, said};
use crate::support::table::UNAVAILABLE;
use crate::support::{Gate, GateConfig, LegacyOptions, LegacyServer, PROTOCOLS, eventually, log_in};

#[test]
fn a_changed_certificate_closes_the_door_and_is_told_once_in_log_and_trail() {
    let mut legacy = LegacyServer::start(LegacyOptions::default().fast_auth());
    let trusted = legacy.directory().join("trusted.pem");
    std::fs::copy(legacy.ca_file(), &trusted).expect("its authority");
    let config = PROTOCOLS.iter().fold(GateConfig::in_front_of(&legacy).uncounted(), |config, mail| {
        config.set(&["upstream", "0", mail.name(), "ca_file"], trusted.display().to_string())
    });
    let gate = Gate::start(config);
    let (user, password) = legacy.user(0);
    let (user, password) = (user.to_owned(), password.to_owned());
    for mail in PROTOCOLS {
        assert!(mail.is_yes(&log_in(&gate, mail, &user, &password)));
    }
    let before = legacy.dovecot_log();

    legacy.renew_certificate();
    for _ in 0..3 {
        for mail in PROTOCOLS {
            UNAVAILABLE.check(mail, &log_in(&gate, mail, &user, &password));
        }
    }
    let loud = "upstream shows a certificate that is refused";
    eventually("it is said", || said(&gate, loud) == PROTOCOLS.len());
    let log = gate.log();
    let line = log.lines().find(|line| line.contains(loud)).expect("a line");
    for part in ["ERROR", "legacy", "127.0.0.1:", "mail.legacy.test", "trusted.pem", "found"] {
        assert!(line.contains(part), "no `{part}` in {line}");
    }
    let search = ["audit", "search", "--event", "upstream_certificate_refused", "--json"];
    let records = gate.cli(&search).json();
    let records = records.as_array().expect("records");
    assert_eq!(records.len(), PROTOCOLS.len(), "once for each protocol: {records:?}");
    assert_eq!(records[0]["upstream"], "legacy");
    assert_eq!(records[0]["reason"], "it was not signed by the issuer that it names");
    let found = records[0]["found"].as_str().expect("what to pin");
    assert!(line.contains(found), "the same in log and trail");
    let since = legacy.dovecot_log().replacen(&before, "", 1);
    assert!(!since.contains("Login: ") && !since.contains("auth failed"), "nobody logged in: {since}");

    // The administrator pins what was found.
    drop(gate);
    let config = PROTOCOLS.iter().fold(GateConfig::in_front_of(&legacy).uncounted(), |config, mail| {
        config.set(&["upstream", "0", mail.name(), "pin_sha256"], vec![found])
    });
    let gate = Gate::start(config);
    for mail in PROTOCOLS {
        assert!(mail.is_yes(&log_in(&gate, mail, &user, &password)));
    }
}

#[test]
fn where_another_server_is_who_it_should_be_logins_go_there() {
    let mut pair = Pair::start();
    let gate = Gate::start(pair.config());
    let (user, password) = pair.first.user(0);
    let (user, password) = (user.to_owned(), password.to_owned());
    let before = entered(&pair.first);
    pair.first.renew_certificate();
    for mail in PROTOCOLS {
        assert!(mail.is_yes(&log_in(&gate, mail, &user, &password)));
    }
    assert_eq!(entered(&pair.first), before);
    assert!(entered(&pair.second) > 0);
    eventually("it is said", || {
        said(&gate, "upstream shows a certificate that is refused") == PROTOCOLS.len()
    });
}
