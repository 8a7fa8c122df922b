//! Clients of another make, honest and not, at a socket with TLS on it.

use std::future::poll_fn;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;
use std::time::Duration;

use rustls::crypto::cipher::{MessageEncrypter, OutboundChunks, OutboundPlainMessage};
use rustls::pki_types::ServerName;
use rustls::server::UnbufferedServerConnection;
use rustls::{ClientConfig, ConnectionTrafficSecrets, ContentType, ProtocolVersion, RootCertStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::TlsConnector;

use super::*;
use crate::proxy::testing::{Authority, tcp_pair};
use crate::proxy::tls::certificates::read_certificates;
use crate::proxy::tls::{Kind, Stream, provider};

type Client = tokio_rustls::client::TlsStream<TcpStream>;
type Server = Box<Secured<UnbufferedServerConnection>>;

const NAME: &str = "mail.example.org";

fn roots(authority: &Authority) -> ClientConfig {
    roots_for(authority, &rustls::version::TLS13)
}

fn roots_for(authority: &Authority, version: &'static rustls::SupportedProtocolVersion) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(read_certificates(&authority.ca_file()).unwrap().remove(0)).unwrap();
    let config = ClientConfig::builder_with_provider(provider()).with_protocol_versions(&[version]).unwrap();
    let mut config = config.with_root_certificates(roots).with_no_client_auth();
    config.enable_secret_extraction = true;
    config
}

async fn pair() -> (Client, Server) {
    let authority = Authority::new();
    let (near, far) = tcp_pair().await;
    let acceptor = authority.acceptor(&[NAME]);
    let connector = TlsConnector::from(Arc::new(roots(&authority)));
    let name = ServerName::try_from(NAME).unwrap();
    let (client, server) = tokio::join!(connector.connect(name, near), acceptor.accept(Stream::plain(far)));
    let Kind::Client(server) = server.unwrap().0 else { panic!("not what clients get") };
    (client.unwrap(), server)
}

fn held(server: &Server) -> usize {
    server.incoming.capacity() + server.unread.capacity() + server.outgoing.capacity()
}

/// One record with that content, as `client` would send it next.
fn record_of(client: &mut Client, content: &[u8]) -> Vec<u8> {
    let session = client.get_mut().1;
    session.writer().write_all(content).unwrap();
    let mut record = Vec::new();
    session.write_tls(&mut record).unwrap();
    record
}

/// Makes records whose content no honest library would send.
struct HandshakeRecords {
    encrypter: Box<dyn MessageEncrypter>,
    number: u64,
}

impl HandshakeRecords {
    /// The next that the peer of `session` expects.
    fn of(session: rustls::ClientConnection) -> Self {
        let suite = session.negotiated_cipher_suite().unwrap().tls13().unwrap();
        let (number, secrets) = session.dangerous_extract_secrets().unwrap().tx;
        let (ConnectionTrafficSecrets::Aes128Gcm { key, iv }
        | ConnectionTrafficSecrets::Aes256Gcm { key, iv }
        | ConnectionTrafficSecrets::Chacha20Poly1305 { key, iv }) = secrets
        else {
            panic!("another cipher")
        };
        Self { encrypter: suite.aead_alg.encrypter(key, iv), number }
    }

    fn next(&mut self, content: &[u8]) -> Vec<u8> {
        let plain = OutboundPlainMessage {
            typ: ContentType::Handshake,
            version: ProtocolVersion::TLSv1_2,
            payload: OutboundChunks::Single(content),
        };
        let record = self.encrypter.encrypt(plain, self.number).unwrap();
        self.number += 1;
        record.encode()
    }
}

fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|n| (n * 7 + n / 251) as u8).collect()
}

/// A few ciphertext bytes at a time, whatever the client sends.
async fn trickle(server: &mut Server, cx_reads: usize) -> Vec<u8> {
    let mut all = Vec::new();
    let mut some = vec![0; cx_reads];
    while all.len() < 3 * RECORD {
        let read = server.read(&mut some).await.unwrap();
        all.extend_from_slice(&some[..read]);
    }
    all
}

