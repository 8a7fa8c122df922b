//! From the upstream's answer to a passage, or a no.
//!
//! Only an upstream's yes lets in, and not before it is recorded. An answer to a mailbox password that nobody had
//! proven is judged by what holds when it comes: a factor that was bound meanwhile counts.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use super::attempt::OpenAttempt;
use super::authenticator::Gate;
use super::grant::{Basis, Concerns, Conclusion, Grant, Refused, UpstreamSaid};
use super::known::Known;
use super::live::{Cause, Place, Session};
use super::outage::Outage;
use super::passage::Passage;
use super::policy::{Plan, Then};
use super::verdict::{Kind, No, Settle, unreadable};
use crate::account::{AccountError, Located};
use crate::audit::Author;
use crate::audit::event::{Actor, Credential, Outcome};
use crate::base::{Access, AccountId, AppPasswordId, Timestamp, UpstreamName};
use crate::config::WhenFull;
use crate::protocol::Refusal;
use crate::store::{AccountState, Standing, Use};

/// Whom an upstream's yes lets in.
pub(super) struct Entrant {
    pub(super) account: AccountId,
    app_password: Option<AppPasswordId>,
    access: Access,
    expires_at: Option<Timestamp>,
}

impl Gate {
    /// Ends the attempt behind `grant`.
    pub(super) async fn conclude(&self, grant: Grant, said: UpstreamSaid) -> Conclusion {
        let Grant { mut attempt, upstream, login, basis } = grant;
        self.note_what_became_of_the_seal(&attempt, &basis, &said).await;
        let Some(located) = attempt.located.clone() else {
            let no = No::undecided("a grant without an account");
            return Conclusion::Refuse(Box::pin(self.refuse(attempt, no)).await);
        };
        match self.weigh(&mut attempt, &located, &upstream, &basis, said).await {
            Ok(entrant) => {
                if matches!(basis, Basis::MailboxPassword) {
                    self.learn(&located, entrant.account, login.password);
                }
                self.enter(attempt, located, entrant).await
            }
            Err(no) => Conclusion::Refuse(Box::pin(self.refuse(attempt, no)).await),
        }
    }

    /// What the upstream's answer means, and for whom.
    pub(super) async fn weigh(
        &self,
        attempt: &mut OpenAttempt,
        located: &Located,
        upstream: &UpstreamName,
        basis: &Basis,
        said: UpstreamSaid,
    ) -> Result<Entrant, No> {
        attempt.at_stake = false;
        let protocol = attempt.origin.protocol;
        let took = self.now().since(attempt.looked_at);
        match said {
            UpstreamSaid::Yes => {
                self.outages().answered(upstream, protocol);
                self.note_verdict(attempt, basis, true);
                self.let_in_by(attempt, located, basis).await
            }
            UpstreamSaid::No => {
                if matches!(basis, Basis::AppPassword { .. }) {
                    self.outages().answered(upstream, protocol);
                }
                self.refused_after(upstream, took);
                self.note_verdict(attempt, basis, false);
                Err(refused_by_upstream(located, basis))
            }
            UpstreamSaid::Unavailable {
                refusal: refusal @ (Refusal::InUse | Refusal::LoginDelay),
                reason,
                credential_sent,
                ..
            } => {
                let kind = if self.is_proven(attempt, basis) {
                    self.outages().answered(upstream, protocol);
                    Kind::PassedOn(refusal)
                } else {
                    Kind::Undecided { sent: credential_sent }
                };
                Err(No::new(kind, reason))
            }
            UpstreamSaid::Unavailable { reason, credential_sent, concerns, .. } => {
                self.note_silence(attempt, upstream, concerns, Outage::new(took, credential_sent));
                let kind = match basis {
                    Basis::AppPassword { .. } => Kind::Proven(Refusal::Unavailable),
                    Basis::MailboxPassword => Kind::Undecided { sent: credential_sent },
                };
                Err(No::new(kind, reason))
            }
        }
    }

