//! The ways to say no, and what each means for the client, the limits and the trail.
//!
//! | no | client hears | limits | trail | when |
//! |---|---|---|---|---|
//! | wrong: compared, and it is another password | not let in | fails | refused | uniform |
//! | hopeless: nothing here could be right | not let in | fails | refused | uniform |
//! | repeated: refused a moment ago | not let in | fails | refused | uniform |
//! | proven, but kept out | the reason | gives back | refused | at once |
//! | undecided | unavailable | fails if an unproven password was sent | unavailable | uniform |
//! | over budget: the upstream may see no more failures | unavailable | gives back | unavailable | uniform |
//! | passed on: in use, login delay, to whom the password is known to be right | the upstream's reason | gives back | unavailable | at once |
//! | too many failures | that | – | limited | uniform |
//!
//! A failure is charged once for the same password in the same network (see `password_memory`). During an outage (see
//! `outage`), and where nothing would be sent upstream (see `budget`), the first three are told as *unavailable*, and
//! what nobody compared counts only if it would have been sent: it must look like an attempt that went upstream in
//! vain, or not at all. And whatever takes its uniform time is told as *too many failures* where a stranger's attempt
//! would be (see `limiter`).

use std::time::Duration;

use super::policy::Because;
use crate::audit::event::{Ground, Outcome};
use crate::protocol::Refusal;
use crate::store::StoreError;

/// A no, by its cause.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct No {
    /// What it means.
    pub(super) kind: Kind,
    /// For trail and log: more than the client hears, never content.
    pub(super) why: String,
    /// For the account's owner.
    pub(super) ground: Option<Ground>,
}

/// What a no means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The password was compared, here or upstream, and is wrong.
    Wrong,
    /// Nothing was compared: no password would be let in this way.
    Hopeless,
    /// The same password was refused a moment ago, judged as it would be now.
    Repeated,
    /// Nobody was asked, because the upstream may see no more failures for now.
    OverBudget,
    /// The password is right, and something else keeps the client out.
    Proven(Refusal),
    /// Nobody can say whether the password is right.
    Undecided {
        /// It was sent upstream, so that its sender may have learnt something elsewhere.
        sent: bool,
    },
    /// The upstream asks for patience in a word of its own (RFC 2449 section 8.1), and the password was proven, here
    /// or upstream not long ago: a client that polls too often must not be locked out for it. Nobody else hears it,
    /// because some upstreams say so before they look at the password, and only of accounts that are there.
    PassedOn(Refusal),
    /// Too many failures.
    UsedUp,
}

/// What becomes of an attempt that asks the upstream at this moment, and so what the others must look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It hears yes or no.
    Answered,
    /// It hears nothing that helps, or is not even made.
    InVain {
        /// Its password is sent all the same.
        sent: bool,
    },
}

/// What becomes of the cells that the attempt holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Settle {
    /// They come back, and the pair is known.
    Succeed,
    /// They come back.
    Release,
    /// They are charged.
    Fail,
}

/// What follows from a no.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Consequences {
    /// For the client.
    pub(super) refusal: Refusal,
    /// For the limits.
    pub(super) settle: Settle,
    /// For the trail.
    pub(super) outcome: Outcome,
    /// Whether it takes its uniform time.
    pub(super) uniform: bool,
}

impl No {
    /// One that tells the account's owner nothing beyond its outcome.
    pub(super) fn new(kind: Kind, why: String) -> Self {
        Self { kind, why, ground: None }
    }

    /// See [`Kind::Wrong`].
    pub(super) fn wrong(why: &str) -> Self {
        Self { ground: Some(Ground::WrongPassword), ..Self::new(Kind::Wrong, why.to_owned()) }
    }

    /// See [`Kind::Hopeless`].
    pub(super) fn hopeless(why: &str) -> Self {
        Self::new(Kind::Hopeless, why.to_owned())
    }

    /// The same, where the plan says so.
    pub(super) fn planned(because: Because) -> Self {
        let ground = match because {
            Because::NotListed => None,
            Because::AppPasswordsOnly => Some(Ground::AppPasswordNeeded),
        };
        Self { ground, ..Self::hopeless(because.as_str()) }
    }

    /// See [`Kind::Proven`].
    pub(super) fn proven(refusal: Refusal, why: &str) -> Self {
        let ground = match refusal {
            Refusal::BindFirst => Some(Ground::BindFirst),
            Refusal::OutOfScope => Some(Ground::OutOfScope),
            Refusal::Expired => Some(Ground::Expired),
            Refusal::Stale => Some(Ground::Stale),
            Refusal::Suspended => Some(Ground::Suspended),
            Refusal::NotLetIn
            | Refusal::TooManyFailures
            | Refusal::Unavailable
            | Refusal::InUse
            | Refusal::LoginDelay => None,
        };
        Self { ground, ..Self::new(Kind::Proven(refusal), why.to_owned()) }
    }

