//! The server's side of TLS, towards mail clients.

use std::future::poll_fn;
use std::io;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::server::{ServerSessionMemoryCache, UnbufferedServerConnection};
use tokio::io::AsyncWriteExt;

use super::certificates::take_asked;
use super::secured::Secured;
use super::{Certificates, Kind, Stream, TlsError, provider};
use crate::base::Protocol;
use crate::protocol::Output;

/// Sessions remembered for TLS 1.2 clients that take no tickets; some 200 bytes each. Everybody else's
/// session lives in the ticket that the client keeps (docs/decisions/0003-session-resumption.md).
const REMEMBERED_SESSIONS: usize = 4096;

/// What a client may send before its handshake is complete: a post-quantum ClientHello takes 2 KiB, a second one after
/// a HelloRetryRequest (RFC 8446 section 4.1.4) as much again, and nobody is asked for a certificate. The library itself
/// would gather messages of up to 64 KiB before it looks at them, and a stranger need not send the last byte.
const HANDSHAKE_MAX: usize = 16 * 1024;

/// Shakes hands with the clients of one protocol. Cheap to clone.
#[derive(Clone)]
pub struct Acceptor(Arc<ServerConfig>);

impl Acceptor {
    /// TLS 1.2 and 1.3 with `certificates`, for clients of `protocol`.
    ///
    /// # Errors
    /// [`TlsError::Library`] where there is no randomness for ticket keys.
    pub fn new(certificates: Arc<Certificates>, protocol: Protocol) -> Result<Self, TlsError> {
        // A client that names protocols but not this one (a browser, RFC 7301 section 3.2) is refused; one
        // that names none is served. `imap` and `pop3` are registered with IANA, submission has no name:
        // `smtp` there merely turns away who asks for something else.
        let mut settings = settings(certificates, protocol.as_str().as_bytes())?;
        settings.send_half_rtt_data = true;
        Ok(Self(Arc::new(settings)))
    }

    /// Shakes hands on a stream that has no TLS yet. The caller sets the time limit; tickets go out when it next reads or writes.
    ///
    /// # Errors
    /// The handshake's failure; the client was sent the fitting alert.
    pub async fn accept(&self, stream: Stream) -> io::Result<Stream> {
        self.accept_and_greet(stream, |_| Output::default()).await
    }

    /// The same for a client that awaits a greeting: it is asked for once, with the host name that the client wants, and
    /// goes out with the server's part of the handshake where the client's version has a place for it
    /// (docs/decisions/0133-greeted-with-the-handshake.md). Whoever connects is told it.
    ///
    /// # Errors
    /// The handshake's failure; the client was sent the fitting alert.
    pub async fn accept_and_greet(
        &self,
        stream: Stream,
        greeting: impl FnOnce(Option<&str>) -> Output,
    ) -> io::Result<Stream> {
        let tls = UnbufferedServerConnection::new(Arc::clone(&self.0)).map_err(io::Error::other)?;
        let mut secured = Box::new(Secured::new(stream.into_plain()?, tls));
        let (mut left, mut greeting) = (HANDSHAKE_MAX, Some(greeting));
        poll_fn(|cx| secured.poll_handshake(cx, &mut left, take_asked, &mut greeting)).await?;
        // In TLS 1.3 only tickets wait, which go out with the next words of the caller. An older client waits for them.
        if secured.version() != Some(rustls::ProtocolVersion::TLSv1_3) {
            secured.flush().await?;
        }
        Ok(Stream(Kind::Client(secured)))
    }
}