    /// The upstream took or refused what it was sent.
    fn note_verdict(&self, attempt: &mut OpenAttempt, basis: &Basis, right: bool) {
        match (basis, right) {
            (_, true) => drop(attempt.hold.take()),
            (Basis::AppPassword { .. }, false) => {
                if let Some(hold) = attempt.hold.take() {
                    hold.charge();
                }
            }
            // Charged with the refusal, like all that is not proven.
            (Basis::MailboxPassword, false) => {}
        }
        match (basis, attempt.presented) {
            (Basis::MailboxPassword, Some(presented)) if right => {
                self.desk.passwords.right(presented, self.now());
            }
            (Basis::MailboxPassword, Some(presented)) => self.desk.passwords.not_right(presented),
            (Basis::AppPassword { .. }, _) | (Basis::MailboxPassword, None) => {}
        }
    }

    /// Whether the password was found right, here and now or upstream not long ago.
    fn is_proven(&self, attempt: &OpenAttempt, basis: &Basis) -> bool {
        match basis {
            Basis::AppPassword { .. } => true,
            Basis::MailboxPassword => self.was_right(attempt),
        }
    }

    /// The upstream said neither yes nor no.
    fn note_silence(
        &self,
        attempt: &mut OpenAttempt,
        upstream: &UpstreamName,
        concerns: Concerns,
        outage: Outage,
    ) {
        let (protocol, now) = (attempt.origin.protocol, self.now());
        match concerns {
            Concerns::Everybody => self.outages().failed(upstream, protocol, outage, now),
            Concerns::Mailbox => {
                self.outages().unable(upstream, protocol, attempt.account_key(), outage, now);
            }
            // Else anybody could make an outage, by sending a guess when his time is nearly over.
            Concerns::Client => return,
        }
        // Some upstreams say no in no other way. What nobody has proven is charged with its refusal.
        if outage.sent
            && let Some(hold) = attempt.hold.take_if(|hold| hold.is_trusted())
        {
            hold.charge();
        }
    }

    /// The upstream said yes: to whom, and does that let in?
    async fn let_in_by(
        &self,
        attempt: &mut OpenAttempt,
        located: &Located,
        basis: &Basis,
    ) -> Result<Entrant, No> {
        match basis {
            Basis::AppPassword { account, app_password, access, expires_at, .. } => Ok(Entrant {
                account: *account,
                app_password: Some(*app_password),
                access: *access,
                expires_at: *expires_at,
            }),
            Basis::MailboxPassword => {
                attempt.credential = Credential::MailboxPassword;
                let account = self.let_in_by_mailbox_password(attempt, located).await?;
                Ok(Entrant { account, app_password: None, access: Access::Full, expires_at: None })
            }
        }
    }

    async fn let_in_by_mailbox_password(
        &self,
        attempt: &mut OpenAttempt,
        located: &Located,
    ) -> Result<AccountId, No> {
        attempt.read_at = self.registry.moment();
        let standing = self.store.standing(&located.address).await.map_err(|e| broken(unreadable(&e)))?;
        attempt.account_exists = standing.is_some();
        let upstream =
            standing.as_ref().and_then(|standing| self.rules().upstream_now(&located.address, standing));
        if upstream.is_some_and(|upstream| upstream != located.upstream) {
            return Err(changed_meanwhile(Cause::UpstreamWithdrawn));
        }
        let known = Known { standing, row: None };
        match self.plan(attempt.door, &self.rules(), &known, located) {
            Plan::PassThrough(Then::Enter) => self.present_account(attempt, located, known.standing).await,
            Plan::PassThrough(Then::TellBindFirst) => {
                Err(No::proven(Refusal::BindFirst, "a second factor is required and none is bound"))
            }
            Plan::PassThrough(Then::TellSuspended) => {
                Err(No::proven(Refusal::Suspended, "the account is suspended"))
            }
            Plan::Refuse(because) => Err(No::planned(because)),
            Plan::ProveAppPassword(_) => {
                Err(broken(No::undecided("an app password was planned without one")))
            }
        }
    }

    /// The account, which appears at its first login.
    async fn present_account(
        &self,
        attempt: &mut OpenAttempt,
        located: &Located,
        standing: Option<Standing>,
    ) -> Result<AccountId, No> {
        if let Some(standing) = standing.filter(|standing| standing.account.state != AccountState::Removed) {
            return Ok(standing.account.id);
        }
        let by = Author::new(&self.desk.audit, Actor::Gate);
        let account = match self.accounts.add(located, &by).await {
            Ok((account, _)) => account,
            Err(AccountError::Undone(error)) if self.rules().when_full == WhenFull::Continue => {
                tracing::error!(%error, account = %located.address, "an account appears without a record");
                let added =
                    self.store.add_account(&located.address, &located.upstream, self.desk.clock.now());
                added.await.map_err(|error| broken(unreadable(&error)))?.0
            }
            Err(error) => {
                tracing::error!(error = &error as &dyn Error, "an account cannot be added");
                return Err(broken(No::undecided("the account cannot be added")));
            }
        };
        attempt.account_exists = true;
        Ok(account.id)
    }

