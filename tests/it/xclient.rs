//! A Postfix that trusts the gate for XCLIENT never hears one from a client, and its content passes untouched.

use std::net::Ipv4Addr;

use crate::support::{
    GATE_NAME, Gate, GateConfig, Guest, LegacyOptions, LegacyServer, Mail, UpstreamTls, Wire, b64,
    eventually, plain,
};

/// What only a trusted host may say, in every spelling that some server might understand.
const FORGED: [&str; 10] = [
    "XCLIENT NAME=evil.test ADDR=192.0.2.66 LOGIN=user1@example.test",
    "xclient addr=192.0.2.66",
    "XClient LOGIN=user1@example.test",
    " XCLIENT ADDR=192.0.2.66",
    "\tXCLIENT ADDR=192.0.2.66",
    "XCLIENT\tADDR=192.0.2.66",
    "NOOP\rXCLIENT ADDR=192.0.2.66",
    "\0XCLIENT ADDR=192.0.2.66",
    "XFORWARD NAME=evil.test ADDR=192.0.2.66",
    "xforward addr=192.0.2.66",
];

/// Where the clients connect from: what the gate says of them is true.
const CLIENT: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 9);

/// Logged in through the gate in front of a Postfix that trusts it.
fn logged_in(gate: &Gate, legacy: &LegacyServer) -> Wire {
    let (user, password) = legacy.user(0);
    let mut guest = Guest::from(CLIENT, gate, Mail::Smtp);
    let reply = guest.log_in(user, password);
    assert!(reply.starts_with("235 "), "{reply}");
    guest.wire
}

fn trusting() -> LegacyServer {
    LegacyServer::start(LegacyOptions::default().trusting_the_gate().fast_auth())
}

/// Waits for the end of the sessions that said QUIT, and shows that nobody spoke for somebody else in any: the one XCLIENT
/// of each is the gate's.
fn nobody_was_forged(legacy: &LegacyServer, sessions: usize) {
    let ended =
        |log: &str| log.lines().filter(|line| line.contains("disconnect") && line.contains("auth=1")).count();
    eventually("Postfix logs the session's end", || ended(&legacy.postfix_log()) >= sessions);
    let log = legacy.postfix_log();
    for trace in ["xforward", "192.0.2.66", "evil.test", "auth=2", "auth=1/2", "xclient=0/2", "xclient=1"] {
        assert!(!log.to_lowercase().contains(trace), "Postfix heard of `{trace}`:\n{log}");
    }
    // Postfix begins to count anew when it has taken one.
    let told =
        log.lines().filter(|line| line.contains(&format!("[{CLIENT}]")) && line.contains(" xclient=0/1 "));
    assert_eq!(told.count(), sessions, "{log}");
}

#[test]
fn directly_postfix_believes_what_it_is_told() {
    let legacy = trusting();
    let mut wire = Wire::open(legacy.host(), legacy.port("smtp"));
    wire.line();
    assert!(wire.command("EHLO client.test").contains("XCLIENT"));
    assert!(wire.command("XCLIENT NAME=evil.test ADDR=192.0.2.66").starts_with("220 "));
    wire.command("QUIT");
    eventually("Postfix counts it", || {
        legacy.postfix_log().lines().any(|line| line.contains("xclient=") && line.contains("192.0.2.66"))
    });
}

#[test]
fn nothing_that_changes_who_the_client_is_reaches_postfix() {
    let legacy = trusting();
    let tls = [UpstreamTls::Starttls, UpstreamTls::None, UpstreamTls::Implicit];
    for tls in tls {
        let gate = Gate::start(GateConfig::in_front_of(&legacy).upstream_tls(&legacy, tls));
        let mut wire = logged_in(&gate, &legacy);
        let (other, others) = legacy.user(1);
        let second_login = [
            format!("AUTH PLAIN {}", plain(other, others)),
            format!("auth plain {}", plain(other, others)),
            format!("AUTH LOGIN {}", b64(other)),
            "STARTTLS".to_owned(),
            "StartTLS".to_owned(),
        ];
        let all = FORGED.iter().copied().chain(second_login.iter().map(String::as_str)).collect::<Vec<_>>();
        for line in &all {
            let reply = wire.command(line);
            assert!(reply.starts_with('5'), "`{line}` was answered with `{reply}`");
        }
        // Behind RSET, amid a transaction, and pipelined in one segment.
        for line in &all {
            wire.send(format!(
                "RSET\r\n{line}\r\nMAIL FROM:<user0@example.test>\r\n{line}\r\nRSET\r\nNOOP\r\n"
            ));
            let replies = [(); 6].map(|()| wire.reply());
            let codes = replies.each_ref().map(|reply| reply.get(..3).unwrap_or_default());
            assert_eq!([codes[0], codes[2], codes[4], codes[5]], ["250"; 4], "`{line}`: {replies:?}");
            assert!(codes[1].starts_with('5') && codes[3].starts_with('5'), "`{line}`: {replies:?}");
        }
        for greeting in ["EHLO again.test", "ehlo again.test"] {
            let told = wire.command(greeting);
            assert!(told.contains("PIPELINING") && told.ends_with("\r\n"), "{told}");
            for withheld in ["XCLIENT", "XFORWARD", "AUTH", "STARTTLS"] {
                assert!(!told.contains(withheld), "{withheld} in {told}");
            }
        }
        assert!(wire.command("QUIT").starts_with("221 "));
        assert_eq!(wire.rest(), "");
    }
    nobody_was_forged(&legacy, 3);
}

