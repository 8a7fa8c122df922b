//! Certificates.

use std::path::PathBuf;
use std::sync::Arc;

use crate::base::Protocol;
use crate::config::CertificateFiles;
use crate::proxy::tls::{Acceptor, Certificates};

/// A certificate authority and what it signed, in PEM files of a directory that vanishes.
pub(in crate::proxy) struct Authority {
    directory: tempfile::TempDir,
    issuer: rcgen::Issuer<'static, rcgen::KeyPair>,
}

impl Authority {
    pub(in crate::proxy) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        params.distinguished_name.push(rcgen::DnType::CommonName, "a test's authority");
        std::fs::write(directory.path().join("ca.pem"), params.self_signed(&key).unwrap().pem()).unwrap();
        Self { directory, issuer: rcgen::Issuer::new(params, key) }
    }

    pub(in crate::proxy) fn ca_file(&self) -> PathBuf {
        self.directory.path().join("ca.pem")
    }

    /// A certificate for `names`, and SHA-256 of its public key.
    pub(in crate::proxy) fn issue(&self, names: &[&str]) -> (CertificateFiles, [u8; 32]) {
        use rcgen::PublicKeyData;
        use sha2::Digest;
        let key = rcgen::KeyPair::generate().unwrap();
        let names: Vec<_> = names.iter().map(ToString::to_string).collect();
        let file = names.join("+").replace('*', "any");
        let certificate =
            rcgen::CertificateParams::new(names).unwrap().signed_by(&key, &self.issuer).unwrap();
        let files = CertificateFiles {
            cert: self.directory.path().join(format!("{file}.pem")),
            key: self.directory.path().join(format!("{file}.key")),
        };
        std::fs::write(&files.cert, certificate.pem()).unwrap();
        std::fs::write(&files.key, key.serialize_pem()).unwrap();
        (files, sha2::Sha256::digest(key.subject_public_key_info()).into())
    }

    pub(in crate::proxy) fn acceptor(&self, names: &[&str]) -> Acceptor {
        let certificates = Certificates::load(&[self.issue(names).0]).unwrap();
        Acceptor::new(Arc::new(certificates), Protocol::Pop3).unwrap()
    }
}
