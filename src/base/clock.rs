//! Time as an argument. Only [`SystemClock`] reads the machine's clocks.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// A moment of the civil calendar in UTC, truncated to microseconds, so that what is written to either
/// database is read back the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(OffsetDateTime);

impl Timestamp {
    /// Truncates `at` to microseconds and moves it to UTC.
    #[must_use]
    pub fn new(at: OffsetDateTime) -> Self {
        let at = at.to_offset(time::UtcOffset::UTC);
        Self(at.replace_microsecond(at.microsecond()).unwrap_or(at))
    }

    /// Seconds since 1970-01-01T00:00:00Z; negative before.
    #[must_use]
    pub fn unix_seconds(self) -> i64 {
        self.0.unix_timestamp()
    }

    /// Microseconds since 1970-01-01T00:00:00Z: all that is kept of it.
    #[must_use]
    pub fn unix_micros(self) -> i64 {
        i64::try_from(self.0.unix_timestamp_nanos() / 1_000).unwrap_or(i64::MAX)
    }

    /// The moment `seconds` after 1970-01-01T00:00:00Z; the epoch itself if outside the calendar.
    #[must_use]
    pub fn from_unix_seconds(seconds: i64) -> Self {
        Self(OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH))
    }

    /// This moment plus `duration`; stays at the end of the calendar instead of overflowing.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        let duration = time::Duration::try_from(duration).unwrap_or(time::Duration::MAX);
        Self(self.0.saturating_add(duration))
    }

    /// This moment minus `duration`; stays at the beginning of the calendar instead of overflowing.
    #[must_use]
    pub fn minus(self, duration: Duration) -> Self {
        let duration = time::Duration::try_from(duration).unwrap_or(time::Duration::MAX);
        Self(self.0.saturating_sub(duration))
    }

    /// How long after `earlier` this is; zero if it is not.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        (self.0 - earlier.0).try_into().unwrap_or(Duration::ZERO)
    }

    /// The calendar value.
    #[must_use]
    pub fn date_time(self) -> OffsetDateTime {
        self.0
    }

    /// Reads RFC 3339, as [`std::fmt::Display`] writes it.
    ///
    /// # Errors
    /// Whatever `time` says about text that is not RFC 3339.
    pub fn parse(text: &str) -> Result<Self, time::error::Parse> {
        OffsetDateTime::parse(text, &Rfc3339).map(Self::new)
    }
}

impl std::fmt::Display for Timestamp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0.format(&Rfc3339).unwrap_or_else(|_| self.0.to_string()))
    }
}

impl serde::Serialize for Timestamp {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Timestamp {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'_, str>>::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

/// Time since the process started, from a clock that never goes back. Limits and caches use it, so that a
/// clock that jumps neither locks anybody out nor lets anybody in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Monotonic(pub Duration);

impl Monotonic {
    /// How long after `earlier` this is; zero if it is not.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }

    /// This moment plus `duration`.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(duration))
    }
}

/// Where time comes from.
pub trait Clock: Send + Sync + 'static {
    /// The civil time.
    fn now(&self) -> Timestamp;
    /// The monotonic time.
    fn monotonic(&self) -> Monotonic;
}

/// The machine's clocks.
pub struct SystemClock {
    started: Instant,
}

impl SystemClock {
    /// Monotonic time counts from here.
    #[must_use]
    pub fn start() -> Self {
        Self { started: Instant::now() }
    }
}

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the civil clock")]
    fn now(&self) -> Timestamp {
        Timestamp::new(OffsetDateTime::now_utc())
    }

    fn monotonic(&self) -> Monotonic {
        Monotonic(self.started.elapsed())
    }
}

/// Microseconds of the system's monotonic clock, as other programs of this machine read it: only to be told to a
/// service manager.
#[must_use]
pub fn system_monotonic_micros() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    let whole = u64::try_from(now.tv_sec).unwrap_or(0).saturating_mul(1_000_000);
    whole.saturating_add(u64::try_from(now.tv_nsec).unwrap_or(0) / 1000)
}

/// A clock that stands still until told to move; for tests. Civil time starts at 2026-01-01T00:00:00Z.
#[derive(Default)]
pub struct ManualClock {
    elapsed_micros: AtomicU64,
}

impl ManualClock {
    /// 2026-01-01T00:00:00Z in Unix seconds.
    pub const EPOCH: i64 = 1_767_225_600;

    /// Moves both clocks on.
    pub fn advance(&self, duration: Duration) {
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        self.elapsed_micros.fetch_add(micros, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix_seconds(Self::EPOCH).plus(self.monotonic().0)
    }

    fn monotonic(&self) -> Monotonic {
        Monotonic(Duration::from_micros(self.elapsed_micros.load(Ordering::SeqCst)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timestamp_survives_writing_and_reading() {
        let at =
            Timestamp::new(OffsetDateTime::from_unix_timestamp_nanos(1_767_225_600_123_456_789).unwrap());
        assert_eq!(at.to_string(), "2026-01-01T00:00:00.123456Z");
        assert_eq!(Timestamp::parse(&at.to_string()).unwrap(), at);
    }

    #[test]
    fn a_manual_clock_moves_both_times_together() {
        let clock = ManualClock::default();
        let before = (clock.now(), clock.monotonic());
        clock.advance(Duration::from_secs(90));
        assert_eq!(clock.now().since(before.0), Duration::from_secs(90));
        assert_eq!(clock.monotonic().since(before.1), Duration::from_secs(90));
    }
}
