//! How long something took, in steps that do not move.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The steps for a login at an upstream, in milliseconds. A server on the same wire answers within the first ones;
/// old ones delay failures by 2 s; 30 s is where `login_deadline` ends by default.
pub const LOGIN_SECONDS: [u64; 11] = [10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000];

/// Counts in steps.
#[derive(Debug, Default)]
pub struct Histogram {
    /// Not summed up: each holds what is longer than the step before; the last one all that is longer still.
    steps: [AtomicU64; LOGIN_SECONDS.len() + 1],
    micros: AtomicU64,
}

/// What was counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading {
    /// The end of each step in milliseconds, and how many took no longer.
    pub no_longer_than: Vec<(u64, u64)>,
    /// How many there were.
    pub count: u64,
    /// How long they took together.
    pub sum: Duration,
}

impl Histogram {
    /// One more, which took so long.
    pub fn observe(&self, took: Duration) {
        let fits = |step: &u64| took <= Duration::from_millis(*step);
        let step = LOGIN_SECONDS.iter().position(fits).unwrap_or(LOGIN_SECONDS.len());
        if let Some(step) = self.steps.get(step) {
            step.fetch_add(1, Ordering::Relaxed);
        }
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.micros.fetch_add(micros, Ordering::Relaxed);
    }

    /// So far. The count is that of the steps, whatever is added meanwhile.
    #[must_use]
    pub fn read(&self) -> Reading {
        let mut count = 0;
        let mut summed = self.steps.iter().map(|step| {
            count += step.load(Ordering::Relaxed);
            count
        });
        let no_longer_than = LOGIN_SECONDS.into_iter().zip(summed.by_ref()).collect();
        let count = summed.last().unwrap_or_default();
        Reading { no_longer_than, count, sum: Duration::from_micros(self.micros.load(Ordering::Relaxed)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_step_holds_all_that_took_no_longer() {
        let histogram = Histogram::default();
        for millis in [1, 10, 11, 2_000, 60_000] {
            histogram.observe(Duration::from_millis(millis));
        }
        let Reading { no_longer_than, count, sum } = histogram.read();
        let at = |step: u64| no_longer_than.iter().find(|(end, _)| *end == step).unwrap().1;
        assert_eq!((at(10), at(25), at(1_000), at(2_500), at(30_000), count), (2, 3, 3, 4, 4, 5));
        assert_eq!(sum, Duration::from_millis(62_022));
    }
}
