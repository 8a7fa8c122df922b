//! Whom it would hit if a second factor were required: the rules applied to those who have none.

use crate::base::{Address, Timestamp};
use crate::config::{Policies, Requirement};
use crate::store::{AccountState, Standing};

/// An account that may log in and has no second factor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unready {
    /// Its address.
    pub address: Address,
    /// When somebody logged in for the last time.
    pub last_login_at: Option<Timestamp>,
    /// When it is refused.
    pub refused: Refused,
    /// Whether its app passwords rest from then on, too.
    pub app_passwords_rest: bool,
}

/// When somebody without a second factor is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// Already.
    Now,
    /// From that moment on.
    From(Timestamp),
    /// Once the rules require one.
    IfRequired,
}

/// Those of `accounts` whom the rules refuse, will refuse or would refuse, in the same order. Who is suspended is refused whatever
/// he has.
#[must_use]
pub fn unready(accounts: &[Standing], policies: &Policies, now: Timestamp) -> Vec<Unready> {
    let unbound = |one: &&Standing| one.account.state == AccountState::Active && one.bound_factors == 0;
    let told = |one: &Standing| {
        let policy = policies.of(one.account.address.domain());
        let refused = match policy.second_factor {
            _ if one.account.must_bind || policy.is_overdue(now) => Refused::Now,
            Requirement::Required { since, grace } => Refused::From(since.plus(grace)),
            Requirement::Optional => Refused::IfRequired,
        };
        Unready {
            address: one.account.address.clone(),
            last_login_at: one.account.last_login_at,
            refused,
            // As for who must bind: it is asked what would be.
            app_passwords_rest: policy.app_passwords_rest(true, now),
        }
    };
    accounts.iter().filter(unbound).map(told).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use super::*;
    use crate::base::{AccountId, Domain, UpstreamName};
    use crate::config::{Policy, WithoutFactor};
    use crate::store::AccountRecord;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_unix_seconds(seconds)
    }

    fn standing(address: &str, bound_factors: u32) -> Standing {
        let upstream = UpstreamName("legacy".to_owned());
        let account = AccountRecord {
            id: AccountId(uuid::Uuid::nil()),
            address: Address::parse(address).unwrap(),
            upstream,
            bound_upstream: None,
            state: AccountState::Active,
            must_bind: false,
            created_at: at(1),
            last_login_at: None,
        };
        Standing { account, bound_factors }
    }

    #[test]
    fn who_has_no_factor_is_refused_by_the_rules_of_his_domain() {
        let required = |since| Policy {
            second_factor: Requirement::Required { since: at(since), grace: Duration::from_secs(10) },
            ..Policy::default()
        };
        let keeping = Policy { app_passwords_without_factor: WithoutFactor::Keep, ..required(200) };
        let domains =
            [("soon.example", required(95)), ("over.example", required(90)), ("later.example", keeping)];
        let domains = domains.map(|(name, policy)| (Domain::parse(name).unwrap(), policy));
        let policies = Policies { default: Policy::default(), domains: BTreeMap::from(domains) };

        let mut suspended = standing("suspended@over.example", 0);
        suspended.account.state = AccountState::Suspended;
        let mut again = standing("again@example.org", 0);
        again.account.must_bind = true;
        let accounts = [
            again,
            standing("anna@example.org", 0),
            standing("bob@example.org", 1),
            standing("anna@later.example", 0),
            standing("anna@over.example", 0),
            standing("bob@over.example", 2),
            standing("anna@soon.example", 0),
            suspended,
        ];
        let found = unready(&accounts, &policies, at(100));
        let found: Vec<_> =
            found.iter().map(|one| (one.address.as_str(), one.refused, one.app_passwords_rest)).collect();
        assert_eq!(
            found,
            [
                ("again@example.org", Refused::Now, true),
                ("anna@example.org", Refused::IfRequired, true),
                ("anna@later.example", Refused::From(at(210)), false),
                ("anna@over.example", Refused::Now, true),
                ("anna@soon.example", Refused::From(at(105)), true),
            ]
        );
    }
}
