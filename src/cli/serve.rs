//! `mailward serve`

use std::path::Path;

use crate::config::Config;
use crate::{server, telemetry};

/// Runs the gate until it is told to stop.
pub(super) fn run(path: &Path) -> anyhow::Result<()> {
    telemetry::start()?;
    let config = Config::load(path)?;
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(server::run(config))
}
