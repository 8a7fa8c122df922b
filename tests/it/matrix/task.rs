//! What a driver is given to do, and what it gives back.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use super::table::Door;
use crate::support::{Outcome as Ended, run};

/// The name by which clients reach the gate; it is in its certificate.
pub(super) const HOST: &str = "localhost";

/// One way through one door. Over IMAP and POP3 the client fetches the whole inbox and leaves it there; over SMTP it
/// sends the letter from its user to its user.
pub(super) struct Task {
    pub(super) door: Door,
    pub(super) port: u16,
    /// The gate's IMAP port with implicit TLS, for clients that look at what they did.
    pub(super) imap_port: u16,
    pub(super) user: String,
    pub(super) password: String,
    /// The way to log in, or `""`.
    pub(super) mechanism: &'static str,
    /// The authority that signed the gate's certificate.
    pub(super) ca: PathBuf,
    pub(super) letter: Letter,
    /// A directory of its own, empty at first: the client's home.
    pub(super) directory: PathBuf,
    /// Whether the password is right; a client that does more with a right one must not try it with a wrong one.
    pub(super) right: bool,
}

/// What a client fetched, each message whole (nothing, over SMTP), or all that it said when it failed.
pub(super) type Outcome = Result<Vec<String>, String>;

/// A message by its subject, which is like no other's.
#[derive(Clone, Debug)]
pub(super) struct Letter {
    pub(super) subject: String,
    pub(super) from: String,
}

/// Lines that a client or a relay that counts dots or looks for mbox separators would spoil.
pub(super) const BODY: &str =
    "A line.\n.\n..\n.A line that begins with a dot.\nFrom the beginning.\n\nThe end.\n";

impl Letter {
    /// The whole message, with CRLF.
    pub(super) fn whole(&self) -> String {
        let Self { subject, from } = self;
        format!(
            "From: {from}\nTo: {from}\nSubject: {subject}\nDate: Thu, 01 Jan 2026 00:00:00 +0000\nMessage-ID: \
             <{}@client.test>\n\n{BODY}",
            subject.replace([' ', '@'], ".")
        )
        .replace('\n', "\r\n")
    }

    /// Whether `message` is this letter, below what those who passed it on wrote on top, or put together by a client
    /// from its subject and body.
    pub(super) fn is(&self, message: &str) -> bool {
        let message = message.replace("\r\n", "\n");
        let (head, body) = message.split_once("\n\n").unwrap_or_default();
        // A client that pipes or appends messages may add an empty line at their end.
        body.trim_end() == BODY.trim_end()
            && head.lines().any(|line| line == format!("Subject: {}", self.subject))
    }
}

impl Task {
    /// Writes a file into the directory that nobody else can read, and returns its path.
    pub(super) fn file(&self, name: &str, content: &str) -> String {
        use std::io::Write as _;
        use std::os::unix::fs::OpenOptionsExt as _;
        let path = self.directory.join(name);
        let mut options = fs::OpenOptions::new();
        let file = options.write(true).create_new(true).mode(0o600).open(&path);
        file.and_then(|mut file| file.write_all(content.as_bytes())).expect("a private file");
        path.display().to_string()
    }

    /// A directory inside the directory.
    pub(super) fn folder(&self, name: &str) -> String {
        let path = self.directory.join(name);
        fs::create_dir_all(&path).expect("a directory");
        path.display().to_string()
    }

    /// The path of the authority's certificate.
    pub(super) fn ca(&self) -> String {
        self.ca.display().to_string()
    }

    /// Runs the client at home in the directory, with nothing of our own environment, so that neither its user's
    /// settings nor those of this machine matter.
    pub(super) fn run<A: AsRef<OsStr>>(&self, command: &[A], input: &str) -> Ended {
        run_at_home(&self.directory, command, input)
    }
}

/// See [`Task::run`].
pub(super) fn run_at_home<A: AsRef<OsStr>>(home: &Path, command: &[A], input: &str) -> Ended {
    let place = home.display();
    let path = std::env::var("PATH").unwrap_or_default();
    let environment = [
        "-i".to_owned(),
        format!("--chdir={place}"),
        format!("HOME={place}"),
        format!("TMPDIR={place}"),
        format!("XDG_RUNTIME_DIR={place}"),
        format!("PATH={path}"),
        "LANG=C.UTF-8".to_owned(),
        "TERM=xterm".to_owned(),
        "SHELL=/bin/sh".to_owned(),
        // Nobody starts a message bus, which would stay.
        "DBUS_SESSION_BUS_ADDRESS=disabled:".to_owned(),
    ];
    let all = environment.iter().map(AsRef::as_ref).chain(command.iter().map(AsRef::as_ref));
    run("env", &all.collect::<Vec<&OsStr>>(), input)
}

/// What a finished client gives back: the messages in `fetched`, or all its words.
pub(super) fn outcome(ended: &Ended, fetched: impl FnOnce(&Ended) -> Vec<String>) -> Outcome {
    if ended.status == 0 {
        Ok(fetched(ended))
    } else {
        Err(format!("status {}\n{}{}", ended.status, ended.stdout, ended.stderr))
    }
}

/// The messages that a client put into a directory, one in each file.
pub(super) fn messages_in(directory: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(directory) else { return Vec::new() };
    let mut paths = entries.map(|entry| entry.expect("an entry").path()).collect::<Vec<_>>();
    paths.sort();
    let read = |path: &PathBuf| String::from_utf8_lossy(&fs::read(path).expect("a message")).into_owned();
    paths.iter().map(read).collect()
}
