//! `mailward config check` and `config show`

use std::path::Path;

use clap::Subcommand;

use super::output;
use crate::account::Directory;
use crate::config::{Config, show};

/// The configuration file
#[derive(Subcommand)]
pub(super) enum ConfigCommand {
    /// Say whether the file is right; name every mistake with its line and what to do
    Check,
    /// Print what is in force, defaults included, as a file; secrets are masked
    Show,
}

impl ConfigCommand {
    pub(super) fn run(&self, path: &Path) -> anyhow::Result<()> {
        let config = Config::load(path)?;
        Directory::new(&config.upstreams)?;
        match self {
            Self::Check => output::line(&format!("{} is right: {}", path.display(), summary(&config))),
            Self::Show => output::print(&show::to_toml(&config)?),
        }
    }
}

fn summary(config: &Config) -> String {
    let count = |number: usize, one: &str| match number {
        1 => format!("1 {one}"),
        many => format!("{many} {one}s"),
    };
    format!(
        "{}, {}, {}",
        count(config.listeners.len(), "listener"),
        count(config.certificates.len(), "certificate"),
        count(config.upstreams.len(), "upstream")
    )
}
