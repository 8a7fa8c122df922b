//! How connections end when the gate stops: whoever is in the middle of something may finish it, and whoever waits is
//! told to come back, in the protocol's own words where it has some.
//!
//! ```text
//!   told to stop ─▶ no new connections ─▶ silent for a pause ─▶ the last word ─▶ closed
//!                                     └─▶ in the middle of something ──(server.drain)──▶ closed
//! ```
//!
//! A login under way goes on for as long as that: its client is answered, and then leaves like the others. Whatever is
//! left at the end is cut off, recorded like all that ends.

use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::tls::Stream;

/// A silence that ends a connection when the gate stops: longer than the pauses between two commands of one errand, and
/// short, because it is the least time that a restart takes.
pub(super) const PAUSE: Duration = Duration::from_secs(1);

/// What a relay needs to know of the gate's end.
pub(super) struct Drain<'a> {
    /// Turns true when the gate is about to stop.
    pub(super) told: &'a mut watch::Receiver<bool>,
    /// What the client hears then.
    pub(super) farewell: &'a (dyn Fn() -> Option<String> + Sync),
}

impl Drain<'_> {
    /// Says the last word to a client that understands it now; one that does not read misses it.
    pub(super) async fn say_farewell(&self, client: &mut Stream, at_most: Duration) {
        let Some(words) = (self.farewell)() else { return };
        let say = async {
            client.write_all(words.as_bytes()).await?;
            client.flush().await
        };
        let _ = timeout(at_most, say).await;
    }
}

/// What a connection that does not relay needs to know of it.
pub(super) struct Leaving {
    told: watch::Receiver<bool>,
}

impl Leaving {
    /// `told` turns true when the gate is about to stop.
    pub(super) fn new(told: watch::Receiver<bool>) -> Self {
        Self { told }
    }

    /// Happens when the gate is about to stop and a pause has passed in which the client could go on.
    pub(super) fn time_to_leave(&self) -> impl Future<Output = ()> + use<> {
        self.after(PAUSE)
    }

    /// Happens when the gate is about to stop and `time` has passed.
    pub(super) fn after(&self, time: Duration) -> impl Future<Output = ()> + use<> {
        let mut told = self.told.clone();
        async move {
            let is_told = told.wait_for(|told| *told).await.is_ok();
            if !is_told {
                // Nobody is left to stop it.
                std::future::pending::<()>().await;
            }
            sleep(time).await;
        }
    }
}
