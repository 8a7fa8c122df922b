//! Crowds and hostile crowds, at the real gate: bounded in count and time, on loopback only.
//!
//! These run alone (see `.config/nextest.toml`): what they measure would measure the other tests otherwise.

#![expect(clippy::print_stdout, reason = "a crowd tells what was measured")]

mod logins;
mod memory;
mod slow;
mod timing;
