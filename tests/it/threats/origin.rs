//! Where a client comes from is the gate's to say: nothing that the client says about it reaches an upstream that
//! would believe it.

use std::net::Ipv4Addr;
use std::time::Duration;

use crate::support::{
    Fake, GATE_NAME, Gate, GateConfig, Guest, LegacyOptions, LegacyServer, Mail, Manner, PROTOCOLS,
    UpstreamTls, Wire, eventually,
};

const FORGED: &str = "192.0.2.66";

/// Dovecot in its login process believes these of a trusted network.
const FIELDS: &str = "\"name\" \"Evil\" \"x-originating-ip\" \"192.0.2.66\" \"x-originating-port\" \"666\" \
                      \"X-Connected-IP\" \"192.0.2.66\" \"x-session-id\" \"forged\" \"x-proxy-ttl\" \"1\" \
                      \"x-forward-user\" \"evil\" \"os\" \"Windows\"";

#[test]
fn directly_dovecot_believes_what_it_is_told() {
    let legacy = LegacyServer::start(LegacyOptions::default().trusting_the_gate().fast_auth());
    let (user, password) = legacy.user(0);
    let mut wire = Wire::open(legacy.host(), legacy.port("imap"));
    wire.line();
    wire.imap("a", &format!("ID ({FIELDS})"));
    assert!(wire.imap("b", &format!("LOGIN {user} {password}")).contains("b OK"));
    eventually("it logs the forged address", || legacy.dovecot_log().contains(&format!("rip={FORGED}")));
}

#[test]
fn no_field_of_an_id_forges_an_address_at_a_dovecot_that_trusts_the_gate() {
    let legacy = LegacyServer::start(LegacyOptions::default().trusting_the_gate().fast_auth());
    let (user, password) = legacy.user(0);
    let gate = Gate::start(GateConfig::in_front_of(&legacy));
    let mut guest = Guest::from(Ipv4Addr::new(127, 0, 0, 9), &gate, Mail::Imap);
    assert!(guest.wire.imap("a", &format!("ID ({FIELDS})")).contains("a OK"));
    let value = "192.0.2.66";
    guest.wire.send(format!(
        "b ID (\"name\" \"Evil\" {{16+}}\r\nX-Originating-Ip {{{}+}}\r\n{value})\r\n",
        value.len()
    ));
    assert!(guest.wire.tagged("b").contains("b OK"));
    assert!(Mail::Imap.is_yes(&guest.log_in(user, password)));
    // Behind the login bytes pass as they are, and no server takes an address from there (RFC 2971 section 3).
    guest.wire.imap("c", &format!("ID ({FIELDS})"));
    assert!(guest.wire.imap("d", "SELECT INBOX").contains("d OK"));
    assert!(guest.wire.imap("e", "LOGOUT").contains("e OK"));
    eventually("the session's end is logged", || legacy.dovecot_log().contains("Logged out"));
    let log = legacy.dovecot_log();
    assert!(
        log.contains("rip=127.0.0.9, lip=127.0.0.1")
            && !log.contains(&format!("rip={FORGED}"))
            && !log.contains("session=<forged>"),
        "{log}"
    );
}

#[test]
fn an_upstream_hears_only_the_gates_values_before_and_after_login() {
    let fake = Fake::start(Mail::Imap);
    fake.behave(Manner {
        offer: vec!["IMAP4rev1", "ID", "AUTH=PLAIN", "SASL-IR"],
        ..Manner::friendly(Mail::Imap)
    });
    let gate = Gate::start(GateConfig::in_front_of_fakes(&[&fake], UpstreamTls::None));
    let mut guest = Guest::at(&gate, Mail::Imap);
    guest.wire.imap("a", &format!("ID ({FIELDS})"));
    assert!(Mail::Imap.is_yes(&guest.log_in("user0@example.test", "password")));
    let heard = fake.heard().to_ascii_lowercase();
    let introduced = heard.lines().filter(|line| line.contains(" id (")).collect::<Vec<_>>();
    assert_eq!(introduced.len(), 2, "before and after: {heard}");
    assert!(
        introduced
            .iter()
            .all(|line| line.contains("\"name\" \"evil\"") && line.contains("\"os\" \"windows\"")),
        "{heard}"
    );
    assert!(!heard.contains(FORGED) && !heard.contains("x-forward") && !heard.contains("forged"), "{heard}");
    let told = introduced.iter().filter(|line| line.contains("x-")).collect::<Vec<_>>();
    assert_eq!(told.len(), 1, "before the login only: {heard}");
    assert!(told[0].contains("\"x-originating-ip\" \"127.0.0.1\" \"x-originating-port\""), "{heard}");
    assert_eq!(told[0].matches("\"x-").count(), 5, "{heard}");
}

/// XCLIENT from anybody is a bad command; a PROXY header ends the connection, wherever it comes.
#[test]
fn xclient_from_a_stranger_is_a_bad_command_and_a_proxy_header_the_end() {
    const V2: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c\xc0\x00\x02\x42\x7f\x00\x00\x01\x02\x9a\x03\xe1";
    let fakes = PROTOCOLS.map(Fake::start);
    let [imap, pop3, smtp] = &fakes;
    let gate = Gate::start(GateConfig::in_front_of_fakes(&[imap, pop3, smtp], UpstreamTls::None));
    for mail in PROTOCOLS {
        let v1 = "PROXY TCP4 192.0.2.66 127.0.0.1 666 993";
        for line in ["XCLIENT ADDR=192.0.2.66", "x XCLIENT ADDR=192.0.2.66"] {
            for inside in [false, true] {
                let wire = Wire::open("127.0.0.1", gate.port(mail.name(), inside));
                let mut wire = if inside { wire.secure(&gate.ca_file(), GATE_NAME) } else { wire };
                wire.line();
                let reply = wire.ask(line);
                assert!(
                    reply.contains("BAD") || reply.starts_with("-ERR") || reply.starts_with("50"),
                    "{reply}"
                );
                assert!(!reply.contains(FORGED), "{reply}");
            }
        }
        for header in [format!("{v1}\r\n").as_bytes(), V2] {
            let mut wire = Wire::open("127.0.0.1", gate.port(mail.name(), true));
            wire.send(header);
            assert!(!wire.rest().contains('\n'), "{mail:?}: no word before TLS");
            for inside in [false, true] {
                let wire = Wire::open("127.0.0.1", gate.port(mail.name(), inside));
                let mut wire = if inside { wire.secure(&gate.ca_file(), GATE_NAME) } else { wire };
                wire.line();
                wire.send([header, b"NOOP\r\nz NOOP\r\n"].concat());
                let rest = wire.rest();
                assert!(!rest.contains(FORGED) && !rest.contains("OK") && !rest.contains("250"), "{rest}");
            }
        }
        assert!(mail.is_yes(&Guest::at(&gate, mail).log_in("user0@example.test", "password")));
    }
    std::thread::sleep(Duration::from_millis(200));
    let (trail, log) = (gate.cli(&["audit", "search", "--json"]).success(), gate.log());
    assert!(
        trail.contains("127.0.0.1") && !trail.contains(FORGED) && !log.contains(FORGED),
        "{trail}\n{log}"
    );
}
