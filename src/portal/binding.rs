//! Binding second factors: something is offered to the session, an answer confirms it.
//!
//! What a kind offers is its own; confirming it is the same for all, under the limit that answers have.

use std::time::Duration;

use super::enrolment::Right;
use super::sign_in::Answer;
use super::{Broken, Fresh, Portal, doer};
use crate::audit::event::Outcome;
use crate::base::{FactorId, Secret, Token, given_name};
use crate::config::{FactorKind, Policy, TotpParameters};
use crate::factor::{FACTORS_MAX, FactorError, TotpEnrolment};
use crate::notify::Notice;

/// An authenticator app's secret, for its owner.
pub struct TotpOffer {
    /// Base32 key, to type.
    pub key: Secret,
    /// `otpauth://totp/…`, to scan.
    pub uri: Secret,
    /// How its codes are made.
    pub parameters: TotpParameters,
}

/// It is bound.
pub struct Bound {
    /// What the browser shows from now on.
    pub token: Token,
    /// With the first factor: recovery codes, to be shown once.
    pub recovery_codes: Option<Vec<Secret>>,
}

/// Why a factor was not bound, changed or unbound.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The answer that should confirm it is wrong.
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
    /// A first factor may not be bound here: from some networks only, or with a link.
    #[error("a first second factor cannot be bound from this network, or without a link")]
    Elsewhere,
    /// The account has as many as it may have.
    #[error("there are as many second factors as there may be")]
    LimitReached,
    /// The name makes no sense.
    #[error("the name cannot be used")]
    BadName,
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

impl Portal {
    /// Offers an authenticator app, perhaps in the place of a factor. The offer stands in this session until it is confirmed or
    /// another one is made.
    ///
    /// # Errors
    /// [`Refused`]
    pub async fn offer_totp(
        &self,
        fresh: Fresh<'_>,
        replaces: Option<FactorId>,
    ) -> Result<TotpOffer, Refused> {
        let Fresh(visit) = fresh;
        let _unused = self.may_bind(fresh, (FactorKind::Totp, replaces)).await?;
        let settings = self.settings();
        let (site, address) = (&settings.hostname, &visit.account.address);
        // A page that is loaded again shows the same: it may have been scanned already.
        let open = self.open_offer(visit, FactorKind::Totp).await?;
        let open = open.and_then(|kept| self.on.factors.resume_totp(site, address, &kept.secret));
        let TotpEnrolment { secret, uri, parameters, .. } = match open {
            Some(enrolment) => enrolment,
            None => {
                let enrolment =
                    self.on.factors.enrol_totp(site, address, settings.policy(&visit.account).totp);
                self.keep_offer(visit, FactorKind::Totp, enrolment.raw()).await?;
                enrolment
            }
        };
        Ok(TotpOffer { key: secret, uri, parameters })
    }

    /// Binds what of `kind` this session was offered, if `answer` confirms it. `name` is what its owner calls it; empty if
    /// he gives it no name.
    ///
    /// # Errors
    /// [`Refused`]
    pub async fn bind(
        &self,
        fresh: Fresh<'_>,
        kind: FactorKind,
        name: &str,
        answer: &str,
    ) -> Result<Bound, Refused> {
        self.bind_offered(fresh, (kind, None), name, answer).await
    }

    /// The same in the place of the account's factor `old`, of that kind, which is unbound by it: there is always one of
    /// them, and never both.
    ///
    /// # Errors
    /// [`Refused`]
    pub async fn change(
        &self,
        fresh: Fresh<'_>,
        (kind, old): (FactorKind, FactorId),
        name: &str,
        answer: &str,
    ) -> Result<Bound, Refused> {
        self.bind_offered(fresh, (kind, Some(old)), name, answer).await
    }

