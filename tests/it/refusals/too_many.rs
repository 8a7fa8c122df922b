//! Too many failures: whom they shut out, for how long it is said, and whom they never touch.

use std::net::Ipv4Addr;

use crate::support::table::{NOT_LET_IN, TOO_MANY};
use crate::support::{
    Gate, GateConfig, Guest, LegacyOptions, LegacyServer, Mail, PROTOCOLS, eventually, log_in,
    on_each_protocol,
};

const GUESSER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 66);
const OWNER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 77);
const STRANGER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 88);

fn legacy_server() -> LegacyServer {
    LegacyServer::start(LegacyOptions::default().fast_auth())
}

fn log_in_from(source: Ipv4Addr, gate: &Gate, mail: Mail, user: &str, password: &str) -> String {
    Guest::from(source, gate, mail).log_in(user, password)
}

#[test]
fn the_right_words_end_the_guessing_on_each_protocol() {
    let legacy = legacy_server();
    let gate = Gate::start(GateConfig::in_front_of(&legacy).with_portal().failures(100, 2));
    on_each_protocol(|mail| {
        let account = format!("{}@example.test", mail.name());
        let mut guest = Guest::at(&gate, mail);
        for guess in ["one", "two"] {
            NOT_LET_IN.check_with_portal(mail, &guest.log_in(&account, guess));
        }
        match mail {
            Mail::Imap => {
                for guess in ["three", "four", "five"] {
                    TOO_MANY.check_with_portal(mail, &guest.log_in(&account, guess));
                }
                let goodbye = guest.wire.rest();
                assert!(goodbye.starts_with("* BYE ") && goodbye.ends_with("\r\n"), "`{goodbye}`");
            }
            Mail::Pop3 => {
                TOO_MANY.check_with_portal(mail, &guest.log_in(&account, "three"));
            }
            Mail::Smtp => {
                TOO_MANY.check_with_portal(mail, &guest.log_in(&account, "three"));
                assert_eq!(guest.wire.rest(), "", "421 ends the connection (RFC 5321 section 3.8)");
            }
        }
        TOO_MANY.check(mail, &log_in(&gate, mail, &account, "on another connection"));
    });
}

#[test]
fn a_network_that_guesses_is_shut_out_and_no_other() {
    let legacy = legacy_server();
    let gate = Gate::start(GateConfig::in_front_of(&legacy).failures(3, 100));
    let (user, password) = legacy.user(0);
    let made = gate.app_password(user, password, &[]);
    let guess = |source, account: &str| log_in_from(source, &gate, Mail::Imap, account, "a guess");
    for account in ["a@example.test", "b@example.test", "c@example.test"] {
        NOT_LET_IN.check(Mail::Imap, &guess(GUESSER, account));
    }
    on_each_protocol(|mail| {
        TOO_MANY.check(mail, &log_in_from(GUESSER, &gate, mail, "d@example.test", "a guess"));
        TOO_MANY.check(mail, &log_in_from(GUESSER, &gate, mail, user, password));
        assert!(mail.is_yes(&log_in_from(STRANGER, &gate, mail, user, password)), "another network");
    });
    // What hides behind a label cannot be guessed.
    for mail in PROTOCOLS {
        assert!(mail.is_yes(&log_in_from(GUESSER, &gate, mail, user, &made.password)), "an app password");
    }
    NOT_LET_IN.check(Mail::Imap, &guess(STRANGER, "a@example.test"));
}

#[test]
fn guessing_at_an_account_does_not_lock_its_owner_out() {
    let legacy = legacy_server();
    let gate = Gate::start(GateConfig::in_front_of(&legacy).failures(100, 2));
    let (user, password) = legacy.user(0);
    assert!(Mail::Imap.is_yes(&log_in_from(OWNER, &gate, Mail::Imap, user, password)));
    for guess in ["one", "two"] {
        NOT_LET_IN.check(Mail::Imap, &log_in_from(GUESSER, &gate, Mail::Imap, user, guess));
    }
    on_each_protocol(|mail| {
        TOO_MANY.check(mail, &log_in_from(GUESSER, &gate, mail, user, "three"));
        TOO_MANY.check(mail, &log_in_from(STRANGER, &gate, mail, user, password));
        assert!(mail.is_yes(&log_in_from(OWNER, &gate, mail, user, password)), "where it was before");
    });
}

#[test]
fn success_costs_nothing() {
    let legacy = legacy_server();
    let gate = Gate::start(GateConfig::in_front_of(&legacy).failures(1, 1));
    let (user, password) = legacy.user(0);
    for _ in 0..5 {
        for mail in PROTOCOLS {
            assert!(mail.is_yes(&log_in(&gate, mail, user, password)));
        }
    }
    let made = gate.app_password(user, password, &[]);
    gate.bind_totp(user);
    for _ in 0..5 {
        for mail in PROTOCOLS {
            assert!(mail.is_yes(&log_in(&gate, mail, user, &made.password)));
        }
    }
}

/// Twenty at once are no way round the limit: attempts in flight hold a reservation.
#[test]
fn guessing_in_parallel_brings_nothing() {
    let legacy = legacy_server();
    let gate = Gate::start(GateConfig::in_front_of(&legacy).failures(100, 3));
    let user = legacy.user(0).0;
    let replies = std::thread::scope(|scope| {
        let gate = &gate;
        let guesses = (0..20)
            .map(|number| scope.spawn(move || log_in(gate, Mail::Pop3, user, &format!("guess {number}"))));
        let guesses = guesses.collect::<Vec<_>>();
        guesses.into_iter().map(|guess| guess.join().expect("an answer")).collect::<Vec<_>>()
    });
    let looked_at = replies.iter().filter(|reply| reply.starts_with("-ERR [AUTH]")).count();
    let limited = replies.iter().filter(|reply| reply.starts_with("-ERR [SYS/TEMP]")).count();
    assert_eq!((looked_at, limited), (3, 17), "{replies:#?}");
    let heard = |log: &str| {
        log.lines().filter(|line| line.contains(user) && line.contains("assword mismatch")).count()
    };
    eventually("Dovecot has logged what it heard", || heard(&legacy.dovecot_log()) >= 3);
    let log = legacy.dovecot_log();
    assert_eq!(heard(&log), 3, "{log}");
}
