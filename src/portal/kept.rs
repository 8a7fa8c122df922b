//! What a session keeps for a moment: what is being bound in it, and what waits to be answered.
//!
//! Both are encrypted like the mailbox password, under a key that follows from the browser's token: they end with that
//! token, and nobody else's browser opens them.

use std::time::Duration;

use super::{Broken, Portal, Visit};
use crate::base::{Secret, aead};
use crate::config::FactorKind;

/// How long something that was asked may be answered.
pub(super) const ANSWERED_WITHIN: Duration = Duration::from_secs(5 * 60);

const OFFER: &str = "mailward 1 offer of a portal session";
const CHALLENGE: &str = "mailward 1 challenge of a portal session";

/// Bytes of a moment.
const MOMENT_LEN: usize = 8;

impl Portal {
    /// Keeps `offer`, of something of `kind` to bind, in the place of an earlier one.
    ///
    /// # Errors
    /// [`Broken`], also where the session has ended.
    pub(super) async fn keep_offer(
        &self,
        visit: &Visit,
        kind: FactorKind,
        offer: &Secret,
    ) -> Result<(), Broken> {
        let sealed = aead::seal(&visit.token.derive(OFFER), &binding(visit, kind), offer);
        if self.on.store.set_portal_offer(&visit.record.token, Some(&sealed)).await? {
            Ok(())
        } else {
            Err(Broken)
        }
    }

    /// Keeps `challenge`, for a factor of `kind`, in the place of an earlier one: from now on it may be answered, once.
    ///
    /// # Errors
    /// [`Broken`], also where the session has ended.
    pub(super) async fn keep_challenge(
        &self,
        visit: &Visit,
        kind: FactorKind,
        challenge: &Secret,
    ) -> Result<(), Broken> {
        let until = self.on.clock.now().plus(ANSWERED_WITHIN).unix_micros().to_be_bytes();
        let kept = Secret::new([&until[..], challenge.expose()].concat());
        let sealed = aead::seal(&visit.token.derive(CHALLENGE), &binding(visit, kind), &kept);
        let kept = self.on.store.set_portal_challenge(&visit.record.token, &sealed).await?;
        if kept { Ok(()) } else { Err(Broken) }
    }

    /// What this session was asked for a factor of `kind`, if that may still be answered.
    pub(super) fn open_challenge(&self, visit: &Visit, kind: FactorKind) -> Option<Secret> {
        let sealed = visit.record.challenge.as_deref()?;
        let kept = aead::open(&visit.token.derive(CHALLENGE), &binding(visit, kind), sealed)?;
        let (until, challenge) = kept.expose().split_first_chunk::<MOMENT_LEN>()?;
        let answerable = self.on.clock.now().unix_micros() < i64::from_be_bytes(*until);
        answerable.then(|| Secret::new(challenge.to_vec()))
    }

    /// Takes what this session was asked out of it, because it was answered: of many at once one does.
    ///
    /// # Errors
    /// [`Broken`]
    pub(super) async fn take_challenge(&self, visit: &Visit) -> Result<bool, Broken> {
        let Some(challenge) = visit.record.challenge.as_deref() else { return Ok(false) };
        Ok(self.on.store.take_portal_challenge(&visit.record.token, challenge).await?)
    }
}

/// What this session was offered to bind, of `kind`.
pub(super) fn open_offer(visit: &Visit, kind: FactorKind) -> Option<Secret> {
    aead::open(&visit.token.derive(OFFER), &binding(visit, kind), visit.record.offer.as_deref()?)
}

/// In another session, or of another kind, it is nothing. Fixed lengths first.
fn binding(visit: &Visit, kind: FactorKind) -> Vec<u8> {
    [&visit.record.id.0.as_bytes()[..], kind.as_str().as_bytes()].concat()
}
