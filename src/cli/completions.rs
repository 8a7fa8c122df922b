//! `mailward completions SHELL`

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::{Cli, output};

/// Print completions for a shell: what the Tab key knows of this command
///
/// For bash: mailward completions bash > /etc/bash_completion.d/mailward
#[derive(Args)]
pub(super) struct Completions {
    /// The shell
    shell: Shell,
}

impl Completions {
    pub(super) fn run(&self) -> anyhow::Result<()> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "mailward", &mut script);
        output::print(&String::from_utf8_lossy(&script))
    }
}
