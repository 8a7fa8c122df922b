//! A gate in service: other configurations and certificates without a restart, restarts that nobody notices, and what it
//! tells whoever runs it.

mod certificates;
mod changes;
mod downloads;
mod drain;
mod manager;
mod reload;
mod restart;
mod unit;

use crate::support::{Gate, Guest, Mail};

/// A client that is in.
fn enter(gate: &Gate, mail: Mail, user: &str, password: &str) -> Guest {
    let mut guest = Guest::at(gate, mail);
    let reply = guest.log_in(user, password);
    assert!(mail.is_yes(&reply), "{user} over {mail:?}: {reply}");
    guest
}

/// It is in still: what it asks is answered.
fn goes_on(guest: &mut Guest, mail: Mail) {
    let wire = &mut guest.wire;
    match mail {
        Mail::Imap => assert!(wire.imap("n", "NOOP").contains("n OK")),
        Mail::Pop3 => assert!(wire.ask("NOOP").starts_with("+OK")),
        Mail::Smtp => assert!(wire.command("NOOP").starts_with("250")),
    }
}

/// What the trail says of reloads, in order: `configuration_reloaded` or `reload_failed` and why.
fn reloads(gate: &Gate) -> Vec<(String, String)> {
    let found = gate.cli(&["audit", "search", "--json"]).json();
    let text = |record: &serde_json::Value, key: &str| record[key].as_str().unwrap_or_default().to_owned();
    let records = found.as_array().expect("records").iter();
    let mut reloads: Vec<_> = records
        .filter(|record| text(record, "event").contains("reload"))
        .map(|record| (text(record, "at"), (text(record, "event"), text(record, "reason"))))
        .collect();
    reloads.sort();
    reloads.into_iter().map(|(_, reload)| reload).collect()
}
