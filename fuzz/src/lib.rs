//! What must hold of the pre-authentication dialogues and of what reads along in a relay, whatever peers send.
//!
//! One oracle for two users: the fuzz targets, which look for inputs that break it, and `cargo test`, which replays
//! those that were worth keeping (`replay`). How an input is read stands in `input`.

#![expect(clippy::unwrap_used, clippy::panic, reason = "what must not be ends the program")]
#![expect(clippy::wildcard_enum_match_arm, reason = "whatever else was seen does not matter")]

mod dialogue;
#[path = "../../tests/transcripts/drive.rs"]
mod drive;
mod framing;
mod guard;
mod imap_guard;
#[path = "../../tests/transcripts/imap_words.rs"]
mod imap_words;
mod input;
mod pop3_guard;
#[path = "../../tests/transcripts/pop3_words.rs"]
mod pop3_words;
mod proxy_header;
#[cfg(test)]
mod replay;
mod sasl;
#[expect(dead_code, reason = "the replay of transcripts needs more of it")]
#[path = "../../tests/transcripts/script.rs"]
mod script;
#[cfg(test)]
mod seeds;
#[path = "../../tests/transcripts/side.rs"]
mod side;
mod smtp_guard;
#[path = "../../tests/transcripts/smtp_words.rs"]
mod smtp_words;
#[expect(dead_code, reason = "the replay of transcripts needs more of it")]
#[path = "../../tests/transcripts/text.rs"]
mod text;
#[path = "../../tests/transcripts/trace.rs"]
mod trace;

#[cfg(test)]
use std::alloc::System;
#[cfg(not(test))]
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use mailward::protocol::imap::Imap;
use mailward::protocol::pop3::Pop3;
use mailward::protocol::smtp::Smtp;

/// Bytes allocated, as the allocator of the fuzz targets counts them.
#[cfg(not(test))]
pub static HEAP: AtomicUsize = AtomicUsize::new(0);

/// The same for the tests, without `unsafe`.
#[cfg(test)]
#[global_allocator]
static COUNTING: cap::Cap<System> = cap::Cap::new(System, usize::MAX);

/// Bytes allocated.
pub(crate) fn heap() -> usize {
    #[cfg(not(test))]
    return HEAP.load(Relaxed);
    #[cfg(test)]
    return COUNTING.allocated();
}

/// Panics if an input breaks what must hold.
pub type Check = fn(&[u8]);

/// The targets by name.
pub const TARGETS: [(&str, Check); 12] = [
    ("imap_client", dialogue::client::<Imap>),
    ("imap_framing", framing::check),
    ("imap_guard", imap_guard::check),
    ("imap_server", dialogue::server::<Imap>),
    ("pop3_client", dialogue::client::<Pop3>),
    ("pop3_guard", pop3_guard::check),
    ("pop3_server", dialogue::server::<Pop3>),
    ("proxy_header", proxy_header::check),
    ("sasl", sasl::check),
    ("smtp_client", dialogue::client::<Smtp>),
    ("smtp_guard", smtp_guard::check),
    ("smtp_server", dialogue::server::<Smtp>),
];

/// Runs one target on one input.
pub fn run(name: &str, input: &[u8]) {
    let (_, check) = TARGETS.iter().find(|(known, _)| *known == name).unwrap();
    check(input);
}
