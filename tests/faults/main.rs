//! What happens when something breaks behind the gate, or under it: each row of "Faults" in
//! `docs/security/threats.md`, by breaking it really.
//!
//! A test that lacks the right to break something fails; it is never skipped.
#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "a test whose world cannot be set up must fail, and say why"
)]

mod clock;
mod confined;
mod database;
mod descriptors;
mod disk;
mod examined;
mod gauges;
mod killed;
mod nodes;
mod older;
mod readiness;
mod restore;
mod silence;
mod stopping;
mod upstream;
mod world;

#[path = "../it/watching/http.rs"]
mod watch;

#[expect(dead_code, unused_imports, reason = "the world of `it` has more in it than faults need")]
#[path = "../it/support/mod.rs"]
mod support;
