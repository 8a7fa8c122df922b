//! Running a command to its end: the gate's own commands and real mail clients.

use std::ffi::OsStr;
use std::io::Write as _;
use std::process::{Command, Stdio};

use serde_json::Value;

use super::in_repository;

/// What a command left behind.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// The command as typed, for messages.
    pub(crate) command: String,
    /// Its exit status; 124 when it did not end within two minutes.
    pub(crate) status: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Outcome {
    /// Its standard output, if it succeeded; else the test fails, showing all that it said.
    pub(crate) fn success(self) -> String {
        assert_eq!(self.status, 0, "`{}` failed:\n{}{}", self.command, self.stdout, self.stderr);
        self.stdout
    }

    /// Its standard output as JSON, if it succeeded.
    pub(crate) fn json(self) -> Value {
        let command = self.command.clone();
        let stdout = self.success();
        serde_json::from_str(&stdout)
            .unwrap_or_else(|error| panic!("`{command}` printed no JSON ({error}): {stdout}"))
    }
}

/// Runs `program` with `arguments`, feeding it `input`.
pub(crate) fn run<A: AsRef<OsStr>>(program: impl AsRef<OsStr>, arguments: &[A], input: &str) -> Outcome {
    let program = program.as_ref();
    let mut command = Command::new("timeout");
    command.args(["--kill-after=5", "120"]).arg(program).args(arguments);
    let shown = std::iter::once(program)
        .chain(arguments.iter().map(AsRef::as_ref))
        .map(|word| word.to_string_lossy().into_owned())
        .collect::<Vec<_>>()
        .join(" ");
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("cannot start `{shown}`: {error}"));
    // A command that does not read its input is none of our business.
    let _ = child.stdin.take().expect("a pipe").write_all(input.as_bytes());
    let output = child.wait_with_output().expect("the command's output");
    Outcome {
        command: shown,
        status: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// Runs the client script `tests/clients/{script}` with Debian's Python.
pub(crate) fn client(script: &str, arguments: &[&str]) -> Outcome {
    let path = in_repository("tests/clients").join(script);
    let path = path.to_str().expect("a repository path in UTF-8");
    run("/usr/bin/python3", &[&["-B", path], arguments].concat(), "")
}
