//! `mailward serve`

use std::path::Path;

use clap::Args;

use crate::config::Config;
use crate::proxy::inherited::Inherited;
use crate::server;
use crate::telemetry::{self, LogFormat};

/// Run the gate in the foreground
///
/// How much is logged says MAILWARD_LOG: `info` by default, `debug`, or `mailward::proxy=debug,info`.
#[derive(Args)]
pub(super) struct Serve {
    /// How the log is written
    #[arg(
        long,
        value_enum,
        value_name = "FORMAT",
        env = "MAILWARD_LOG_FORMAT",
        default_value_t,
        hide_env_values = true
    )]
    log_format: LogFormat,
}

impl Serve {
    /// Runs the gate until it is told to stop.
    pub(super) fn run(&self, path: &Path) -> anyhow::Result<()> {
        telemetry::start_log(self.log_format)?;
        // While there is one thread only.
        let inherited = Inherited::from_environment()?;
        let config = Config::load(path)?;
        // For the chores: connections have lanes of their own.
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()?
            .block_on(server::run(path, config, inherited))
    }
}