    /// See [`Kind::Repeated`].
    pub(super) fn repeated() -> Self {
        let why = "the same password was refused a moment ago";
        Self { ground: Some(Ground::SameAgain), ..Self::new(Kind::Repeated, why.to_owned()) }
    }

    /// See [`Kind::OverBudget`].
    pub(super) fn over_budget() -> Self {
        Self::new(Kind::OverBudget, "the upstream may see no more failures for now".to_owned())
    }

    /// Undecided before anything was sent.
    pub(super) fn undecided(why: &str) -> Self {
        Self::new(Kind::Undecided { sent: false }, why.to_owned())
    }

    /// A cell is free after `time`.
    pub(super) fn used_up(time: Duration) -> Self {
        let seconds = time.as_secs_f64().ceil();
        Self::new(Kind::UsedUp, format!("too many failures, {seconds} s until the next try"))
    }
}

/// An account that cannot be read is neither bound nor unbound.
pub(super) fn unreadable(error: &StoreError) -> No {
    tracing::warn!(error = error as &dyn std::error::Error, "an account cannot be read");
    No::undecided("the account cannot be read")
}

impl Kind {
    /// Whether nobody looked at the password.
    pub(super) fn is_unseen(self) -> bool {
        match self {
            Self::Repeated | Self::OverBudget | Self::UsedUp => true,
            Self::Wrong | Self::Hopeless | Self::Proven(_) | Self::Undecided { .. } | Self::PassedOn(_) => {
                false
            }
        }
    }

    /// What follows where the attempts of the moment that ask the upstream have this `fate`.
    pub(super) fn consequences(self, fate: Fate) -> Consequences {
        let (refusal, settle, outcome, uniform) = match self {
            Self::Wrong if fate != Fate::Answered => {
                (Refusal::Unavailable, Settle::Fail, Outcome::Refused, true)
            }
            Self::Hopeless | Self::Repeated if fate == (Fate::InVain { sent: true }) => {
                (Refusal::Unavailable, Settle::Fail, Outcome::Unavailable, true)
            }
            Self::Hopeless | Self::Repeated if fate == (Fate::InVain { sent: false }) => {
                (Refusal::Unavailable, Settle::Release, Outcome::Unavailable, true)
            }
            Self::OverBudget => (Refusal::Unavailable, Settle::Release, Outcome::Unavailable, true),
            Self::Wrong | Self::Hopeless | Self::Repeated => {
                (Refusal::NotLetIn, Settle::Fail, Outcome::Refused, true)
            }
            Self::Proven(Refusal::Unavailable) => {
                (Refusal::Unavailable, Settle::Release, Outcome::Unavailable, false)
            }
            Self::Proven(refusal) => (refusal, Settle::Release, Outcome::Refused, false),
            Self::Undecided { sent: true } => {
                (Refusal::Unavailable, Settle::Fail, Outcome::Unavailable, true)
            }
            Self::Undecided { sent: false } => {
                (Refusal::Unavailable, Settle::Release, Outcome::Unavailable, true)
            }
            Self::PassedOn(refusal) => (refusal, Settle::Release, Outcome::Unavailable, false),
            Self::UsedUp => (Refusal::TooManyFailures, Settle::Release, Outcome::Limited, true),
        };
        Consequences { refusal, settle, outcome, uniform }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FATES: [Fate; 3] = [Fate::Answered, Fate::InVain { sent: false }, Fate::InVain { sent: true }];

    #[test]
    fn nothing_but_a_plain_no_is_said_before_the_password_is_proven() {
        for kind in [Kind::Wrong, Kind::Hopeless, Kind::Repeated] {
            for fate in FATES {
                let heard = kind.consequences(fate);
                let plain = if fate == Fate::Answered { Refusal::NotLetIn } else { Refusal::Unavailable };
                assert_eq!((heard.refusal, heard.uniform), (plain, true));
            }
        }
    }

    #[test]
    fn only_a_proven_password_is_answered_at_once_with_its_reason() {
        for refusal in
            [Refusal::BindFirst, Refusal::OutOfScope, Refusal::Expired, Refusal::Stale, Refusal::Suspended]
        {
            for fate in FATES {
                let heard = Kind::Proven(refusal).consequences(fate);
                assert_eq!((heard.refusal, heard.settle, heard.uniform), (refusal, Settle::Release, false));
            }
        }
    }

    #[test]
    fn an_undecided_attempt_counts_only_if_its_password_was_sent() {
        for sent in [true, false] {
            let expected = if sent { Settle::Fail } else { Settle::Release };
            assert_eq!(Kind::Undecided { sent }.consequences(Fate::Answered).settle, expected);
            for alike in [Kind::Hopeless, Kind::Repeated] {
                assert_eq!(alike.consequences(Fate::InVain { sent }).settle, expected, "{alike:?}");
            }
            let wrong = Kind::Wrong.consequences(Fate::InVain { sent });
            assert_eq!(wrong.settle, Settle::Fail, "somebody said no: that counts");
        }
    }
}
