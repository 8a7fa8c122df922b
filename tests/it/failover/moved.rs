//! Mailboxes that move to a new server one by one.

use std::time::{Duration, Instant};

use toml::{Table, Value};

use super::entered;
use crate::support::table::{NOT_LET_IN, STALE};
use crate::support::{
    Gate, GateConfig, Guest, LegacyOptions, LegacyServer, Mail, PROTOCOLS, eventually, log_in,
};

const ANNA: (&str, &str) = ("anna@example.test", "annas-mailbox-password");
const BERT: (&str, &str) = ("bert@example.test", "berts-mailbox-password");

/// The old server, and the new one, to which no domain leads.
struct Move {
    old: LegacyServer,
    new: LegacyServer,
}

impl Move {
    fn start() -> Self {
        let start = || {
            LegacyServer::start(
                LegacyOptions::default().user(ANNA.0, ANNA.1).user(BERT.0, BERT.1).fast_auth(),
            )
        };
        let (old, new) = std::thread::scope(|scope| {
            let old = scope.spawn(start);
            (old.join().expect("a server"), start())
        });
        Self { old, new }
    }

    fn config(&self, same_passwords: bool) -> GateConfig {
        let upstream = |name: &str, server: &LegacyServer, domains: &[&str]| {
            let endpoint = |mail: &Mail| {
                let mut endpoint = Table::new();
                let address = format!("{}:{}", server.host(), server.port(mail.name()));
                endpoint.insert("address".into(), Value::Array(vec![address.into()]));
                endpoint.insert("tls".into(), "none".into());
                (mail.name().to_owned(), Value::Table(endpoint))
            };
            let mut upstream: Table = PROTOCOLS.iter().map(endpoint).collect();
            upstream.insert("name".into(), name.into());
            upstream.insert("domains".into(), domains.to_vec().into());
            upstream
        };
        let old = upstream("old", &self.old, &["example.test"]);
        let mut new = upstream("new", &self.new, &[]);
        if same_passwords {
            new.insert("same_passwords_as".into(), vec!["old"].into());
        }
        GateConfig::in_front_of(&self.old).set(&["upstream"], vec![old, new]).uncounted()
    }
}

#[test]
fn a_moved_account_goes_on_at_its_new_server_and_nobody_else_does() {
    let moving = Move::start();
    let gate = Gate::start(moving.config(true));
    let made = gate.app_password(ANNA.0, ANNA.1, &[]);
    gate.bind_totp(ANNA.0);
    let mut sessions = PROTOCOLS.map(|mail| {
        let mut guest = Guest::at(&gate, mail);
        assert!(mail.is_yes(&guest.log_in(ANNA.0, &made.password)));
        guest
    });
    let mut bert = Guest::at(&gate, Mail::Imap);
    assert!(Mail::Imap.is_yes(&bert.log_in(BERT.0, BERT.1)));
    assert_eq!(entered(&moving.new), 0);

    let told = gate.cli(&["account", "upstream", ANNA.0, "new"]).success();
    assert_eq!(told, "moved anna@example.test from `old` to `new`\n");
    let returned = Instant::now();
    for session in &mut sessions {
        session.wire.rest();
    }
    let took = returned.elapsed();
    assert!(took < Duration::from_secs(3), "{took:?}");
    for mail in PROTOCOLS {
        assert!(mail.is_yes(&log_in(&gate, mail, ANNA.0, &made.password)), "with the app password it had");
        NOT_LET_IN.check(mail, &log_in(&gate, mail, ANNA.0, ANNA.1));
    }
    assert!(moving.new.dovecot_log().contains(ANNA.0));
    assert!(bert.wire.imap("n", "NOOP").contains("n OK"), "nobody else is concerned");
    assert!(Mail::Imap.is_yes(&log_in(&gate, Mail::Imap, BERT.0, BERT.1)));
    assert!(!moving.new.dovecot_log().contains(BERT.0));

    let shown = gate.cli(&["account", "show", ANNA.0, "--json"]).json();
    assert_eq!((&shown["upstream"], &shown["bound_upstream"]), (&"new".into(), &"new".into()));
    assert!(gate.cli(&["account", "list"]).success().contains("new (bound)"));
    eventually("the ends are on record", || {
        let search = ["audit", "search", "--account", ANNA.0, "--event", "session_end", "--json"];
        gate.cli(&search).success().matches("\"upstream_withdrawn\"").count() == PROTOCOLS.len()
    });
    let search = ["audit", "search", "--event", "account_upstream_changed", "--json"];
    let records = gate.cli(&search).json();
    assert_eq!((&records[0]["from"], &records[0]["to"]), (&"old".into(), &"new".into()));

    let told = gate.cli(&["account", "upstream", ANNA.0, "--none"]).success();
    assert_eq!(told, "moved anna@example.test from `new` back to `old`, where its domain leads\n");
    let before = entered(&moving.old);
    assert!(Mail::Imap.is_yes(&log_in(&gate, Mail::Imap, ANNA.0, &made.password)));
    eventually("Dovecot logs it", || entered(&moving.old) > before);
}

#[test]
fn where_nobody_says_that_passwords_are_the_same_app_passwords_wait_to_be_resealed() {
    let moving = Move::start();
    let gate = Gate::start(moving.config(false));
    let made = gate.app_password(ANNA.0, ANNA.1, &[]);
    gate.bind_totp(ANNA.0);
    let told = gate.cli(&["account", "upstream", ANNA.0, "new"]).success();
    assert!(told.contains("1 app password is sealed for another upstream"), "{told}");
    for mail in PROTOCOLS {
        STALE.check(mail, &log_in(&gate, mail, ANNA.0, &made.password));
    }
    assert!(!moving.new.dovecot_log().contains(ANNA.0), "what is sealed for one is not sent to another");
    let reseal = ["app-password", "reseal", ANNA.0, "--mailbox-password-stdin"];
    gate.cli_with_input(&reseal, &format!("{}\n", ANNA.1)).success();
    for mail in PROTOCOLS {
        assert!(mail.is_yes(&log_in(&gate, mail, ANNA.0, &made.password)));
    }
    assert!(moving.new.dovecot_log().contains(ANNA.0));
}
