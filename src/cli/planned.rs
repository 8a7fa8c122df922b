//! Commands that the documentation of the whole product names and that are not built yet: calling
//! one says so, instead of guessing at a misspelling.

use clap::{Arg, ArgMatches, Command};

use super::failure::Failure;

/// The way to each.
const PLANNED: &[&[&str]] = &[&["token"], &["audit", "export"]];

/// `command` with hidden entries for what is planned.
pub(super) fn announce(command: Command) -> Command {
    PLANNED.iter().fold(command, |command, path| add(command, path))
}

/// An error if what was called is planned only.
pub(super) fn refuse(matches: &ArgMatches) -> anyhow::Result<()> {
    match PLANNED.iter().find(|path| was_called(matches, path)) {
        Some(path) => {
            let called = path.join(" ");
            Err(Failure::usage(format!(
                "`mailward {called}` is not built yet\nhint: `mailward help` lists what is"
            )))
        }
        None => Ok(()),
    }
}

fn add(command: Command, path: &[&'static str]) -> Command {
    match path {
        [] => command,
        [name] => command.subcommand(
            Command::new(*name).about("Not built yet").hide(true).disable_help_flag(true).arg(
                Arg::new("anything")
                    .num_args(0..)
                    .trailing_var_arg(true)
                    .allow_hyphen_values(true)
                    .hide(true),
            ),
        ),
        [parent, rest @ ..] => command.mut_subcommand(parent, |parent| add(parent, rest)),
    }
}

fn was_called(matches: &ArgMatches, path: &[&str]) -> bool {
    match path {
        [] => true,
        [name, rest @ ..] => {
            matches.subcommand().is_some_and(|(called, matches)| called == *name && was_called(matches, rest))
        }
    }
}
