//! What the service manager hears: when the gate is ready, reloads, lives and stops.

use std::fs;
use std::io;
use std::os::unix::net::UnixDatagram;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::support::{Fake, Gate, GateConfig, Mail, UpstreamTls, log_in, plain};

/// Listens in its place.
struct Manager {
    socket: UnixDatagram,
    _directory: TempDir,
    path: String,
}

impl Manager {
    fn new() -> Self {
        let directory = TempDir::new().expect("a directory");
        let path = directory.path().join("notify");
        let socket = UnixDatagram::bind(&path).expect("a socket");
        socket.set_read_timeout(Some(Duration::from_secs(20))).expect("a deadline");
        let path = path.display().to_string();
        Self { socket, _directory: directory, path }
    }

    fn heard(&self) -> String {
        let mut buffer = [0; 4096];
        match self.socket.recv(&mut buffer) {
            Ok(length) => String::from_utf8_lossy(&buffer[..length]).into_owned(),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => panic!("nothing was heard"),
            Err(error) => panic!("{error}"),
        }
    }

    /// Leaves aside what has come by now.
    fn forget(&self) {
        self.socket.set_nonblocking(true).expect("a socket");
        while self.socket.recv(&mut [0; 4096]).is_ok() {}
        self.socket.set_nonblocking(false).expect("a socket");
    }

    /// The next message that is no sign of life.
    fn news(&self) -> String {
        loop {
            let message = self.heard();
            if message != "WATCHDOG=1\n" {
                return message;
            }
        }
    }
}

#[test]
fn the_service_manager_hears_of_every_state() {
    let upstream = Fake::start(Mail::Imap);
    let manager = Manager::new();
    let mut gate = Gate::prepare(GateConfig::in_front_of_fakes(&[&upstream], UpstreamTls::None));
    gate.set_environment("NOTIFY_SOCKET", &manager.path);
    gate.set_environment("WATCHDOG_USEC", "600000");
    gate.start_again();
    assert_eq!(manager.news(), "READY=1\nSTATUS=serving\n");
    // Signs of life that came while nobody listened are over: the five that follow are four waits apart.
    manager.forget();
    let begun = Instant::now();
    for _ in 0..5 {
        assert_eq!(manager.heard(), "WATCHDOG=1\n");
    }
    assert!(begun.elapsed() >= Duration::from_millis(700), "three times in each period");

    gate.signal("HUP");
    let reloading = manager.news();
    assert!(reloading.starts_with("RELOADING=1\nMONOTONIC_USEC="), "{reloading}");
    assert_eq!(manager.news(), "READY=1\nSTATUS=serving\n");

    gate.edit("[limits]", "[limits]\nnonsense = 1");
    gate.signal("HUP");
    assert!(manager.news().starts_with("RELOADING=1\n"));
    let status = manager.news();
    assert!(status.starts_with("READY=1\nSTATUS=serving what was in force before: "), "{status}");

    gate.signal("TERM");
    let stopping = manager.news();
    assert!(stopping.starts_with("STOPPING=1\nEXTEND_TIMEOUT_USEC=25000000\n"), "{stopping}");
    assert_eq!(gate.ended(), Some(0));
}

#[test]
fn a_reload_that_takes_its_time_does_not_hold_up_the_end() {
    let upstream = Fake::start(Mail::Imap);
    // The kernel takes connections; nobody greets.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("no port");
    let manager = Manager::new();
    let mut gate = Gate::prepare(GateConfig::in_front_of_fakes(&[&upstream], UpstreamTls::None));
    gate.set_environment("NOTIFY_SOCKET", &manager.path);
    gate.start_again();
    assert_eq!(manager.news(), "READY=1\nSTATUS=serving\n");
    let silent_address = silent.local_addr().expect("no address").to_string();
    gate.edit(&format!("127.0.0.1:{}", upstream.port()), &silent_address);
    gate.signal("HUP");
    assert!(manager.news().starts_with("RELOADING=1\n"));
    let begun = Instant::now();
    gate.signal("TERM");
    // Whoever ends the reload first says `READY=1` before.
    assert!(manager.news().starts_with("STOPPING=1\n"), "it goes on to reload");
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    assert_eq!(gate.ended(), Some(0));
}

#[test]
fn secrets_may_be_handed_over_by_the_service_manager() {
    let upstream = Fake::start(Mail::Imap);
    let config = GateConfig::in_front_of_fakes(&[&upstream], UpstreamTls::None).master(
        "proxy",
        "master-secret",
        "separator:*",
    );
    let mut gate = Gate::prepare(config);
    let secret = gate.directory().join("master.secret");
    let credentials = TempDir::new().expect("a directory");
    gate.set_environment("CREDENTIALS_DIRECTORY", &credentials.path().display().to_string());
    gate.edit(&secret.display().to_string(), "credential:master");
    gate.start_with_sockets(&[]);
    assert_eq!(gate.ended(), Some(1));
    let missing = credentials.path().join("master").display().to_string();
    assert!(gate.log().contains(&format!("cannot read the secret file `{missing}`")), "{}", gate.log());

    fs::rename(secret, credentials.path().join("master")).expect("the credential");
    gate.start_again();
    let anna = "anna@example.test";
    let created = gate.cli(&["app-password", "create", anna, "--name", "Test", "--json"]).json();
    let password = created["password"].as_str().expect("a password");
    assert!(log_in(&gate, Mail::Imap, anna, password).contains("TAG OK"));
    let heard = upstream.heard();
    let master = format!("{anna}*proxy");
    assert!(heard.contains(&plain(&master, "master-secret")) || heard.contains("master-secret"), "{heard}");
}

#[test]
fn a_watchdog_that_is_meant_for_another_process_is_not_fed() {
    let upstream = Fake::start(Mail::Imap);
    let manager = Manager::new();
    let mut gate = Gate::prepare(GateConfig::in_front_of_fakes(&[&upstream], UpstreamTls::None));
    gate.set_environment("NOTIFY_SOCKET", &manager.path);
    gate.set_environment("WATCHDOG_USEC", "300000");
    gate.set_environment("WATCHDOG_PID", "1");
    gate.start_again();
    assert!(manager.heard().starts_with("READY=1\n"));
    gate.stop();
    assert!(manager.heard().starts_with("STOPPING=1\n"), "and nothing in between");
}
