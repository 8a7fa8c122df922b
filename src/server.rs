//! Composition: opens the store, builds the services, binds the listeners, and runs until told to stop.

use crate::config::Config;

/// Runs the gate.
///
/// # Errors
/// Whatever keeps it from starting.
pub async fn run(_config: Config) -> anyhow::Result<()> {
    anyhow::bail!("`serve` is not built yet")
}
