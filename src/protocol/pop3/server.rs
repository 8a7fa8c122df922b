//! The POP3 dialogue that faces a client, up to login.
//!
//! ```text
//!             USER             PASS
//!   Command ────────▶ Password ───────▶ Judged ── refuse ─▶ Command
//!    │ │ ▲ └─ AUTH ─▶ Message ────────────▲ └──── admit ──▶ Admitted
//!    │ │ └─ secured ── Handshake
//!    │ └── STLS ──────────▲
//!    └─ QUIT, end of input, too many bad commands ─▶ Closed
//! ```

use std::mem;

use zeroize::Zeroizing;

use super::command::{AuthArguments, Command};
use super::{Introduction, Offer, Pop3, Welcome, reply, tag};
use crate::base::{LoginName, Password};
use crate::protocol::input::{Input, LINE_MAX, Line};
use crate::protocol::sasl::{Exchange, Progress};
use crate::protocol::stranger::{is_http, is_tls};
use crate::protocol::{
    Attempt, Channel, Credentials, Dialogue, Language, Mechanism, Output, Refusal, ServerDialogue,
    ServerSetup, Step,
};

/// Bad commands before the connection ends: a client that gropes for what works needs a few, a program that
/// was not made for POP3 gets no more.
const BAD_MAX: u32 = 10;

const COMMAND: State = State::Listening(Awaited::Command);

/// The client-facing side.
pub struct Server {
    setup: ServerSetup<Offer>,
    introduction: Introduction,
    bad: u32,
    input: Input,
    /// Whether any byte has come.
    input_began: bool,
    input_ended: bool,
    output: Output,
    state: State,
}

enum State {
    /// The client has the word.
    Listening(Awaited),
    /// An attempt is ready to be told.
    Attempting(Credentials),
    /// An attempt was told and is being judged.
    Judged,
    /// STLS was answered; the handshake is to be asked for.
    Stls,
    /// The handshake is under way.
    Handshake,
    /// Let in: no byte is looked at any more.
    Admitted,
    Closed,
}

/// What the client's next line is.
enum Awaited {
    /// A command.
    Command,
    /// PASS for this name; other commands may come between.
    Password(LoginName),
    /// A message of a SASL exchange.
    Message(Mechanism, Exchange),
}

impl ServerDialogue<Pop3> for Server {
    fn new(setup: ServerSetup<Offer>) -> Self {
        // No `<…@…>`: it would make clients try APOP (RFC 1939 section 7).
        let greeting = format!("+OK {} POP3 ready\r\n", setup.wording.hostname);
        Self {
            setup,
            introduction: Introduction::default(),
            bad: 0,
            input: Input::default(),
            input_began: false,
            input_ended: false,
            output: Zeroizing::new(greeting.into_bytes()),
            state: COMMAND,
        }
    }

    fn refuse(&mut self, refusal: Refusal) {
        let text = reply::refusal(refusal, &self.setup.wording, self.language());
        self.say(&text);
        self.state = COMMAND;
    }

    fn admit(&mut self, welcome: Welcome) {
        self.say(&format!("+OK {}\r\n", welcome.0));
        self.state = State::Admitted;
    }
}

impl Dialogue for Server {
    type Event = Attempt<Introduction>;

    fn receive(&mut self, bytes: &[u8]) {
        if !self.input_began && is_tls(bytes) {
            self.state = State::Closed;
        }
        self.input_began |= !bytes.is_empty();
        self.input.extend(bytes);
    }

    fn end_of_input(&mut self) {
        self.input_ended = true;
    }

    fn step(&mut self) -> Step<Self::Event> {
        loop {
            if !self.output.is_empty() {
                return Step::Send(mem::take(&mut self.output));
            }
            self.state = match mem::replace(&mut self.state, State::Closed) {
                State::Closed => return Step::Close,
                waiting @ (State::Judged | State::Handshake | State::Admitted) => {
                    self.state = waiting;
                    return Step::NeedInput;
                }
                State::Attempting(credentials) => {
                    self.state = State::Judged;
                    return Step::Event(Attempt { credentials, introduction: self.introduction });
                }
                // What came behind STLS was sent in the clear, perhaps by somebody else (RFC 2595 section 4).
                State::Stls if !self.input.is_empty() => State::Closed,
                State::Stls => {
                    self.state = State::Handshake;
                    return Step::StartTls;
                }
                State::Listening(awaited) => match self.input.line(LINE_MAX) {
                    Line::Incomplete if self.input_ended => State::Closed,
                    Line::Incomplete => {
                        self.state = State::Listening(awaited);
                        return Step::NeedInput;
                    }
                    Line::TooLong => self.bad_command(reply::LINE_TOO_LONG, Awaited::Command),
                    Line::Complete(line) => self.take_line(awaited, &line),
                },
            };
        }
    }

    fn secured(&mut self) {
        // Nothing that was learned in the clear counts inside TLS (RFC 2595 section 4).
        self.introduction = Introduction::default();
        self.setup.channel = Channel::Secured;
        self.state = if self.input.is_empty() { COMMAND } else { State::Closed };
    }

    fn into_unread(self) -> Zeroizing<Vec<u8>> {
        self.input.into_bytes()
    }
}

impl Server {
    fn take_line(&mut self, awaited: Awaited, line: &[u8]) -> State {
        match awaited {
            Awaited::Message(mechanism, exchange) => self.progress(mechanism, exchange.answer(line)),
            Awaited::Command | Awaited::Password(_) => self.take_command(awaited, line),
        }
    }

