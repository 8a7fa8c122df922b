//! How long a refusal takes, so that its duration says nothing.
//!
//! A no that comes from the upstream takes as long as the upstream likes: old servers delay it by two seconds and
//! punish an address that fails often with up to fifteen more. A no of the gate's own (unknown account, not an
//! app password although a factor is bound, a wrong app password, limits) takes microseconds. Both must leave
//! at the same moment, or a guesser learns which accounts exist and which are bound: no earlier than the later
//! of `limits.failure_delay` and a bound that stays above what the upstream was seen to take.
//!
//! This holds for [`Refusal::NotLetIn`] and [`Refusal::TooManyFailures`], whatever their cause, and for
//! [`Refusal::Unavailable`] where nothing was proven (see `outage`). All other refusals are given only to whoever
//! presented the right password: they have nothing left to hide and leave at once, and so does success.
//!
//! An attempt is bound by what was known when it came. Its own answer must not move its bound: the first no of an
//! upstream would leave later than one of the gate's own, and say where it came from.
//!
//! What remains visible: the first refusal of an upstream that is slower than `failure_delay` after the bound was
//! forgotten, and refusals slower than `login_deadline`.
//!
//! [`Refusal::NotLetIn`]: crate::protocol::Refusal::NotLetIn
//! [`Refusal::TooManyFailures`]: crate::protocol::Refusal::TooManyFailures
//! [`Refusal::Unavailable`]: crate::protocol::Refusal::Unavailable

use std::time::Duration;

use crate::base::Monotonic;

/// A slow refusal is remembered for one to two of these: much longer than Dovecot remembers a penalty (29 s), short
/// enough that an upstream which was slow for a moment does not keep users waiting all day.
const GENERATION: Duration = Duration::from_secs(10 * 60);

/// An upstream's next refusal may be slower than its last: three times as slow, but by no more than this.
/// Dovecot answers after 2, 6, 10 and then 17 seconds (two of delay, and a penalty of 0, 4, 8, 15).
const STEP_MAX: Duration = Duration::from_secs(8);

/// For what the gate adds itself: its own look-ups, the audit record.
const MARGIN: Duration = Duration::from_millis(250);

/// The bound is a multiple of this, so that it does not pass on small changes of the upstream's load.
const GRAIN: Duration = Duration::from_millis(500);

/// What one upstream's refusals took.
#[derive(Debug)]
pub(super) struct RefusalTime {
    /// `limits.failure_delay`
    floor: Duration,
    /// `login_deadline`: no answer is awaited longer.
    cap: Duration,
    /// When the present generation began.
    since: Monotonic,
    /// The slowest of this generation and of the one before.
    slowest: (Duration, Duration),
}

impl RefusalTime {
    /// Nothing was seen yet.
    pub(super) fn new(floor: Duration, cap: Duration) -> Self {
        Self { floor, cap, since: Monotonic::default(), slowest: (Duration::ZERO, Duration::ZERO) }
    }

    /// Other bounds from now on; what was seen stays.
    pub(super) fn bound(&mut self, floor: Duration, cap: Duration) {
        (self.floor, self.cap) = (floor, cap);
    }

    /// The upstream said no after `took`, counted from when the attempt was first looked at.
    pub(super) fn observe(&mut self, took: Duration, now: Monotonic) {
        self.turn(now);
        self.slowest.0 = self.slowest.0.max(took);
    }

    /// The least time that a refusal takes now.
    pub(super) fn not_before(&mut self, now: Monotonic) -> Duration {
        self.turn(now);
        let slowest = self.slowest.0.max(self.slowest.1);
        if slowest.is_zero() {
            return self.floor;
        }
        let expected = slowest.saturating_add(slowest.saturating_mul(2).min(STEP_MAX));
        self.floor.max(with_room(expected).min(self.cap))
    }

    fn turn(&mut self, now: Monotonic) {
        let age = now.since(self.since);
        if age >= GENERATION {
            let before = if age >= GENERATION * 2 { Duration::ZERO } else { self.slowest.0 };
            self.slowest = (Duration::ZERO, before);
            self.since = now;
        }
    }
}

/// `took`, with room for what the gate adds, in steps that do not tell one attempt from the next.
pub(super) fn with_room(took: Duration) -> Duration {
    let grain = GRAIN.as_millis();
    let grains = took.saturating_add(MARGIN).as_millis().div_ceil(grain);
    Duration::from_millis(u64::try_from(grains * grain).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FLOOR: Duration = Duration::from_secs(3);
    const CAP: Duration = Duration::from_secs(30);

    fn at(seconds: u64) -> Monotonic {
        Monotonic(Duration::from_secs(seconds))
    }

    #[test]
    fn the_bound_stays_above_dovecots_growing_penalty() {
        let mut time = RefusalTime::new(FLOOR, CAP);
        for (index, took) in [2_050, 6_080, 10_060, 17_090, 17_100].into_iter().enumerate() {
            let took = Duration::from_millis(took);
            let bound = time.not_before(at(index as u64));
            assert!(bound > took, "{took:?} shows above {bound:?}");
            time.observe(took, at(index as u64));
        }
        assert!(time.not_before(at(5)) < CAP);
    }

    #[test]
    fn a_fast_upstream_leaves_the_configured_delay() {
        let mut time = RefusalTime::new(FLOOR, CAP);
        assert_eq!(time.not_before(at(0)), FLOOR);
        time.observe(Duration::from_millis(40), at(0));
        assert_eq!(time.not_before(at(0)), FLOOR);
    }

    #[test]
    fn the_bound_does_not_pass_on_small_changes() {
        let mut time = RefusalTime::new(FLOOR, CAP);
        time.observe(Duration::from_millis(2_010), at(0));
        let bound = time.not_before(at(0));
        time.observe(Duration::from_millis(2_060), at(1));
        assert_eq!(
            (bound, time.not_before(at(1))),
            (Duration::from_millis(6_500), Duration::from_millis(6_500))
        );
    }

    #[test]
    fn a_slow_refusal_is_forgotten_but_not_too_soon() {
        let mut time = RefusalTime::new(FLOOR, CAP);
        time.observe(Duration::from_secs(25), at(0));
        assert_eq!(time.not_before(at(0)), CAP);
        assert_eq!(time.not_before(at(601)), CAP);
        assert_eq!(time.not_before(at(1_199)), CAP);
        assert_eq!(time.not_before(at(1_202)), FLOOR);
    }
}
