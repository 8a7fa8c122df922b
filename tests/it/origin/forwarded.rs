//! What upstreams are told: their own logs name the client.

use super::{admitted, guest, is_named, logins, loopback, visit};
use crate::support::{
    BALANCER, Fake, GATE_NAME, Gate, GateConfig, Guest, LegacyOptions, LegacyServer, Mail, Manner, PROTOCOLS,
    Script, UpstreamTls, Wire, eventually,
};

const EACH_TLS: [UpstreamTls; 3] = [UpstreamTls::None, UpstreamTls::Starttls, UpstreamTls::Implicit];

fn trusting() -> LegacyServer {
    LegacyServer::start(LegacyOptions::default().trusting_the_gate().fast_auth())
}

fn forwarding(config: GateConfig, how: &str) -> GateConfig {
    config.set(&["upstream", "0", "forward_client"], how)
}

#[test]
fn servers_that_trust_the_gate_name_the_client_whatever_the_leg() {
    let legacy = trusting();
    for (last, tls) in (9..).zip(EACH_TLS) {
        let gate = Gate::start(GateConfig::in_front_of(&legacy).upstream_tls(&legacy, tls));
        let source = loopback(last);
        for mail in PROTOCOLS {
            let _wire = visit(Guest::from(source, &gate, mail), &legacy, mail);
            is_named(&legacy, mail, &source.to_string());
        }
        assert!(!gate.log().contains("does not take"), "{}", gate.log());
    }
    for mail in PROTOCOLS {
        assert_eq!(logins(&legacy, mail, "127.0.0.1"), 0, "{mail:?}: nobody was taken for the gate");
    }
}

#[test]
fn dovecot_calls_the_session_as_the_trail_does() {
    let legacy = trusting();
    let gate = Gate::start(GateConfig::in_front_of(&legacy));
    for mail in [Mail::Imap, Mail::Pop3] {
        let _wire = visit(Guest::from(loopback(9), &gate, mail), &legacy, mail);
    }
    let records = admitted(&gate);
    assert_eq!(records.len(), 2, "{records:?}");
    for session in records.iter().map(|record| record["session"].as_str().expect("a session")) {
        eventually("it is logged", || legacy.dovecot_log().contains(&format!("session=<{session}>")));
    }
}

#[test]
fn each_way_is_taken_where_its_protocol_has_it_and_no_other() {
    let legacy = trusting();
    for (last, how, named) in
        [(9, "id", &[Mail::Imap][..]), (10, "xclient", &[Mail::Pop3, Mail::Smtp]), (11, "none", &[])]
    {
        let gate = Gate::start(forwarding(GateConfig::in_front_of(&legacy), how));
        let source = loopback(last);
        for mail in PROTOCOLS {
            let gates = logins(&legacy, mail, "127.0.0.1");
            let _wire = visit(Guest::from(source, &gate, mail), &legacy, mail);
            if named.contains(&mail) {
                is_named(&legacy, mail, &source.to_string());
            } else {
                eventually("the gate is named", || logins(&legacy, mail, "127.0.0.1") == gates + 1);
                assert_eq!(logins(&legacy, mail, &source.to_string()), 0, "{how}: {mail:?}");
            }
        }
    }
}

#[test]
fn servers_that_expect_a_proxy_header_name_the_client_whatever_the_leg() {
    let legacy = LegacyServer::start(LegacyOptions::default().expecting_a_proxy_header().fast_auth());
    for (last, tls) in (9..).zip(EACH_TLS) {
        let config = GateConfig::in_front_of(&legacy).upstream_tls(&legacy, tls);
        let gate = Gate::start(forwarding(config, "proxy-v2"));
        let source = loopback(last);
        for mail in PROTOCOLS {
            let _wire = visit(Guest::from(source, &gate, mail), &legacy, mail);
            is_named(&legacy, mail, &source.to_string());
        }
        // What it offers was learned the same way, for nobody.
        let mut guest = Guest::at(&gate, Mail::Smtp);
        assert!(guest.wire.command("EHLO client.test").contains("SIZE 52428800"));
    }
}

#[test]
fn servers_that_trust_nobody_let_in_all_the_same() {
    let legacy = LegacyServer::start(LegacyOptions::default().fast_auth());
    let gate = Gate::start(GateConfig::in_front_of(&legacy));
    for mail in PROTOCOLS {
        let _wire = visit(Guest::from(loopback(9), &gate, mail), &legacy, mail);
        is_named(&legacy, mail, "127.0.0.1");
    }
    assert!(!gate.log().contains("does not take"), "nothing was asked for: {}", gate.log());
}

