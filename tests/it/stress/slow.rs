//! Ten thousand connections that never finish a line: good clients do not notice.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::support::{Gate, GateConfig, LegacyOptions, LegacyServer, Mail, UpstreamTls, log_in, run};

/// Ten thousand, or what one process may open on this machine.
const CROWD: u64 = 10_000;

/// No network holds more than `preauth_per_network`.
const NETWORKS: u64 = 100;

/// A good login, and one debug build on a machine that has more to do.
const LOGIN_MAX: Duration = Duration::from_secs(1);

#[test]
fn ten_thousand_slow_connections_leave_a_good_login_under_a_second() {
    let legacy = LegacyServer::start(LegacyOptions::default());
    let crowd = crowd();
    let each = i64::try_from(crowd / NETWORKS).expect("a number");
    // Once with room for all of them, and once with room for half: then they push each other out.
    for connections in [50_000, i64::try_from(crowd / 2).expect("a number")] {
        let config = GateConfig::in_front_of(&legacy).upstream_tls(&legacy, UpstreamTls::None);
        let config = config
            .set(&["limits", "connections"], connections)
            .set(&["limits", "preauth_per_network"], each + 1);
        let gate = Gate::start(config);
        let (user, password) = legacy.user(0);
        for (door, implicit) in [("clear", false), ("tls", true)] {
            let attack = Attack::begin(gate.port("imap", implicit), crowd, door);
            let mut slowest = Duration::ZERO;
            for _ in 0..10 {
                let begun = Instant::now();
                let reply = log_in(&gate, Mail::Imap, user, password);
                assert!(Mail::Imap.is_yes(&reply), "{reply}");
                slowest = slowest.max(begun.elapsed());
                thread::sleep(Duration::from_millis(300));
            }
            println!("{crowd} slow connections ({door}), room for {connections}: {slowest:?} at most");
            assert!(slowest < LOGIN_MAX, "a good login took {slowest:?} ({door}, room for {connections})");
            drop(attack);
        }
    }
}

fn crowd() -> u64 {
    let granted = run("sh", &["-c", "ulimit -Hn"], "").success();
    let descriptors = granted.trim().parse().unwrap_or(u64::MAX);
    let crowd = CROWD.min(descriptors.saturating_sub(500));
    if crowd < CROWD {
        println!("only {crowd} slow connections: a process may open {descriptors} files here");
    }
    crowd
}

/// The attackers, in a process of their own.
struct Attack(Child);

impl Attack {
    fn begin(port: u16, crowd: u64, door: &str) -> Self {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients/slowloris.py");
        let numbers = [u64::from(port), crowd, NETWORKS].map(|number| number.to_string());
        let mut child = Command::new("/usr/bin/python3")
            .args(["-B", script])
            .args(numbers)
            .arg(door)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("Python");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("a pipe")).read_line(&mut line).expect("its word");
        assert!(line.starts_with("ready"), "the attack did not come about: `{line}`");
        Self(child)
    }
}

impl Drop for Attack {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}
