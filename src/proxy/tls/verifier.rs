//! Who an upstream is, where the system's roots do not say.

use std::sync::{Arc, Mutex, PoisonError};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, SignatureScheme};
use sha2::{Digest, Sha256};
use x509_parser::prelude::{FromDer, X509Certificate};

/// What an upstream's public key must be.
#[derive(Debug)]
pub(super) enum Expected {
    /// The key with this SHA-256 over its SubjectPublicKeyInfo (as in RFC 7469 section 2.4).
    Pinned([u8; 32]),
    /// Any: the key is noted, and nothing secret is ever sent on this connection.
    Noted(Arc<Mutex<Option<[u8; 32]>>>),
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
        let (_, certificate) =
            X509Certificate::from_der(end_entity).map_err(|_| CertificateError::BadEncoding)?;
        let found: [u8; 32] = Sha256::digest(certificate.public_key().raw).into();
        match &self.expected {
            Expected::Pinned(pin) if *pin == found => {}
            Expected::Pinned(_) => return Err(CertificateError::ApplicationVerificationFailure.into()),
            Expected::Noted(note) => *note.lock().unwrap_or_else(PoisonError::into_inner) = Some(found),
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
