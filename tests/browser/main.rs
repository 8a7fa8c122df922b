//! The portal in a real browser, in front of a real mail server: what people do, click by click, in both languages.
//!
//! Chromium and its driver are Debian's; a machine without them fails these tests. Pages are written as pictures to
//! `target/browser`, for whoever wants to look at them.
#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "a test whose world cannot be set up must fail, and say why"
)]

mod app_passwords;
mod belongings;
mod changing;
mod checking;
mod chromedriver;
mod driver;
mod ending;
mod enforced;
mod enrolment;
mod guides;
mod keys;
mod mailbox;
mod passkeys;
mod pictures;
mod plain;
mod story;
mod switching;
mod tour;
mod world;

#[expect(dead_code, unused_imports, reason = "the world of `it` has more in it than the portal needs")]
#[path = "../it/support/mod.rs"]
mod support;

#[expect(dead_code, reason = "faults lock more than pages need to be unavailable")]
#[path = "../faults/world/lock.rs"]
mod lock;
