//! Browsers and scanners at a mail port: closed, and no byte of theirs comes back.

use crate::support::{Fake, GATE_NAME, Gate, GateConfig, PROTOCOLS, UpstreamTls, Wire, run};

#[test]
fn no_http_request_gets_a_byte_of_its_own_back() {
    let fakes = PROTOCOLS.map(Fake::start);
    let [imap, pop3, smtp] = &fakes;
    let gate = Gate::start(GateConfig::in_front_of_fakes(&[imap, pop3, smtp], UpstreamTls::None));
    let requests = [
        "GET /reflected HTTP/1.1",
        "GET / HTTP/1.1",
        "POST /reflected HTTP/1.0",
        "OPTIONS * HTTP/1.1",
        "CONNECT reflected.example.test:25 HTTP/1.1",
        "PRI * HTTP/2.0",
        "PROPFIND /reflected HTTP/1.1",
        "reflected /x HTTP/1.1",
    ];
    for mail in PROTOCOLS {
        for inside in [false, true] {
            for request in requests {
                let wire = Wire::open("127.0.0.1", gate.port(mail.name(), inside));
                let mut wire = if inside { wire.secure(&gate.ca_file(), GATE_NAME) } else { wire };
                wire.line();
                wire.send(format!("{request}\r\nHost: reflected\r\n\r\n<script>reflected</script>\r\n"));
                assert_eq!(wire.rest(), "", "{mail:?}: `{request}`");
            }
        }
    }
}

#[test]
fn a_tls_client_that_wants_http_gets_no_handshake() {
    let fakes = PROTOCOLS.map(Fake::start);
    let [imap, pop3, smtp] = &fakes;
    let gate = Gate::start(GateConfig::in_front_of_fakes(&[imap, pop3, smtp], UpstreamTls::None));
    for mail in PROTOCOLS {
        let at = format!("127.0.0.1:{}", gate.port(mail.name(), true));
        for (protocols, served) in [("h2,http/1.1", false), ("http/1.1", false), (mail.name(), true)] {
            let shown = run("openssl", &["s_client", "-connect", &at, "-alpn", protocols], "").stdout;
            let refused = shown.contains("no peer certificate available");
            assert_eq!(refused, !served, "{mail:?} for {protocols}: {shown}");
            assert_eq!(shown.contains(&format!("ALPN protocol: {protocols}")), served, "{shown}");
        }
    }
}

#[test]
fn tls_at_a_door_that_speaks_first_is_hung_up_on() {
    let fakes = PROTOCOLS.map(Fake::start);
    let [imap, pop3, smtp] = &fakes;
    let gate = Gate::start(GateConfig::in_front_of_fakes(&[imap, pop3, smtp], UpstreamTls::None));
    for mail in PROTOCOLS {
        let mut wire = Wire::open("127.0.0.1", gate.port(mail.name(), false));
        wire.line();
        wire.send(b"\x16\x03\x01\x00\x05reflected\r\n");
        assert_eq!(wire.rest(), "", "{mail:?}");
    }
}
