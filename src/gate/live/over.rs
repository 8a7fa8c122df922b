//! Whether a live session may go on: pure, from what the store and the clock say. It is the same question whether a
//! session has just begun or something was changed under it.

use super::Session;
use crate::app_password::{Outside, Scope};
use crate::audit::event::Actor;
use crate::base::{Timestamp, UpstreamName};
use crate::store::{AccountState, Standing};

/// Why the gate ends a session that nobody closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// Its app password was revoked, or is not the row any more that it was.
    Revoked,
    /// Its app password expired.
    Expired,
    /// Its app password no longer covers its protocol or the client's network, or may only read by now.
    OutOfScope,
    /// Its account was suspended.
    Suspended,
    /// Its account was removed.
    Removed,
    /// It rests on the mailbox password, and a second factor was bound.
    FactorBound,
    /// Its account is at another upstream now, or its upstream was taken out of the configuration.
    UpstreamWithdrawn,
    /// An administrator ended it.
    EndedByAdmin,
    /// Its owner ended it, in the portal.
    EndedByOwner,
}

impl Cause {
    const ALL: [Self; 9] = [
        Self::Revoked,
        Self::Expired,
        Self::OutOfScope,
        Self::Suspended,
        Self::Removed,
        Self::FactorBound,
        Self::UpstreamWithdrawn,
        Self::EndedByAdmin,
        Self::EndedByOwner,
    ];

    /// Of a session that `actor` asked to end.
    pub(super) fn asked_by(actor: &Actor) -> Self {
        match actor {
            Actor::Owner { .. } => Self::EndedByOwner,
            Actor::CommandLine { .. } | Actor::Gate => Self::EndedByAdmin,
        }
    }

    /// The reason in the audit trail, and in the database where it travels there.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Revoked => "revoked",
            Self::Expired => "expired",
            Self::OutOfScope => "out_of_scope",
            Self::Suspended => "suspended",
            Self::Removed => "removed",
            Self::FactorBound => "factor_bound",
            Self::UpstreamWithdrawn => "upstream_withdrawn",
            Self::EndedByAdmin => "ended_by_admin",
            Self::EndedByOwner => "ended_by_owner",
        }
    }

    /// From the database; `None` for a word of a later version.
    pub(super) fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|cause| cause.as_str() == word)
    }

    /// Whether it ends `session`, if it happened to its account.
    pub(super) fn concerns(self, session: &Session) -> bool {
        match self {
            Self::FactorBound => session.app_password.is_none(),
            Self::Revoked
            | Self::Expired
            | Self::OutOfScope
            | Self::Suspended
            | Self::Removed
            | Self::UpstreamWithdrawn
            | Self::EndedByAdmin
            | Self::EndedByOwner => true,
        }
    }
}

