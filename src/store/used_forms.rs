//! `used_forms`: forms that were sent, so that a page that is loaded again does nothing twice.

use super::{Store, StoreError};
use super::{name_statements, on_pool};
use crate::base::Timestamp;

name_statements! {
    USE = "INSERT INTO used_forms (mark, used_at) VALUES ($1, $2) ON CONFLICT (mark) DO NOTHING";
    PRUNE = "DELETE FROM used_forms WHERE used_at <= $1";
}

impl Store {
    /// A form is sent; whether for the first time: of many at once exactly one is told `true`.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn use_form(&self, mark: &[u8; 32], at: Timestamp) -> Result<bool, StoreError> {
        on_pool!(self, |pool| {
            sqlx::query(USE).bind(&mark[..]).bind(at).execute(pool).await?.rows_affected() == 1
        })
    }

    /// Forgets those that were sent before `before`.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn prune_used_forms(&self, before: Timestamp) -> Result<u64, StoreError> {
        on_pool!(self, |pool| sqlx::query(PRUNE).bind(before).execute(pool).await?.rows_affected())
    }
}
