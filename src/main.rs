//! The `mailward` command.

use std::process::ExitCode;

/// Less processor time for each login than with the C library's (docs/performance.md).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    mailward::cli::run()
}
