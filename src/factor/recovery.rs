//! Recovery codes: ten, shown once, each good once, for whoever has lost what a second factor needs.
//!
//! Kept is a MAC of each under the site's key file, over the account too: a row that somebody moved or made without that
//! file is no code. They are no factor: without one bound nobody asks for them, and they go with the last one.

use zeroize::Zeroizing;

use super::{FactorError, Factors};
use crate::audit::{Author, Event};
use crate::base::key::Purpose;
use crate::base::{AccountId, Secret, symbols};
use crate::store::{AccountRecord, StoreError};

/// How many are made at a time.
pub const CODES: usize = 10;

/// Symbols of a code: 50 bits, of which the limits let nobody try more than some hundreds a day.
const SYMBOLS: usize = 10;

/// Symbols of a group, as shown.
const GROUP: usize = 5;

impl Factors {
    /// Makes ten, in the place of all that there were; returned only when they are durable and recorded.
    ///
    /// # Errors
    /// [`FactorError`]; after [`FactorError::Unrecorded`] the account has none.
    pub async fn make_recovery_codes(
        &self,
        account: &AccountRecord,
        by: &Author<'_>,
    ) -> Result<Vec<Secret>, FactorError> {
        let codes: Vec<Zeroizing<Vec<u8>>> = (0..CODES).map(|_| symbols::draw::<SYMBOLS>()).collect();
        let macs: Vec<[u8; 32]> = codes.iter().map(|code| self.mac_of_code(account.id, code)).collect();
        if !self.store.replace_recovery_codes(account.id, &macs, self.clock.now()).await? {
            return Err(FactorError::NoAccount);
        }
        let recorded = by.record(|by| Event::RecoveryCodesMade {
            account: account.address.to_string(),
            count: CODES as u64,
            by,
        });
        if let Err(unrecorded) = recorded.await {
            self.store.replace_recovery_codes(account.id, &[], self.clock.now()).await?;
            return Err(FactorError::Unrecorded(unrecorded));
        }
        Ok(codes.iter().map(|code| symbols::grouped(code, GROUP)).collect())
    }

    /// How many are left.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn recovery_codes_left(&self, account: AccountId) -> Result<u32, StoreError> {
        self.store.recovery_codes_left(account).await
    }

    /// Uses one up.
    ///
    /// # Errors
    /// [`FactorError::WrongCode`] and others
    pub(super) async fn verify_recovery_code(
        &self,
        account: AccountId,
        typed: &str,
    ) -> Result<(), FactorError> {
        let code = symbols::fold(typed, SYMBOLS).ok_or(FactorError::WrongCode)?;
        let mac = self.mac_of_code(account, &code);
        let used = self.store.use_recovery_code(account, &mac, self.clock.now()).await?;
        if used { Ok(()) } else { Err(FactorError::WrongCode) }
    }

    fn mac_of_code(&self, account: AccountId, symbols: &[u8]) -> [u8; 32] {
        self.key.mac(Purpose::RecoveryCode, &[account.0.as_bytes(), symbols])
    }
}
