//! Rows about what comes before any password: no TLS yet, mechanisms that are not done, broken exchanges, commands
//! out of their time, lines without end. After each of them the client may go on.

use crate::support::{
    Fake, GATE_NAME, Gate, GateConfig, Guest, LegacyOptions, LegacyServer, Mail, UpstreamTls, Wire, b64,
    plain,
};

const SECRET: &str = "never to be sent in clear";

/// A gate whose upstream lets in everybody.
fn gate() -> (Gate, [Fake; 3]) {
    let fakes = [Mail::Imap, Mail::Pop3, Mail::Smtp].map(Fake::start);
    let [imap, pop3, smtp] = &fakes;
    let gate = Gate::start(GateConfig::in_front_of_fakes(&[imap, pop3, smtp], UpstreamTls::None));
    (gate, fakes)
}

/// At the STARTTLS door, before the greeting.
fn in_clear(gate: &Gate, mail: Mail) -> Wire {
    Wire::open("127.0.0.1", gate.port(mail.name(), false))
}

#[test]
fn nothing_secret_is_taken_before_tls() {
    let (gate, fakes) = gate();
    let response = plain("user0@example.test", SECRET);

    let mut imap = in_clear(&gate, Mail::Imap);
    let greeting = imap.line();
    for told in [greeting, imap.imap("a", "CAPABILITY")] {
        assert!(told.contains("STARTTLS") && told.contains("LOGINDISABLED"), "{told}");
        assert!(!told.contains("AUTH="), "{told}");
    }
    let refusals = [
        imap.imap("b", &format!("LOGIN user0@example.test \"{SECRET}\"")),
        imap.imap("b", "LOGIN {18}"),
        imap.imap("b", "AUTHENTICATE PLAIN"),
        imap.imap("b", &format!("AUTHENTICATE PLAIN {response}")),
        imap.imap("b", "AUTHENTICATE LOGIN"),
    ];
    for refusal in refusals {
        assert!(refusal.starts_with("b NO [PRIVACYREQUIRED] "), "{refusal}");
    }
    assert!(imap.imap("c", "NOOP").starts_with("c OK"));

    let mut pop3 = in_clear(&gate, Mail::Pop3);
    pop3.line();
    pop3.send("CAPA\r\n");
    let capabilities = pop3.lines_until(|line| line == ".\r\n");
    assert!(capabilities.contains("STLS\r\n"), "{capabilities}");
    assert!(!capabilities.contains("USER") && !capabilities.contains("SASL"), "{capabilities}");
    for command in ["USER user0@example.test", "PASS x", "AUTH PLAIN", &format!("AUTH PLAIN {response}")] {
        let refusal = pop3.ask(command);
        assert!(refusal.starts_with("-ERR ") && !refusal.contains("[AUTH]"), "{command}: {refusal}");
    }
    assert!(pop3.ask("QUIT").starts_with("+OK"));

    let mut smtp = in_clear(&gate, Mail::Smtp);
    smtp.line();
    let keywords = smtp.command("EHLO client.test");
    assert!(keywords.contains("STARTTLS\r\n") && !keywords.contains("AUTH"), "{keywords}");
    let auth = format!("AUTH PLAIN {response}");
    for command in [auth.as_str(), "AUTH PLAIN", "AUTH LOGIN", "MAIL FROM:<user0@example.test>"] {
        let refusal = smtp.command(command);
        assert!(refusal.starts_with("530 5.7.0 "), "{command}: {refusal}");
    }
    assert!(smtp.command("QUIT").starts_with("221 "));

    for fake in &fakes {
        let heard = fake.heard();
        assert!(!heard.contains(SECRET) && !heard.contains(&response), "{heard}");
    }
}

#[test]
fn imap_says_what_is_wrong_and_goes_on() {
    let (gate, _fakes) = gate();
    let mut wire = Guest::at(&gate, Mail::Imap).wire;
    let cases = [
        ("AUTHENTICATE CRAM-MD5", vec![], "a NO "),
        ("AUTHENTICATE XOAUTH2 dXNlcg==", vec![], "a NO "),
        ("AUTHENTICATE PLAIN", vec!["*"], "a BAD "),
        ("AUTHENTICATE LOGIN", vec!["dXNlcg==", "*"], "a BAD "),
        ("AUTHENTICATE PLAIN !!!!", vec![], "a BAD "),
        ("AUTHENTICATE PLAIN", vec!["no base64"], "a BAD "),
        ("SELECT INBOX", vec![], "a BAD "),
        ("LIST \"\" *", vec![], "a BAD "),
        ("NONSENSE", vec![], "a BAD "),
    ];
    for (command, answers, expected) in cases {
        wire.send(format!("a {command}\r\n"));
        for answer in &answers {
            let challenge = wire.line();
            assert!(challenge.starts_with('+'), "{command}: {challenge}");
            wire.send(format!("{answer}\r\n"));
        }
        let reply = wire.tagged("a");
        assert!(reply.starts_with(expected), "{command} {answers:?}: {reply}");
    }
    let mut wire = Guest::at(&gate, Mail::Imap).wire;
    let reply = wire.imap("a", &format!("NOOP {}", "x".repeat(9000)));
    assert!(reply.starts_with("a BAD "), "{reply}");
    assert!(wire.imap("b", "NOOP").starts_with("b OK"), "after a line too long");
    let reply = wire.imap("c", &format!("AUTHENTICATE PLAIN {}", plain("user0@example.test", "x")));
    assert!(reply.starts_with("c OK") || reply.contains("\r\nc OK"), "{reply}");
}

