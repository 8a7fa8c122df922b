//! Owners and neighbours: forgotten devices and attacks do not shut them out.

use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use crate::support::table::{NOT_LET_IN, TOO_MANY};
use crate::support::{Gate, GateConfig, Guest, LegacyOptions, LegacyServer, Mail, PROTOCOLS, log_in};

const CAMPUS: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 40);
const OWNER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 41);
const STRANGER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 42);

fn legacy_server() -> LegacyServer {
    LegacyServer::start(LegacyOptions::default().fast_auth())
}

/// The day of the change: everybody comes from one address, and one phone polls with a password that is none any more.
#[test]
fn one_stale_phone_does_not_shut_the_campus_out() {
    let legacy = legacy_server();
    let gate = Gate::start(GateConfig::in_front_of(&legacy).failures(5, 5));
    let (bound, old_password) = legacy.user(0);
    let made = gate.app_password(bound, old_password, &[]);
    gate.bind_totp(bound);
    let over = AtomicBool::new(false);
    let polls = thread::scope(|scope| {
        let phone = scope.spawn(|| {
            let mut polls = 0;
            // However fast the others are, it polls more often than anybody may fail.
            while !over.load(Ordering::SeqCst) || polls < 20 {
                for mail in PROTOCOLS {
                    NOT_LET_IN.check(mail, &Guest::from(CAMPUS, &gate, mail).log_in(bound, old_password));
                    polls += 1;
                }
            }
            polls
        });
        for number in 0..50 {
            let (user, password) = legacy.user(1 + number % 3);
            let mail = PROTOCOLS[number % 3];
            let reply = Guest::from(CAMPUS, &gate, mail).log_in(user, password);
            assert!(mail.is_yes(&reply), "login {number}: {reply}");
        }
        let reply = Guest::from(CAMPUS, &gate, Mail::Imap).log_in(bound, &made.password);
        assert!(Mail::Imap.is_yes(&reply), "the owner's other device: {reply}");
        over.store(true, Ordering::SeqCst);
        phone.join().expect("the phone")
    });
    assert!(polls >= 20);
    for (number, mail) in PROTOCOLS.into_iter().enumerate() {
        let user = format!("typo{number}@example.test");
        NOT_LET_IN.check(mail, &Guest::from(CAMPUS, &gate, mail).log_in(&user, "typo"));
    }
}

#[test]
fn the_owner_gets_in_while_many_networks_guess_and_somebody_is_told() {
    let legacy = legacy_server();
    let gate = Gate::start(GateConfig::in_front_of(&legacy).upstream_may_see(1000, 1000));
    let (user, password) = legacy.user(0);
    let made = gate.app_password(user, password, &[]);
    let owner = |mail| Guest::from(OWNER, &gate, mail).log_in(user, password);
    assert!(Mail::Imap.is_yes(&owner(Mail::Imap)), "before the attack");
    for round in 0..3_u8 {
        thread::scope(|scope| {
            for number in 0..20 {
                let (gate, from) = (&gate, Ipv4Addr::new(127, 0, 50 + round, number));
                let guess = format!("guess {round} {number}");
                scope.spawn(move || Guest::from(from, gate, Mail::Pop3).log_in(user, &guess));
            }
        });
        for mail in PROTOCOLS {
            assert!(mail.is_yes(&owner(mail)), "round {round}");
        }
    }
    let stranger = Guest::from(STRANGER, &gate, Mail::Imap).log_in(user, password);
    TOO_MANY.check(Mail::Imap, &stranger);
    let elsewhere = Guest::from(STRANGER, &gate, Mail::Imap).log_in(user, &made.password);
    assert!(Mail::Imap.is_yes(&elsewhere), "with an app password from anywhere: {elsewhere}");

    let found = gate.cli(&["audit", "search", "--event", "guessing_noticed", "--json"]).success();
    assert_eq!(found.matches("\"many_networks\"").count(), 1, "{found}");
    assert!(found.contains(user), "{found}");
    let warnings = gate.log().lines().filter(|line| line.contains("somebody seems to guess")).count();
    assert!((1..=2).contains(&warnings), "networks, and passwords:\n{}", gate.log());
}

/// A mailbox password that was changed upstream: the old phone polls on, and the new password gets in.
#[test]
fn a_stale_phone_of_an_unbound_account_does_not_keep_its_owner_out() {
    let legacy = legacy_server();
    let gate = Gate::start(GateConfig::in_front_of(&legacy).failures(5, 5));
    let (user, password) = legacy.user(0);
    for _ in 0..12 {
        NOT_LET_IN.check(Mail::Imap, &log_in(&gate, Mail::Imap, user, "the old password"));
    }
    assert!(Mail::Imap.is_yes(&log_in(&gate, Mail::Imap, user, password)));
    let heard = legacy.dovecot_log();
    let heard = heard.lines().filter(|line| line.contains(user) && line.contains("assword mismatch")).count();
    assert_eq!(heard, 1, "the upstream heard the old password {heard} times");
}
