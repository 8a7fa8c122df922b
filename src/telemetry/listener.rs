//! The listener for those who watch: three pages over HTTP/1.1, without authentication and without TLS, on an address
//! that the administrator chose for that.
//!
//! | path | says | status |
//! |---|---|---|
//! | `/metrics` | numbers for Prometheus | 200 |
//! | `/healthz` | the process answers | 200 |
//! | `/readyz` | whether it can let people in, and why not | 200 or 503 |
//!
//! Who connects here may be a stranger all the same: connections are few and short, nothing that was sent is
//! repeated, and the mail path does not notice.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

use super::readiness::Readiness;
use super::{Watched, page, readings};

/// Connections at a time: Prometheus makes one, a balancer one or two. Others wait.
const CONNECTIONS: usize = 16;

/// For what is asked to arrive.
const HEAD_MAX: Duration = Duration::from_secs(5);

/// For a connection from its beginning to its end, its answer included.
const CONNECTION_MAX: Duration = Duration::from_secs(10);

/// How long the listener rests when the system has no descriptor left.
const EXHAUSTED_REST: Duration = Duration::from_millis(200);

/// What a request may take in memory.
const REQUEST_MAX: usize = 16 * 1024;

/// An address that cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error(
    "cannot listen on `{address}` for `[metrics]`\nhint: another program, or another gate, may listen there; change `listen` of `[metrics]`"
)]
pub struct WatchError {
    address: SocketAddr,
    #[source]
    source: io::Error,
}

/// The listener, bound and not serving yet.
pub struct WatchListener(TcpListener);

impl WatchListener {
    /// Binds `address`.
    ///
    /// # Errors
    /// [`WatchError`]
    pub fn bind(address: SocketAddr) -> Result<Self, WatchError> {
        let bound = std::net::TcpListener::bind(address).and_then(|listener| {
            listener.set_nonblocking(true)?;
            TcpListener::from_std(listener)
        });
        bound.map(Self).map_err(|source| WatchError { address, source })
    }

    /// Where it is.
    ///
    /// # Errors
    /// What the system says.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }

    /// Answers until this is dropped; while the gate drains, too.
    pub async fn serve(self, watched: Watched) {
        let watched = Arc::new(watched);
        let places = Arc::new(Semaphore::new(CONNECTIONS));
        loop {
            let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
            match self.0.accept().await {
                Ok((tcp, _)) => {
                    let watched = Arc::clone(&watched);
                    tokio::spawn(async move {
                        // How it ended is the asker's to know.
                        let _ = timeout(CONNECTION_MAX, converse(tcp, watched)).await;
                        drop(place);
                    });
                }
                Err(_) => sleep(EXHAUSTED_REST).await,
            }
        }
    }
}

async fn converse(tcp: TcpStream, watched: Arc<Watched>) -> hyper::Result<()> {
    let answer = service_fn(move |request: Request<Incoming>| {
        let watched = Arc::clone(&watched);
        async move { Ok::<_, Infallible>(answer(&request, &watched).await) }
    });
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_MAX)
        .max_buf_size(REQUEST_MAX)
        // The next question comes in a quarter of a minute, or from somebody else.
        .keep_alive(false)
        .serve_connection(TokioIo::new(tcp), answer)
        .await
}

async fn answer(request: &Request<Incoming>, watched: &Watched) -> Response<Full<Bytes>> {
    const TEXT: &str = "text/plain; charset=utf-8";
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return response(StatusCode::METHOD_NOT_ALLOWED, TEXT, "only GET\n".to_owned());
    }
    match request.uri().path() {
        "/metrics" => response(StatusCode::OK, page::CONTENT_TYPE, readings::page(watched).await),
        "/healthz" => response(StatusCode::OK, TEXT, "ok\n".to_owned()),
        "/readyz" => {
            let readiness = Readiness::of(watched).await;
            let status = if readiness.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
            let text = serde_json::to_string(&readiness).unwrap_or_default();
            response(status, "application/json", text + "\n")
        }
        _ => response(StatusCode::NOT_FOUND, TEXT, "/metrics, /healthz, /readyz\n".to_owned()),
    }
}

fn response(status: StatusCode, kind: &'static str, text: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
