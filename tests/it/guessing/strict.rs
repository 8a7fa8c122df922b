//! An IMAP server that knows one password for everybody, takes its time to say no, and bans whoever fails too often.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// The password of every account.
pub(super) const RIGHT: &str = "the right one";

/// The server.
pub(super) struct Strict {
    port: u16,
    shared: Arc<Shared>,
}

struct Shared {
    no_after: Duration,
    failures: Mutex<Vec<Failure>>,
    /// Whether anybody was refused twice on one connection.
    reused: AtomicBool,
    over: AtomicBool,
}

struct Failure {
    at: Instant,
    user: String,
}

impl Strict {
    /// Says no after that time.
    pub(super) fn start(no_after: Duration) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let port = listener.local_addr().expect("its address").port();
        let shared = Arc::new(Shared {
            no_after,
            failures: Mutex::default(),
            reused: AtomicBool::new(false),
            over: AtomicBool::new(false),
        });
        let theirs = Arc::clone(&shared);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if theirs.over.load(Ordering::SeqCst) {
                    return;
                }
                let shared = Arc::clone(&theirs);
                // Whoever goes away ends the conversation.
                thread::spawn(move || drop(talk(&stream, &shared)));
            }
        });
        Self { port, shared }
    }

    /// On 127.0.0.1.
    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// How many wrong passwords it was sent.
    pub(super) fn failures(&self) -> usize {
        locked(&self.shared).len()
    }

    /// How many for that user.
    pub(super) fn failures_of(&self, user: &str) -> usize {
        locked(&self.shared).iter().filter(|failure| failure.user == user).count()
    }

    /// The most that came within a minute.
    pub(super) fn most_in_a_minute(&self) -> usize {
        let failures = locked(&self.shared);
        let within = |first: &Failure| {
            let later = failures.iter().map(|other| other.at.checked_duration_since(first.at));
            later.filter(|later| later.is_some_and(|later| later < Duration::from_secs(60))).count()
        };
        failures.iter().map(within).max().unwrap_or(0)
    }

    /// Whether a connection went on after its login was refused.
    pub(super) fn was_reused(&self) -> bool {
        self.shared.reused.load(Ordering::SeqCst)
    }
}

impl Drop for Strict {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::SeqCst);
        // Wakes the listener.
        let _ = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port));
    }
}

fn talk(stream: &TcpStream, shared: &Shared) -> std::io::Result<()> {
    let mut says = stream;
    says.write_all(b"* OK ready\r\n")?;
    let mut refused = false;
    for line in BufReader::new(stream).lines() {
        let line = line?;
        let (tag, command) = line.split_once(' ').unwrap_or((&line, ""));
        let answer = match command.strip_prefix("AUTHENTICATE PLAIN ") {
            None if command == "CAPABILITY" => {
                format!("* CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN\r\n{tag} OK done\r\n")
            }
            None => format!("{tag} OK done\r\n"),
            Some(message) => {
                if refused {
                    shared.reused.store(true, Ordering::SeqCst);
                }
                let message = STANDARD.decode(message).expect("base64");
                let message = String::from_utf8(message).expect("UTF-8");
                let fields = message.split('\0').collect::<Vec<_>>();
                if fields.get(2) == Some(&RIGHT) {
                    format!("{tag} OK [CAPABILITY IMAP4rev1] welcome\r\n")
                } else {
                    refused = true;
                    let user = fields.get(1).copied().unwrap_or_default().to_owned();
                    locked(shared).push(Failure { at: Instant::now(), user });
                    thread::sleep(shared.no_after);
                    format!("{tag} NO [AUTHENTICATIONFAILED] wrong\r\n")
                }
            }
        };
        says.write_all(answer.as_bytes())?;
    }
    Ok(())
}

fn locked(shared: &Shared) -> MutexGuard<'_, Vec<Failure>> {
    shared.failures.lock().unwrap_or_else(PoisonError::into_inner)
}
