//! Broken SASL messages are refused, for that connection alone.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use crate::support::{Fake, Gate, GateConfig, Guest, Mail, PROTOCOLS, UpstreamTls, b64, log_in};

const USER: &str = "user0@example.test";

/// Messages of PLAIN that are none.
fn bad_plain() -> Vec<String> {
    let raw: [&[u8]; 12] = [
        b"user0@example.test",
        b"user0@example.test\0password",
        b"\0user0@example.test\0password\0",
        b"\0\0user0@example.test\0password",
        b"\0user0@example.test\0",
        b"\0\0password",
        b"\0\0",
        b"\0user0@example.test\0pass\r\nword",
        b"\0user0@example.test\0pass\nword",
        b"\0user0\r@example.test\0password",
        b"user1@example.test\0user0@example.test\0password",
        b"\0\xd5\xc5@example.test\0password",
    ];
    let texts = ["!!!!", "AHVzZXI", "A", "AHVzZXI=AHVz", "AHVz ZXI=", "====", "\u{ff21}"];
    raw.iter().map(b64).chain(texts.map(str::to_owned)).collect()
}

/// The reply to `AUTH`, with and without an initial response, must be one that says *malformed*.
fn refused(gate: &Gate, mail: Mail, mechanism: &str, messages: &[&str], initial: bool) {
    let mut wire = Guest::at(gate, mail).wire;
    let verb = if mail == Mail::Imap { "a AUTHENTICATE" } else { "AUTH" };
    let (first, rest) = messages.split_first().expect("a message");
    let mut lines = if initial {
        vec![format!("{verb} {mechanism} {first}")]
    } else {
        vec![format!("{verb} {mechanism}"), (*first).to_owned()]
    };
    lines.extend(rest.iter().map(|message| (*message).to_owned()));
    let last = lines.pop().expect("a line");
    for line in lines {
        let challenge = wire.ask(&line);
        assert!(challenge.starts_with("+ ") || challenge.starts_with("334 "), "{line}: {challenge}");
    }
    let reply = wire.ask(&last);
    let malformed = match mail {
        Mail::Imap => "a BAD ",
        Mail::Pop3 => "-ERR ",
        Mail::Smtp => "501 5.5.2 ",
    };
    assert!(reply.starts_with(malformed) && !reply.contains("[AUTH]"), "{mechanism} {messages:?}: {reply}");
}

#[test]
fn broken_messages_are_refused_and_good_logins_meanwhile_succeed() {
    let fakes = PROTOCOLS.map(Fake::start);
    let [imap, pop3, smtp] = &fakes;
    let gate = Gate::start(GateConfig::in_front_of_fakes(&[imap, pop3, smtp], UpstreamTls::None));
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let good = PROTOCOLS.map(|mail| {
            let (gate, over) = (&gate, &over);
            scope.spawn(move || {
                let mut logins = 0;
                while !over.load(Ordering::SeqCst) || logins == 0 {
                    let reply = log_in(gate, mail, USER, "let me in");
                    assert!(mail.is_yes(&reply), "{reply}");
                    logins += 1;
                }
            })
        });
        for mail in PROTOCOLS {
            for message in bad_plain() {
                // Blanks make two arguments of it, which is another mistake.
                refused(&gate, mail, "PLAIN", &[&message], false);
                if !message.contains(' ') {
                    refused(&gate, mail, "plain", &[&message], true);
                }
            }
            let name = b64(USER);
            for password in
                [b64("pass\0word"), b64("pass\r\nword"), b64(""), "!!!!".to_owned(), "*".to_owned()]
            {
                if password != "*" {
                    refused(&gate, mail, "LOGIN", &[&name, &password], true);
                }
                refused(&gate, mail, "LOGIN", &[&name, &password], false);
            }
            for name in [b64("user\0"), b64("us\ner"), b64(""), "!!!!".to_owned(), b64(b"\xd5\xc5")] {
                refused(&gate, mail, "login", &[&name], false);
            }
        }
        over.store(true, Ordering::SeqCst);
        for good in good {
            good.join().expect("good logins");
        }
    });
    for fake in &fakes {
        let heard = fake.heard();
        assert!(!heard.contains("cGFzc3dvcmQ") && !heard.contains("password\r"), "{heard}");
    }
}
