//! Second factors.

use std::sync::Arc;

use crate::base::{AccountId, Address, Clock, Secret, SiteKey};
use crate::config::{AfterUnbind, FactorKind};
use crate::store::{FactorRecord, Store, StoreError, Unbound};

/// Binds, verifies and unbinds second factors.
pub struct Factors {}

/// A TOTP secret on its way to the user's authenticator.
pub struct TotpEnrolment {
    /// Base32 key, to type.
    pub secret: Secret,
    /// `otpauth://totp/…`, to scan.
    pub uri: Secret,
}

/// Why a factor operation did not happen.
#[derive(Debug, thiserror::Error)]
pub enum FactorError {
    /// The stored secret does not decrypt.
    #[error("the stored secret of factor {0} does not decrypt under this site's key")]
    Tampered(crate::base::FactorId),
    /// The code is wrong or was used before.
    #[error("the code is wrong or was used before")]
    WrongCode,
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

#[expect(clippy::unimplemented, unused_variables, reason = "signatures first; bodies follow")]
impl Factors {
    /// Factors of this site.
    #[must_use]
    pub fn new(store: Store, key: Arc<SiteKey>, clock: Arc<dyn Clock>) -> Self {
        unimplemented!()
    }
    /// A fresh TOTP secret for `address`, not bound yet.
    #[must_use]
    pub fn enrol_totp(&self, issuer: &str, address: &Address) -> TotpEnrolment {
        unimplemented!()
    }
    /// Binds it; where `code` is given it must be the authenticator's current one.
    ///
    /// # Errors
    /// [`FactorError`]
    pub async fn bind_totp(
        &self,
        account: AccountId,
        enrolment: &TotpEnrolment,
        code: Option<&str>,
    ) -> Result<FactorRecord, FactorError> {
        unimplemented!()
    }
    /// Checks a code of any bound TOTP factor; each step is good once (RFC 6238 section 5.2), ±1 step.
    ///
    /// # Errors
    /// [`FactorError::WrongCode`] and others
    pub async fn verify_totp(&self, account: AccountId, code: &str) -> Result<(), FactorError> {
        unimplemented!()
    }
    /// Unbinds.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn unbind(
        &self,
        account: AccountId,
        kind: Option<FactorKind>,
        after: AfterUnbind,
    ) -> Result<Unbound, StoreError> {
        unimplemented!()
    }
}
