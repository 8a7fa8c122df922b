//! What the gate tells those who watch it: logs, metrics, whether it is well.
//!
//! Whoever may read these is not thereby trusted with more: no content, no secret, and in metrics nothing that a
//! stranger could name. Watching must never hold up what is watched.

mod listener;
mod log;
mod page;
mod process;
mod readiness;
mod readings;
pub mod table;

use std::sync::Arc;

use tokio::sync::watch;

use crate::audit::Audit;
use crate::base::Timestamp;
use crate::gate::Authenticator;
use crate::proxy::Upstreams;
use crate::store::Store;
pub use listener::{WatchError, WatchListener};
pub use log::{LOG_VARIABLE, LogError, LogFormat, start as start_log};

/// What is watched.
pub struct Watched {
    /// Attempts, sessions, and all that is counted.
    pub gate: Arc<Authenticator>,
    /// How they are.
    pub upstreams: watch::Receiver<Arc<Upstreams>>,
    /// The trail.
    pub audit: Audit,
    /// The database.
    pub store: Store,
    /// When the gate was started.
    pub started: Timestamp,
    /// Turns true when the gate drains.
    pub closing: watch::Receiver<bool>,
}
