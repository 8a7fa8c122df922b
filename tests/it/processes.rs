//! Several processes on one site: commands beside the running gate, a gate that dies, and what the trail says then.

use std::thread;
use std::time::Duration;

use serde_json::Value;

use crate::support::table::{BIND_FIRST, NOT_LET_IN};
use crate::support::{Gate, GateConfig, LegacyOptions, LegacyServer, Mail, PROTOCOLS, eventually, log_in};

fn world() -> (LegacyServer, Gate) {
    let legacy = LegacyServer::start(LegacyOptions::default().fast_auth());
    let gate = Gate::start(GateConfig::in_front_of(&legacy).uncounted());
    (legacy, gate)
}

/// The records that `audit search` finds.
fn search(gate: &Gate, arguments: &[&str]) -> Vec<Value> {
    let found = gate.cli(&[&["audit", "search", "--json"], arguments].concat()).json();
    found.as_array().expect("a list of records").clone()
}

#[test]
fn what_a_client_was_told_is_on_record_even_if_the_gate_is_killed_at_once() {
    let (legacy, mut gate) = world();
    let (user, password) = legacy.user(0);
    for mail in PROTOCOLS {
        assert!(mail.is_yes(&log_in(&gate, mail, user, password)));
        gate.kill();
        gate.cli(&["audit", "verify"]).success();
        let found = search(&gate, &["--account", user, "--event", "login", "--outcome", "admitted"]);
        let last = found.last().and_then(|record| record["protocol"].as_str());
        assert_eq!(last, Some(mail.name()), "{found:?}");
        gate.start_again();
    }
    gate.cli(&["audit", "verify"]).success();
    assert_eq!(search(&gate, &["--account", user, "--event", "login"]).len(), 3);
    let shown = gate.cli(&["account", "show", user, "--json"]).json();
    assert_eq!(shown["state"], "active", "{shown}");
    assert_eq!(gate.stop(), Some(0), "an orderly end");
    gate.cli(&["audit", "verify"]).success();
}

/// One attempt, one record; one session end, one record.
#[test]
fn each_attempt_leaves_one_record_that_says_more_than_the_client_heard() {
    let (legacy, gate) = world();
    let (user, password) = legacy.user(0);
    let made = gate.app_password(user, password, &[]);
    gate.bind_totp(user);
    for mail in PROTOCOLS {
        assert!(mail.is_yes(&log_in(&gate, mail, user, &made.password)));
        // Another one each time: the same again would be counted with the first.
        let guess = format!("{password} {}", mail.name());
        NOT_LET_IN.check(mail, &log_in(&gate, mail, user, &guess));
        NOT_LET_IN.check(mail, &log_in(&gate, mail, "nobody@example.test", &guess));
    }
    eventually("the sessions have ended", || search(&gate, &["--event", "session_end"]).len() == 3);
    let admitted = search(&gate, &["--account", user, "--outcome", "admitted"]);
    let refused = search(&gate, &["--account", user, "--outcome", "refused"]);
    assert_eq!((admitted.len(), refused.len()), (3, 3), "{admitted:?} {refused:?}");
    for record in &admitted {
        assert_eq!(record["label"], *made.label, "{record}");
        assert_eq!(record["credential"], "app_password", "{record}");
        assert_eq!(record["ip"], "127.0.0.1", "{record}");
    }
    assert!(refused.iter().all(|record| record["reason"].as_str() != Some("")), "{refused:?}");
    let all = search(&gate, &["--event", "login"]);
    assert_eq!(all.len(), 9, "{all:?}");
    assert!(!all.iter().any(|record| record.to_string().contains("nobody")), "unknown names are hashed");
    assert_eq!(search(&gate, &["--account", user, "--event", "app_password_created"]).len(), 1);
    assert_eq!(search(&gate, &["--account", user, "--event", "factor_bound"]).len(), 1);
}

#[test]
fn what_another_process_changes_counts_at_once() {
    let (legacy, gate) = world();
    let (user, password) = legacy.user(0);
    for mail in PROTOCOLS {
        let made = gate.app_password(user, password, &[]);
        assert!(mail.is_yes(&log_in(&gate, mail, user, &made.password)), "just made");
        // Twice: the second time from the memory of the first.
        assert!(mail.is_yes(&log_in(&gate, mail, user, &made.password)));
        gate.cli(&["app-password", "revoke", user, &made.id]).success();
        let reply = log_in(&gate, mail, user, &made.password);
        NOT_LET_IN.check(mail, &reply);
    }
    let several = [(); 3].map(|()| gate.app_password(user, password, &[]));
    gate.bind_totp(user);
    NOT_LET_IN.check(Mail::Imap, &log_in(&gate, Mail::Imap, user, password));
    gate.cli(&["app-password", "revoke", user, "--all"]).success();
    for made in &several {
        NOT_LET_IN.check(Mail::Imap, &log_in(&gate, Mail::Imap, user, &made.password));
    }
    assert_eq!(gate.cli(&["app-password", "list", user, "--json"]).json(), Value::Array(vec![]));
}

