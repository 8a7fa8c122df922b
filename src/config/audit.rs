//! `[audit]`

use std::path::{Path, PathBuf};
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::document::Raw;
use super::duration::{self, DurationText};
use super::paths;
use super::size::SizeText;

/// Where the trail is kept.
#[derive(Clone, Debug)]
pub struct Audit {
    /// One file per writing process; created with mode 0700.
    pub directory: PathBuf,
    /// What happens to mail logins when a record cannot be written.
    pub when_full: WhenFull,
    /// How long records are kept, after the last one of their file; for ever if none.
    pub retention: Option<Duration>,
    /// Bytes of disk that are kept for successes and changes; none are if zero.
    pub reserve: u64,
}

/// What happens to mail logins when a record cannot be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum WhenFull {
    /// They are refused as unavailable.
    #[default]
    Refuse,
    /// They go on; it is logged loudly.
    Continue,
}

#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RawAudit {
    #[serde(default, deserialize_with = "paths::optional_path", skip_serializing_if = "Option::is_none")]
    directory: Option<PathBuf>,
    #[serde(default)]
    when_full: WhenFull,
    #[serde(default = "retention", deserialize_with = "duration::a_day_or_none")]
    #[schemars(with = "DurationText")]
    retention: DurationText,
    #[serde(default = "reserve")]
    reserve: SizeText,
}

/// For ever: what is taken away does not come back, so that somebody has to ask for it.
fn retention() -> DurationText {
    DurationText(Duration::ZERO)
}

/// Some half a million records.
fn reserve() -> SizeText {
    SizeText(256 << 20)
}

impl Raw for RawAudit {}

impl RawAudit {
    pub(super) fn check(self, base: &Path, data_dir: &Path) -> Audit {
        let directory = self.directory.map_or_else(|| data_dir.join("audit"), |path| base.join(path));
        let retention = Some(self.retention.0).filter(|time| !time.is_zero());
        Audit { directory, when_full: self.when_full, retention, reserve: self.reserve.0 }
    }
}

impl From<&Audit> for RawAudit {
    fn from(audit: &Audit) -> Self {
        Self {
            directory: Some(audit.directory.clone()),
            when_full: audit.when_full,
            retention: DurationText(audit.retention.unwrap_or_default()),
            reserve: SizeText(audit.reserve),
        }
    }
}