/// Why `session` must not go on, if it must not. `upstream` is where its account is now; `scope` is that of its app
/// password, if it has one that stands.
pub(super) fn why_over(
    session: &Session,
    standing: Option<&Standing>,
    upstream: Option<&UpstreamName>,
    scope: Option<&Scope>,
    now: Timestamp,
) -> Option<Cause> {
    let Some(standing) = standing else { return Some(Cause::Removed) };
    match standing.account.state {
        AccountState::Active => {}
        AccountState::Suspended => return Some(Cause::Suspended),
        AccountState::Removed => return Some(Cause::Removed),
    }
    if upstream.is_some_and(|upstream| *upstream != session.upstream) {
        return Some(Cause::UpstreamWithdrawn);
    }
    if session.app_password.is_none() {
        let bound = standing.bound_factors > 0 || standing.account.must_bind;
        return bound.then_some(Cause::FactorBound);
    }
    let Some(scope) = scope else { return Some(Cause::Revoked) };
    if !scope.access.includes(session.access) {
        return Some(Cause::OutOfScope);
    }
    scope.excludes(session.protocol, session.client, now).map(|outside| match outside {
        Outside::Expired => Cause::Expired,
        Outside::Protocol | Outside::Network => Cause::OutOfScope,
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::base::{Access, AccountId, Address};
    use crate::gate::live::registry::session;
    use crate::store::AccountRecord;

    fn standing(state: AccountState, bound_factors: u32, must_bind: bool) -> Standing {
        let account = AccountRecord {
            id: AccountId(uuid::Uuid::nil()),
            address: Address::parse("a@example.org").unwrap(),
            upstream: UpstreamName("legacy".to_owned()),
            bound_upstream: None,
            state,
            must_bind,
            created_at: Timestamp::from_unix_seconds(0),
            last_login_at: None,
        };
        Standing { account, bound_factors }
    }

    #[test]
    fn a_session_ends_with_what_it_rests_on_and_with_nothing_else() {
        let now = Timestamp::from_unix_seconds(1_800_000_000);
        let (mailbox, app_password) = (session(1, false), session(2, true));
        let (yes, no) = (Some(Cause::FactorBound), None);
        for (state, bound, must_bind, mailbox_ends, other_ends) in [
            (AccountState::Active, 0, false, no, no),
            (AccountState::Active, 1, false, yes, no),
            (AccountState::Active, 0, true, yes, no),
            (AccountState::Suspended, 1, false, Some(Cause::Suspended), Some(Cause::Suspended)),
            (AccountState::Removed, 0, true, Some(Cause::Removed), Some(Cause::Removed)),
        ] {
            let standing = standing(state, bound, must_bind);
            let everything = scope("imap,pop3,smtp", "", None);
            let ends = why_over(&mailbox, Some(&standing), None, None, now);
            assert_eq!(ends, mailbox_ends, "{state:?} {bound}");
            let ends = why_over(&app_password, Some(&standing), None, Some(&everything), now);
            assert_eq!(ends, other_ends, "{state:?} {bound}");
        }
        assert_eq!(why_over(&mailbox, None, None, None, now), Some(Cause::Removed));
    }

    #[test]
    fn a_session_ends_when_its_account_is_at_another_upstream() {
        let now = Timestamp::from_unix_seconds(1_800_000_000);
        let standing = standing(AccountState::Active, 0, false);
        let session = session(1, false);
        for (upstream, ends) in [("legacy", None), ("new", Some(Cause::UpstreamWithdrawn))] {
            let upstream = UpstreamName(upstream.to_owned());
            assert_eq!(why_over(&session, Some(&standing), Some(&upstream), None, now), ends);
        }
    }

    #[test]
    fn a_session_ends_when_its_app_password_no_longer_covers_it() {
        let now = Timestamp::from_unix_seconds(1_800_000_000);
        let standing = standing(AccountState::Active, 1, false);
        let session = session(1, true); // IMAP, from 192.0.2.1
        for (scope, ends) in [
            (None, Some(Cause::Revoked)),
            (Some(scope("imap", "192.0.2.0/24", Some(now.plus(Duration::from_micros(1))))), None),
            (Some(scope("imap", "", Some(now))), Some(Cause::Expired)),
            (Some(scope("pop3,smtp", "", None)), Some(Cause::OutOfScope)),
            (Some(scope("imap", "198.51.100.0/24", None)), Some(Cause::OutOfScope)),
        ] {
            assert_eq!(why_over(&session, Some(&standing), None, scope.as_ref(), now), ends, "{scope:?}");
        }
    }

    #[test]
    fn a_session_ends_when_its_app_password_may_only_read_by_now() {
        let now = Timestamp::from_unix_seconds(1_800_000_000);
        let standing = standing(AccountState::Active, 1, false);
        for (of_session, of_app_password, ends) in [
            (Access::Full, Access::ReadOnly, Some(Cause::OutOfScope)),
            (Access::Full, Access::Full, None),
            (Access::ReadOnly, Access::ReadOnly, None),
            (Access::ReadOnly, Access::Full, None),
        ] {
            let session = Session { access: of_session, ..session(1, true) };
            let scope = Scope { access: of_app_password, ..scope("imap", "", None) };
            let over = why_over(&session, Some(&standing), None, Some(&scope), now);
            assert_eq!(over, ends, "{of_session} {of_app_password}");
        }
    }

    #[test]
    fn every_cause_is_read_as_it_is_written() {
        for cause in Cause::ALL {
            assert_eq!(Cause::parse(cause.as_str()), Some(cause));
        }
        assert_eq!(Cause::parse("?"), None);
    }

    fn scope(protocols: &str, networks: &str, expires_at: Option<Timestamp>) -> Scope {
        Scope {
            protocols: protocols.parse().unwrap(),
            networks: networks.parse().unwrap(),
            access: Access::Full,
            expires_at,
        }
    }
}
