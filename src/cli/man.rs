//! `mailward man`

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::{Args, Command, CommandFactory};
use clap_mangen::Man as Page;

use super::{Cli, output};

/// Print the manual page, or write one for each command
#[derive(Args)]
pub(super) struct Man {
    /// Write the pages of all commands into this folder instead
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
}

impl Man {
    pub(super) fn run(&self) -> anyhow::Result<()> {
        let mut command = Cli::command().disable_help_subcommand(true);
        // Gives each command the name by which its page is found: `mailward-audit-search`.
        command.build();
        match &self.out {
            None => output::print(&page(command)?),
            Some(folder) => {
                fs::create_dir_all(folder).with_context(|| format!("cannot make `{}`", folder.display()))?;
                write(command, folder)
            }
        }
    }
}

fn write(command: Command, folder: &Path) -> anyhow::Result<()> {
    for inner in command.get_subcommands().filter(|inner| !inner.is_hide_set()) {
        write(inner.clone(), folder)?;
    }
    let name = command.get_display_name().unwrap_or_else(|| command.get_name());
    let path = folder.join(format!("{name}.1"));
    fs::write(&path, page(command)?).with_context(|| format!("cannot write `{}`", path.display()))
}

fn page(command: Command) -> anyhow::Result<String> {
    let mut page = Vec::new();
    Page::new(command).render(&mut page)?;
    Ok(String::from_utf8(page)?)
}
