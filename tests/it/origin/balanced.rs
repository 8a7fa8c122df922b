//! What balancers say: a real HAProxy carries the client's address through the gate.

use super::{guest, is_named, loopback, recorded, visit};
use crate::support::{
    Answer, BALANCER, Balancer, Fake, GATE_NAME, Gate, GateConfig, Guest, LegacyOptions, LegacyServer, Mail,
    Manner, PROTOCOLS, UpstreamTls, Wire, eventually,
};

const V1: &str = "PROXY TCP4 192.0.2.66 127.0.0.1 666 993\r\n";
const V2: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c\xc0\x00\x02\x42\x7f\x00\x00\x01\x02\x9a\x03\xe1";

#[test]
fn haproxy_carries_the_clients_address_to_the_trail_and_to_the_servers_logs() {
    let legacy = LegacyServer::start(LegacyOptions::default().trusting_the_gate().fast_auth());
    for (first, send) in [(9, "send-proxy"), (19, "send-proxy-v2")] {
        let gate = Gate::start(GateConfig::in_front_of(&legacy).behind(&[BALANCER]));
        let balancer = Balancer::start(&gate, send);
        let mut sources = Vec::new();
        for (last, implicit_tls) in (first..).zip([true, false]) {
            let source = loopback(last);
            for mail in PROTOCOLS {
                let wire = Wire::open_from(source, "127.0.0.1", balancer.port(mail, implicit_tls));
                let _wire = visit(guest(wire, &gate, mail, implicit_tls), &legacy, mail);
                is_named(&legacy, mail, &source.to_string());
                if mail == Mail::Imap {
                    let listed = || gate.cli(&["session", "list", "--json"]).success();
                    eventually("it is listed", || listed().contains(&format!("\"{source}\"")));
                }
                sources.push(source.to_string());
            }
        }
        let mut found = recorded(&gate);
        found.sort();
        sources.sort();
        assert_eq!(found, sources, "{send}; HAProxy: {}", balancer.log());
        // It looks whether the gate is there all the time, and nobody is alarmed by that.
        std::thread::sleep(std::time::Duration::from_millis(300));
        assert!(!gate.log().contains("balancer"), "{}", gate.log());
    }
}

#[test]
fn a_balancer_that_says_nothing_is_not_served_and_the_log_says_why_once() {
    let fake = Fake::start(Mail::Imap);
    let gate = Gate::start(GateConfig::in_front_of_fakes(&[&fake], UpstreamTls::None).behind(&[BALANCER]));
    for _ in 0..2 {
        let mut wire = Wire::open_from(loopback(77), "127.0.0.1", gate.port("imap", false));
        wire.send("a CAPABILITY\r\n");
        assert_eq!(wire.rest(), "");
    }
    let wire = Wire::open_from(loopback(77), "127.0.0.1", gate.port("imap", true));
    assert!(wire.try_secure(&gate.ca_file(), GATE_NAME).is_err());
    let log = gate.log();
    let said = log.lines().filter(|line| line.contains("does not say whom it passes on"));
    assert_eq!(said.count(), 2, "once for each listener: {log}");
    assert!(log.contains("no PROXY header") && log.contains("proxy_protocol_from"), "{log}");
    // Who comes by another way is none of its business.
    assert!(Mail::Imap.is_yes(&Guest::at(&gate, Mail::Imap).log_in("user0@example.test", "password")));
}

#[test]
fn a_header_from_anybody_else_and_a_second_header_end_the_connection() {
    let fakes = PROTOCOLS.map(Fake::start);
    let [imap, pop3, smtp] = &fakes;
    let config = GateConfig::in_front_of_fakes(&[imap, pop3, smtp], UpstreamTls::None);
    let gate = Gate::start(config.behind(&[BALANCER]));
    for mail in PROTOCOLS {
        for header in [V1.as_bytes(), V2] {
            for implicit_tls in [true, false] {
                let port = gate.port(mail.name(), implicit_tls);
                let mut stranger = Wire::open_from(loopback(9), "127.0.0.1", port);
                stranger.send(header);
                assert!(!stranger.rest().contains("192.0.2.66"), "{mail:?}");
                let mut twice = Wire::open_from(loopback(77), "127.0.0.1", port);
                twice.send([header, header].concat());
                assert!(!twice.rest().contains("192.0.2.66"), "{mail:?}");
            }
        }
    }
    assert!(!gate.log().contains("192.0.2.66"), "{}", gate.log());
}

/// What is behind a header reaches whom it is for, wherever the bytes are cut.
#[test]
fn a_header_and_a_handshake_may_come_in_any_pieces() {
    let fake = Fake::start(Mail::Imap);
    let gate = Gate::start(GateConfig::in_front_of_fakes(&[&fake], UpstreamTls::None).behind(&[BALANCER]));
    for header in [V1.as_bytes(), V2] {
        for size in [1, 13, header.len()] {
            let mut wire = Wire::open_from(loopback(77), "127.0.0.1", gate.port("imap", true));
            for piece in header.chunks(size) {
                wire.send(piece);
                std::thread::sleep(std::time::Duration::from_millis(1));
            }
            let reply = guest(wire, &gate, Mail::Imap, true).log_in("user0@example.test", "password");
            assert!(Mail::Imap.is_yes(&reply), "{reply}");
        }
        // In one segment with what follows.
        let mut wire = Wire::open_from(loopback(77), "127.0.0.1", gate.port("imap", false));
        wire.send([header, b"a CAPABILITY\r\n"].concat());
        assert!(wire.line().starts_with("* OK"));
        assert!(wire.tagged("a").contains("a OK"));
    }
    eventually("all are recorded", || recorded(&gate) == ["192.0.2.66"; 6]);
    assert!(fake.heard().is_empty() || !fake.heard().contains("PROXY"), "{}", fake.heard());
}

#[test]
fn failures_count_for_the_client_and_not_for_the_balancer() {
    let fake = Fake::start(Mail::Imap);
    fake.behave(Manner {
        login: Answer::Says("TAG NO [AUTHENTICATIONFAILED] no"),
        ..Manner::friendly(Mail::Imap)
    });
    let few = toml::toml! { burst = 2
    per = "10m" };
    let config = GateConfig::in_front_of_fakes(&[&fake], UpstreamTls::None).behind(&[BALANCER]);
    let gate = Gate::start(config.set(&["limits", "per_network"], few));
    let from = |address: &str| {
        let mut wire = Wire::open_from(loopback(77), "127.0.0.1", gate.port("imap", true));
        wire.send(format!("PROXY TCP4 {address} 127.0.0.1 666 993\r\n"));
        guest(wire, &gate, Mail::Imap, true)
    };
    for (attempt, expected) in
        ["AUTHENTICATIONFAILED", "AUTHENTICATIONFAILED", "UNAVAILABLE"].iter().enumerate()
    {
        let reply =
            from("192.0.2.7").log_in(&format!("user{attempt}@example.test"), &format!("wrong {attempt}"));
        assert!(reply.contains(expected), "{attempt}: {reply}");
    }
    let reply = from("192.0.2.8").log_in("user9@example.test", "wrong too");
    assert!(reply.contains("AUTHENTICATIONFAILED"), "another client of the same balancer: {reply}");
}
