//! How far the gate has heard of changes.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::base::Monotonic;

/// How long after the gate has heard of all changes it goes by that. Whoever changes something and waits so long may say
/// that it is in force at every gate.
pub const HEARD_WITHIN: Duration = Duration::from_millis(500);

/// Up to when all changes that were made have been heard of.
#[derive(Default)]
pub(in crate::gate) struct Hearing {
    /// In microseconds of [`Monotonic`], and one more; zero: nothing was heard yet.
    until: AtomicU64,
}

impl Hearing {
    /// A look that began at `moment` found all that was changed before, and it was acted on.
    pub(super) fn heard_all_until(&self, moment: Monotonic) {
        let micros = u64::try_from(moment.0.as_micros()).unwrap_or(u64::MAX - 1);
        self.until.store(micros + 1, Ordering::Release);
    }

    /// As if nothing had been heard.
    #[cfg(test)]
    pub(in crate::gate) fn forget(&self) {
        self.until.store(0, Ordering::Release);
    }

    /// Whether nothing can be in force for longer than [`HEARD_WITHIN`] that has not been heard of.
    pub(in crate::gate) fn is_fresh(&self, now: Monotonic) -> bool {
        match self.until.load(Ordering::Acquire).checked_sub(1) {
            Some(micros) => now.since(Monotonic(Duration::from_micros(micros))) <= HEARD_WITHIN,
            None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_fresh_for_half_a_second_after_a_look_began() {
        let (hearing, begun) = (Hearing::default(), Monotonic(Duration::from_secs(9)));
        assert!(!hearing.is_fresh(begun));
        hearing.heard_all_until(begun);
        let after = |time| Monotonic(begun.0 + time);
        assert!(hearing.is_fresh(begun) && hearing.is_fresh(after(HEARD_WITHIN)));
        assert!(!hearing.is_fresh(after(HEARD_WITHIN + Duration::from_micros(1))));
        let fresh = Hearing::default();
        fresh.heard_all_until(Monotonic(Duration::ZERO));
        assert!(fresh.is_fresh(Monotonic(Duration::ZERO)), "the first moment counts");
    }
}
