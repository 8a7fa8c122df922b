//! Binding, naming and unbinding second factors: what is the same for all kinds.

use super::{FactorError, Factors, TotpEnrolment, implementation, sealed};
use crate::audit::{Author, Event};
use crate::base::{FactorId, Secret, given_name, random};
use crate::config::{AfterUnbind, FactorKind};
use crate::store::{AccountRecord, FactorInserted, FactorRecord, Unbound};

/// How many an account may have: more are hard to tell apart, and each is a way in.
pub const FACTORS_MAX: u32 = 16;

/// What is to be bound, with nothing more to be asked.
#[derive(Debug)]
pub struct Confirmed {
    /// What judges answers from now on.
    pub(super) secret: Secret,
    /// The step of the answer that confirmed it, which is used up by that.
    pub(super) step: Option<i64>,
    /// Whether an answer confirmed it, so that it was used by now.
    pub(super) answered: bool,
    /// What tells it from others of its kind, as lists show it.
    pub(super) detail: Option<String>,
}

impl Factors {
    /// What there is to bind, if `answer` confirms an offer of `kind` that was made before. Nothing is bound or used up by
    /// this.
    #[must_use]
    pub fn confirm(&self, kind: FactorKind, offer: &Secret, answer: &str) -> Option<Confirmed> {
        implementation(kind).confirm(offer, answer, self.clock.now())
    }

    /// Binds an authenticator app; where `code` is given it must be the app's current one, and is used up by this.
    ///
    /// # Errors
    /// [`FactorError`]
    pub async fn bind_totp(
        &self,
        account: &AccountRecord,
        enrolment: &TotpEnrolment,
        code: Option<&str>,
        by: &Author<'_>,
    ) -> Result<FactorRecord, FactorError> {
        let confirmed = match code {
            None => {
                let secret = Secret::new(enrolment.raw().expose().to_vec());
                Confirmed { secret, step: None, answered: false, detail: None }
            }
            Some(code) => {
                let confirmed = self.confirm(FactorKind::Totp, enrolment.raw(), code);
                confirmed.ok_or(FactorError::WrongCode)?
            }
        };
        self.bind(account, FactorKind::Totp, "", confirmed, by).await
    }

    /// Binds what was confirmed, under a name that its owner gave it, or none.
    ///
    /// # Errors
    /// [`FactorError`]
    pub async fn bind(
        &self,
        account: &AccountRecord,
        kind: FactorKind,
        name: &str,
        confirmed: Confirmed,
        by: &Author<'_>,
    ) -> Result<FactorRecord, FactorError> {
        let factor = self.row(account, kind, name, confirmed)?;
        match self.store.insert_factor(&factor, FACTORS_MAX).await? {
            FactorInserted::Done => {}
            FactorInserted::LimitReached => return Err(FactorError::LimitReached),
            FactorInserted::NoAccount => return Err(FactorError::NoAccount),
        }
        let recorded = by.record(|by| Event::FactorBound {
            account: account.address.to_string(),
            kind: factor.kind.clone(),
            name: factor.name.clone(),
            by,
        });
        let Err(unrecorded) = recorded.await else {
            return Ok(factor);
        };
        Err(match self.store.take_back_factor(&factor, account.must_bind).await {
            Ok(()) => FactorError::Undone(unrecorded),
            Err(_) => FactorError::Unrecorded(unrecorded),
        })
    }

    /// Binds what was confirmed in the place of the account's factor `old` of the same kind, which is unbound by that: both in
    /// one transaction. App passwords and recovery codes stay.
    ///
    /// # Errors
    /// [`FactorError`]: [`FactorError::NotFound`] where there is no such factor; after [`FactorError::Undone`] what is
    /// bound is as it was, and browsers are signed out all the same.
    pub async fn replace(
        &self,
        account: &AccountRecord,
        (kind, old): (FactorKind, FactorId),
        name: &str,
        confirmed: Confirmed,
        by: &Author<'_>,
    ) -> Result<FactorRecord, FactorError> {
        let factor = self.row(account, kind, name, confirmed)?;
        let replaced = self.store.replace_factor(&factor, old).await?.ok_or(FactorError::NotFound)?;
        let recorded = by.record(|by| Event::FactorReplaced {
            account: account.address.to_string(),
            kind: factor.kind.clone(),
            name: factor.name.clone(),
            replaced: replaced.name.clone(),
            by,
        });
        let Err(unrecorded) = recorded.await else {
            return Ok(factor);
        };
        Err(match self.store.replace_factor(&replaced, factor.id).await {
            Ok(Some(_)) => FactorError::Undone(unrecorded),
            Ok(None) | Err(_) => FactorError::Unrecorded(unrecorded),
        })
    }

