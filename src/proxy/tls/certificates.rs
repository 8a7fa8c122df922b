//! Certificates and keys from the administrator's PEM files, and the choice among them by SNI.

use std::cell::RefCell;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

use super::{TlsError, provider};
use crate::base::Timestamp;
use crate::config::CertificateFiles;

/// Every configured certificate; the first serves names that none carries, and clients without SNI.
#[derive(Debug)]
pub struct Certificates {
    /// In the order of the configuration.
    pairs: Vec<Pair>,
    default: Arc<CertifiedKey>,
    /// `mail.example.org` and `*.example.org`, lower case; the first certificate that carries a name has it.
    by_name: HashMap<String, Arc<CertifiedKey>>,
}

/// What one pair of files held.
#[derive(Debug)]
struct Pair {
    path: PathBuf,
    certified: Arc<CertifiedKey>,
    /// Of the leaf, in Unix seconds.
    not_before: i64,
    not_after: i64,
}

impl Certificates {
    /// Reads every pair of files.
    ///
    /// # Errors
    /// [`TlsError`] naming the first file that cannot be used.
    pub fn load(files: &[CertificateFiles]) -> Result<Self, TlsError> {
        let mut by_name = HashMap::new();
        let mut pairs = Vec::new();
        for pair in files {
            let (pair, names) = load_pair(pair)?;
            for name in names {
                by_name.entry(name).or_insert_with(|| Arc::clone(&pair.certified));
            }
            pairs.push(pair);
        }
        let default = pairs.first().map(|pair| Arc::clone(&pair.certified));
        Ok(Self { pairs, default: default.ok_or(TlsError::NoneConfigured)?, by_name })
    }

    /// What is wrong with the dates of the first of them that `now` is too early or too late for. Those that `in_use`
    /// has, too, are not looked at: nothing would be gained by staying with what is there.
    #[must_use]
    pub fn out_of_date(&self, now: Timestamp, in_use: Option<&Self>) -> Option<TlsError> {
        let is_used = |pair: &Pair| in_use.is_some_and(|used| used.pairs.iter().any(|one| one.is(pair)));
        let at = now.unix_seconds();
        self.pairs.iter().filter(|pair| !is_used(pair)).find_map(|pair| {
            let (path, day) =
                (pair.path.clone(), |seconds| Timestamp::from_unix_seconds(seconds).to_string());
            let expired = || TlsError::Expired { path: path.clone(), at: day(pair.not_after) };
            let early = || TlsError::NotYetValid { path: path.clone(), at: day(pair.not_before) };
            (at > pair.not_after).then(expired).or_else(|| (at < pair.not_before).then(early))
        })
    }

    /// Whether both hold the same, in the same order.
    pub(super) fn are(&self, other: &Self) -> bool {
        self.pairs.len() == other.pairs.len()
            && self.pairs.iter().zip(&other.pairs).all(|(one, two)| one.is(two))
    }

    pub(in crate::proxy) fn choose(&self, server_name: Option<&str>) -> Arc<CertifiedKey> {
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

impl Pair {
    /// Whether both present the same chain, and so have the same key.
    fn is(&self, other: &Self) -> bool {
        self.certified.cert == other.certified.cert
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

fn load_pair(files: &CertificateFiles) -> Result<(Pair, Vec<String>), TlsError> {
    let chain = read_certificates(&files.cert)?;
    let leaf = chain.first().ok_or_else(|| TlsError::NoCertificate { path: files.cert.clone() })?;
    let (names, not_before, not_after) = read_leaf(leaf, &files.cert)?;
    let key = PrivateKeyDer::from_pem_file(&files.key)
        .map_err(|source| TlsError::Unreadable { path: files.key.clone(), source })?;
    let certified = CertifiedKey::from_der(chain, key, &provider()).map_err(|error| {
        if matches!(error, rustls::Error::InconsistentKeys(_)) {
            return TlsError::Mismatch { cert: files.cert.clone(), key: files.key.clone() };
        }
        TlsError::BadKey { key: files.key.clone(), reason: error.to_string() }
    })?;
    Ok((Pair { path: files.cert.clone(), certified: Arc::new(certified), not_before, not_after }, names))
}

/// Every certificate of a PEM file; at least one.
///
/// # Errors
/// [`TlsError`] naming the file.
pub fn read_certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
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

/// The DNS names of the certificate's subject alternative names, for the common name is long obsolete (RFC 9525
/// section 2) and not looked at; and from when to when it is valid, in Unix seconds.
fn read_leaf(leaf: &CertificateDer<'_>, path: &Path) -> Result<(Vec<String>, i64, i64), TlsError> {
    let bad = |reason: String| TlsError::BadCertificate { path: path.to_owned(), reason };
    let (_, certificate) = X509Certificate::from_der(leaf).map_err(|error| bad(error.to_string()))?;
    let alternative = certificate.subject_alternative_name().map_err(|error| bad(error.to_string()))?;
    let names = alternative.iter().flat_map(|extension| &extension.value.general_names);
    let names = names.filter_map(|name| {
        if let GeneralName::DNSName(name) = name { Some(name.to_ascii_lowercase()) } else { None }
    });
    let validity = certificate.validity();
    Ok((names.collect(), validity.not_before.timestamp(), validity.not_after.timestamp()))
}
