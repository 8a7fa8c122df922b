//! Mailward, the gate in front of a mail server that its owner cannot change.
//!
//! It terminates TLS for IMAP, POP3 and SMTP submission, finds out *who is this, on which client*, and only
//! then connects the client to the old server. Once an account has bound a second factor, only app passwords
//! get in.
//!
//! # The life of a login
//!
//! Follow a phone that connects to port 993. Each step names the room of the house where it happens.
//!
//! 1. **A connection.** [`proxy::listener`] accepts, takes one of `limits.connections` places and spawns a
//!    task. Nothing slow happens in the accept loop, so one stubborn peer cannot keep the next one out. A balancer
//!    that the listener names says in a PROXY header whom it passes on; that is the client's address from then on.
//! 2. **A channel.** [`proxy::tls`] shakes hands, with the certificate that the client's SNI asks for. The
//!    handshake and all that follows, up to the hand-over, run under one deadline that bytes do not extend.
//! 3. **A conversation.** [`proxy::session`] feeds the bytes to a [`protocol::Dialogue`], a state machine
//!    that does no I/O, and carries out the [`protocol::Step`]s it returns. There are six dialogues (three
//!    protocols, facing the client and facing the upstream) and one driver.
//! 4. **A question.** `LOGIN alice "…"` becomes a [`protocol::Attempt`], and the dialogue is suspended.
//!    [`gate::Authenticator::judge`] finds the account that the name means ([`account::Directory`]), reserves
//!    a place with the limiter, reads where the account stands ([`store::Store::standing`]), asks the pure
//!    policy what to do, and proves an app password if there is one to prove ([`app_password`]).
//! 5. **A grant.** If the gate is willing, it gives a [`gate::Grant`]: the one thing that can log in upstream
//!    for this client. [`proxy::upstream`] dials, checks the certificate, drives the client-side dialogue (which
//!    says where the client comes from, if the upstream is to know), and brings back the upstream's word. A *no*
//!    is a no only if the upstream said it definitely; whatever else goes wrong is a temporary failure, and nobody
//!    is told that a right password is wrong.
//! 6. **A record.** [`gate::Authenticator::conclude`] writes the attempt's one [`audit`] record, durably, and
//!    only then gives the client's answer: a [`gate::Passage`], or the refusal in the protocol's own words.
//! 7. **A relay.** With the passage in hand [`proxy::relay`] copies bytes until one side ends. Both dialogues
//!    are gone; what the client had pipelined behind its login reaches the upstream exactly once; buffers
//!    exist only while bytes wait. When what the passage rests on is revoked, [`gate`] ends it within a second,
//!    whichever process did that. SMTP commands are still read on their way, so that a client cannot become
//!    somebody else; message content is not.
//!
//! All of this follows one reading of the configuration. [`server`] makes another whenever a file changes: an attempt
//! keeps the [`gate::Rules`] that held when it came, a session the door that it came through.
//!
//! # The floors
//!
//! A module imports only from the floors below it; `tests/floors.rs` checks this, and `docs/ARCHITECTURE.md`
//! draws it.

// F0: what everything stands on
pub mod base;
// F1: pure protocol, stored rows, checked settings
#[cfg(feature = "gate")]
pub mod config;
pub mod protocol;
#[cfg(feature = "gate")]
pub mod store;
// F2: what there is to know
#[cfg(feature = "gate")]
pub mod account;
#[cfg(feature = "gate")]
pub mod app_password;
#[cfg(feature = "gate")]
pub mod audit;
#[cfg(feature = "gate")]
pub mod factor;
#[cfg(feature = "gate")]
pub mod meters;
#[cfg(feature = "gate")]
pub mod notify;
// F3: who gets in
#[cfg(feature = "gate")]
pub mod gate;
// F4: what people do by themselves
#[cfg(feature = "server")]
pub mod portal;
// F4: bytes in, bytes out
#[cfg(feature = "server")]
pub mod proxy;
#[cfg(feature = "server")]
pub mod web;
// F5: composition
#[cfg(feature = "server")]
pub mod doctor;
#[cfg(feature = "server")]
pub mod server;
#[cfg(feature = "server")]
pub mod site;
#[cfg(feature = "server")]
pub mod telemetry;
// F6: people
#[cfg(feature = "server")]
pub mod cli;
