//! Binding and unbinding second factors.
//!
//! With each change the account's other portal sessions end, and no browser is trusted any more: the store does that with
//! the same statement. The browser that made the change goes on with another token.

use std::time::Duration;

use super::session::{open_offer, seal_offer};
use super::sign_in::Answer;
use super::{Broken, Fresh, Portal, doer};
use crate::audit::event::Outcome;
use crate::base::{FactorId, Secret, Token};
use crate::config::{AfterUnbind, FactorKind, Requirement};
use crate::factor::{FactorError, TotpEnrolment};
use crate::notify::Notice;
use crate::store::FactorRecord;

/// What is to be bound, for its owner's authenticator.
pub struct Offer {
    /// Base32 key, to type.
    pub key: Secret,
    /// `otpauth://totp/…`, to scan.
    pub uri: Secret,
}

/// It is bound.
pub struct Bound {
    /// What the browser shows from now on.
    pub token: Token,
    /// With the first factor: recovery codes, to be shown once.
    pub recovery_codes: Option<Vec<Secret>>,
}

/// Why a factor was not bound or unbound.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The code that should confirm it is wrong.
    #[error("the code is wrong")]
    WrongCode,
    /// Too many were wrong before.
    #[error("too many wrong codes")]
    TooMany {
        /// Until the next one may be tried.
        wait: Duration,
    },
    /// Nothing is being bound here, or not any more.
    #[error("nothing is being bound")]
    NoOffer,
    /// The site does not offer this kind.
    #[error("this kind of second factor is not offered")]
    NotOffered,
    /// A first factor may be bound from some networks only.
    #[error("a first second factor cannot be bound from this network")]
    Elsewhere,
    /// It is the last one, and one is required.
    #[error("it is the last one, and one is required")]
    Required,
    /// There is no such factor.
    #[error("there is no such second factor")]
    NotFound,
    /// Something does not work.
    #[error(transparent)]
    Broken(#[from] Broken),
}

/// It is unbound.
pub struct Unbinding {
    /// What the browser shows from now on.
    pub token: Token,
    /// App passwords that were revoked with it.
    pub app_passwords_revoked: u64,
}

impl Portal {
    /// Offers an authenticator app; the offer stands in this session until it is confirmed or another one is made.
    ///
    /// # Errors
    /// [`Refused`]
    pub async fn offer_totp(&self, fresh: Fresh<'_>) -> Result<Offer, Refused> {
        let Fresh(visit) = fresh;
        self.may_bind(fresh)?;
        // A page that is loaded again shows the same: it may have been scanned already.
        if let Some(enrolment) = open_offer(visit).and_then(|raw| self.resume(fresh, &raw)) {
            return Ok(Offer { key: enrolment.secret, uri: enrolment.uri });
        }
        let settings = self.settings();
        let enrolment = self.on.factors.enrol_totp(&settings.hostname, &visit.account.address);
        let sealed = seal_offer(visit, enrolment.raw());
        let kept = self.on.store.set_portal_offer(&visit.record.token, Some(&sealed)).await;
        if !kept.map_err(Broken::from)? {
            return Err(Broken.into());
        }
        Ok(Offer { key: enrolment.secret, uri: enrolment.uri })
    }

    /// Binds what this session was offered, if `code` is right.
    ///
    /// # Errors
    /// [`Refused`]
    pub async fn bind_totp(&self, fresh: Fresh<'_>, code: &str) -> Result<Bound, Refused> {
        let Fresh(visit) = fresh;
        self.may_bind(fresh)?;
        let raw = open_offer(visit).ok_or(Refused::NoOffer)?;
        let enrolment = self.resume(fresh, &raw).ok_or(Refused::NoOffer)?;
        let answering = self.on.gate.answering(visit.from.address, &visit.account.address).await;
        let kind = FactorKind::Totp.as_str();
        let given = Answer { account: &visit.account, from: &visit.from, kind };
        let answering = answering.map_err(|too_many| {
            self.note(given, Outcome::Limited);
            Refused::TooMany { wait: too_many.wait }
        })?;
        if !self.on.factors.confirms(&enrolment, code) {
            drop(answering);
            self.record(given, Outcome::Refused, "the code is wrong: nothing is bound").await?;
            return Err(Refused::WrongCode);
        }
        // Of a form that is sent twice one binds; and none of a session that somebody has ended meanwhile.
        match self.on.store.take_portal_offer(&visit.record.token).await {
            Ok(true) => {}
            Ok(false) => {
                answering.undecided();
                return Err(Refused::NoOffer);
            }
            Err(error) => {
                answering.undecided();
                return Err(Broken::from(error).into());
            }
        }
        let by = self.owner(&visit.from);
        match self.on.factors.bind_totp(&visit.account, &enrolment, Some(code), &by).await {
            Ok(_) => answering.right(),
            Err(FactorError::WrongCode) => {
                drop(answering);
                return Err(Refused::WrongCode);
            }
            Err(error) => {
                answering.undecided();
                return Err(super::broken(&error).into());
            }
        }
        let factor = FactorKind::Totp.as_str().to_owned();
        self.tell(&visit.account, Notice::FactorBound { factor, by: doer(&visit.from) }).await;
        let recovery_codes = if visit.is_bound() {
            None
        } else {
            match self.on.factors.make_recovery_codes(&visit.account, &by).await {
                Ok(codes) => Some(codes),
                // The factor is bound, and that has to be said.
                Err(error) => {
                    super::broken(&error);
                    None
                }
            }
        };
        let now = self.on.clock.now();
        let bound = visit.bound_factors.saturating_add(1);
        let token = self.renew(visit, Some(bound), |record| record.verified_at = Some(now)).await?;
        Ok(Bound { token, recovery_codes })
    }