    async fn bind_offered(
        &self,
        fresh: Fresh<'_>,
        (kind, replaces): (FactorKind, Option<FactorId>),
        name: &str,
        answer: &str,
    ) -> Result<Bound, Refused> {
        let Fresh(visit) = fresh;
        let right = self.may_bind(fresh, (kind, replaces)).await?;
        if !name.trim().is_empty() {
            given_name(name).map_err(|_| Refused::BadName)?;
        }
        let offer = self.open_offer(visit, kind).await?.ok_or(Refused::NoOffer)?;
        let answering = self.on.gate.answering(visit.from.address, &visit.account.address).await;
        let given = Answer { account: &visit.account, from: &visit.from, kind: kind.as_str() };
        let answering = answering.map_err(|too_many| {
            self.note(given, Outcome::Limited);
            Refused::TooMany { wait: too_many.wait }
        })?;
        let counted = match self.on.factors.count_try(kind, Some(&offer.secret)).await {
            Ok(counted) => counted,
            Err(error) => {
                answering.undecided();
                return Err(Broken::from(error).into());
            }
        };
        let confirmed = self.on.factors.confirm(kind, &offer.secret, answer).filter(|_| counted);
        let Some(confirmed) = confirmed else {
            drop(answering);
            self.record(given, Outcome::Refused, "the code is wrong: nothing is bound").await?;
            return Err(Refused::WrongCode);
        };
        // Of a form that is sent twice one binds; and none of a session that somebody has ended meanwhile.
        match self.take(visit, &offer).await {
            Ok(true) => {}
            Ok(false) => {
                answering.undecided();
                return Err(Refused::NoOffer);
            }
            Err(broken) => {
                answering.undecided();
                return Err(broken.into());
            }
        }
        if let Err(refused) = self.use_right(visit, &right).await {
            answering.undecided();
            return Err(refused);
        }
        let by = self.owner(&visit.from);
        let bound = match replaces {
            None => self.on.factors.bind(&visit.account, kind, name, confirmed, &by).await,
            Some(old) => self.on.factors.replace(&visit.account, (kind, old), name, confirmed, &by).await,
        };
        match bound {
            Ok(_) => answering.right(),
            Err(error) => {
                answering.undecided();
                self.give_right_back(right).await;
                return Err(match error {
                    FactorError::LimitReached => Refused::LimitReached,
                    FactorError::NotFound => Refused::NotFound,
                    error @ (FactorError::Tampered(_)
                    | FactorError::WrongCode
                    | FactorError::WentBack
                    | FactorError::NoCeremony
                    | FactorError::NoAccount
                    | FactorError::BadName(_)
                    | FactorError::Store(_)
                    | FactorError::Undone(_)
                    | FactorError::Unrecorded(_)) => super::broken(&error).into(),
                });
            }
        }
        let (factor, by_owner) = (kind.as_str().to_owned(), doer(&visit.from));
        let notice = match replaces {
            None => Notice::FactorBound { factor, by: by_owner },
            Some(_) => Notice::FactorReplaced { factor, by: by_owner },
        };
        self.tell(&visit.account, notice).await;
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
        let bound = visit.bound_factors.saturating_add(u32::from(replaces.is_none()));
        let token = self.renew(visit, Some(bound), |record, _| record.verified_at = Some(now)).await?;
        Ok(Bound { token, recovery_codes })
    }

    /// Whether one of `kind` may be bound here: one more, or in the place of another one.
    ///
    /// # Errors
    /// [`Refused`]
    pub async fn may_offer(
        &self,
        fresh: Fresh<'_>,
        (kind, replaces): (FactorKind, Option<FactorId>),
    ) -> Result<(), Refused> {
        let _unused = self.may_bind(fresh, (kind, replaces)).await?;
        Ok(())
    }

    /// Whether there are second factors of `kind` here.
    pub(super) fn offers(&self, policy: &Policy, kind: FactorKind) -> bool {
        self.is_possible(kind) && policy.factors.contains(&kind)
    }

    /// Whether anybody can be asked for a second factor of `kind` at this site.
    pub(super) fn is_possible(&self, kind: FactorKind) -> bool {
        match kind {
            FactorKind::Totp | FactorKind::Mailbox => true,
            FactorKind::Passkey => self.relying_party().is_some(),
        }
    }

    /// By what right one of `kind` may be bound, from where this browser is: one more, or in the place of another one.
    pub(super) async fn may_bind(
        &self,
        fresh: Fresh<'_>,
        (kind, replaces): (FactorKind, Option<FactorId>),
    ) -> Result<Right, Refused> {
        let Fresh(visit) = fresh;
        if !self.offers(self.settings().policy(&visit.account), kind) {
            return Err(Refused::NotOffered);
        }
        let right = self.right_to_bind(visit).await?;
        let is_full = replaces.is_none() && visit.bound_factors >= FACTORS_MAX;
        if is_full { Err(Refused::LimitReached) } else { Ok(right) }
    }
}
