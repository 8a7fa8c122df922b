//! What the gate asks of the system for its sockets: small words leave at once, and dead peers are noticed.

use std::io;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;

/// A silent connection is asked whether it still stands: often enough for the NATs of mobile networks, whose
/// mappings last from 2 to 30 minutes (RFC 5382 section 5 asks for two hours, few keep to it).
const KEEPALIVE: TcpKeepalive = TcpKeepalive::new()
    .with_time(Duration::from_secs(120))
    .with_interval(Duration::from_secs(30))
    .with_retries(4);

/// From now on it is noticed when the peer is dead.
pub(super) fn keep_alive(tcp: &TcpStream) -> io::Result<()> {
    SockRef::from(tcp).set_tcp_keepalive(&KEEPALIVE)
}

/// What every connection needs that will be accepted there. Linux hands it on to each, which spares five calls of the system.
pub(super) fn prepare_listener(socket: &SockRef<'_>) -> io::Result<()> {
    socket.set_tcp_nodelay(true)?;
    socket.set_tcp_keepalive(&KEEPALIVE)
}
