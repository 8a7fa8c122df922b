//! The door itself: real sockets, real TLS.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::{PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::harness::Site;
use crate::config::Portal;
use crate::proxy::Permits;
use crate::web::{Entrance, EntranceInForce, WebListener};

const HEAD: &str = "Host: anything.example\r\nSec-Fetch-Site: same-origin\r\n";

/// A certificate of its own, and a client that trusts nothing else.
fn certificate() -> (Arc<ServerConfig>, TlsConnector) {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let server = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(made.cert.der().clone()).unwrap();
    let client = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    (Arc::new(server), TlsConnector::from(Arc::new(client)))
}

struct Door {
    address: SocketAddr,
    close: watch::Sender<bool>,
    serving: JoinHandle<()>,
}

fn portal(public_url: &str, balancers: &str) -> Portal {
    let proxy_protocol_from = balancers.parse().unwrap();
    Portal { public_url: public_url.to_owned(), listen: None, proxy_protocol_from }
}

fn entrance(portal: &Portal, tls: Arc<ServerConfig>) -> Arc<Entrance> {
    Arc::new(Entrance::new(portal, tls))
}

/// Without TLS, for strangers who come straight here.
fn in_clear() -> EntranceInForce {
    EntranceInForce::new(entrance(&portal("http://localhost", ""), certificate().0))
}

async fn open(site: &Site, in_force: EntranceInForce) -> Door {
    open_within(site, Permits::new(100, 100), in_force).await
}

async fn open_within(site: &Site, permits: Permits, in_force: EntranceInForce) -> Door {
    let listener = WebListener::at(tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap());
    let (address, (close, closing)) = (listener.address().unwrap(), watch::channel(false));
    let serving = tokio::spawn(listener.serve_within(permits, site.web.clone(), in_force, closing));
    Door { address, close, serving }
}

async fn said(mut stream: impl AsyncRead + AsyncWrite + Unpin, request: &str) -> String {
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    // Who is refused may be cut off.
    let _ = timeout(Duration::from_secs(10), stream.read_to_end(&mut answer)).await.unwrap();
    String::from_utf8(answer).unwrap()
}

async fn shake(
    tls: &TlsConnector,
    address: SocketAddr,
) -> std::io::Result<tokio_rustls::client::TlsStream<TcpStream>> {
    let name = ServerName::try_from("localhost").unwrap();
    tls.connect(name, TcpStream::connect(address).await?).await
}

#[tokio::test]
async fn a_page_is_served_over_tls_and_the_next_connection_sees_the_next_certificate() {
    let site = Site::open().await;
    let ((first, trusting_first), (second, trusting_second)) = (certificate(), certificate());
    let secure = portal("https://mail.example.org", "");
    let in_force = EntranceInForce::new(entrance(&secure, first));
    let door = open(&site, in_force.clone()).await;
    let request = format!("GET /sign-in HTTP/1.1\r\n{HEAD}Connection: close\r\n\r\n");
    let answer = said(shake(&trusting_first, door.address).await.unwrap(), &request).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(!answer.contains("anything.example"), "nobody's `Host` leads anywhere");
    in_force.adopt(entrance(&secure, second));
    assert!(shake(&trusting_first, door.address).await.is_err());
    assert!(shake(&trusting_second, door.address).await.is_ok());
    let plain = said(TcpStream::connect(door.address).await.unwrap(), &request).await;
    assert!(!plain.contains("HTTP"), "{plain}");
}

#[tokio::test]
async fn what_is_too_large_is_refused_and_the_next_one_served() {
    let site = Site::open().await;
    let door = open(&site, in_clear()).await;
    let ask = async |request: String| said(TcpStream::connect(door.address).await.unwrap(), &request).await;
    let form = "Content-Type: application/x-www-form-urlencoded\r\nConnection: close\r\n";
    let body = "a".repeat(64 * 1024 + 1);
    let large =
        ask(format!("POST /sign-in HTTP/1.1\r\n{HEAD}{form}Content-Length: {}\r\n\r\n{body}", body.len()));
    assert!(large.await.starts_with("HTTP/1.1 413 "));
    let head = ask(format!("GET / HTTP/1.1\r\n{HEAD}X: {}\r\n\r\n", "x".repeat(20_000))).await;
    assert!(head.starts_with("HTTP/1.1 431 "), "{head}");
    let garbage = ask("* OK IMAP\r\n\r\n".to_owned()).await;
    assert!(!garbage.contains("IMAP"), "{garbage}");
    let fine = ask(format!("GET /assets/style.css HTTP/1.1\r\n{HEAD}Connection: close\r\n\r\n")).await;
    assert!(fine.starts_with("HTTP/1.1 200 OK\r\n"), "{fine}");
}

