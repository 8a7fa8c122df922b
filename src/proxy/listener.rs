//! Doors: bound sockets and the loop that accepts.
//!
//! Whoever connects is a stranger. Nothing slow happens in the loop: each connection gets a task at once, and
//! where no place is left the loop waits, leaving the others to the kernel's queue.

use std::io;
use std::net::{Ipv6Addr, SocketAddr};
use std::time::Duration;

use socket2::{Domain, Protocol, SockRef, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::permits::{ConnectionPermit, Permits};
use super::socket::prepare_listener;
use crate::base::is_exhausted;

/// Connections that the kernel completes while the loop is busy; it allows 4,096 at most by default.
const BACKLOG: i32 = 4096;

/// How long the loop rests when the system has no descriptor or memory left.
const EXHAUSTED_REST: Duration = Duration::from_millis(200);

/// An address that cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on `{address}`{hint}")]
pub struct BindError {
    /// Which.
    pub address: SocketAddr,
    hint: &'static str,
    /// What the system said.
    #[source]
    source: io::Error,
}

/// Binds `address`; `[::]` serves IPv4 too.
///
/// # Errors
/// [`BindError`]
pub fn bind(address: SocketAddr) -> Result<TcpListener, BindError> {
    open(address).map_err(|source| BindError { address, hint: hint(&source), source })
}

/// Takes a socket that listens already.
pub(super) fn adopt(address: SocketAddr, socket: std::net::TcpListener) -> Result<TcpListener, BindError> {
    TcpListener::from_std(socket).map_err(|source| BindError { address, hint: "", source })
}

fn open(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(address.ip() != Ipv6Addr::UNSPECIFIED)?;
    }
    // A restart must not wait for the last connections of the process before.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    prepare_listener(&SockRef::from(&socket))?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

fn hint(error: &io::Error) -> &'static str {
    let hints = [
        (
            io::ErrorKind::AddrInUse,
            "\nhint: another program listens there; `[::]` takes the port on IPv4 too, so list it once",
        ),
        (
            io::ErrorKind::PermissionDenied,
            "\nhint: ports below 1024 need the capability CAP_NET_BIND_SERVICE, as the systemd unit grants it",
        ),
        (io::ErrorKind::AddrNotAvailable, "\nhint: this machine does not have this address"),
        (io::ErrorKind::Unsupported, "\nhint: where IPv6 is turned off, listen on `0.0.0.0`"),
    ];
    hints.iter().find(|(kind, _)| *kind == error.kind()).map_or("", |(_, hint)| hint)
}

/// Accepts until `closing` turns true, and has each connection served.
pub async fn accept_all(
    listener: TcpListener,
    permits: Permits,
    mut closing: watch::Receiver<bool>,
    serve: impl Fn(TcpStream, SocketAddr, ConnectionPermit),
) {
    // Once more, for a socket that somebody else opened.
    if let Err(error) = prepare_listener(&SockRef::from(&listener)) {
        tracing::error!(%error, "connections cannot be set up for small replies and keepalive");
    }
    loop {
        let admitted = tokio::select! {
            biased;
            _ = closing.wait_for(|closing| *closing) => return,
            admitted = admit(&listener, &permits) => admitted,
        };
        match admitted {
            Ok((tcp, peer, permit)) => {
                permits.note_exhausted(false);
                serve(tcp, peer, permit);
            }
            Err(error) if is_exhausted(&error) => {
                if !permits.note_exhausted(true) {
                    tracing::error!(%error, "cannot accept connections; resting until the system can again");
                }
                tokio::time::sleep(EXHAUSTED_REST).await;
            }
            // That connection was gone before it was accepted.
            Err(_) => {}
        }
    }
}

/// The next connection that has a place.
async fn admit(
    listener: &TcpListener,
    permits: &Permits,
) -> io::Result<(TcpStream, SocketAddr, ConnectionPermit)> {
    let (tcp, peer) = listener.accept().await?;
    let permit = permits.connection().await.ok_or(io::ErrorKind::ConnectionAborted)?;
    Ok((tcp, peer, permit))
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::base::ClientAddress;
    use crate::proxy::testing::eventually;

    #[tokio::test]
    async fn every_address_of_the_machine_is_served_and_a_mapped_one_counts_as_ipv4() {
        let listener = bind("[::]:0".parse().unwrap()).unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (close, closing) = watch::channel(false);
        let serve = {
            let seen = Arc::clone(&seen);
            move |tcp: TcpStream, peer: SocketAddr, _: ConnectionPermit| {
                assert!(tcp.nodelay().unwrap() && SockRef::from(&tcp).keepalive().unwrap());
                seen.lock().unwrap().push(ClientAddress::new(peer.ip()).to_string());
            }
        };
        let accepting = tokio::spawn(accept_all(listener, Permits::new(100, 100), closing, serve));
        for (count, host) in [(1, "127.0.0.1"), (2, "::1")] {
            TcpStream::connect((host, port)).await.unwrap();
            eventually(|| seen.lock().unwrap().len() == count).await;
        }
        assert_eq!(*seen.lock().unwrap(), ["127.0.0.1", "::1"]);
        close.send(true).unwrap();
        accepting.await.unwrap();
        assert!(TcpStream::connect(("::1", port)).await.is_err(), "it listens no more");
    }

    #[tokio::test]
    async fn a_full_gate_waits_and_goes_on() {
        let listener = bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = listener.local_addr().unwrap();
        let places = Arc::new(Mutex::new(Vec::new()));
        let (_close, closing) = watch::channel(false);
        let serve = {
            let places = Arc::clone(&places);
            move |_: TcpStream, _, place| {
                places.lock().unwrap().push(place);
            }
        };
        let permits = Permits::new(1, 100);
        tokio::spawn(accept_all(listener, permits, closing, serve));
        let _both = (TcpStream::connect(address).await.unwrap(), TcpStream::connect(address).await.unwrap());
        eventually(|| places.lock().unwrap().len() == 1).await;
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert_eq!(places.lock().unwrap().len(), 1);
        places.lock().unwrap().clear();
        eventually(|| places.lock().unwrap().len() == 1).await;
    }

    #[tokio::test]
    async fn an_address_that_is_taken_is_named_with_a_hint() {
        let first = bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = first.local_addr().unwrap();
        let error = bind(address).unwrap_err().to_string();
        assert!(error.contains(&address.to_string()) && error.contains("hint:"), "{error}");
    }
}
