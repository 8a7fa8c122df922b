//! Composition: open what the gate stands on, build it floor by floor, serve, and close in the reverse order.

use crate::config::Config;

/// Serves until `SIGTERM` or `SIGINT`.
///
/// # Errors
/// Whatever keeps the gate from starting, with what to do about it.
pub async fn run(_config: Config) -> anyhow::Result<()> {
    anyhow::bail!("not composed yet")
}
