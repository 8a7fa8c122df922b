//! `site`: what the whole site has once.

use super::{Store, StoreError};
use super::{name_statements, on_pool};

name_statements! {
    CLAIM = "INSERT INTO site (the_one, key_check) VALUES (1, $1) ON CONFLICT (the_one) DO NOTHING";
    KEY_CHECK = "SELECT key_check FROM site";
}

/// For a connection that only looks.
pub(super) const READ: &str = KEY_CHECK;

impl Store {
    /// What the key file of this site makes, if any was used with this database.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn key_check(&self) -> Result<Option<Vec<u8>>, StoreError> {
        on_pool!(self, |pool| sqlx::query_scalar(KEY_CHECK).fetch_optional(pool).await?)
    }

    /// Keeps `key_check`, unless there is one; returns the one that there is now.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn claim_key_check(&self, key_check: &[u8]) -> Result<Vec<u8>, StoreError> {
        // Whatever can be read must not need to write: the disk may be full.
        if let Some(there) = self.key_check().await? {
            return Ok(there);
        }
        on_pool!(self, |pool| {
            sqlx::query(CLAIM).bind(key_check).execute(pool).await?;
            sqlx::query_scalar(KEY_CHECK).fetch_one(pool).await?
        })
    }
}
