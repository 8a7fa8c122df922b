//! What every login and every relayed byte pays for, one at a time: `cargo bench`.
//!
//! These find out which change makes something slower; how fast the whole is beside others, `scripts/bench` says.

#![expect(clippy::unwrap_used, reason = "a measurement that cannot begin is over")]

mod audit;
mod decision;
mod dialogue;
mod relay;
mod sealing;
mod site;

fn main() {
    divan::main();
}
