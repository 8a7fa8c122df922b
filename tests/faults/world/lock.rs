//! Somebody else who has a database, or what is in it, for himself.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// A transaction of another process, until dropped.
pub(crate) struct Lock {
    child: Child,
}

impl Lock {
    /// Begins an exclusive one in a SQLite file.
    pub(crate) fn hold(database: &Path) -> Self {
        Self::sqlite(database, "BEGIN EXCLUSIVE;\nSELECT 'held';\n")
    }

    /// Begins one that only reads a SQLite file.
    pub(crate) fn read(database: &Path) -> Self {
        Self::sqlite(database, "BEGIN;\nSELECT 'held' FROM sqlite_schema LIMIT 1;\n")
    }

    fn sqlite(database: &Path, lock: &str) -> Self {
        let mut command = Command::new("sqlite3");
        command.args(["-bail", "-cmd", ".timeout 5000"]).arg(database);
        Self::begin(command, lock)
    }

    /// Begins an exclusive one for those tables of a PostgreSQL database.
    pub(crate) fn hold_tables(url: &str, tables: &str) -> Self {
        let mut command = Command::new("psql");
        command.args(["--quiet", "--no-psqlrc", "--tuples-only", "--no-align", "--set=ON_ERROR_STOP=1", url]);
        let lock = format!("BEGIN;\nLOCK TABLE {tables} IN ACCESS EXCLUSIVE MODE;\nSELECT 'held';\n");
        Self::begin(command, &lock)
    }

    fn begin(mut command: Command, lock: &str) -> Self {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("a client");
        child.stdin.as_mut().expect("a pipe").write_all(lock.as_bytes()).expect("it reads");
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().expect("a pipe")).read_line(&mut line).expect("it answers");
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
