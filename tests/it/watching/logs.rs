//! The log in each of its formats, from a gate at work.

use serde_json::Value;

use crate::support::{
    BINARY, Gate, GateConfig, LegacyOptions, LegacyServer, Mail, eventually, in_repository, log_in, run,
};

fn at_work(format: Option<&'static str>) -> (LegacyServer, Gate) {
    let legacy = LegacyServer::start(LegacyOptions::default().fast_auth());
    let mut gate = Gate::prepare(GateConfig::in_front_of(&legacy));
    if let Some(format) = format {
        gate.log_as(format);
    }
    gate.start_again();
    let (user, password) = legacy.user(0);
    assert!(Mail::Imap.is_yes(&log_in(&gate, Mail::Imap, user, password)));
    assert!(!Mail::Imap.is_yes(&log_in(&gate, Mail::Imap, user, "wrong")));
    eventually("the session has ended", || gate.log().contains("session end"));
    gate.stop();
    (legacy, gate)
}

#[test]
fn lines_for_people_are_the_default_and_have_no_colours_in_a_file() {
    let (legacy, gate) = at_work(None);
    let log = gate.log();
    assert!(!log.contains('\u{1b}'), "{log}");
    let login = log.lines().find(|line| line.contains(" login ")).expect("the login");
    for part in ["INFO", "protocol=imap", "client.ip=127.0.0.1", "outcome=\"admitted\"", legacy.user(0).0] {
        assert!(login.contains(part), "{part}: {login}");
    }
}

#[test]
fn json_has_one_object_to_a_line_with_the_names_of_the_trail() {
    let (legacy, gate) = at_work(Some("json"));
    let log = gate.log();
    let events: Vec<Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}")))
        .collect();
    let of = |message: &str| events.iter().filter(|event| event["message"] == message).collect::<Vec<_>>();
    let logins = of("login");
    assert_eq!(logins.len(), 2, "{log}");
    let outcomes: Vec<_> = logins.iter().map(|login| login["outcome"].clone()).collect();
    assert_eq!(outcomes, ["admitted", "refused"]);
    for login in logins {
        assert_eq!(login["account"], legacy.user(0).0);
        assert_eq!((&login["client.ip"], &login["protocol"]), (&"127.0.0.1".into(), &"imap".into()));
        assert_eq!(login["level"], "INFO");
        assert!(login["timestamp"].is_string() && login["session.id"].is_string(), "{login}");
    }
    let end = of("session end");
    assert!(end[0]["bytes_to_client"].is_u64() && end[0]["duration_ms"].is_u64(), "{log}");
}

/// In a room of its own, where a script stands in for the journal.
#[test]
fn the_journal_gets_each_field_by_itself_when_systemd_has_connected_it() {
    let legacy = LegacyServer::start(LegacyOptions::default().fast_auth());
    let gate = Gate::prepare(GateConfig::in_front_of(&legacy));
    let script = in_repository("tests/clients/journal.py").display().to_string();
    let config = gate.config_file().display().to_string();
    let journal = |more: &[&str]| {
        let arguments = ["--mount", "--map-root-user", "/usr/bin/python3", "-B", &script, BINARY, &config];
        run("unshare", &[&arguments, more].concat(), "").json()
    };
    let told = journal(&["connected"]);
    let listening = told.as_array().expect("entries").iter().find(|entry| entry["MESSAGE"] == "listening");
    let listening = listening.unwrap_or_else(|| panic!("no such entry: {told}"));
    assert_eq!((&listening["PROTOCOL"], &listening["PRIORITY"]), (&"imap".into(), &"6".into()));
    assert_eq!(listening["SYSLOG_IDENTIFIER"], "mailward");
    // Only inherited: standard error leads elsewhere, and that is where the log is wanted.
    assert_eq!(journal(&["inherited"]), serde_json::json!([]));
}

/// In a room of its own as well, where there is none.
#[test]
fn a_journal_that_is_not_there_is_told_before_anything_is_served() {
    let legacy = LegacyServer::start(LegacyOptions::default().fast_auth());
    let gate = Gate::prepare(GateConfig::in_front_of(&legacy));
    let config = gate.config_file().display().to_string();
    // Whatever this machine has of a journal is not seen from there.
    let hidden = "mount -t tmpfs none /run && exec \"$@\"";
    let apart = ["--mount", "--map-root-user", "sh", "-c", hidden, "sh", BINARY, "--config", &config];
    let failed = run("unshare", &[&apart[..], &["serve", "--log-format", "journald"]].concat(), "");
    assert_eq!(failed.status, 1, "{failed:?}");
    assert!(failed.stderr.starts_with("error: the journal cannot be written\n"), "{}", failed.stderr);
    assert!(failed.stderr.contains("hint: "), "{}", failed.stderr);
}
