//! Giving an app password another name.

use super::{AppPasswords, Tampered, create, row};
use crate::audit::{AuditError, Author, Event};
use crate::base::AppPasswordId;
use crate::store::{AccountRecord, AppPasswordRecord, StoreError};

/// How often a row is read again that somebody else changed meanwhile.
const ROUNDS: usize = 8;

/// Why an app password has the name it had, or another that is not recorded.
#[derive(Debug, thiserror::Error)]
pub enum RenameError {
    /// The name makes no sense; nothing was tried.
    #[error("{0}")]
    Invalid(&'static str),
    /// The account has none with this id.
    #[error("the account has no such app password")]
    NotFound,
    /// Somebody changed the row.
    #[error(transparent)]
    Tampered(#[from] Tampered),
    /// Others kept changing it.
    #[error("others kept changing it")]
    Overtaken,
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It has its new name, but the trail could not be written.
    #[error("renamed, but it could not be recorded")]
    Unrecorded(#[from] AuditError),
}

impl AppPasswords {
    /// Gives it another name.
    ///
    /// # Errors
    /// [`RenameError`]
    pub async fn rename(
        &self,
        account: &AccountRecord,
        id: AppPasswordId,
        name: &str,
        by: &Author<'_>,
    ) -> Result<(), RenameError> {
        let name = create::name(name).map_err(RenameError::Invalid)?;
        for _ in 0..ROUNDS {
            let rows = self.store.app_passwords(account.id).await?;
            let row = rows.into_iter().find(|row| row.id == id).ok_or(RenameError::NotFound)?;
            row::check(&self.key, &row)?;
            let mut next = AppPasswordRecord { name: name.to_owned(), ..row.clone() };
            next.mac = row::mac(&self.key, &next).to_vec();
            if self.store.rename_app_password(&row.mac, &next).await? {
                by.record(|by| Event::AppPasswordRenamed {
                    account: account.address.to_string(),
                    id,
                    label: next.label,
                    name: next.name,
                    by,
                })
                .await?;
                return Ok(());
            }
        }
        Err(RenameError::Overtaken)
    }
}
