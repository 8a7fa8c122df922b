//! Nobody makes the gate hold more than the protocol's line (the exact bounds stand in the transcripts).

use crate::support::{Fake, Gate, GateConfig, Guest, Mail, PROTOCOLS, UpstreamTls, plain};

const USER: &str = "user0@example.test";

#[test]
fn what_is_too_large_is_refused_before_it_is_asked_for_or_ends_the_connection() {
    let fakes = PROTOCOLS.map(Fake::start);
    let [imap, pop3, smtp] = &fakes;
    let gate = Gate::start(GateConfig::in_front_of_fakes(&[imap, pop3, smtp], UpstreamTls::None));
    let message = plain(USER, "password");

    let mut wire = Guest::at(&gate, Mail::Imap).wire;
    assert_eq!(wire.imap("a", "LOGIN {8193}"), "a BAD Literal too long\r\n", "no `+`");
    assert_eq!(wire.imap("a", "LOGIN {4294967297}"), "a BAD Literal too long\r\n");
    assert_eq!(wire.imap("a", "SELECT {3}"), "a BAD Unknown command, or not before login\r\n");
    assert!(wire.imap("a", &format!("ID {}", "(".repeat(8000))).starts_with("a BAD"));
    assert!(wire.imap("a", &format!("AUTHENTICATE PLAIN {message}")).contains("a OK"));
    for flood in ["a LOGIN {8193+}\r\n", "a ID (\"name\" {4294967297+}\r\n", "a LOGIN {4096+}\r\n"] {
        let mut wire = Guest::at(&gate, Mail::Imap).wire;
        let more = format!("{}b NOOP\r\n", "x".repeat(4096) + " {4097+}\r\n");
        wire.send(format!("{flood}{more}"));
        let heard = wire.rest();
        assert!(heard.contains("a BAD Literal too long\r\n* BYE ") && !heard.contains("b OK"), "{heard}");
    }

    for mail in PROTOCOLS {
        let (noop, long, yes) = match mail {
            Mail::Imap => ("a NOOP ", 8192, "a OK"),
            Mail::Pop3 => ("NOOP ", 8192, "+OK"),
            Mail::Smtp => ("NOOP ", 8192, "250 "),
        };
        let mut guest = Guest::at(&gate, mail);
        let blank = if mail == Mail::Imap { " " } else { "x" };
        let line = |length: usize| format!("{noop}{}\r\n", blank.repeat(length - noop.len() - 2));
        guest.wire.send(line(long));
        assert!(guest.wire.line().starts_with(yes), "{mail:?} at the bound");
        guest.wire.send(line(long + 1));
        let reply = guest.wire.line();
        assert!(reply.contains("ine too long"), "{mail:?} beyond it: {reply}");
        assert!(mail.is_yes(&guest.log_in(USER, "password")), "and goes on");
    }

    let mut wire = Guest::at(&gate, Mail::Smtp).wire;
    let auth = |length: usize| format!("AUTH PLAIN {}", "A".repeat(length - 13));
    assert!(wire.command(&auth(12_288)).starts_with("501 5.5.2 "));
    assert!(wire.command(&auth(12_289)).starts_with("500 5.5.6 "));
}
