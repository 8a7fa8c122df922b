//! What an attempt may be tried as: pure, from what the store, the configuration and the clock say.
//!
//! Nothing here knows a password. Whatever a plan tells beyond a plain no is told only after the presented
//! password was proven; an account that must use app passwords never gets to the upstream with anything else.

use super::verdict::No;
use crate::base::Timestamp;
use crate::config::{AccountAdmission, Policy};
use crate::protocol::Refusal;
use crate::store::{AccountState, Standing};

/// What to do with an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Plan {
    /// The presented password carries the label of a row: it is that app password, or wrong. It is never sent
    /// upstream.
    ProveAppPassword(Then),
    /// It may be the mailbox password: the upstream is asked.
    PassThrough(Then),
    /// Whatever it is, it is not let in.
    Refuse(Because),
}

/// What follows once the password is proven.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Then {
    /// The client is let in, as far as the app password's scope allows.
    Enter,
    /// It is told to bind a second factor first.
    TellBindFirst,
    /// It is told that the account is suspended.
    TellSuspended,
}

impl Then {
    /// What whoever proved an app password hears, unless he is let in.
    pub(super) fn keeps_out(self) -> Option<No> {
        match self {
            Self::Enter => None,
            Self::TellBindFirst => {
                let why = "a second factor is required and none is bound: app passwords rest";
                Some(No::proven(Refusal::BindFirst, why))
            }
            Self::TellSuspended => Some(No::proven(Refusal::Suspended, "the account is suspended")),
        }
    }
}

/// Why nothing is tried; for the trail, never for the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Because {
    /// Only listed accounts are let in here, and this is none.
    NotListed,
    /// A second factor is bound, or must be bound again: app passwords only, and this is none.
    AppPasswordsOnly,
}

impl Because {
    /// For the trail.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::NotListed => "the account is not listed",
            Self::AppPasswordsOnly => "not an app password; a factor is bound",
        }
    }
}

/// Plans for an account that stands as `standing` (`None`: the store does not know it).
///
/// `label_matches` says whether the presented password begins with the label of one of its app passwords.
pub(super) fn plan(
    standing: Option<&Standing>,
    policy: &Policy,
    accounts: Option<AccountAdmission>,
    label_matches: bool,
    now: Timestamp,
) -> Plan {
    let suspended = match standing.map(|standing| standing.account.state) {
        Some(AccountState::Active) => false,
        Some(AccountState::Suspended) => true,
        None | Some(AccountState::Removed) => return newcomer(standing, policy, accounts, now),
    };
    if label_matches {
        let rest = standing.is_some_and(|standing| {
            standing.bound_factors == 0 && policy.app_passwords_rest(standing.account.must_bind, now)
        });
        return Plan::ProveAppPassword(match (suspended, rest) {
            (true, _) => Then::TellSuspended,
            (false, true) => Then::TellBindFirst,
            (false, false) => Then::Enter,
        });
    }
    if standing.is_some_and(app_passwords_only) {
        return Plan::Refuse(Because::AppPasswordsOnly);
    }
    Plan::PassThrough(if suspended { Then::TellSuspended } else { unless_overdue(policy, now) })
}

/// Plans for somebody at the portal who presents a mailbox password, which is never an app password there: whatever is
/// bound is asked for afterwards.
pub(super) fn plan_sign_in(
    standing: Option<&Standing>,
    policy: &Policy,
    accounts: Option<AccountAdmission>,
) -> Plan {
    match standing.map(|standing| standing.account.state) {
        Some(AccountState::Active) => Plan::PassThrough(Then::Enter),
        Some(AccountState::Suspended) => Plan::PassThrough(Then::TellSuspended),
        None | Some(AccountState::Removed) => match AccountAdmission::in_force(accounts, policy) {
            AccountAdmission::FirstLogin => Plan::PassThrough(Then::Enter),
            AccountAdmission::Listed => Plan::Refuse(Because::NotListed),
        },
    }
}

/// An address that has no account, or had one.
fn newcomer(
    tombstone: Option<&Standing>,
    policy: &Policy,
    accounts: Option<AccountAdmission>,
    now: Timestamp,
) -> Plan {
    if tombstone.is_some_and(app_passwords_only) {
        return Plan::Refuse(Because::AppPasswordsOnly);
    }
    match AccountAdmission::in_force(accounts, policy) {
        AccountAdmission::FirstLogin => Plan::PassThrough(unless_overdue(policy, now)),
        AccountAdmission::Listed => Plan::Refuse(Because::NotListed),
    }
}

fn app_passwords_only(standing: &Standing) -> bool {
    standing.bound_factors > 0 || standing.account.must_bind
}

