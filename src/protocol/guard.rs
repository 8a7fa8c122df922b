//! What reads along between a client that is logged in and its upstream, where bytes must not simply be
//! copied: because a command could change who the client is.
//!
//! Both sides are read as hostile. A guard does no I/O and holds a bounded amount; what it cannot take yet
//! stays with the caller.

use super::course::Rest;

/// What a guard wants written. The caller writes and clears both; they may be reused from call to call.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Forward {
    /// For the upstream.
    pub to_upstream: Vec<u8>,
    /// For the client.
    pub to_client: Vec<u8>,
}

/// Sees both directions of a relay.
pub trait RelayGuard: Send {
    /// Takes bytes from the client, in pieces of any size, and says how many. The caller keeps the rest and
    /// offers it again, with what came behind it, after the next [`RelayGuard::upstream_sent`]; until then
    /// reading more from the client is of no use.
    ///
    /// # Errors
    /// [`Violation`]: write what `out` holds for the client, then close both connections without writing
    /// what it holds for the upstream.
    fn client_sent(&mut self, bytes: &[u8], out: &mut Forward) -> Result<usize, Violation>;

    /// Takes bytes from the upstream, all of them.
    ///
    /// # Errors
    /// As [`RelayGuard::client_sent`].
    fn upstream_sent(&mut self, bytes: &[u8], out: &mut Forward) -> Result<(), Violation>;

    /// How the session stands, if the guard knows.
    fn rest(&self) -> Option<Rest> {
        None
    }
}

/// Ends the session at the first byte of the client's: for one that should never have begun.
#[derive(Debug)]
pub struct NothingPasses;

impl RelayGuard for NothingPasses {
    fn client_sent(&mut self, _: &[u8], _: &mut Forward) -> Result<usize, Violation> {
        Err(Violation::NotForThisClient)
    }

    fn upstream_sent(&mut self, bytes: &[u8], out: &mut Forward) -> Result<(), Violation> {
        out.to_client.extend_from_slice(bytes);
        Ok(())
    }
}

/// Why a relay must end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// A line in a message that some server takes for its end and another does not (SMTP smuggling).
    #[error("the client sent a message with a line that only looks like its end")]
    DeviatingEnd,
    /// A chunk without a length that everybody reads the same way.
    #[error("the client sent a chunk of unclear length")]
    UnclearChunk,
    /// More commands that the gate had to answer itself than any honest client sends.
    #[error("the client sent too many commands that are not allowed")]
    TooManyRefused,
    /// The upstream replied while the message was on its way: what comes next would be read as commands.
    #[error("the upstream replied before the message had ended")]
    AnsweredEarly,
    /// The upstream asks for more where nothing is to follow.
    #[error("the upstream began an exchange that the gate does not know")]
    UnknownExchange,
    /// What the client sent could be one thing to the gate and another to the upstream.
    #[error("the client sent what the gate and the upstream could read differently")]
    Ambiguous,
    /// The client said something where it may say nothing.
    #[error("the client may only read")]
    NotForThisClient,
    /// The upstream said what is no reply, or more than the gate holds.
    #[error("the upstream sent {0}")]
    Garbage(&'static str),
}
