//! What a client that got in holds: a place among its account's sessions, and the duty to say when it leaves.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::Origin;
use super::attempt::Desk;
use crate::audit::Event;
use crate::audit::event::SessionEnd;
use crate::base::{Address, Monotonic, Timestamp, UpstreamName};

/// Proof of admission: the only key to a relay. Holds a place among the account's sessions until it is dropped.
#[must_use]
pub struct Passage {
    desk: Arc<Desk>,
    place: Place,
    origin: Origin,
    upstream: UpstreamName,
    since: Timestamp,
    began: Monotonic,
    ended: bool,
}

/// How a relayed session ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionSummary {
    /// How long it was relayed.
    pub duration: Duration,
    /// Bytes from the client to the upstream.
    pub bytes_from_client: u64,
    /// Bytes from the upstream to the client.
    pub bytes_to_client: u64,
    /// `client_closed`, `upstream_closed`, `idle`, `drained`, `error`.
    pub reason: &'static str,
}

impl Passage {
    /// Lets in.
    pub(super) fn new(desk: &Arc<Desk>, place: Place, origin: Origin, upstream: UpstreamName) -> Self {
        let (since, began) = (desk.clock.now(), desk.clock.monotonic());
        Self { desk: Arc::clone(desk), place, origin, upstream, since, began, ended: false }
    }

    /// Whose session it is.
    #[must_use]
    pub fn account(&self) -> &Address {
        &self.place.account
    }

    /// Records the end; the place is free when this returns.
    pub(super) async fn end(mut self, summary: SessionSummary) {
        self.ended = true;
        let event = self.event(&summary);
        let desk = Arc::clone(&self.desk);
        drop(self);
        desk.record(event).await;
    }

    /// The record, and the one line of the log that says the same.
    fn event(&self, summary: &SessionSummary) -> Event {
        let SessionSummary { duration, bytes_from_client, bytes_to_client, reason } = *summary;
        let duration_ms = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        tracing::info!(
            session.id = %self.origin.session,
            protocol = %self.origin.protocol,
            client.ip = %self.origin.client,
            account = %self.account(),
            reason,
            duration_ms,
            bytes_from_client,
            bytes_to_client,
            "session end"
        );
        Event::SessionEnd(SessionEnd {
            session: self.origin.session,
            protocol: self.origin.protocol,
            ip: self.origin.client,
            account: self.account().to_string(),
            upstream: self.upstream.clone(),
            since: self.since,
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
        if self.ended {
            return;
        }
        let duration = self.desk.clock.monotonic().since(self.began);
        let event = self.event(&SessionSummary {
            duration,
            bytes_from_client: 0,
            bytes_to_client: 0,
            reason: "error",
        });
        self.desk.record_later(event);
    }
}

/// How many sessions each account has; as many entries as accounts with a session.
pub(super) struct Sessions {
    most: u32,
    live: Mutex<HashMap<Address, u32>>,
}

/// A place among the sessions of an account.
pub(super) struct Place {
    sessions: Arc<Sessions>,
    account: Address,
}

impl Sessions {
    /// At most `most` for each account.
    pub(super) fn new(most: u32) -> Self {
        Self { most, live: Mutex::default() }
    }

    /// A place, if there is one.
    pub(super) fn take(self: &Arc<Self>, account: &Address) -> Option<Place> {
        let mut live = self.locked();
        let count = live.get(account).copied().unwrap_or(0);
        if count >= self.most {
            return None;
        }
        live.insert(account.clone(), count + 1);
        Some(Place { sessions: Arc::clone(self), account: account.clone() })
    }

    fn locked(&self) -> MutexGuard<'_, HashMap<Address, u32>> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut live = self.sessions.locked();
        if let Some(count) = live.get_mut(&self.account) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                live.remove(&self.account);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_comes_back_when_it_is_dropped() {
        let sessions = Arc::new(Sessions::new(2));
        let (a, b) = (Address::parse("a@example.org").unwrap(), Address::parse("b@example.org").unwrap());
        let held = [sessions.take(&a).unwrap(), sessions.take(&a).unwrap()];
        assert!(sessions.take(&a).is_none());
        assert!(sessions.take(&b).is_some(), "each account has its own");
        drop(held);
        assert!(sessions.locked().is_empty(), "nothing is held for those who left");
        assert!(sessions.take(&a).is_some());
    }
}
