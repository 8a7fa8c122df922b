//! The portal's own door: TCP, TLS, HTTP/1.1. How many may be here, and how long anything may take.
//!
//! Whoever connects is a stranger to the end: connections are few, bounded for each network, and none lasts. Where all
//! places are taken, the oldest of the network that holds most makes room, as at the doors of mail clients.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;

use super::{EntranceInForce, Web};
use crate::base::ClientAddress;
use crate::config::{Config, Portal};
use crate::proxy::{Arrivals, Connections, Permits, accept_all};

/// Connections at a time. Browsers open up to six and leave them after a few seconds.
const CONNECTIONS: u32 = 512;

/// Those of one network: a campus behind one address must find room, and leave some.
const PER_NETWORK: u32 = 128;

/// For a PROXY header, where one must come, and again for the TLS handshake.
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

/// The same for who must make room. Whoever is not being answered goes at once.
const MAKE_ROOM_MAX: Duration = Duration::from_secs(5);

/// What every connection passes first. Those that are there have passed theirs.
pub struct Entrance {
    /// Without it in clear: only for a portal on this machine itself.
    tls: Option<Arc<ServerConfig>>,
    arrivals: Arrivals,
}

impl Entrance {
    /// As `portal` says it, with these certificates.
    #[must_use]
    pub fn new(portal: &Portal, tls: Arc<ServerConfig>) -> Self {
        Self {
            tls: portal.is_secure().then_some(tls),
            arrivals: Arrivals::new(portal.proxy_protocol_from.clone()),
        }
    }
}

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

    /// Serves `web` until `closing` turns true, and then until the last answer is given, or its time is over.
    pub async fn serve(self, web: Web, in_force: EntranceInForce, closing: watch::Receiver<bool>) {
        self.serve_within(Permits::new(CONNECTIONS, PER_NETWORK), web, in_force, closing).await;
    }

    /// The same, with so much room.
    pub(super) async fn serve_within(
        self,
        permits: Permits,
        web: Web,
        in_force: EntranceInForce,
        closing: watch::Receiver<bool>,
    ) {
        let connections = Connections::default();
        let serve = |tcp, peer, place| {
            let visitor = Visitor {
                web: web.clone(),
                entrance: in_force.now(),
                permits: permits.clone(),
                closing: closing.clone(),
            };
            connections.serve(Box::pin(async move {
                // How it ended is the browser's to know.
                let _ = visitor.converse(tcp, peer).await;
                drop(place);
            }));
        };
        accept_all(self.0, permits.clone(), closing.clone(), serve).await;
        if !permits.all_gone(DRAIN_MAX).await {
            connections.cut_off();
        }
    }
}

/// One connection, and what it needs.
struct Visitor {
    web: Web,
    entrance: Arc<Entrance>,
    permits: Permits,
    closing: watch::Receiver<bool>,
}

impl Visitor {
    /// From the first byte to the last. `None` for who is not served.
    async fn converse(self, mut tcp: TcpStream, peer: SocketAddr) -> Option<()> {
        let ends = self.entrance.arrivals.arrive(&mut tcp, peer, HANDSHAKE_MAX).await?;
        let client = ClientAddress::new(ends.client().ip());
        // A network that holds too many connections already is not worth a word.
        let permit = self.permits.stranger(client)?;
        let evicted = permit.evicted();
        match self.entrance.tls.clone().map(TlsAcceptor::from) {
            Some(acceptor) => {
                let stream = tokio::select! {
                    biased;
                    () = permit.evicted() => return None,
                    shaken = timeout(HANDSHAKE_MAX, acceptor.accept(tcp)) => shaken.ok()?.ok()?,
                };
                serve(stream, client, self.web, self.closing, evicted).await;
            }
            None => serve(tcp, client, self.web, self.closing, evicted).await,
        }
        Some(())
    }
}

async fn serve<S>(
    stream: S,
    client: ClientAddress,
    web: Web,
    mut closing: watch::Receiver<bool>,
    evicted: impl Future<Output = ()>,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let answering = Arc::new(AtomicUsize::new(0));
    let answer = service_fn({
        let answering = Arc::clone(&answering);
        move |mut request: Request<Incoming>| {
            let web = web.clone();
            request.extensions_mut().insert(client);
            let busy = Busy::now(&answering);
            async move {
                let answer = web.answer(request.map(Body::new)).await;
                drop(busy);
                Ok::<_, Infallible>(answer)
            }
        }
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
        () = evicted => {
            if answering.load(Ordering::Relaxed) == 0 {
                return;
            }
            MAKE_ROOM_MAX
        }
        () = sleep(LIFE) => LAST_REQUEST_MAX,
    };
    connection.as_mut().graceful_shutdown();
    let _ = timeout(left, connection).await;
}

/// A request that is being answered, until dropped.
struct Busy(Arc<AtomicUsize>);

impl Busy {
    fn now(answering: &Arc<AtomicUsize>) -> Self {
        answering.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(answering))
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// How many browsers may be connected at once where `config` has them served.
#[must_use]
pub fn browsers(config: &Config) -> u64 {
    let serves = config.portal.as_ref().is_some_and(|portal| portal.listen.is_some());
    if serves { u64::from(CONNECTIONS) } else { 0 }
}
