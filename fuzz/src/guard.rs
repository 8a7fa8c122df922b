//! A client and an upstream with a guard between them, driven as the relay drives it.

use mailward::protocol::{Forward, RelayGuard, Violation};

use crate::heap;

/// What a guard may hold: less than two buffers of the relay.
const HELD_MAX: usize = 96 * 1024;

/// What a reader on the upstream's side does with a piece that reached it: what it replies.
pub(crate) type Upstream<'a> = &'a mut dyn FnMut(&[u8]) -> Vec<u8>;

/// A session.
pub(crate) struct Relay {
    guard: Box<dyn RelayGuard>,
    /// From the client, not taken yet.
    pub(crate) held: Vec<u8>,
    pub(crate) to_upstream: Vec<u8>,
    pub(crate) to_client: Vec<u8>,
    /// The most that the guard itself answered to what it was given at once, in bytes.
    pub(crate) answered: usize,
    pub(crate) ended: Option<Violation>,
}

impl Relay {
    /// `guard` makes the guard, so that what it holds can be weighed.
    pub(crate) fn new(guard: Box<dyn RelayGuard>) -> Self {
        let (to_upstream, to_client) = (Vec::new(), Vec::new());
        Self { guard, held: Vec::new(), to_upstream, to_client, answered: 0, ended: None }
    }

    pub(crate) fn client_says(&mut self, bytes: &[u8]) {
        if self.ended.is_none() {
            self.held.extend_from_slice(bytes);
            self.go_on();
        }
    }

    pub(crate) fn upstream_says(&mut self, bytes: &[u8]) {
        if self.ended.is_none() {
            let mut out = Forward::default();
            let before = heap();
            let result = self.guard.upstream_sent(bytes, &mut out);
            self.take(&out, result.err(), before);
            self.go_on();
        }
    }

    /// The client says these pieces, and after each the upstream reads and replies until it has no more to read.
    pub(crate) fn converse(&mut self, pieces: &[&[u8]], upstream: Upstream<'_>) {
        let mut read = 0;
        let most = 16 + 4 * (pieces.iter().map(|piece| piece.len()).sum::<usize>() + pieces.len());
        let mut turns = 0;
        for piece in pieces {
            self.client_says(piece);
            while self.ended.is_none() && read < self.to_upstream.len() {
                turns += 1;
                assert!(turns <= most, "turns without end");
                let replies = upstream(&self.to_upstream[read..]);
                read = self.to_upstream.len();
                if !replies.is_empty() {
                    self.upstream_says(&replies);
                }
            }
        }
    }

    fn go_on(&mut self) {
        if self.ended.is_none() && !self.held.is_empty() {
            let mut out = Forward::default();
            let before = heap();
            let result = self.guard.client_sent(&self.held, &mut out);
            self.answered = self.answered.max(out.to_client.len());
            match result {
                Ok(taken) => {
                    self.take(&out, None, before);
                    self.held.drain(..taken);
                }
                Err(violation) => self.take(&out, Some(violation), before),
            }
        }
    }

    fn take(&mut self, out: &Forward, ended: Option<Violation>, before: usize) {
        let passed = out.to_client.capacity() + out.to_upstream.capacity();
        let grown = heap().saturating_sub(before).saturating_sub(passed);
        assert!(grown <= HELD_MAX, "{grown} bytes more held");
        self.to_client.extend_from_slice(&out.to_client);
        if ended.is_none() {
            self.to_upstream.extend_from_slice(&out.to_upstream);
        }
        self.ended = ended;
    }
}

/// What reached the upstream must not depend on how it arrived; where the session ended, the last that was to pass
/// may be missing.
pub(crate) fn assert_same(one: &Relay, other: &Relay, why: &str) {
    let ended = one.ended.is_some() || other.ended.is_some();
    let (shorter, longer) = match one.to_upstream.len() <= other.to_upstream.len() {
        true => (&one.to_upstream, &other.to_upstream),
        false => (&other.to_upstream, &one.to_upstream),
    };
    assert!(
        longer.starts_with(shorter) && (ended || longer == shorter),
        "{why}:\n{}\n{}",
        one.to_upstream.escape_ascii(),
        other.to_upstream.escape_ascii()
    );
}
