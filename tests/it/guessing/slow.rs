//! An upstream that is slower than the gate is patient: each guess that it hears is counted, whoever waits for it.

use std::thread;
use std::time::Duration;

use super::strict::Strict;
use crate::support::table::TOO_MANY;
use crate::support::{Gate, GateConfig, Guest, Mail, UpstreamTls, eventually, log_in, plain};

const VICTIM: &str = "anna@example.test";

/// How many guesses may fail.
const FREE: usize = 3;

fn stage() -> (Strict, Gate) {
    let upstream = Strict::start(Duration::from_secs(20));
    let config = GateConfig::in_front_of_ports(&[(Mail::Imap, upstream.port())], UpstreamTls::None);
    let limited = config.failures(1000, u32::try_from(FREE).expect("small")).upstream_may_see(1000, 1000);
    let gate = Gate::start(limited.set(&["upstream", "0", "login_deadline"], "3s"));
    (upstream, gate)
}

/// Both refusals have one code.
fn is_too_many(reply: &str) -> bool {
    TOO_MANY.check(Mail::Imap, reply).starts_with("Too many failed logins")
}

#[test]
fn who_waits_in_vain_has_had_a_guess() {
    let (upstream, gate) = stage();
    for guess in 0..FREE {
        let reply = log_in(&gate, Mail::Imap, VICTIM, &format!("guess {guess}"));
        assert!(reply.starts_with("TAG NO [UNAVAILABLE]"), "{reply}");
    }
    assert!(is_too_many(&log_in(&gate, Mail::Imap, VICTIM, "one more")));
    assert_eq!(upstream.failures(), FREE);
}

#[test]
fn who_leaves_early_has_had_a_guess() {
    let (upstream, gate) = stage();
    for guess in 0..FREE {
        let mut guest = Guest::at(&gate, Mail::Imap);
        guest.wire.send(format!("a AUTHENTICATE PLAIN {}\r\n", plain(VICTIM, &format!("guess {guess}"))));
        eventually("the upstream hears it", || upstream.failures() > guess);
        drop(guest);
    }
    assert!(is_too_many(&log_in(&gate, Mail::Imap, VICTIM, "one more")));
    assert_eq!(upstream.failures(), FREE);
}

#[test]
fn guesses_in_one_segment_and_many_at_once_are_counted_one_by_one() {
    let (upstream, gate) = stage();
    thread::scope(|scope| {
        for connection in 0..8 {
            let gate = &gate;
            scope.spawn(move || {
                let mut guest = Guest::at(gate, Mail::Imap);
                let message = |guess| plain(VICTIM, &format!("guess {connection} {guess}"));
                let pipelined =
                    (0..3).map(|guess| format!("a{guess} AUTHENTICATE PLAIN {}\r\n", message(guess)));
                guest.wire.send(pipelined.collect::<String>());
                for guess in 0..3 {
                    let reply = guest.wire.tagged(&format!("a{guess}"));
                    assert!(reply.contains(" NO ") || reply.contains(" BAD "), "{reply}");
                }
            });
        }
    });
    assert_eq!(upstream.failures(), FREE);
}
