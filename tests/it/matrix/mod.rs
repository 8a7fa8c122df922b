//! The client matrix: real mail clients, at each door that they know, whatever the gate logs in upstream with.
//!
//! Each client has a mailbox of its own for each credential, with a letter in it. It fetches the letter at each IMAP
//! and POP3 door, and sends one to itself at each SMTP door; what it fetched, what arrived and from whom is compared at
//! the legacy server. At the first door of each protocol it tries a wrong app password before, which must fail, fetch
//! nothing and deliver nothing. `MAILWARD_CLIENTS=curl,neomutt` limits it to some while one works on them.

mod autoconfig;
mod curl;
mod fetchmail;
mod getmail;
mod mailbox;
mod mbsync;
mod msmtp;
mod neomutt;
mod python;
mod report;
mod swaks;
mod table;
mod task;
mod thunderbird;

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::support::{Gate, GateConfig, LegacyOptions, LegacyServer, Mail, eventually};
use mailbox::{Mailbox, sender};
use table::{CREDENTIALS, Cell, DOORS, Door, Row, TABLE};
use task::{Letter, Outcome, Task, messages_in};

const MASTER: (&str, &str) = ("proxy", "mäster: secret");

/// How many clients run at once: they mostly wait.
const AT_ONCE: usize = 4;

/// What came of one client with one credential.
struct Done {
    client: &'static str,
    credential: usize,
    /// Each door that it went through, and what was wrong there.
    doors: Vec<(Door, Result<(), String>)>,
    took: Duration,
}

#[test]
#[expect(clippy::print_stdout, reason = "the table is there to be read")]
fn each_client_fetches_and_sends_at_each_door_with_each_credential() {
    let rows = TABLE.iter().filter(|row| asked_for(row.client)).collect::<Vec<_>>();
    // One credential after the other, so that no two of the clients that take longest start together.
    let jobs = (0..CREDENTIALS.len()).flat_map(|credential| rows.iter().map(move |row| (*row, credential)));
    let jobs = jobs.collect::<Vec<_>>();
    let legacy = legacy_server(jobs.len());
    let gates = CREDENTIALS.each_ref().map(|credential| {
        let config = GateConfig::in_front_of(&legacy).uncounted();
        Gate::start(match credential.master {
            Some(style) => config.master(MASTER.0, MASTER.1, style),
            None => config,
        })
    });

    let (next, done) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::SeqCst);
                    let Some((row, credential)) = jobs.get(number) else { return };
                    let begun = Instant::now();
                    let day = || a_day(row, &gates[*credential], &legacy, number);
                    // One that fails must not hide what came of the others.
                    let doors = catch_unwind(AssertUnwindSafe(day)).unwrap_or_else(|panic| {
                        let words = panic.downcast_ref::<String>().map(String::as_str);
                        let words = words.or_else(|| panic.downcast_ref::<&str>().copied());
                        let words = words.unwrap_or("it panicked").to_owned();
                        row.doors().map(|door| (door, Err(words.clone()))).collect()
                    });
                    let (credential, took) = (*credential, begun.elapsed());
                    let done_one = Done { client: row.client, credential, doors, took };
                    done.lock().expect("no panic while it was held").push(done_one);
                }
            });
        }
    });
    let done = done.into_inner().expect("no panic while it was held");
    println!("{}", report::table(&done));
    let problems = report::problems(&done);
    assert!(problems.is_empty(), "{}", problems.join("\n\n"));
}

/// Whether that client is to run: each, unless some were named.
fn asked_for(client: &str) -> bool {
    std::env::var("MAILWARD_CLIENTS").map_or(true, |names| names.split(',').any(|name| name == client))
}

/// With so many mailboxes.
fn legacy_server(mailboxes: usize) -> LegacyServer {
    let options = LegacyOptions::default().master(MASTER.0, MASTER.1).fast_auth();
    LegacyServer::start((0..mailboxes).fold(options, |options, number| {
        options.user(&format!("client{number}@example.test"), &format!("mailbox password {number}"))
    }))
}

/// All that one client does with one credential, in the mailbox of user number `user`.
fn a_day(row: &Row, gate: &Gate, legacy: &LegacyServer, user: usize) -> Vec<(Door, Result<(), String>)> {
    let (name, mailbox_password) = legacy.user(user);
    let app_password = gate.app_password(name, mailbox_password, &[]).password;
    gate.bind_totp(name);
    let home = TempDir::new().expect("a temporary directory");
    let tasks = tasks(row, gate, name, &app_password, home.path());
    let kept = Letter { subject: format!("Kept for {name}"), from: name.to_owned() };
    let mut mailbox = Mailbox::open(legacy, user);
    mailbox.put(&kept);

    let outcomes = (row.drive)(&tasks);
    assert_eq!(outcomes.len(), tasks.len(), "an outcome for each task");

    let sent =
        |(task, outcome): &(&Task, &Outcome)| task.right && task.door.mail == Mail::Smtp && outcome.is_ok();
    let expected = 1 + tasks.iter().zip(&outcomes).filter(sent).count();
    let mut messages = Vec::new();
    eventually("all that was sent is in the mailbox", || {
        messages = mailbox.messages();
        messages.len() >= expected
    });
    let strangers = messages.len() != expected;
    row.doors()
        .map(|door| {
            let here = tasks.iter().zip(&outcomes).filter(|(task, _)| task.door == door);
            let verdicts = here.map(|(task, outcome)| {
                let verdict = judge(row, task, outcome, &kept, &messages, legacy);
                let verdict = verdict.and_then(|()| was_judged(task, gate));
                verdict.map_err(|problem| {
                    let Task { mechanism, right, .. } = task;
                    let password = if *right { "right" } else { "wrong" };
                    format!("the {password} app password, mechanism `{mechanism}`: {problem}")
                })
            });
            let verdict = verdicts.collect::<Result<Vec<()>, String>>().map(|_| ());
            let unexpected = format!("{} messages instead of {expected}: {messages:?}", messages.len());
            (door, if strangers { verdict.and(Err(unexpected)) } else { verdict })
        })
        .collect()
}

