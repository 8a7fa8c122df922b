//! A throwaway PostgreSQL that can die and come back.

use std::path::Path;

use tempfile::TempDir;

use super::disk::{Filled, Tmpfs};
use crate::support::ports::Port;
use crate::support::run;
use crate::support::script::Script;

/// A cluster of its own, with one empty database, until dropped.
pub(crate) struct Cluster {
    script: Option<Script>,
    /// Small, where it is to be full. It goes before the directory that it is mounted at, which could not be removed else.
    disk: Option<Tmpfs>,
    directory: TempDir,
    /// Kept while it is stopped and starts, so that nobody else takes it.
    port: Port,
    url: String,
}

impl Cluster {
    /// Starts it; what it confirms is there after a crash.
    pub(crate) fn start() -> Self {
        Self::start_on(|_| None)
    }

    /// The same on a disk of its own of that size (`64m`).
    pub(crate) fn start_on_a_disk_of(size: &str) -> Self {
        Self::start_on(|directory| Some(Tmpfs::mount(directory, size)))
    }

    fn start_on(disk: impl FnOnce(&Path) -> Option<Tmpfs>) -> Self {
        let directory = TempDir::new().expect("a temporary directory");
        let disk = disk(directory.path());
        let port = Port::choose();
        let script = Self::run(&directory, &port);
        let url = script.text("url").to_owned();
        Self { script: Some(script), disk, directory, port, url }
    }

    /// Fills that disk.
    pub(crate) fn fill(&self) -> Filled {
        self.disk.as_ref().expect("a disk of its own").fill()
    }

    /// Runs statements in its database; what they print.
    pub(crate) fn sql(&self, statements: &[&str]) -> String {
        let commands = statements.iter().flat_map(|statement| ["--command", statement]);
        let arguments = ["--quiet", "--no-psqlrc", "--tuples-only", "--no-align", &self.url];
        run("psql", &arguments.into_iter().chain(commands).collect::<Vec<_>>(), "").success()
    }

    fn run(directory: &TempDir, port: &Port) -> Script {
        let mut arguments = vec!["--dir".into(), directory.path().display().to_string(), "--durable".into()];
        arguments.extend(["--database".into(), "mailward".into()]);
        arguments.extend(["--port".into(), port.number.to_string()]);
        Script::start("postgres", &arguments)
    }

    /// Ends it as a power cut would: from now on its port refuses connections.
    pub(crate) fn kill(&mut self) {
        let script = self.script.take().expect("a running PostgreSQL");
        for pid in script.facts["pids"].as_array().expect("its processes") {
            run("kill", &["-KILL", &pid.to_string()], "").success();
        }
        drop(script);
    }

    /// Starts it on its data and its port.
    pub(crate) fn start_again(&mut self) {
        self.script = Some(Self::run(&self.directory, &self.port));
    }

    /// Its port on 127.0.0.1.
    pub(crate) fn port(&self) -> u16 {
        self.port.number
    }

    /// The URL of its one database, as `[database] url` takes it.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// The same by another port, behind which something stands between.
    pub(crate) fn url_by(&self, port: u16) -> String {
        self.url.replace(&format!(":{}/", self.port.number), &format!(":{port}/"))
    }
}