    /// The row of what was confirmed, under a name that its owner gave it, or none.
    fn row(
        &self,
        account: &AccountRecord,
        kind: FactorKind,
        name: &str,
        confirmed: Confirmed,
    ) -> Result<FactorRecord, FactorError> {
        let name = if name.trim().is_empty() { "" } else { given_name(name)? };
        let Confirmed { secret, step, answered, detail } = confirmed;
        let bound_at = self.clock.now();
        let mut factor = FactorRecord {
            id: FactorId(random::uuid(bound_at)),
            account: account.id,
            kind: kind.as_str().to_owned(),
            name: name.to_owned(),
            detail,
            secret: Vec::new(),
            bound_at,
            last_step: step,
            last_used_at: answered.then_some(bound_at),
        };
        factor.secret = sealed::seal(&self.key, &factor, &secret);
        Ok(factor)
    }

    /// Gives one another name.
    ///
    /// # Errors
    /// [`FactorError`]
    pub async fn rename(
        &self,
        account: &AccountRecord,
        id: FactorId,
        name: &str,
        by: &Author<'_>,
    ) -> Result<(), FactorError> {
        let name = given_name(name)?;
        let kind = self.store.rename_factor(account.id, id, name).await?.ok_or(FactorError::NotFound)?;
        let recorded = by.record(|by| Event::FactorRenamed {
            account: account.address.to_string(),
            id,
            kind,
            name: name.to_owned(),
            by,
        });
        recorded.await.map_err(FactorError::Unrecorded)
    }

    /// Unbinds the factors of `kind`, or all, because of `reason`; what `after` says happens to app passwords
    /// happens with the last factor, in one transaction. Nothing bound is no error: see what is returned.
    ///
    /// # Errors
    /// [`FactorError::Undone`] when a factor is bound again because its unbinding could not be recorded;
    /// app passwords that were revoked stay so.
    pub async fn unbind(
        &self,
        account: &AccountRecord,
        kind: Option<FactorKind>,
        after: AfterUnbind,
        reason: &str,
        by: &Author<'_>,
    ) -> Result<Unbound, FactorError> {
        self.unbind_those(account, (kind.map(FactorKind::as_str), None), (after, false), reason, by).await
    }

    /// The same for one factor; with `keep_one` the last one stays, whoever else unbinds at that moment.
    ///
    /// # Errors
    /// As [`Factors::unbind`]
    pub async fn unbind_one(
        &self,
        account: &AccountRecord,
        factor: FactorId,
        (after, keep_one): (AfterUnbind, bool),
        reason: &str,
        by: &Author<'_>,
    ) -> Result<Unbound, FactorError> {
        self.unbind_those(account, (None, Some(factor)), (after, keep_one), reason, by).await
    }

    async fn unbind_those(
        &self,
        account: &AccountRecord,
        which: (Option<&str>, Option<FactorId>),
        (after, keep_one): (AfterUnbind, bool),
        reason: &str,
        by: &Author<'_>,
    ) -> Result<Unbound, FactorError> {
        let revoke = match after {
            AfterUnbind::Stop => true,
            AfterUnbind::Keep => false,
        };
        let unbound = self.store.unbind_factors(account.id, which, (revoke, keep_one)).await?;
        // The app passwords went with the last one.
        let mut app_passwords_revoked = unbound.app_passwords;
        let mut failure = None;
        for factor in unbound.factors.iter().rev() {
            let recorded = by.record(|by| Event::FactorUnbound {
                account: account.address.to_string(),
                kind: factor.kind.clone(),
                name: factor.name.clone(),
                reason: reason.to_owned(),
                app_passwords_revoked: std::mem::take(&mut app_passwords_revoked),
                by,
            });
            if let Err(unrecorded) = recorded.await {
                // It was there, so that no bound is asked about.
                failure = Some(match self.store.insert_factor(factor, u32::MAX).await {
                    Ok(FactorInserted::Done) => FactorError::Undone(unrecorded),
                    Ok(FactorInserted::LimitReached | FactorInserted::NoAccount) | Err(_) => {
                        FactorError::Unrecorded(unrecorded)
                    }
                });
            }
        }
        failure.map_or(Ok(unbound), Err)
    }
}
