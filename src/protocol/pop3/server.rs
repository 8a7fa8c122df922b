//! What the gate says to a POP3 client, up to login.
//!
//! ```text
//!   Command ──── USER ───▶ Password ─ PASS ─▶ attempt
//!      └─ AUTH ─▶ Message ─────────────────────▲
//! ```

use std::sync::Arc;

use super::command::{AuthArguments, Command};
use super::{Introduction, Offer, Pop3, Welcome, reply, tag};
use crate::base::{LoginName, Password};
use crate::protocol::input::LINE_MAX;
use crate::protocol::lines::{self, Answer, ServerScript};
use crate::protocol::sasl::{Exchange, Progress};
use crate::protocol::stranger::is_foreign;
use crate::protocol::{Attempt, Channel, Credentials, Dismissal, Language, Mechanism, Refusal, ServerSetup};

/// The client-facing side.
pub type Server = lines::Server<Script>;

/// What was said so far.
pub struct Script {
    setup: ServerSetup<Offer>,
    introduction: Introduction,
}

/// What the client's next line is.
#[derive(Default)]
pub enum Awaited {
    /// A command.
    #[default]
    Command,
    /// PASS for this name; other commands may come between.
    Password(LoginName),
    /// A message of a SASL exchange.
    Message(Mechanism, Exchange),
}

impl ServerScript for Script {
    type Protocol = Pop3;
    type Awaited = Awaited;
    const LINE_MAX: usize = LINE_MAX;
    const LINE_TOO_LONG: &'static str = reply::LINE_TOO_LONG;
    const TOO_MANY_BAD: &'static str = reply::TOO_MANY_BAD;

    fn new(setup: ServerSetup<Offer>) -> Self {
        Self { setup, introduction: Introduction::default() }
    }

    fn offer(&mut self, offer: Arc<Offer>) {
        self.setup.offer = offer;
    }

    fn greeting(&self) -> String {
        // No `<…@…>`: it would make clients try APOP (RFC 1939 section 7).
        format!("+OK {} POP3 ready\r\n", self.setup.wording.hostname)
    }

    fn take_line(&mut self, awaited: Awaited, line: &[u8]) -> Answer<Self> {
        match awaited {
            Awaited::Message(mechanism, exchange) => self.progress(mechanism, exchange.answer(line)),
            Awaited::Command | Awaited::Password(_) if is_foreign(line) => Answer::HangUp,
            Awaited::Command | Awaited::Password(_) => self.take_command(awaited, line),
        }
    }

    fn refusal(&self, refusal: Refusal) -> (String, bool) {
        (reply::refusal(refusal, &self.setup.wording, self.language()), false)
    }

    /// Nothing that a client has not asked for has a place in POP3, and whoever waited for too long is left without a word
    /// (RFC 1939 section 3).
    fn farewell(&self, _: Dismissal) -> String {
        String::new()
    }

    fn welcome(&self, welcome: Welcome) -> String {
        let text = if welcome.0.is_empty() { String::new() } else { format!(" {}", welcome.0) };
        format!("+OK{text}\r\n")
    }

    fn secured(&mut self) {
        self.introduction = Introduction::default();
        self.setup.channel = Channel::Secured;
    }
}

impl Script {
    fn take_command(&mut self, awaited: Awaited, line: &[u8]) -> Answer<Self> {
        let plain = self.setup.channel == Channel::Plain;
        match Command::parse(line) {
            Command::Capa => Answer::Say(self.capabilities().into(), awaited),
            Command::Noop => Answer::Say(reply::DONE.into(), awaited),
            Command::Quit => Answer::Close(reply::GOODBYE),
            Command::Stls if plain => Answer::StartTls(reply::BEGIN_TLS),
            Command::Stls => Answer::Bad(reply::ALREADY_SECURED, awaited),
            Command::User(_) | Command::Pass(_) | Command::Auth(_) if plain => {
                Answer::Bad(reply::NO_TLS_YET, Awaited::Command)
            }
            Command::User(Ok(name)) => Answer::Say(reply::PASSWORD_WANTED.into(), Awaited::Password(name)),
            Command::User(Err(_)) => Answer::Bad(reply::BAD_ARGUMENT, Awaited::Command),
            Command::Pass(password) => match (awaited, password) {
                (Awaited::Password(login), Ok(password)) => self.attempt(Mechanism::Command, login, password),
                (Awaited::Password(_), Err(_)) => Answer::Bad(reply::BAD_ARGUMENT, Awaited::Command),
                (Awaited::Command | Awaited::Message(..), _) => {
                    Answer::Bad(reply::USER_FIRST, Awaited::Command)
                }
            },
            Command::Auth(None) => Answer::Say(reply::MECHANISMS.into(), awaited),
            Command::Auth(Some(arguments)) => self.authenticate(&arguments),
            // Granted only where the upstream can be told as well.
            Command::Utf8 if self.setup.offer.has("UTF8") => {
                self.introduction.utf8 = true;
                Answer::Say(reply::UTF8_ON.into(), awaited)
            }
            Command::Utf8 => Answer::Bad(reply::NOT_OFFERED, awaited),
            Command::Lang(None) => Answer::Say(reply::LANGUAGES.into(), awaited),
            Command::Lang(Some(range)) => match self.choose(range) {
                Some(language) => {
                    self.introduction.language = Some(language);
                    Answer::Say(format!("+OK {} {}\r\n", tag(language), changed(language)).into(), awaited)
                }
                None => Answer::Bad(reply::NO_SUCH_LANGUAGE, awaited),
            },
            Command::Apop => Answer::Bad(reply::NO_APOP, awaited),
            Command::AfterLogin => Answer::Bad(reply::NOT_BEFORE_LOGIN, awaited),
            Command::Unknown => Answer::Bad(reply::UNKNOWN, awaited),
        }
    }

    fn authenticate(&mut self, arguments: &AuthArguments<'_>) -> Answer<Self> {
        let mechanism = std::str::from_utf8(arguments.mechanism).ok().and_then(Mechanism::sasl);
        match mechanism {
            Some(mechanism) => self.progress(mechanism, Exchange::begin(mechanism, arguments.initial)),
            None => Answer::Bad(reply::NO_SUCH_MECHANISM, Awaited::Command),
        }
    }

    fn progress(&mut self, mechanism: Mechanism, progress: Progress) -> Answer<Self> {
        match progress {
            Progress::Challenge(challenge, exchange) => {
                Answer::Say(format!("+ {challenge}\r\n").into(), Awaited::Message(mechanism, exchange))
            }
            Progress::Complete(login, password) => self.attempt(mechanism, login, password),
            Progress::Malformed => Answer::Bad(reply::BAD_EXCHANGE, Awaited::Command),
            Progress::Cancelled => Answer::Say(reply::CANCELLED.into(), Awaited::Command),
        }
    }

    fn attempt(&self, mechanism: Mechanism, login: LoginName, password: Password) -> Answer<Self> {
        // POP3 clients do not say what program they are.
        let credentials = Credentials { login, password, mechanism, program: None };
        Answer::Attempt(Attempt { credentials, introduction: self.introduction })
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
}

/// In the language that was changed to (RFC 6856 section 3.2).
fn changed(language: Language) -> &'static str {
    match language {
        Language::English => "Language changed",
        Language::Chinese => "语言已切换",
    }
}
