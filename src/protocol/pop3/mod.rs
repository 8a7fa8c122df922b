//! POP3 before login: RFC 1939, with RFC 2449 (CAPA, response codes), RFC 2595 (STLS), RFC 3206 (`SYS/`,
//! `AUTH`), RFC 5034 (AUTH) and RFC 6856 (UTF8, LANG).
//!
//! Both peers are hostile until login; every line and list is bounded. Nothing secret is taken before TLS,
//! and no reply repeats what a client sent.

mod client;
mod command;
mod course;
mod guard;
mod offer;
mod reply;
mod server;
mod status;

pub use client::Client;
pub use offer::Offer;
pub use server::Server;

use self::course::Answers;
use super::{Course, Language, MailProtocol, RelayGuard};
use crate::base::Protocol;

/// POP3.
pub struct Pop3;

impl MailProtocol for Pop3 {
    const PROTOCOL: Protocol = Protocol::Pop3;
    type Offer = Offer;
    type Introduction = Introduction;
    type Welcome = Welcome;
    type Server = Server;
    type Client = Client;

    fn read_only_guard(_: &Welcome) -> Box<dyn RelayGuard> {
        Box::<guard::Guard>::default()
    }

    fn course() -> Option<Box<dyn Course>> {
        Some(Box::<Answers>::default())
    }
}

/// What a client asked for before login, and was granted, so that the upstream must know it too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Introduction {
    /// `UTF8` (RFC 6856 section 2): everything after login depends on it.
    pub utf8: bool,
    /// `LANG` (RFC 6856 section 3): a courtesy, which an upstream may decline.
    pub language: Option<Language>,
}

/// The text behind the upstream's `+OK` to the login: one line, no control characters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Welcome(pub String);

/// The language tag (RFC 5646) of a language that the gate has texts in.
fn tag(language: Language) -> &'static str {
    match language {
        Language::English => "en",
        Language::Chinese => "zh",
    }
}
