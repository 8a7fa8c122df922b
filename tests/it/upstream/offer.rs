//! What a client is told before login is what its upstream offers, and the upstream keeps the promise or hears no
//! password.

use crate::support::table::UNAVAILABLE;
use crate::support::{
    Fake, GATE_NAME, Gate, GateConfig, Guest, LegacyOptions, LegacyServer, Mail, Manner, UpstreamTls, Wire,
    eventually, log_in, plain,
};

const USER: &str = "user0@example.test";

/// The reply to EHLO at the implicit-TLS door, and the connection.
fn keywords(gate: &Gate) -> (String, Wire) {
    let mut wire = Wire::open("127.0.0.1", gate.port("smtp", true)).secure(&gate.ca_file(), GATE_NAME);
    wire.line();
    (wire.command("EHLO client.test"), wire)
}

#[test]
fn a_client_is_told_what_the_upstream_offers_and_what_the_gate_does_itself() {
    let legacy = LegacyServer::start(LegacyOptions::default().with("--message-size").with("12345678"));
    let gate = Gate::start(GateConfig::in_front_of(&legacy));
    let (told, _) = keywords(&gate);
    for keyword in ["SIZE 12345678", "PIPELINING", "8BITMIME", "ENHANCEDSTATUSCODES", "AUTH PLAIN LOGIN"] {
        assert!(told.contains(&format!("{keyword}\r\n")), "no {keyword}: {told}");
    }
    assert!(!told.contains("STARTTLS") && !told.contains("XCLIENT"), "{told}");

    let mut imap = Guest::at(&gate, Mail::Imap).wire;
    let told = imap.imap("a", "CAPABILITY");
    for capability in ["IMAP4rev1", "IDLE", "LITERAL+", "SASL-IR", "ID", "AUTH=PLAIN", "AUTH=LOGIN"] {
        assert!(told.split_whitespace().any(|word| word == capability), "no {capability}: {told}");
    }
    assert!(!told.contains("STARTTLS") && !told.contains("LOGINDISABLED"), "{told}");
    let reply = Guest::at(&gate, Mail::Imap).log_in(legacy.user(0).0, legacy.user(0).1);
    assert!(
        reply.contains("[CAPABILITY IMAP4rev1 ") && reply.contains(" SORT "),
        "the upstream's own: {reply}"
    );

    let mut pop3 = Guest::at(&gate, Mail::Pop3).wire;
    pop3.send("CAPA\r\n");
    let told = pop3.lines_until(|line| line == ".\r\n");
    for capability in ["UIDL", "TOP", "USER", "SASL PLAIN LOGIN", "RESP-CODES", "AUTH-RESP-CODE"] {
        assert!(told.contains(&format!("{capability}\r\n")), "no {capability}: {told}");
    }
    assert!(!told.contains("STLS"), "{told}");
}

#[test]
fn an_upstream_that_offers_less_than_was_promised_hears_no_password() {
    let friendly = Manner::friendly(Mail::Smtp);
    let less = [
        ("a keyword is gone", vec!["SIZE 1000000", "8BITMIME", "AUTH PLAIN"]),
        ("a smaller SIZE", vec!["PIPELINING", "SIZE 999999", "8BITMIME", "AUTH PLAIN"]),
        ("no SIZE any more", vec!["PIPELINING", "8BITMIME", "AUTH PLAIN"]),
    ];
    for (what, offer) in less {
        let fake = Fake::start(Mail::Smtp);
        let gate = Gate::start(GateConfig::in_front_of_fakes(&[&fake], UpstreamTls::None).failures(1, 1));
        eventually("the offer is learned", || keywords(&gate).0.contains("PIPELINING\r\n"));
        let (told, mut client) = keywords(&gate);
        assert!(told.contains("SIZE 1000000\r\n") && told.contains("8BITMIME\r\n"), "{told}");

        fake.behave(Manner { offer: offer.clone(), ..friendly.clone() });
        let password = "a mailbox password";
        for _ in 0..2 {
            let reply = client.command(&format!("AUTH PLAIN {}", plain(USER, password)));
            UNAVAILABLE.check(Mail::Smtp, &reply);
        }
        let heard = fake.heard();
        assert!(heard.contains("EHLO client.test\r\n"), "it is greeted as the client greets: {heard}");
        assert!(!heard.contains("AUTH"), "{what}: {heard}");

        eventually("the new offer is shown", || {
            let (told, _) = keywords(&gate);
            told.contains("PIPELINING\r\n") == offer.contains(&"PIPELINING")
                && told.lines().filter_map(|line| line.get(4..)).find(|word| word.starts_with("SIZE"))
                    == offer.iter().copied().find(|word| word.starts_with("SIZE"))
        });
        let reply = log_in(&gate, Mail::Smtp, USER, password);
        assert!(reply.starts_with("235 "), "{what}, and the client knows: {reply}");
    }
}

/// A client that greets with HELO was promised nothing.
#[test]
fn an_upstream_is_greeted_as_the_client_greeted() {
    let fake = Fake::start(Mail::Smtp);
    let gate = Gate::start(GateConfig::in_front_of_fakes(&[&fake], UpstreamTls::None));
    for name in ["[192.0.2.7]", "laptop.example.net", "[IPv6:2001:db8::1]"] {
        let (_, mut client) = keywords(&gate);
        client.command(&format!("EHLO {name}"));
        let reply = client.command(&format!("AUTH PLAIN {}", plain(USER, "password")));
        assert!(reply.starts_with("235 "), "{reply}");
        assert!(fake.heard().contains(&format!("EHLO {name}\r\nAUTH ")), "{}", fake.heard());
    }
    let (_, mut client) = keywords(&gate);
    let reply = client.command("EHLO evil\u{7f}name\tXCLIENT");
    assert!(reply.starts_with("501 ") || reply.starts_with("250"), "{reply}");
    assert!(!fake.heard().contains("XCLIENT"), "{}", fake.heard());
}

/// The last good answer is kept while the upstream is down.
#[test]
fn an_offer_outlives_the_upstream_that_made_it() {
    let mut legacy = LegacyServer::start(LegacyOptions::default());
    let gate = Gate::start(GateConfig::in_front_of(&legacy).set(&["upstream", "0", "refresh"], "1s"));
    let told = |gate: &Gate| (keywords(gate).0, Guest::at(gate, Mail::Imap).wire.imap("a", "CAPABILITY"));
    let before = told(&gate);
    assert!(before.1.contains(" IDLE "), "{before:?}");
    legacy.stop();
    std::thread::sleep(std::time::Duration::from_secs(3));
    assert_eq!(told(&gate), before);
}
