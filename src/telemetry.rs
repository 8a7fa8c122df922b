//! Logs for whoever operates the gate: one line per event, on standard error, never content.
//!
//! Field names are those of the audit trail: `session.id`, `protocol`, `client.ip`, `account`, `outcome`, `reason`,
//! `upstream`.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

/// The variable that widens or narrows the log, e.g. `MAILWARD_LOG=debug`; `info` without it.
pub const LOG_VARIABLE: &str = "MAILWARD_LOG";

/// A filter that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("`{LOG_VARIABLE}` cannot be read\nhint: try `info`, `debug`, or `mailward::proxy=debug,info`")]
pub struct InvalidFilter(#[source] tracing_subscriber::filter::ParseError);

/// Starts logging; the second call of a process does nothing.
///
/// # Errors
/// [`InvalidFilter`]
pub fn start() -> Result<(), InvalidFilter> {
    let filter = match std::env::var(LOG_VARIABLE) {
        Ok(text) => EnvFilter::try_new(text).map_err(InvalidFilter)?,
        Err(_) => EnvFilter::new("info,sqlx=warn"),
    };
    let journal = std::env::var_os("JOURNAL_STREAM").is_some();
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_target(false)
        .with_ansi(std::io::stderr().is_terminal());
    // The journal stamps each line itself.
    let started = if journal { lines.without_time().try_init() } else { lines.try_init() };
    drop(started);
    Ok(())
}
