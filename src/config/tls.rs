//! `[[tls.certificate]]`

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::document::Raw;
use super::paths;

/// A certificate chain and its key, PEM files.
#[derive(Clone, Debug)]
pub struct CertificateFiles {
    /// The chain, leaf first.
    pub cert: PathBuf,
    /// The private key.
    pub key: PathBuf,
}

#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RawCertificate {
    #[serde(deserialize_with = "paths::some_path")]
    cert: PathBuf,
    #[serde(deserialize_with = "paths::some_path")]
    key: PathBuf,
}

impl Raw for RawCertificate {}

impl RawCertificate {
    pub(super) fn check(self, base: &Path) -> CertificateFiles {
        CertificateFiles { cert: paths::resolve(base, &self.cert), key: paths::resolve(base, &self.key) }
    }
}

impl From<&CertificateFiles> for RawCertificate {
    fn from(files: &CertificateFiles) -> Self {
        Self { cert: files.cert.clone(), key: files.key.clone() }
    }
}
