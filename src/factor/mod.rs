//! Second factors: bound to an account, verified by an answer, unbound.
//!
//! Answers are hostile input. Secrets lie in the database encrypted under the site's key file (`sealed.rs`), so
//! that a stolen database alone answers nothing; a row that somebody moved to another account does not
//! decrypt. No answer is good twice, on any node: the store decides that in one statement.

mod binding;
mod devices;
mod links;
mod mailbox;
mod passkey;
pub mod qr;
mod recovery;
mod sealed;
#[cfg(test)]
#[cfg(feature = "server")]
pub(crate) mod testing;
mod totp;

use std::sync::Arc;

use crate::audit::AuditError;
use crate::base::{AccountId, Address, BadName, Clock, FactorId, Secret, SiteKey, Timestamp};
use crate::config::{FactorKind, TotpParameters};
use crate::store::{FactorRecord, Store, StoreError};

pub use binding::{Confirmed, FACTORS_MAX};
pub use devices::{DeviceError, TrustedDevices};
pub use links::LinkError;
pub use mailbox::{NewMailCode, NoMailCode, mail_address, masked, sent_to};
pub use passkey::{Ceremony, RelyingParty, claimed_account};
pub use recovery::CODES;
pub use totp::TotpEnrolment;

/// A kind of second factor: what makes an answer right. What is common to all kinds, which is secrets at rest,
/// single use and the trail, is done by [`Factors`].
trait SecondFactor: Sync {
    /// What is to be bound, if `answer` confirms `offer`, which was made to whoever answers.
    fn confirm(&self, offer: &Secret, answer: &str, now: Timestamp) -> Option<Confirmed>;

    /// Whether `answer` is right for the bound factor that has `secret`, at `now`. `challenge` is what was asked, where it
    /// is another thing each time; whoever asked lets it be answered once.
    fn judge(
        &self,
        secret: &Secret,
        challenge: Option<&Secret>,
        answer: &str,
        now: Timestamp,
    ) -> Option<Right>;
}

/// An answer is right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Right {
    /// The step in which it is good: it is good once, and so is no answer of an earlier step after it. None where the
    /// challenge sees to that.
    step: Option<i64>,
}

/// The one place that knows every kind.
fn implementation(kind: FactorKind) -> &'static dyn SecondFactor {
    match kind {
        FactorKind::Totp => &totp::Totp,
        FactorKind::Mailbox => &mailbox::Mailbox,
        FactorKind::Passkey => &passkey::Passkey,
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
    /// It was right, but its counter had been further: there may be a second one like it.
    #[error("the counter of the security key went back: it may have been copied")]
    WentBack,
    /// A passkey cannot be asked for.
    #[error("a passkey cannot be asked for")]
    NoCeremony,
    /// The account vanished meanwhile.
    #[error("the account is gone")]
    NoAccount,
    /// The account has as many as it may have.
    #[error(
        "the account has {FACTORS_MAX} second factors, as many as it may have\nhint: unbind one that is not used any more"
    )]
    LimitReached,
    /// The name makes no sense; nothing was tried.
    #[error(transparent)]
    BadName(#[from] BadName),
    /// There is no such factor.
    #[error("the account has no such second factor")]
    NotFound,
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
    pub fn enrol_totp(&self, issuer: &str, address: &Address, parameters: TotpParameters) -> TotpEnrolment {
        TotpEnrolment::fresh(issuer, address, parameters)
    }

    /// An offer that was made before; `raw` is what [`TotpEnrolment::raw`] gave. `None` if it is none.
    #[must_use]
    pub fn resume_totp(&self, issuer: &str, address: &Address, raw: &Secret) -> Option<TotpEnrolment> {
        TotpEnrolment::of(issuer, address, raw)
    }

    /// Checks an answer to `question`, and uses it up. `challenge` is what was asked, where the kind asks another thing each
    /// time: whoever asked lets it be answered once.
    ///
    /// # Errors
    /// [`FactorError::WrongCode`] and others
    pub async fn verify_answer(
        &self,
        account: AccountId,
        question: Question,
        challenge: Option<&Secret>,
        answer: &str,
    ) -> Result<(), FactorError> {
        match question {
            Question::Factor(kind) => self.verify(account, kind, challenge, answer).await,
            Question::RecoveryCode => self.verify_recovery_code(account, answer).await,
        }
    }

    /// Checks a code of any bound TOTP factor; each step is good once (RFC 6238 section 5.2), ±1 step.
    ///
    /// # Errors
    /// [`FactorError::WrongCode`] and others
    pub async fn verify_totp(&self, account: AccountId, code: &str) -> Result<(), FactorError> {
        self.verify(account, FactorKind::Totp, None, code).await
    }

    async fn verify(
        &self,
        account: AccountId,
        kind: FactorKind,
        challenge: Option<&Secret>,
        answer: &str,
    ) -> Result<(), FactorError> {
        let now = self.clock.now();
        // A row that does not open makes no wrong answer free, as long as there is one that judges it.
        let (mut refusal, mut unopened) = (None, None);
        for factor in self.store.factors(account).await? {
            if factor.kind != kind.as_str() {
                continue;
            }
            let Some(secret) = sealed::open(&self.key, &factor) else {
                tracing::error!(factor = %factor.id, "a second factor does not decrypt under this site's key");
                unopened = Some(factor.id);
                continue;
            };
            refusal.get_or_insert(FactorError::WrongCode);
            let Some(right) = implementation(kind).judge(&secret, challenge, answer, now) else {
                continue;
            };
            let used = match right.step {
                Some(step) => self.store.claim_factor_step(factor.id, step, now).await?,
                None => self.store.factor_used(factor.id, now).await?,
            };
            if used {
                return Ok(());
            }
            refusal = Some(match kind {
                // Somebody typed it twice, or saw it typed.
                FactorKind::Totp | FactorKind::Mailbox => FactorError::WrongCode,
                FactorKind::Passkey => FactorError::WentBack,
            });
        }
        Err(refusal.or_else(|| unopened.map(FactorError::Tampered)).unwrap_or(FactorError::WrongCode))
    }
}
