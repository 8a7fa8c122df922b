//! Trusted devices: browsers in which an account is not asked for a second factor for a while.
//!
//! A browser shows the same token for all its accounts; a row of one account says nothing about another. Rows carry a MAC,
//! so that whoever can write the database alone is trusted by nobody.

use std::sync::Arc;
use std::time::Duration;

use crate::audit::{AuditError, Author, Event};
use crate::base::key::Purpose;
use crate::base::{AccountId, Clock, DeviceId, SiteKey, Token, random};
use crate::store::{AccountRecord, Store, StoreError, TrustedDeviceRecord};

/// Trusts browsers, and stops trusting them.
pub struct TrustedDevices {
    store: Store,
    key: Arc<SiteKey>,
    clock: Arc<dyn Clock>,
}

/// Why trust was not given or withdrawn, or not as it should be.
#[derive(Debug, thiserror::Error)]
pub enum DeviceError {
    /// The account trusts no such device.
    #[error("the account trusts no such device")]
    NotFound,
    /// The account vanished meanwhile.
    #[error("the account is gone")]
    NoAccount,
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The trail could not be written; trust that was given is withdrawn again.
    #[error("it could not be recorded")]
    Unrecorded(#[from] AuditError),
}

impl TrustedDevices {
    /// Those of this site.
    #[must_use]
    pub fn new(store: Store, key: Arc<SiteKey>, clock: Arc<dyn Clock>) -> Self {
        Self { store, key, clock }
    }

    /// Trusts the browser that holds `token` for `time`.
    ///
    /// # Errors
    /// [`DeviceError`]
    pub async fn trust(
        &self,
        account: &AccountRecord,
        token: &Token,
        (address, browser): (String, Option<String>),
        time: Duration,
        by: &Author<'_>,
    ) -> Result<DeviceId, DeviceError> {
        let now = self.clock.now();
        let mut device = TrustedDeviceRecord {
            id: DeviceId(random::uuid(now)),
            account: account.id,
            token: token.hash().to_vec(),
            browser,
            address,
            trusted_at: now,
            expires_at: now.plus(time),
            last_used_at: now,
            mac: Vec::new(),
        };
        device.mac = with_parts(&device, |parts| self.key.mac(Purpose::TrustedDevice, parts)).to_vec();
        if !self.store.trust_device(&device).await? {
            return Err(DeviceError::NoAccount);
        }
        let recorded = by.record(|by| Event::DeviceTrusted {
            account: account.address.to_string(),
            id: device.id,
            until: device.expires_at,
            by,
        });
        if let Err(unrecorded) = recorded.await {
            self.store.withdraw_device(account.id, device.id).await?;
            return Err(unrecorded.into());
        }
        Ok(device.id)
    }

    /// Whether the account trusts the browser that holds `token`; that it was of use is noted.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn recognise(&self, account: AccountId, token: &Token) -> Result<bool, StoreError> {
        let now = self.clock.now();
        let Some(device) = self.store.trusted_device(account, &token.hash()).await? else { return Ok(false) };
        if !self.is_genuine(&device) || device.expires_at <= now {
            return Ok(false);
        }
        self.store.trusted_device_used(account, device.id, now).await?;
        Ok(true)
    }

    /// Those that the account trusts now, the one that was used last first.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn list(&self, account: AccountId) -> Result<Vec<TrustedDeviceRecord>, StoreError> {
        let now = self.clock.now();
        let mut devices = self.store.trusted_devices(account).await?;
        devices.retain(|device| self.is_genuine(device) && device.expires_at > now);
        Ok(devices)
    }

    /// Trusts it no longer.
    ///
    /// # Errors
    /// [`DeviceError`]
    pub async fn withdraw(
        &self,
        account: &AccountRecord,
        id: DeviceId,
        by: &Author<'_>,
    ) -> Result<(), DeviceError> {
        if !self.store.withdraw_device(account.id, id).await? {
            return Err(DeviceError::NotFound);
        }
        by.record(|by| Event::DeviceWithdrawn { account: account.address.to_string(), id, by }).await?;
        Ok(())
    }

    /// Trusts none of the account's any longer; each is recorded by itself.
    ///
    /// # Errors
    /// [`DeviceError`]
    pub async fn withdraw_all(&self, account: &AccountRecord, by: &Author<'_>) -> Result<(), DeviceError> {
        let devices = self.store.trusted_devices(account.id).await?;
        self.store.withdraw_devices(account.id).await?;
        for device in devices {
            let (account, id) = (account.address.to_string(), device.id);
            by.record(|by| Event::DeviceWithdrawn { account, id, by }).await?;
        }
        Ok(())
    }

    fn is_genuine(&self, device: &TrustedDeviceRecord) -> bool {
        with_parts(device, |parts| self.key.verify(Purpose::TrustedDevice, parts, &device.mac))
    }
}

/// What opens something: whose, which browser, until when.
fn with_parts<T>(device: &TrustedDeviceRecord, then: impl FnOnce(&[&[u8]]) -> T) -> T {
    then(&[
        device.id.0.as_bytes(),
        device.account.0.as_bytes(),
        &device.token,
        &device.expires_at.unix_micros().to_be_bytes(),
    ])
}
