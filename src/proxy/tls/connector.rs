//! The client's side of TLS, towards upstreams.

use std::future::poll_fn;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use rustls::client::danger::ServerCertVerifier;
use rustls::client::{Resumption, UnbufferedClientConnection, WebPkiServerVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::AsyncWriteExt;

use super::certificates::read_certificates;
use super::secured::Secured;
use super::verifier::{Expected, KeyVerifier, Noting, RefusedCertificate, Shown, in_words};
use super::{Kind, Stream, TlsError, provider};
use crate::config::{Endpoint, show_pin};
use crate::protocol::Output;

/// Shakes hands with one server and resumes earlier sessions with it. Cheap to clone.
#[derive(Clone)]
pub struct Connector {
    resuming: Arc<ClientConfig>,
    /// In a resumed session no certificate is shown: this one wants to see it each time.
    anew: Arc<ClientConfig>,
    name: ServerName<'static>,
    /// In words.
    expects: Arc<str>,
    refused: Arc<Mutex<Option<RefusedCertificate>>>,
}

/// What a [`Connector::observing`] saw.
pub(in crate::proxy) type Observed = Arc<Mutex<Option<Shown>>>;

impl Connector {
    /// For a server of `endpoint` that is called `server_name`. Trusts what `endpoint` says: the pinned keys, else the
    /// CA file, else the system's roots.
    ///
    /// # Errors
    /// [`TlsError`] naming the file or name that cannot be used.
    pub fn new(endpoint: &Endpoint, server_name: &str) -> Result<Self, TlsError> {
        let provider = provider();
        let verifier: Arc<dyn ServerCertVerifier> = match (endpoint.pin_sha256.as_slice(), &endpoint.ca_file)
        {
            (pins @ [_, ..], _) => {
                let expected = Expected::Pinned(pins.to_vec());
                Arc::new(KeyVerifier { expected, provider: Arc::clone(&provider) })
            }
            ([], ca_file) => {
                let roots = ca_file.as_deref().map_or_else(|| Ok(system_roots()), roots_in)?;
                WebPkiServerVerifier::builder_with_provider(roots, provider)
                    .build()
                    .map_err(|error| rustls::Error::General(error.to_string()))?
            }
        };
        let pins: Vec<String> = endpoint.pin_sha256.iter().map(show_pin).collect();
        let expects = match (pins.as_slice(), &endpoint.ca_file) {
            ([], Some(path)) => {
                format!("a certificate for `{server_name}` by an authority in `{}`", path.display())
            }
            ([], None) => format!("a certificate for `{server_name}` by an authority that the system trusts"),
            (pins, _) => format!("the key of `pin_sha256`, `{}`", pins.join("` or `")),
        };
        Self::with(verifier, server_name, &expects)
    }

    /// Takes any certificate and notes it in the second value, for finding out what an upstream is.
    /// Nothing secret may be sent over it.
    ///
    /// # Errors
    /// [`TlsError::BadServerName`]
    pub(in crate::proxy) fn observing(server_name: &str) -> Result<(Self, Observed), TlsError> {
        let observed = Observed::default();
        let expected = Expected::Noted(Arc::clone(&observed));
        let verifier = Arc::new(KeyVerifier { expected, provider: provider() });
        Ok((Self::with(verifier, server_name, "any certificate")?, observed))
    }

    fn with(
        verifier: Arc<dyn ServerCertVerifier>,
        server_name: &str,
        expects: &str,
    ) -> Result<Self, TlsError> {
        let refused = Arc::default();
        let verifier = Arc::new(Noting { inner: verifier, refused: Arc::clone(&refused) });
        let resuming = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()?
            .dangerous()
            .with_custom_certificate_verifier(verifier)
            .with_no_client_auth();
        let mut anew = resuming.clone();
        anew.resumption = Resumption::disabled();
        let name = ServerName::try_from(server_name.to_owned())
            .map_err(|_| TlsError::BadServerName(server_name.to_owned()))?;
        Ok(Self {
            resuming: Arc::new(resuming),
            anew: Arc::new(anew),
            name,
            expects: expects.into(),
            refused,
        })
    }

    /// Shakes hands on a stream that has no TLS yet. The caller sets the time limit.
    ///
    /// # Errors
    /// The handshake's failure, a certificate that was not accepted included.
    pub async fn connect(&self, stream: Stream) -> io::Result<Stream> {
        self.shake_hands(&self.resuming, stream).await
    }

    /// The same, and the peer has to show its certificate even if it was here before.
    ///
    /// # Errors
    /// As [`Connector::connect`].
    pub async fn connect_anew(&self, stream: Stream) -> io::Result<Stream> {
        self.shake_hands(&self.anew, stream).await
    }

    async fn shake_hands(&self, config: &Arc<ClientConfig>, stream: Stream) -> io::Result<Stream> {
        let tls = UnbufferedClientConnection::new(Arc::clone(config), self.name.clone());
        let mut secured = Box::new(Secured::new(stream.into_plain()?, tls.map_err(io::Error::other)?));
        // An upstream that an administrator chose: the library's own limits are enough.
        let mut left = usize::MAX;
        let mut nothing = None::<fn(Option<&str>) -> Output>;
        poll_fn(|cx| secured.poll_handshake(cx, &mut left, || None, &mut nothing)).await?;
        // It greets only after it heard the end of the handshake.
        secured.flush().await?;
        Ok(Stream(Kind::Upstream(secured)))
    }

    /// What a certificate must be to be taken, in words.
    pub(in crate::proxy) fn expects(&self) -> &str {
        &self.expects
    }

    /// The certificate that was not taken, if that is why a handshake failed with `error`.
    pub(in crate::proxy) fn refused(&self, error: &io::Error) -> Option<RefusedCertificate> {
        let error = error.get_ref()?.downcast_ref::<rustls::Error>()?;
        if !matches!(error, rustls::Error::InvalidCertificate(_)) {
            return None;
        }
        // Of several handshakes at once any will do: they are with one server.
        self.refused.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Whether whoever trusts what this machine trusts would take `chain`, leaf first, for `name` at `now` (seconds since
/// 1970).
///
/// # Errors
/// Why not, in words.
pub fn known_to_the_public(chain: &[CertificateDer<'_>], name: &str, now: u64) -> Result<(), String> {
    let Some((leaf, intermediates)) = chain.split_first() else { return Err("there is none".to_owned()) };
    let name = ServerName::try_from(name).map_err(|error| error.to_string())?;
    let verifier = WebPkiServerVerifier::builder_with_provider(system_roots(), provider())
        .build()
        .map_err(|error| error.to_string())?;
    let now = UnixTime::since_unix_epoch(Duration::from_secs(now));
    let judged = verifier.verify_server_cert(leaf, intermediates, &name, &[], now);
    judged.map(drop).map_err(|error| in_words(&error))
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

/// What was seen, once a handshake is complete.
pub(in crate::proxy) fn seen(observed: &Observed) -> Option<Shown> {
    observed.lock().unwrap_or_else(PoisonError::into_inner).clone()
}
