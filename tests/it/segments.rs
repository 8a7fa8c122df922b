//! What stands in one segment with a login or a STARTTLS: the one reaches the upstream exactly once, the other nobody.

use crate::support::{
    Answer, Fake, GATE_NAME, Gate, GateConfig, Guest, LegacyOptions, LegacyServer, Mail, Manner, PROTOCOLS,
    UpstreamTls, Wire, eventually, plain,
};

const USER: &str = "user0@example.test";

fn login(mail: Mail) -> String {
    let message = plain(USER, "password");
    match mail {
        Mail::Imap => format!("a AUTHENTICATE PLAIN {message}\r\n"),
        Mail::Pop3 | Mail::Smtp => format!("AUTH PLAIN {message}\r\n"),
    }
}

fn in_front_of(fake: &Fake) -> Gate {
    Gate::start(GateConfig::in_front_of_fakes(&[fake], UpstreamTls::None).uncounted())
}

#[test]
fn what_is_pipelined_behind_a_login_arrives_upstream_exactly_once() {
    for mail in PROTOCOLS {
        let fake = Fake::start(mail);
        let gate = in_front_of(&fake);
        let (behind, replies) = match mail {
            Mail::Imap => ("b NOOP\r\nc XYZZY {3+}\r\nabc\r\nd NO", ["b OK", "c OK", "abc OK"]),
            Mail::Pop3 => ("STAT\r\nUIDL\r\nTOP 1 0\r\nNO", ["+OK", "+OK", "+OK"]),
            Mail::Smtp => (
                "MAIL FROM:<a@example.test>\r\nRCPT TO:<b@example.test>\r\nRSET\r\nNO",
                ["250", "250", "250"],
            ),
        };
        let mut guest = Guest::at(&gate, mail);
        guest.wire.send(format!("{}{behind}", login(mail)));
        let yes = guest.wire.line();
        assert!(["a OK", "+OK", "235"].iter().any(|start| yes.starts_with(start)), "`{yes}`");
        for reply in replies {
            let line = guest.wire.line();
            assert!(line.starts_with(reply), "`{line}` instead of `{reply}`");
        }
        // The rest of a command that was cut in the middle.
        guest.wire.send("OP\r\n");
        assert!(guest.wire.line().contains("Done"));
        assert_eq!(fake.heard_after_login(), format!("{behind}OP\r\n"), "{mail:?}");
    }
}

#[test]
fn what_is_pipelined_behind_a_refused_login_is_answered_by_the_gate() {
    for mail in PROTOCOLS {
        let fake = Fake::start(mail);
        let refusal = match mail {
            Mail::Imap => "TAG NO No",
            Mail::Pop3 => "-ERR No",
            Mail::Smtp => "535 5.7.8 No",
        };
        let gate = in_front_of(&fake);
        fake.behave(Manner { login: Answer::Says(refusal), ..Manner::friendly(mail) });
        let mut guest = Guest::at(&gate, mail);
        let (behind, expected): (_, &[_]) = match mail {
            Mail::Imap => {
                ("b NOOP\r\nc LOGOUT\r\n", &["a NO [AUTHENTICATIONFAILED]", "b OK", "* BYE", "c OK"])
            }
            Mail::Pop3 => ("STAT\r\nQUIT\r\n", &["-ERR [AUTH]", "-ERR", "+OK"]),
            Mail::Smtp => ("MAIL FROM:<a@example.test>\r\nNOOP\r\nQUIT\r\n", &["535", "530", "250", "221"]),
        };
        guest.wire.send(format!("{}{behind}", login(mail)));
        let heard = guest.wire.rest();
        let lines = heard.split_terminator("\r\n").collect::<Vec<_>>();
        assert_eq!(lines.len(), expected.len(), "{heard}");
        for (line, expected) in lines.iter().zip(expected) {
            assert!(line.starts_with(expected), "`{line}` instead of `{expected}`");
        }
        let heard = fake.heard();
        assert!(!heard.contains("a@example.test") && !heard.contains("STAT"), "{heard}");
    }
}

