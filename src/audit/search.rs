//! Searching the trail: in the database's index, after the index has caught up with the files.

use std::path::Path;
use std::time::Duration;

use super::index::{self, FollowError};
use crate::store::{AuditQuery, AuditRow, Store};

/// Finds records, newest last. What any process has recorded in `directory` before this call is found.
///
/// The answer is as good as files and index are; [`verify`](super::verify::verify) tells whether the files are
/// genuine.
///
/// # Errors
/// [`FollowError`]
pub async fn search(
    directory: &Path,
    store: &Store,
    query: &AuditQuery,
) -> Result<Vec<AuditRow>, FollowError> {
    index::catch_up(directory, store).await?;
    Ok(store.search_audit(query).await?)
}

/// The same for somebody who waits in front of a page: after so long with what is in the index by then. Only after an
/// upgrade, or a while without the database, that is not all.
///
/// # Errors
/// [`FollowError`]
pub async fn search_soon(
    directory: &Path,
    store: &Store,
    query: &AuditQuery,
    patience: Duration,
) -> Result<Vec<AuditRow>, FollowError> {
    match tokio::time::timeout(patience, index::catch_up(directory, store)).await {
        Ok(caught_up) => caught_up?,
        Err(_) => tracing::debug!("the search index does not have the whole trail yet"),
    }
    Ok(store.search_audit(query).await?)
}