/// At the first door of each protocol a wrong app password, then at each door the right one in each way.
fn tasks(row: &Row, gate: &Gate, user: &str, app_password: &str, home: &Path) -> Vec<Task> {
    let mut tasks = Vec::new();
    let mut tried = Vec::new();
    for door in row.doors() {
        let mut add = |mechanism, right| {
            let directory = home.join(tasks.len().to_string());
            fs::create_dir(&directory).expect("a directory");
            let password = if right { app_password.to_owned() } else { spoilt(app_password, tasks.len()) };
            let subject = format!("Letter {} by {user}", tasks.len());
            tasks.push(Task {
                door,
                port: gate.port(door.mail.name(), door.implicit_tls),
                imap_port: gate.port("imap", true),
                user: user.to_owned(),
                password,
                mechanism,
                ca: gate.ca_file(),
                letter: Letter { subject, from: user.to_owned() },
                directory,
                right,
            });
        };
        if !tried.contains(&door.mail) {
            tried.push(door.mail);
            add(row.mechanisms[0], false);
        }
        for mechanism in row.mechanisms {
            add(mechanism, true);
        }
    }
    tasks
}

/// An app password that finds the same row and is not it: another one for each `number`, because one that was refused
/// a moment ago is not judged again.
fn spoilt(app_password: &str, number: usize) -> String {
    let others = ["aaaa", "bbbb", "cccc", "dddd", "eeee", "ffff", "gggg", "hhhh"];
    let other = others.into_iter().filter(|end| !app_password.ends_with(end)).nth(number % 7);
    let kept = app_password.len() - 4;
    format!("{}{}", &app_password[..kept], other.unwrap_or("aaaa"))
}

/// Whether a task came out as it should.
fn judge(
    row: &Row,
    task: &Task,
    outcome: &Outcome,
    kept: &Letter,
    messages: &[String],
    legacy: &LegacyServer,
) -> Result<(), String> {
    let arrived = messages.iter().filter(|message| task.letter.is(message)).collect::<Vec<_>>();
    match (task.right, outcome) {
        (false, Ok(_)) => Err("it was let in".into()),
        (false, Err(words)) if !words.contains(row.refusal) => {
            Err(format!("its user is not told `{}`: {words}", row.refusal))
        }
        (false, Err(_)) if !messages_in(&task.directory.join("mail")).is_empty() => {
            Err("it fetched something".into())
        }
        (false, Err(_)) if !arrived.is_empty() => Err("its letter was delivered".into()),
        (false, Err(_)) => Ok(()),
        (true, Err(words)) => Err(words.clone()),
        (true, Ok(fetched)) => match task.door.mail {
            Mail::Imap | Mail::Pop3 if fetched.is_empty() => Err("it fetched nothing".into()),
            Mail::Imap | Mail::Pop3 => match fetched.iter().find(|message| !kept.is(message)) {
                Some(other) => Err(format!("it fetched something else: {other:?}")),
                None => Ok(()),
            },
            Mail::Smtp => match arrived[..] {
                [message] => match sender(legacy, message) {
                    Some(name) if name == task.user => Ok(()),
                    other => Err(format!("it came from {other:?}")),
                },
                _ => Err(format!("its letter is {} times among {messages:?}", arrived.len())),
            },
        },
    }
}

/// Whether the gate let it in, or refused it, for its password: a client may fail for many another reason.
fn was_judged(task: &Task, gate: &Gate) -> Result<(), String> {
    let expected = if task.right {
        ("admitted", "the app password is right")
    } else {
        ("refused", "wrong app password")
    };
    let parts = [
        format!(" protocol={} ", task.door.mail.name()),
        format!(" account=\"{}\" outcome=\"{}\" reason=\"{}\"", task.user, expected.0, expected.1),
    ];
    let log = gate.log();
    let logged = log.lines().any(|line| parts.iter().all(|part| line.contains(part)));
    if logged { Ok(()) } else { Err(format!("the gate did not log {parts:?}")) }
}

impl Row {
    /// The doors that it goes through.
    fn doors(&self) -> impl Iterator<Item = Door> {
        let runs = |(_, cell): &(Door, Cell)| matches!(cell, Cell::Runs);
        DOORS.into_iter().zip(self.cells).filter(runs).map(|(door, _)| door)
    }
}
