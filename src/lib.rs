//! Mailward, the gate in front of a mail server that its owner cannot change.

// F0
pub mod base;
// F1
pub mod config;
pub mod protocol;
pub mod store;
// F2
pub mod account;
pub mod app_password;
pub mod audit;
pub mod factor;
// F3
pub mod gate;
// F4
pub mod proxy;
// F5
pub mod cli;

pub mod server;
