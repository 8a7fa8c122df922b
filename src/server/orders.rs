//! What the gate is told to do while it serves: by signals, and by files that change.

use anyhow::Context as _;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::files::{Files, Marked};

/// An order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// Read configuration and certificates anew.
    Reload,
    /// Let sessions end, and stop.
    Stop,
}

/// Where orders come from.
pub(super) struct Orders {
    hang_up: Signal,
    terminate: Signal,
    interrupt: Signal,
    files: Files,
}

impl Orders {
    /// Listens for signals and looks at `files` from now on.
    pub(super) fn listen(files: Vec<Marked>) -> anyhow::Result<Self> {
        let listen = |kind, name| signal(kind).with_context(|| format!("cannot listen for {name}"));
        Ok(Self {
            hang_up: listen(SignalKind::hangup(), "SIGHUP")?,
            terminate: listen(SignalKind::terminate(), "SIGTERM")?,
            interrupt: listen(SignalKind::interrupt(), "SIGINT")?,
            files: Files::watch(files),
        })
    }

    /// The next one. May be dropped and called again.
    pub(super) async fn next(&mut self) -> Order {
        tokio::select! {
            biased;
            _ = self.terminate.recv() => Order::Stop,
            _ = self.interrupt.recv() => Order::Stop,
            _ = self.hang_up.recv() => {
                tracing::info!("told to reload");
                Order::Reload
            }
            () = self.files.changed() => {
                tracing::info!("the configuration, or a file that it names, was changed");
                Order::Reload
            }
        }
    }

    /// The next one to stop; the others wait for [`Orders::next`]. May be dropped and called again.
    pub(super) async fn stop(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }

    /// All files are about to be read.
    pub(super) async fn note_files(&mut self) {
        self.files.note().await;
    }

    /// Looks at these files instead.
    pub(super) fn look_at(&mut self, files: Vec<Marked>) {
        self.files.watch_instead(files);
    }

    /// From now on the only order is to stop, and it ends the process at once. Never returns.
    pub(super) async fn end_at_the_next(mut self) {
        self.stop().await;
        tracing::warn!("told to stop twice: sessions are cut off");
        std::process::exit(1);
    }
}
