//! This process's sessions as other processes see them: written to the database in batches, some time after they
//! began, so that no login waits for it.
//!
//! For display and for finding the node of a session. When writing fails, everything is written anew once it works
//! again; what a node wrote that died is no longer shown after twenty seconds, and deleted after a minute.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use super::Session;
use crate::base::{Monotonic, random};
use crate::gate::authenticator::Gate;
use crate::store::{LiveSession, NodeId, StoreError};

/// How often a node without news says that it lives.
const BEAT_EVERY: Duration = Duration::from_secs(5);

/// How often bytes are written down, and dead nodes struck out.
const BYTES_EVERY: Duration = Duration::from_secs(15);

/// Rows in one transaction.
const BATCH: usize = 500;

/// How far the list in the database is up to date.
pub(in crate::gate) struct Listing {
    node: NodeId,
    /// The database knows this node, and the list lacks nothing but what the registry calls news.
    kept: bool,
    beat_at: Monotonic,
    bytes_at: Monotonic,
    failing: bool,
}

impl Listing {
    /// Of a process that has written nothing yet.
    pub(in crate::gate) fn new() -> Self {
        let node = NodeId(uuid::Uuid::from_bytes(random::bytes()));
        let never = Monotonic::default();
        Self { node, kept: false, beat_at: never, bytes_at: never, failing: false }
    }
}

impl Gate {
    /// Writes down what is new.
    pub(in crate::gate) async fn write_listing(&self) {
        let mut listing = self.listing.lock().await;
        match self.bring_up_to_date(&mut listing).await {
            Ok(kept) => {
                listing.kept = kept;
                listing.failing = false;
            }
            Err(error) => {
                listing.kept = false;
                if !std::mem::replace(&mut listing.failing, true) {
                    tracing::warn!(error = &error as &dyn Error, "live sessions are not listed yet");
                }
            }
        }
    }

    /// Strikes out this node and its sessions.
    pub(in crate::gate) async fn withdraw_listing(&self) {
        let mut listing = self.listing.lock().await;
        listing.kept = false;
        if let Err(error) = self.store.forget_node(listing.node).await {
            tracing::warn!(error = &error as &dyn Error, "this node stays in lists for some seconds more");
        }
    }

    /// Whether all is written; `false` where the database had forgotten this node.
    async fn bring_up_to_date(&self, listing: &mut Listing) -> Result<bool, StoreError> {
        let now = self.now();
        let (begun, ended) = if listing.kept {
            self.registry.take_news()
        } else {
            self.store.enlist_node(listing.node).await?;
            (self.registry.take_all(), Vec::new())
        };
        let mut moved = Vec::new();
        if now.since(listing.bytes_at) >= BYTES_EVERY {
            listing.bytes_at = now;
            self.store.forget_dead_nodes().await?;
            moved = self.registry.take_moved();
        }
        let (mut begun, mut moved, mut ended) =
            (begun.chunks(BATCH), moved.chunks(BATCH), ended.chunks(BATCH));
        loop {
            let batch = (begun.next(), moved.next(), ended.next());
            if let (None, None, None) = batch {
                break;
            }
            let (begun, moved) = (rows(batch.0.unwrap_or_default()), rows(batch.1.unwrap_or_default()));
            let ended = batch.2.unwrap_or_default();
            if !self.store.write_sessions(listing.node, &begun, &moved, ended).await? {
                return Ok(false);
            }
            listing.beat_at = now;
        }
        if now.since(listing.beat_at) >= BEAT_EVERY {
            listing.beat_at = now;
            return self.store.write_sessions(listing.node, &[], &[], &[]).await;
        }
        Ok(true)
    }
}

fn rows(sessions: &[Arc<Session>]) -> Vec<LiveSession> {
    let row = |session: &Arc<Session>| {
        let (bytes_from_client, bytes_to_client) = session.traffic.so_far();
        LiveSession {
            id: session.id,
            account: session.account,
            protocol: session.protocol,
            client: session.client,
            program: session.program.clone(),
            app_password: session.app_password,
            upstream: session.upstream.clone(),
            since: session.since,
            bytes_from_client,
            bytes_to_client,
        }
    };
    sessions.iter().map(row).collect()
}
