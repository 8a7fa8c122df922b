//! What reads along in a relay.

use super::Guard;
use crate::base::Access;
use crate::gate::Passage;
use crate::protocol::{Course, MailProtocol};

/// What reads one session as it passes. It is made of the passage that lets the session in, and of nothing else: what
/// the gate admitted for reading alone cannot be relayed without what holds it to that.
pub(in crate::proxy) struct Readers {
    pub(super) guard: Option<Guard>,
    pub(super) course: Option<Box<dyn Course>>,
}

impl Readers {
    /// Of a session that `passage` lets in, at an upstream that said `welcome`.
    pub(in crate::proxy) fn of<P: MailProtocol>(passage: &Passage, welcome: &P::Welcome) -> Self {
        let guard = match passage.access() {
            Access::Full => P::guard(welcome),
            Access::ReadOnly => Some(P::read_only_guard(welcome)),
        };
        Self { guard, course: P::course() }
    }
}
