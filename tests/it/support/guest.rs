//! A client that stands before a door and tries to log in, the same way for each protocol.

use std::net::Ipv4Addr;
use std::thread;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::config::GATE_NAME;
use super::gate::Gate;
use super::wire::Wire;

/// The protocols, for tests that go through them all.
pub(crate) const PROTOCOLS: [Mail; 3] = [Mail::Imap, Mail::Pop3, Mail::Smtp];

/// A protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mail {
    Imap,
    Pop3,
    Smtp,
}

impl Mail {
    /// As configuration and commands call it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Imap => "imap",
            Self::Pop3 => "pop3",
            Self::Smtp => "smtp",
        }
    }

    /// Whether that reply to a login is a yes.
    pub(crate) fn is_yes(self, reply: &str) -> bool {
        match self {
            Self::Imap => reply.lines().last().is_some_and(|line| line.starts_with("TAG OK")),
            Self::Pop3 => reply.starts_with("+OK"),
            Self::Smtp => reply.starts_with("235 "),
        }
    }
}

/// A client past the greeting (in SMTP past EHLO), inside TLS.
pub(crate) struct Guest {
    pub(crate) wire: Wire,
    mail: Mail,
    attempts: u32,
}

impl Guest {
    /// At the gate's implicit-TLS door.
    pub(crate) fn at(gate: &Gate, mail: Mail) -> Self {
        Self::from(Ipv4Addr::LOCALHOST, gate, mail)
    }

    /// The same, coming from another loopback address.
    pub(crate) fn from(source: Ipv4Addr, gate: &Gate, mail: Mail) -> Self {
        let wire = Wire::open_from(source, "127.0.0.1", gate.port(mail.name(), true));
        Self::greeted(wire.secure(&gate.ca_file(), GATE_NAME), mail)
    }

    /// Past the greeting of whatever is at the other end.
    pub(crate) fn greeted(mut wire: Wire, mail: Mail) -> Self {
        let greeting = wire.line();
        let expected = match mail {
            Mail::Imap => "* OK",
            Mail::Pop3 => "+OK",
            Mail::Smtp => "220 ",
        };
        assert!(greeting.starts_with(expected), "greeted with `{greeting}`");
        if mail == Mail::Smtp {
            let reply = wire.command("EHLO client.test");
            assert!(reply.starts_with("250"), "EHLO was answered with `{reply}`");
        }
        Self::past_greeting(wire, mail)
    }

    /// Where greeting and EHLO were heard.
    pub(crate) fn past_greeting(wire: Wire, mail: Mail) -> Self {
        Self { wire, mail, attempts: 0 }
    }

    /// Inside the TLS that STARTTLS led to, where nobody greets (in SMTP past EHLO).
    pub(crate) fn inside(mut wire: Wire, mail: Mail) -> Self {
        if mail == Mail::Smtp {
            let reply = wire.command("EHLO client.test");
            assert!(reply.starts_with("250"), "EHLO was answered with `{reply}`");
        }
        Self { wire, mail, attempts: 0 }
    }

    /// Tries to log in with SASL PLAIN, and returns all that it hears, with `TAG` for IMAP's tag.
    pub(crate) fn log_in(&mut self, user: &str, password: &str) -> String {
        let message = plain(user, password);
        let verb = if self.mail == Mail::Imap { "AUTHENTICATE" } else { "AUTH" };
        self.attempt(&format!("{verb} PLAIN {message}"))
    }

    /// Tries to log in with the protocol's own command; in SMTP, which has none, with SASL LOGIN.
    pub(crate) fn log_in_with_command(&mut self, user: &str, password: &str) -> String {
        match self.mail {
            Mail::Imap => self.attempt(&format!("LOGIN {} {}", quoted(user), quoted(password))),
            Mail::Pop3 => {
                let reply = self.wire.ask(&format!("USER {user}"));
                if reply.starts_with("+OK") { self.wire.ask(&format!("PASS {password}")) } else { reply }
            }
            Mail::Smtp => {
                let first = [String::from("AUTH LOGIN"), b64(user)];
                for line in first {
                    let reply = self.wire.command(&line);
                    assert!(reply.starts_with("334 "), "`{reply}` instead of a challenge");
                }
                self.wire.command(&b64(password))
            }
        }
    }

    fn attempt(&mut self, command: &str) -> String {
        match self.mail {
            Mail::Imap => {
                self.attempts += 1;
                let tag = format!("try{}", self.attempts);
                self.wire.imap(&tag, command).replace(&format!("{tag} "), "TAG ")
            }
            Mail::Pop3 => self.wire.ask(command),
            Mail::Smtp => self.wire.command(command),
        }
    }
}

/// Does the same on all protocols at once: refusals take their time.
pub(crate) fn on_each_protocol(test: impl Fn(Mail) + Sync) {
    let test = &test;
    thread::scope(|scope| {
        for mail in PROTOCOLS {
            scope.spawn(move || test(mail));
        }
    });
}

/// One try on a connection of its own.
pub(crate) fn log_in(gate: &Gate, mail: Mail, user: &str, password: &str) -> String {
    Guest::at(gate, mail).log_in(user, password)
}

/// The SASL PLAIN message (RFC 4616) in base64.
pub(crate) fn plain(user: &str, password: &str) -> String {
    b64(format!("\0{user}\0{password}"))
}

/// Base64.
pub(crate) fn b64(bytes: impl AsRef<[u8]>) -> String {
    STANDARD.encode(bytes)
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}
