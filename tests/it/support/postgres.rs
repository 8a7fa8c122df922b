//! A throwaway PostgreSQL (`scripts/servers/postgres`).

use tempfile::TempDir;

use super::script::Script;

/// A cluster of its own, with one empty database, until dropped.
pub(crate) struct Postgres {
    script: Script,
    _directory: TempDir,
}

impl Postgres {
    /// Starts it; that takes about a second.
    pub(crate) fn start() -> Self {
        let directory = TempDir::new().expect("a temporary directory");
        let path = directory.path().display().to_string();
        let script =
            Script::start("postgres", &["--dir".into(), path, "--database".into(), "mailward".into()]);
        Self { script, _directory: directory }
    }

    /// The URL of its one database, as `[database] url` takes it.
    pub(crate) fn url(&self) -> &str {
        self.script.text("url")
    }
}
