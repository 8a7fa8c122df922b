//! Second factors: bound to an account, verified by a code, unbound.
//!
//! Codes are hostile input. Secrets lie in the database encrypted under the site's key file (`sealed.rs`), so
//! that a stolen database alone makes no codes; a row that somebody moved to another account does not
//! decrypt. No code is good twice, on any node: the store decides that in one statement.

mod devices;
pub mod qr;
mod recovery;
mod sealed;
mod totp;

use std::sync::Arc;

use crate::audit::{AuditError, Author, Event};
use crate::base::{AccountId, Address, Clock, FactorId, Secret, SiteKey, Timestamp, random};
use crate::config::{AfterUnbind, FactorKind};
use crate::store::{AccountRecord, FactorRecord, Store, StoreError, Unbound};

pub use devices::{DeviceError, TrustedDevices};
pub use recovery::CODES;
pub use totp::TotpEnrolment;

/// A kind of second factor: what makes an answer right. What is common to all kinds, which is secrets at rest,
/// single use and the trail, is done by [`Factors`].
trait SecondFactor: Sync {
    /// Whether `answer` is right for `secret` at `now`: the step in which it is good. An answer is good once,
    /// and so is no answer of an earlier step after it.
    fn step_of(&self, secret: &Secret, answer: &str, now: Timestamp) -> Option<i64>;
}

/// The one place that knows every kind.
fn implementation(kind: FactorKind) -> &'static dyn SecondFactor {
    match kind {
        FactorKind::Totp => &totp::Totp,
    }
}

/// What somebody may be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Question {
    /// A code of a bound factor of this kind.
    Factor(FactorKind),
    /// One of the recovery codes.
    RecoveryCode,
}

impl Question {
    /// The name in forms and in the trail.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Factor(kind) => kind.as_str(),
            Self::RecoveryCode => "recovery",
        }
    }

    /// Its inverse.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        let factors = FactorKind::ALL.into_iter().map(Self::Factor);
        factors.chain([Self::RecoveryCode]).find(|question| question.as_str() == word)
    }
}

/// Binds, verifies and unbinds second factors.
pub struct Factors {
    store: Store,
    key: Arc<SiteKey>,
    clock: Arc<dyn Clock>,
}

/// Why a factor operation did not happen.
#[derive(Debug, thiserror::Error)]
pub enum FactorError {
    /// The stored secret does not decrypt.
    #[error("the stored secret of factor {0} does not decrypt under this site's key")]
    Tampered(FactorId),
    /// The code is wrong or was used before.
    #[error("the code is wrong or was used before")]
    WrongCode,
    /// The account vanished meanwhile.
    #[error("the account is gone")]
    NoAccount,
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The trail could not be written, so the change was taken back.
    #[error("nothing was bound or unbound, because it could not be recorded")]
    Undone(#[source] AuditError),
    /// It is done, but the trail could not be written.
    #[error("done, but it could not be recorded")]
    Unrecorded(#[source] AuditError),
}

impl Factors {
    /// Factors of this site.
    #[must_use]
    pub fn new(store: Store, key: Arc<SiteKey>, clock: Arc<dyn Clock>) -> Self {
        Self { store, key, clock }
    }

    /// The account's factors, oldest first; their secrets stay encrypted.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn list(&self, account: AccountId) -> Result<Vec<FactorRecord>, StoreError> {
        self.store.factors(account).await
    }

    /// A fresh TOTP secret for `address`, not bound yet. `issuer` is the site's name, as the authenticator
    /// will show it.
    #[must_use]
    pub fn enrol_totp(&self, issuer: &str, address: &Address) -> TotpEnrolment {
        TotpEnrolment::fresh(issuer, address)
    }

    /// An offer that was made before; `raw` is what [`TotpEnrolment::raw`] gave. `None` if it is none.
    #[must_use]
    pub fn resume_totp(&self, issuer: &str, address: &Address, raw: &Secret) -> Option<TotpEnrolment> {
        TotpEnrolment::of(issuer, address, raw)
    }

    /// Binds it; where `code` is given it must be the authenticator's current one, and is used up by this.
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
        self.bind(account, FactorKind::Totp, enrolment.raw(), code, by).await
    }

    async fn bind(
        &self,
        account: &AccountRecord,
        kind: FactorKind,
        secret: &Secret,
        code: Option<&str>,
        by: &Author<'_>,
    ) -> Result<FactorRecord, FactorError> {
        let bound_at = self.clock.now();
        let last_step = match code {
            None => None,
            Some(code) => {
                Some(implementation(kind).step_of(secret, code, bound_at).ok_or(FactorError::WrongCode)?)
            }
        };
        let mut factor = FactorRecord {
            id: FactorId(random::uuid(bound_at)),
            account: account.id,
            kind: kind.as_str().to_owned(),
            secret: Vec::new(),
            bound_at,
            last_step,
            last_used_at: last_step.map(|_| bound_at),
        };
        factor.secret = sealed::seal(&self.key, &factor, secret);
        if !self.store.insert_factor(&factor).await? {
            return Err(FactorError::NoAccount);
        }
        let recorded = by.record(|by| Event::FactorBound {
            account: account.address.to_string(),
            kind: factor.kind.clone(),
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

    /// Whether `code` is one of what is offered, which nobody has bound yet. It is not used up by that.
    #[must_use]
    pub fn confirms(&self, enrolment: &TotpEnrolment, code: &str) -> bool {
        totp::Totp.step_of(enrolment.raw(), code, self.clock.now()).is_some()
    }

    /// Checks an answer to `question`, and uses it up.
    ///
    /// # Errors
    /// [`FactorError::WrongCode`] and others
    pub async fn verify_answer(
        &self,
        account: AccountId,
        question: Question,
        answer: &str,
    ) -> Result<(), FactorError> {
        match question {
            Question::Factor(kind) => self.verify(account, kind, answer).await,
            Question::RecoveryCode => self.verify_recovery_code(account, answer).await,
        }
    }

    /// Checks a code of any bound TOTP factor; each step is good once (RFC 6238 section 5.2), ±1 step.
    ///
    /// # Errors
    /// [`FactorError::WrongCode`] and others
    pub async fn verify_totp(&self, account: AccountId, code: &str) -> Result<(), FactorError> {
        self.verify(account, FactorKind::Totp, code).await
    }

    async fn verify(&self, account: AccountId, kind: FactorKind, code: &str) -> Result<(), FactorError> {
        let now = self.clock.now();
        let mut refusal = FactorError::WrongCode;
        for factor in self.store.factors(account).await? {
            if factor.kind != kind.as_str() {
                continue;
            }
            let Some(secret) = sealed::open(&self.key, &factor) else {
                refusal = FactorError::Tampered(factor.id);
                continue;
            };
            let Some(step) = implementation(kind).step_of(&secret, code, now) else {
                continue;
            };
            if self.store.claim_totp_step(factor.id, step, now).await? {
                return Ok(());
            }
        }
        Err(refusal)
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
                reason: reason.to_owned(),
                app_passwords_revoked: std::mem::take(&mut app_passwords_revoked),
                by,
            });
            if let Err(unrecorded) = recorded.await {
                failure = Some(match self.store.insert_factor(factor).await {
                    Ok(true) => FactorError::Undone(unrecorded),
                    Ok(false) | Err(_) => FactorError::Unrecorded(unrecorded),
                });
            }
        }
        failure.map_or(Ok(unbound), Err)
    }
}
