//! File names. One that is not absolute is meant from the folder of the configuration file, wherever the
//! command runs: a folder with a configuration in it can be moved as a whole.

use std::path::{Path, PathBuf};

use serde::de::Error;
use serde::{Deserialize, Deserializer};

/// Where systemd keeps those of the unit `mailward.service`.
const SERVICE_CREDENTIALS: &str = "/run/credentials/mailward.service";

/// A path that is not empty.
pub(super) fn some_path<'de, D: Deserializer<'de>>(deserializer: D) -> Result<PathBuf, D::Error> {
    let path = PathBuf::deserialize(deserializer)?;
    if path.as_os_str().is_empty() {
        return Err(Error::custom("the path is empty"));
    }
    match credential(&path) {
        Some(name) if name.is_empty() || name.contains('/') || name.starts_with('.') => Err(Error::custom(
            "names no credential\nhint: write the name that stands in `LoadCredential=` of the unit, such as `credential:master`",
        )),
        Some(_) | None => Ok(path),
    }
}

/// The file that `path` means: from `base` unless it is absolute, or among the credentials that the service manager
/// hands over (systemd.exec(5), `LoadCredential=`). Commands that an administrator runs look where the service has
/// them.
pub(super) fn resolve(base: &Path, path: &Path) -> PathBuf {
    match credential(path) {
        None => base.join(path),
        Some(name) => match std::env::var_os("CREDENTIALS_DIRECTORY") {
            Some(directory) => Path::new(&directory).join(name),
            None => Path::new(SERVICE_CREDENTIALS).join(name),
        },
    }
}

fn credential(path: &Path) -> Option<&str> {
    path.to_str()?.strip_prefix("credential:")
}

/// A path that may be left out, but not empty.
pub(super) fn optional_path<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<PathBuf>, D::Error> {
    some_path(deserializer).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_meant_from_the_folder_of_the_file_and_a_credential_from_the_services() {
        let meant = |path: &str| resolve(Path::new("/etc/mailward"), Path::new(path));
        assert_eq!(meant("key.pem"), Path::new("/etc/mailward/key.pem"));
        assert_eq!(meant("/key.pem"), Path::new("/key.pem"));
        // No service manager started this test.
        assert_eq!(meant("credential:master"), Path::new("/run/credentials/mailward.service/master"));
    }
}
