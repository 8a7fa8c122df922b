//! What the gate does with a seal that the upstream refused, and how it learns of a better one.
//!
//! ```text
//!   the row says stale ─▶ no probe due, or another attempt has it ─▶ refused, nothing is sent
//!                      └▶ this attempt claims the probe ─▶ sent ─▶ taken: cleared · refused: stays · neither: given back
//! ```
//!
//! All of it happens behind a proven app password: nobody else learns that a mailbox password has changed. The mark
//! is the database's (`app_password::stale`), for all nodes; what this process saw refused it remembers itself as
//! well, for the time in which the database cannot be written or read.

use std::collections::HashMap;
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use super::attempt::OpenAttempt;
use super::authenticator::Gate;
use super::grant::{Basis, UpstreamSaid};
use super::judge::Leave;
use super::upstream_login::Style;
use super::verdict::No;
use crate::account::Located;
use crate::app_password::{Probe, ProvenMailbox};
use crate::audit::Author;
use crate::audit::event::Actor;
use crate::base::{AccountId, Address, AppPasswordId, Monotonic, Password, UpstreamName};
use crate::protocol::Refusal;
use crate::store::{AppPasswordRecord, SentSeal};

/// How long a process goes by its own memory: no longer than the mark that it stands for forbids any sending.
const REMEMBERED: Duration = Duration::from_secs(15 * 60);

/// As many as there are proofs in memory, at some 50 bytes each.
const SEEN_MAX: usize = 65_536;

/// A seal on its way upstream.
pub(super) struct Sent {
    pub(super) seal: SentSeal,
    /// Set where it is stale, and sent all the same.
    pub(super) probe: Option<Probe>,
}

/// The refused seals that this process saw.
#[derive(Default)]
pub(super) struct RefusedSeals {
    seen: HashMap<AppPasswordId, Seen>,
}

struct Seen {
    version: i64,
    at: Monotonic,
    /// Whether the database says so, too.
    marked: bool,
}

impl Gate {
    /// `leave`, unless the seal that it would send is stale by `row`, read just now, and not to be probed.
    pub(super) async fn unless_stale(
        &self,
        address: &Address,
        row: &AppPasswordRecord,
        mut leave: Leave,
    ) -> Result<Leave, No> {
        let Basis::AppPassword { sealed: Some(sent), .. } = &mut leave.basis else { return Ok(leave) };
        let Some(since) = row.stale_since else {
            if self.refused_seals().lacks_its_mark(&sent.seal, self.now()) {
                self.mark(address, &sent.seal).await;
                return Err(stale("the upstream refused the sealed mailbox password a moment ago"));
            }
            return Ok(leave);
        };
        self.refused_seals().note(&sent.seal, true, self.now());
        match self.app_passwords.claim_probe(row).await {
            Ok(Some(probe)) => {
                sent.probe = Some(probe);
                Ok(leave)
            }
            Ok(None) => Err(stale(&format!("the sealed mailbox password is stale since {since}"))),
            Err(error) => {
                tracing::warn!(
                    error = &error as &dyn Error,
                    "whether a stale password may be tried is not known"
                );
                Err(stale(&format!("the sealed mailbox password is stale since {since}")))
            }
        }
    }

    /// `leave`, unless this process saw the seal refused that it would send. For the time without the database.
    pub(super) fn unless_seen_refused(&self, leave: Leave) -> Result<Leave, No> {
        match &leave.basis {
            Basis::AppPassword { sealed: Some(sent), .. }
                if self.refused_seals().contain(&sent.seal, self.now()) =>
            {
                Err(stale("the sealed mailbox password was stale when the database last answered"))
            }
            Basis::AppPassword { .. } | Basis::MailboxPassword => Ok(leave),
        }
    }

    /// Takes what the upstream said to a seal, so that the next attempt on any node knows it.
    pub(super) async fn note_what_became_of_the_seal(
        &self,
        attempt: &OpenAttempt,
        basis: &Basis,
        said: &UpstreamSaid,
    ) {
        let (Basis::AppPassword { sealed: Some(sent), .. }, Some(located)) = (basis, &attempt.located) else {
            return;
        };
        let noted = match (said, sent.probe) {
            (UpstreamSaid::No, None) => return self.mark(&located.address, &sent.seal).await,
            (UpstreamSaid::Yes, Some(_)) => {
                self.refused_seals().forget(&sent.seal);
                let by = Author::new(&self.desk.audit, Actor::Gate);
                self.app_passwords.clear_stale(&located.address, &sent.seal, &by).await
            }
            (UpstreamSaid::Unavailable { .. }, Some(probe)) => {
                self.app_passwords.give_probe_back(&sent.seal, probe).await
            }
            (UpstreamSaid::No, Some(_)) | (UpstreamSaid::Yes | UpstreamSaid::Unavailable { .. }, None) => {
                Ok(())
            }
        };
        if let Err(error) = noted {
            tracing::warn!(error = &error as &dyn Error, account = %located.address, "a stale mailbox password stays marked as it is");
        }
    }

