//! What both sides of TLS have in common, which the library has two types for.

use std::ops::Deref;

use rustls::CommonState;
use rustls::client::{ClientConnectionData, UnbufferedClientConnection};
use rustls::server::{ServerConnectionData, UnbufferedServerConnection};
use rustls::unbuffered::{EncodeError, EncodeTlsData, UnbufferedStatus};

use super::secured::{RECORD, RECORD_OVERHEAD, SCRATCH};

/// What a server mostly says in a handshake before it has to listen.
const HANDSHAKE_SAYS: usize = 4096;

/// Either side.
pub(super) trait Records: Unpin + Deref<Target: Deref<Target = CommonState>> {
    /// The library's.
    type Data;

    /// The longest beginning of something that is kept until the rest of it comes.
    const PARTIAL_MAX: usize;

    /// See [`UnbufferedServerConnection`].
    fn process<'c, 'i>(&'c mut self, incoming: &'i mut [u8]) -> UnbufferedStatus<'c, 'i, Self::Data>;
}

impl Records for UnbufferedServerConnection {
    type Data = ServerConnectionData;

    /// All that clients have to say after the handshake fits into one record. The library gathers messages of up to 64 KiB
    /// before it looks at them, and a stranger need not send the last byte.
    const PARTIAL_MAX: usize = RECORD + RECORD_OVERHEAD;

    fn process<'c, 'i>(&'c mut self, incoming: &'i mut [u8]) -> UnbufferedStatus<'c, 'i, Self::Data> {
        self.process_tls_records(incoming)
    }
}

impl Records for UnbufferedClientConnection {
    type Data = ClientConnectionData;

    /// Tickets may be as long as they like.
    const PARTIAL_MAX: usize = SCRATCH;

    fn process<'c, 'i>(&'c mut self, incoming: &'i mut [u8]) -> UnbufferedStatus<'c, 'i, Self::Data> {
        self.process_tls_records(incoming)
    }
}

/// Appends what the library says itself.
pub(super) fn encode<D>(mut data: EncodeTlsData<'_, D>, outgoing: &mut Vec<u8>) {
    // It tells how much room it needs when it is given none.
    if let Err(EncodeError::InsufficientSize(needs)) = data.encode(&mut []) {
        let from = outgoing.len();
        if from == 0 {
            // A handshake says several things in a row.
            outgoing.reserve_exact(needs.required_size.max(HANDSHAKE_SAYS));
        }
        outgoing.resize(from + needs.required_size, 0);
        if data.encode(outgoing.get_mut(from..).unwrap_or_default()).is_err() {
            outgoing.truncate(from);
        }
    }
}
