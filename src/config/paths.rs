//! File names. One that is not absolute is meant from the folder of the configuration file, wherever the
//! command runs: a folder with a configuration in it can be moved as a whole.

use std::path::PathBuf;

use serde::{Deserialize, Deserializer};

/// A path that is not empty.
pub(super) fn some_path<'de, D: Deserializer<'de>>(deserializer: D) -> Result<PathBuf, D::Error> {
    let path = PathBuf::deserialize(deserializer)?;
    if path.as_os_str().is_empty() {
        return Err(serde::de::Error::custom("the path is empty"));
    }
    Ok(path)
}

/// A path that may be left out, but not empty.
pub(super) fn optional_path<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<PathBuf>, D::Error> {
    some_path(deserializer).map(Some)
}
