//! The pages over a real portal, gate and database; the upstream is a list of passwords.

mod door;
mod harness;
mod law;
mod passkeys;
mod ways;
