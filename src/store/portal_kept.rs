//! `portal_kept`: what a portal session keeps for a moment, for each purpose and kind of second factor. It ends with its session.

use super::{Store, StoreError};
use super::{name_statements, on_pool};
use crate::base::PortalSessionId;

name_statements! {
    KEEP = "INSERT INTO portal_kept (session, purpose, kind, sealed) \
            SELECT id, $2, $3, $4 FROM portal_sessions WHERE token = $1 \
            ON CONFLICT (session, purpose, kind) DO UPDATE SET sealed = excluded.sealed RETURNING session";
    KEPT = "SELECT sealed FROM portal_kept WHERE session = $1 AND purpose = $2 AND kind = $3";
    /// Of many at once one takes it, and nobody another that came in its place.
    TAKE = "DELETE FROM portal_kept WHERE session = $1 AND purpose = $2 AND kind = $3 AND sealed = $4 \
            AND session IN (SELECT id FROM portal_sessions WHERE token = $5) RETURNING session";
}

/// Where a session keeps something: one at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeptFor<'a> {
    /// What for; the portal knows the words.
    pub purpose: &'a str,
    /// Which kind of second factor it is about; empty where it is about none.
    pub kind: &'a str,
}

impl Store {
    /// Keeps something in the session with this token, in the place of what was there; `false` where it has ended.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn keep_in_portal(
        &self,
        token: &[u8],
        place: KeptFor<'_>,
        sealed: &[u8],
    ) -> Result<bool, StoreError> {
        on_pool!(self, |pool| {
            let keep = sqlx::query_scalar::<_, PortalSessionId>(KEEP).bind(token);
            let keep = keep.bind(place.purpose).bind(place.kind).bind(sealed);
            keep.fetch_optional(pool).await?.is_some()
        })
    }

    /// What the session keeps there.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn kept_in_portal(
        &self,
        session: PortalSessionId,
        place: KeptFor<'_>,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        on_pool!(self, |pool| {
            let kept = sqlx::query_scalar(KEPT).bind(session).bind(place.purpose).bind(place.kind);
            kept.fetch_optional(pool).await?
        })
    }

    /// Takes `sealed`, as it was read, out of the session with this token: of many at once exactly one is told `true`, and nobody where the
    /// session has ended.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn take_from_portal(
        &self,
        (session, token): (PortalSessionId, &[u8]),
        place: KeptFor<'_>,
        sealed: &[u8],
    ) -> Result<bool, StoreError> {
        on_pool!(self, |pool| {
            let take = sqlx::query_scalar::<_, PortalSessionId>(TAKE).bind(session);
            let take = take.bind(place.purpose).bind(place.kind).bind(sealed).bind(token);
            take.fetch_optional(pool).await?.is_some()
        })
    }
}
