//! Seals whose mailbox password the upstream refused.
//!
//! ```text
//!   fresh ──refused──▶ stale ──15 min, 1 h, then every 6 h: one attempt probes──▶ taken: fresh
//!     ▲                  │                                                    └──▶ refused: stale
//!     └──── re-sealed ───┘
//! ```
//!
//! What is stale is not sent, so that clients that poll do not lock the mailbox upstream. The mark is in the row,
//! where every node reads it at each login. Callers have found the row's MAC right; the mark itself is not under it:
//! whoever can write the database could delete the row as well.

use std::time::Duration;

use super::AppPasswords;
use crate::audit::{Author, Event};
use crate::base::{Address, Timestamp};
use crate::store::{AppPasswordRecord, SentSeal, StoreError};

/// Leave to send a stale seal upstream once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Probe {
    /// When the next one is due, which is also how this one is known.
    next_at: Timestamp,
}

/// How long a stale seal rests after `probes` probes. Servers that lock mailboxes forget failures within minutes or
/// by the day: six hours keep below both, a quarter of an hour mends soon what was the upstream's error.
fn rest(probes: i64) -> Duration {
    const MINUTE: u64 = 60;
    Duration::from_secs(match probes {
        ..=0 => 15 * MINUTE,
        1 => 60 * MINUTE,
        2.. => 360 * MINUTE,
    })
}

impl AppPasswords {
    /// The upstream refused `sent`, definitely: it is stale from now on, and so are those of the account that are no
    /// younger. Nothing happens where it is marked already or was replaced. The mark stands where it cannot be
    /// recorded: it closes a door.
    ///
    /// # Errors
    /// [`StoreError`]; then nothing is marked.
    pub async fn mark_stale(
        &self,
        address: &Address,
        sent: &SentSeal,
        by: &Author<'_>,
    ) -> Result<(), StoreError> {
        let now = self.clock.now();
        let labels = self.store.mark_stale(sent, now, now.plus(rest(0))).await?;
        if !labels.is_empty() {
            let (account, upstream) = (address.to_string(), sent.upstream.clone());
            record(by, |by| Event::MailboxPasswordStale { account, upstream, labels, by }).await;
        }
        Ok(())
    }

    /// Leave to send the stale seal in `row` once, if that is due and no other attempt on any node has it.
    ///
    /// A probe that nobody tells the end of is taken as refused.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn claim_probe(&self, row: &AppPasswordRecord) -> Result<Option<Probe>, StoreError> {
        let now = self.clock.now();
        if row.next_probe_at.is_none_or(|at| now < at) {
            return Ok(None);
        }
        let next_at = now.plus(rest(row.probes.saturating_add(1)));
        let claimed = self.store.claim_probe(&seal(row), now, next_at).await?;
        Ok(claimed.then_some(Probe { next_at }))
    }

    /// The probe told nothing, since the upstream did not answer or asked for patience: it does not count, but the
    /// password may have been sent, so that the next one waits as long as the first.
    ///
    /// # Errors
    /// [`StoreError`]; then the next one waits for the longer time that was claimed.
    pub async fn give_probe_back(&self, sent: &SentSeal, probe: Probe) -> Result<(), StoreError> {
        self.store.give_probe_back(sent, probe.next_at, self.clock.now().plus(rest(0))).await
    }

    /// The upstream took the probe: what was sealed together with `sent` holds the same mailbox password and is fresh
    /// again. Others of the account may hold another one, and may be probed at once.
    ///
    /// # Errors
    /// [`StoreError`]; then the mark stands until the next probe.
    pub async fn clear_stale(
        &self,
        address: &Address,
        sent: &SentSeal,
        by: &Author<'_>,
    ) -> Result<(), StoreError> {
        let labels = self.store.clear_stale(sent, self.clock.now()).await?;
        if !labels.is_empty() {
            let (account, upstream) = (address.to_string(), sent.upstream.clone());
            record(by, |by| Event::MailboxPasswordTaken { account, upstream, labels, by }).await;
        }
        Ok(())
    }
}

/// The seal in `row`.
fn seal(row: &AppPasswordRecord) -> SentSeal {
    SentSeal {
        account: row.account,
        app_password: row.id,
        upstream: row.upstream.clone(),
        version: row.sealed_version,
    }
}

async fn record(by: &Author<'_>, event: impl FnOnce(crate::audit::event::Actor) -> Event) {
    if let Err(error) = by.record(event).await {
        tracing::error!(error = &error as &dyn std::error::Error, "what became of a seal cannot be recorded");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probes_are_rare_and_get_rarer() {
        let minutes: Vec<_> = (0..5).map(|probes| rest(probes).as_secs() / 60).collect();
        assert_eq!(minutes, [15, 60, 360, 360, 360]);
    }
}
