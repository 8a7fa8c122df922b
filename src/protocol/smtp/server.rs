//! What the gate says to an SMTP client, up to login.
//!
//! ```text
//!   Command ─ AUTH ─▶ Message ─▶ attempt
//! ```

use std::sync::Arc;

use super::command::Command;
use super::{Introduction, Offer, Smtp, Welcome, reply};
use crate::base::{LoginName, Password};
use crate::protocol::clean::printable;
use crate::protocol::lines::{self, Answer, ServerScript};
use crate::protocol::sasl::{Exchange, Progress};
use crate::protocol::stranger::is_foreign;
use crate::protocol::{Attempt, Channel, Credentials, Dismissal, Mechanism, Refusal, ServerSetup};

/// RFC 4954 section 4: a line of an AUTH exchange may have 12,288 octets. Other commands are held to
/// `LINE_MAX`.
const AUTH_LINE_MAX: usize = 12_288;

/// The longest client name that is shown.
const PROGRAM_MAX: usize = 128;

/// The client-facing side.
pub type Server = lines::Server<Script>;

/// What was said so far.
pub struct Script {
    setup: ServerSetup<Offer>,
    /// From the last EHLO or HELO on this leg.
    introduction: Option<Introduction>,
}

/// What the client's next line is.
#[derive(Default)]
pub enum Awaited {
    /// A command.
    #[default]
    Command,
    /// A message of a SASL exchange, by a client that greeted like this.
    Message(Introduction, Mechanism, Exchange),
}

impl ServerScript for Script {
    type Protocol = Smtp;
    type Awaited = Awaited;
    const LINE_MAX: usize = AUTH_LINE_MAX;
    const LINE_TOO_LONG: &'static str = reply::LINE_TOO_LONG;
    const TOO_MANY_BAD: &'static str = reply::TOO_MANY_BAD;

    fn new(setup: ServerSetup<Offer>) -> Self {
        Self { setup, introduction: None }
    }

    fn offer(&mut self, offer: Arc<Offer>) {
        self.setup.offer = offer;
    }

    fn greeting(&self) -> String {
        format!("220 {} ESMTP\r\n", self.setup.wording.hostname)
    }

    fn take_line(&mut self, awaited: Awaited, line: &[u8]) -> Answer<Self> {
        match awaited {
            Awaited::Message(introduction, mechanism, exchange) => {
                progress(introduction, mechanism, exchange.answer(line))
            }
            Awaited::Command if is_foreign(line) => Answer::HangUp,
            Awaited::Command => self.take_command(Command::parse(line)),
        }
    }

    fn refusal(&self, refusal: Refusal) -> (String, bool) {
        reply::refusal(refusal, &self.setup.wording)
    }

    fn farewell(&self, why: Dismissal) -> String {
        reply::parting(why, &self.setup.wording)
    }

    fn welcome(&self, _: Welcome) -> String {
        reply::LET_IN.to_owned()
    }

    fn secured(&mut self) {
        self.introduction = None;
        self.setup.channel = Channel::Secured;
    }
}

impl Script {
    fn take_command(&mut self, command: Command) -> Answer<Self> {
        let plain = self.setup.channel == Channel::Plain;
        match command {
            Command::Ehlo(name) => {
                let told = Some(Arc::clone(&self.setup.offer));
                self.introduction = Some(Introduction { name, told });
                Answer::Say(self.keywords().into(), Awaited::Command)
            }
            Command::Helo(name) => {
                self.introduction = Some(Introduction { name, told: None });
                Answer::Say(format!("250 {}\r\n", self.setup.wording.hostname).into(), Awaited::Command)
            }
            Command::StartTls if plain => Answer::StartTls(reply::BEGIN_TLS),
            Command::StartTls => Answer::Bad(reply::ALREADY_SECURED, Awaited::Command),
            Command::Auth(..) | Command::AfterLogin if plain => {
                Answer::Bad(reply::NO_TLS_YET, Awaited::Command)
            }
            Command::Auth(mechanism, initial) => match (self.introduction.clone(), mechanism) {
                (None, _) => Answer::Bad(reply::GREET_FIRST, Awaited::Command),
                (Some(_), None) => Answer::Bad(reply::NO_SUCH_MECHANISM, Awaited::Command),
                (Some(introduction), Some(mechanism)) => {
                    let initial = initial.as_deref().map(Vec::as_slice);
                    progress(introduction, mechanism, Exchange::begin(mechanism, initial))
                }
            },
            Command::AfterLogin => Answer::Bad(reply::NOT_BEFORE_LOGIN, Awaited::Command),
            Command::Noop | Command::Rset => Answer::Say(reply::OK.into(), Awaited::Command),
            Command::Help => Answer::Say(reply::HELP.into(), Awaited::Command),
            // Says nothing about whether a mailbox exists (RFC 5321 section 7.3).
            Command::Vrfy => Answer::Say(reply::CANNOT_VERIFY.into(), Awaited::Command),
            Command::Quit => Answer::Close(reply::GOODBYE),
            Command::BadArguments => Answer::Bad(reply::BAD_ARGUMENTS, Awaited::Command),
            Command::TooLong => Answer::Bad(reply::LINE_TOO_LONG, Awaited::Command),
            Command::Unknown => Answer::Bad(reply::UNKNOWN, Awaited::Command),
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
}

fn progress(introduction: Introduction, mechanism: Mechanism, progress: Progress) -> Answer<Script> {
    match progress {
        Progress::Challenge(challenge, exchange) => {
            let awaited = Awaited::Message(introduction, mechanism, exchange);
            Answer::Say(format!("334 {challenge}\r\n").into(), awaited)
        }
        Progress::Complete(login, password) => attempt(introduction, mechanism, login, password),
        Progress::Malformed => Answer::Bad(reply::BAD_EXCHANGE, Awaited::Command),
        Progress::Cancelled => Answer::Say(reply::CANCELLED.into(), Awaited::Command),
    }
}

fn attempt(
    introduction: Introduction,
    mechanism: Mechanism,
    login: LoginName,
    password: Password,
) -> Answer<Script> {
    let program = Some(printable(introduction.name.as_bytes(), PROGRAM_MAX));
    let credentials = Credentials { login, password, mechanism, program };
    Answer::Attempt(Attempt { credentials, introduction })
}