#[test]
fn a_bound_account_that_was_removed_comes_back_as_must_bind() {
    let (legacy, gate) = world();
    let ((bound, password), (unbound, others)) = (legacy.user(0), legacy.user(1));
    let made = gate.app_password(bound, password, &[]);
    gate.bind_totp(bound);
    assert!(Mail::Imap.is_yes(&log_in(&gate, Mail::Imap, bound, &made.password)));
    assert!(Mail::Imap.is_yes(&log_in(&gate, Mail::Imap, unbound, others)));
    for account in [bound, unbound] {
        gate.cli(&["account", "remove", account]).success();
        assert_eq!(gate.cli(&["account", "remove", account]).status, 3, "there is none any more");
    }
    for mail in PROTOCOLS {
        NOT_LET_IN.check(mail, &log_in(&gate, mail, bound, password));
        NOT_LET_IN.check(mail, &log_in(&gate, mail, bound, &made.password));
        assert!(mail.is_yes(&log_in(&gate, mail, unbound, others)), "it never had a factor");
    }
    gate.cli(&["account", "add", bound]).success();
    NOT_LET_IN.check(Mail::Imap, &log_in(&gate, Mail::Imap, bound, password));
    let renewed = gate.app_password(bound, password, &[]);
    BIND_FIRST.check(Mail::Imap, &log_in(&gate, Mail::Imap, bound, &renewed.password));
    gate.bind_totp(bound);
    assert!(Mail::Imap.is_yes(&log_in(&gate, Mail::Imap, bound, &renewed.password)));
    NOT_LET_IN.check(Mail::Imap, &log_in(&gate, Mail::Imap, bound, &made.password));
}

#[test]
fn many_processes_write_the_trail_at_once_and_it_stays_sound() {
    let (legacy, gate) = world();
    let (user, password) = legacy.user(0);
    assert!(Mail::Imap.is_yes(&log_in(&gate, Mail::Imap, user, password)));
    const TIMES: usize = 8;
    thread::scope(|scope| {
        for account in ["a@example.test", "b@example.test"] {
            let gate = &gate;
            scope.spawn(move || {
                gate.cli(&["account", "add", account]).success();
                for _ in 0..TIMES {
                    gate.cli(&["account", "suspend", account]).success();
                    gate.cli(&["account", "resume", account]).success();
                }
            });
        }
        for mail in PROTOCOLS {
            let gate = &gate;
            scope.spawn(move || {
                for _ in 0..TIMES {
                    assert!(mail.is_yes(&log_in(gate, mail, user, password)));
                }
            });
        }
        scope.spawn(|| {
            for _ in 0..TIMES {
                gate.cli(&["audit", "verify"]).success();
                thread::sleep(Duration::from_millis(50));
            }
        });
    });
    gate.cli(&["audit", "verify"]).success();
    for (event, count) in
        [("account_suspended", 2 * TIMES), ("account_resumed", 2 * TIMES), ("login", 3 * TIMES + 1)]
    {
        assert_eq!(search(&gate, &["--event", event]).len(), count, "{event}");
    }
}

/// Whoever changes what was recorded is found out, while the gate runs and after.
#[test]
fn tampering_with_the_trail_is_found() {
    let (legacy, mut gate) = world();
    let (user, password) = legacy.user(0);
    for _ in 0..4 {
        assert!(Mail::Pop3.is_yes(&log_in(&gate, Mail::Pop3, user, password)));
    }
    gate.stop();
    gate.cli(&["audit", "verify"]).success();

    let directory = gate.directory().join("data/audit");
    let files = std::fs::read_dir(&directory).expect("the trail").map(|entry| entry.expect("a file").path());
    let size = |path: &std::path::PathBuf| std::fs::metadata(path).map_or(0, |metadata| metadata.len());
    let chains = files.filter(|file| file.extension().is_some_and(|ending| ending == "jsonl"));
    let file = chains.max_by_key(size).expect("a chain");
    let original = std::fs::read_to_string(&file).expect("the chain");
    let lines = original.split_inclusive('\n').collect::<Vec<_>>();
    assert!(lines.len() > 6, "{original}");
    let with = |change: fn(&mut Vec<&str>)| {
        let mut lines = lines.clone();
        change(&mut lines);
        lines.concat()
    };
    let tampered = [
        ("changed", original.replacen("127.0.0.1", "127.0.0.9", 1)),
        (
            "missing",
            with(|lines| {
                lines.remove(3);
            }),
        ),
        ("inserted", with(|lines| lines.insert(3, lines[2]))),
        ("reordered", with(|lines| lines.swap(2, 3))),
        ("cut off", with(|lines| lines.truncate(4))),
        ("emptied", String::new()),
    ];
    for (what, content) in tampered {
        std::fs::write(&file, content).expect("the chain");
        let verified = gate.cli(&["audit", "verify"]);
        assert_eq!(verified.status, 1, "a record was {what}: {verified:?}");
        assert!(!verified.stderr.is_empty(), "a record was {what}: {verified:?}");
    }
    std::fs::remove_file(&file).expect("the chain");
    assert_eq!(gate.cli(&["audit", "verify"]).status, 1, "the whole chain is gone");
    std::fs::write(&file, &original).expect("the chain");
    gate.cli(&["audit", "verify"]).success();
}
