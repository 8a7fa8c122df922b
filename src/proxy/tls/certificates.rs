//! Certificates and keys from the administrator's PEM files, and the choice among them by SNI.

use std::cell::RefCell;
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

use super::{TlsError, provider};
use crate::config::CertificateFiles;

/// Every configured certificate; the first serves names that none carries, and clients without SNI.
#[derive(Debug)]
pub struct Certificates {
    default: Arc<CertifiedKey>,
    /// `mail.example.org` and `*.example.org`, lower case; the first certificate that carries a name has it.
    by_name: HashMap<String, Arc<CertifiedKey>>,
}

impl Certificates {
    /// Reads every pair of files.
    ///
    /// # Errors
    /// [`TlsError`] naming the first file that cannot be used.
    pub fn load(files: &[CertificateFiles]) -> Result<Self, TlsError> {
        let mut by_name = HashMap::new();
        let mut default = None;
        for pair in files {
            let (certified, names) = load_pair(pair)?;
            for name in names {
                by_name.entry(name).or_insert_with(|| Arc::clone(&certified));
            }
            default.get_or_insert(certified);
        }
        Ok(Self { default: default.ok_or(TlsError::NoneConfigured)?, by_name })
    }

    pub(super) fn choose(&self, server_name: Option<&str>) -> Arc<CertifiedKey> {
        let chosen = server_name.and_then(|name| {
            let name = name.trim_end_matches('.').to_ascii_lowercase();
            // A wildcard stands for exactly one label, RFC 6125 section 6.4.3.
            let wildcard =
                || name.split_once('.').and_then(|(_, rest)| self.by_name.get(&format!("*.{rest}")));
            self.by_name.get(&name).or_else(wildcard)
        });
        Arc::clone(chosen.unwrap_or(&self.default))
    }
}

thread_local! {
    /// The host name of the handshake that this thread is just working on. The library's interface without buffers tells
    /// it to nobody but the resolver, whose callers all wait on the same thread.
    static ASKED: RefCell<Option<Box<str>>> = const { RefCell::new(None) };
}

/// The name that the client asked for in the step of its handshake that this thread has just made, if it was in that one.
pub(super) fn take_asked() -> Option<Box<str>> {
    ASKED.take()
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        ASKED.set(hello.server_name().map(Into::into));
        Some(self.choose(hello.server_name()))
    }
}

fn load_pair(files: &CertificateFiles) -> Result<(Arc<CertifiedKey>, Vec<String>), TlsError> {
    let chain = read_certificates(&files.cert)?;
    let leaf = chain.first().ok_or_else(|| TlsError::NoCertificate { path: files.cert.clone() })?;
    let names = names_in(leaf, &files.cert)?;
    let key = PrivateKeyDer::from_pem_file(&files.key)
        .map_err(|source| TlsError::Unreadable { path: files.key.clone(), source })?;
    let certified = CertifiedKey::from_der(chain, key, &provider()).map_err(|error| {
        if matches!(error, rustls::Error::InconsistentKeys(_)) {
            return TlsError::Mismatch { cert: files.cert.clone(), key: files.key.clone() };
        }
        TlsError::BadKey { key: files.key.clone(), reason: error.to_string() }
    })?;
    Ok((Arc::new(certified), names))
}

/// Every certificate of a PEM file; at least one.
pub(super) fn read_certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let unreadable = |source| TlsError::Unreadable { path: path.to_owned(), source };
    let certificates: Vec<_> = CertificateDer::pem_file_iter(path)
        .map_err(unreadable)?
        .collect::<Result<_, _>>()
        .map_err(|source| TlsError::Unreadable { path: path.to_owned(), source })?;
    if certificates.is_empty() {
        return Err(TlsError::NoCertificate { path: path.to_owned() });
    }
    Ok(certificates)
}

/// The DNS names of the certificate's subject alternative names; the common name is long obsolete
/// (RFC 9525 section 2) and not looked at.
fn names_in(leaf: &CertificateDer<'_>, path: &Path) -> Result<Vec<String>, TlsError> {
    let bad = |reason: String| TlsError::BadCertificate { path: path.to_owned(), reason };
    let (_, certificate) = X509Certificate::from_der(leaf).map_err(|error| bad(error.to_string()))?;
    let alternative = certificate.subject_alternative_name().map_err(|error| bad(error.to_string()))?;
    let names = alternative.iter().flat_map(|extension| &extension.value.general_names);
    Ok(names
        .filter_map(|name| {
            if let GeneralName::DNSName(name) = name { Some(name.to_ascii_lowercase()) } else { None }
        })
        .collect())
}