#[test]
fn pop3_says_what_is_wrong_and_goes_on() {
    let (gate, _fakes) = gate();
    let mut wire = Guest::at(&gate, Mail::Pop3).wire;
    let cases = [
        ("AUTH CRAM-MD5", vec![]),
        ("AUTH PLAIN", vec!["*"]),
        ("AUTH LOGIN", vec!["dXNlcg==", "*"]),
        ("AUTH PLAIN !!!!", vec![]),
        ("STAT", vec![]),
        ("RETR 1", vec![]),
        ("PASS without user", vec![]),
        ("NONSENSE", vec![]),
    ];
    for (command, answers) in cases {
        let mut reply = wire.ask(command);
        for answer in &answers {
            assert!(reply.starts_with('+'), "{command}: {reply}");
            reply = wire.ask(answer);
        }
        assert!(reply.starts_with("-ERR ") && !reply.contains("[AUTH]"), "{command} {answers:?}: {reply}");
    }
    let mut wire = Guest::at(&gate, Mail::Pop3).wire;
    let reply = wire.ask(&format!("NOOP {}", "x".repeat(9000)));
    assert!(reply.starts_with("-ERR "), "{reply}");
    let reply = wire.ask(&format!("AUTH PLAIN {}", plain("user0@example.test", "x")));
    assert!(reply.starts_with("+OK"), "after a line too long: {reply}");
}

#[test]
fn smtp_says_what_is_wrong_and_goes_on() {
    let (gate, _fakes) = gate();
    let mut wire = Guest::at(&gate, Mail::Smtp).wire;
    let cases = [
        ("AUTH CRAM-MD5", vec![], "504 5.5.4 "),
        ("AUTH PLAIN", vec!["*"], "501 5.5.2 "),
        ("AUTH LOGIN", vec!["dXNlcg==", "*"], "501 5.5.2 "),
        ("AUTH PLAIN !!!!", vec![], "501 5.5.2 "),
        ("MAIL FROM:<user0@example.test>", vec![], "530 5.7.0 "),
        ("RCPT TO:<user0@example.test>", vec![], "530 5.7.0 "),
        ("DATA", vec![], "530 5.7.0 "),
    ];
    for (command, answers, expected) in cases {
        let mut reply = wire.command(command);
        for answer in &answers {
            assert!(reply.starts_with("334"), "{command}: {reply}");
            reply = wire.command(answer);
        }
        assert!(reply.starts_with(expected), "{command} {answers:?}: {reply}");
    }
    let mut wire = Guest::at(&gate, Mail::Smtp).wire;
    let reply = wire.command(&format!("NOOP {}", "x".repeat(13_000)));
    assert!(reply.starts_with("500 5.5.6 "), "{reply}");
    let reply = wire.command(&format!("AUTH PLAIN {}", plain("user0@example.test", "x")));
    assert!(reply.starts_with("235 "), "after a line too long: {reply}");
}

/// The real servers know a second login as well as the gate does.
#[test]
fn nobody_logs_in_twice() {
    let legacy = LegacyServer::start(LegacyOptions::default());
    let gate = Gate::start(GateConfig::in_front_of(&legacy));
    let ((user, password), (other, others)) = (legacy.user(0), legacy.user(1));
    let again = plain(other, others);
    for (mail, command, expected) in [
        (Mail::Imap, format!("a AUTHENTICATE PLAIN {again}"), "a BAD "),
        (Mail::Imap, format!("a LOGIN {other} {others}"), "a BAD "),
        (Mail::Pop3, format!("AUTH PLAIN {again}"), "-ERR "),
        (Mail::Pop3, format!("USER {other}"), "-ERR "),
        (Mail::Smtp, format!("AUTH PLAIN {again}"), "503 5.5.1 "),
        (Mail::Smtp, format!("auth login {}", b64(other)), "503 5.5.1 "),
    ] {
        let mut guest = Guest::at(&gate, mail);
        assert!(mail.is_yes(&guest.log_in(user, password)));
        let reply = guest.wire.ask(&command);
        assert!(reply.starts_with(expected), "{command}: {reply}");
    }
}

/// A web browser at a mail port gets nothing to run.
#[test]
fn http_is_not_answered() {
    let (gate, _fakes) = gate();
    for mail in [Mail::Imap, Mail::Pop3, Mail::Smtp] {
        let mut wire = in_clear(&gate, mail);
        wire.line();
        wire.send("POST /<script> HTTP/1.1\r\nHost: mail.example.test\r\n\r\n");
        let answer = wire.rest();
        assert!(!answer.contains("script"), "{mail:?}: {answer}");
        let inside = in_clear(&gate, mail).try_secure(&gate.ca_file(), GATE_NAME);
        assert!(inside.is_err(), "TLS at the STARTTLS door of {mail:?} is no greeting");
    }
}
