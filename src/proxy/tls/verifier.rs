//! Who an upstream is, where the system's roots do not say.

use std::sync::{Arc, Mutex, PoisonError};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, SignatureScheme};
use sha2::{Digest, Sha256};
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

/// What an upstream's public key must be.
#[derive(Debug)]
pub(super) enum Expected {
    /// A key with one of these SHA-256 over its SubjectPublicKeyInfo (as in RFC 7469 section 2.4).
    Pinned(Vec<[u8; 32]>),
    /// Any: it is noted, and nothing secret is ever sent on this connection.
    Noted(Arc<Mutex<Option<Shown>>>),
}

/// What a server showed of itself, whoever it is.
#[derive(Clone, Debug)]
pub(in crate::proxy) struct Shown {
    /// SHA-256 of its SubjectPublicKeyInfo.
    pub(in crate::proxy) key: [u8; 32],
    /// The hosts that its certificate is for.
    pub(in crate::proxy) names: Vec<String>,
}

/// Judges the key instead of the chain; the peer must still prove with a signature that the key is its own.
#[derive(Debug)]
pub(super) struct KeyVerifier {
    pub(super) expected: Expected,
    pub(super) provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for KeyVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let found = key_hash(end_entity).ok_or(CertificateError::BadEncoding)?;
        match &self.expected {
            Expected::Pinned(pins) if pins.contains(&found) => {}
            Expected::Pinned(_) => return Err(CertificateError::ApplicationVerificationFailure.into()),
            Expected::Noted(note) => {
                let shown = Shown { key: found, names: hosts_of(end_entity) };
                *note.lock().unwrap_or_else(PoisonError::into_inner) = Some(shown);
            }
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// A certificate that was not taken. What it says of itself is not repeated: anybody can write anything there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedCertificate {
    /// SHA-256 of its SubjectPublicKeyInfo; none if it has no such thing.
    pub key: Option<[u8; 32]>,
    /// Why, in words.
    pub why: String,
}

/// Judges as another does, and notes what that refuses.
#[derive(Debug)]
pub(super) struct Noting {
    pub(super) inner: Arc<dyn ServerCertVerifier>,
    pub(super) refused: Arc<Mutex<Option<RefusedCertificate>>>,
}

impl ServerCertVerifier for Noting {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let judged =
            self.inner.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        judged.inspect_err(|error| {
            let refused = RefusedCertificate { key: key_hash(end_entity), why: in_words(error) };
            *self.refused.lock().unwrap_or_else(PoisonError::into_inner) = Some(refused);
        })
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.inner.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.inner.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}

fn key_hash(certificate: &CertificateDer<'_>) -> Option<[u8; 32]> {
    let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
    Some(Sha256::digest(certificate.public_key().raw).into())
}

fn hosts_of(certificate: &CertificateDer<'_>) -> Vec<String> {
    let Ok((_, certificate)) = X509Certificate::from_der(certificate) else { return vec![] };
    let alternative = certificate.subject_alternative_name().ok().flatten();
    let names = alternative.iter().flat_map(|extension| &extension.value.general_names);
    let names = names.filter_map(|name| {
        if let GeneralName::DNSName(name) = name { Some(name.to_ascii_lowercase()) } else { None }
    });
    names.collect()
}

/// Short, and without what changes by itself from one moment to the next: that would be news each time.
pub(super) fn in_words(error: &rustls::Error) -> String {
    use CertificateError as E;
    let rustls::Error::InvalidCertificate(why) = error else { return error.to_string() };
    let known = [
        (matches!(why, E::ApplicationVerificationFailure), "its key is not the pinned one"),
        (matches!(why, E::Expired | E::ExpiredContext { .. }), "it has expired"),
        (matches!(why, E::NotValidYet | E::NotValidYetContext { .. }), "it is not valid yet"),
        (matches!(why, E::NotValidForName | E::NotValidForNameContext { .. }), "it is for another name"),
        (matches!(why, E::UnknownIssuer), "its issuer is not trusted"),
        (matches!(why, E::BadSignature), "it was not signed by the issuer that it names"),
        (matches!(why, E::Revoked), "it was revoked"),
    ];
    let words = known.into_iter().find(|(is_it, _)| *is_it).map(|(_, words)| words.to_owned());
    words.unwrap_or_else(|| format!("{why:?}"))
}
