//! The transcripts under `tests/transcripts/` are the readable specification of the pre-authentication
//! dialogues: each is replayed whole, under every two-way split of each run of incoming bytes, byte by byte,
//! and under a thousand seeded random splits, and must lead to the same steps every time.
//!
//! How a transcript is written stands in `tests/transcripts/README.md`. A protocol takes part with two lines here:
//! `mod imap_words;` (with its path), which implements `side::Written` for it, and `transcripts!(imap, Imap);`.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a helper of a test fails the test")]
#![expect(clippy::wildcard_enum_match_arm, reason = "whatever else was seen is the mismatch")]

#[path = "transcripts/any_input.rs"]
mod any_input;
#[path = "transcripts/drive.rs"]
mod drive;
#[path = "transcripts/imap_words.rs"]
mod imap_words;
#[path = "transcripts/pop3_words.rs"]
mod pop3_words;
#[path = "transcripts/replay.rs"]
mod replay;
#[path = "transcripts/script.rs"]
mod script;
#[path = "transcripts/self_test.rs"]
mod self_test;
#[expect(dead_code, reason = "fuzzing needs more of it")]
#[path = "transcripts/side.rs"]
mod side;
#[path = "transcripts/smtp_words.rs"]
mod smtp_words;
#[path = "transcripts/text.rs"]
mod text;
#[path = "transcripts/trace.rs"]
mod trace;

/// Makes two tests, one for each side of `$protocol`, over `tests/transcripts/$directory/<side>/*.txt`.
macro_rules! transcripts {
    ($directory:ident, $protocol:ty) => {
        mod $directory {
            #[test]
            fn the_side_that_faces_the_client_follows_its_transcripts() {
                crate::replay::directory(
                    concat!(stringify!($directory), "/server"),
                    crate::side::server::<$protocol>,
                );
            }

            #[test]
            fn the_side_that_faces_the_upstream_follows_its_transcripts() {
                crate::replay::directory(
                    concat!(stringify!($directory), "/client"),
                    crate::side::client::<$protocol>,
                );
            }
        }
    };
}

transcripts!(imap, mailward::protocol::imap::Imap);
transcripts!(pop3, mailward::protocol::pop3::Pop3);
transcripts!(smtp, mailward::protocol::smtp::Smtp);
