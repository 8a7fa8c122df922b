//! The portal's own door: TCP, TLS, HTTP/1.1. How many may be here, and how long anything may take.
//!
//! Whoever connects is a stranger to the end: connections are few, bounded for each network, and none lasts. Nothing slow
//! happens in the loop that accepts.

use std::collections::HashMap;
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;

use super::{TlsInForce, Web};
use crate::base::{ClientAddress, Network, is_exhausted};
use crate::config::Config;

/// Connections at a time. Browsers open up to six and leave them after a few seconds.
const CONNECTIONS: usize = 512;

/// Those of one network: a campus behind one address must find room, and leave some.
const PER_NETWORK: usize = 128;

/// For the TLS handshake.
const HANDSHAKE_MAX: Duration = Duration::from_secs(10);

/// For the head of a request to arrive, and for the next one to begin.
const HEAD_MAX: Duration = Duration::from_secs(15);

/// What the head of a request may take in memory.
const HEAD_SIZE_MAX: usize = 16 * 1024;

/// How long a connection takes up new requests.
const LIFE: Duration = Duration::from_secs(60);

/// How long the last request may take from then on, its answer included: an upstream may need 30 s to refuse a password.
const LAST_REQUEST_MAX: Duration = Duration::from_secs(50);

/// The same when the gate closes.
const DRAIN_MAX: Duration = Duration::from_secs(10);

/// How long the listener rests when the system has no descriptor left.
const EXHAUSTED_REST: Duration = Duration::from_millis(200);

/// The listener, not serving yet.
pub struct WebListener(TcpListener);

impl WebListener {
    /// At a socket that listens already.
    #[must_use]
    pub fn at(socket: TcpListener) -> Self {
        Self(socket)
    }

    /// Where it is.
    ///
    /// # Errors
    /// What the system says.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }

    /// Serves `web` until `closing` turns true, and then until the last answer is given, or its time is over. Without
    /// `tls` in clear: only for a portal on this machine itself.
    pub async fn serve(self, web: Web, tls: Option<TlsInForce>, mut closing: watch::Receiver<bool>) {
        let places = Places::new();
        let mut connections = JoinSet::new();
        loop {
            let accepted = tokio::select! {
                biased;
                _ = closing.wait_for(|closing| *closing) => break,
                accepted = self.accept(&places) => accepted,
            };
            while connections.try_join_next().is_some() {}
            match accepted {
                Ok(Some((tcp, client, place))) => {
                    let (web, tls, closing) = (web.clone(), tls.clone(), closing.clone());
                    connections.spawn(async move {
                        // How it ended is the browser's to know.
                        let _ = converse(tcp, client, web, tls, closing).await;
                        drop(place);
                    });
                }
                Err(error) if is_exhausted(&error) => sleep(EXHAUSTED_REST).await,
                // Its network holds as many as it may, or it was gone before it was accepted.
                Ok(None) | Err(_) => {}
            }
        }
        drop(self);
        let _ = timeout(DRAIN_MAX, async { while connections.join_next().await.is_some() {} }).await;
    }

    async fn accept(&self, places: &Places) -> io::Result<Option<(TcpStream, ClientAddress, Place)>> {
        // First the place: whoever finds none waits in the kernel's queue.
        let permit = places.one().await?;
        let (tcp, peer) = self.0.accept().await?;
        let client = ClientAddress::new(peer.ip());
        Ok(places.of(client, permit).map(|place| (tcp, client, place)))
    }
}

async fn converse(
    tcp: TcpStream,
    client: ClientAddress,
    web: Web,
    tls: Option<TlsInForce>,
    closing: watch::Receiver<bool>,
) -> io::Result<()> {
    match tls {
        Some(tls) => {
            let stream = timeout(HANDSHAKE_MAX, TlsAcceptor::from(tls.now()).accept(tcp)).await??;
            serve(stream, client, web, closing).await;
        }
        None => serve(tcp, client, web, closing).await,
    }
    Ok(())
}

async fn serve<S>(stream: S, client: ClientAddress, web: Web, mut closing: watch::Receiver<bool>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let answer = service_fn(move |mut request: Request<Incoming>| {
        let web = web.clone();
        request.extensions_mut().insert(client);
        async move { Ok::<_, Infallible>(web.answer(request.map(Body::new)).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_MAX)
        .max_buf_size(HEAD_SIZE_MAX)
        .serve_connection(TokioIo::new(stream), answer);
    let mut connection = std::pin::pin!(connection);
    let left = tokio::select! {
        biased;
        _ = &mut connection => return,
        _ = closing.wait_for(|closing| *closing) => DRAIN_MAX,
        () = sleep(LIFE) => LAST_REQUEST_MAX,
    };
    connection.as_mut().graceful_shutdown();
    let _ = timeout(left, connection).await;
}

/// How many browsers may be connected at once where `config` has them served.
#[must_use]
pub fn browsers(config: &Config) -> u64 {
    let serves = config.portal.as_ref().is_some_and(|portal| portal.listen.is_some());
    if serves { CONNECTIONS as u64 } else { 0 }
}

/// Who may be connected.
struct Places {
    all: Arc<Semaphore>,
    networks: Arc<Mutex<HashMap<Network, usize>>>,
}

/// A place, until dropped.
struct Place {
    networks: Arc<Mutex<HashMap<Network, usize>>>,
    network: Network,
    #[expect(dead_code, reason = "held for its drop")]
    permit: OwnedSemaphorePermit,
}

impl Places {
    fn new() -> Self {
        Self { all: Arc::new(Semaphore::new(CONNECTIONS)), networks: Arc::default() }
    }

    async fn one(&self) -> io::Result<OwnedSemaphorePermit> {
        Arc::clone(&self.all).acquire_owned().await.map_err(io::Error::other)
    }

    /// The place of `client`, if its network may hold one more.
    fn of(&self, client: ClientAddress, permit: OwnedSemaphorePermit) -> Option<Place> {
        let network = client.network();
        let mut networks = self.networks.lock().unwrap_or_else(PoisonError::into_inner);
        let held = networks.entry(network).or_default();
        if *held >= PER_NETWORK {
            return None;
        }
        *held += 1;
        Some(Place { networks: Arc::clone(&self.networks), network, permit })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut networks = self.networks.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(held) = networks.get_mut(&self.network) {
            *held -= 1;
            if *held == 0 {
                networks.remove(&self.network);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_network_holds_no_more_than_its_share_and_gives_it_back() {
        let places = Places::new();
        let client = |address: &str| ClientAddress::new(address.parse().unwrap());
        let mut held = Vec::new();
        for _ in 0..PER_NETWORK {
            held.push(places.of(client("2001:db8::1"), places.one().await.unwrap()).unwrap());
        }
        assert!(places.of(client("2001:db8::2"), places.one().await.unwrap()).is_none());
        assert!(places.of(client("192.0.2.1"), places.one().await.unwrap()).is_some());
        held.pop();
        assert!(places.of(client("2001:db8::2"), places.one().await.unwrap()).is_some());
        drop(held);
        assert!(places.networks.lock().unwrap().is_empty());
        assert_eq!(places.all.available_permits(), CONNECTIONS);
    }
}
