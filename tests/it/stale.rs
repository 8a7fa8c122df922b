//! Clients that go on polling with an app password whose mailbox password has changed do not lock the mailbox.

use std::fs;

use crate::support::table::STALE;
use crate::support::{
    AppPassword, Gate, GateConfig, LegacyOptions, LegacyServer, Mail, PROTOCOLS, Postgres, Visitor, code,
    log_in,
};

const CHANGED: &str = "a new mailbox password";

/// How many wrong passwords of that user the server has seen.
fn refused(legacy: &LegacyServer, user: &str) -> usize {
    let log = legacy.dovecot_log();
    log.lines().filter(|line| line.contains(user) && line.contains("Password mismatch")).count()
}

/// Thirty logins over all protocols, with either app password, at each gate in turn.
fn poll(gates: &[&Gate], user: &str, made: &[AppPassword; 2], check: impl Fn(Mail, &str)) {
    for round in 0..30 {
        let mail = PROTOCOLS[round % PROTOCOLS.len()];
        let gate = gates[round / 6 % gates.len()];
        check(mail, &log_in(gate, mail, user, &made[round % made.len()].password));
    }
}

/// The whole story: `gates` share what they know.
fn one_refusal_is_all_that_the_server_sees(mut legacy: LegacyServer, gates: &[&Gate]) {
    let (user, password) = legacy.user(0);
    let (user, password) = (user.to_owned(), password.to_owned());
    let [first, ..] = gates else { panic!("no gate") };
    let made = [(); 2].map(|()| first.app_password(&user, &password, &[]));
    first.bind_totp(&user);
    for mail in PROTOCOLS {
        assert!(mail.is_yes(&log_in(first, mail, &user, &made[0].password)), "its proof is remembered");
    }
    legacy.change_password(0, CHANGED);
    assert_eq!(refused(&legacy, &user), 0);
    poll(gates, &user, &made, |mail, reply| STALE.check_with_portal(mail, reply));
    assert_eq!(refused(&legacy, &user), 1, "{}", legacy.dovecot_log());

    let list = first.cli(&["app-password", "list", &user, "--json"]).json();
    let stale = list.as_array().expect("a list").iter().filter(|one| one["stale_since"].is_string());
    assert_eq!(stale.count(), 2, "{list}");
    let reseal = ["app-password", "reseal", &user, "--mailbox-password-stdin", "--json"];
    let told = first.cli_with_input(&reseal, &format!("{CHANGED}\n")).json();
    assert_eq!(told["resealed"].as_array().map(Vec::len), Some(2), "{told}");
    poll(gates, &user, &made, |mail, reply| assert!(mail.is_yes(reply), "{reply}"));
    assert_eq!(refused(&legacy, &user), 1);
    for (event, number) in [("mailbox_password_stale", 1), ("mailbox_password_resealed", 2)] {
        let search = ["audit", "search", "--account", &user, "--event", event, "--json"];
        let found = first.cli(&search).json();
        assert_eq!(found.as_array().map(Vec::len), Some(number), "{found}");
    }
}

#[test]
fn on_sqlite() {
    let legacy = LegacyServer::start(LegacyOptions::default().fast_auth());
    let gate = Gate::start(GateConfig::in_front_of(&legacy).with_portal().failures(1, 1));
    one_refusal_is_all_that_the_server_sees(legacy, &[&gate]);
}

#[test]
fn on_postgres_with_two_gates() {
    let (legacy, postgres) = (LegacyServer::start(LegacyOptions::default().fast_auth()), Postgres::start());
    let config = || GateConfig::in_front_of(&legacy).with_portal().failures(1, 1).database(postgres.url());
    let first = Gate::start(config());
    let mut second = Gate::prepare(config());
    let key = |gate: &Gate| gate.directory().join("data/site.key");
    fs::copy(key(&first), key(&second)).expect("the key file that both gates need");
    second.start_again();
    one_refusal_is_all_that_the_server_sees(legacy, &[&first, &second]);
}

/// An owner who uses no second factor yet, and one client with an app password beside others without.
#[test]
fn an_unbound_owners_other_client_mends_the_app_password() {
    let mut legacy = LegacyServer::start(LegacyOptions::default().fast_auth());
    let gate = Gate::start(GateConfig::in_front_of(&legacy).with_portal().uncounted());
    let (user, password) = legacy.user(0);
    let (user, password) = (user.to_owned(), password.to_owned());
    let made = gate.app_password(&user, &password, &[]);
    legacy.change_password(0, CHANGED);
    STALE.check_with_portal(Mail::Imap, &log_in(&gate, Mail::Imap, &user, &made.password));
    assert!(Mail::Pop3.is_yes(&log_in(&gate, Mail::Pop3, &user, CHANGED)));
    crate::support::eventually("the app password lets in again", || {
        Mail::Imap.is_yes(&log_in(&gate, Mail::Imap, &user, &made.password))
    });
    assert_eq!(refused(&legacy, &user), 1);
}

/// She changes it, and signs in at the portal the next time that she needs to: her clients were never told anything.
#[test]
fn a_sign_in_at_the_portal_mends_every_app_password_of_who_is_bound() {
    let mut legacy = LegacyServer::start(LegacyOptions::default().fast_auth());
    let gate = Gate::start(GateConfig::in_front_of(&legacy).uncounted().portal_at("127.0.0.1"));
    let (user, password) = legacy.user(0);
    let (user, password) = (user.to_owned(), password.to_owned());
    let made = [(); 3].map(|()| gate.app_password(&user, &password, &[]));
    let secret = gate.bind_totp(&user);
    legacy.change_password(0, CHANGED);
    let visitor = Visitor::before(gate.portal());
    visitor.post("/sign-in", &[("login", &user), ("password", CHANGED)]).success();
    let form = Visitor::hidden(&visitor.ask("/second-factor", &[]).success(), "form");
    let answer = [("form", &*form), ("use", "totp"), ("code", &code(&secret, 0))];
    visitor.post("/second-factor", &answer).success();
    for made in &made {
        for mail in PROTOCOLS {
            let reply = log_in(&gate, mail, &user, &made.password);
            assert!(mail.is_yes(&reply), "{mail:?}, {}: {reply}", made.label);
        }
    }
    assert_eq!(refused(&legacy, &user), 0, "the old one was never tried: {}", legacy.dovecot_log());
}
