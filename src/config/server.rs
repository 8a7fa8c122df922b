//! `[server]`

use std::path::{Path, PathBuf};
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::document::Raw;
use super::duration::{self, DurationText};
use super::{paths, schema};
use crate::base::Language;

/// Who we are and where we keep things.
#[derive(Clone, Debug)]
pub struct Server {
    /// The name clients are told: a host name, ASCII.
    pub hostname: String,
    /// Key file and database live here; created with mode 0700.
    pub data_dir: PathBuf,
    /// `refusal_text = "en" | "zh"`; English by default.
    pub refusal_text: Language,
    /// How long sessions that are in the middle of something may go on once the gate stops. 10 s; 10 min at most.
    pub drain: Duration,
}

impl Server {
    /// The file that holds the site's key.
    #[must_use]
    pub fn key_file(&self) -> PathBuf {
        self.data_dir.join("site.key")
    }
}

/// Where things are kept unless the file says otherwise.
pub const DEFAULT_DATA_DIR: &str = "/var/lib/mailward";

/// What a message on its way mostly needs, and clients mostly wait for a connection.
const DEFAULT_DRAIN: Duration = Duration::from_secs(10);

/// Nobody waits longer for a restart.
const DRAIN_MAX: Duration = Duration::from_secs(600);

#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RawServer {
    #[serde(deserialize_with = "hostname")]
    #[schemars(with = "schema::HostName")]
    hostname: String,
    #[serde(default = "default_data_dir", deserialize_with = "paths::some_path")]
    data_dir: PathBuf,
    #[serde(default)]
    refusal_text: RawLanguage,
    #[serde(default = "default_drain", deserialize_with = "drain")]
    drain: DurationText,
}

#[derive(Clone, Copy, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum RawLanguage {
    #[default]
    En,
    Zh,
}

impl Raw for RawServer {}

impl RawServer {
    pub(super) fn check(self, base: &Path) -> Server {
        let refusal_text = match self.refusal_text {
            RawLanguage::En => Language::English,
            RawLanguage::Zh => Language::Chinese,
        };
        let (hostname, data_dir) = (self.hostname, base.join(self.data_dir));
        Server { hostname, data_dir, refusal_text, drain: self.drain.0 }
    }
}

impl From<&Server> for RawServer {
    fn from(server: &Server) -> Self {
        let refusal_text = match server.refusal_text {
            Language::English => RawLanguage::En,
            Language::Chinese => RawLanguage::Zh,
        };
        let (hostname, data_dir) = (server.hostname.clone(), server.data_dir.clone());
        Self { hostname, data_dir, refusal_text, drain: DurationText(server.drain) }
    }
}

fn default_data_dir() -> PathBuf {
    DEFAULT_DATA_DIR.into()
}

fn default_drain() -> DurationText {
    DurationText(DEFAULT_DRAIN)
}

fn drain<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<DurationText, D::Error> {
    let drain = duration::longer_than_zero(deserializer)?;
    if drain.0 > DRAIN_MAX {
        return Err(serde::de::Error::custom(
            "must be 10m at most\nhint: until the gate has stopped, the next one cannot start",
        ));
    }
    Ok(drain)
}

fn hostname<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    if is_hostname(&text) {
        Ok(text)
    } else {
        Err(serde::de::Error::custom(format!(
            "`{text}` is no host name\nhint: write the name that clients are set up with, such as `mail.example.org`"
        )))
    }
}

/// Letters, digits and hyphens between dots (RFC 952, RFC 1123 section 2.1); internationalised names in
/// their `xn--` form.
#[must_use]
pub fn is_hostname(text: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    text.len() <= 253 && text.split('.').all(label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_names_are_told_from_other_text() {
        for good in ["mail.example.org", "localhost", "xn--fsq.example", "a-b.c1"] {
            assert!(is_hostname(good), "{good}");
        }
        for bad in ["", "a..b", "-a.org", "a b", "邮件.cn", "a.org.", "https://a.org"] {
            assert!(!is_hostname(bad), "{bad}");
        }
    }
}
