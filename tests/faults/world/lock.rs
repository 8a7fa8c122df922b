//! Somebody else who has the SQLite file for himself.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// An exclusive transaction of another process, until dropped.
pub(crate) struct Lock {
    child: Child,
}

impl Lock {
    /// Begins one.
    pub(crate) fn hold(database: &Path) -> Self {
        let mut command = Command::new("sqlite3");
        command.arg("-bail").arg(database).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("sqlite3");
        let begin = ".timeout 5000\nBEGIN EXCLUSIVE;\nSELECT 'held';\n";
        child.stdin.as_mut().expect("a pipe").write_all(begin.as_bytes()).expect("sqlite3 reads");
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().expect("a pipe")).read_line(&mut line).expect("sqlite3 answers");
        assert_eq!(line, "held\n");
        Self { child }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
