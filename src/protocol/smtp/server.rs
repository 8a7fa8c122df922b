//! The SMTP dialogue that faces a client, up to login.
//!
//! ```text
//!              AUTH
//!   Command ─────────▶ Message ─▶ Judged ── refuse ─▶ Command, or Closed after too many failures
//!    │ │ ▲                           └───── admit ──▶ Admitted
//!    │ │ └─ secured ── Handshake
//!    │ └── STARTTLS ───────▲
//!    └─ QUIT, end of input, too many bad commands ─▶ Closed
//! ```

use std::mem;
use std::sync::Arc;

use zeroize::Zeroizing;

use super::command::Command;
use super::{Introduction, Offer, Smtp, Welcome, reply};
use crate::base::{LoginName, Password};
use crate::protocol::clean::printable;
use crate::protocol::input::{Input, Line};
use crate::protocol::sasl::{Exchange, Progress};
use crate::protocol::stranger::{is_http, is_tls};
use crate::protocol::{
    Attempt, Channel, Credentials, Dialogue, Mechanism, Output, Refusal, ServerDialogue, ServerSetup, Step,
};

/// Bad commands before the connection ends: a client that gropes for what works needs a few, a program that
/// was not made for SMTP gets no more.
const BAD_MAX: u32 = 10;

/// RFC 4954 section 4: a line of an AUTH exchange may have 12,288 octets. Other commands are held to
/// `LINE_MAX`.
const AUTH_LINE_MAX: usize = 12_288;

/// The longest client name that is shown.
const PROGRAM_MAX: usize = 128;

const COMMAND: State = State::Listening(Awaited::Command);

/// The client-facing side.
pub struct Server {
    setup: ServerSetup<Offer>,
    /// From the last EHLO or HELO on this leg.
    introduction: Option<Introduction>,
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
    Attempting(Attempt<Introduction>),
    /// An attempt was told and is being judged.
    Judged,
    /// STARTTLS was answered; the handshake is to be asked for.
    StartTls,
    /// The handshake is under way.
    Handshake,
    /// Let in: no byte is looked at any more.
    Admitted,
    Closed,
}

/// What the client's next line is.
enum Awaited {
    Command,
    /// A message of a SASL exchange, by a client that greeted like this.
    Message(Introduction, Mechanism, Exchange),
}

impl ServerDialogue<Smtp> for Server {
    fn new(setup: ServerSetup<Offer>) -> Self {
        let greeting = format!("220 {} ESMTP\r\n", setup.wording.hostname);
        Self {
            setup,
            introduction: None,
            bad: 0,
            input: Input::default(),
            input_began: false,
            input_ended: false,
            output: Zeroizing::new(greeting.into_bytes()),
            state: COMMAND,
        }
    }

    fn refuse(&mut self, refusal: Refusal) {
        let (text, ends) = reply::refusal(refusal, &self.setup.wording);
        self.say(&text);
        self.state = if ends { State::Closed } else { COMMAND };
    }

