//! A TCP connection to a server, whichever of the addresses of its name answers.

use std::io;
use std::net::SocketAddr;

use tokio::net::{TcpStream, lookup_host};
use tokio::time::{Instant, timeout, timeout_at};

use super::Failure;
use crate::config::HostPort;

/// Tries the addresses of the name one after the other, so that a dead one costs its share of the time only.
///
/// Small words leave at once. Whether a silent server still stands is asked once a session has lasted, by its relay.
pub(in crate::proxy) async fn dial(server: &HostPort, by: Instant) -> Result<TcpStream, Failure> {
    let resolving = timeout_at(by, lookup_host((server.host.as_str(), server.port)));
    let resolved = resolving.await.map_err(|_| Failure::Resolve(io::ErrorKind::TimedOut.into()))?;
    let addresses: Vec<SocketAddr> = resolved.map_err(Failure::Resolve)?.collect();
    let mut left = u32::try_from(addresses.len()).unwrap_or(u32::MAX);
    let mut last = Failure::Resolve(io::ErrorKind::NotFound.into());
    for address in addresses {
        let share = by.saturating_duration_since(Instant::now()) / left.max(1);
        left = left.saturating_sub(1);
        match timeout(share, TcpStream::connect(address)).await {
            Ok(Ok(tcp)) => {
                tcp.set_nodelay(true).map_err(Failure::Connect)?;
                return Ok(tcp);
            }
            Ok(Err(error)) => last = Failure::Connect(error),
            Err(_) => last = Failure::Silent("accept the connection"),
        }
    }
    Err(last)
}