/// A client that has said all it will ever say still hears all the answers.
#[test]
fn a_client_that_closes_its_side_behind_a_login_hears_the_rest() {
    let legacy = LegacyServer::start(LegacyOptions::default());
    // Dovecot itself forgets what it had to say when the end comes inside TLS.
    let gate = Gate::start(GateConfig::in_front_of(&legacy).upstream_tls(&legacy, UpstreamTls::None));
    let (user, password) = legacy.user(0);
    let message = plain(user, password);
    for (mail, all, last) in [
        (Mail::Imap, format!("a AUTHENTICATE PLAIN {message}\r\nb NOOP\r\nc LOGOUT\r\n"), "c OK "),
        (Mail::Pop3, format!("AUTH PLAIN {message}\r\nSTAT\r\nQUIT\r\n"), "+OK "),
        (Mail::Smtp, format!("AUTH PLAIN {message}\r\nNOOP\r\nQUIT\r\n"), "221 "),
    ] {
        let mut guest = Guest::at(&gate, mail);
        guest.wire.send(all);
        guest.wire.finish();
        let heard = guest.wire.rest();
        assert!(heard.lines().last().is_some_and(|line| line.starts_with(last)), "{mail:?}: {heard}");
    }
}

/// Whoever sits between may add commands before the handshake; nobody may take them for the client's.
#[test]
fn what_stands_behind_starttls_is_never_answered() {
    let fakes = PROTOCOLS.map(Fake::start);
    let [imap, pop3, smtp] = &fakes;
    let gate = Gate::start(GateConfig::in_front_of_fakes(&[imap, pop3, smtp], UpstreamTls::None));
    for (mail, attack, answer) in [
        (Mail::Imap, "a STARTTLS\r\nb NOOP\r\n".to_owned(), "a OK "),
        (Mail::Imap, format!("a STARTTLS\r\n{}", login(Mail::Imap).replace("a AUTH", "b AUTH")), "a OK "),
        (Mail::Pop3, "STLS\r\nCAPA\r\n".to_owned(), "+OK "),
        (Mail::Pop3, format!("STLS\r\n{}", login(Mail::Pop3)), "+OK "),
        (Mail::Smtp, "STARTTLS\r\nEHLO y\r\n".to_owned(), "220 "),
        (Mail::Smtp, format!("STARTTLS\r\n{}", login(Mail::Smtp)), "220 "),
    ] {
        let mut wire = Wire::open("127.0.0.1", gate.port(mail.name(), false));
        wire.line();
        if mail == Mail::Smtp {
            wire.command("EHLO x");
        }
        wire.send(&attack);
        if let Some(line) = wire.next_line() {
            assert!(line.starts_with(answer), "`{line}`");
        }
        // In clear nothing follows, and inside TLS, should there be any, neither.
        if let Ok(mut wire) = wire.try_secure(&gate.ca_file(), GATE_NAME) {
            let _ = wire.try_send("c NOOP\r\n");
            assert_eq!(wire.rest(), "", "`{attack}` on {mail:?}");
        }
    }
    for fake in &fakes {
        assert_eq!(fake.heard_after_login(), "");
        assert!(!fake.heard().contains(&plain(USER, "password")));
    }
}

/// The same where the two commands arrive apart, before the handshake begins.
#[test]
fn what_comes_between_starttls_and_the_handshake_is_never_answered() {
    let fakes = PROTOCOLS.map(Fake::start);
    let [imap, pop3, smtp] = &fakes;
    let gate = Gate::start(GateConfig::in_front_of_fakes(&[imap, pop3, smtp], UpstreamTls::None));
    for (mail, starttls, injected) in [
        (Mail::Imap, "a STARTTLS", "b NOOP"),
        (Mail::Pop3, "STLS", "CAPA"),
        (Mail::Smtp, "STARTTLS", "EHLO y"),
    ] {
        let mut wire = Wire::open("127.0.0.1", gate.port(mail.name(), false));
        wire.line();
        wire.ask(starttls);
        wire.send(format!("{injected}\r\n"));
        // A TLS alert, perhaps, but no line of the protocol.
        let answer = wire.rest();
        assert!(!answer.contains('\n') && !answer.contains("OK"), "{mail:?}: {answer}");
    }
    // And a door that was attacked opens for the next as ever.
    let mut wire = Wire::open("127.0.0.1", gate.port("imap", false));
    wire.line();
    assert!(wire.imap("a", "STARTTLS").starts_with("a OK"));
    let mut guest = wire.secure(&gate.ca_file(), GATE_NAME);
    assert!(guest.imap("b", "NOOP").starts_with("b OK"));
    eventually("the upstreams were asked what they offer", || imap.conversations() > 0);
}
