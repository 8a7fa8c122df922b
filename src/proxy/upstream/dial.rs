//! A TCP connection to an upstream, whichever of its addresses answers.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;

use super::Failure;
use crate::config::Endpoint;
use crate::proxy::listener::prepare;

/// Tries the endpoint's addresses one after the other, so that a dead one costs its share of `at_most` only.
pub(super) async fn dial(endpoint: &Endpoint, at_most: Duration) -> Result<TcpStream, Failure> {
    let resolving = lookup_host((endpoint.host.as_str(), endpoint.port));
    let addresses: Vec<SocketAddr> = resolving.await.map_err(Failure::Resolve)?.collect();
    let share = at_most / u32::try_from(addresses.len().max(1)).unwrap_or(u32::MAX);
    let mut last = Failure::Resolve(io::ErrorKind::NotFound.into());
    for address in addresses {
        match timeout(share, TcpStream::connect(address)).await {
            Ok(Ok(tcp)) => {
                prepare(&tcp).map_err(Failure::Connect)?;
                return Ok(tcp);
            }
            Ok(Err(error)) => last = Failure::Connect(error),
            Err(_) => last = Failure::Silent("accept the connection"),
        }
    }
    Err(last)
}