#[tokio::test]
async fn what_is_held_goes_out_with_the_goodbye() {
    let (mut client, mut server) = pair().await;
    server.flush().await.unwrap();
    server.hold();
    server.write_all(b"* BYE\r\n").await.unwrap();
    assert!(!server.outgoing.is_empty(), "it waits");
    poll_fn(|cx| server.poll_goodbye(cx)).await.unwrap();
    assert!(server.outgoing.is_empty());
    let mut said = Vec::new();
    // The socket is open still: only TLS's own goodbye says that this is all.
    client.read_to_end(&mut said).await.unwrap();
    assert_eq!(said, b"* BYE\r\n");
}

#[tokio::test]
async fn a_connection_on_which_nothing_is_under_way_holds_no_buffer() {
    let (mut client, mut server) = pair().await;
    server.write_all(b"* OK hello\r\n").await.unwrap();
    server.flush().await.unwrap();
    assert_eq!(held(&server), 0);
    client.read_exact(&mut [0; 12]).await.unwrap();
    for _ in 0..3 {
        client.write_all(&pattern(100_000)).await.unwrap();
        server.read_exact(&mut vec![0; 100_000]).await.unwrap();
        server.write_all(&pattern(100_000)).await.unwrap();
        client.read_exact(&mut vec![0; 100_000]).await.unwrap();
    }
    server.flush().await.unwrap();
    assert_eq!(held(&server), 0);
    let read = tokio::time::timeout(Duration::from_millis(20), server.read(&mut [0; 10])).await;
    assert!(read.is_err() && held(&server) == 0, "nor while it waits");
    let size = size_of_val(&*server);
    assert!(size <= 2048, "{size} bytes");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_read_in_any_portions_is_what_was_sent() {
    for portion in [1, 100, RECORD - 1, RECORD, RECORD + 1, 1 << 20] {
        let (mut client, mut server) = pair().await;
        let sent = pattern(3 * RECORD);
        let sending = tokio::spawn(async move {
            client.write_all(&pattern(3 * RECORD)).await.unwrap();
            client.flush().await.unwrap();
            client
        });
        assert!(trickle(&mut server, portion).await == sent, "{portion}");
        server.flush().await.unwrap();
        let mut client = sending.await.unwrap().into_inner().0;
        // It goes away without TLS's own goodbye.
        client.shutdown().await.unwrap();
        assert_eq!(server.read(&mut [0; 10]).await.unwrap(), 0, "{portion}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn much_goes_to_a_client_that_pauses_and_little_is_held_for_it() {
    let (mut client, mut server) = pair().await;
    let sent = pattern(24 << 20);
    let expected = sent.clone();
    let reading = tokio::spawn(async move {
        let mut found = vec![0; expected.len()];
        for part in found.chunks_mut(3 << 20) {
            tokio::time::sleep(Duration::from_millis(10)).await;
            client.read_exact(part).await.unwrap();
        }
        assert!(found == expected);
        // The goodbye came, too: without it this is an error.
        assert_eq!(client.read(&mut [0; 1]).await.unwrap(), 0);
    });
    let (mut rest, mut most) = (&sent[..], 0);
    while !rest.is_empty() {
        let written = server.write(rest).await.unwrap();
        rest = &rest[written..];
        most = most.max(server.outgoing.capacity());
    }
    server.shutdown().await.unwrap();
    reading.await.unwrap();
    assert!(most > 0 && most <= 2 * SCRATCH, "{most} bytes waited");
}

#[tokio::test]
async fn new_keys_are_taken_and_answered() {
    let (mut client, mut server) = pair().await;
    for round in 0..3_u8 {
        client.get_mut().1.refresh_traffic_keys().unwrap();
        client.write_all(&[round]).await.unwrap();
        let mut heard = [9];
        server.read_exact(&mut heard).await.unwrap();
        server.write_all(&heard).await.unwrap();
        server.flush().await.unwrap();
        let mut answer = [9];
        client.read_exact(&mut answer).await.unwrap();
        assert_eq!((heard, answer), ([round], [round]));
    }
}

#[tokio::test]
async fn a_record_that_was_touched_on_its_way_ends_the_connection_with_an_alert() {
    let (client, mut server) = pair().await;
    let (mut tcp, mut session) = client.into_inner();
    tcp.write_all(&[0x17, 3, 3, 0, 32]).await.unwrap();
    tcp.write_all(&[7; 32]).await.unwrap();
    let error = server.read(&mut [0; 10]).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    assert_eq!(server.read(&mut [0; 10]).await.unwrap(), 0, "nothing of it is believed any more");
    assert!(server.write(b"x").await.is_err());
    server.shutdown().await.unwrap();
    let mut answer = vec![0; 4096];
    let read = tcp.read(&mut answer).await.unwrap();
    session.read_tls(&mut &answer[..read]).unwrap();
    let alert = session.process_new_packets().unwrap_err();
    assert_eq!(alert, rustls::Error::AlertReceived(rustls::AlertDescription::BadRecordMac));
}

#[tokio::test]
async fn what_came_before_a_bad_record_is_read_before_it_fails() {
    for room in [3, 100] {
        let (mut client, mut server) = pair().await;
        let mut together = record_of(&mut client, b"hello");
        together.extend_from_slice(&[0x17, 3, 3, 0, 32]);
        together.extend_from_slice(&[7; 32]);
        client.get_mut().0.write_all(&together).await.unwrap();
        let (mut heard, mut some) = (Vec::new(), vec![0; room]);
        while heard.len() < 5 {
            let read = server.read(&mut some).await.unwrap();
            heard.extend_from_slice(&some[..read]);
        }
        assert_eq!(heard, b"hello");
        assert_eq!(server.read(&mut some).await.unwrap_err().kind(), io::ErrorKind::InvalidData);
        assert_eq!(server.read(&mut some).await.unwrap(), 0);
    }
}

#[tokio::test]
async fn a_client_cannot_have_more_than_a_record_kept_after_the_handshake() {
    let (client, mut server) = pair().await;
    let (mut tcp, session) = client.into_inner();
    let mut records = HandshakeRecords::of(session);
    // A KeyUpdate that says it is 64 KiB long, whose end never comes.
    let mut message = vec![24, 0, 0xff, 0xff];
    message.extend_from_slice(&pattern(0xffff - 1));
    let mut most = 0;
    let mut refused = None;
    for part in message.chunks(1000) {
        tcp.write_all(&records.next(part)).await.unwrap();
        let read = tokio::time::timeout(Duration::from_millis(5), server.read(&mut [0; 10])).await;
        most = most.max(held(&server));
        if let Ok(read) = read {
            refused = Some(read.unwrap_err().to_string());
            break;
        }
    }
    assert!(most <= RECORD + 2 * RECORD_OVERHEAD, "{most} bytes are held");
    assert_eq!(refused.as_deref(), Some("a message is too long"));
    assert_eq!(held(&server), 0);
    assert_eq!(server.read(&mut [0; 10]).await.unwrap(), 0, "nor is anything read any more");
    server.shutdown().await.unwrap();
}

#[tokio::test]
async fn plaintext_is_not_left_where_it_was_decrypted() {
    let (mut client, mut server) = pair().await;
    let mut record = record_of(&mut client, b"a LOGIN ann canary");
    let digested = server.digest(&mut record, None);
    assert!(digested.failed.is_none());
    assert_eq!((digested.used, &server.unread[..]), (record.len(), &b"a LOGIN ann canary"[..]));
    assert!(record.iter().all(|byte| *byte == 0), "{record:?}");
}

#[test]
fn plaintext_that_waits_leaves_no_copy_where_it_outgrew_its_place() {
    let canary = b"canary".repeat(100);
    let mut unread = Zeroizing::default();
    keep(&canary, None, &mut unread);
    let place = unread.as_ptr() as u64;
    keep(&canary, None, &mut unread);
    assert_eq!(unread[..], canary.repeat(2)[..]);
    let mut left = vec![0; canary.len()];
    std::fs::File::open("/proc/self/mem").unwrap().read_exact_at(&mut left, place).unwrap();
    assert!(!left.windows(6).any(|some| some == b"canary"), "it was left there");
}

#[tokio::test]
async fn a_stranger_may_send_so_much_before_the_handshake_is_complete() {
    let authority = Authority::new();
    let (mut near, far) = tcp_pair().await;
    let acceptor = authority.acceptor(&[NAME]);
    let flood = async {
        // A ClientHello that says it is 60,000 bytes long, in records of 1,000.
        for number in 0..60 {
            let header: &[u8] = if number == 0 { &[1, 0, 0xea, 0x60] } else { &[] };
            let mut record = vec![0x16, 3, 1, 3, 0xe8];
            record.extend_from_slice(header);
            record.resize(1005, 0);
            if near.write_all(&record).await.is_err() {
                break;
            }
        }
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = flood => {}
        refused = tokio::time::timeout(Duration::from_secs(5), acceptor.accept(Stream::plain(far))) => {
            let error = refused.unwrap().err().unwrap();
            assert_eq!(error.to_string(), "the handshake is too long");
        }
    }
}

const GREETING: &[u8] = b"* OK hello\r\n";

fn greeting(name: Option<&str>) -> Output {
    assert_eq!(name, Some(NAME), "it is known for whom the client came");
    Output::new(GREETING.to_vec())
}

#[tokio::test]
async fn a_client_is_greeted_before_it_has_said_its_part_of_the_handshake() {
    let authority = Authority::new();
    let (mut near, far) = tcp_pair().await;
    let acceptor = authority.acceptor(&[NAME]);
    let name = ServerName::try_from(NAME).unwrap();
    let mut client = rustls::ClientConnection::new(Arc::new(roots(&authority)), name).unwrap();
    let visiting = async {
        let mut said = Vec::new();
        client.write_tls(&mut said).unwrap();
        near.write_all(&said).await.unwrap();
        let mut heard = Vec::new();
        while heard.len() < GREETING.len() {
            let mut some = vec![0; 4096];
            let read = near.read(&mut some).await.unwrap();
            assert!(read > 0, "the server waits for no more");
            let mut records = &some[..read];
            while !records.is_empty() {
                client.read_tls(&mut records).unwrap();
                client.process_new_packets().unwrap();
            }
            let mut words = [0; 64];
            let read = client.reader().read(&mut words).unwrap_or_default();
            heard.extend_from_slice(&words[..read]);
        }
        assert_eq!(heard, GREETING);
        said.clear();
        client.write_tls(&mut said).unwrap();
        near.write_all(&said).await.unwrap();
        near
    };
    let greeted = acceptor.accept_and_greet(Stream::plain(far), greeting);
    let (served, near) =
        tokio::time::timeout(Duration::from_secs(5), async { tokio::join!(greeted, visiting) })
            .await
            .unwrap();
    assert_eq!(served.unwrap().server_name(), Some(NAME));
    drop(near);
}

#[tokio::test]
async fn an_older_client_is_greeted_behind_the_handshake() {
    let authority = Authority::new();
    let (near, far) = tcp_pair().await;
    let acceptor = authority.acceptor(&[NAME]);
    let config = roots_for(&authority, &rustls::version::TLS12);
    let connector = TlsConnector::from(Arc::new(config));
    let name = ServerName::try_from(NAME).unwrap();
    let greeted = acceptor.accept_and_greet(Stream::plain(far), greeting);
    let (client, server) = tokio::join!(connector.connect(name, near), greeted);
    let (mut client, _server) = (client.unwrap(), server.unwrap());
    let mut heard = vec![0; GREETING.len()];
    client.read_exact(&mut heard).await.unwrap();
    assert_eq!(heard, GREETING);
}