    /// Tells all nodes that `seal` was refused; while that cannot be written, this one knows it by itself.
    async fn mark(&self, address: &Address, seal: &SentSeal) {
        let by = Author::new(&self.desk.audit, Actor::Gate);
        let marked = self.app_passwords.mark_stale(address, seal, &by).await;
        if let Err(error) = &marked {
            tracing::warn!(error = error as &dyn Error, account = %address, "a stale mailbox password is not marked yet");
        }
        self.refused_seals().note(seal, marked.is_ok(), self.now());
        // Here nobody waits until the mark is heard of.
        self.registry.note_changes([seal.account]);
    }

    /// The owner of an account without a factor got in with the mailbox password: app passwords that lack it get it,
    /// behind the client's back. A bound account never gets here: its mailbox password opens nothing.
    pub(super) fn learn(&self, located: &Located, account: AccountId, password: Password) {
        if !self.rules().upstream(&located.upstream).is_some_and(|rules| matches!(rules.style, Style::Sealed))
        {
            return;
        }
        let (app_passwords, desk) = (Arc::clone(&self.app_passwords), Arc::clone(&self.desk));
        let registry = Arc::clone(&self.registry);
        let (address, upstream, at) = (located.address.clone(), located.upstream.clone(), desk.clock.now());
        tokio::spawn(async move {
            match app_passwords.list(account).await {
                Ok(rows) if !rows.iter().any(|row| lacks(row, &upstream)) => return,
                Ok(_) => {}
                Err(error) => return unlearnt(&address, &error),
            }
            let mailbox = ProvenMailbox { password: &password, upstream: &upstream, at };
            let by = Author::new(&desk.audit, Actor::Gate);
            let resealed = app_passwords.reseal(account, &address, mailbox, &by).await;
            registry.note_changes([account]);
            if let Err(error) = resealed {
                unlearnt(&address, &error);
            }
        });
    }
}

/// Whether an app password cannot be used at `upstream` for want of the mailbox password.
fn lacks(row: &AppPasswordRecord, upstream: &UpstreamName) -> bool {
    row.stale_since.is_some() || row.sealed.is_none() || row.upstream != *upstream
}

fn unlearnt(address: &Address, error: &(dyn Error + 'static)) {
    tracing::warn!(error, account = %address, "a proven mailbox password is not re-sealed");
}

fn stale(why: &str) -> No {
    No::proven(Refusal::Stale, why)
}

impl RefusedSeals {
    /// `seal` was refused; `marked`: the database says so.
    fn note(&mut self, seal: &SentSeal, marked: bool, now: Monotonic) {
        if self.seen.len() >= SEEN_MAX {
            self.seen.retain(|_, seen| !seen.is_over(now));
        }
        if self.seen.len() < SEEN_MAX || self.seen.contains_key(&seal.app_password) {
            self.seen.insert(seal.app_password, Seen { version: seal.version, at: now, marked });
        }
    }

    /// The database, read just now, does not say that `seal` was refused: whether it should. What it has taken back
    /// since is forgotten here, too.
    fn lacks_its_mark(&mut self, seal: &SentSeal, now: Monotonic) -> bool {
        let lacks = self.seen.get(&seal.app_password).is_some_and(|seen| !seen.marked && seen.is(seal, now));
        if !lacks {
            self.forget(seal);
        }
        lacks
    }

    fn contain(&self, seal: &SentSeal, now: Monotonic) -> bool {
        self.seen.get(&seal.app_password).is_some_and(|seen| seen.is(seal, now))
    }

    fn forget(&mut self, seal: &SentSeal) {
        self.seen.remove(&seal.app_password);
    }
}

impl Seen {
    fn is(&self, seal: &SentSeal, now: Monotonic) -> bool {
        self.version == seal.version && !self.is_over(now)
    }

    fn is_over(&self, now: Monotonic) -> bool {
        now.since(self.at) >= REMEMBERED
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn seal(number: usize, version: i64) -> SentSeal {
        SentSeal {
            account: AccountId(Uuid::nil()),
            app_password: AppPasswordId(Uuid::from_u128(number as u128)),
            upstream: UpstreamName("legacy".to_owned()),
            version,
        }
    }

    #[test]
    fn a_refusal_is_remembered_for_a_quarter_of_an_hour_and_of_this_version_only() {
        let (mut seals, begun) = (RefusedSeals::default(), Monotonic::default());
        let after = |seconds| begun.plus(Duration::from_secs(seconds));
        seals.note(&seal(1, 4), false, begun);
        assert!(seals.contain(&seal(1, 4), after(899)) && !seals.contain(&seal(1, 4), after(900)));
        assert!(!seals.contain(&seal(1, 5), begun), "it was sealed anew");
    }

    #[test]
    fn seals_that_were_refused_long_ago_make_room_and_no_others() {
        let (mut seals, begun) = (RefusedSeals::default(), Monotonic::default());
        let later = begun.plus(Duration::from_secs(60));
        for number in 0..SEEN_MAX {
            seals.note(&seal(number, 1), true, if number < 9 { begun } else { later });
        }
        seals.note(&seal(SEEN_MAX, 1), true, later);
        assert!(seals.contain(&seal(0, 1), later) && !seals.contain(&seal(SEEN_MAX, 1), later));
        let now = begun.plus(REMEMBERED);
        seals.note(&seal(SEEN_MAX, 1), true, now);
        assert!(seals.contain(&seal(9, 1), now) && seals.contain(&seal(SEEN_MAX, 1), now));
        assert_eq!(seals.seen.len(), SEEN_MAX - 8);
    }
}
