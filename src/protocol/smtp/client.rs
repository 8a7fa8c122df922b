//! What the gate says to an SMTP upstream: greeting, STARTTLS where demanded, EHLO, login.
//!
//! ```text
//!   Greeting ─▶ Outside ─▶ StartTls ─▶ Handshake ─▶ Hello ─┬─▶ Leaving            (to learn)
//!       └────────────────────────────────────────────▲     ├─▶ Auth…              (to log in)
//!                                                    └─────┴─▶ Xclient, once
//! ```
//!
//! Before the handshake the gate greets with its own name; then with the client's, so that what the upstream
//! offers is what it offers this client. If that is less than the client was told, no credential leaves. An upstream
//! that does not like the client's name is greeted again with the gate's own.
//!
//! Where the client comes from is said with Postfix's `XCLIENT` where it is offered. The upstream then begins anew as if
//! that client had connected, so it is greeted again, and what it offers from then on counts.
//!
//! The upstream may be anybody: what it says is bounded, and nothing but a definite *no* to the credentials
//! is taken for a refusal.

use super::status::{Progress, Reply};
use super::{Introduction, Offer, Smtp, Welcome};
use crate::protocol::lines::{self, ClientScript, Reaction};
use crate::protocol::origin::{XclientStyle, xclient};
use crate::protocol::output::secret_line;
use crate::protocol::sasl::{base64, plain_message};
use crate::protocol::{
    ClientSetup, Forwarding, Mechanism, Offered, Output, Purpose, Shown, Trouble, UpstreamLogin,
    UpstreamReply,
};

/// The upstream-facing side.
pub type Client = lines::Client<Script>;

/// What the conversation is for.
pub struct Script {
    starttls: bool,
    purpose: Purpose<Introduction>,
    own_name: String,
    forwarding: Forwarding,
}

/// A line of a reply: those before it, and what it answers.
#[derive(Default)]
pub struct Awaited {
    question: Question,
    reply: Reply,
}

/// What the upstream's next reply answers.
#[derive(Default)]
enum Question {
    #[default]
    Greeting,
    /// EHLO before the handshake.
    Outside,
    StartTls,
    /// EHLO on the leg that the login is to happen on, with that name.
    Hello(Name),
    /// Where the client comes from; the reply to EHLO that counts if the upstream declines to hear it.
    Xclient(Reply),
    /// AUTH; what to say at each `334`, and what the upstream offers.
    Auth(Exchange, Offer),
}

/// Whose name the gate greets with.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Name {
    Clients,
    Own,
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

impl ClientScript for Script {
    type Protocol = Smtp;
    type Awaited = Awaited;

    fn new(setup: ClientSetup<Introduction>) -> Self {
        Self {
            starttls: setup.starttls,
            purpose: setup.purpose,
            own_name: setup.own_name,
            forwarding: Forwarding::NotTried,
        }
    }

    fn take_line(&mut self, Awaited { question, reply }: Awaited, line: &[u8]) -> Reaction<Self> {
        match reply.take(line) {
            Progress::More(reply) => Reaction::Listen(Awaited { question, reply }),
            Progress::Complete(reply) => self.take_reply(question, reply),
            Progress::Garbage => Reaction::fail(Trouble::Garbage("what is no answer in SMTP")),
        }
    }

    fn secured(&mut self) -> Reaction<Self> {
        self.greet()
    }

    fn forwarding(&self) -> Forwarding {
        self.forwarding.clone()
    }
}

impl Script {
    fn take_reply(&mut self, question: Question, reply: Reply) -> Reaction<Self> {
        match (question, reply.code()) {
            // It wants to talk to nobody now; also in the middle of anything (RFC 5321 section 3.8).
            (_, 421) => Reaction::fail(reply.said()),
            (Question::Greeting, 220) if self.starttls => {
                ask(&format!("EHLO {}", self.own_name), Question::Outside)
            }
            (Question::Greeting, 220) => self.greet(),
            (Question::Outside, 250) if reply.keywords().any(|k| k.eq_ignore_ascii_case("STARTTLS")) => {
                ask("STARTTLS", Question::StartTls)
            }
            (Question::StartTls, 220) => Reaction::StartTls,
            (Question::Outside | Question::StartTls, _) => Reaction::fail(Trouble::StartTls),
            (Question::Hello(_), 250) => self.heard(reply),
            // A server that does not know EHLO has no extensions (RFC 5321 section 4.1.4).
            (Question::Hello(_), 500 | 502) if matches!(self.purpose, Purpose::Learn) => {
                Reaction::Tell(UpstreamReply::Learned(Offer::default()))
            }
            // Else the choice of a name would tell which accounts the upstream is asked about.
            (Question::Hello(Name::Clients), 400..=599) => self.greet_as(Name::Own),
            (Question::Xclient(_), 200..=299) => {
                self.forwarding = Forwarding::Told;
                self.greet()
            }
            (Question::Xclient(before), _) => {
                self.forwarding = Forwarding::Declined(reply.said_text());
                self.log_in(&before)
            }
            (Question::Auth(_, offer), 235) => Reaction::Tell(UpstreamReply::LoggedIn(Welcome { offer })),
            (Question::Auth(exchange, offer), 334) => self.go_on(exchange, offer),
            (Question::Auth(..), _) if reply.is_refusal() => Reaction::Tell(UpstreamReply::Refused),
            (Question::Greeting | Question::Hello(_) | Question::Auth(..), _) => Reaction::fail(reply.said()),
        }
    }

