//! A gate that is told to stop while somebody fetches a message that takes a while: all of it arrives, and then the last
//! word.

use std::thread;
use std::time::Duration;

use super::enter;
use crate::support::{Gate, GateConfig, LegacyOptions, LegacyServer, Mail, Wire};

const LINES: usize = 200_000;

/// Longer than anybody idle may be silent.
const SILENCE: Duration = Duration::from_millis(2500);

fn line(number: usize) -> String {
    format!("{number:08} what the systems between them hold of it is less than there is to come\r\n")
}

/// A server with one message of some 16 MiB in the mailbox.
fn with_one_message() -> LegacyServer {
    let legacy = LegacyServer::start(LegacyOptions::default().fast_auth());
    let (user, password) = legacy.user(0);
    let message = format!("Subject: long\r\n\r\n{}", (0..LINES).map(line).collect::<String>());
    let mut wire = Wire::open(legacy.host(), legacy.port("imap"));
    wire.line();
    assert!(wire.imap("a", &format!("LOGIN {user} \"{password}\"")).contains("a OK"));
    assert!(wire.ask(&format!("b APPEND INBOX {{{}}}", message.len())).starts_with("+ "));
    wire.send(message + "\r\n");
    assert!(wire.tagged("b").contains("b OK"));
    legacy
}

/// Takes those lines of the message, one after the other.
fn take(wire: &mut Wire, lines: std::ops::Range<usize>) {
    for number in lines {
        assert_eq!(wire.line(), line(number));
    }
}

#[test]
fn a_message_that_is_being_fetched_arrives_whole_before_the_last_word() {
    let legacy = with_one_message();
    let (user, password) = legacy.user(0);
    let mut gate = Gate::start(GateConfig::in_front_of(&legacy).set(&["server", "drain"], "2m"));
    let mut imap = enter(&gate, Mail::Imap, user, password);
    assert!(imap.wire.imap("s", "EXAMINE INBOX").contains("s OK"));
    let mut pop3 = enter(&gate, Mail::Pop3, user, password);
    for (wire, command) in [(&mut imap.wire, "f FETCH 1 BODY.PEEK[]"), (&mut pop3.wire, "RETR 1")] {
        wire.send(format!("{command}\r\n"));
        while wire.line() != "\r\n" {}
        take(wire, 0..1000);
    }

    gate.signal("TERM");
    thread::sleep(SILENCE);
    take(&mut imap.wire, 1000..LINES);
    assert!(imap.wire.tagged("f").contains("f OK"), "and the answer's own end");
    let (heard, in_order) = imap.wire.end();
    assert!(heard.starts_with("* BYE ") && in_order, "{heard}");
    take(&mut pop3.wire, 1000..LINES);
    assert_eq!(pop3.wire.line(), ".\r\n");
    let (heard, in_order) = pop3.wire.end();
    assert!(heard.is_empty() && in_order, "{heard}");
    assert_eq!(gate.ended(), Some(0));
}
