//! What the gate says to a POP3 upstream: greeting, STLS where demanded, CAPA, login.
//!
//! ```text
//!   Greeting ─▶ Stls ─▶ Handshake ─▶ Capa ─▶ Capability ─┬─▶ Leaving             (to learn)
//!       └──────────────────────────────▲                 └─▶ Xclient ─▶ Preface ─▶ Auth ─▶ Secret
//!                                                                         └──────▶ User ─▶ Secret
//! ```
//!
//! Where the client comes from is said with `XCLIENT`, which no RFC knows: Dovecot tells of it with `[XCLIENT]` in the
//! greeting to whom it trusts, other servers in CAPA. A greeting in clear may be anybody's word; but it only makes
//! the gate say something inside TLS that the server may decline.
//!
//! The upstream may be anybody: what it says is bounded, and nothing but a plain *no* to the credentials is
//! taken for a refusal.

use std::collections::VecDeque;

use super::status::{Status, code, is_refusal, said, trouble};
use super::{Introduction, Offer, Pop3, Welcome, tag};
use crate::protocol::lines::{self, ClientScript, Reaction};
use crate::protocol::origin::{XCLIENT_USUAL, XclientStyle, xclient};
use crate::protocol::output::secret_line;
use crate::protocol::sasl::plain_message;
use crate::protocol::{
    ClientSetup, Forwarding, Output, Purpose, Shown, Trouble, UpstreamLogin, UpstreamReply,
};

/// The longest CAPA reply, in bytes: those met in the wild have a few hundred, the rest is an upstream that
/// does not end.
const LIST_MAX: usize = 16 * 1024;

/// The upstream-facing side.
pub type Client = lines::Client<Script>;

/// What the conversation is for.
pub struct Script {
    starttls: bool,
    purpose: Purpose<Introduction>,
    /// The greeting says that `XCLIENT` is taken.
    greeted_xclient: bool,
    forwarding: Forwarding,
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
    /// The reply to where the client comes from.
    Xclient(Capabilities),
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
        Self {
            starttls: setup.starttls,
            purpose: setup.purpose,
            greeted_xclient: false,
            forwarding: Forwarding::NotTried,
        }
    }

    fn take_line(&mut self, awaited: Awaited, line: &[u8]) -> Reaction<Self> {
        match (awaited, Status::parse(line)) {
            (Awaited::Greeting, Status::Ok(text)) => {
                self.greeted_xclient = code(text).is_some_and(|code| code.eq_ignore_ascii_case(b"XCLIENT"));
                if self.starttls { ask("STLS", Awaited::Stls) } else { ask("CAPA", Awaited::Capa) }
            }
            (Awaited::Stls, Status::Ok(_)) => Reaction::StartTls,
            (Awaited::Stls, _) => Reaction::fail(Trouble::StartTls),
            (Awaited::Capa, Status::Ok(_)) => Reaction::Listen(Awaited::Capability(String::new())),
            // RFC 2449 is younger than many a server.
            (Awaited::Capa, Status::Err(_)) => self.heard(""),
            (Awaited::Capability(list), _) => self.list(list, line),
            (Awaited::Xclient(capabilities), Status::Ok(_)) => {
                self.forwarding = Forwarding::Told;
                self.begin(capabilities)
            }
            (Awaited::Xclient(capabilities), Status::Err(text)) => {
                self.forwarding = Forwarding::Declined(said(text));
                self.begin(capabilities)
            }
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

    fn forwarding(&self) -> Forwarding {
        self.forwarding.clone()
    }
}

impl Script {
    /// One line of the CAPA reply; a lone dot ends it (RFC 1939 section 3).
    fn list(&mut self, mut list: String, line: &[u8]) -> Reaction<Self> {
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
    fn heard(&mut self, list: &str) -> Reaction<Self> {
        let client = match &self.purpose {
            Purpose::Learn => {
                return Reaction::Tell(UpstreamReply::Learned(Offer::new(list.lines())));
            }
            Purpose::LogIn { client, .. } => client.as_ref(),
        };
        let capabilities = Capabilities {
            sasl_plain: list.lines().any(offers_plain),
            lang: list.lines().any(|line| line.eq_ignore_ascii_case("LANG")),
        };
        let Some(client) = client else { return self.begin(capabilities) };
        let usual = self.greeted_xclient.then_some(XCLIENT_USUAL);
        let listed = list.lines().find_map(xclient_attributes).or(usual);
        match listed.and_then(|listed| xclient(listed, XclientStyle::Plain, client)) {
            Some(command) => show(&command, Awaited::Xclient(capabilities)),
            None => {
                self.forwarding = Forwarding::NotOffered;
                self.begin(capabilities)
            }
        }
    }

    /// What the client was granted, and then the login.
    fn begin(&self, capabilities: Capabilities) -> Reaction<Self> {
        let introduction = match &self.purpose {
            Purpose::LogIn { introduction, .. } => *introduction,
            Purpose::Learn => Introduction::default(),
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
                show(&command, Awaited::Preface(wish, wishes, capabilities))
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
                show(&command, Awaited::User)
            }
            Purpose::LogIn { .. } | Purpose::Learn => Reaction::fail(Trouble::NoMechanism),
        }
    }

    /// Hands out the password, in this form.
    fn give(&self, form: impl FnOnce(&UpstreamLogin) -> Output) -> Reaction<Self> {
        match &self.purpose {
            Purpose::LogIn { login, .. } => Reaction::Say(form(login), Shown::Credential, Awaited::Secret),
            Purpose::Learn => Reaction::fail(Trouble::NoMechanism),
        }
    }
}

fn ask(command: &str, awaited: Awaited) -> Reaction<Script> {
    Reaction::ask(&[command.as_bytes()], Shown::Nothing, awaited)
}

/// The same with a command that tells something of the client.
fn show(command: &str, awaited: Awaited) -> Reaction<Script> {
    Reaction::ask(&[command.as_bytes()], Shown::Client, awaited)
}

/// What is behind `XCLIENT` in a line of CAPA; the usual attributes where it is alone.
fn xclient_attributes(line: &str) -> Option<&str> {
    let (name, attributes) = line.split_once(' ').unwrap_or((line, XCLIENT_USUAL));
    name.eq_ignore_ascii_case("XCLIENT").then_some(attributes)
}

/// `SASL` and its mechanisms (RFC 2449 section 6.3).
fn offers_plain(line: &str) -> bool {
    let mut words = line.split(' ');
    words.next().is_some_and(|word| word.eq_ignore_ascii_case("SASL"))
        && words.any(|word| word.eq_ignore_ascii_case("PLAIN"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_has_an_end() {
        let mut script = Script {
            starttls: false,
            purpose: Purpose::Learn,
            greeted_xclient: false,
            forwarding: Forwarding::NotTried,
        };
        let known = "x".repeat(LIST_MAX - 2);
        assert_eq!(LIST_MAX, 16_384);
        assert!(matches!(script.list(known.clone(), b"y"), Reaction::Listen(Awaited::Capability(_))));
        assert!(!matches!(script.list(known, b"yy"), Reaction::Listen(_)));
    }
}
