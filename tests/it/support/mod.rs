//! The world that the tests stand in: real legacy servers, a real PostgreSQL, the gate as a process, real clients.
//!
//! Whatever starts here ends when its value is dropped, and ends too when the test process is killed: the servers
//! watch their standard input. Everything listens on loopback, on ports reserved among all tests that run at once.

mod authenticator;
mod balancer;
mod config;
mod fake;
pub(crate) mod gate;
mod guest;
mod legacy;
pub(crate) mod ports;
mod postgres;
mod run;
pub(crate) mod script;
pub(crate) mod table;
pub(crate) mod visitor;
mod wire;

pub(crate) use authenticator::code;
pub(crate) use balancer::{BALANCER, Balancer};
pub(crate) use config::{GATE_NAME, GateConfig, UpstreamTls, write_certificates};
pub(crate) use fake::{Answer, Fake, Manner, Script, eventually};
pub(crate) use gate::{AppPassword, BINARY, Gate};
pub(crate) use guest::{Guest, Mail, PROTOCOLS, b64, log_in, on_each_protocol, plain};
pub(crate) use legacy::{LegacyOptions, LegacyServer};
pub(crate) use ports::Port;
pub(crate) use postgres::Postgres;
pub(crate) use run::{Outcome, client, run};
pub(crate) use visitor::Visitor;
pub(crate) use wire::{Wire, trusting};

use std::path::PathBuf;

/// A path inside the repository.
pub(crate) fn in_repository(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(path)
}
