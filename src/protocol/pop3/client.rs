//! The POP3 dialogue that faces an upstream: greeting, STLS where demanded, CAPA, login.
//!
//! ```text
//!   Greeting ─▶ Stls ─▶ Handshake ─▶ Capa ─▶ Capability ─┬─▶ Leaving             (to learn)
//!       └──────────────────────────────▲                 └─▶ Preface ─▶ Auth ─▶ Secret
//!                                                              └──────▶ User ─▶ Secret
//! ```
//!
//! The upstream may be anybody: what it says is bounded, and nothing but a plain *no* to the credentials is
//! taken for a refusal.

use std::collections::VecDeque;
use std::mem;

use zeroize::Zeroizing;

use super::status::{Status, is_refusal, said, trouble};
use super::{Introduction, Offer, Pop3, Welcome, tag};
use crate::protocol::input::{Input, LINE_MAX, Line};
use crate::protocol::output::secret_line;
use crate::protocol::sasl::plain_message;
use crate::protocol::{
    ClientDialogue, ClientSetup, Dialogue, Output, Purpose, Step, Trouble, UpstreamLogin, UpstreamReply,
};

/// The longest CAPA reply, in bytes: those met in the wild have a few hundred, the rest is an upstream that
/// does not end.
const LIST_MAX: usize = 16 * 1024;

/// The upstream-facing side.
pub struct Client {
    starttls: bool,
    purpose: Purpose<Introduction>,
    input: Input,
    input_ended: bool,
    output: Output,
    /// `output` holds the password.
    secret_waits: bool,
    secret_sent: bool,
    state: State,
}

enum State {
    /// The upstream has the word.
    Listening(Awaited),
    /// STLS was granted; the handshake is to be asked for.
    StartTls,
    Handshake,
    /// This is to be told.
    Told(UpstreamReply<Pop3>),
    /// QUIT was sent.
    Leaving,
    /// Over: nothing is looked at any more.
    Over,
}

/// What the upstream's next line is.
enum Awaited {
    Greeting,
    /// The reply to the command of this name.
    Stls,
    Capa,
    User,
    Auth(Capabilities),
    /// A line of the capability list; those before it, each with an LF.
    Capability(String),
    /// The reply to what the client asked for before login; more may follow.
    Preface(Wish, VecDeque<Wish>, Capabilities),
    /// The reply to the password.
    Secret,
}

/// What of CAPA decides how to log in.
#[derive(Clone, Copy)]
struct Capabilities {
    sasl_plain: bool,
    lang: bool,
}

/// A command that the client was granted, to be repeated upstream.
#[derive(Clone, Copy)]
enum Wish {
    Utf8,
    Lang(&'static str),
}

impl ClientDialogue<Pop3> for Client {
    fn new(setup: ClientSetup<Introduction>) -> Self {
        Self {
            starttls: setup.starttls,
            purpose: setup.purpose,
            input: Input::default(),
            input_ended: false,
            output: Output::default(),
            secret_waits: false,
            secret_sent: false,
            state: State::Listening(Awaited::Greeting),
        }
    }

    fn credential_sent(&self) -> bool {
        self.secret_sent
    }
}

impl Dialogue for Client {
    type Event = UpstreamReply<Pop3>;

    fn receive(&mut self, bytes: &[u8]) {
        self.input.extend(bytes);
    }

    fn end_of_input(&mut self) {
        self.input_ended = true;
    }

    fn step(&mut self) -> Step<Self::Event> {
        loop {
            if !self.output.is_empty() {
                self.secret_sent |= mem::take(&mut self.secret_waits);
                return Step::Send(mem::take(&mut self.output));
            }
            self.state = match mem::replace(&mut self.state, State::Over) {
                State::Told(reply) => {
                    if matches!(reply, UpstreamReply::Learned(_)) {
                        self.say("QUIT");
                        self.state = State::Leaving;
                    }
                    return Step::Event(reply);
                }
                State::Leaving => {
                    self.state = State::Leaving;
                    return Step::Close;
                }
                waiting @ (State::Over | State::Handshake) => {
                    self.state = waiting;
                    return Step::NeedInput;
                }
                // Bytes from before the handshake are anybody's (RFC 2595 section 4).
                State::StartTls if !self.input.is_empty() => failed(Trouble::StartTls),
                State::StartTls => {
                    self.state = State::Handshake;
                    return Step::StartTls;
                }
                State::Listening(awaited) => match self.input.line(LINE_MAX) {
                    Line::Incomplete if self.input_ended => failed(Trouble::Closed),
                    Line::Incomplete => {
                        self.state = State::Listening(awaited);
                        return Step::NeedInput;
                    }
                    Line::TooLong => failed(Trouble::Garbage("a line that is too long")),
                    Line::Complete(line) => self.take_line(awaited, &line),
                },
            };
        }
    }

    fn secured(&mut self) {
        self.state =
            if self.input.is_empty() { self.ask("CAPA", Awaited::Capa) } else { failed(Trouble::StartTls) };
    }

