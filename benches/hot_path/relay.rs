//! TLS on both ends of a loopback connection: a handshake, and a mebibyte as a busy relay writes it.

use std::path::Path;
use std::sync::Arc;

use divan::Bencher;
use divan::counter::BytesCount;
use mailward::base::Protocol;
use mailward::config::{CertificateFiles, Config};
use mailward::proxy::tls::{Acceptor, Certificates, Connector, Stream};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;

const NAME: &str = "mail.example.org";
const MEBIBYTE: usize = 1 << 20;
const AT_ONCE: usize = 64 * 1024;

struct Ends {
    runtime: Runtime,
    acceptor: Acceptor,
    connector: Connector,
    _directory: TempDir,
}

impl Ends {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let made = rcgen::generate_simple_self_signed([NAME.to_owned()]).unwrap();
        let (cert, key) = (directory.path().join("cert.pem"), directory.path().join("key.pem"));
        std::fs::write(&cert, made.cert.pem()).unwrap();
        std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
        let certificates = Certificates::load(&[CertificateFiles { cert: cert.clone(), key }]).unwrap();
        let acceptor = Acceptor::new(Arc::new(certificates), Protocol::Imap).unwrap();
        let connector = connector(&cert);
        Self { runtime: Runtime::new().unwrap(), acceptor, connector, _directory: directory }
    }

    async fn connect(&self) -> (Stream, Stream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let near = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let far = listener.accept().await.unwrap().0;
        let (near, far) = (Stream::plain(near), Stream::plain(far));
        let (client, server) = tokio::join!(self.connector.connect(near), self.acceptor.accept(far));
        (client.unwrap(), server.unwrap())
    }
}

fn connector(ca: &Path) -> Connector {
    let ca = ca.display();
    let text = format!(
        r#"
        [server]
        hostname = "{NAME}"
        [[tls.certificate]]
        cert = "cert.pem"
        key = "key.pem"
        [[listener]]
        protocol = "imap"
        address = "127.0.0.1:0"
        tls = "implicit"
        [[upstream]]
        name = "legacy"
        domains = ["example.org"]
        imap = {{ address = ["127.0.0.1:993"], tls = "implicit", server_name = "{NAME}", ca_file = "{ca}" }}
        "#
    );
    let config = Config::parse(&text, Path::new("mailward.toml")).unwrap();
    Connector::new(config.upstreams[0].endpoint(Protocol::Imap).unwrap(), NAME).unwrap()
}

#[divan::bench]
fn handshake(bencher: Bencher<'_, '_>) {
    let ends = Ends::new();
    bencher.bench(|| ends.runtime.block_on(ends.connect()));
}

#[divan::bench]
fn mebibyte(bencher: Bencher<'_, '_>) {
    let ends = Ends::new();
    let (mut client, mut server) = ends.runtime.block_on(ends.connect());
    let (words, mut heard) = (vec![7; AT_ONCE], vec![0; AT_ONCE]);
    bencher.counter(BytesCount::new(MEBIBYTE)).bench_local(|| {
        ends.runtime.block_on(async {
            let write = async {
                for _ in 0..MEBIBYTE / AT_ONCE {
                    server.write_all(&words).await.unwrap();
                }
                server.flush().await.unwrap();
            };
            let read = async {
                for _ in 0..MEBIBYTE / AT_ONCE {
                    client.read_exact(&mut heard).await.unwrap();
                }
            };
            tokio::join!(write, read);
        });
    });
}
