//! The SMTP dialogue that faces an upstream: greeting, STARTTLS where demanded, EHLO, login.
//!
//! ```text
//!   Greeting ─▶ Outside ─▶ StartTls ─▶ Handshake ─▶ Hello ─┬─▶ Leaving      (to learn)
//!       └────────────────────────────────────────────▲     └─▶ Auth…        (to log in)
//! ```
//!
//! Before the handshake the gate greets with its own name; then with the client's, so that what the upstream
//! offers is what it offers this client. If that is less than the client was told, no credential leaves.
//!
//! The upstream may be anybody: what it says is bounded, and nothing but a definite *no* to the credentials
//! is taken for a refusal.

use std::mem;

use zeroize::Zeroizing;

use super::status::{Progress, Reply};
use super::{Introduction, Offer, Smtp, Welcome};
use crate::protocol::input::{Input, LINE_MAX, Line};
use crate::protocol::output::secret_line;
use crate::protocol::sasl::{base64, plain_message};
use crate::protocol::{
    ClientDialogue, ClientSetup, Dialogue, Mechanism, Output, Purpose, Step, Trouble, UpstreamLogin,
    UpstreamReply,
};

/// The upstream-facing side.
pub struct Client {
    starttls: bool,
    purpose: Purpose<Introduction>,
    own_name: String,
    input: Input,
    input_ended: bool,
    output: Output,
    /// `output` holds the password.
    secret_waits: bool,
    secret_sent: bool,
    state: State,
}

enum State {
    /// The upstream has the word; a reply may have begun.
    Listening(Awaited, Reply),
    /// STARTTLS was granted; the handshake is to be asked for.
    StartTls,
    Handshake,
    /// This is to be told.
    Told(UpstreamReply<Smtp>),
    /// QUIT was sent.
    Leaving,
    /// Over: nothing is looked at any more.
    Over,
}

/// What the upstream's next reply answers.
enum Awaited {
    Greeting,
    /// EHLO before the handshake.
    Outside,
    StartTls,
    /// EHLO on the leg that the login is to happen on.
    Hello,
    /// AUTH; what to say at each `334`, and what the upstream offers.
    Auth(Exchange, Offer),
}

/// Where a SASL exchange with the upstream is.
#[derive(Clone, Copy)]
enum Exchange {
    /// PLAIN, its message sent with the command; a `334` asks for it again.
    PlainSent,
    /// LOGIN: a `334` asks for the name.
    Name,
    /// LOGIN: a `334` asks for the password.
    Password,
    /// All is said; a `334` asks for too much.
    Finished,
}

impl ClientDialogue<Smtp> for Client {
    fn new(setup: ClientSetup<Introduction>) -> Self {
        Self {
            starttls: setup.starttls,
            purpose: setup.purpose,
            own_name: setup.own_name,
            input: Input::default(),
            input_ended: false,
            output: Output::default(),
            secret_waits: false,
            secret_sent: false,
            state: awaiting(Awaited::Greeting),
        }
    }

    fn credential_sent(&self) -> bool {
        self.secret_sent
    }
}

impl Dialogue for Client {
    type Event = UpstreamReply<Smtp>;

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
                // Bytes from before the handshake are anybody's (RFC 3207 section 4.2).
                State::StartTls if !self.input.is_empty() => failed(Trouble::StartTls),
                State::StartTls => {
                    self.state = State::Handshake;
                    return Step::StartTls;
                }
                State::Listening(awaited, reply) => match self.input.line(LINE_MAX) {
                    Line::Incomplete if self.input_ended => failed(Trouble::Closed),
                    Line::Incomplete => {
                        self.state = State::Listening(awaited, reply);
                        return Step::NeedInput;
                    }
                    Line::TooLong => failed(Trouble::Garbage("a line that is too long")),
                    Line::Complete(line) => match reply.take(&line) {
                        Progress::More(reply) => State::Listening(awaited, reply),
                        Progress::Complete(reply) => self.take_reply(awaited, &reply),
                        Progress::Garbage => failed(Trouble::Garbage("what is no answer in SMTP")),
                    },
                },
            };
        }
    }

    fn secured(&mut self) {
        self.state = if self.input.is_empty() { self.greet() } else { failed(Trouble::StartTls) };
    }

    fn into_unread(self) -> Zeroizing<Vec<u8>> {
        self.input.into_bytes()
    }
}

