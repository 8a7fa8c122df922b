//! The client's side of TLS, towards upstreams.

use std::future::poll_fn;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use rustls::client::danger::ServerCertVerifier;
use rustls::client::{UnbufferedClientConnection, WebPkiServerVerifier};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::AsyncWriteExt;

use super::certificates::read_certificates;
use super::secured::Secured;
use super::verifier::{Expected, KeyVerifier};
use super::{Kind, Stream, TlsError, provider};
use crate::config::Endpoint;

/// Shakes hands with one upstream and resumes earlier sessions with it. Cheap to clone.
#[derive(Clone)]
pub struct Connector {
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
}

/// What a [`Connector::observing`] saw: SHA-256 over the peer's SubjectPublicKeyInfo.
pub(in crate::proxy) type Observed = Arc<Mutex<Option<[u8; 32]>>>;

impl Connector {
    /// Trusts what `endpoint` says: the pinned key, else the CA file, else the system's roots.
    ///
    /// # Errors
    /// [`TlsError`] naming the file or name that cannot be used.
    pub fn new(endpoint: &Endpoint) -> Result<Self, TlsError> {
        let provider = provider();
        let verifier: Arc<dyn ServerCertVerifier> = match (endpoint.pin_sha256, &endpoint.ca_file) {
            (Some(pin), _) => {
                Arc::new(KeyVerifier { expected: Expected::Pinned(pin), provider: Arc::clone(&provider) })
            }
            (None, ca_file) => {
                let roots = ca_file.as_deref().map_or_else(|| Ok(system_roots()), roots_in)?;
                WebPkiServerVerifier::builder_with_provider(roots, provider)
                    .build()
                    .map_err(|error| rustls::Error::General(error.to_string()))?
            }
        };
        Self::with(verifier, &endpoint.server_name)
    }

    /// Takes any certificate and notes its key in the second value, for finding out what an upstream is.
    /// Nothing secret may be sent over it.
    ///
    /// # Errors
    /// [`TlsError::BadServerName`]
    pub(in crate::proxy) fn observing(server_name: &str) -> Result<(Self, Observed), TlsError> {
        let observed = Observed::default();
        let expected = Expected::Noted(Arc::clone(&observed));
        let connector = Self::with(Arc::new(KeyVerifier { expected, provider: provider() }), server_name)?;
        Ok((connector, observed))
    }

    fn with(verifier: Arc<dyn ServerCertVerifier>, server_name: &str) -> Result<Self, TlsError> {
        let config = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()?
            .dangerous()
            .with_custom_certificate_verifier(verifier)
            .with_no_client_auth();
        let name = ServerName::try_from(server_name.to_owned())
            .map_err(|_| TlsError::BadServerName(server_name.to_owned()))?;
        Ok(Self { config: Arc::new(config), name })
    }

    /// Shakes hands on a stream that has no TLS yet. The caller sets the time limit.
    ///
    /// # Errors
    /// The handshake's failure, a certificate that was not accepted included.
    pub async fn connect(&self, stream: Stream) -> io::Result<Stream> {
        let tls = UnbufferedClientConnection::new(Arc::clone(&self.config), self.name.clone());
        let mut secured = Box::new(Secured::new(stream.into_plain()?, tls.map_err(io::Error::other)?));
        // An upstream that an administrator chose: the library's own limits are enough.
        let mut left = usize::MAX;
        poll_fn(|cx| secured.poll_handshake(cx, &mut left, || ())).await?;
        // It greets only after it heard the end of the handshake.
        secured.flush().await?;
        Ok(Stream(Kind::Upstream(secured)))
    }
}

/// The roots that the system trusts, read once; Mozilla's where the system has none.
fn system_roots() -> Arc<RootCertStore> {
    static ROOTS: OnceLock<Arc<RootCertStore>> = OnceLock::new();
    Arc::clone(ROOTS.get_or_init(|| {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if roots.is_empty() {
            roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        }
        Arc::new(roots)
    }))
}

fn roots_in(path: &Path) -> Result<Arc<RootCertStore>, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in read_certificates(path)? {
        roots
            .add(certificate)
            .map_err(|error| TlsError::BadCertificate { path: path.to_owned(), reason: error.to_string() })?;
    }
    Ok(Arc::new(roots))
}

/// The key that was seen, once a handshake is complete.
pub(in crate::proxy) fn seen(observed: &Observed) -> Option<[u8; 32]> {
    *observed.lock().unwrap_or_else(PoisonError::into_inner)
}
