//! At which upstream an account is: the one that its domain leads to, unless an administrator bound it to another.
//!
//! Only who reads the account knows that, and a name without an account is as good as anybody's whose domain leads the
//! same way. So that no refusal tells who was moved, what holds for one upstream holds for all that accounts were
//! moved to: a plain no takes as long as the slowest of them, and while one of them cannot be asked, everything
//! unproven is undecided. See docs/decisions/0087-an-account-can-be-bound-to-an-upstream.md.

use std::time::Duration;

use super::attempt::OpenAttempt;
use super::authenticator::Gate;
use super::outage::Outage;
use super::reach::Way;
use super::rules::Rules;
use crate::account::{Located, NameRefused};
use crate::base::{Address, UpstreamName};
use crate::store::{AccountState, Standing, StoreError};

impl Rules {
    /// Where the account is that `home` leads to by its domain.
    pub(super) fn whereabouts(
        &self,
        home: &Located,
        standing: Option<&Standing>,
    ) -> Result<Located, NameRefused> {
        let living = standing.filter(|standing| standing.account.state != AccountState::Removed);
        match living.and_then(|standing| standing.account.bound_upstream.as_ref()) {
            Some(bound) => self.directory.at(home, bound),
            None => Ok(home.clone()),
        }
    }

    /// The upstream at which a session of the account would be now; `None` where nothing says so any more.
    pub(super) fn upstream_now(&self, address: &Address, standing: &Standing) -> Option<UpstreamName> {
        if let Some(bound) = &standing.account.bound_upstream {
            return Some(bound.clone());
        }
        self.home_of(address)
    }
}

impl Gate {
    /// Reads anew which upstreams accounts were moved to.
    pub(super) async fn hear_moves(&self) -> Result<(), StoreError> {
        let bound = self.store.bound_upstreams().await?;
        *self.moved_to() = bound;
        Ok(())
    }

    /// The least time that a plain no takes now at `home` and wherever its accounts may be.
    pub(super) fn refusal_time_around(&self, home: &UpstreamName) -> Duration {
        let moved_to = self.moved_to().clone();
        let times = std::iter::once(home).chain(&moved_to).map(|upstream| self.refusal_time(Some(upstream)));
        times.max().unwrap_or_default()
    }

    /// Whether an upstream cannot be asked that the account of `attempt` might be at, for all that a guesser may learn.
    /// All wait for the one that takes longest to find out; what counts is the account's own affair, if it has one.
    pub(super) fn trouble(&self, attempt: &OpenAttempt) -> Option<Outage> {
        let home = attempt.home.as_ref()?;
        let moved_to = self.moved_to().clone();
        let here = attempt.located.as_ref().map(|located| &located.upstream);
        let around = here.into_iter().chain(std::iter::once(home)).chain(&moved_to);
        let (origin, now) = (&attempt.origin, self.now());
        around
            .filter_map(|upstream| match origin.reach.way_to(upstream)? {
                Way::Open => self.outages().present(upstream, origin.protocol, now),
                Way::Misled | Way::Down | Way::Full => {
                    Some(Outage { shows_after: Duration::ZERO, sent: false })
                }
            })
            .reduce(|one, other| Outage { shows_after: one.shows_after.max(other.shows_after), ..one })
    }
}