impl Client {
    fn take_reply(&mut self, awaited: Awaited, reply: &Reply) -> State {
        match (awaited, reply.code()) {
            // It wants to talk to nobody now; also in the middle of anything (RFC 5321 section 3.8).
            (_, 421) => failed(reply.said()),
            (Awaited::Greeting, 220) if self.starttls => {
                let command = format!("EHLO {}", self.own_name);
                self.ask(&command, Awaited::Outside)
            }
            (Awaited::Greeting, 220) => self.greet(),
            (Awaited::Outside, 250) if reply.keywords().any(|k| k.eq_ignore_ascii_case("STARTTLS")) => {
                self.ask("STARTTLS", Awaited::StartTls)
            }
            (Awaited::StartTls, 220) => State::StartTls,
            (Awaited::Outside | Awaited::StartTls, _) => failed(Trouble::StartTls),
            (Awaited::Hello, 250) => self.heard(reply),
            // A server that does not know EHLO has no extensions (RFC 5321 section 4.1.4).
            (Awaited::Hello, 500 | 502) if matches!(self.purpose, Purpose::Learn) => {
                State::Told(UpstreamReply::Learned(Offer::default()))
            }
            (Awaited::Auth(_, offer), 235) => State::Told(UpstreamReply::LoggedIn(Welcome { offer })),
            (Awaited::Auth(exchange, offer), 334) => self.go_on(exchange, offer),
            (Awaited::Auth(..), _) if reply.is_refusal() => State::Told(UpstreamReply::Refused),
            (Awaited::Greeting | Awaited::Hello | Awaited::Auth(..), _) => failed(reply.said()),
        }
    }

    /// EHLO, with the client's own name where there is a client.
    fn greet(&mut self) -> State {
        let name = match &self.purpose {
            Purpose::Learn => self.own_name.as_bytes(),
            Purpose::LogIn { introduction, .. } => introduction.name.as_bytes(),
        };
        self.output.extend_from_slice(&[b"EHLO ", name, b"\r\n"].concat());
        awaiting(Awaited::Hello)
    }

    /// The reply to EHLO is known.
    fn heard(&mut self, reply: &Reply) -> State {
        let offer = Offer::new(reply.keywords());
        let (login, introduction) = match &self.purpose {
            Purpose::Learn => return State::Told(UpstreamReply::Learned(offer)),
            Purpose::LogIn { login, introduction } => (login, introduction),
        };
        if introduction.told.as_ref().is_some_and(|told| !offer.keeps(told)) {
            return failed(Trouble::OfferChanged);
        }
        // LOGIN cannot carry an authorisation identity.
        if offers(reply, Mechanism::Plain) {
            let line = secret_line(&[b"AUTH PLAIN ", &message(login)]);
            self.send_secret(line, Exchange::PlainSent, offer)
        } else if offers(reply, Mechanism::Login) && login.authorize_as.is_none() {
            self.ask("AUTH LOGIN", Awaited::Auth(Exchange::Name, offer))
        } else {
            failed(Trouble::NoMechanism)
        }
    }

    /// The upstream asks for more (RFC 4954 section 4); what its challenge says is of no interest.
    fn go_on(&mut self, exchange: Exchange, offer: Offer) -> State {
        let Purpose::LogIn { login, .. } = &self.purpose else { return State::Over };
        match exchange {
            // It overlooked the initial response.
            Exchange::PlainSent => {
                let line = secret_line(&[&message(login)]);
                self.send_secret(line, Exchange::Finished, offer)
            }
            Exchange::Name => {
                self.output = secret_line(&[&base64(login.user.as_str().as_bytes())]);
                awaiting(Awaited::Auth(Exchange::Password, offer))
            }
            Exchange::Password => {
                let line = secret_line(&[&base64(login.password.expose())]);
                self.send_secret(line, Exchange::Finished, offer)
            }
            Exchange::Finished => failed(Trouble::Garbage("one challenge too many")),
        }
    }

    fn send_secret(&mut self, line: Output, exchange: Exchange, offer: Offer) -> State {
        self.output = line;
        self.secret_waits = true;
        awaiting(Awaited::Auth(exchange, offer))
    }

    fn ask(&mut self, command: &str, awaited: Awaited) -> State {
        self.say(command);
        awaiting(awaited)
    }

    fn say(&mut self, command: &str) {
        self.output.extend_from_slice(command.as_bytes());
        self.output.extend_from_slice(b"\r\n");
    }
}

fn awaiting(awaited: Awaited) -> State {
    State::Listening(awaited, Reply::default())
}

fn failed(trouble: Trouble) -> State {
    State::Told(UpstreamReply::Unavailable(trouble))
}

fn message(login: &UpstreamLogin) -> Output {
    let authzid = login.authorize_as.as_ref().map_or("", |name| name.as_str());
    plain_message(authzid, login.user.as_str(), &login.password)
}

/// Whether an EHLO reply lists `mechanism`; `AUTH=` is how servers before RFC 4954 wrote it.
fn offers(reply: &Reply, mechanism: Mechanism) -> bool {
    reply.keywords().any(|line| {
        let mut words = line.split([' ', '=']);
        words.next().is_some_and(|keyword| keyword.eq_ignore_ascii_case("AUTH"))
            && words.any(|word| word.eq_ignore_ascii_case(mechanism.as_str()))
    })
}
