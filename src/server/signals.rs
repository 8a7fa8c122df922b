//! What the gate is told by signals.

use anyhow::Context as _;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// Turns `close` true at the first signal; the second one ends the process at once.
pub(super) async fn until_told_to_stop(close: watch::Sender<bool>) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
    for last in [false, true] {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        if last {
            tracing::warn!("told to stop twice: sessions are cut off");
            std::process::exit(1);
        }
        tracing::info!("stopping: no new connections, sessions in flight may end");
        close.send_replace(true);
    }
    Ok(())
}
