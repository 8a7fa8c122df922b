//! What the gate tells those who watch it.

mod dns;
mod doctor;
mod http;
mod logs;
mod metrics;
mod ready;
