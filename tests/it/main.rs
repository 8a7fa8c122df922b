//! Mailward among real servers and real clients.
//!
//! One test binary, so that `support` is compiled once and nothing in it is dead code.
#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "a test whose world cannot be set up must fail, and say why"
)]

mod canaries;
mod clients;
mod failover;
mod first_light;
mod guessing;
mod habits;
mod matrix;
mod names;
mod notices;
mod on_postgres;
mod operation;
mod origin;
mod processes;
mod read_only;
mod refusals;
mod segments;
mod servers;
mod sessions;
mod several_upstreams;
mod stale;
mod stress;
mod support;
mod threats;
mod transparency;
mod upstream;
mod watching;
mod xclient;
