//! `mailward config check`, `config show` and `config schema`

use std::path::Path;

use clap::Subcommand;

use super::output;
use crate::account::Directory;
use crate::config::{Config, schema, show};
use crate::server::check_files;

/// The configuration file
#[derive(Subcommand)]
pub(super) enum ConfigCommand {
    /// Say whether the file, and each that it names, is right; name every mistake in it with its line and what to do
    Check,
    /// Print what is in force, defaults included, as a file; secrets are masked
    Show,
    /// Print the JSON schema of the file, for editors and for programs that write one
    Schema,
}

impl ConfigCommand {
    pub(super) fn run(&self, path: &Path) -> anyhow::Result<()> {
        match self {
            Self::Check => {
                let config = load(path)?;
                check_files(&config)?;
                let summary = summary(&config);
                output::line(&format!("{} is right: {summary}", path.display()))
            }
            Self::Show => output::print(&show::to_toml(&load(path)?)?),
            Self::Schema => output::json(&schema()),
        }
    }
}

/// With all that commands and gate check when they start.
fn load(path: &Path) -> anyhow::Result<Config> {
    let config = Config::load(path)?;
    Directory::new(&config.upstreams)?;
    Ok(config)
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
