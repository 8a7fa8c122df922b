//! Where a client comes from: said by balancers, told to upstreams, and shown by real servers' logs.

mod balanced;
mod documented;
mod forwarded;

use std::net::Ipv4Addr;

use serde_json::Value;

use crate::support::{GATE_NAME, Gate, Guest, LegacyServer, Mail, Wire, eventually};

/// A client's end, through whatever is in front of the gate: at an implicit-TLS door, or one with STARTTLS.
fn guest(wire: Wire, gate: &Gate, mail: Mail, implicit_tls: bool) -> Guest {
    if implicit_tls {
        return Guest::greeted(wire.secure(&gate.ca_file(), GATE_NAME), mail);
    }
    let mut wire = wire;
    wire.line();
    let granted = match mail {
        Mail::Imap => wire.imap("s", "STARTTLS").contains("s OK"),
        Mail::Pop3 => wire.ask("STLS").starts_with("+OK"),
        Mail::Smtp => {
            wire.command("EHLO client.test");
            wire.command("STARTTLS").starts_with("220 ")
        }
    };
    assert!(granted, "{mail:?} grants no TLS");
    Guest::inside(wire.secure(&gate.ca_file(), GATE_NAME), mail)
}

/// Logs in, and does what the server logs with the client's address.
fn visit(mut guest: Guest, legacy: &LegacyServer, mail: Mail) -> Wire {
    let (user, password) = legacy.user(0);
    let reply = guest.log_in(user, password);
    assert!(mail.is_yes(&reply), "{mail:?}: {reply}");
    if mail == Mail::Smtp {
        for command in [format!("MAIL FROM:<{user}>"), format!("RCPT TO:<{user}>"), "RSET".to_owned()] {
            assert!(guest.wire.command(&command).starts_with("250 "), "{command}");
        }
    }
    guest.wire
}

/// Waits until the server that speaks `mail` has logged a login from `address`.
fn is_named(legacy: &LegacyServer, mail: Mail, address: &str) {
    eventually(&format!("{mail:?} logs {address}"), || logins(legacy, mail, address) > 0);
}

/// How many logins from `address` the server that speaks `mail` has logged.
fn logins(legacy: &LegacyServer, mail: Mail, address: &str) -> usize {
    let (log, marks) = match mail {
        Mail::Imap => {
            (legacy.dovecot_log(), ["imap-login: Info: Login:".to_owned(), format!("rip={address},")])
        }
        Mail::Pop3 => {
            (legacy.dovecot_log(), ["pop3-login: Info: Login:".to_owned(), format!("rip={address},")])
        }
        Mail::Smtp => {
            (legacy.postfix_log(), ["sasl_username=".to_owned(), format!("client=unknown[{address}]")])
        }
    };
    log.lines().filter(|line| marks.iter().all(|mark| line.contains(mark))).count()
}

/// The loopback address that ends so: a client of its own.
fn loopback(last: u8) -> Ipv4Addr {
    Ipv4Addr::new(127, 0, 0, last)
}

/// The trail's records of logins that were admitted.
fn admitted(gate: &Gate) -> Vec<Value> {
    let mut records = gate.cli(&["audit", "search", "--event", "login", "--json"]).json();
    let records = std::mem::take(records.as_array_mut().expect("records"));
    records.into_iter().filter(|record| record["outcome"] == "admitted").collect()
}

/// The addresses in them.
fn recorded(gate: &Gate) -> Vec<String> {
    admitted(gate).iter().map(|record| record["ip"].as_str().expect("an address").to_owned()).collect()
}
