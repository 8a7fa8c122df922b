//! What stands inside a relay that must not pass every byte: a client may not change who it is after the gate
//! let it in.
//!
//! Input is not trusted on either side. A guard does no I/O, holds no message content, and bounds what it holds
//! back; what it does not understand ends the session rather than slipping through.

use std::convert::Infallible;

/// Reads both directions of a relay and decides what goes on.
pub trait RelayGuard {
    /// Takes what the client sent, in pieces of any size, and appends what the upstream and the client are
    /// to be sent because of it.
    fn client_bytes(&mut self, bytes: &[u8], to_upstream: &mut Vec<u8>, to_client: &mut Vec<u8>) -> Flow;

    /// Takes what the upstream sent, in pieces of any size. It may release what the client sent earlier,
    /// hence both ways out.
    fn upstream_bytes(&mut self, bytes: &[u8], to_upstream: &mut Vec<u8>, to_client: &mut Vec<u8>) -> Flow;
}

/// How a relay goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Flow {
    /// Write what was appended and go on.
    GoOn,
    /// Write what was appended, then end the session on both sides.
    End,
}

/// A protocol without a guard passes everything.
impl RelayGuard for Infallible {
    fn client_bytes(&mut self, _: &[u8], _: &mut Vec<u8>, _: &mut Vec<u8>) -> Flow {
        match *self {}
    }

    fn upstream_bytes(&mut self, _: &[u8], _: &mut Vec<u8>, _: &mut Vec<u8>) -> Flow {
        match *self {}
    }
}