/// Whether the mailbox password of an unbound account still lets in.
fn unless_overdue(policy: &Policy, now: Timestamp) -> Then {
    if policy.is_overdue(now) { Then::TellBindFirst } else { Then::Enter }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::base::{AccountId, Address, UpstreamName};
    use crate::config::{AfterUnbind, FactorKind, Requirement, WithoutFactor};

    const DAY: u64 = 24 * 3600;

    fn standing(state: AccountState, bound_factors: u32, must_bind: bool) -> Standing {
        Standing {
            account: crate::store::AccountRecord {
                id: AccountId(uuid::Uuid::nil()),
                address: Address::parse("a@example.org").unwrap(),
                upstream: UpstreamName("legacy".to_owned()),
                bound_upstream: None,
                state,
                must_bind,
                created_at: Timestamp::from_unix_seconds(0),
                last_login_at: None,
            },
            bound_factors,
        }
    }

    fn policy(second_factor: Requirement) -> Policy {
        Policy {
            second_factor,
            factors: vec![FactorKind::Totp],
            app_passwords_after_unbind: AfterUnbind::Stop,
            app_passwords_per_account: 20,
            trusted_device: Duration::from_secs(7 * 86_400),
            ..Policy::default()
        }
    }

    /// Every combination there is, judged by the refusal table of the contract, read line by line. It is written
    /// from the user's side on purpose: which words may this attempt end with, and may the upstream see it?
    #[test]
    fn every_combination_ends_as_the_refusal_table_says() {
        let now = Timestamp::from_unix_seconds(1_800_000_000);
        let required_since = |days: u64| Requirement::Required {
            since: Timestamp::from_unix_seconds(1_800_000_000 - i64::try_from(days * DAY).unwrap()),
            grace: Duration::from_secs(14 * DAY),
        };
        let requirements =
            [(Requirement::Optional, false), (required_since(13), false), (required_since(14), true)];
        let states =
            [None, Some(AccountState::Active), Some(AccountState::Suspended), Some(AccountState::Removed)];
        let mut combinations = 0;
        for (requirement, overdue) in requirements {
            for state in states {
                for bound in [0, 1, 3] {
                    for must_bind in [false, true] {
                        for accounts in
                            [None, Some(AccountAdmission::FirstLogin), Some(AccountAdmission::Listed)]
                        {
                            for (label_matches, kept) in
                                [(false, false), (false, true), (true, false), (true, true)]
                            {
                                let without = if kept { WithoutFactor::Keep } else { WithoutFactor::Stop };
                                let policy =
                                    Policy { app_passwords_without_factor: without, ..policy(requirement) };
                                let standing = state.map(|state| standing(state, bound, must_bind));
                                let plan = plan(standing.as_ref(), &policy, accounts, label_matches, now);

                                let exists =
                                    matches!(state, Some(AccountState::Active | AccountState::Suspended));
                                let guarded = state.is_some() && (bound > 0 || must_bind);
                                let listed_only = match accounts {
                                    Some(admission) => admission == AccountAdmission::Listed,
                                    None => requirement != Requirement::Optional,
                                };
                                let expected = if exists && label_matches {
                                    // an app password, right or wrong
                                    if state == Some(AccountState::Suspended) {
                                        Plan::ProveAppPassword(Then::TellSuspended)
                                    } else if bound == 0 && (overdue || must_bind) && !kept {
                                        // row 2: required, none bound, grace over
                                        Plan::ProveAppPassword(Then::TellBindFirst)
                                    } else {
                                        Plan::ProveAppPassword(Then::Enter)
                                    }
                                } else if guarded {
                                    // row 1: anything but an app password where a second factor is bound
                                    Plan::Refuse(Because::AppPasswordsOnly)
                                } else if !exists && listed_only {
                                    // row 1: unknown account
                                    Plan::Refuse(Because::NotListed)
                                } else if state == Some(AccountState::Suspended) {
                                    Plan::PassThrough(Then::TellSuspended)
                                } else if overdue {
                                    // row 2: binding required, none bound, grace over, password proven
                                    Plan::PassThrough(Then::TellBindFirst)
                                } else {
                                    Plan::PassThrough(Then::Enter)
                                };
                                assert_eq!(
                                    plan, expected,
                                    "{requirement:?} {state:?} bound {bound} must_bind {must_bind} {accounts:?} label {label_matches} kept {kept}"
                                );
                                combinations += 1;
                            }
                        }
                    }
                }
            }
        }
        assert_eq!(combinations, 3 * 4 * 3 * 2 * 3 * 2 * 2);
    }

    #[test]
    fn whoever_signs_in_is_asked_for_the_mailbox_password_unless_nobody_knows_him() {
        let now = Timestamp::from_unix_seconds(1_800_000_000);
        let required = Requirement::Required { since: now, grace: Duration::ZERO };
        for (requirement, accounts, open) in [
            (Requirement::Optional, None, true),
            (Requirement::Optional, Some(AccountAdmission::Listed), false),
            (required, None, false),
            (required, Some(AccountAdmission::FirstLogin), true),
        ] {
            let plan =
                |standing: Option<Standing>| plan_sign_in(standing.as_ref(), &policy(requirement), accounts);
            for (bound, must_bind) in [(0, false), (2, false), (0, true)] {
                let active = plan(Some(standing(AccountState::Active, bound, must_bind)));
                assert_eq!(active, Plan::PassThrough(Then::Enter), "an unbound one has to bind somewhere");
                let suspended = plan(Some(standing(AccountState::Suspended, bound, must_bind)));
                assert_eq!(suspended, Plan::PassThrough(Then::TellSuspended));
                let expected =
                    if open { Plan::PassThrough(Then::Enter) } else { Plan::Refuse(Because::NotListed) };
                assert_eq!(plan(None), expected);
                assert_eq!(plan(Some(standing(AccountState::Removed, bound, must_bind))), expected);
            }
        }
    }

    #[test]
    fn a_bound_account_never_reaches_the_upstream_without_an_app_password() {
        let now = Timestamp::from_unix_seconds(1_800_000_000);
        for state in [AccountState::Active, AccountState::Suspended, AccountState::Removed] {
            for (bound, must_bind) in [(1, false), (0, true), (2, true)] {
                let standing = standing(state, bound, must_bind);
                let plan = plan(
                    Some(&standing),
                    &policy(Requirement::Optional),
                    Some(AccountAdmission::FirstLogin),
                    false,
                    now,
                );
                assert_eq!(plan, Plan::Refuse(Because::AppPasswordsOnly), "{state:?} {bound} {must_bind}");
            }
        }
    }
}
