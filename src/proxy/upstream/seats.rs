//! How many connections an upstream has with this gate: sessions and logins under way, over all protocols.
//!
//! Old servers fall over at their limit of processes, and then nobody gets in. So whoever is one too many is turned
//! away here, for the time being. The gate's own looks are not counted: each address has one at a time.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::base::UpstreamName;
use crate::gate::Flag;

/// The seats of one upstream, for as long as the process lives: whatever the configuration says next, who sits there is
/// counted.
pub(super) struct Seats {
    pub(super) upstream: UpstreamName,
    /// Set while none is left.
    pub(super) full: Flag,
    inner: Mutex<Inner>,
}

struct Inner {
    most: Option<u32>,
    taken: u32,
    /// It was said that there are no more; again only after there was room for a while.
    told: bool,
}

/// A seat, until dropped.
pub(in crate::proxy) struct Seat(Arc<Seats>);

impl Seats {
    /// `most` of them; as many as anybody wants if that is 0.
    pub(super) fn new(upstream: &UpstreamName, most: u32) -> Arc<Self> {
        let inner = Inner { most: limit(most), taken: 0, told: false };
        Arc::new(Self { upstream: upstream.clone(), full: Flag::default(), inner: Mutex::new(inner) })
    }

    /// From now on `most` of them. If more are taken, all stay, and nobody gets one until enough have left.
    pub(super) fn allow(&self, most: u32) {
        let mut inner = self.locked();
        inner.most = limit(most);
        self.tell(&mut inner);
    }

    /// One, if there is one left.
    pub(super) fn take(self: &Arc<Self>) -> Option<Seat> {
        let mut inner = self.locked();
        if inner.is_full() {
            return None;
        }
        inner.taken += 1;
        self.tell(&mut inner);
        Some(Seat(Arc::clone(self)))
    }

    /// How many are taken.
    pub(super) fn taken(&self) -> u32 {
        self.locked().taken
    }

    /// How many there are, where that is limited.
    pub(super) fn most(&self) -> Option<u32> {
        self.locked().most
    }

    /// Whether there are more, for those who come and for the log.
    fn tell(&self, inner: &mut Inner) {
        let full = inner.is_full();
        self.full.set(full);
        if full && !std::mem::replace(&mut inner.told, true) {
            tracing::warn!(
                upstream = %self.upstream,
                max_connections = inner.most,
                connections = inner.taken,
                hint = "see `mailward session list`; raise `max_connections` if the server can take more",
                "upstream has as many connections as it may: whoever comes now is turned away"
            );
        }
        inner.told &= inner.most.is_some_and(|most| inner.taken > most - most.div_ceil(8));
    }

    fn locked(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn is_full(&self) -> bool {
        self.taken >= self.most.unwrap_or(u32::MAX)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut inner = self.0.locked();
        inner.taken -= 1;
        self.0.tell(&mut inner);
    }
}

/// As the configuration says it.
fn limit(most: u32) -> Option<u32> {
    Some(most).filter(|most| *most > 0)
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
    fn another_limit_counts_who_is_there() {
        let seats = Seats::new(&UpstreamName("legacy".into()), 4);
        let mut held: Vec<Seat> = (0..3).map(|_| seats.take().unwrap()).collect();
        seats.allow(2);
        assert_eq!((seats.taken(), seats.full.is_set()), (3, true));
        assert!(seats.locked().told, "nobody need come to be turned away");
        held.pop();
        assert!(seats.take().is_none() && seats.full.is_set());
        held.pop();
        held.push(seats.take().unwrap());
        assert!(seats.take().is_none());
        seats.allow(3);
        assert!(!seats.full.is_set());
        held.push(seats.take().unwrap());
        assert!(seats.take().is_none() && seats.full.is_set());
        seats.allow(0);
        assert!(!seats.full.is_set() && !seats.locked().told);
        held.extend((0..100).map(|_| seats.take().unwrap()));
        seats.allow(1);
        drop(held);
        assert_eq!((seats.taken(), seats.full.is_set()), (0, false));
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
