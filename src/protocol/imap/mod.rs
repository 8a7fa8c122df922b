//! IMAP4rev1 and rev2 before login (RFC 3501, RFC 9051), on both sides of the gate.
//!
//! Input is hostile on both sides. Messages are framed within our own bounds (`framing`), what a client
//! sends is decoded by imap-codec, and what an upstream sends is read by a tolerant reader of our own
//! (`response`), because servers in the field say what no grammar allows. Nothing here repeats to a peer
//! what it sent, other than a valid tag.
//!
//! ```text
//!   client ──▶ framing ──▶ command ──▶ server ──▶ Attempt      (answers: offer, reply)
//!   upstream ──▶ framing ──▶ response ──▶ client ──▶ Welcome   (asks: login, introduction)
//!   relay ──▶ guard, where the upstream would let a client change who it is, or the client may only read
//! ```

mod client;
mod command;
mod course;
pub mod framing;
mod guard;
mod introduction;
mod login;
mod offer;
mod reply;
mod response;
mod server;

use crate::base::{Access, Protocol};
use crate::protocol::{Course, Dismissal, MailProtocol, RelayGuard, Wording};

pub use client::Client;
use guard::Guard;
pub use introduction::Introduction;
pub use offer::{Capabilities, Offer};
pub use server::Server;

/// The protocol.
pub struct Imap;

impl MailProtocol for Imap {
    const PROTOCOL: Protocol = Protocol::Imap;
    type Offer = Offer;
    type Introduction = Introduction;
    type Welcome = Welcome;
    type Server = Server;
    type Client = Client;

    fn guard(welcome: &Welcome) -> Option<Box<dyn RelayGuard>> {
        welcome.needs_guard().then(|| welcome.guard_for(Access::Full))
    }

    fn read_only_guard(welcome: &Welcome) -> Box<dyn RelayGuard> {
        welcome.guard_for(Access::ReadOnly)
    }

    fn course() -> Option<Box<dyn Course>> {
        Some(Box::new(course::Following::default()))
    }

    fn farewell(_: &Wording) -> Option<String> {
        Some(format!("* BYE {}\r\n", reply::parting(Dismissal::Stopping)))
    }
}

/// What the upstream said when it let us in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Welcome {
    /// What it offered before the login, on this very connection.
    pub before: Capabilities,
    /// What it offers after login; empty if it would not say.
    pub capabilities: Capabilities,
    /// The untagged lines that came with it and are the client's business (alerts above all), whole.
    pub untagged: Vec<u8>,
    /// The text of its tagged `OK`, one line.
    pub text: String,
}

impl Welcome {
    /// Whether a guard must read along whoever the client is.
    fn needs_guard(&self) -> bool {
        self.before.needs_guard() || self.capabilities.needs_guard()
    }

    /// Whether one reads along where the client may do so much.
    fn is_guarded(&self, access: Access) -> bool {
        match access {
            Access::Full => self.needs_guard(),
            Access::ReadOnly => true,
        }
    }

    fn guard_for(&self, access: Access) -> Box<dyn RelayGuard> {
        let Self { before, capabilities: after, .. } = self;
        let known = if after.is_empty() { before } else { after };
        Box::new(Guard::new(known, access))
    }
}
