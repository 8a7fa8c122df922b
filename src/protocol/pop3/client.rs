//! What the gate says to a POP3 upstream: greeting, STLS where demanded, CAPA, login.
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

use super::status::{Status, is_refusal, said, trouble};
use super::{Introduction, Offer, Pop3, Welcome, tag};
use crate::protocol::lines::{self, ClientScript, Reaction};
use crate::protocol::output::secret_line;
use crate::protocol::sasl::plain_message;
use crate::protocol::{ClientSetup, Output, Purpose, Trouble, UpstreamLogin, UpstreamReply};

/// The longest CAPA reply, in bytes: those met in the wild have a few hundred, the rest is an upstream that
/// does not end.
const LIST_MAX: usize = 16 * 1024;

/// The upstream-facing side.
pub type Client = lines::Client<Script>;

/// What the conversation is for.
pub struct Script {
    starttls: bool,
    purpose: Purpose<Introduction>,
}

/// What the upstream's next line is.
#[derive(Default)]
pub enum Awaited {
    /// The greeting.
    #[default]
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
pub struct Capabilities {
    sasl_plain: bool,
    lang: bool,
}

/// A command that the client was granted, to be repeated upstream.
#[derive(Clone, Copy)]
pub enum Wish {
    Utf8,
    Lang(&'static str),
}

impl ClientScript for Script {
    type Protocol = Pop3;
    type Awaited = Awaited;

    fn new(setup: ClientSetup<Introduction>) -> Self {
        Self { starttls: setup.starttls, purpose: setup.purpose }
    }

    fn take_line(&mut self, awaited: Awaited, line: &[u8]) -> Reaction<Self> {
        match (awaited, Status::parse(line)) {
            (Awaited::Greeting, Status::Ok(_)) if self.starttls => ask("STLS", Awaited::Stls),
            (Awaited::Greeting, Status::Ok(_)) => ask("CAPA", Awaited::Capa),
            (Awaited::Stls, Status::Ok(_)) => Reaction::StartTls,
            (Awaited::Stls, _) => Reaction::fail(Trouble::StartTls),
            (Awaited::Capa, Status::Ok(_)) => Reaction::Listen(Awaited::Capability(String::new())),
            // RFC 2449 is younger than many a server.
            (Awaited::Capa, Status::Err(_)) => self.heard(""),
            (Awaited::Capability(list), _) => self.list(list, line),
            // The client relies on it; the upstream was expected to have it.
            (Awaited::Preface(Wish::Utf8, ..), Status::Err(_)) => Reaction::fail(Trouble::OfferChanged),
            (Awaited::Preface(_, rest, capabilities), Status::Ok(_) | Status::Err(_)) => {
                self.next_wish(rest, capabilities)
            }
            // A few servers say `+OK` where they mean `+`.
            (Awaited::Auth(_), Status::Continue | Status::Ok(_)) => self.give(|login| {
                let authzid = login.authorize_as.as_ref().map_or("", |name| name.as_str());
                secret_line(&[&plain_message(authzid, login.user.as_str(), &login.password)])
            }),
            // Without a code: this upstream does not do what it offered. No credential was looked at yet.
            (Awaited::Auth(capabilities), Status::Err(text)) if is_refusal(text) => {
                self.log_in(Capabilities { sasl_plain: false, ..capabilities })
            }
            (Awaited::User, Status::Ok(_)) => {
                self.give(|login| secret_line(&[b"PASS ", login.password.expose()]))
            }
            (Awaited::User | Awaited::Secret, Status::Err(text)) if is_refusal(text) => {
                Reaction::Tell(UpstreamReply::Refused)
            }
            (Awaited::Greeting | Awaited::User | Awaited::Auth(_) | Awaited::Secret, Status::Err(text)) => {
                Reaction::fail(trouble(text))
            }
            (Awaited::Secret, Status::Ok(text)) => {
                Reaction::Tell(UpstreamReply::LoggedIn(Welcome(said(text))))
            }
            _ => Reaction::fail(Trouble::Garbage("what is no answer in POP3")),
        }
    }

    fn secured(&mut self) -> Reaction<Self> {
        ask("CAPA", Awaited::Capa)
    }
}

impl Script {
    /// One line of the CAPA reply; a lone dot ends it (RFC 1939 section 3).
    fn list(&self, mut list: String, line: &[u8]) -> Reaction<Self> {
        if line == b"." {
            return self.heard(&list);
        }
        let line = line.strip_prefix(b".").unwrap_or(line);
        list.push_str(String::from_utf8_lossy(line).trim_end());
        list.push('\n');
        if list.len() > LIST_MAX {
            return Reaction::fail(Trouble::Garbage("an endless list"));
        }
        Reaction::Listen(Awaited::Capability(list))
    }

    /// The capabilities are known.
    fn heard(&self, list: &str) -> Reaction<Self> {
        let introduction = match &self.purpose {
            Purpose::Learn => {
                return Reaction::Tell(UpstreamReply::Learned(Offer::new(list.lines())));
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

    fn next_wish(&self, mut wishes: VecDeque<Wish>, capabilities: Capabilities) -> Reaction<Self> {
        match wishes.pop_front() {
            Some(wish) => {
                let command = match wish {
                    Wish::Utf8 => "UTF8".to_owned(),
                    Wish::Lang(tag) => format!("LANG {tag}"),
                };
                ask(&command, Awaited::Preface(wish, wishes, capabilities))
            }
            None => self.log_in(capabilities),
        }
    }

    fn log_in(&self, capabilities: Capabilities) -> Reaction<Self> {
        match &self.purpose {
            // Without an initial response: servers of RFC 1734 take none, and would say `-ERR` to it.
            Purpose::LogIn { .. } if capabilities.sasl_plain => {
                ask("AUTH PLAIN", Awaited::Auth(capabilities))
            }
            // USER and PASS cannot carry an authorisation identity.
            Purpose::LogIn { login: UpstreamLogin { authorize_as: None, user, .. }, .. } => {
                let command = format!("USER {}", user.as_str());
                ask(&command, Awaited::User)
            }
            Purpose::LogIn { .. } | Purpose::Learn => Reaction::fail(Trouble::NoMechanism),
        }
    }

    /// Hands out the password, in this form.
    fn give(&self, form: impl FnOnce(&UpstreamLogin) -> Output) -> Reaction<Self> {
        match &self.purpose {
            Purpose::LogIn { login, .. } => Reaction::SaySecret(form(login), Awaited::Secret),
            Purpose::Learn => Reaction::fail(Trouble::NoMechanism),
        }
    }
}

fn ask(command: &str, awaited: Awaited) -> Reaction<Script> {
    Reaction::ask(&[command.as_bytes()], awaited)
}

/// `SASL` and its mechanisms (RFC 2449 section 6.3).
fn offers_plain(line: &str) -> bool {
    let mut words = line.split(' ');
    words.next().is_some_and(|word| word.eq_ignore_ascii_case("SASL"))
        && words.any(|word| word.eq_ignore_ascii_case("PLAIN"))
}
