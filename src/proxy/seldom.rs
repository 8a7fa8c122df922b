//! What may happen with every connection, and is worth a word in the log now and then.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Often enough to be found, seldom enough not to bury the rest.
const PAUSE: Duration = Duration::from_secs(3600);

/// One such thing; no word about it yet.
#[derive(Default)]
pub struct Seldom(Mutex<Option<Instant>>);

impl Seldom {
    /// Whether to say it, at `now`; then not again for an hour.
    #[must_use]
    pub fn is_due(&self, now: Instant) -> bool {
        let mut said = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let due = said.is_none_or(|said| now.saturating_duration_since(said) >= PAUSE);
        if due {
            *said = Some(now);
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn once_an_hour_is_enough() {
        let (seldom, start) = (Seldom::default(), Instant::now());
        let due = |seconds| seldom.is_due(start + Duration::from_secs(seconds));
        assert_eq!(
            [0, 0, 3599, 3600, 3601, 7199, 7200].map(due),
            [true, false, false, true, false, false, true]
        );
    }
}
