//! `used_challenges`: what was asked of nobody in particular, and answered.

use super::{Store, StoreError};
use super::{name_statements, on_pool};
use crate::base::Timestamp;

name_statements! {
    USE = "INSERT INTO used_challenges (challenge, until) VALUES ($1, $2) ON CONFLICT (challenge) DO NOTHING";
    PRUNE = "DELETE FROM used_challenges WHERE until <= $1";
}

impl Store {
    /// Notes that what has this hash was answered, and could have been until then: of many at once exactly one is told `true`.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn use_challenge(&self, challenge: &[u8], until: Timestamp) -> Result<bool, StoreError> {
        on_pool!(self, |pool| {
            sqlx::query(USE).bind(challenge).bind(until).execute(pool).await?.rows_affected() == 1
        })
    }

    /// Forgets those that nobody could answer any more.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn prune_used_challenges(&self, now: Timestamp) -> Result<u64, StoreError> {
        on_pool!(self, |pool| sqlx::query(PRUNE).bind(now).execute(pool).await?.rows_affected())
    }
}
