//! `[[tls.certificate]]`

use std::path::PathBuf;

/// A certificate chain and its key, PEM files.
#[derive(Clone, Debug)]
pub struct CertificateFiles {
    /// The chain, leaf first.
    pub cert: PathBuf,
    /// The private key.
    pub key: PathBuf,
}
