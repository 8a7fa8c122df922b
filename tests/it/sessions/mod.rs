//! Live sessions: ended within a second by what another process changes, listed over all nodes, ended one by one. And browsers
//! that are signed in to the portal.

mod browsers;
mod causes;
mod list;

use std::thread::{self, JoinHandle};
use std::time::Instant;

use crate::support::{Gate, Guest, Mail, Wire, eventually};

/// A client that is in, and in the middle of something.
struct Client {
    what: String,
    mail: Mail,
    wire: Wire,
}

/// How a session ended for its client.
struct Ended {
    what: String,
    at: Instant,
    /// What came after it had been left alone.
    heard: String,
    /// Whether it was closed in order.
    in_order: bool,
}

impl Client {
    /// Logs in, and then: IMAP in IDLE, POP3 in silence, SMTP in the middle of a message to itself.
    fn enter(gate: &Gate, mail: Mail, user: &str, password: &str) -> Self {
        let mut guest = Guest::at(gate, mail);
        let reply = guest.log_in(user, password);
        assert!(mail.is_yes(&reply), "{user} over {mail:?}: {reply}");
        let mut wire = guest.wire;
        match mail {
            Mail::Imap => {
                assert!(wire.imap("s", "SELECT INBOX").contains("s OK"));
                assert!(wire.ask("i IDLE").starts_with("+ "));
            }
            Mail::Pop3 => assert!(wire.ask("STAT").starts_with("+OK 0 ")),
            Mail::Smtp => {
                for (command, code) in [
                    (format!("MAIL FROM:<{user}>"), "250"),
                    (format!("RCPT TO:<{user}>"), "250"),
                    ("DATA".to_owned(), "354"),
                ] {
                    assert!(wire.command(&command).starts_with(code), "{command}");
                }
                wire.send("Subject: half\r\n\r\nThe first line.\r\n");
            }
        }
        Self { what: format!("{user} over {mail:?}"), mail, wire }
    }

    /// Such a client on each protocol.
    fn enter_all(gate: &Gate, user: &str, password: &str) -> Vec<Self> {
        let mails = [Mail::Imap, Mail::Pop3, Mail::Smtp];
        mails.map(|mail| Self::enter(gate, mail, user, password)).into()
    }

    /// Waits in a thread of its own until the connection ends.
    fn watch(mut self) -> JoinHandle<Ended> {
        thread::spawn(move || {
            let heard = self.wire.rest();
            let at = Instant::now();
            let (_, in_order) = self.wire.end();
            Ended { what: self.what, at, heard, in_order }
        })
    }

    /// It can go on with what it was doing.
    fn goes_on(&mut self) {
        let (command, expected) = match self.mail {
            Mail::Imap => ("DONE", "i OK"),
            Mail::Pop3 => ("NOOP", "+OK"),
            Mail::Smtp => ("The last line.\r\n.", "250 "),
        };
        self.wire.send(format!("{command}\r\n"));
        // In IDLE the server may have had something to tell.
        let reply = self.wire.lines_until(|line| self.mail != Mail::Imap || line.starts_with("i "));
        let last = reply.lines().last().unwrap_or_default();
        assert!(last.starts_with(expected), "{} was to live on: {reply}", self.what);
        if self.mail == Mail::Imap {
            self.wire.send("i IDLE\r\n");
            assert!(self.wire.lines_until(|line| line.starts_with("+ ")).contains("+ "));
        }
    }
}

/// The reasons of the ends of `user`'s sessions so far, in alphabetical order, once there are so many.
fn reasons(gate: &Gate, user: &str, count: usize) -> Vec<String> {
    let mut reasons = Vec::new();
    eventually("every end is on record", || {
        let search = ["audit", "search", "--account", user, "--event", "session_end", "--json"];
        let found = gate.cli(&search).json();
        let found = found.as_array().expect("records").iter();
        reasons = found.filter_map(|record| record["reason"].as_str().map(str::to_owned)).collect();
        reasons.len() >= count
    });
    reasons.sort();
    reasons
}
