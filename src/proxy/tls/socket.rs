//! The socket under TLS, which gives a handshake only so much to read.
//!
//! The library gathers handshake messages of up to 64 KiB before it looks at them, and a stranger need not send the
//! last byte. What clients really send fits in a fraction of that.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// What a client may send before its handshake is complete: a post-quantum ClientHello takes 2 KiB, a second one after
/// a HelloRetryRequest (RFC 8446 section 4.1.4) as much again, and nobody is asked for a certificate.
pub(super) const CLIENT_HANDSHAKE_MAX: usize = 16 * 1024;

/// A socket, and how much of it may still be read.
pub(super) struct Socket {
    tcp: TcpStream,
    /// `None` once the handshake is complete.
    left: Option<usize>,
}

impl Socket {
    /// Gives at most `at_most` bytes until [`Socket::open`].
    pub(super) fn bounded(tcp: TcpStream, at_most: usize) -> Self {
        Self { tcp, left: Some(at_most) }
    }

    /// The handshake's length is the library's business alone.
    pub(super) fn unbounded(tcp: TcpStream) -> Self {
        Self { tcp, left: None }
    }

    /// The handshake is complete.
    pub(super) fn open(&mut self) {
        self.left = None;
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Some(left) = self.left else { return Pin::new(&mut self.tcp).poll_read(cx, buf) };
        if left == 0 {
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, "the handshake is too long")));
        }
        let part = buf.initialize_unfilled_to(left.min(buf.remaining()));
        let mut part = ReadBuf::new(part);
        ready!(Pin::new(&mut self.tcp).poll_read(cx, &mut part))?;
        let read = part.filled().len();
        buf.advance(read);
        self.left = Some(left - read);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Socket {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.tcp).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.tcp).poll_write_vectored(cx, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.tcp.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;
    use crate::proxy::testing::tcp_pair;

    #[tokio::test]
    async fn so_much_is_read_and_no_more_until_the_handshake_is_complete() {
        let (near, mut far) = tcp_pair().await;
        let mut socket = Socket::bounded(near, 10);
        far.write_all(&[7; 30]).await.unwrap();
        socket.read_exact(&mut [0; 10]).await.unwrap();
        let error = socket.read(&mut [0; 10]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        socket.open();
        socket.read_exact(&mut [0; 20]).await.unwrap();
    }
}
