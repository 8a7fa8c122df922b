//! What the store says of an attempt: the account, and the app password that it may have been made with.

use std::sync::OnceLock;

use crate::app_password::{AppPasswords, Scope, Tampered};
use crate::store::{AppPasswordRecord, Standing};

/// Of one reading.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) standing: Option<Standing>,
    /// The app password whose label the presented password begins with.
    pub(super) row: Option<Row>,
}

/// An app password as it was read.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) record: AppPasswordRecord,
    /// Once its MAC was found right: what is in memory nobody changes, and need not be looked at again.
    scope: OnceLock<Scope>,
}

impl Row {
    pub(super) fn new(record: AppPasswordRecord) -> Self {
        Self { record, scope: OnceLock::new() }
    }

    /// What it may be used for.
    ///
    /// # Errors
    /// Somebody changed it in the database: it proves nothing, and nothing of it may be used.
    pub(super) fn scope(&self, app_passwords: &AppPasswords) -> Result<&Scope, Tampered> {
        if let Some(scope) = self.scope.get() {
            return Ok(scope);
        }
        let scope = app_passwords.scope(&self.record)?;
        Ok(self.scope.get_or_init(|| scope))
    }
}