/// TLS 1.2 and 1.3 with `certificates`, for clients that speak `alpn` (RFC 7301) or do not say what.
fn settings(certificates: Arc<Certificates>, alpn: &[u8]) -> Result<ServerConfig, TlsError> {
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_cert_resolver(certificates);
    config.alpn_protocols = vec![alpn.to_vec()];
    config.ticketer = rustls::crypto::aws_lc_rs::Ticketer::new()?;
    // Clients mostly name AES-256 first and mean nothing by it; see `provider`.
    config.ignore_client_order = true;
    // One for each connection that a client makes: it always has one left for the next.
    config.send_tls13_tickets = 1;
    config.session_storage = ServerSessionMemoryCache::new(REMEMBERED_SESSIONS);
    Ok(config)
}

/// One for each protocol, with the same certificates.
pub(in crate::proxy) struct Acceptors {
    certificates: Arc<Certificates>,
    imap: Acceptor,
    pop3: Acceptor,
    smtp: Acceptor,
    browsers: Arc<ServerConfig>,
}

impl Acceptors {
    /// With new keys for tickets: a session that was begun under other certificates is not resumed.
    pub(in crate::proxy) fn new(certificates: Certificates) -> Result<Self, TlsError> {
        let certificates = Arc::new(certificates);
        let of = |protocol| Acceptor::new(Arc::clone(&certificates), protocol);
        let (imap, pop3, smtp) = (of(Protocol::Imap)?, of(Protocol::Pop3)?, of(Protocol::Smtp)?);
        let browsers = Arc::new(settings(Arc::clone(&certificates), b"http/1.1")?);
        Ok(Self { certificates, imap, pop3, smtp, browsers })
    }

