//! What a client that got in holds: a place among its account's sessions, and the duty to say when it leaves.

use std::sync::Arc;
use std::time::Duration;

use super::attempt::Desk;
use super::live::{Cause, Place, Traffic};
use crate::audit::Event;
use crate::audit::event::SessionEnd;
use crate::base::{Access, Address, Monotonic};

/// Proof of admission: the only key to a relay. Holds a place among the account's sessions until it is dropped.
#[must_use]
pub struct Passage {
    desk: Arc<Desk>,
    place: Place,
    began: Monotonic,
    recorded: bool,
}

/// How a relayed session ended; how much it moved is counted in its [`Traffic`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionSummary {
    /// How long it was relayed.
    pub duration: Duration,
    /// `client_closed`, `upstream_closed`, `idle`, `drained`, `error`, or a [`Cause`].
    pub reason: &'static str,
}

impl Passage {
    /// Lets in.
    pub(super) fn new(desk: &Arc<Desk>, place: Place) -> Self {
        Self { desk: Arc::clone(desk), place, began: desk.clock.monotonic(), recorded: false }
    }

    /// It could not be recorded that anybody was let in: then nobody is, and there is no end to record.
    pub(super) fn never_began(mut self) {
        self.recorded = true;
    }

    /// Whose session it is.
    #[must_use]
    pub fn account(&self) -> &Address {
        &self.place.session().address
    }

    /// How much of the mailbox its client may touch: who relays the session holds it to that.
    #[must_use]
    pub fn access(&self) -> Access {
        self.place.session().access
    }

    /// Where the relay counts.
    #[must_use]
    pub fn traffic(&self) -> Arc<Traffic> {
        Arc::clone(&self.place.session().traffic)
    }

    /// Waits until what the session rests on is no more. From then on nothing may be relayed.
    pub async fn ended(&mut self) -> Cause {
        self.place.ended().await
    }

    /// Records the end; the place is free when this returns.
    pub(super) async fn end(mut self, summary: SessionSummary) {
        self.recorded = true;
        let event = self.event(&summary);
        let desk = Arc::clone(&self.desk);
        drop(self);
        desk.record_at_leisure(event);
    }

    /// The record, and the one line of the log that says the same.
    fn event(&self, summary: &SessionSummary) -> Event {
        let SessionSummary { duration, reason } = *summary;
        let session = self.place.session();
        let (bytes_from_client, bytes_to_client) = session.traffic.so_far();
        let duration_ms = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        tracing::info!(
            session.id = %session.id,
            protocol = %session.protocol,
            client.ip = %session.client,
            account = %session.address,
            reason,
            duration_ms,
            bytes_from_client,
            bytes_to_client,
            "session end"
        );
        Event::SessionEnd(SessionEnd {
            session: session.id,
            protocol: session.protocol,
            ip: session.client,
            account: session.address.to_string(),
            upstream: session.upstream.clone(),
            since: session.since,
            duration_ms,
            bytes_from_client,
            bytes_to_client,
            reason: reason.to_owned(),
        })
    }
}

impl Drop for Passage {
    /// A session that nobody ended in order was let in all the same: its end is recorded.
    fn drop(&mut self) {
        if self.recorded {
            return;
        }
        let duration = self.desk.clock.monotonic().since(self.began);
        let event = self.event(&SessionSummary { duration, reason: "error" });
        self.desk.record_at_leisure(event);
    }
}
