//! Commands where nobody may send one: behind STARTTLS, and in names that go upstream.

use crate::support::{
    Fake, GATE_NAME, Gate, GateConfig, Guest, Mail, Manner, PROTOCOLS, UpstreamTls, Wire, b64, eventually,
};

/// Exactly what is sent in one segment, and all that may be answered to it.
#[test]
fn no_segment_gets_a_command_behind_starttls_answered_in_or_before_tls() {
    let fakes = PROTOCOLS.map(Fake::start);
    let [imap, pop3, smtp] = &fakes;
    let gate = Gate::start(GateConfig::in_front_of_fakes(&[imap, pop3, smtp], UpstreamTls::None));
    for (mail, attack, answers) in [
        (Mail::Imap, "a STARTTLS\r\nb NOOP\r\n", 1),
        (Mail::Pop3, "STLS\r\nCAPA\r\n", 1),
        (Mail::Smtp, "EHLO x\r\nSTARTTLS\r\nEHLO y\r\n", 2),
    ] {
        let mut wire = Wire::open("127.0.0.1", gate.port(mail.name(), false));
        wire.line();
        wire.send(attack);
        for _ in 0..answers {
            let reply = if mail == Mail::Smtp { wire.reply() } else { wire.line() };
            assert!(!reply.starts_with("b ") && !reply.contains("SASL"), "{reply}");
        }
        match wire.try_secure(&gate.ca_file(), GATE_NAME) {
            Err(_) => {}
            Ok(mut wire) => assert_eq!(wire.rest(), "", "`{attack}` was answered inside TLS"),
        }
        // With nothing behind it the same command leads into TLS, and there the dialogue starts anew.
        let mut wire = Wire::open("127.0.0.1", gate.port(mail.name(), false));
        wire.line();
        let starttls = attack.split_inclusive("\r\n").take(answers).collect::<String>();
        wire.send(&starttls);
        for _ in 0..answers {
            if mail == Mail::Smtp {
                wire.reply()
            } else {
                wire.line()
            };
        }
        let mut wire = wire.secure(&gate.ca_file(), GATE_NAME);
        let reply = match mail {
            Mail::Imap => wire.imap("c", "STARTTLS"),
            Mail::Pop3 => wire.ask("STLS"),
            Mail::Smtp => wire.command(&format!("AUTH LOGIN {}", b64("user0@example.test"))),
        };
        let expected = match mail {
            Mail::Imap => "c BAD",
            Mail::Pop3 => "-ERR",
            Mail::Smtp => "503 5.5.1 Send EHLO first",
        };
        assert!(reply.starts_with(expected), "{reply}");
    }
}

/// Names, passwords and introductions that hold line ends: the upstream hears no line more than the gate means.
#[test]
fn no_name_or_password_makes_a_second_upstream_command() {
    for mail in PROTOCOLS {
        let fake = Fake::start(mail);
        let offer = match mail {
            Mail::Imap => vec!["IMAP4rev1", "ID", "LITERAL+"],
            Mail::Pop3 | Mail::Smtp => Manner::friendly(mail).offer,
        };
        fake.behave(Manner { offer, ..Manner::friendly(mail) });
        let gate = Gate::start(GateConfig::in_front_of_fakes(&[&fake], UpstreamTls::None).uncounted());
        eventually("the offer is learned", || fake.conversations() > 0);
        let evil = ["a\r\nEVIL 1", "a\nEVIL 2", "a\rEVIL 3", "a\0EVIL 4", "a\u{85}EVIL 5", "a\u{7f}EVIL 6"];
        for (name, password) in evil
            .iter()
            .map(|evil| (*evil, "password"))
            .chain(evil.iter().take(4).map(|evil| ("user0@example.test", *evil)))
        {
            let mut guest = Guest::at(&gate, mail);
            let reply = guest.log_in(name, password);
            assert!(!mail.is_yes(&reply), "{name:?} {password:?}: {reply}");
            let mut wire = Guest::at(&gate, mail).wire;
            match mail {
                Mail::Imap => {
                    let (n, p) = (name.len(), password.len());
                    wire.send(format!("a LOGIN {{{n}+}}\r\n{name} {{{p}+}}\r\n{password}\r\n"));
                    let reply = wire.tagged("a");
                    assert!(reply.starts_with("a NO ") || reply.starts_with("a BAD "), "{reply}");
                }
                // An LF would be the end of the client's own line.
                Mail::Pop3 if name.contains('\n') || password.contains('\n') => {}
                Mail::Pop3 => {
                    wire.send(format!("USER {name}\r\nPASS {password}\r\nQUIT\r\n"));
                    let heard = wire.rest();
                    assert!(heard.contains("-ERR"), "{heard}");
                }
                Mail::Smtp => {
                    wire.send(format!("AUTH LOGIN {}\r\n", b64(name)));
                    if wire.reply().starts_with("334 ") {
                        let reply = wire.command(&b64(password));
                        assert!(reply.starts_with("501 "), "{reply}");
                    }
                }
            }
        }
        // What introduces the client is cleaned or refused.
        let mut guest = Guest::at(&gate, mail);
        match mail {
            Mail::Imap => {
                let value = "x\r\ng9 EVIL 7";
                guest.wire.send(format!("i ID (\"name\" {{{}+}}\r\n{value})\r\n", value.len()));
                guest.wire.tagged("i");
            }
            Mail::Pop3 => assert!(guest.wire.ask("LANG zh\rEVIL 8").starts_with("-ERR")),
            Mail::Smtp => assert!(guest.wire.command("EHLO x\rEVIL 9").starts_with("50")),
        }
        assert!(mail.is_yes(&guest.log_in("user0@example.test", "password")));
        let heard = fake.heard();
        let evil =
            heard.lines().find(|line| line.trim_start().starts_with("EVIL") || line.contains("g9 EVIL\r"));
        assert_eq!(evil, None, "{mail:?} heard:\n{heard}");
        let commands = heard.lines().filter(|line| line.contains("EVIL")).collect::<Vec<_>>();
        assert!(commands.iter().all(|line| line.ends_with("\"name\" \"x  g9 EVIL 7\")")), "{commands:?}");
    }
}
