//! What a session keeps for a moment: what is being bound in it, and what waits to be answered; one of each for every kind
//! of second factor, so that looking at one way does not spoil another. And what was typed into a form that came too late.
//!
//! All is encrypted like the mailbox password, under a key that follows from the browser's token: it ends with that
//! token, and nobody else's browser opens it. Where somebody inside verifies again, what is being bound goes on, and what
//! was typed.

use std::time::Duration;

use super::{Broken, Inside, Portal, Visit};
use crate::base::{PortalSessionId, Secret, Token, aead};
use crate::config::FactorKind;
use crate::store::KeptFor;

/// How long something that was asked may be answered.
pub(super) const ANSWERED_WITHIN: Duration = Duration::from_secs(5 * 60);

/// How long something that is offered may be bound, and what was typed stays, under however many tokens: whoever was at it when
/// his verification ran out still is. Somebody who had an earlier token may have seen it, so that it does not stay for longer.
const GOES_ON_FOR: Duration = Duration::from_secs(30 * 60);

/// Bytes of a moment.
const MOMENT_LEN: usize = 8;

#[derive(Clone, Copy, Debug)]
enum Purpose {
    /// It is being bound.
    Offer,
    /// It was asked.
    Challenge,
    /// It was typed into a form that wants a verification first; not about any factor.
    Typed,
}

/// Where the one thing is that was typed.
const TYPED: (Purpose, &str) = (Purpose::Typed, "");

impl Purpose {
    fn as_str(self) -> &'static str {
        match self {
            Self::Offer => "offer",
            Self::Challenge => "challenge",
            Self::Typed => "typed",
        }
    }

    fn label(self) -> &'static str {
        match self {
            Self::Offer => "mailward 1 offer of a portal session",
            Self::Challenge => "mailward 1 challenge of a portal session",
            Self::Typed => "mailward 1 typed text of a portal session",
        }
    }

    fn lasts(self) -> Duration {
        match self {
            Self::Offer | Self::Typed => GOES_ON_FOR,
            Self::Challenge => ANSWERED_WITHIN,
        }
    }
}

/// Something that a session keeps, as it was read; it can be taken once.
pub(super) struct Kept {
    pub(super) secret: Secret,
    until: [u8; MOMENT_LEN],
    purpose: Purpose,
    kind: &'static str,
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
        self.keep(visit, (Purpose::Offer, kind.as_str()), offer).await
    }

    /// What this session was offered to bind, of `kind`.
    ///
    /// # Errors
    /// [`Broken`]
    pub(super) async fn open_offer(&self, visit: &Visit, kind: FactorKind) -> Result<Option<Kept>, Broken> {
        self.open(visit, (Purpose::Offer, kind.as_str())).await
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
        self.keep(visit, (Purpose::Challenge, kind.as_str()), challenge).await
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
        self.open(visit, (Purpose::Challenge, kind.as_str())).await
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

    /// Keeps what was typed, which is no secret, in the place of what was typed before.
    ///
    /// # Errors
    /// [`Broken`], also where the session has ended.
    pub async fn keep_typed(&self, Inside(visit): Inside<'_>, typed: &Secret) -> Result<(), Broken> {
        self.keep(visit, TYPED, typed).await
    }

    /// What was typed in this session.
    ///
    /// # Errors
    /// [`Broken`]
    pub async fn typed(&self, Inside(visit): Inside<'_>) -> Result<Option<Secret>, Broken> {
        Ok(self.open(visit, TYPED).await?.map(|kept| kept.secret))
    }

    /// Forgets it.
    ///
    /// # Errors
    /// [`Broken`]
    pub async fn forget_typed(&self, Inside(visit): Inside<'_>) -> Result<(), Broken> {
        if let Some(kept) = self.open(visit, TYPED).await? {
            self.take(visit, &kept).await?;
        }
        Ok(())
    }

    /// What goes on when somebody inside has shown again who he is, and gets another token for that: what was typed, and what is
    /// being bound, for he may have scanned it. It opens nothing: he sends what was typed once more, and to bind takes a
    /// verification, the right to bind, and an answer, as before. What was asked is left behind: the question was who he is.
    /// Nothing goes on where somebody comes in, or locks everything: what another browser may have seen is then not to be bound.
    ///
    /// # Errors
    /// [`Broken`]
    pub(super) async fn going_on(&self, Inside(visit): Inside<'_>) -> Result<Vec<Kept>, Broken> {
        let mut going_on = Vec::new();
        for kind in FactorKind::ALL {
            going_on.extend(self.open_offer(visit, kind).await?);
        }
        going_on.extend(self.open(visit, TYPED).await?);
        Ok(going_on)
    }

    /// Keeps that, for as long as before, in the same session under its next token.
    pub(super) async fn go_on(&self, session: PortalSessionId, token: &Token, going_on: Vec<Kept>) {
        for Kept { secret, until, purpose, kind, .. } in going_on {
            // He is verified, and has to hear of that. What cannot be kept is offered or typed anew.
            let _broken = self.keep_until((session, token), (purpose, kind), until, &secret).await;
        }
    }

    async fn keep(
        &self,
        visit: &Visit,
        (purpose, kind): (Purpose, &'static str),
        secret: &Secret,
    ) -> Result<(), Broken> {
        let until = self.on.clock.now().plus(purpose.lasts()).unix_micros().to_be_bytes();
        self.keep_until((visit.record.id, &visit.token), (purpose, kind), until, secret).await
    }

    async fn keep_until(
        &self,
        (session, token): (PortalSessionId, &Token),
        (purpose, kind): (Purpose, &'static str),
        until: [u8; MOMENT_LEN],
        secret: &Secret,
    ) -> Result<(), Broken> {
        let kept = Secret::new([&until[..], secret.expose()].concat());
        let sealed = aead::seal(&token.derive(purpose.label()), &binding(session, kind), &kept);
        let kept = self.on.store.keep_in_portal(&token.hash(), place(purpose, kind), &sealed).await?;
        if kept { Ok(()) } else { Err(Broken) }
    }

    async fn open(
        &self,
        visit: &Visit,
        (purpose, kind): (Purpose, &'static str),
    ) -> Result<Option<Kept>, Broken> {
        let session = visit.record.id;
        let sealed = self.on.store.kept_in_portal(session, place(purpose, kind)).await?;
        let Some(sealed) = sealed else { return Ok(None) };
        // What the same session keeps under another token is not this browser's.
        let kept = aead::open(&visit.token.derive(purpose.label()), &binding(session, kind), &sealed);
        let Some((until, secret)) = kept.as_ref().and_then(|kept| kept.expose().split_first_chunk()) else {
            return Ok(None);
        };
        let (until, secret) = (*until, Secret::new(secret.to_vec()));
        let is_over = self.on.clock.now().unix_micros() >= i64::from_be_bytes(until);
        Ok((!is_over).then_some(Kept { secret, until, purpose, kind, sealed }))
    }
}

fn place(purpose: Purpose, kind: &'static str) -> KeptFor<'static> {
    KeptFor { purpose: purpose.as_str(), kind }
}

/// In another session, or of another kind, it is nothing. Fixed lengths first.
fn binding(session: PortalSessionId, kind: &str) -> Vec<u8> {
    [&session.0.as_bytes()[..], kind.as_bytes()].concat()
}
