//! Message submission: RFC 5321 and RFC 6409, with AUTH (RFC 4954), STARTTLS (RFC 3207), SIZE (RFC 1870),
//! PIPELINING (RFC 2920), CHUNKING (RFC 3030) and enhanced status codes (RFC 2034, RFC 3463).
//!
//! Both peers are hostile until login, and the client after it as well: [`Guard`] reads its commands on
//! their way to the upstream, so that it cannot change who it is. Every line, list and queue is bounded.
//! Nothing secret is taken before TLS, and no reply repeats what a client sent.

mod after_login;
mod client;
mod command;
mod content;
mod guard;
mod name;
mod offer;
mod replies;
mod reply;
mod server;
mod status;

pub use client::Client;
pub use guard::Guard;
pub use name::{ClientName, InvalidClientName};
pub use offer::Offer;
pub use server::Server;

use std::sync::Arc;

use super::guard::{NothingPasses, RelayGuard};
use super::{Dismissal, MailProtocol, Wording};
use crate::base::Protocol;

/// Message submission.
pub struct Smtp;

impl MailProtocol for Smtp {
    const PROTOCOL: Protocol = Protocol::Smtp;
    type Offer = Offer;
    type Introduction = Introduction;
    type Welcome = Welcome;
    type Server = Server;
    type Client = Client;

    fn guard(welcome: &Welcome) -> Option<Box<dyn RelayGuard>> {
        Some(Box::new(Guard::new(&welcome.offer)))
    }

    /// Who may only read is not let in here. If he were, he would send nothing.
    fn read_only_guard(_: &Welcome) -> Box<dyn RelayGuard> {
        Box::new(NothingPasses)
    }

    fn farewell(wording: &Wording) -> Option<String> {
        Some(reply::parting(Dismissal::Stopping, wording))
    }
}

/// How the client greeted, for the gate to greet the upstream the same way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Introduction {
    /// The name in its EHLO or HELO.
    pub name: ClientName,
    /// What it was told in answer to EHLO, and may count on after login; nothing in answer to HELO.
    pub told: Option<Arc<Offer>>,
}

/// What the upstream offers the client that it let in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Welcome {
    /// From its reply to the EHLO before AUTH.
    pub offer: Offer,
}
