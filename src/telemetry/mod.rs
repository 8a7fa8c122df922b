//! What the gate tells those who watch it: logs, metrics, whether it is well.
//!
//! Whoever may read these is not thereby trusted with more: no content, no secret, and in metrics nothing that a
//! stranger could name. Watching must never hold up what is watched.

mod log;

pub use log::{LOG_VARIABLE, LogError, LogFormat, start as start_log};
