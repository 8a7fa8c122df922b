//! How often somebody who is in may ask, and change things: more than any person does, and less than fills the trail, the
//! owner's mailbox or the processor.
//!
//! Whatever takes away (deleting, signing out, locking everything) is held up by no limit of the account: somebody else who is
//! in too could stand in the way of it. Only requests of the same session count.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use governor::middleware::NoOpMiddleware;
use governor::state::keyed::HashMapStateStore;
use governor::{Quota, RateLimiter};

use super::{Fresh, Portal, Visit};
use crate::base::{AccountId, Clock, PortalSessionId};

/// Requests of one session at once, and how soon the next one.
const REQUESTS: (NonZeroU32, Duration) = (NonZeroU32::new(240).unwrap(), Duration::from_millis(250));

/// Changes of one account at once, and how soon the next one.
const CHANGES: (NonZeroU32, Duration) = (NonZeroU32::new(60).unwrap(), Duration::from_secs(60));

/// Somebody asks more often than a person would.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("asked too often")]
pub struct TooOften;

/// Notices of new browsers to an account without a second factor at once, and how soon the next one: whoever has its password
/// may call his browser something else each time.
const NEW_BROWSERS: (NonZeroU32, Duration) = (NonZeroU32::new(5).unwrap(), Duration::from_secs(3600));

type Limiter<K> = RateLimiter<K, HashMapStateStore<K>, Ticks, NoOpMiddleware<Duration>>;

/// The pace of everybody who is in, in this process.
pub(super) struct Pace {
    requests: Limiter<PortalSessionId>,
    changes: Limiter<AccountId>,
    new_browsers: Limiter<AccountId>,
}

impl Pace {
    pub(super) fn new(clock: &Arc<dyn Clock>) -> Self {
        Self {
            requests: limiter(REQUESTS, clock),
            changes: limiter(CHANGES, clock),
            new_browsers: limiter(NEW_BROWSERS, clock),
        }
    }

    /// Forgets those who have been quiet.
    pub(super) fn tidy_up(&self) {
        self.requests.retain_recent();
        self.changes.retain_recent();
        self.new_browsers.retain_recent();
    }
}

impl Portal {
    /// One more request of this session.
    ///
    /// # Errors
    /// [`TooOften`]
    pub fn count_request(&self, visit: &Visit) -> Result<(), TooOften> {
        one_more(&self.pace.requests, &visit.id())
    }

    /// One more change that adds something: to the account, to the trail, to what its owner is told.
    ///
    /// # Errors
    /// [`TooOften`]
    pub fn count_change(&self, fresh: Fresh<'_>) -> Result<(), TooOften> {
        one_more(&self.pace.changes, &fresh.0.account.id)
    }

    /// One more new browser of an account without a second factor that its owner is told of.
    pub(super) fn count_new_browser(&self, account: AccountId) -> Result<(), TooOften> {
        one_more(&self.pace.new_browsers, &account)
    }
}

fn limiter<K: Clone + Eq + std::hash::Hash>(
    (burst, each): (NonZeroU32, Duration),
    clock: &Arc<dyn Clock>,
) -> Limiter<K> {
    let quota = Quota::with_period(each).unwrap_or(Quota::per_second(burst)).allow_burst(burst);
    RateLimiter::new(quota, HashMapStateStore::default(), Ticks(Arc::clone(clock)))
}

fn one_more<K: Clone + Eq + std::hash::Hash>(limiter: &Limiter<K>, key: &K) -> Result<(), TooOften> {
    limiter.check_key(key).map_err(|_| TooOften)
}

/// The clock of this process, as governor's.
#[derive(Clone)]
struct Ticks(Arc<dyn Clock>);

impl governor::clock::Clock for Ticks {
    type Instant = Duration;

    fn now(&self) -> Duration {
        self.0.monotonic().0
    }
}