    /// Lets in, once that is recorded.
    async fn enter(&self, attempt: OpenAttempt, located: Located, entrant: Entrant) -> Conclusion {
        let origin = attempt.origin.clone();
        let session = Session {
            id: origin.session,
            account: entrant.account,
            address: located.address,
            protocol: origin.protocol,
            client: origin.client,
            program: attempt.program.clone(),
            app_password: entrant.app_password,
            access: entrant.access,
            upstream: located.upstream,
            since: self.desk.clock.now(),
            traffic: Arc::default(),
        };
        let Some(place) = self.registry.enter(session, entrant.expires_at) else {
            let no = No::proven(Refusal::Unavailable, "the account has as many sessions as it may have");
            return Conclusion::Refuse(Box::pin(self.refuse(attempt, no)).await);
        };
        if let Err(no) = self.still_may_enter(&attempt, &place).await {
            return Conclusion::Refuse(Box::pin(self.refuse(attempt, no)).await);
        }
        let latest = Use {
            account: entrant.account,
            app_password: entrant.app_password,
            at: self.desk.clock.now(),
            address: origin.client.to_string(),
            program: attempt.program.clone(),
        };
        let reason = match entrant.app_password {
            Some(_) => "the app password is right",
            None => "the upstream took the mailbox password",
        };
        // Before the record, so that a client who leaves while it is written leaves the record of its end, too.
        let passage = Passage::new(&self.desk, place);
        if !attempt.close(Settle::Succeed, Outcome::Admitted, reason.to_owned()).await {
            passage.never_began();
            return Conclusion::Refuse(Refused { refusal: Refusal::Unavailable, not_before: Duration::ZERO });
        }
        self.uses.note(latest);
        Conclusion::Pass(Box::new(passage))
    }

    /// Whether what was true when the account was read still is. The place is taken: what is changed from now on
    /// ends the session. What was changed before that and heard of already has to be read again.
    async fn still_may_enter(&self, attempt: &OpenAttempt, place: &Place) -> Result<(), No> {
        let session = place.session();
        if !self.rules().lead_as(&attempt.rules, attempt.home.as_ref(), session) {
            return Err(changed_meanwhile(Cause::UpstreamWithdrawn));
        }
        if !self.registry.changed_since(session.account, attempt.read_at) {
            return Ok(());
        }
        match self.must_end(session).await.map_err(|error| broken(unreadable(&error)))? {
            None => Ok(()),
            Some(cause) => Err(changed_meanwhile(cause)),
        }
    }
}

/// The password is right, and the gate cannot let in.
pub(super) fn broken(no: No) -> No {
    No::new(Kind::Proven(Refusal::Unavailable), no.why)
}

/// What would have been said if it had been so before.
fn changed_meanwhile(cause: Cause) -> No {
    let why = format!("changed while the upstream was asked: {}", cause.as_str());
    match cause {
        Cause::Suspended => No::proven(Refusal::Suspended, &why),
        Cause::Expired => No::proven(Refusal::Expired, &why),
        Cause::OutOfScope => No::proven(Refusal::OutOfScope, &why),
        Cause::UpstreamWithdrawn => No::proven(Refusal::Unavailable, &why),
        Cause::Revoked | Cause::Removed | Cause::FactorBound | Cause::EndedByAdmin | Cause::EndedByOwner => {
            No::hopeless(&why)
        }
    }
}

/// A definite no of the upstream.
fn refused_by_upstream(located: &Located, basis: &Basis) -> No {
    match basis {
        Basis::MailboxPassword => No::wrong("the upstream refused the password"),
        Basis::AppPassword { sealed: Some(_), .. } => {
            No::proven(Refusal::Stale, "the upstream refused the sealed mailbox password")
        }
        Basis::AppPassword { sealed: None, .. } => {
            tracing::error!(
                upstream = %located.upstream,
                hint = "check `[upstream.master]` and the master user on the server",
                "the upstream refuses the master user"
            );
            No::proven(Refusal::Unavailable, "the upstream refused the master user")
        }
    }
}
