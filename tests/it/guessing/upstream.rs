//! What the upstream sees: few failures, whoever guesses, and every good login.

use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::strict::{RIGHT, Strict};
use crate::support::table::NOT_LET_IN;
use crate::support::{Gate, GateConfig, Guest, LegacyOptions, LegacyServer, Mail, UpstreamTls, log_in};

fn source(number: u8) -> Ipv4Addr {
    Ipv4Addr::new(127, 0, 9, number)
}

fn log_in_from(number: u8, gate: &Gate, user: &str, password: &str) -> String {
    Guest::from(source(number), gate, Mail::Imap).log_in(user, password)
}

/// Sprays from many networks at many accounts for as long as `meanwhile` runs; how many attempts that were.
fn spray(gate: &Gate, meanwhile: impl FnOnce()) -> u32 {
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let guessers = (1..=4_u8).map(|guesser| {
            let over = &over;
            scope.spawn(move || {
                let mut number = 0;
                while !over.load(Ordering::SeqCst) {
                    let from = guesser * 50 + u8::try_from(number % 50).expect("small");
                    let victim = format!("victim{guesser}{number}@example.test");
                    log_in_from(from, gate, &victim, "Password1");
                    number += 1;
                }
                number
            })
        });
        let guessers = guessers.collect::<Vec<_>>();
        meanwhile();
        over.store(true, Ordering::SeqCst);
        guessers.into_iter().map(|guesser| guesser.join().expect("a guesser")).sum()
    })
}

#[test]
fn an_upstream_that_bans_after_five_failures_a_minute_never_bans_and_good_logins_go_on() {
    let upstream = Strict::start(Duration::ZERO);
    let config = GateConfig::in_front_of_ports(&[(Mail::Imap, upstream.port())], UpstreamTls::None);
    let gate = Gate::start(config.upstream_may_see(1, 1));
    let (anna, bela) = ("anna@example.test", "bela@example.test");
    assert!(Mail::Imap.is_yes(&log_in_from(1, &gate, anna, RIGHT)));
    let app_password = gate.app_password(bela, RIGHT, &[]);
    gate.bind_totp(bela);
    let attempts = spray(&gate, || {
        for number in 10..40 {
            // From anywhere: what counts is that the password was right.
            for (user, password) in [(anna, RIGHT), (bela, app_password.password.as_str())] {
                let reply = log_in_from(number, &gate, user, password);
                assert!(Mail::Imap.is_yes(&reply), "{user}: {reply}");
            }
            thread::sleep(Duration::from_millis(100));
        }
    });
    assert!(attempts > 20, "only {attempts} guesses");
    let most = upstream.most_in_a_minute();
    assert!((1..5).contains(&most), "{most} failures within a minute, of {attempts}");
    assert!(!upstream.was_reused(), "a connection is not used again after a no");
}

/// Dovecot holds back whoever comes from an address that failed: by 4, 8, then 15 s.
#[test]
fn dovecots_penalty_does_not_grow_while_somebody_guesses() {
    let legacy = LegacyServer::start(LegacyOptions::default());
    let config = GateConfig::in_front_of(&legacy).upstream_may_see(1, 1);
    let gate = Gate::start(config);
    let (user, password) = legacy.user(0);
    assert!(Mail::Imap.is_yes(&log_in(&gate, Mail::Imap, user, password)));
    spray(&gate, || {
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(12) {
            let asked = Instant::now();
            assert!(Mail::Imap.is_yes(&log_in(&gate, Mail::Imap, user, password)));
            assert!(asked.elapsed() < Duration::from_secs(7), "held back for {:?}", asked.elapsed());
            thread::sleep(Duration::from_millis(300));
        }
    });
}

/// A connection that was refused once may be punished for it: the next password goes to a new one.
#[test]
fn after_a_no_the_upstream_connection_is_not_used_again() {
    let upstream = Strict::start(Duration::ZERO);
    let config = GateConfig::in_front_of_ports(&[(Mail::Imap, upstream.port())], UpstreamTls::None);
    let gate = Gate::start(config.uncounted());
    let mut guest = Guest::at(&gate, Mail::Imap);
    for guess in ["one", "two"] {
        NOT_LET_IN.check(Mail::Imap, &guest.log_in("anna@example.test", guess));
    }
    assert!(Mail::Imap.is_yes(&guest.log_in("anna@example.test", RIGHT)));
    assert_eq!((upstream.failures(), upstream.was_reused()), (2, false));
}

#[test]
fn two_hundred_wrong_passwords_at_once_cost_ten_verifications() {
    let upstream = Strict::start(Duration::from_millis(50));
    let config = GateConfig::in_front_of_ports(&[(Mail::Imap, upstream.port())], UpstreamTls::None);
    let gate = Gate::start(config.upstream_may_see(1000, 1000));
    thread::scope(|scope| {
        for number in 0..200_u8 {
            let gate = &gate;
            scope.spawn(move || log_in_from(number, gate, "anna@example.test", &format!("guess {number}")));
        }
    });
    assert_eq!(upstream.failures_of("anna@example.test"), 10);
}