    fn take_command(&mut self, awaited: Awaited, line: &[u8]) -> State {
        if is_http(line) {
            return State::Closed;
        }
        let plain = self.setup.channel == Channel::Plain;
        match Command::parse(line) {
            Command::Capa => self.answer(&self.capabilities(), awaited),
            Command::Noop => self.answer(reply::DONE, awaited),
            Command::Quit => self.answer_and(reply::GOODBYE, State::Closed),
            Command::Stls if plain => self.answer_and(reply::BEGIN_TLS, State::Stls),
            Command::Stls => self.bad_command(reply::ALREADY_SECURED, awaited),
            Command::User(_) | Command::Pass(_) | Command::Auth(_) if plain => {
                self.bad_command(reply::NO_TLS_YET, Awaited::Command)
            }
            Command::User(Ok(name)) => self.answer(reply::PASSWORD_WANTED, Awaited::Password(name)),
            Command::User(Err(_)) => self.bad_command(reply::BAD_ARGUMENT, Awaited::Command),
            Command::Pass(password) => match (awaited, password) {
                (Awaited::Password(login), Ok(password)) => attempt(Mechanism::Command, login, password),
                (Awaited::Password(_), Err(_)) => self.bad_command(reply::BAD_ARGUMENT, Awaited::Command),
                (Awaited::Command | Awaited::Message(..), _) => {
                    self.bad_command(reply::USER_FIRST, Awaited::Command)
                }
            },
            Command::Auth(None) => self.answer(reply::MECHANISMS, awaited),
            Command::Auth(Some(arguments)) => self.authenticate(&arguments),
            // Granted only where the upstream can be told as well.
            Command::Utf8 if self.setup.offer.has("UTF8") => {
                self.introduction.utf8 = true;
                self.answer(reply::UTF8_ON, awaited)
            }
            Command::Utf8 => self.bad_command(reply::NOT_OFFERED, awaited),
            Command::Lang(None) => self.answer(reply::LANGUAGES, awaited),
            Command::Lang(Some(range)) => match self.choose(range) {
                Some(language) => {
                    self.introduction.language = Some(language);
                    self.answer(&format!("+OK {} {}\r\n", tag(language), changed(language)), awaited)
                }
                None => self.bad_command(reply::NO_SUCH_LANGUAGE, awaited),
            },
            Command::Apop => self.bad_command(reply::NO_APOP, awaited),
            Command::AfterLogin => self.bad_command(reply::NOT_BEFORE_LOGIN, awaited),
            Command::Unknown => self.bad_command(reply::UNKNOWN, awaited),
        }
    }

    fn authenticate(&mut self, arguments: &AuthArguments<'_>) -> State {
        let mechanism = std::str::from_utf8(arguments.mechanism).ok().and_then(Mechanism::sasl);
        match mechanism {
            Some(mechanism) => self.progress(mechanism, Exchange::begin(mechanism, arguments.initial)),
            None => self.bad_command(reply::NO_SUCH_MECHANISM, Awaited::Command),
        }
    }

    fn progress(&mut self, mechanism: Mechanism, progress: Progress) -> State {
        match progress {
            Progress::Challenge(challenge, exchange) => {
                self.answer(&format!("+ {challenge}\r\n"), Awaited::Message(mechanism, exchange))
            }
            Progress::Complete(login, password) => attempt(mechanism, login, password),
            Progress::Malformed => self.bad_command(reply::BAD_EXCHANGE, Awaited::Command),
            Progress::Cancelled => self.answer(reply::CANCELLED, Awaited::Command),
        }
    }

    /// RFC 2449 section 5; before TLS no way to log in is listed (RFC 2595 section 2.1).
    fn capabilities(&self) -> String {
        let own: &[&str] = match self.setup.channel {
            Channel::Plain => &["RESP-CODES", "AUTH-RESP-CODE", "STLS"],
            Channel::Secured => &["RESP-CODES", "AUTH-RESP-CODE", "USER", "SASL PLAIN LOGIN"],
        };
        let mut text = "+OK Capability list follows\r\n".to_owned();
        for line in self.setup.offer.lines().chain(own.iter().copied()) {
            text.push_str(line);
            text.push_str("\r\n");
        }
        text + ".\r\n"
    }

    /// The language for a basic range (RFC 4647 section 2.1); `*` is the site's own.
    fn choose(&self, range: &str) -> Option<Language> {
        let primary = range.split('-').next().unwrap_or(range);
        if range == "*" {
            Some(self.setup.wording.language)
        } else if range.eq_ignore_ascii_case("i-default") {
            Some(Language::English)
        } else {
            [Language::English, Language::Chinese].into_iter().find(|l| tag(*l).eq_ignore_ascii_case(primary))
        }
    }

    fn language(&self) -> Language {
        self.introduction.language.unwrap_or(self.setup.wording.language)
    }

    fn answer(&mut self, text: &str, awaited: Awaited) -> State {
        self.answer_and(text, State::Listening(awaited))
    }

    fn answer_and(&mut self, text: &str, next: State) -> State {
        self.say(text);
        next
    }

    /// Answers what a client that knows POP3 does not send; some are tolerated.
    fn bad_command(&mut self, text: &str, awaited: Awaited) -> State {
        self.bad += 1;
        if self.bad < BAD_MAX {
            return self.answer(text, awaited);
        }
        self.answer_and(reply::TOO_MANY_BAD, State::Closed)
    }

    fn say(&mut self, text: &str) {
        self.output.extend_from_slice(text.as_bytes());
    }
}

fn attempt(mechanism: Mechanism, login: LoginName, password: Password) -> State {
    // POP3 clients do not say what program they are.
    State::Attempting(Credentials { login, password, mechanism, program: None })
}

/// In the language that was changed to (RFC 6856 section 3.2).
fn changed(language: Language) -> &'static str {
    match language {
        Language::English => "Language changed",
        Language::Chinese => "语言已切换",
    }
}
