//! Waiting for a place in what the upstream may see of failures (`budget`).

use std::time::Duration;

use super::attempt::OpenAttempt;
use super::authenticator::Gate;
use super::budget::{OverBudget, Place, Taken};
use super::verdict::No;
use crate::base::UpstreamName;

impl Gate {
    /// Waits for a place in what the upstream may see of failures.
    pub(super) async fn take_place(
        &self,
        attempt: &mut OpenAttempt,
        upstream: &UpstreamName,
        place: Place,
    ) -> Result<(), No> {
        if place == Place::Sent && self.was_right(attempt) {
            let waited = self.take_trusted_place(attempt, upstream).await?;
            if !waited || self.was_right(attempt) {
                return Ok(());
            }
            // One of those before it was refused with the same password.
            attempt.hold = None;
            if attempt
                .presented
                .is_some_and(|presented| self.desk.passwords.was_refused(presented, self.now()))
            {
                return Err(No::repeated());
            }
        }
        let repeated = self.is_paid(attempt);
        let free = self.budgets.stranger(upstream, attempt.account_key(), place, repeated);
        attempt.hold = in_time(attempt.rules.longest_wait() / 2, free).await?;
        attempt.looked_at = self.now();
        Ok(())
    }

    /// Waits for a place among those for passwords that are most likely right. Whether time passed.
    pub(super) async fn take_trusted_place(
        &self,
        attempt: &mut OpenAttempt,
        upstream: &UpstreamName,
    ) -> Result<bool, No> {
        let free = self.budgets.trusted(upstream, attempt.account_key());
        let Some(Taken { hold, waited }) = in_time(attempt.rules.longest_wait() / 2, free).await? else {
            return Ok(false);
        };
        attempt.hold = Some(hold);
        attempt.looked_at = self.now();
        Ok(waited)
    }

    /// Whether the upstream took the password lately.
    pub(super) fn was_right(&self, attempt: &OpenAttempt) -> bool {
        attempt.presented.is_some_and(|presented| self.desk.passwords.was_right(presented, self.now()))
    }
}

/// What `free` comes to, unless that takes too long. The turn may have taken as long: both together must leave time for
/// the answer.
async fn in_time<T>(at_most: Duration, free: impl Future<Output = Result<T, OverBudget>>) -> Result<T, No> {
    match tokio::time::timeout(at_most, free).await {
        Ok(taken) => taken.map_err(|OverBudget| No::over_budget()),
        Err(_) => Err(No::undecided("attempts before this one are still being judged")),
    }
}
