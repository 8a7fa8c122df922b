//! Refusals of accounts that do not exist, are not bound, and are bound: the same bytes after the same time, with a
//! Dovecot that delays its own as it does by default, the first time and when they come from memory.

use std::net::Ipv4Addr;
use std::thread;
use std::time::{Duration, Instant};

use crate::support::{Gate, GateConfig, Guest, LegacyOptions, LegacyServer, Mail};

/// What a busy machine may add.
const NOISE: Duration = Duration::from_millis(900);

#[test]
fn unknown_unbound_and_bound_accounts_are_refused_alike_with_dovecots_delays() {
    let legacy = LegacyServer::start(LegacyOptions::default());
    let gate = Gate::start(GateConfig::in_front_of(&legacy).set(&["limits", "failure_delay"], "3s"));
    let (bound, mailbox_password) = legacy.user(0);
    let made = gate.app_password(bound, mailbox_password, &[]);
    gate.bind_totp(bound);
    let unbound = legacy.user(1).0;
    let (head, last) = made.password.split_at(made.password.len() - 1);
    let wrong_app_password = format!("{head}{}", if last == "2" { "3" } else { "2" });
    let nobody = ("nobody@example.test", "some password");
    let nothing_bound = (unbound, "some password");
    let old_password = (bound, mailbox_password);
    let wrong_app_password = (bound, wrong_app_password.as_str());
    // One for the upstream at a time: of two at once Dovecot would hold back the second, as it would for anybody.
    let mut words = Vec::new();
    for at_once in [
        vec![nobody, old_password],
        vec![nothing_bound, wrong_app_password],
        vec![nobody, nothing_bound, old_password, wrong_app_password],
    ] {
        let refusals = thread::scope(|scope| {
            let gate = &gate;
            let refusals = (10..).zip(at_once).map(|(host, (user, password))| {
                scope.spawn(move || {
                    let mut guest = Guest::from(Ipv4Addr::new(127, 0, 70, host), gate, Mail::Imap);
                    let asked = Instant::now();
                    (guest.log_in(user, password), asked.elapsed())
                })
            });
            let refusals = refusals.collect::<Vec<_>>();
            refusals.into_iter().map(|refusal| refusal.join().expect("a refusal")).collect::<Vec<_>>()
        });
        let fastest = refusals.iter().map(|(_, took)| *took).min().expect("a time");
        let slowest = refusals.iter().map(|(_, took)| *took).max().expect("a time");
        assert!(fastest >= Duration::from_secs(3), "{refusals:#?}");
        assert!(slowest - fastest < NOISE, "{refusals:#?}");
        words.extend(refusals.into_iter().map(|(words, _)| words));
    }
    assert!(words.iter().all(|other| *other == words[0]), "{words:#?}");
    let log = legacy.dovecot_log();
    let asked =
        log.lines().filter(|line| line.contains(unbound) && line.contains("assword mismatch")).count();
    assert_eq!(asked, 1, "the second came from memory:\n{log}");
}
