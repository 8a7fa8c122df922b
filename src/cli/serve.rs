//! `mailward serve`

use std::path::Path;

use crate::config::Config;
use crate::proxy::inherited::Inherited;
use crate::{server, telemetry};

/// Runs the gate until it is told to stop.
pub(super) fn run(path: &Path) -> anyhow::Result<()> {
    telemetry::start()?;
    // While there is one thread only.
    let inherited = Inherited::from_environment()?;
    let config = Config::load(path)?;
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?
        .block_on(server::run(path, config, inherited))
}