    /// The same certificates for browsers.
    pub(in crate::proxy) fn for_browsers(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.browsers)
    }

    pub(in crate::proxy) fn certificates(&self) -> &Certificates {
        &self.certificates
    }

    /// Whether they present `certificates` already.
    pub(in crate::proxy) fn present(&self, certificates: &Certificates) -> bool {
        self.certificates.are(certificates)
    }

    pub(in crate::proxy) fn of(&self, protocol: Protocol) -> Acceptor {
        match protocol {
            Protocol::Imap => self.imap.clone(),
            Protocol::Pop3 => self.pop3.clone(),
            Protocol::Smtp => self.smtp.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use rustls::pki_types::ServerName;
    use rustls::{AlertDescription, ClientConfig, HandshakeKind, NamedGroup, RootCertStore};
    use tokio::io::AsyncReadExt;
    use tokio_rustls::TlsConnector;

    use super::super::certificates::read_certificates;
    use super::*;
    use crate::proxy::testing::{Authority, tcp_pair};

    type Client = tokio_rustls::client::TlsStream<tokio::net::TcpStream>;

    fn client(authority: &Authority, version: &'static rustls::SupportedProtocolVersion) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(read_certificates(&authority.ca_file()).unwrap().remove(0)).unwrap();
        ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&[version])
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth()
    }

    /// Shakes hands and says a word both ways, so that tickets arrive.
    async fn visit(acceptor: &Acceptor, config: &Arc<ClientConfig>, name: &str) -> io::Result<Client> {
        let (near, far) = tcp_pair().await;
        let name = ServerName::try_from(name.to_owned()).unwrap();
        let connector = TlsConnector::from(Arc::clone(config));
        let (served, visited) =
            tokio::join!(acceptor.accept(Stream::plain(far)), connector.connect(name, near));
        let mut client = visited?;
        let mut server = served?;
        server.write_all(b"hello").await?;
        server.flush().await?;
        client.read_exact(&mut [0; 5]).await?;
        Ok(client)
    }

    #[tokio::test]
    async fn sni_chooses_the_certificate_and_the_first_serves_everybody_else() {
        let authority = Authority::new();
        let names: [&[&str]; 3] =
            [&["first.example"], &["mail.example.org", "*.example.org"], &["a.b.example"]];
        let files: Vec<_> = names.iter().map(|names| authority.issue(names).0).collect();
        let certificates = Certificates::load(&files).unwrap();
        let chosen = |name| {
            let key = certificates.choose(name);
            files.iter().position(|f| read_certificates(&f.cert).unwrap() == key.cert).unwrap()
        };
        assert_eq!(chosen(None), 0);
        assert_eq!(chosen(Some("unknown.example")), 0);
        assert_eq!(chosen(Some("MAIL.example.org")), 1);
        assert_eq!(chosen(Some("other.example.org")), 1);
        assert_eq!(chosen(Some("two.labels.example.org")), 0, "a wildcard is one label");
        assert_eq!(chosen(Some("example.org")), 0);
        assert_eq!(chosen(Some("a.b.example")), 2);

        let acceptor = Acceptor::new(Arc::new(certificates), Protocol::Imap).unwrap();
        let config = Arc::new(client(&authority, &rustls::version::TLS13));
        for name in ["first.example", "mail.example.org", "x.example.org", "a.b.example"] {
            visit(&acceptor, &config, name).await.unwrap();
        }
    }

    #[tokio::test]
    async fn a_client_that_asks_for_another_protocol_is_refused() {
        let authority = Authority::new();
        let acceptor = authority.acceptor(&["mail.example.org"]);
        let visit_with = async |alpn: &[&[u8]]| {
            let mut config = client(&authority, &rustls::version::TLS13);
            config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
            visit(&acceptor, &Arc::new(config), "mail.example.org").await
        };
        let error = visit_with(&[b"h2", b"http/1.1"]).await.unwrap_err();
        let alert = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
        assert_eq!(
            alert,
            Some(&rustls::Error::AlertReceived(AlertDescription::NoApplicationProtocol)),
            "{error}"
        );
        let client = visit_with(&[b"h2", b"pop3"]).await.unwrap();
        assert_eq!(client.get_ref().1.alpn_protocol(), Some(&b"pop3"[..]));
        visit_with(&[]).await.unwrap();
    }

    #[tokio::test]
    async fn a_second_visit_resumes_in_either_version_and_the_first_is_post_quantum() {
        let authority = Authority::new();
        let acceptor = authority.acceptor(&["mail.example.org"]);
        for version in [&rustls::version::TLS13, &rustls::version::TLS12] {
            let config = Arc::new(client(&authority, version));
            let first = visit(&acceptor, &config, "mail.example.org").await.unwrap();
            assert_eq!(first.get_ref().1.handshake_kind(), Some(HandshakeKind::Full));
            let group = first.get_ref().1.negotiated_key_exchange_group().unwrap().name();
            if version.version == rustls::ProtocolVersion::TLSv1_3 {
                assert_eq!(group, NamedGroup::X25519MLKEM768);
            }
            let second = visit(&acceptor, &config, "mail.example.org").await.unwrap();
            assert_eq!(second.get_ref().1.handshake_kind(), Some(HandshakeKind::Resumed), "{version:?}");
        }
    }

    #[test]
    fn what_is_wrong_with_the_files_is_said_with_their_names() {
        let authority = Authority::new();
        let (one, _) = authority.issue(&["one.example"]);
        let (two, _) = authority.issue(&["two.example"]);
        let load = |cert: &std::path::Path, key: &std::path::Path| {
            let files = crate::config::CertificateFiles { cert: cert.to_owned(), key: key.to_owned() };
            Certificates::load(&[files]).unwrap_err()
        };
        let shows = |error: TlsError, parts: &[&std::path::Path]| {
            let text = error.to_string();
            assert!(parts.iter().all(|part| text.contains(&*part.to_string_lossy())), "{text}");
            assert!(text.contains("hint:"), "{text}");
        };
        let gone = authority.ca_file().with_file_name("gone.pem");
        shows(load(&gone, &one.key), &[&gone]);
        shows(load(&one.cert, &gone), &[&gone]);
        shows(load(&one.cert, &two.key), &[&one.cert, &two.key]);
        shows(load(&one.key, &one.key), &[&one.key]);
        assert!(matches!(Certificates::load(&[]), Err(TlsError::NoneConfigured)));
    }
}
