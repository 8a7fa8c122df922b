//! Which doors are open, and what stands behind those of the web.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use rustls::pki_types::CertificateDer;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UdpSocket, lookup_host};
use tokio::time::timeout;

use super::super::tls::{Connector, Stream};

/// What a web server says at most until the first line and the headers are read.
const HEAD_MAX: u64 = 8192;

/// The addresses of `host`.
///
/// # Errors
/// What the system says.
pub async fn resolve(host: &str) -> io::Result<Vec<IpAddr>> {
    Ok(lookup_host((host, 0)).await?.map(|address| address.ip()).collect())
}

/// Whether somebody accepts a connection there within `at_most`.
pub async fn is_open(address: SocketAddr, at_most: Duration) -> bool {
    matches!(timeout(at_most, TcpStream::connect(address)).await, Ok(Ok(_)))
}

/// Whether this machine has that address.
pub async fn is_this_machine(address: IpAddr) -> bool {
    address.is_loopback() || UdpSocket::bind((address, 0)).await.is_ok()
}

/// The certificate that is shown there to clients that ask for `name`, from the first byte on.
///
/// # Errors
/// No connection, or no handshake.
pub async fn presented_certificate(
    address: SocketAddr,
    name: &str,
    at_most: Duration,
) -> io::Result<Option<CertificateDer<'static>>> {
    let (connector, _) = Connector::observing(name).map_err(io::Error::other)?;
    let shaken = timeout(at_most, async {
        connector.connect(Stream::plain(TcpStream::connect(address).await?)).await
    });
    Ok(shaken.await??.peer_certificate())
}

/// A web server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Web {
    /// Whether it speaks ActiveSync, with which phones read mail.
    pub active_sync: bool,
    /// Its `Date:`, as it stands there.
    pub date: Option<String>,
}

/// Asks whether a web server is there. `None`: something else, or it does not answer in time.
pub async fn web(address: SocketAddr, name: &str, tls: bool, at_most: Duration) -> Option<Web> {
    timeout(at_most, ask(address, name, tls)).await.ok()?.ok()?
}

async fn ask(address: SocketAddr, name: &str, tls: bool) -> io::Result<Option<Web>> {
    let mut stream = Stream::plain(TcpStream::connect(address).await?);
    if tls {
        // Whoever it is: nothing secret is sent.
        let (connector, _) = Connector::observing(name).map_err(io::Error::other)?;
        stream = connector.connect(stream).await?;
    }
    // ActiveSync says so to whoever asks what it can do (MS-ASHTTP section 2.2.3).
    let question = format!(
        "OPTIONS /Microsoft-Server-ActiveSync HTTP/1.1\r\nHost: {name}\r\nUser-Agent: mailward-doctor\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(question.as_bytes()).await?;
    stream.flush().await?;
    let mut head = Vec::new();
    let mut bounded = stream.take(HEAD_MAX);
    while !head.windows(4).any(|end| end == b"\r\n\r\n") && bounded.read_buf(&mut head).await? > 0 {}
    Ok(read_head(&String::from_utf8_lossy(&head)))
}

fn read_head(head: &str) -> Option<Web> {
    let mut lines = head.lines();
    let status = lines.next()?.strip_prefix("HTTP/1.")?.split(' ').nth(1)?;
    let headers: Vec<(String, &str)> = lines
        .map_while(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim()))
        .collect();
    let value = |wanted: &str| headers.iter().find(|(name, _)| name == wanted).map(|(_, value)| *value);
    let told = headers
        .iter()
        .any(|(name, _)| name.starts_with("ms-server-activesync") || name.starts_with("ms-asprotocol"));
    let active_sync = told || (status == "401" && value("www-authenticate").is_some());
    let date = value("date").filter(|date| date.len() < 64 && date.is_ascii());
    Some(Web { active_sync, date: date.map(str::to_owned) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn active_sync_is_known_by_its_headers_or_by_asking_for_a_password() {
        let known = |head: &str| read_head(head).map(|web| web.active_sync);
        assert_eq!(known("HTTP/1.1 200 OK\r\nMS-ASProtocolVersions: 14.1\r\n\r\n"), Some(true));
        assert_eq!(known("HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic\r\n\r\n"), Some(true));
        assert_eq!(
            known("HTTP/1.1 404 Not Found\r\nDate: Fri, 27 Nov 2026 03:00:00 GMT\r\n\r\n"),
            Some(false)
        );
        assert_eq!(known("220 mail ESMTP\r\n"), None);
        let date = read_head("HTTP/1.0 404 No\nDate: Fri, 27 Nov 2026 03:00:00 GMT\n").unwrap().date;
        assert_eq!(date.as_deref(), Some("Fri, 27 Nov 2026 03:00:00 GMT"));
    }
}
