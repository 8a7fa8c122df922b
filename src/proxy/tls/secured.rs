//! A socket with TLS on it that holds no buffer while nothing is under way.
//!
//! The library's interface without buffers turns ciphertext into plaintext where the caller keeps it. Here that is a
//! scratch of each thread: a session has memory of its own only for the part of a record that has not come whole,
//! for plaintext that nobody took yet, and for ciphertext that the peer does not take yet. Five thousand sessions in
//! IDLE have none of the three.
//!
//! ```text
//!   tcp ──▶ scratch ──decrypt in place──▶ caller's buffer, the rest in `unread`
//!              └ part of a record ─▶ `incoming`, until the next read
//!   caller ──encrypt──▶ scratch ──▶ tcp, the rest in `outgoing`
//! ```
//!
//! Peers are hostile: before the handshake is complete a stranger is read only so much, and afterwards nothing longer than
//! a record is gathered for a client. Plaintext is wiped wherever it was decrypted (the library's own copy of a record that
//! came with the end of a handshake is out of reach), and nothing is logged.

use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use rustix::net::SendFlags;
use rustls::client::UnbufferedClientConnection;
use rustls::pki_types::CertificateDer;
use rustls::unbuffered::{ConnectionState, EncryptError, UnbufferedStatus, WriteTraffic};
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::TcpStream;
use zeroize::{Zeroize, Zeroizing};

use super::records::{Records, encode};
use crate::protocol::Output;

/// The longest plaintext of one record (RFC 8446 section 5.1).
pub(super) const RECORD: usize = 16 * 1024;

/// What a record takes besides: its header, and at most 256 bytes of expansion (RFC 8446 section 5.2).
pub(super) const RECORD_OVERHEAD: usize = 5 + 256;

/// Plaintext that is encrypted, and written, in one go: four records, so that a busy relay makes one call of the system
/// for all of them.
pub(super) const WRITTEN_AT_ONCE: usize = 4 * RECORD;

/// Room for those and for a key update in front of them; a fifth record where the caller's bytes are not aligned.
pub(super) const SCRATCH: usize = WRITTEN_AT_ONCE + 5 * RECORD_OVERHEAD;

thread_local! {
    /// Where records are on their way through. Taken for a moment, never across an await.
    static SCRATCHES: RefCell<Scratch> = RefCell::new(Scratch { incoming: vec![0; SCRATCH], outgoing: vec![0; SCRATCH] });
}

struct Scratch {
    incoming: Vec<u8>,
    outgoing: Vec<u8>,
}

/// A socket and its TLS.
pub(super) struct Secured<R> {
    pub(super) tcp: TcpStream,
    tls: R,
    /// Ciphertext: the beginning of a record.
    incoming: Vec<u8>,
    /// Plaintext that the caller had no room for; what stands before `taken` is gone.
    unread: Zeroizing<Vec<u8>>,
    taken: usize,
    /// Ciphertext on its way; what stands before `sent` is gone.
    outgoing: Vec<u8>,
    sent: usize,
    /// What waits is the end of the handshake, and may go out with the caller's first words.
    only_handshake: bool,
    /// What is written waits for what comes behind it, and goes out with that.
    held: bool,
    /// The peer says no more.
    heard_all: bool,
    /// We said goodbye.
    told_end: bool,
    /// The library must not be asked any more.
    broken: bool,
    /// For whoever has read what came before it.
    failure: Option<io::Error>,
    /// The host name that the peer asked for.
    pub(super) server_name: Option<Box<str>>,
}

/// What the library did with some ciphertext.
struct Digested {
    /// So much from the front is done with, and wiped.
    used: usize,
    /// The handshake, or a later record, cannot be: an alert is on its way out.
    failed: Option<rustls::Error>,
    /// The library takes plaintext for the peer.
    may_write: bool,
}

impl<R: Records> Secured<R> {
    /// Nothing was said yet.
    pub(super) fn new(tcp: TcpStream, tls: R) -> Self {
        let (incoming, outgoing, unread) = (Vec::new(), Vec::new(), Zeroizing::default());
        let (taken, sent, failure, server_name) = (0, 0, None, None);
        let (only_handshake, held, heard_all, told_end, broken) = (false, false, false, false, false);
        Self {
            tcp,
            tls,
            incoming,
            unread,
            taken,
            outgoing,
            sent,
            only_handshake,
            held,
            heard_all,
            told_end,
            broken,
            failure,
            server_name,
        }
    }

    /// What was agreed on.
    pub(super) fn version(&self) -> Option<rustls::ProtocolVersion> {
        self.tls.protocol_version()
    }

