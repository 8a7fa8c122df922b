//! Revoking app passwords.
//!
//! Revoking only ever closes a door: where it cannot be recorded it stands all the same, and the caller hears
//! that the trail lacks it.

use super::AppPasswords;
use crate::audit::{AuditError, Author, Event};
use crate::base::AppPasswordId;
use crate::store::{AccountRecord, AppPasswordRecord, StoreError};

/// Why an app password was not revoked, or not as it should be.
#[derive(Debug, thiserror::Error)]
pub enum RevokeError {
    /// The account has none with this id.
    #[error("the account has no such app password")]
    NotFound,
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It is revoked, but the trail could not be written.
    #[error("revoked, but it could not be recorded")]
    Unrecorded(#[from] AuditError),
}

impl AppPasswords {
    /// Revokes one, and returns it as it was. Sessions that rest on it end within a second.
    ///
    /// # Errors
    /// [`RevokeError`]
    pub async fn revoke(
        &self,
        account: &AccountRecord,
        id: AppPasswordId,
        by: &Author<'_>,
    ) -> Result<AppPasswordRecord, RevokeError> {
        let rows = self.store.app_passwords(account.id).await?;
        let row = rows.into_iter().find(|row| row.id == id).ok_or(RevokeError::NotFound)?;
        if !self.store.delete_app_password(account.id, id).await? {
            return Err(RevokeError::NotFound);
        }
        record(account, &row, by).await?;
        Ok(row)
    }

    /// Revokes all, and returns those that were there; each is recorded by itself.
    ///
    /// # Errors
    /// [`RevokeError::Store`] when some may be left; [`RevokeError::Unrecorded`] when none is left, but a
    /// record is missing.
    pub async fn revoke_all(
        &self,
        account: &AccountRecord,
        by: &Author<'_>,
    ) -> Result<Vec<AppPasswordRecord>, RevokeError> {
        let (mut revoked, mut missing) = (Vec::new(), None);
        for row in self.store.app_passwords(account.id).await? {
            if self.store.delete_app_password(account.id, row.id).await? {
                missing = record(account, &row, by).await.err().or(missing);
                revoked.push(row);
            }
        }
        missing.map_or(Ok(revoked), |error| Err(error.into()))
    }
}

async fn record(account: &AccountRecord, row: &AppPasswordRecord, by: &Author<'_>) -> Result<(), AuditError> {
    by.record(|by| Event::AppPasswordRevoked {
        account: account.address.to_string(),
        id: row.id,
        label: row.label.clone(),
        by,
    })
    .await
}
