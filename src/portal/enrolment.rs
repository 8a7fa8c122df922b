//! Whether somebody who has no factor may bind one here: the decision, and the right that a binding uses up.
//!
//! Before the first factor there is nothing but the mailbox password, which a thief has as well. Where the site says so, it
//! is not enough: for a first factor, and for app passwords, which would outlast the binding.

use super::{Broken, Inside, Portal, Refused, Visit};
use crate::config::{EnrolBy, Help};
use crate::factor::LinkError;
use crate::store::EnrolmentLinkRecord;

/// Whether a factor may be bound here and now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Enrolment {
    /// It may.
    Open,
    /// The first one may not from this network, unless with a link.
    Elsewhere,
    /// The first one may not without a link.
    NeedsLink,
    /// The same, and the link that the browser shows is of no use: of another account, used up, replaced or too old.
    LinkVoid,
}

/// By what right a factor is bound.
#[must_use = "a right that is not used lets a link be used again"]
pub(super) enum Right {
    /// One is bound already, or this is where the first one may be bound.
    Own,
    /// An administrator's link.
    Link(EnrolmentLinkRecord),
}

impl Portal {
    /// Whether a factor may be bound in this session.
    ///
    /// # Errors
    /// [`Broken`]
    pub async fn enrolment(&self, inside: Inside<'_>) -> Result<Enrolment, Broken> {
        Ok(match self.right(inside.0).await? {
            Ok(Right::Own | Right::Link(_)) => Enrolment::Open,
            Err(closed) => closed,
        })
    }

    /// What the site tells the owner of this account who does not know how to go on.
    #[must_use]
    pub fn help(&self, visit: &Visit) -> Help {
        self.settings().policy(&visit.account).help.clone()
    }

    /// The same, for whoever goes on to bind.
    ///
    /// # Errors
    /// [`Refused::Elsewhere`], or what is broken.
    pub(super) async fn right_to_bind(&self, visit: &Visit) -> Result<Right, Refused> {
        self.right(visit).await?.map_err(|_| Refused::Elsewhere)
    }

    async fn right(&self, visit: &Visit) -> Result<Result<Right, Enrolment>, Broken> {
        let settings = self.settings();
        let policy = settings.policy(&visit.account);
        if visit.is_bound() {
            return Ok(Ok(Right::Own));
        }
        let here = policy.enrol_from.is_empty() || policy.enrol_from.contains(visit.from.address);
        let closed = match policy.enrol_by {
            EnrolBy::Anyone if here => return Ok(Ok(Right::Own)),
            EnrolBy::Anyone => Enrolment::Elsewhere,
            EnrolBy::Link => Enrolment::NeedsLink,
        };
        let Some(token) = &visit.link else { return Ok(Err(closed)) };
        let link = self.on.factors.invitation(&visit.account, token).await?;
        Ok(link.map(Right::Link).ok_or(Enrolment::LinkVoid))
    }

    /// Uses the right up, at the last moment before the binding: of many who have the same link one binds.
    ///
    /// # Errors
    /// [`Refused::Elsewhere`] where somebody else has used it meanwhile, or what is broken.
    pub(super) async fn use_right(&self, visit: &Visit, right: &Right) -> Result<(), Refused> {
        let Right::Link(link) = right else { return Ok(()) };
        match self.on.factors.use_invitation(&visit.account, link, &self.owner(&visit.from)).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(Refused::Elsewhere),
            Err(LinkError::Store(error)) => Err(Broken::from(error).into()),
            Err(error @ (LinkError::Bound | LinkError::NoAccount | LinkError::Unrecorded(_))) => {
                Err(super::broken(&error).into())
            }
        }
    }

    /// Nothing was bound by it: a link is good again.
    pub(super) async fn give_right_back(&self, right: Right) {
        if let Right::Link(link) = right
            && let Err(error) = self.on.factors.give_invitation_back(&link).await
        {
            super::broken(&error);
        }
    }
}
