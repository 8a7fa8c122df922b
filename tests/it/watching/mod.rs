//! What the gate tells those who watch it.

mod http;
mod logs;
mod metrics;
mod ready;