    /// Makes ten new recovery codes; older ones are void.
    ///
    /// # Errors
    /// [`Broken`], also where no factor is bound.
    pub async fn make_recovery_codes(&self, fresh: Fresh<'_>) -> Result<Vec<Secret>, Broken> {
        let Fresh(visit) = fresh;
        if !visit.is_bound() {
            return Err(Broken);
        }
        let made = self.on.factors.make_recovery_codes(&visit.account, &self.owner(&visit.from)).await;
        let codes = made.map_err(|error| super::broken(&error))?;
        self.tell(&visit.account, Notice::RecoveryCodesMade { by: doer(&visit.from) }).await;
        Ok(codes)
    }

    /// Unbinds one factor.
    ///
    /// # Errors
    /// [`Refused`]
    pub async fn unbind(&self, fresh: Fresh<'_>, id: FactorId) -> Result<Unbinding, Refused> {
        let Fresh(visit) = fresh;
        let factors = self.on.factors.list(visit.account.id).await.map_err(Broken::from)?;
        let factor = factors.iter().find(|factor| factor.id == id).ok_or(Refused::NotFound)?;
        let keep_one = self.is_required(fresh);
        let after = (self.after_unbind(fresh), keep_one);
        let by = self.owner(&visit.from);
        let unbound = self.on.factors.unbind_one(&visit.account, factor.id, after, "by its owner", &by).await;
        let unbound = unbound.map_err(|error| super::broken(&error))?;
        if unbound.factors.is_empty() {
            // It is the last one, or somebody else has unbound it a moment ago.
            return Err(if keep_one && factors.len() == 1 { Refused::Required } else { Refused::NotFound });
        }
        let notice = Notice::FactorUnbound {
            factors: unbound.factors.iter().map(|factor| factor.kind.clone()).collect(),
            app_passwords_revoked: unbound.app_passwords,
            reason: None,
            by: doer(&visit.from),
        };
        self.tell(&visit.account, notice).await;
        let left = visit.bound_factors.saturating_sub(1);
        let token = self.renew(visit, Some(left), |_| ()).await?;
        Ok(Unbinding { token, app_passwords_revoked: unbound.app_passwords })
    }

    /// What unbinding the last factor does to app passwords.
    #[must_use]
    pub fn after_unbind(&self, fresh: Fresh<'_>) -> AfterUnbind {
        self.settings().policy(&fresh.0.account).app_passwords_after_unbind
    }

    /// Whether the last factor must stay.
    #[must_use]
    pub fn is_required(&self, fresh: Fresh<'_>) -> bool {
        match self.settings().policy(&fresh.0.account).second_factor {
            Requirement::Optional => false,
            Requirement::Required { .. } => true,
        }
    }

    fn may_bind(&self, fresh: Fresh<'_>) -> Result<(), Refused> {
        let Fresh(visit) = fresh;
        let settings = self.settings();
        let policy = settings.policy(&visit.account);
        if !policy.factors.contains(&FactorKind::Totp) {
            return Err(Refused::NotOffered);
        }
        let anywhere = policy.enrol_from.is_empty() || policy.enrol_from.contains(visit.from.address);
        if visit.is_bound() || anywhere { Ok(()) } else { Err(Refused::Elsewhere) }
    }

    fn resume(&self, fresh: Fresh<'_>, raw: &Secret) -> Option<TotpEnrolment> {
        self.on.factors.resume_totp(&self.settings().hostname, &fresh.0.account.address, raw)
    }
}

/// A factor that is bound, for lists.
pub(super) fn kind_of(factor: &FactorRecord) -> Option<FactorKind> {
    FactorKind::ALL.into_iter().find(|kind| kind.as_str() == factor.kind)
}
