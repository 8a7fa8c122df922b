//! Searching the trail: in the database's index, after the index has caught up with the files.

use std::path::Path;

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
