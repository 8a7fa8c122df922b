//! What a session keeps for a moment: what is being bound in it, and what waits to be answered; one of each for every kind
//! of second factor, so that looking at one way does not spoil another.
//!
//! All is encrypted like the mailbox password, under a key that follows from the browser's token: it ends with that
//! token, and nobody else's browser opens it.

use std::time::Duration;

use super::{Broken, Portal, Visit};
use crate::base::{Secret, aead};
use crate::config::FactorKind;
use crate::store::KeptFor;

/// How long something that was asked may be answered.
pub(super) const ANSWERED_WITHIN: Duration = Duration::from_secs(5 * 60);

/// Bytes of a moment.
const MOMENT_LEN: usize = 8;

#[derive(Clone, Copy, Debug)]
enum Purpose {
    /// It is being bound.
    Offer,
    /// It was asked.
    Challenge,
}

impl Purpose {
    fn as_str(self) -> &'static str {
        match self {
            Self::Offer => "offer",
            Self::Challenge => "challenge",
        }
    }

    fn label(self) -> &'static str {
        match self {
            Self::Offer => "mailward 1 offer of a portal session",
            Self::Challenge => "mailward 1 challenge of a portal session",
        }
    }
}

/// Something that a session keeps, as it was read; it can be taken once.
pub(super) struct Kept {
    pub(super) secret: Secret,
    purpose: Purpose,
    kind: FactorKind,
    sealed: Vec<u8>,
}

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
        self.keep(visit, (Purpose::Offer, kind), offer).await
    }

    /// What this session was offered to bind, of `kind`.
    ///
    /// # Errors
    /// [`Broken`]
    pub(super) async fn open_offer(&self, visit: &Visit, kind: FactorKind) -> Result<Option<Kept>, Broken> {
        self.open(visit, (Purpose::Offer, kind)).await
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
        self.keep(visit, (Purpose::Challenge, kind), &kept).await
    }

    /// What this session was asked for a factor of `kind`, if that may still be answered.
    ///
    /// # Errors
    /// [`Broken`]
    pub(super) async fn open_challenge(
        &self,
        visit: &Visit,
        kind: FactorKind,
    ) -> Result<Option<Kept>, Broken> {
        let Some(kept) = self.open(visit, (Purpose::Challenge, kind)).await? else { return Ok(None) };
        let Some((until, challenge)) = kept.secret.expose().split_first_chunk::<MOMENT_LEN>() else {
            return Ok(None);
        };
        let answerable = self.on.clock.now().unix_micros() < i64::from_be_bytes(*until);
        let secret = Secret::new(challenge.to_vec());
        Ok(answerable.then(|| Kept { secret, ..kept }))
    }

    /// Takes what was kept out of this session, because it was answered: of many at once one does, and nobody where the
    /// session has ended.
    ///
    /// # Errors
    /// [`Broken`]
    pub(super) async fn take(&self, visit: &Visit, kept: &Kept) -> Result<bool, Broken> {
        let place = place(kept.purpose, kept.kind);
        Ok(self
            .on
            .store
            .take_from_portal((visit.record.id, &visit.record.token), place, &kept.sealed)
            .await?)
    }

    async fn keep(
        &self,
        visit: &Visit,
        (purpose, kind): (Purpose, FactorKind),
        secret: &Secret,
    ) -> Result<(), Broken> {
        let sealed = aead::seal(&visit.token.derive(purpose.label()), &binding(visit, kind), secret);
        let kept = self.on.store.keep_in_portal(&visit.record.token, place(purpose, kind), &sealed).await?;
        if kept { Ok(()) } else { Err(Broken) }
    }

    async fn open(
        &self,
        visit: &Visit,
        (purpose, kind): (Purpose, FactorKind),
    ) -> Result<Option<Kept>, Broken> {
        let sealed = self.on.store.kept_in_portal(visit.record.id, place(purpose, kind)).await?;
        let Some(sealed) = sealed else { return Ok(None) };
        // What the same session keeps under another token is not this browser's.
        let secret = aead::open(&visit.token.derive(purpose.label()), &binding(visit, kind), &sealed);
        Ok(secret.map(|secret| Kept { secret, purpose, kind, sealed }))
    }
}

fn place(purpose: Purpose, kind: FactorKind) -> KeptFor<'static> {
    KeptFor { purpose: purpose.as_str(), kind: kind.as_str() }
}

/// In another session, or of another kind, it is nothing. Fixed lengths first.
fn binding(visit: &Visit, kind: FactorKind) -> Vec<u8> {
    [&visit.record.id.0.as_bytes()[..], kind.as_str().as_bytes()].concat()
}
