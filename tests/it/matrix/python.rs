//! Python's imaplib, poplib and smtplib: the scripts under `tests/clients`. With the library's own way to log in they
//! do all that a mail program does in a day, and put the mailbox back as it was.

use super::task::{HOST, Outcome, Task, messages_in, outcome};
use crate::support::client;

pub(super) fn imaplib(task: &Task) -> Outcome {
    let place = task.folder("mail");
    run(task, "imap.py", "fetch", &["--save", &place], &[])
}

pub(super) fn poplib(task: &Task) -> Outcome {
    let (place, imap_port) = (task.folder("mail"), task.imap_port.to_string());
    run(task, "pop3.py", "fetch", &["--save", &place], &["--imap-port", &imap_port])
}

pub(super) fn smtplib(task: &Task) -> Outcome {
    let (letter, imap_port) = (task.file("letter", &task.letter.whole()), task.imap_port.to_string());
    run(task, "smtp.py", "letter", &["--letter", &letter], &["--imap-port", &imap_port])
}

fn run(task: &Task, script: &str, step: &str, what: &[&str], all_day: &[&str]) -> Outcome {
    let (port, ca) = (task.port.to_string(), task.ca());
    let at = ["--host", HOST, "--port", &port, "--tls", task.door.tls(), "--ca", &ca];
    let how = ["--user", &task.user, "--password", &task.password, "--mechanism", task.mechanism];
    let steps: &[&str] = if task.right && task.mechanism == "library" {
        all_day
    } else {
        &["--only", "login", "--only", step]
    };
    let ended = client(script, &[&at[..], &how, what, steps].concat());
    outcome(&ended, |_| messages_in(&task.directory.join("mail")))
}
