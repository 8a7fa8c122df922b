//! When to leave one server of an upstream alone, and when to look at it again. Pure: time is an argument.
//!
//! ```text
//!                 a login or a look fails
//!        ┌──────┐ ──────────────────────▶ ┌──────────┐ ── the third failure in a row ──▶ ┌──────┐ ◀─────────┐
//!   ●──▶ │ Well │                         │ In doubt │                                   │ Down │           │
//!        └──────┘ ◀────────────────────── └──────────┘                                   └──────┘           │
//!           ▲        anybody succeeds                      its pause is over, a look begins │    fails:     │
//!           │                                                                               ▼    pause × 2  │
//!           │                                     the look succeeds                   ┌──────────┐          │
//!           └──────────────────────────────────────────────────────────────────────── │ On trial │ ─────────┘
//!                                                                                     └──────────┘
//!        a certificate that is refused: from anywhere to Down, at once
//! ```
//!
//! Logins go to servers that are well; to one in doubt where none is well; never to one that is down or on trial, so
//! that a dead server costs nobody a wait. Only a look of the gate's own, with nobody's credential, ends that. In
//! doubt there is a look soon, with or without logins.

use std::time::Duration;

use tokio::time::Instant;

/// So many in a row are no accident: a restart within a second, or a connection lost on the way, is one or two.
const FAILURES_MAX: u32 = 3;

/// From a failure to the next look, while in doubt.
const DOUBT_PAUSE: Duration = Duration::from_millis(500);

/// From going down to the first look.
const PAUSE_FIRST: Duration = Duration::from_secs(1);

/// Between looks at a server that stays down. One connection in five seconds is no burden for either side, and who
/// comes back is noticed as soon as its users would try again.
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// A look takes both deadlines at most; whoever began one may have been stopped.
const LOOK_MAX: Duration = Duration::from_secs(60);

/// What is known of one server.
#[derive(Debug)]
pub(super) struct Breaker {
    state: State,
    since: Instant,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Well,
    InDoubt {
        failures: u32,
        look_at: Instant,
    },
    Down {
        pause: Duration,
        look_at: Instant,
    },
    /// `look_at`: for when nobody finished the look.
    OnTrial {
        pause: Duration,
        look_at: Instant,
    },
}

/// How a server stands, for those who choose one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    Well,
    InDoubt,
    /// Down or on trial.
    Down,
}

/// Who found out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// A login.
    ForAClient,
    /// A look of the gate's own.
    ToSee,
}

/// What there is to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// It went down.
    Fell,
    /// It was down and is well.
    Rose,
}

impl Breaker {
    /// Well until the contrary is seen.
    pub(super) fn new(now: Instant) -> Self {
        Self { state: State::Well, since: now }
    }

    /// How it stands.
    pub(super) fn standing(&self) -> Standing {
        match self.state {
            State::Well => Standing::Well,
            State::InDoubt { .. } => Standing::InDoubt,
            State::Down { .. } | State::OnTrial { .. } => Standing::Down,
        }
    }

    /// Since when it is up (well or in doubt) or down.
    pub(super) fn since(&self) -> Instant {
        self.since
    }

    /// When there should be a look; none where the usual time will do.
    pub(super) fn look_at(&self) -> Option<Instant> {
        match self.state {
            State::Well => None,
            State::InDoubt { look_at, .. } | State::Down { look_at, .. } | State::OnTrial { look_at, .. } => {
                Some(look_at)
            }
        }
    }

    /// A look begins.
    pub(super) fn look_begins(&mut self, now: Instant) {
        if let State::Down { pause, .. } = self.state {
            self.state = State::OnTrial { pause, look_at: now + LOOK_MAX };
        }
    }

    /// It did what a server does.
    pub(super) fn succeeded(&mut self, asked: Asked, now: Instant) -> Option<Change> {
        match (self.state, asked) {
            (State::InDoubt { .. }, _) => {
                self.state = State::Well;
                None
            }
            // A login that is let in by one who is down began before the fall, or resumed a session.
            (State::Well, _) | (State::Down { .. } | State::OnTrial { .. }, Asked::ForAClient) => None,
            (State::Down { .. } | State::OnTrial { .. }, Asked::ToSee) => {
                *self = Self::new(now);
                Some(Change::Rose)
            }
        }
    }

    /// It failed, by its own fault.
    pub(super) fn failed(&mut self, asked: Asked, now: Instant) -> Option<Change> {
        match (self.state, asked) {
            (State::Well, _) => self.doubt(1, now),
            (State::InDoubt { failures, .. }, _) => self.doubt(failures + 1, now),
            (State::Down { .. } | State::OnTrial { .. }, Asked::ForAClient) => None,
            (State::Down { pause, .. } | State::OnTrial { pause, .. }, Asked::ToSee) => {
                let pause = (pause * 2).min(PAUSE_MAX);
                self.state = State::Down { pause, look_at: now + pause };
                None
            }
        }
    }

