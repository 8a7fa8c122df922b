//! A server started by one of `scripts/servers/`, for as long as its value lives.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::in_repository;

/// How long an orderly end may take; it takes well under a second.
const END_DEADLINE: Duration = Duration::from_secs(20);

/// A running script that announced itself with one line of JSON, and ends when its standard input closes.
pub(crate) struct Script {
    child: Child,
    /// What it announced.
    pub(crate) facts: Value,
}

impl Script {
    /// Starts `scripts/servers/{name}` and waits until its servers answer.
    pub(crate) fn start(name: &str, arguments: &[String]) -> Self {
        let mut child = Command::new(in_repository("scripts/servers").join(name))
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start scripts/servers/{name}: {error}"));
        let mut line = String::new();
        let stdout = child.stdout.take().expect("a pipe");
        BufReader::new(stdout).read_line(&mut line).expect("the announcement");
        let facts = serde_json::from_str(&line)
            .unwrap_or_else(|error| panic!("scripts/servers/{name} did not come up ({error}): `{line}`"));
        Self { child, facts }
    }

    /// A text among the facts.
    pub(crate) fn text(&self, key: &str) -> &str {
        self.facts[key].as_str().unwrap_or_else(|| panic!("no `{key}` among {}", self.facts))
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        wait_or_kill(&mut self.child, END_DEADLINE);
    }
}

/// Waits for a child to end by itself, and kills it when that takes too long. Returns its exit code, if it had one.
pub(crate) fn wait_or_kill(child: &mut Child, patience: Duration) -> Option<i32> {
    let begun = Instant::now();
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return status.code(),
            Ok(None) if begun.elapsed() < patience => std::thread::sleep(Duration::from_millis(5)),
            Ok(None) | Err(_) => {
                let _ = child.kill();
                let _ = child.wait();
                return None;
            }
        }
    }
}
