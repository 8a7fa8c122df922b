//! Answers for a second factor, under the limits that mailbox passwords have: per network, per account, and both.
//!
//! They are counted apart from passwords: whoever knows the mailbox password and guesses codes locks nobody out of the
//! mailbox, and an owner who mistypes his password can still answer. Of an account that is attacked, a network from
//! which its owner answered right before is judged by its own failures only, as with passwords. An exempt network is spared
//! the count of networks alone: six digits need the others.

use std::time::Duration;

use super::authenticator::Authenticator;
use super::limiter::{Reservation, Subject, Tried};
use super::turns::Turns;
use crate::base::{Address, ClientAddress};

/// How long an answer waits for those before it.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// Too many answers were wrong, here or elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many wrong answers")]
pub struct TooManyAnswers {
    /// Until the next one may be tried.
    pub wait: Duration,
}

/// A place among those who answer. Whoever drops it without a word has had a guess.
#[must_use = "an answer that is not settled counts as wrong"]
pub struct Answering<'a> {
    turns: &'a Turns,
    client: ClientAddress,
    account: String,
    reservation: Reservation,
    settled: bool,
}

impl Authenticator {
    /// Waits until the limits have room for one more answer for a second factor of `account`.
    ///
    /// # Errors
    /// [`TooManyAnswers`]; then nobody may look at the answer.
    pub async fn answering(
        &self,
        client: ClientAddress,
        account: &Address,
    ) -> Result<Answering<'_>, TooManyAnswers> {
        let turns = &self.gate.desk.turns;
        let account = account.as_str();
        let subject = Subject { tried: Tried::Code, client, account, known_label: None };
        let turn = tokio::time::timeout(LONGEST_WAIT, turns.reserve(subject)).await;
        let turn = turn.map_err(|_| TooManyAnswers { wait: LONGEST_WAIT })?;
        let reservation = turn.reserve.map_err(|wait| TooManyAnswers { wait })?;
        Ok(Answering { turns, client, account: account.to_owned(), reservation, settled: false })
    }
}

impl Answering<'_> {
    /// The answer is right: from now on this network is the owner's, for the mailbox password as well.
    pub fn right(mut self) {
        self.settled = true;
        self.turns.succeed(&self.reservation);
        self.turns.acquaint(self.client, &self.account);
    }

    /// Nobody could say whether it is right.
    pub fn undecided(mut self) {
        self.settled = true;
        self.turns.release(&self.reservation);
    }
}

impl Drop for Answering<'_> {
    fn drop(&mut self) {
        if !self.settled {
            self.turns.fail(&self.reservation);
        }
    }
}