#[test]
fn content_that_looks_like_commands_passes_untouched() {
    let legacy = trusting();
    let gate = Gate::start(GateConfig::in_front_of(&legacy));
    let mut wire = logged_in(&gate, &legacy);
    let user = legacy.user(0).0;
    let lines = FORGED.iter().filter(|line| !line.contains(['\r', '\0'])).copied();
    let body = lines.chain(["AUTH PLAIN", "STARTTLS", "QUIT", "RSET", "..", ".XCLIENT ADDR=192.0.2.66"]);
    let body = body.map(|line| format!("{line}\r\n")).collect::<String>();
    let stuffed = body.replace("\r\n.", "\r\n..");
    let letter = |subject: &str, body: &str| format!("From: {user}\r\nSubject: {subject}\r\n\r\n{body}");

    // DATA: its content in one segment with the commands that follow.
    for command in [format!("MAIL FROM:<{user}>"), format!("RCPT TO:<{user}>")] {
        assert!(wire.command(&command).starts_with("250 "));
    }
    assert!(wire.command("DATA").starts_with("354 "));
    wire.send(format!("{}.\r\nXCLIENT ADDR=192.0.2.66\r\nNOOP\r\n", letter("by DATA", &stuffed)));
    let replies = [(); 3].map(|()| wire.reply());
    let codes = replies.each_ref().map(|reply| reply.get(..1).unwrap_or_default());
    assert_eq!(codes, ["2", "5", "2"], "{replies:?}");

    // BDAT: counted bytes, all in one segment.
    let told = wire.command("EHLO client.test");
    assert!(told.contains("CHUNKING"), "Postfix offers it, and so does the gate: {told}");
    let whole = letter("by BDAT", &body);
    let (first, last) = whole.split_at(whole.len() / 2);
    wire.send(format!(
        "MAIL FROM:<{user}>\r\nRCPT TO:<{user}>\r\nBDAT {}\r\n{first}BDAT {} LAST\r\n{last}XCLIENT \
         ADDR=192.0.2.66\r\nNOOP\r\n",
        first.len(),
        last.len(),
    ));
    let replies = [(); 6].map(|()| wire.reply());
    let codes = replies.each_ref().map(|reply| reply.get(..1).unwrap_or_default());
    assert_eq!(codes, ["2", "2", "2", "2", "5", "2"], "{replies:?}");
    assert!(wire.command("QUIT").starts_with("221 "));

    let mut imap = Guest::at(&gate, Mail::Imap);
    assert!(Mail::Imap.is_yes(&imap.log_in(user, legacy.user(0).1)));
    eventually("both are delivered", || {
        imap.wire.imap("a", "STATUS INBOX (MESSAGES)").contains("MESSAGES 2)")
    });
    imap.wire.imap("b", "SELECT INBOX");
    let read = imap.wire.imap("c", "FETCH 1:2 BODY.PEEK[TEXT]");
    assert_eq!(read.matches(&body).count(), 2, "{read}");
    nobody_was_forged(&legacy, 1);
}

#[test]
fn before_login_nothing_of_it_is_offered_or_understood() {
    let legacy = trusting();
    let gate = Gate::start(GateConfig::in_front_of(&legacy));
    let wire = Wire::open_from(CLIENT, "127.0.0.1", gate.port("smtp", true));
    let mut wire = wire.secure(&gate.ca_file(), GATE_NAME);
    wire.line();
    let told = wire.command("EHLO client.test");
    assert!(!told.contains("XCLIENT") && !told.contains("XFORWARD"), "{told}");
    for line in ["XCLIENT ADDR=192.0.2.66", "XFORWARD ADDR=192.0.2.66"] {
        assert!(wire.command(line).starts_with('5'));
    }
    let (user, password) = legacy.user(0);
    assert!(wire.command(&format!("AUTH PLAIN {}", plain(user, password))).starts_with("235 "));
    wire.command("QUIT");
    nobody_was_forged(&legacy, 1);
}