#[tokio::test]
async fn a_door_that_closes_lets_go_of_those_who_wait_and_takes_nobody_in() {
    let site = Site::open().await;
    let door = open(&site, in_clear()).await;
    let mut idle = TcpStream::connect(door.address).await.unwrap();
    idle.write_all(format!("GET /sign-in HTTP/1.1\r\n{HEAD}\r\n").as_bytes()).await.unwrap();
    assert!(idle.read(&mut [0; 64]).await.unwrap() > 0);
    door.close.send_replace(true);
    timeout(Duration::from_secs(5), door.serving).await.unwrap().unwrap();
    let mut rest = Vec::new();
    timeout(Duration::from_secs(5), idle.read_to_end(&mut rest)).await.unwrap().unwrap();
    assert!(TcpStream::connect(door.address).await.is_err());
}

const PAGE: &str = "GET /sign-in HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

/// A connection from this address of the machine.
async fn connect_from(source: [u8; 4], to: SocketAddr) -> TcpStream {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::from((source, 0))).unwrap();
    socket.connect(to).await.unwrap()
}

#[tokio::test]
async fn where_all_places_are_taken_the_network_that_holds_most_makes_room() {
    let site = Site::open().await;
    let door = open_within(&site, Permits::new(4, 100), in_clear()).await;
    let mut crowd = Vec::new();
    for _ in 0..3 {
        crowd.push(connect_from([127, 0, 0, 9], door.address).await);
    }
    let mut neighbour = connect_from([127, 0, 0, 8], door.address).await;
    for _ in 0..3 {
        let newcomer = connect_from([127, 0, 0, 7], door.address).await;
        let answer = timeout(Duration::from_secs(5), said(newcomer, PAGE)).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    }
    let first = timeout(Duration::from_secs(5), crowd[0].read(&mut [0; 1])).await.unwrap();
    assert!(matches!(first, Ok(0) | Err(_)), "the oldest of the crowd has gone: {first:?}");
    neighbour.write_all(PAGE.as_bytes()).await.unwrap();
    let mut answer = String::new();
    neighbour.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "who holds one place keeps it: {answer}");
}

#[tokio::test]
async fn a_balancer_says_whom_it_passes_on_and_nobody_else_may() {
    let site = Site::open().await;
    let balanced =
        EntranceInForce::new(entrance(&portal("http://localhost", "127.0.0.0/24"), certificate().0));
    let door = open_within(&site, Permits::new(100, 1), balanced.clone()).await;
    let header = |client: &str| format!("PROXY TCP4 {client} 192.0.2.1 51234 443\r\n");
    let connect = async || TcpStream::connect(door.address).await.unwrap();
    let mut held = connect().await;
    held.write_all((header("198.51.100.1") + "GET /sign-in HTTP/1.1\r\nHost: localhost\r\n\r\n").as_bytes())
        .await
        .unwrap();
    assert!(held.read(&mut [0; 64]).await.unwrap() > 0);
    let same = said(connect().await, &(header("198.51.100.1") + PAGE)).await;
    assert_eq!(same, "", "its network holds as many as it may");
    let other = said(connect().await, &(header("198.51.100.2") + PAGE)).await;
    assert!(other.starts_with("HTTP/1.1 200 OK\r\n"), "{other}");
    assert_eq!(said(connect().await, PAGE).await, "", "a balancer that says nothing is not served");

    balanced.adopt(entrance(&portal("http://localhost", ""), certificate().0));
    let spoofed = said(connect().await, &(header("198.51.100.3") + PAGE)).await;
    assert!(!spoofed.contains("200 OK") && !spoofed.contains("198.51.100.3"), "{spoofed}");
    assert!(said(connect().await, PAGE).await.starts_with("HTTP/1.1 200 OK\r\n"));
}