#[test]
fn an_ipv6_client_is_named_to_servers_on_ipv4_if_they_know_ipv6_at_all() {
    let options = LegacyOptions::default().trusting_the_gate().fast_auth();
    for (protocols, named) in [("all", "2001:db8::7"), ("ipv4", "127.0.0.1")] {
        let setting = format!("inet_protocols = {protocols}");
        let legacy = LegacyServer::start(options.clone().with("--postfix").with(&setting));
        let gate = Gate::start(GateConfig::in_front_of(&legacy).behind(&[BALANCER]));
        for (mail, named) in [(Mail::Imap, "2001:db8::7"), (Mail::Pop3, "2001:db8::7"), (Mail::Smtp, named)] {
            let mut wire = Wire::open_from(loopback(77), "127.0.0.1", gate.port(mail.name(), true));
            wire.send("PROXY TCP6 2001:db8::7 2001:db8::1 51234 993\r\n");
            let _wire = visit(guest(wire, &gate, mail, true), &legacy, mail);
            is_named(&legacy, mail, named);
        }
    }
}

/// What servers say that promise to listen and do not.
#[test]
fn an_upstream_that_declines_to_hear_it_is_logged_once_and_the_login_goes_on() {
    let fakes = PROTOCOLS.map(Fake::start);
    let scripts: [Script; 3] = [
        |line, _| {
            let answer = match line.split_once(' ').unwrap_or((line, "")) {
                ("", _) => "* OK [CAPABILITY IMAP4rev1 ID AUTH=PLAIN SASL-IR] ready\r\n",
                (_, id) if id.starts_with("ID ") => "TAG BAD not before login\r\n",
                _ => "TAG OK [CAPABILITY IMAP4rev1 ID] done\r\n",
            };
            Some(answer.as_bytes().to_vec())
        },
        |line, _| {
            let answer = match line {
                "" => "+OK [XCLIENT] ready\r\n",
                "CAPA" => "+OK\r\nUSER\r\n.\r\n",
                line if line.starts_with("XCLIENT ") => "-ERR You are not from trusted IP\r\n",
                _ => "+OK\r\n",
            };
            Some(answer.as_bytes().to_vec())
        },
        |line, _| {
            let answer = match line {
                "" => "220 ready\r\n",
                line if line.starts_with("EHLO ") => "250-fake\r\n250-XCLIENT ADDR\r\n250 AUTH PLAIN\r\n",
                line if line.starts_with("XCLIENT ") => "550 5.7.0 insufficient authorization\r\n",
                line if line.starts_with("AUTH ") => "235 2.7.0 in\r\n",
                _ => "250 2.0.0 done\r\n",
            };
            Some(answer.as_bytes().to_vec())
        },
    ];
    for (fake, script) in fakes.iter().zip(scripts) {
        fake.behave(Manner::scripted(fake.mail(), script));
    }
    let [imap, pop3, smtp] = &fakes;
    let gate = Gate::start(GateConfig::in_front_of_fakes(&[imap, pop3, smtp], UpstreamTls::None));
    for mail in PROTOCOLS {
        for _ in 0..2 {
            let reply = Guest::from(loopback(9), &gate, mail).log_in("user0@example.test", "password");
            assert!(mail.is_yes(&reply), "{mail:?}: {reply}");
        }
    }
    for fake in &fakes {
        assert!(fake.heard().contains("127.0.0.9"), "it was told: {}", fake.heard());
    }
    let log = gate.log();
    let warnings = log.lines().filter(|line| line.contains("does not take where clients come from"));
    assert_eq!(warnings.count(), 3, "one for each: {log}");
    assert!(log.contains("insufficient authorization") && log.contains("client-addresses.md"), "{log}");
}

/// Nobody waits for a header that was not asked for, and nobody is told that a password is wrong.
#[test]
fn a_server_that_expects_no_header_is_unavailable_and_the_log_says_why() {
    let legacy = LegacyServer::start(LegacyOptions::default().fast_auth());
    let gate = Gate::start(forwarding(GateConfig::in_front_of(&legacy), "proxy-v2"));
    let (user, password) = legacy.user(0);
    let reply = Guest::at(&gate, Mail::Imap).log_in(user, password);
    assert!(reply.contains("NO [UNAVAILABLE]"), "{reply}");
    assert!(gate.log().contains("needs a server that expects a PROXY header"), "{}", gate.log());
    let wire = Wire::open("127.0.0.1", gate.port("imap", true));
    drop(wire.secure(&gate.ca_file(), GATE_NAME));
}
