//! An upstream that does what no real server can be made to do: it answers by script, and remembers what it heard.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::guest::Mail;
use super::ports::Port;

/// How it behaves towards whoever connects from now on.
#[derive(Clone)]
pub(crate) struct Manner {
    /// The first line, without line end.
    pub(crate) greeting: &'static str,
    /// What it offers: IMAP capabilities, POP3 CAPA lines, EHLO keywords.
    pub(crate) offer: Vec<&'static str>,
    /// Its answer to STARTTLS or STLS; it never shakes hands.
    pub(crate) starttls: &'static str,
    /// Its answer to a login.
    pub(crate) login: Answer,
    /// Says everything in place of the above.
    pub(crate) script: Option<Script>,
    /// Rests between two bytes of what it says.
    pub(crate) slow: bool,
}

/// What it says to a line, given those that came before it on the connection; to the empty line first of all, which is
/// its greeting. `TAG` stands for the line's first word; `None` hangs up.
pub(crate) type Script = fn(line: &str, before: &[String]) -> Option<Vec<u8>>;

/// An answer to a login. `TAG` stands for IMAP's tag.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Answer {
    /// Lets in.
    Yes,
    /// These words, and the connection stays.
    Says(&'static str),
    /// These words (or none), and the connection ends.
    Ends(&'static str),
    /// Nothing, and the connection stays.
    Silence,
}

impl Manner {
    /// One that lets everybody in.
    pub(crate) fn friendly(mail: Mail) -> Self {
        let (greeting, offer) = match mail {
            Mail::Imap => ("* OK ready", vec!["IMAP4rev1", "SASL-IR", "LITERAL+", "AUTH=PLAIN"]),
            Mail::Pop3 => ("+OK ready", vec!["USER", "UIDL", "TOP", "PIPELINING", "SASL PLAIN"]),
            Mail::Smtp => ("220 ready ESMTP", vec!["PIPELINING", "SIZE 1000000", "8BITMIME", "AUTH PLAIN"]),
        };
        Self { greeting, offer, starttls: "", login: Answer::Yes, script: None, slow: false }
    }

    /// One that says what `script` says.
    pub(crate) fn scripted(mail: Mail, script: Script) -> Self {
        Self { script: Some(script), ..Self::friendly(mail) }
    }
}

/// The server.
pub(crate) struct Fake {
    mail: Mail,
    port: Port,
    shared: Arc<Shared>,
}

struct Shared {
    manner: Mutex<Manner>,
    conversations: Mutex<Vec<Conversation>>,
    over: AtomicBool,
}

/// What one client said.
#[derive(Clone, Default)]
struct Conversation {
    heard: Vec<u8>,
    /// How much of it came before it was let in.
    before_login: Option<usize>,
}

impl Fake {
    /// Listens; friendly until told otherwise.
    pub(crate) fn start(mail: Mail) -> Self {
        let port = Port::choose();
        let shared = Arc::new(Shared {
            manner: Mutex::new(Manner::friendly(mail)),
            conversations: Mutex::default(),
            over: AtomicBool::new(false),
        });
        let listener = TcpListener::bind(("127.0.0.1", port.number)).expect("the fake's port");
        let theirs = Arc::clone(&shared);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if theirs.over.load(Ordering::SeqCst) {
                    return;
                }
                let shared = Arc::clone(&theirs);
                thread::spawn(move || Talk::begin(mail, stream, &shared).run());
            }
        });
        Self { mail, port, shared }
    }

    /// What it speaks.
    pub(crate) fn mail(&self) -> Mail {
        self.mail
    }

    /// Its port on 127.0.0.1.
    pub(crate) fn port(&self) -> u16 {
        self.port.number
    }

    /// From the next connection on, and from the next login on those that are open, it behaves so.
    pub(crate) fn behave(&self, manner: Manner) {
        *locked(&self.shared.manner) = manner;
    }

    /// All that it ever heard.
    pub(crate) fn heard(&self) -> String {
        let conversations = locked(&self.shared.conversations);
        let all = conversations.iter().flat_map(|one| one.heard.clone()).collect::<Vec<_>>();
        String::from_utf8_lossy(&all).into_owned()
    }

    /// How many connected.
    pub(crate) fn conversations(&self) -> usize {
        locked(&self.shared.conversations).len()
    }

    /// What those who were let in said afterwards.
    pub(crate) fn heard_after_login(&self) -> String {
        let conversations = locked(&self.shared.conversations);
        let after = conversations.iter().filter_map(|one| one.heard.get(one.before_login?..));
        String::from_utf8_lossy(&after.collect::<Vec<_>>().concat()).into_owned()
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::SeqCst);
        // Wakes the listener, which holds the port.
        let _ = TcpStream::connect(("127.0.0.1", self.port.number));
    }
}

/// One connection.
struct Talk<'s> {
    mail: Mail,
    stream: TcpStream,
    shared: &'s Shared,
    manner: Manner,
    index: usize,
    unread: Vec<u8>,
}

/// The connection is over.
struct Over;

impl<'s> Talk<'s> {
    fn begin(mail: Mail, stream: TcpStream, shared: &'s Shared) -> Self {
        let mut conversations = locked(&shared.conversations);
        conversations.push(Conversation::default());
        let manner = locked(&shared.manner).clone();
        let index = conversations.len() - 1;
        let _ = stream.set_nodelay(true);
        Self { mail, stream, shared, manner, index, unread: Vec::new() }
    }

    fn run(mut self) {
        let greeting = self.manner.greeting;
        let _ = match self.manner.script {
            Some(script) => self.follow(script),
            None => self.say(greeting).and_then(|()| self.answer_all()),
        };
        let _ = self.stream.shutdown(Shutdown::Both);
    }