    /// Shakes hands, reading at most `at_most` bytes. `asked` runs after every step of the library, on its thread, and
    /// returns the host name if it was told now. The first words are asked for as soon as they may be said, in TLS 1.3
    /// behind the server's part of the handshake (RFC 8446 section 4.4.4), and go out with that; they are for whoever
    /// asks. The last words of the handshake wait for the next ones of the caller, and go out with them or when flushed.
    ///
    /// # Errors
    /// The handshake's failure; the peer was sent the fitting alert.
    pub(super) fn poll_handshake(
        &mut self,
        cx: &mut Context<'_>,
        at_most: &mut usize,
        mut asked: impl FnMut() -> Option<Box<str>>,
        first_words: &mut Option<impl FnOnce(Option<&str>) -> Output>,
    ) -> Poll<io::Result<()>> {
        loop {
            let mut incoming = std::mem::take(&mut self.incoming);
            let digested = self.digest(&mut incoming, None);
            self.server_name = asked().or(self.server_name.take());
            incoming.drain(..digested.used);
            self.incoming = incoming;
            if let Some(error) = digested.failed {
                // The alert is worth one try: it is small, and the peer is refused with or without it.
                let _ = self.poll_send(cx);
                return Poll::Ready(Err(invalid(error)));
            }
            if digested.may_write
                && let Some(first_words) = first_words.take()
            {
                let words = first_words(self.server_name.as_deref());
                if !words.is_empty() {
                    self.held = true;
                    let queued = self.encrypt(cx, &words);
                    self.held = false;
                    queued?;
                }
            }
            if !self.tls.is_handshaking() {
                self.incoming.shrink_to_fit();
                self.only_handshake = true;
                return Poll::Ready(Ok(()));
            }
            ready!(self.poll_send(cx))?;
            if *at_most == 0 {
                return Poll::Ready(Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    "the handshake is too long",
                )));
            }
            let read = ready!(self.poll_receive(cx, *at_most))?;
            if read == 0 {
                return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
            }
            *at_most -= read;
        }
    }

    /// Adds to `incoming` without looking at it.
    fn poll_receive(&mut self, cx: &mut Context<'_>, at_most: usize) -> Poll<io::Result<usize>> {
        SCRATCHES.with_borrow_mut(|scratch| {
            let room = at_most.min(RECORD);
            let mut read = ReadBuf::new(scratch.incoming.get_mut(..room).unwrap_or_default());
            ready!(Pin::new(&mut self.tcp).poll_read(cx, &mut read))?;
            self.incoming.extend_from_slice(read.filled());
            Poll::Ready(Ok(read.filled().len()))
        })
    }

    /// Hands ciphertext to the library until it wants more. Plaintext goes to `into` as far as that has room; what the
    /// library has to say goes to `outgoing`. Plaintext that was decrypted in `ciphertext` is not left there.
    fn digest(&mut self, ciphertext: &mut [u8], mut into: Option<&mut ReadBuf<'_>>) -> Digested {
        let mut used = 0;
        loop {
            let rest = ciphertext.get_mut(used..).unwrap_or_default();
            let UnbufferedStatus { discard, state } = self.tls.process(rest);
            let (mut more, mut may_write, mut failed) = (true, false, None);
            match state {
                Ok(ConnectionState::ReadTraffic(mut traffic)) => {
                    while let Some(record) = traffic.next_record() {
                        match record {
                            Ok(record) => {
                                used += record.discard;
                                keep(record.payload, into.as_deref_mut(), &mut self.unread);
                            }
                            Err(error) => failed = Some(error),
                        }
                    }
                }
                Ok(ConnectionState::EncodeTlsData(data)) => encode(data, &mut self.outgoing),
                // It goes out when the caller sends.
                Ok(ConnectionState::TransmitTlsData(data)) => data.done(),
                Ok(ConnectionState::PeerClosed) => self.heard_all = true,
                Ok(ConnectionState::Closed) => (self.heard_all, more) = (true, false),
                Ok(ConnectionState::WriteTraffic(_)) => (more, may_write) = (false, true),
                Ok(ConnectionState::BlockedHandshake) => more = false,
                // Nobody was offered any.
                Ok(ConnectionState::ReadEarlyData(_)) => failed = Some(unexpected("early data")),
                Ok(_) => failed = Some(unexpected("an unknown state")),
                Err(error) => failed = Some(error),
            }
            used += discard;
            if failed.is_some() {
                self.gather_alert(ciphertext.get_mut(used..).unwrap_or_default());
                // Nobody looks at the rest.
                used = ciphertext.len();
            }
            if failed.is_some() || !more {
                ciphertext.get_mut(..used).unwrap_or_default().zeroize();
                return Digested { used, failed, may_write };
            }
        }
    }

    /// After a failure: what the library wants to tell the peer. It looks at no ciphertext for that, and must not again.
    fn gather_alert(&mut self, rest: &mut [u8]) {
        (self.broken, self.heard_all, self.told_end) = (true, true, true);
        while self.tls.wants_write() {
            match self.tls.process(rest).state {
                Ok(ConnectionState::EncodeTlsData(data)) => encode(data, &mut self.outgoing),
                Ok(ConnectionState::ReadTraffic(mut traffic)) => while traffic.next_record().is_some() {},
                Ok(_) | Err(_) => return,
            }
        }
    }

    /// Reads once, and decrypts what came. What was decrypted before something failed is to be read first.
    fn poll_decrypt(&mut self, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let filled = into.filled().len();
        let read = ready!(self.poll_read_records(cx, into));
        match read {
            Err(error) if into.filled().len() > filled => {
                self.failure = Some(error);
                Poll::Ready(Ok(()))
            }
            read => Poll::Ready(read),
        }
    }

    fn poll_read_records(&mut self, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        SCRATCHES.with_borrow_mut(|scratch| {
            let before = self.incoming.len();
            // What is left of a record, then as many as the caller has room for.
            let wanted = (into.remaining() + RECORD_OVERHEAD).clamp(RECORD + RECORD_OVERHEAD, SCRATCH);
            let room = scratch.incoming.get_mut(..wanted.max(before + RECORD_OVERHEAD));
            let Some((kept, free)) = room.and_then(|room| room.split_at_mut_checked(before)) else {
                return Poll::Ready(Err(self.too_long()));
            };
            kept.copy_from_slice(&self.incoming);
            let mut read = ReadBuf::new(free);
            ready!(Pin::new(&mut self.tcp).poll_read(cx, &mut read))?;
            let new = read.filled().len();
            if new == 0 {
                self.heard_all = true;
                return Poll::Ready(Ok(()));
            }
            let have = scratch.incoming.get_mut(..before + new).unwrap_or_default();
            let digested = self.digest(have, Some(into));
            // No more room than it needs: it may wait for long.
            self.incoming = have.get(digested.used..).unwrap_or_default().to_vec();
            // Whatever it answers (a new key of its own, an alert) is worth one try; the rest goes with the next words.
            let sent = self.poll_send(cx);
            match (digested.failed, sent) {
                (Some(error), _) => Poll::Ready(Err(invalid(error))),
                (None, Poll::Ready(Err(error))) => Poll::Ready(Err(error)),
                (None, _) if self.incoming.len() > R::PARTIAL_MAX => Poll::Ready(Err(self.too_long())),
                (None, _) => Poll::Ready(Ok(())),
            }
        })
    }

    /// The peer goes on and on with one message: nothing more of it is heard.
    fn too_long(&mut self) -> io::Error {
        (self.broken, self.heard_all, self.told_end) = (true, true, true);
        self.incoming = Vec::new();
        io::Error::new(io::ErrorKind::InvalidData, "a message is too long")
    }

    /// Sends what waits.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some(rest) = self.outgoing.get(self.sent..).filter(|rest| !rest.is_empty()) {
            match ready!(Pin::new(&mut self.tcp).poll_write(cx, rest))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                written => self.sent += written,
            }
        }
        (self.outgoing, self.sent) = (Vec::new(), 0);
        Poll::Ready(Ok(()))
    }

    /// The same with the last that waits: the system sends it in one packet with the end of the socket, which follows.
    fn poll_send_last(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some(rest) = self.outgoing.get(self.sent..).filter(|rest| !rest.is_empty()) {
            ready!(self.tcp.poll_write_ready(cx))?;
            let send = || Ok(rustix::net::send(&self.tcp, rest, SendFlags::MORE | SendFlags::NOSIGNAL)?);
            match self.tcp.try_io(Interest::WRITABLE, send) {
                Ok(0) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Ok(written) => self.sent += written,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
        (self.outgoing, self.sent) = (Vec::new(), 0);
        Poll::Ready(Ok(()))
    }

    /// What is written from now on waits until it is flushed, or goes out with the goodbye.
    pub(super) fn hold(&mut self) {
        self.held = true;
    }

    /// TLS's own goodbye (RFC 8446 section 6.1), which the socket's is to follow.
    pub(super) fn poll_goodbye(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !std::mem::replace(&mut self.told_end, true) {
            let mut goodbye = [0; RECORD_OVERHEAD];
            // Who cannot be told in TLS any more hears it from the socket.
            if let Ok(length) = self.with_records(|traffic| traffic.queue_close_notify(&mut goodbye)) {
                let goodbye = goodbye.get(..length).unwrap_or_default();
                self.outgoing.extend_from_slice(goodbye);
            }
        }
        self.poll_send_last(cx)
    }

    /// Encrypts `plaintext` and sends it, together with what waits; what the socket does not take waits on.
    fn encrypt(&mut self, cx: &mut Context<'_>, plaintext: &[u8]) -> io::Result<()> {
        SCRATCHES.with_borrow_mut(|scratch| {
            let written = self.with_records(|traffic| traffic.encrypt(plaintext, &mut scratch.outgoing))?;
            let records = scratch.outgoing.get(..written).unwrap_or_default();
            let mut sent = 0;
            if self.outgoing.is_empty() && !self.held {
                // Straight from the scratch: mostly the socket takes it all.
                while let Some(rest) = records.get(sent..).filter(|rest| !rest.is_empty()) {
                    match Pin::new(&mut self.tcp).poll_write(cx, rest) {
                        Poll::Pending => break,
                        Poll::Ready(taken) => match taken? {
                            0 => return Err(io::ErrorKind::WriteZero.into()),
                            taken => sent += taken,
                        },
                    }
                }
            }
            let waited = !self.outgoing.is_empty();
            self.outgoing.extend_from_slice(records.get(sent..).unwrap_or_default());
            if waited
                && !self.held
                && let Poll::Ready(result) = self.poll_send(cx)
            {
                result?;
            }
            Ok(())
        })
    }

    /// Lets the library write application data, or its goodbye.
    fn with_records<T>(
        &mut self,
        write: impl FnOnce(&mut WriteTraffic<'_, R::Data>) -> Result<T, EncryptError>,
    ) -> io::Result<T> {
        if self.broken {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        // What it still has to say itself comes first.
        let mut incoming = std::mem::take(&mut self.incoming);
        let digested = self.digest(&mut incoming, None);
        incoming.drain(..digested.used);
        self.incoming = incoming;
        if let Some(error) = digested.failed {
            return Err(invalid(error));
        }
        match self.tls.process(&mut self.incoming).state {
            Ok(ConnectionState::WriteTraffic(mut traffic)) => write(&mut traffic).map_err(io::Error::other),
            Ok(_) => Err(io::ErrorKind::NotConnected.into()),
            Err(error) => Err(invalid(error)),
        }
    }
}

impl Secured<UnbufferedClientConnection> {
    /// The certificate that the server has shown.
    pub(super) fn peer_certificate(&self) -> Option<CertificateDer<'static>> {
        Some(self.tls.peer_certificates()?.first()?.clone().into_owned())
    }
}

fn unexpected(what: &str) -> rustls::Error {
    rustls::Error::General(what.to_owned())
}

/// Plaintext, to the caller as far as there is room.
fn keep(payload: &[u8], into: Option<&mut ReadBuf<'_>>, unread: &mut Zeroizing<Vec<u8>>) {
    let fits = match into {
        // Nothing may overtake what waits.
        Some(into) if unread.is_empty() => {
            let fits = payload.len().min(into.remaining());
            into.put_slice(payload.get(..fits).unwrap_or_default());
            fits
        }
        Some(_) | None => 0,
    };
    let rest = payload.get(fits..).unwrap_or_default();
    if unread.capacity() - unread.len() < rest.len() {
        // By itself it would grow by leaving a copy behind.
        let mut grown = Zeroizing::new(Vec::with_capacity(unread.len() + rest.len()));
        grown.extend_from_slice(unread);
        *unread = grown;
    }
    unread.extend_from_slice(rest);
}

fn invalid(error: rustls::Error) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

impl<R: Records> AsyncRead for Secured<R> {
    /// A peer that closes without TLS's own goodbye has closed all the same: mail protocols say themselves
    /// where a message ends, and many clients just drop the connection.
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        while buf.filled().len() == before && buf.remaining() > 0 {
            let this = &mut *self;
            if let Some(rest) = this.unread.get(this.taken..).filter(|rest| !rest.is_empty()) {
                let taken = rest.len().min(buf.remaining());
                buf.put_slice(rest.get(..taken).unwrap_or_default());
                this.taken += taken;
                if this.taken == this.unread.len() {
                    (this.unread, this.taken) = (Zeroizing::default(), 0);
                }
            } else if let Some(failure) = this.failure.take() {
                return Poll::Ready(Err(failure));
            } else if this.heard_all {
                break;
            } else {
                ready!(this.poll_decrypt(cx, buf))?;
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl<R: Records> AsyncWrite for Secured<R> {
    /// What is taken here is on its way when this returns, but only [`Secured::poll_flush`] tells that the system has it
    /// all. While some of it is with us, no more is taken.
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if !std::mem::take(&mut self.only_handshake) {
            ready!(self.poll_send(cx))?;
        }
        let now = bytes.get(..WRITTEN_AT_ONCE).unwrap_or(bytes);
        if !now.is_empty() {
            self.encrypt(cx, now)?;
        }
        Poll::Ready(Ok(now.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_send(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_goodbye(cx))?;
        Pin::new(&mut self.tcp).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests;