    fn admit(&mut self, _: Welcome) {
        self.say(reply::LET_IN);
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
                State::Attempting(attempt) => {
                    self.state = State::Judged;
                    return Step::Event(attempt);
                }
                // What came behind STARTTLS was sent in the clear, perhaps by somebody else (RFC 3207
                // section 4.2).
                State::StartTls if !self.input.is_empty() => State::Closed,
                State::StartTls => {
                    self.state = State::Handshake;
                    return Step::StartTls;
                }
                State::Listening(awaited) => match self.input.line(AUTH_LINE_MAX) {
                    Line::Incomplete if self.input_ended => State::Closed,
                    Line::Incomplete => {
                        self.state = State::Listening(awaited);
                        return Step::NeedInput;
                    }
                    Line::TooLong => self.bad_command(reply::LINE_TOO_LONG),
                    Line::Complete(line) => self.take_line(awaited, &line),
                },
            };
        }
    }

    fn secured(&mut self) {
        // Nothing that was learned in the clear counts inside TLS (RFC 3207 section 4.2).
        self.introduction = None;
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
            Awaited::Message(introduction, mechanism, exchange) => {
                self.progress(introduction, mechanism, exchange.answer(line))
            }
            Awaited::Command if is_http(line) => State::Closed,
            Awaited::Command => self.take_command(Command::parse(line)),
        }
    }

    fn take_command(&mut self, command: Command) -> State {
        let plain = self.setup.channel == Channel::Plain;
        match command {
            Command::Ehlo(name) => {
                let told = Some(Arc::clone(&self.setup.offer));
                self.introduction = Some(Introduction { name, told });
                self.answer(&self.keywords(), COMMAND)
            }
            Command::Helo(name) => {
                self.introduction = Some(Introduction { name, told: None });
                self.answer(&format!("250 {}\r\n", self.setup.wording.hostname), COMMAND)
            }
            Command::StartTls if plain => self.answer(reply::BEGIN_TLS, State::StartTls),
            Command::StartTls => self.bad_command(reply::ALREADY_SECURED),
            Command::Auth(..) | Command::AfterLogin if plain => self.bad_command(reply::NO_TLS_YET),
            Command::Auth(mechanism, initial) => match (self.introduction.clone(), mechanism) {
                (None, _) => self.bad_command(reply::GREET_FIRST),
                (Some(_), None) => self.bad_command(reply::NO_SUCH_MECHANISM),
                (Some(introduction), Some(mechanism)) => {
                    let initial = initial.as_deref().map(Vec::as_slice);
                    self.progress(introduction, mechanism, Exchange::begin(mechanism, initial))
                }
            },
            Command::AfterLogin => self.bad_command(reply::NOT_BEFORE_LOGIN),
            Command::Noop | Command::Rset => self.answer(reply::OK, COMMAND),
            Command::Help => self.answer(reply::HELP, COMMAND),
            // Says nothing about whether a mailbox exists (RFC 5321 section 7.3).
            Command::Vrfy => self.answer(reply::CANNOT_VERIFY, COMMAND),
            Command::Quit => self.answer(reply::GOODBYE, State::Closed),
            Command::BadArguments => self.bad_command(reply::BAD_ARGUMENTS),
            Command::TooLong => self.bad_command(reply::LINE_TOO_LONG),
            Command::Unknown => self.bad_command(reply::UNKNOWN),
        }
    }

    fn progress(&mut self, introduction: Introduction, mechanism: Mechanism, progress: Progress) -> State {
        match progress {
            Progress::Challenge(challenge, exchange) => {
                let awaited = Awaited::Message(introduction, mechanism, exchange);
                self.answer(&format!("334 {challenge}\r\n"), State::Listening(awaited))
            }
            Progress::Complete(login, password) => attempt(introduction, mechanism, login, password),
            Progress::Malformed => self.bad_command(reply::BAD_EXCHANGE),
            Progress::Cancelled => self.answer(reply::CANCELLED, COMMAND),
        }
    }

    /// The reply to EHLO (RFC 5321 section 4.1.1.1); AUTH is offered inside TLS only (RFC 4954 section 4).
    fn keywords(&self) -> String {
        let own = match self.setup.channel {
            Channel::Plain => "STARTTLS",
            Channel::Secured => "AUTH PLAIN LOGIN",
        };
        let mut text = format!("250-{}\r\n", self.setup.wording.hostname);
        let enhanced = Some("ENHANCEDSTATUSCODES").filter(|keyword| !self.setup.offer.has(keyword));
        for line in self.setup.offer.lines().chain(enhanced) {
            text.push_str(&format!("250-{line}\r\n"));
        }
        text + "250 " + own + "\r\n"
    }

    fn answer(&mut self, text: &str, next: State) -> State {
        self.say(text);
        next
    }

    /// Answers what a client that knows SMTP does not send; some are tolerated.
    fn bad_command(&mut self, text: &str) -> State {
        self.bad += 1;
        if self.bad < BAD_MAX {
            return self.answer(text, COMMAND);
        }
        self.answer(reply::TOO_MANY_BAD, State::Closed)
    }

    fn say(&mut self, text: &str) {
        self.output.extend_from_slice(text.as_bytes());
    }
}

fn attempt(introduction: Introduction, mechanism: Mechanism, login: LoginName, password: Password) -> State {
    let program = Some(printable(introduction.name.as_bytes(), PROGRAM_MAX));
    let credentials = Credentials { login, password, mechanism, program };
    State::Attempting(Attempt { credentials, introduction })
}
