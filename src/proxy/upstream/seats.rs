//! How many connections an upstream has with this gate: sessions and logins under way, over all protocols.
//!
//! Old servers fall over at their limit of processes, and then nobody gets in. So whoever is one too many is turned
//! away here, for the time being. The gate's own looks are not counted: each address has one at a time.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::base::UpstreamName;
use crate::gate::Flag;

/// The seats of one upstream.
pub(super) struct Seats {
    pub(super) upstream: UpstreamName,
    pub(super) most: Option<u32>,
    /// Set while none is left.
    pub(super) full: Flag,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    taken: u32,
    /// It was said that there are no more; again only after there was room for a while.
    told: bool,
}

/// A seat, until dropped.
pub(in crate::proxy) struct Seat(Arc<Seats>);

impl Seats {
    /// `most` of them; as many as anybody wants if that is 0.
    pub(super) fn new(upstream: &UpstreamName, most: u32) -> Arc<Self> {
        let most = Some(most).filter(|most| *most > 0);
        Arc::new(Self { upstream: upstream.clone(), most, full: Flag::default(), inner: Mutex::default() })
    }

    /// One, if there is one left.
    pub(super) fn take(self: &Arc<Self>) -> Option<Seat> {
        let mut inner = self.locked();
        let most = self.most.unwrap_or(u32::MAX);
        if inner.taken >= most {
            return None;
        }
        inner.taken += 1;
        if inner.taken == most {
            self.full.set(true);
            if !std::mem::replace(&mut inner.told, true) {
                tracing::warn!(
                    upstream = %self.upstream,
                    max_connections = most,
                    hint = "see `mailward session list`; raise `max_connections` if the server can take more",
                    "upstream has as many connections as it may: whoever comes now is turned away"
                );
            }
        }
        Some(Seat(Arc::clone(self)))
    }

    /// How many are taken.
    pub(super) fn taken(&self) -> u32 {
        self.locked().taken
    }

    fn locked(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut inner = self.0.locked();
        inner.taken -= 1;
        if let Some(most) = self.0.most {
            self.0.full.set(false);
            inner.told &= inner.taken > most - most.div_ceil(8);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_so_many_and_each_comes_back() {
        let seats = Seats::new(&UpstreamName("legacy".into()), 2);
        let (first, second) = (seats.take().unwrap(), seats.take().unwrap());
        assert!(seats.take().is_none() && seats.full.is_set());
        drop(first);
        assert!(!seats.full.is_set());
        let third = seats.take().unwrap();
        assert!(seats.take().is_none() && seats.full.is_set());
        drop((second, third));
        assert_eq!(seats.taken(), 0);
    }

    #[test]
    fn it_is_said_again_only_after_there_was_room() {
        let seats = Seats::new(&UpstreamName("legacy".into()), 8);
        let mut held: Vec<Seat> = (0..8).map(|_| seats.take().unwrap()).collect();
        assert!(seats.locked().told);
        held.truncate(7);
        assert!(!seats.locked().told, "an eighth is room");
        held.extend(seats.take());
        assert!(seats.locked().told);
    }

    #[test]
    fn without_a_limit_they_are_only_counted() {
        let seats = Seats::new(&UpstreamName("legacy".into()), 0);
        let held: Vec<Seat> = (0..1000).map(|_| seats.take().unwrap()).collect();
        assert_eq!((seats.taken(), seats.full.is_set()), (1000, false));
        drop(held);
        assert_eq!(seats.taken(), 0);
    }
}
