//! SMTP smuggling: a line that only looks like the end of a message makes no second message, at a real Postfix.

use crate::support::{
    Gate, GateConfig, Guest, LegacyOptions, LegacyServer, Mail, UpstreamTls, Wire, eventually,
};

/// Line ends and dots that some servers take for the end of a message, and others do not.
const DEVIATING: [&str; 10] = [
    "\n.\n",
    "\n.\r\n",
    "\r\n.\n",
    "\r.\r\n",
    "\r\n.\r",
    "\r.\r",
    "\r.\n",
    "\n.\r",
    "\r\n\0.\r\n",
    "\r\n.\0\r\n",
];

fn logged_in(gate: &Gate, legacy: &LegacyServer) -> Wire {
    let (user, password) = legacy.user(0);
    let mut guest = Guest::at(gate, Mail::Smtp);
    assert!(guest.log_in(user, password).starts_with("235 "));
    guest.wire
}

/// Begins a message to `to`.
fn begin(wire: &mut Wire, from: &str, to: &str) {
    for (command, code) in [
        (format!("MAIL FROM:<{from}>"), "250 "),
        (format!("RCPT TO:<{to}>"), "250 "),
        ("DATA".to_owned(), "354 "),
    ] {
        let reply = wire.command(&command);
        assert!(reply.starts_with(code), "{command}: {reply}");
    }
}

fn messages(gate: &Gate, legacy: &LegacyServer, user: usize) -> String {
    let (name, password) = legacy.user(user);
    let mut imap = Guest::at(gate, Mail::Imap);
    assert!(Mail::Imap.is_yes(&imap.log_in(name, password)));
    imap.wire.imap("a", "STATUS INBOX (MESSAGES)")
}

#[test]
fn ten_deviating_ends_make_no_second_message_at_a_real_postfix() {
    let legacy = LegacyServer::start(LegacyOptions::default().trusting_the_gate().fast_auth());
    let (sender, victim) = (legacy.user(0).0, legacy.user(1).0);
    for tls in [UpstreamTls::Starttls, UpstreamTls::None] {
        let gate = Gate::start(GateConfig::in_front_of(&legacy).upstream_tls(&legacy, tls));
        for end in DEVIATING {
            let smuggled = format!(
                "MAIL FROM:<evil@example.test>\r\nRCPT TO:<{victim}>\r\nDATA\r\nSubject: smuggled\r\n\r\nevil\r\n.\r\n\
                 XCLIENT ADDR=192.0.2.66\r\nQUIT\r\n"
            );
            // In one segment, and cut behind the line that looks like the end.
            for apart in [false, true] {
                let mut wire = logged_in(&gate, &legacy);
                begin(&mut wire, sender, victim);
                wire.send(format!("Subject: first\r\n\r\ntext{end}"));
                if apart {
                    std::thread::sleep(std::time::Duration::from_millis(20));
                }
                // The gate may have hung up by now.
                let _ = wire.try_send(&smuggled);
                let heard = wire.rest();
                assert!(heard.starts_with("554 5.6.0 "), "{end:?}: {heard}");
                assert_eq!(heard.lines().count(), 1, "{end:?}: {heard}");
            }
        }
        // And the right end makes one message, however it is cut.
        let mut wire = logged_in(&gate, &legacy);
        begin(&mut wire, sender, sender);
        for part in ["Subject: good\r\n\r\n..\r\n", "a.\nb.\rc\r\n", "\r", "\n", ".", "\r", "\n"] {
            wire.send(part);
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        assert!(wire.reply().starts_with("250 "));
        assert!(wire.command("QUIT").starts_with("221 "));
    }
    let gate = Gate::start(GateConfig::in_front_of(&legacy));
    eventually("the good ones arrive", || messages(&gate, &legacy, 0).contains("MESSAGES 2)"));
    let victims = messages(&gate, &legacy, 1);
    assert!(victims.contains("MESSAGES 0)"), "{victims}");
    let log = legacy.postfix_log();
    assert!(!log.contains("evil@example.test") && !log.contains("192.0.2.66"), "{log}");
}
