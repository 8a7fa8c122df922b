//! Who is slow is not waited for: deadlines that bytes do not move, and room for others at the cost of whoever holds
//! most.

use std::net::Ipv4Addr;
use std::thread;
use std::time::{Duration, Instant};

use crate::support::{
    Fake, GATE_NAME, Gate, GateConfig, Guest, Mail, PROTOCOLS, UpstreamTls, Wire, eventually, log_in,
};

const USER: &str = "user0@example.test";

fn gate(settings: &[(&str, toml::Value)]) -> (Gate, [Fake; 3]) {
    let fakes = PROTOCOLS.map(Fake::start);
    let [imap, pop3, smtp] = &fakes;
    let config = GateConfig::in_front_of_fakes(&[imap, pop3, smtp], UpstreamTls::None);
    let gate = Gate::start(
        settings.iter().fold(config, |config, (key, value)| config.set(&["limits", key], value.clone())),
    );
    (gate, fakes)
}

/// Sends bytes of `drip` one by one until the peer is gone; how long that took.
fn drip(mut wire: Wire, drip: &str) -> Duration {
    let begun = Instant::now();
    for byte in drip.bytes().cycle() {
        if wire.try_send([byte]).is_err() || begun.elapsed() > Duration::from_secs(15) {
            break;
        }
        thread::sleep(Duration::from_millis(100));
    }
    begun.elapsed()
}

#[test]
fn no_byte_moves_the_deadline_of_a_stranger() {
    let (gate, _fakes) = gate(&[("auth_deadline", "2s".into()), ("tls_deadline", "1s".into())]);
    let gate = &gate;
    thread::scope(|scope| {
        for mail in PROTOCOLS {
            let quick = match mail {
                Mail::Imap => "a NOOP\r\n",
                Mail::Pop3 | Mail::Smtp => "NOOP\r\n",
            };
            // An endless line, many good commands, and the same inside TLS.
            for (text, inside) in [("x", false), (quick, false), ("x", true), (quick, true)] {
                scope.spawn(move || {
                    let wire = Wire::open("127.0.0.1", gate.port(mail.name(), inside));
                    let wire = if inside { wire.secure(&gate.ca_file(), GATE_NAME) } else { wire };
                    let took = drip(wire, text);
                    assert!(took < Duration::from_secs(8), "{mail:?} `{text}` stayed for {took:?}");
                });
            }
        }
        for mail in PROTOCOLS {
            assert!(mail.is_yes(&log_in(gate, mail, USER, "password")), "meanwhile");
        }
    });
}

#[test]
fn no_byte_moves_the_deadline_of_a_handshake() {
    let (gate, _fakes) = gate(&[("tls_deadline", "1s".into())]);
    let gate = &gate;
    thread::scope(|scope| {
        for mail in PROTOCOLS {
            scope.spawn(move || {
                let wire = Wire::open("127.0.0.1", gate.port(mail.name(), true));
                // A record that says it is long, and comes by the byte.
                let took = drip(wire, "\x16\x03\x01\x02\x00\x01\x00\x01");
                assert!(took < Duration::from_secs(6), "{mail:?} shook hands for {took:?}");
            });
            scope.spawn(move || {
                let mut wire = Wire::open("127.0.0.1", gate.port(mail.name(), false));
                wire.line();
                wire.ask(match mail {
                    Mail::Imap => "a STARTTLS",
                    Mail::Pop3 => "STLS",
                    Mail::Smtp => "STARTTLS",
                });
                let begun = Instant::now();
                assert!(!wire.rest().contains('\n'));
                assert!(begun.elapsed() < Duration::from_secs(6), "{mail:?} waited {:?}", begun.elapsed());
            });
        }
    });
}

/// In IMAP `BYE` (RFC 9051 section 7.1.5), in SMTP 421 (RFC 5321 section 3.8); POP3 has no words for it (RFC 1939 section 3).
#[test]
fn whoever_is_too_slow_hears_so_where_the_protocol_has_words() {
    let (gate, _fakes) = gate(&[("auth_deadline", "2s".into()), ("tls_deadline", "1s".into())]);
    let gate = &gate;
    thread::scope(|scope| {
        for mail in PROTOCOLS {
            for inside in [false, true] {
                scope.spawn(move || {
                    let wire = Wire::open("127.0.0.1", gate.port(mail.name(), inside));
                    let mut wire = if inside { wire.secure(&gate.ca_file(), GATE_NAME) } else { wire };
                    wire.line();
                    let begun = Instant::now();
                    let last = wire.rest();
                    let told = match mail {
                        Mail::Imap => last == "* BYE Too long without a login\r\n",
                        Mail::Pop3 => last.is_empty(),
                        Mail::Smtp => {
                            last == format!("421 4.4.2 {GATE_NAME} has waited too long for a login\r\n")
                        }
                    };
                    assert!(told, "{mail:?} {inside}: {last}");
                    assert!(begun.elapsed() < Duration::from_secs(4), "{mail:?}: {:?}", begun.elapsed());
                });
            }
        }
    });
}

/// The longest there, of the network that holds most, makes room; others and those who are logged in stay.
#[test]
fn a_full_gate_makes_room_at_the_cost_of_whoever_holds_most() {
    const SLOW: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 66);
    const OTHER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 77);
    let (gate, _fakes) = gate(&[("connections", 8.into())]);
    let port = gate.port("imap", false);
    let mut session = Guest::at(&gate, Mail::Imap);
    assert!(Mail::Imap.is_yes(&session.log_in(USER, "password")));
    let greeted = |from| {
        let mut wire = Wire::open_from(from, "127.0.0.1", port);
        wire.line();
        wire
    };
    let mut other = greeted(OTHER);
    // Those who looked whether the gate is up have left.
    let mut slow = Vec::new();
    eventually("six places are taken", || {
        slow.push(greeted(SLOW));
        slow.len() == 6
    });
    let begun = Instant::now();
    for mail in PROTOCOLS {
        let mut guest = Guest::at(&gate, mail);
        assert!(mail.is_yes(&guest.log_in(USER, "password")), "{mail:?}");
        // Its place is free again.
        drop(guest);
    }
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    assert_eq!(slow.remove(0).rest(), "", "the oldest of those who hold most went");
    assert!(slow.pop().expect("the youngest").imap("a", "NOOP").starts_with("a OK"));
    assert!(other.imap("a", "NOOP").starts_with("a OK"), "who holds one place keeps it");
    assert!(session.wire.imap("a", "NOOP").starts_with("a OK"), "a session is never sent away");
}

#[test]
fn a_network_has_only_so_many_places_before_login() {
    const SLOW: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 66);
    let (gate, _fakes) = gate(&[("preauth_per_network", 3.into())]);
    let held = [(); 3].map(|()| {
        let mut wire = Wire::open_from(SLOW, "127.0.0.1", gate.port("smtp", false));
        wire.line();
        wire
    });
    assert_eq!(Wire::open_from(SLOW, "127.0.0.1", gate.port("imap", false)).rest(), "", "on any door");
    assert!(Mail::Imap.is_yes(&log_in(&gate, Mail::Imap, USER, "password")), "another network");
    drop(held);
    eventually("the places are given back", || {
        Wire::open_from(SLOW, "127.0.0.1", gate.port("imap", false)).next_line().is_some()
    });
}