    /// EHLO, with the client's own name where there is a client.
    fn greet(&self) -> Reaction<Self> {
        self.greet_as(match &self.purpose {
            Purpose::Learn => Name::Own,
            Purpose::LogIn { .. } => Name::Clients,
        })
    }

    fn greet_as(&self, whose: Name) -> Reaction<Self> {
        let (name, shown) = match &self.purpose {
            Purpose::LogIn { introduction, .. } if whose == Name::Clients => {
                (introduction.name.as_bytes(), Shown::Client)
            }
            Purpose::LogIn { .. } | Purpose::Learn => (self.own_name.as_bytes(), Shown::Nothing),
        };
        Reaction::ask(&[b"EHLO ", name], shown, answering(Question::Hello(whose)))
    }

    /// The reply to EHLO is known.
    fn heard(&mut self, reply: Reply) -> Reaction<Self> {
        let client = match &self.purpose {
            Purpose::Learn => return Reaction::Tell(UpstreamReply::Learned(Offer::new(reply.keywords()))),
            Purpose::LogIn { client, .. } => client.as_ref(),
        };
        let Some(client) = client.filter(|_| self.forwarding == Forwarding::NotTried) else {
            return self.log_in(&reply);
        };
        let listed = reply.keywords().find_map(xclient_attributes);
        match listed.and_then(|listed| xclient(listed, XclientStyle::Smtp, client)) {
            Some(command) => {
                Reaction::ask(&[command.as_bytes()], Shown::Client, answering(Question::Xclient(reply)))
            }
            None => {
                self.forwarding = Forwarding::NotOffered;
                self.log_in(&reply)
            }
        }
    }

    /// The upstream offers this, and knows of the client what it wants to know.
    fn log_in(&self, reply: &Reply) -> Reaction<Self> {
        let Purpose::LogIn { login, introduction, .. } = &self.purpose else {
            return Reaction::fail(Trouble::NoMechanism);
        };
        let offer = Offer::new(reply.keywords());
        if introduction.told.as_ref().is_some_and(|told| !offer.keeps(told)) {
            return Reaction::fail(Trouble::OfferChanged);
        }
        // LOGIN cannot carry an authorisation identity.
        if offers(reply, Mechanism::Plain) {
            let line = secret_line(&[b"AUTH PLAIN ", &message(login)]);
            say_secret(line, Exchange::PlainSent, offer)
        } else if offers(reply, Mechanism::Login) && login.authorize_as.is_none() {
            ask("AUTH LOGIN", Question::Auth(Exchange::Name, offer))
        } else {
            Reaction::fail(Trouble::NoMechanism)
        }
    }

    /// The upstream asks for more (RFC 4954 section 4); what its challenge says is of no interest.
    fn go_on(&self, exchange: Exchange, offer: Offer) -> Reaction<Self> {
        let Purpose::LogIn { login, .. } = &self.purpose else { return Reaction::fail(Trouble::NoMechanism) };
        match exchange {
            // It overlooked the initial response.
            Exchange::PlainSent => {
                let line = secret_line(&[&message(login)]);
                say_secret(line, Exchange::Finished, offer)
            }
            Exchange::Name => {
                let line = secret_line(&[&base64(login.user.as_str().as_bytes())]);
                Reaction::Say(line, Shown::Client, answering(Question::Auth(Exchange::Password, offer)))
            }
            Exchange::Password => {
                let line = secret_line(&[&base64(login.password.expose())]);
                say_secret(line, Exchange::Finished, offer)
            }
            Exchange::Finished => Reaction::fail(Trouble::Garbage("one challenge too many")),
        }
    }
}

fn ask(command: &str, question: Question) -> Reaction<Script> {
    Reaction::ask(&[command.as_bytes()], Shown::Nothing, answering(question))
}

fn say_secret(line: Output, exchange: Exchange, offer: Offer) -> Reaction<Script> {
    Reaction::Say(line, Shown::Credential, answering(Question::Auth(exchange, offer)))
}

fn answering(question: Question) -> Awaited {
    Awaited { question, reply: Reply::default() }
}

fn message(login: &UpstreamLogin) -> Output {
    let authzid = login.authorize_as.as_ref().map_or("", |name| name.as_str());
    plain_message(authzid, login.user.as_str(), &login.password)
}

/// What is behind `XCLIENT` in an EHLO reply.
fn xclient_attributes(line: &str) -> Option<&str> {
    let (keyword, attributes) = line.split_once(' ')?;
    keyword.eq_ignore_ascii_case("XCLIENT").then_some(attributes)
}

/// Whether an EHLO reply lists `mechanism`; `AUTH=` is how servers before RFC 4954 wrote it.
fn offers(reply: &Reply, mechanism: Mechanism) -> bool {
    reply.keywords().any(|line| {
        let mut words = line.split([' ', '=']);
        words.next().is_some_and(|keyword| keyword.eq_ignore_ascii_case("AUTH"))
            && words.any(|word| word.eq_ignore_ascii_case(mechanism.as_str()))
    })
}
