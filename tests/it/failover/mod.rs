//! An upstream of several servers: whichever is well is asked, nobody waits for a dead one, and nobody is told that a
//! right password is wrong. And an account that is moved to another upstream.

mod certificates;
mod dead;
mod limit;
mod moved;

use std::fs;
use std::path::PathBuf;

use tempfile::TempDir;
use toml::{Table, Value};

use crate::support::{Gate, GateConfig, LegacyOptions, LegacyServer, PROTOCOLS};

/// Two real servers with the same users, as a pair that shares its mailboxes would have them.
struct Pair {
    first: LegacyServer,
    second: LegacyServer,
    /// Holds the certificates of both authorities.
    directory: TempDir,
}

impl Pair {
    fn start() -> Self {
        let start = || LegacyServer::start(LegacyOptions::default().fast_auth());
        let (first, second) = std::thread::scope(|scope| {
            let first = scope.spawn(start);
            (first.join().expect("a server"), start())
        });
        Self { first, second, directory: TempDir::new().expect("a temporary directory") }
    }

    fn ca_file(&self) -> PathBuf {
        let read = |server: &LegacyServer| fs::read_to_string(server.ca_file()).expect("an authority");
        let path = self.directory.path().join("both.pem");
        fs::write(&path, read(&self.first) + &read(&self.second)).expect("a file");
        path
    }

    /// The first is asked first.
    fn config(&self) -> GateConfig {
        PROTOCOLS.iter().fold(GateConfig::in_front_of(&self.first).uncounted(), |config, mail| {
            let place = |server: &LegacyServer| format!("{}:{}", server.host(), server.port(mail.name()));
            let mut endpoint = Table::new();
            let addresses = [&self.first, &self.second].map(|server| Value::from(place(server)));
            endpoint.insert("address".into(), Value::Array(addresses.into()));
            endpoint.insert("tls".into(), "starttls".into());
            endpoint.insert("server_name".into(), self.first.name().into());
            endpoint.insert("ca_file".into(), self.ca_file().display().to_string().into());
            config.set(&["upstream", "0", mail.name()], endpoint)
        })
    }
}

/// How often somebody was let in there.
fn entered(server: &LegacyServer) -> usize {
    server.dovecot_log().matches("Login: ").count()
}

/// How often that is in the log.
fn said(gate: &Gate, words: &str) -> usize {
    gate.log().matches(words).count()
}