    fn answer_all(&mut self) -> Result<(), Over> {
        loop {
            let line = self.line()?;
            self.answer(&line)?;
        }
    }

    fn follow(&mut self, script: Script) -> Result<(), Over> {
        let mut before = Vec::new();
        let mut line = String::new();
        loop {
            let words = script(&line, &before).ok_or(Over)?;
            let tag = line.split(' ').next().unwrap_or_default();
            let mut rest = words.as_slice();
            let mut said = Vec::new();
            while let Some(at) = rest.windows(3).position(|three| three == b"TAG") {
                said.extend_from_slice(&rest[..at]);
                said.extend_from_slice(tag.as_bytes());
                rest = &rest[at + 3..];
            }
            said.extend_from_slice(rest);
            self.write(&said)?;
            before.push(line);
            line = self.line()?;
        }
    }

    fn answer(&mut self, line: &str) -> Result<(), Over> {
        let (tag, command) = match self.mail {
            Mail::Imap => line.split_once(' ').unwrap_or((line, "")),
            Mail::Pop3 | Mail::Smtp => ("", line),
        };
        let mut words = command.split_whitespace();
        let verb = words.next().unwrap_or_default().to_ascii_uppercase();
        let arguments = words.collect::<Vec<_>>();
        match (self.mail, verb.as_str()) {
            (_, "STARTTLS" | "STLS") => self.say(&self.manner.starttls.replace("TAG", tag)),
            (_, "LOGOUT" | "QUIT") => {
                let _ = self.say(&self.done(tag));
                Err(Over)
            }
            (_, "CAPABILITY" | "CAPA" | "EHLO") => self.say(&self.offer(tag)),
            (Mail::Imap, "LOGIN") => {
                let mut line = line.to_owned();
                while line.ends_with('}') {
                    if !line.ends_with("+}") {
                        self.say("+ go on")?;
                    }
                    line = self.line()?;
                }
                self.login(tag)
            }
            (_, "AUTHENTICATE" | "AUTH") => {
                // PLAIN is one message, LOGIN two; the first may come with the command.
                let messages = if arguments.first().is_some_and(|name| *name == "LOGIN") { 2 } else { 1 };
                for _ in arguments.len()..=messages {
                    self.say(if self.mail == Mail::Smtp { "334 " } else { "+ " })?;
                    self.line()?;
                }
                self.login(tag)
            }
            (Mail::Pop3, "PASS") => self.login(tag),
            _ => self.say(&self.done(tag)),
        }
    }

    fn login(&mut self, tag: &str) -> Result<(), Over> {
        let login = locked(&self.shared.manner).login;
        match login {
            Answer::Yes => {
                let mut conversations = locked(&self.shared.conversations);
                if let Some(conversation) = conversations.get_mut(self.index) {
                    // Commands behind the login may be here already; they came before the yes.
                    conversation.before_login = Some(conversation.heard.len() - self.unread.len());
                }
                drop(conversations);
                match self.mail {
                    Mail::Imap => {
                        self.say(&format!("{tag} OK [CAPABILITY {}] Welcome", self.manner.offer.join(" ")))
                    }
                    Mail::Pop3 => self.say("+OK Welcome"),
                    Mail::Smtp => self.say("235 2.7.0 Welcome"),
                }
            }
            Answer::Says(words) => self.say(&words.replace("TAG", tag)),
            Answer::Ends(words) => {
                if !words.is_empty() {
                    self.say(&words.replace("TAG", tag))?;
                }
                Err(Over)
            }
            Answer::Silence => Ok(()),
        }
    }

    fn done(&self, tag: &str) -> String {
        match self.mail {
            Mail::Imap => format!("{tag} OK Done"),
            Mail::Pop3 => "+OK Done".to_owned(),
            Mail::Smtp => "250 2.0.0 Done".to_owned(),
        }
    }

    fn offer(&self, tag: &str) -> String {
        let offer = &self.manner.offer;
        match self.mail {
            Mail::Imap => format!("* CAPABILITY {}\r\n{tag} OK Done", offer.join(" ")),
            Mail::Pop3 => format!("+OK\r\n{}\r\n.", offer.join("\r\n")),
            Mail::Smtp => {
                let more = offer.iter().map(|keyword| format!("250-{keyword}\r\n")).collect::<String>();
                format!("250-fake\r\n{more}250 HELP")
            }
        }
    }

    fn say(&mut self, words: &str) -> Result<(), Over> {
        self.write(format!("{words}\r\n").as_bytes())
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), Over> {
        if !self.manner.slow {
            return self.stream.write_all(bytes).map_err(|_| Over);
        }
        for byte in bytes {
            self.stream.write_all(&[*byte]).map_err(|_| Over)?;
            thread::sleep(Duration::from_millis(2));
        }
        Ok(())
    }

    fn line(&mut self) -> Result<String, Over> {
        loop {
            if let Some(end) = self.unread.windows(2).position(|two| two == b"\r\n") {
                let line = self.unread.drain(..end + 2).take(end).collect::<Vec<_>>();
                return Ok(String::from_utf8_lossy(&line).into_owned());
            }
            let mut buffer = [0; 4096];
            let count = self.stream.read(&mut buffer).map_err(|_| Over)?;
            let read = &buffer[..count];
            if read.is_empty() {
                return Err(Over);
            }
            if let Some(conversation) = locked(&self.shared.conversations).get_mut(self.index) {
                conversation.heard.extend_from_slice(read);
            }
            self.unread.extend_from_slice(read);
        }
    }
}

/// Asks again and again, for as long as a slow machine may need.
pub(crate) fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    // Much more than it takes: where the machine is busy, whatever is waited for may be, too.
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(60) {
        if holds() {
            return;
        }
        thread::sleep(Duration::from_millis(25));
    }
    panic!("not within a minute: {what}");
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