    /// It is not who it should be: there is nothing to be in doubt about.
    pub(super) fn unmasked(&mut self, asked: Asked, now: Instant) -> Option<Change> {
        match self.state {
            State::Well | State::InDoubt { .. } => self.fall(now),
            State::Down { .. } | State::OnTrial { .. } => self.failed(asked, now),
        }
    }

    fn doubt(&mut self, failures: u32, now: Instant) -> Option<Change> {
        if failures >= FAILURES_MAX {
            return self.fall(now);
        }
        self.state = State::InDoubt { failures, look_at: now + DOUBT_PAUSE };
        None
    }

    fn fall(&mut self, now: Instant) -> Option<Change> {
        self.state = State::Down { pause: PAUSE_FIRST, look_at: now + PAUSE_FIRST };
        self.since = now;
        Some(Change::Fell)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(number: u64) -> Duration {
        Duration::from_millis(number)
    }

    /// Down since `begin`.
    fn fallen(begin: Instant) -> Breaker {
        let mut breaker = Breaker::new(begin);
        for last in [false, false, true] {
            let change = breaker.failed(Asked::ForAClient, begin);
            assert_eq!(change, last.then_some(Change::Fell));
        }
        breaker
    }

    #[test]
    fn the_third_failure_in_a_row_opens_it_and_a_success_between_begins_anew() {
        let now = Instant::now();
        let mut breaker = Breaker::new(now);
        for _ in 0..10 {
            for _ in 0..2 {
                assert_eq!(breaker.failed(Asked::ForAClient, now), None);
                assert_eq!(breaker.standing(), Standing::InDoubt);
                assert_eq!(breaker.look_at(), Some(now + DOUBT_PAUSE), "and it is looked at soon");
            }
            assert_eq!(breaker.succeeded(Asked::ForAClient, now), None);
            assert_eq!((breaker.standing(), breaker.look_at()), (Standing::Well, None));
        }
        assert_eq!(fallen(now).standing(), Standing::Down);
    }

    #[test]
    fn looks_at_what_is_down_come_after_1_2_4_and_then_every_5_seconds_one_at_a_time() {
        let mut now = Instant::now();
        let mut breaker = fallen(now);
        let since = breaker.since();
        for pause in [1000, 2000, 4000, 5000, 5000, 5000] {
            assert_eq!(breaker.look_at(), Some(now + ms(pause)));
            now += ms(pause);
            breaker.look_begins(now);
            assert_eq!(breaker.standing(), Standing::Down);
            assert_eq!(breaker.look_at(), Some(now + LOOK_MAX), "one at a time, unless nobody finishes it");
            assert_eq!(breaker.failed(Asked::ToSee, now), None, "it was said already");
        }
        assert_eq!(breaker.since(), since);
        breaker.look_begins(now);
        assert_eq!(breaker.succeeded(Asked::ToSee, now), Some(Change::Rose));
        assert_eq!((breaker.standing(), breaker.since()), (Standing::Well, now));
        breaker = fallen(now);
        assert_eq!(breaker.look_at(), Some(now + PAUSE_FIRST), "the next time it is patient again");
    }

    #[test]
    fn logins_that_were_under_way_when_it_fell_change_nothing() {
        let now = Instant::now();
        let mut breaker = fallen(now);
        for trial in [false, true] {
            if trial {
                breaker.look_begins(now);
            }
            let look_at = breaker.look_at();
            assert_eq!(breaker.failed(Asked::ForAClient, now + ms(900)), None);
            assert_eq!(breaker.succeeded(Asked::ForAClient, now + ms(900)), None);
            assert_eq!((breaker.standing(), breaker.look_at()), (Standing::Down, look_at));
        }
    }

    #[test]
    fn who_is_not_who_it_should_be_is_down_at_once_until_a_look_finds_otherwise() {
        let now = Instant::now();
        let mut breaker = Breaker::new(now);
        assert_eq!(breaker.unmasked(Asked::ForAClient, now), Some(Change::Fell));
        assert_eq!(breaker.succeeded(Asked::ForAClient, now), None);
        assert_eq!(breaker.standing(), Standing::Down);
        breaker.look_begins(now);
        assert_eq!(breaker.unmasked(Asked::ToSee, now), None);
        assert_eq!(breaker.look_at(), Some(now + ms(2000)));
        assert_eq!(breaker.succeeded(Asked::ToSee, now), Some(Change::Rose));
    }
}
