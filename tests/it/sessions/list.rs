//! The list: what it shows, how soon, and what becomes of a node that dies. And what ending one session is like.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::{Client, reasons};
use crate::support::{Gate, GateConfig, LegacyOptions, LegacyServer, Mail, Postgres, eventually, log_in};

fn listed(gate: &Gate) -> Vec<Value> {
    gate.cli(&["session", "list", "--json"]).json().as_array().expect("sessions").clone()
}

fn eventually_listed(gate: &Gate, count: usize) -> Vec<Value> {
    let mut sessions = Vec::new();
    eventually("so many sessions are listed", || {
        sessions = listed(gate);
        sessions.len() == count
    });
    sessions
}

#[test]
fn who_is_in_is_listed_and_ended() {
    let legacy = LegacyServer::start(LegacyOptions::default().fast_auth());
    let config = GateConfig::in_front_of(&legacy).uncounted();
    let mut gate = Gate::start(config.set(&["limits", "sessions_per_account"], 2));
    assert_eq!(gate.cli(&["session", "list"]).success(), "no live sessions\n");
    let ((user, password), (other, others)) = (legacy.user(0), legacy.user(1));
    let made = gate.app_password(user, password, &[]);
    let imap = Client::enter(&gate, Mail::Imap, user, &made.password);
    let mut pop3 = Client::enter(&gate, Mail::Pop3, user, password);
    let full = log_in(&gate, Mail::Imap, user, password);
    assert!(!Mail::Imap.is_yes(&full), "two are as many as may be: {full}");
    let _smtp = Client::enter(&gate, Mail::Smtp, other, others);

    let sessions = eventually_listed(&gate, 3);
    let first = &sessions[0];
    for (key, expected) in [
        ("account", user),
        ("protocol", "imap"),
        ("ip", "127.0.0.1"),
        ("credential", "app_password"),
        ("app_password", &made.id),
        ("label", &made.label),
        ("name", "Test"),
        ("upstream", "legacy"),
    ] {
        assert_eq!(first[key], expected, "{key} of {first}");
    }
    assert_eq!(
        (&sessions[1]["credential"], &sessions[1]["label"]),
        (&"mailbox_password".into(), &Value::Null)
    );
    let of_user = gate.cli(&["session", "list", user]).success();
    assert_eq!(of_user.lines().count(), 3, "a heading and two:\n{of_user}");
    assert!(of_user.contains(&format!("{} `Test`", made.label)), "{of_user}");
    let shown = gate.cli(&["account", "show", user, "--json"]).json();
    assert_eq!(shown["sessions"].as_array().map(Vec::len), Some(2), "{shown}");
    assert!(gate.cli(&["account", "show", user]).success().contains("\nlive sessions\n"));
    assert_eq!(gate.cli(&["session", "list", "nobody@example.test"]).status, 3);

    let id = first["id"].as_str().expect("an ID");
    let watched = imap.watch();
    let said = gate.cli(&["session", "end", id]).success();
    assert_eq!(said, format!("ended the imap session of {user} from 127.0.0.1\n"));
    assert!(watched.join().expect("its end").in_order);
    assert_eq!(gate.cli(&["session", "end", id]).status, 3, "it is over");
    assert_eq!(gate.cli(&["session", "end", "x"]).status, 2, "that is no ID");
    pop3.goes_on();
    assert_eq!(reasons(&gate, user, 1), ["ended_by_admin"]);
    let search = ["audit", "search", "--event", "session_end_asked", "--json"];
    let asked = gate.cli(&search).json();
    assert_eq!((&asked[0]["session"], &asked[0]["account"]), (&first["id"], &first["account"]), "{asked}");
    assert_eq!(asked[0]["by"]["kind"], "command_line", "{asked}");
    let again = Client::enter(&gate, Mail::Imap, user, &made.password);
    drop((again, pop3));

    assert_eq!(gate.stop(), Some(0));
    assert_eq!(listed(&gate), Vec::<Value>::new(), "a gate that stops in order takes its sessions along");
}

#[test]
fn the_sessions_of_a_node_that_dies_vanish_from_the_list() {
    let (legacy, postgres) = (LegacyServer::start(LegacyOptions::default().fast_auth()), Postgres::start());
    let config = || GateConfig::in_front_of(&legacy).uncounted().database(postgres.url());
    let mut here = Gate::start(config());
    let there = here.join(config());
    let (user, password) = legacy.user(0);
    let _lost = Client::enter(&here, Mail::Imap, user, password);
    let mut stays = Client::enter(&there, Mail::Imap, user, password);
    let sessions = eventually_listed(&there, 2);
    assert_eq!(sessions, listed(&here), "every node shows the same");
    here.kill();
    let killed = Instant::now();
    let lost = sessions[0]["id"].as_str().expect("an ID");
    let unheard = there.cli(&["session", "end", lost]);
    assert_eq!(unheard.status, 1, "nobody is there to end it: {unheard:?}");
    assert!(unheard.stderr.contains("was not seen to end"), "{unheard:?}");
    here.start_again();
    while listed(&there).len() > 1 {
        assert!(killed.elapsed() < Duration::from_secs(35), "{:?}", listed(&there));
        std::thread::sleep(Duration::from_millis(250));
    }
    stays.goes_on();
    let _back = Client::enter(&here, Mail::Imap, user, password);
    eventually_listed(&there, 2);
}
