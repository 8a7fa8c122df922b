//! The `mailward` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    mailward::cli::run()
}