    fn into_unread(self) -> Zeroizing<Vec<u8>> {
        self.input.into_bytes()
    }
}

impl Client {
    fn take_line(&mut self, awaited: Awaited, line: &[u8]) -> State {
        match (awaited, Status::parse(line)) {
            (Awaited::Greeting, Status::Ok(_)) if self.starttls => self.ask("STLS", Awaited::Stls),
            (Awaited::Greeting, Status::Ok(_)) => self.ask("CAPA", Awaited::Capa),
            (Awaited::Stls, Status::Ok(_)) => State::StartTls,
            (Awaited::Stls, _) => failed(Trouble::StartTls),
            (Awaited::Capa, Status::Ok(_)) => State::Listening(Awaited::Capability(String::new())),
            // RFC 2449 is younger than many a server.
            (Awaited::Capa, Status::Err(_)) => self.heard(""),
            (Awaited::Capability(list), _) => self.list(list, line),
            // The client relies on it; the upstream was expected to have it.
            (Awaited::Preface(Wish::Utf8, ..), Status::Err(_)) => failed(Trouble::OfferChanged),
            (Awaited::Preface(_, rest, capabilities), Status::Ok(_) | Status::Err(_)) => {
                self.next_wish(rest, capabilities)
            }
            // A few servers say `+OK` where they mean `+`.
            (Awaited::Auth(_), Status::Continue | Status::Ok(_)) => self.send_plain_message(),
            // Without a code: this upstream does not do what it offered. No credential was looked at yet.
            (Awaited::Auth(capabilities), Status::Err(text)) if is_refusal(text) => {
                self.log_in(Capabilities { sasl_plain: false, ..capabilities })
            }
            (Awaited::User, Status::Ok(_)) => self.send_pass(),
            (Awaited::User | Awaited::Secret, Status::Err(text)) if is_refusal(text) => {
                State::Told(UpstreamReply::Refused)
            }
            (Awaited::Greeting | Awaited::User | Awaited::Auth(_) | Awaited::Secret, Status::Err(text)) => {
                failed(trouble(text))
            }
            (Awaited::Secret, Status::Ok(text)) => State::Told(UpstreamReply::LoggedIn(Welcome(said(text)))),
            _ => failed(Trouble::Garbage("what is no answer in POP3")),
        }
    }

    /// One line of the CAPA reply; a lone dot ends it (RFC 1939 section 3).
    fn list(&mut self, mut list: String, line: &[u8]) -> State {
        if line == b"." {
            return self.heard(&list);
        }
        let line = line.strip_prefix(b".").unwrap_or(line);
        list.push_str(String::from_utf8_lossy(line).trim_end());
        list.push('\n');
        if list.len() > LIST_MAX {
            return failed(Trouble::Garbage("an endless list"));
        }
        State::Listening(Awaited::Capability(list))
    }

    /// The capabilities are known.
    fn heard(&mut self, list: &str) -> State {
        let introduction = match &self.purpose {
            Purpose::Learn => {
                return State::Told(UpstreamReply::Learned(Offer::new(list.lines())));
            }
            Purpose::LogIn { introduction, .. } => *introduction,
        };
        let capabilities = Capabilities {
            sasl_plain: list.lines().any(offers_plain),
            lang: list.lines().any(|line| line.eq_ignore_ascii_case("LANG")),
        };
        let mut wishes = VecDeque::new();
        if introduction.utf8 {
            wishes.push_back(Wish::Utf8);
        }
        if let (Some(language), true) = (introduction.language, capabilities.lang) {
            wishes.push_back(Wish::Lang(tag(language)));
        }
        self.next_wish(wishes, capabilities)
    }

    fn next_wish(&mut self, mut wishes: VecDeque<Wish>, capabilities: Capabilities) -> State {
        match wishes.pop_front() {
            Some(wish) => {
                match wish {
                    Wish::Utf8 => self.say("UTF8"),
                    Wish::Lang(tag) => self.say(&format!("LANG {tag}")),
                }
                State::Listening(Awaited::Preface(wish, wishes, capabilities))
            }
            None => self.log_in(capabilities),
        }
    }

    fn log_in(&mut self, capabilities: Capabilities) -> State {
        match &self.purpose {
            // Without an initial response: servers of RFC 1734 take none, and would say `-ERR` to it.
            Purpose::LogIn { .. } if capabilities.sasl_plain => {
                self.ask("AUTH PLAIN", Awaited::Auth(capabilities))
            }
            // USER and PASS cannot carry an authorisation identity.
            Purpose::LogIn { login: UpstreamLogin { authorize_as: None, user, .. }, .. } => {
                let command = format!("USER {}", user.as_str());
                self.ask(&command, Awaited::User)
            }
            Purpose::LogIn { .. } | Purpose::Learn => failed(Trouble::NoMechanism),
        }
    }

    fn send_plain_message(&mut self) -> State {
        if let Purpose::LogIn { login, .. } = &self.purpose {
            let authzid = login.authorize_as.as_ref().map_or("", |name| name.as_str());
            let message = plain_message(authzid, login.user.as_str(), &login.password);
            self.output = secret_line(&[&message]);
            self.secret_waits = true;
        }
        State::Listening(Awaited::Secret)
    }

    fn send_pass(&mut self) -> State {
        if let Purpose::LogIn { login, .. } = &self.purpose {
            self.output = secret_line(&[b"PASS ", login.password.expose()]);
            self.secret_waits = true;
        }
        State::Listening(Awaited::Secret)
    }

    fn ask(&mut self, command: &str, awaited: Awaited) -> State {
        self.say(command);
        State::Listening(awaited)
    }

    fn say(&mut self, command: &str) {
        self.output.extend_from_slice(command.as_bytes());
        self.output.extend_from_slice(b"\r\n");
    }
}

fn failed(trouble: Trouble) -> State {
    State::Told(UpstreamReply::Unavailable(trouble))
}

/// `SASL` and its mechanisms (RFC 2449 section 6.3).
fn offers_plain(line: &str) -> bool {
    let mut words = line.split(' ');
    words.next().is_some_and(|word| word.eq_ignore_ascii_case("SASL"))
        && words.any(|word| word.eq_ignore_ascii_case("PLAIN"))
}
