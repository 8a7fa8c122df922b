//! One of a session's two connections: what waits for it, and what it has said and heard of the end.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncWrite, AsyncWriteExt};

use super::super::buffers::{Buffer, Buffers};
use super::super::tls::Stream;

/// A connection.
pub(super) struct Side {
    pub(super) stream: Stream,
    /// What waits to be written to this side, and how much of it is written.
    pub(super) outgoing: Option<(Buffer, usize)>,
    /// Some of what was written is still with us.
    pub(super) unflushed: bool,
    /// This side sends more at once than a usual buffer holds.
    pub(super) busy: bool,
    /// This side will send nothing more (that we want to hear).
    pub(super) heard_all: bool,
    /// This side knows that we send nothing more.
    pub(super) told_end: bool,
}

impl Side {
    pub(super) fn new(stream: Stream) -> Self {
        let (unflushed, busy, heard_all, told_end) = (false, false, false, false);
        Self { stream, outgoing: None, unflushed, busy, heard_all, told_end }
    }

    /// Whether it has yet to take what there is for it.
    pub(super) fn is_behind(&self) -> bool {
        self.outgoing.is_some() || self.unflushed
    }

    /// What waits, for a guard to append to.
    pub(super) fn lend_outgoing(&mut self, buffers: &Buffers) -> Vec<u8> {
        std::mem::take(&mut self.outgoing.get_or_insert_with(|| (buffers.take(), 0)).0)
    }

    pub(super) fn return_outgoing(&mut self, bytes: Vec<u8>) {
        if let Some((outgoing, _)) = &mut self.outgoing {
            **outgoing = bytes;
        }
    }

    /// Writes what waits, as far as the peer takes it: how much that is.
    pub(super) fn write(&mut self, cx: &mut Context<'_>) -> io::Result<u64> {
        let mut moved = 0;
        if let Some((bytes, written)) = &mut self.outgoing {
            let before = *written;
            while let Some(rest) = bytes.get(*written..).filter(|rest| !rest.is_empty()) {
                match Pin::new(&mut self.stream).poll_write(cx, rest) {
                    Poll::Pending => break,
                    Poll::Ready(taken) => match taken? {
                        0 => return Err(io::ErrorKind::WriteZero.into()),
                        taken => *written += taken,
                    },
                }
            }
            moved = *written - before;
            if *written == bytes.len() {
                self.outgoing = None;
                self.unflushed = true;
            }
        }
        Ok(u64::try_from(moved).unwrap_or(u64::MAX))
    }

    /// Whether all that was written is gone.
    pub(super) fn flush(&mut self, cx: &mut Context<'_>) -> io::Result<bool> {
        if let Poll::Ready(flushed) = Pin::new(&mut self.stream).poll_flush(cx) {
            flushed?;
            self.unflushed = false;
        }
        Ok(!self.unflushed)
    }

    /// TLS's goodbye, behind all that was written: whether that is gone. The socket's own is that it is closed.
    pub(super) fn say_last(&mut self, cx: &mut Context<'_>) -> io::Result<bool> {
        if let Poll::Ready(said) = self.stream.poll_goodbye(cx) {
            said?;
            self.told_end = true;
        }
        Ok(self.told_end)
    }

    /// Unless it knows already.
    pub(super) async fn say_goodbye(&mut self) -> io::Result<()> {
        if self.told_end { Ok(()) } else { self.stream.shutdown().await }
    }

    /// Once the other side has `ended` and nothing waits, passes the end on.
    pub(super) fn finish(&mut self, ended: bool, cx: &mut Context<'_>) -> io::Result<bool> {
        if !ended || self.outgoing.is_some() || self.told_end {
            return Ok(false);
        }
        if let Poll::Ready(done) = Pin::new(&mut self.stream).poll_shutdown(cx) {
            done?;
            self.told_end = true;
        }
        Ok(self.told_end)
    }
}
