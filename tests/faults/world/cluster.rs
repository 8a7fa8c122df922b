//! A throwaway PostgreSQL that can die and come back.

use tempfile::TempDir;

use crate::support::ports::Port;
use crate::support::run;
use crate::support::script::Script;

/// A cluster of its own, with one empty database, until dropped.
pub(crate) struct Cluster {
    script: Option<Script>,
    directory: TempDir,
    port: u16,
    /// While it is stopped, so that nobody else takes it.
    kept_port: Option<Port>,
    url: String,
}

impl Cluster {
    /// Starts it; what it confirms is there after a crash.
    pub(crate) fn start() -> Self {
        let directory = TempDir::new().expect("a temporary directory");
        let script = Self::run(&directory, None);
        let (port, url) = (script.port("port"), script.text("url").to_owned());
        Self { script: Some(script), directory, port, kept_port: None, url }
    }

    fn run(directory: &TempDir, port: Option<u16>) -> Script {
        let mut arguments = vec!["--dir".into(), directory.path().display().to_string(), "--durable".into()];
        arguments.extend(["--database".into(), "mailward".into()]);
        arguments.extend(port.into_iter().flat_map(|port| ["--port".into(), port.to_string()]));
        Script::start("postgres", &arguments)
    }

    /// Ends it as a power cut would: from now on its port refuses connections.
    pub(crate) fn kill(&mut self) {
        let script = self.script.take().expect("a running PostgreSQL");
        for pid in script.facts["pids"].as_array().expect("its processes") {
            run("kill", &["-KILL", &pid.to_string()], "").success();
        }
        drop(script);
        self.kept_port = Port::reserve(self.port);
    }

    /// Starts it on its data and its port.
    pub(crate) fn start_again(&mut self) {
        self.kept_port = None;
        self.script = Some(Self::run(&self.directory, Some(self.port)));
    }

    /// Its port on 127.0.0.1.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// The URL of its one database, as `[database] url` takes it.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// The same by another port, behind which something stands between.
    pub(crate) fn url_by(&self, port: u16) -> String {
        self.url.replace(&format!(":{}/", self.port), &format!(":{port}/"))
    }
}
