//! `[audit]`

use std::path::PathBuf;

/// Where the trail is kept.
#[derive(Clone, Debug)]
pub struct Audit {
    /// One file per writing process; created with mode 0700.
    pub directory: PathBuf,
    /// What happens to mail logins when a record cannot be written.
    pub when_full: WhenFull,
}

/// What happens to mail logins when a record cannot be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenFull {
    /// They are refused as unavailable.
    Refuse,
    /// They go on; it is logged loudly.
    Continue,
}
