//! System calls that fail, are slow, or are a process's last: by `strace`, which is attached to it or starts it.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use crate::support::run;

/// Attached to a running process, with all its threads, until dropped.
pub(crate) struct Strace {
    child: Child,
}

impl Strace {
    /// From now on the calls of process `pid` are met by `injections` (`fdatasync:error=EIO`), where they concern one of
    /// `paths`, if any are given.
    pub(crate) fn attach(pid: u32, injections: &[&str], paths: &[&str]) -> Self {
        let mut command = Command::new("strace");
        command.args(["--follow-forks", "--output=/dev/null", "--attach", &pid.to_string()]);
        for injection in injections {
            let calls = injection.split(':').next().unwrap_or_default();
            command.arg(format!("--trace={calls}")).arg(format!("--inject={injection}"));
        }
        command.args(paths.iter().flat_map(|path| ["--trace-path", path]));
        let mut child = command.stderr(Stdio::piped()).spawn().expect("strace");
        let mut said = BufReader::new(child.stderr.take().expect("a pipe"));
        let mut line = String::new();
        while !line.contains(" attached") {
            line.clear();
            let read = said.read_line(&mut line).expect("strace says what it does");
            assert!(read > 0, "strace cannot attach: it needs the right to trace, as root has");
        }
        // It goes on talking about threads that come: whoever does not read holds it up.
        std::thread::spawn(move || std::io::copy(&mut said, &mut std::io::sink()));
        Self { child }
    }
}

impl Drop for Strace {
    fn drop(&mut self) {
        // It lets go of the process before it ends.
        let _ = Command::new("kill").arg("-TERM").arg(self.child.id().to_string()).status();
        let _ = self.child.wait();
    }
}

/// The arguments of `strace` that start a command whose call is met by `injection`.
pub(crate) fn started_with(injection: &str) -> Vec<String> {
    let calls = injection.split(':').next().unwrap_or_default();
    // Not with `--seccomp-bpf`: a call that is to be the second or later one is not met then.
    let options = ["--follow-forks", "--output=/dev/null"].map(str::to_owned);
    [&options[..], &[format!("--trace={calls}"), format!("--inject={injection}")]].concat()
}

/// Fails, rather than let a test pass by doing nothing, where tracing is not allowed.
pub(crate) fn is_allowed() {
    let tried = run("strace", &["--output=/dev/null", "true"], "");
    assert_eq!(
        tried.status, 0,
        "this test needs the right to trace processes, as root has: {}",
        tried.stderr
    );
}
