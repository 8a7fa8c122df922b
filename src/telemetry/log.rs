//! Logs for whoever operates the gate: one event each, on standard error or in the journal, never content.
//!
//! Field names are those of the audit trail: `session.id`, `protocol`, `client.ip`, `account`, `outcome`, `reason`,
//! `upstream`. In the journal they are fields of their own: `SESSION_ID`, `CLIENT_IP` and so on.

use std::io::{self, IsTerminal};
use std::os::unix::fs::MetadataExt as _;

use clap::ValueEnum;
use tracing_journald::{Priority, PriorityMappings};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer, Registry};

/// The variable that widens or narrows the log, e.g. `MAILWARD_LOG=debug`; `info` without it.
pub const LOG_VARIABLE: &str = "MAILWARD_LOG";

/// The name of the gate in the journal, whatever its file is called.
const IDENTIFIER: &str = "mailward";

/// How events are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// `journald` when standard error is the journal, else `human`
    #[default]
    Auto,
    /// Lines to read, on standard error
    Human,
    /// One JSON object on each line of standard error
    Json,
    /// The journal, with fields that it can search for: journalctl CLIENT_IP=192.0.2.1
    Journald,
}

/// Why there is no log.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// A filter that cannot be read.
    #[error("`{LOG_VARIABLE}` cannot be read\nhint: try `info`, `debug`, or `mailward::proxy=debug,info`")]
    Filter(#[source] tracing_subscriber::filter::ParseError),
    /// The journal was asked for and is not there.
    #[error(
        "the journal cannot be written\nhint: start the gate as a systemd service, or use `--log-format human`"
    )]
    Journal(#[source] io::Error),
}

/// Starts logging; the second call of a process does nothing.
///
/// # Errors
/// [`LogError`]
pub fn start(format: LogFormat) -> Result<(), LogError> {
    let filter = match std::env::var(LOG_VARIABLE) {
        Ok(text) => EnvFilter::try_new(text).map_err(LogError::Filter)?,
        Err(_) => EnvFilter::new("info,sqlx=warn"),
    };
    let started = Registry::default().with(filter).with(output(format)?).try_init();
    drop(started);
    Ok(())
}

type Output<S> = Box<dyn Layer<S> + Send + Sync>;

fn output<S>(format: LogFormat) -> Result<Output<S>, LogError>
where
    S: tracing::Subscriber + for<'a> tracing_subscriber::registry::LookupSpan<'a>,
{
    let lines = || tracing_subscriber::fmt::layer().with_writer(io::stderr).with_target(false);
    let human = || lines().with_ansi(io::stderr().is_terminal());
    match format {
        LogFormat::Human => Ok(human().boxed()),
        LogFormat::Json => {
            let json = lines().json().flatten_event(true).with_current_span(false).with_span_list(false);
            Ok(json.boxed())
        }
        LogFormat::Journald => Ok(journal().map_err(LogError::Journal)?.boxed()),
        LogFormat::Auto if !is_journal() => Ok(human().boxed()),
        // What reads standard error stamps each line itself.
        LogFormat::Auto => Ok(journal().map_or_else(|_| human().without_time().boxed(), Layer::boxed)),
    }
}

fn journal() -> io::Result<tracing_journald::Layer> {
    // As syslog has it: what happens every day is `info`, and `notice` is more than that.
    let priorities = PriorityMappings {
        info: Priority::Informational,
        debug: Priority::Debug,
        trace: Priority::Debug,
        ..PriorityMappings::new()
    };
    let layer = tracing_journald::layer()?.with_field_prefix(None).with_priority_mappings(priorities);
    Ok(layer.with_syslog_identifier(IDENTIFIER.to_owned()))
}

/// Whether standard error is what systemd says it has connected to the journal: whoever starts another program from
/// a service inherits the variable, but may lead its output elsewhere.
fn is_journal() -> bool {
    let here = std::fs::metadata("/proc/self/fd/2").map(|found| (found.dev(), found.ino()));
    let stream = std::env::var("JOURNAL_STREAM").ok();
    let said = stream.as_deref().and_then(|stream| {
        let (device, inode) = stream.split_once(':')?;
        Some((device.parse().ok()?, inode.parse().ok()?))
    });
    said.is_some() && said == here.ok()
}
