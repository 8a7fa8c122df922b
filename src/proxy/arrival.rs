//! Where a connection comes from: from its peer, or from where a balancer that must say so says.
//!
//! A balancer is believed because of its address alone, so the administrator lists it; to everybody else a header is
//! what nobody here says, and ends the connection in the handshake or the dialogue that follows. The header is read
//! to its last byte and no further. What it says is the client's address from then on, for limits, records and
//! upstreams alike.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use super::seldom::Seldom;
use crate::base::{ClientAddress, NetworkList};
use crate::protocol::Ends;
use crate::protocol::proxy_header::{Fault, Header, Progress, Said};

/// Who must say whom they pass on, at one listener.
pub struct Arrivals {
    balancers: NetworkList,
    /// That one of them says nothing that can be read.
    silent: Seldom,
}

/// Why a balancer's connection is of no use.
#[derive(Debug, thiserror::Error)]
enum Unclear {
    #[error(transparent)]
    Fault(#[from] Fault),
    #[error("the connection ended within the PROXY header")]
    Cut,
    #[error("no whole PROXY header in time")]
    Slow,
    #[error("the connection broke: {0}")]
    Broken(#[from] io::Error),
}

impl Arrivals {
    /// Those in `balancers` must send a header.
    #[must_use]
    pub fn new(balancers: NetworkList) -> Self {
        Self { balancers, silent: Seldom::default() }
    }

    /// The ends of the client's connection, whose peer is `peer`; `None` where it is of no use. A balancer has `at_most` so
    /// long to say whom it passes on.
    pub async fn arrive(&self, tcp: &mut TcpStream, peer: SocketAddr, at_most: Duration) -> Option<Ends> {
        let here = tcp.local_addr().ok()?;
        let own = Ends::new(peer, here);
        let peer = ClientAddress::new(peer.ip());
        if !self.balancers.contains(peer) {
            return Some(own);
        }
        match timeout(at_most, read(tcp)).await.unwrap_or(Err(Unclear::Slow)) {
            Ok(None) => None,
            Ok(Some(Said::Client(ends))) => Some(ends),
            Ok(Some(Said::Nobody)) => Some(own),
            Err(unclear) => {
                if self.silent.is_due(Instant::now()) {
                    tracing::warn!(
                        balancer = %peer, listener = %here, reason = %unclear,
                        hint = "let it send the PROXY protocol, or take it out of `proxy_protocol_from`",
                        "a balancer does not say whom it passes on; its connections are closed"
                    );
                }
                None
            }
        }
    }
}

/// What the header says; `None` from a balancer that only looked whether somebody is there.
async fn read(tcp: &mut TcpStream) -> Result<Option<Said>, Unclear> {
    let mut header = Header::default();
    loop {
        let mut bytes = [0; 256];
        let wanted = header.wants().min(bytes.len());
        let room = bytes.get_mut(..wanted).unwrap_or_default();
        let count = match tcp.read(room).await {
            // Some end even that with a reset.
            Ok(0) | Err(_) if header.is_empty() => return Ok(None),
            Ok(0) => return Err(Unclear::Cut),
            read => read?,
        };
        match header.take(room.get(..count).unwrap_or_default())? {
            Progress::More(more) => header = more,
            Progress::Complete(said) => return Ok(Some(said)),
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt;

    use super::*;
    use crate::proxy::testing::tcp_pair;

    const LINE: &[u8] = b"PROXY TCP4 192.0.2.7 192.0.2.1 51234 993\r\n";
    const PATIENCE: Duration = Duration::from_secs(5);

    fn trusting(networks: &str) -> Arrivals {
        Arrivals::new(networks.parse().unwrap())
    }

    /// What `arrivals` makes of somebody on loopback who sends these pieces, and what is left to read; `None` where the
    /// connection is of no use.
    async fn arrives(arrivals: &Arrivals, pieces: &[&[u8]]) -> Option<(String, Vec<u8>)> {
        let (mut near, mut far) = tcp_pair().await;
        near.set_nodelay(true).unwrap();
        let sending = async {
            for piece in pieces {
                near.write_all(piece).await.unwrap();
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
            near.shutdown().await.unwrap();
            near
        };
        let arriving = async {
            let peer = far.peer_addr().unwrap();
            let ends = arrivals.arrive(&mut far, peer, PATIENCE).await?;
            let mut left = Vec::new();
            far.read_to_end(&mut left).await.unwrap();
            Some((ends.client().to_string(), left))
        };
        let (near, arrived) = tokio::join!(sending, arriving);
        let own = near.local_addr().unwrap().to_string();
        arrived.map(|(client, left)| (if client == own { "itself".to_owned() } else { client }, left))
    }

    fn from(client: &str, left: &[u8]) -> Option<(String, Vec<u8>)> {
        Some((client.to_owned(), left.to_vec()))
    }

    #[tokio::test]
    async fn a_balancer_says_whom_it_passes_on_and_what_follows_is_left() {
        let arrivals = trusting("127.0.0.0/8");
        let all = [LINE, b"\x16\x03\x01 hello"].concat();
        let expected = from("192.0.2.7:51234", b"\x16\x03\x01 hello");
        assert_eq!(arrives(&arrivals, &[&all]).await, expected);
        assert_eq!(arrives(&arrivals, &[LINE, b"\x16\x03\x01 hello"]).await, expected);
        for at in [1, 14, 15, 16, LINE.len() - 1, LINE.len()] {
            assert_eq!(arrives(&arrivals, &[&all[..at], &all[at..]]).await, expected, "cut at {at}");
        }
        let bytes: Vec<&[u8]> = all.chunks(1).collect();
        assert_eq!(arrives(&arrivals, &bytes).await, expected);
    }

    #[tokio::test]
    async fn a_balancer_that_speaks_for_nobody_is_itself_the_client() {
        let arrivals = trusting("127.0.0.1");
        for header in [&b"PROXY UNKNOWN\r\n"[..], b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0"] {
            let said = arrives(&arrivals, &[header, b"next"]).await;
            assert_eq!(said, from("itself", b"next"));
        }
    }

    #[tokio::test]
    async fn everybody_else_comes_from_where_they_are_and_nothing_is_read() {
        for networks in ["", "192.0.2.0/24,::1"] {
            assert_eq!(arrives(&trusting(networks), &[LINE]).await, from("itself", LINE), "{networks}");
        }
    }

    #[tokio::test]
    async fn who_must_say_and_does_not_is_of_no_use_and_that_is_told() {
        for said in [&b"\x16\x03\x01\x02\x00\x01\x00"[..], b"a LOGIN b c\r\n", &LINE[..20]] {
            let arrivals = trusting("127.0.0.1");
            assert_eq!(arrives(&arrivals, &[said]).await, None);
            assert!(!arrivals.silent.is_due(Instant::now()), "it was told");
        }
        // Whether somebody is there is all that some balancers want to know.
        let arrivals = trusting("127.0.0.1");
        assert_eq!(arrives(&arrivals, &[]).await, None);
        assert!(arrivals.silent.is_due(Instant::now()), "worth no word");
    }

    #[tokio::test]
    async fn a_balancer_does_not_have_forever_to_say_it() {
        let (mut near, mut far) = tcp_pair().await;
        near.write_all(&LINE[..20]).await.unwrap();
        let arrivals = trusting("127.0.0.1");
        let (peer, began) = (far.peer_addr().unwrap(), std::time::Instant::now());
        assert_eq!(arrivals.arrive(&mut far, peer, Duration::from_millis(50)).await, None);
        assert!(began.elapsed() < PATIENCE);
    }
}
