//! An attempt under way: what it holds of the limits, and the one record that it leaves.
//!
//! ```text
//!   OpenAttempt ──close(settle, outcome, reason)──▶ recorded, cells settled
//!        └───────dropped (the client left)────────▶ recorded, cells given back or charged
//! ```
//!
//! However an attempt ends, its cells are settled once, and its record is written once, or it is counted once with
//! others that came to nothing. A client that leaves while its unproven password is being looked at pays for it, or
//! guesses would be free.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::Origin;
use super::budget::Hold;
use super::limiter::Reservation;
use super::live::Moment;
use super::outage::Outage;
use super::password_memory::{PasswordMemory, Presented};
use super::rules::{InForce, Rules};
use super::tally::Tally;
use super::turns::Turns;
use super::verdict::Settle;
use crate::account::Located;
use crate::audit::event::{Credential, Ground, Login, Outcome, SignIn};
use crate::audit::{Audit, AuditError, Event};
use crate::base::{Address, AppPasswordId, Clock, LoginName, Monotonic, Protocol, UpstreamName};
use crate::config::WhenFull;
use crate::meters::Meters;
use crate::protocol::{Credentials, Mechanism};

/// Where attempts are settled and recorded.
pub(super) struct Desk {
    /// The limits.
    pub(super) turns: Turns,
    /// What was presented lately.
    pub(super) passwords: PasswordMemory,
    /// What is counted instead of recorded.
    pub(super) tally: Tally,
    /// The trail.
    pub(super) audit: Audit,
    /// Time.
    pub(super) clock: Arc<dyn Clock>,
    /// What holds now.
    pub(super) rules: InForce,
    /// What is counted.
    pub(super) meters: Arc<Meters>,
    /// What is concluded behind the back of whoever is gone.
    pub(super) unfinished: Unfinished,
}

/// How many conclusions nobody may be waiting for any more. Clones count together.
#[derive(Clone, Default)]
pub(super) struct Unfinished(watch::Sender<usize>);

/// One of them, until dropped.
#[must_use]
pub struct Finishing(Unfinished);

impl Unfinished {
    /// One more.
    pub(super) fn begin(&self) -> Finishing {
        self.0.send_modify(|count| *count += 1);
        Finishing(self.clone())
    }

    /// Returns when nothing is left.
    pub(super) async fn done(&self) {
        // It cannot fail: the sender is here.
        let _ = self.0.subscribe().wait_for(|count| *count == 0).await;
    }
}

impl Drop for Finishing {
    fn drop(&mut self) {
        self.0.0.send_modify(|count| *count -= 1);
    }
}

impl Desk {
    /// Records `event` durably; whether the client may be told what it says. A client that leaves meanwhile does not
    /// tear the write.
    pub(super) async fn record(&self, event: Event) -> bool {
        let appended = self.audit.append(event).await;
        self.may_be_told(appended)
    }

    /// Records what no client is told, a little later than the rest and without waiting for it: also for who is being
    /// dropped.
    pub(super) fn record_at_leisure(&self, event: Event) {
        let appended = self.audit.append_at_leisure(event);
        self.may_be_told(appended);
    }

    fn may_be_told(&self, appended: Result<(), AuditError>) -> bool {
        let Err(error) = appended else { return true };
        let when_full = self.rules.now().when_full;
        tracing::error!(%error, ?when_full, "an audit record is lost");
        match (error, when_full) {
            // The gate stops, or its writer is gone: nobody comes in behind the end of the trail.
            (AuditError::Closed, _) | (AuditError::Write { .. }, WhenFull::Refuse) => false,
            (AuditError::Write { .. }, WhenFull::Continue) => true,
        }
    }
}

/// Where an attempt knocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Door {
    /// A mail client at a listener.
    Mail,
    /// A browser at the portal, with nothing but the mailbox password.
    Portal,
}

/// An attempt that has not ended.
pub(super) struct OpenAttempt {
    desk: Arc<Desk>,
    /// Where it knocks.
    pub(super) door: Door,
    /// Those that held when it came.
    pub(super) rules: Arc<Rules>,
    /// Its connection is of another reading of the configuration than they are.
    pub(super) outdated: bool,
    /// Where it comes from.
    pub(super) origin: Origin,
    /// What the client says it is.
    pub(super) program: Option<String>,
    /// Where its name leads, once that is known.
    pub(super) located: Option<Located>,
    /// Where its domain leads; the account may have been moved from there.
    pub(super) home: Option<UpstreamName>,
    /// Where its name leads behind other listeners: for the trail alone.
    pub(super) elsewhere: Option<Located>,
    /// Whether the configuration names its domain: one that only `*` serves may be half of a password.
    pub(super) domain_is_named: bool,
    /// Whether the store knows the address: only then it is recorded in clear.
    pub(super) account_exists: bool,
    /// What was presented, as far as this process remembers passwords.
    pub(super) presented: Option<Presented>,
    /// The cells it holds.
    pub(super) reservation: Option<Reservation>,
    /// Its place in what the upstream may see.
    pub(super) hold: Option<Hold>,
    /// Nothing unproven may be sent upstream just now.
    pub(super) over_budget: bool,
    /// Nobody looked at it: one of many such is recorded.
    pub(super) unseen: bool,
    /// On which ground it is refused, if it is.
    pub(super) ground: Option<Ground>,
    /// Its unproven password is being compared somewhere: whoever leaves now has had a guess.
    pub(super) at_stake: bool,
    /// What was presented, as far as it is known.
    pub(super) credential: Credential,
    /// The app password that was proven, and its label.
    pub(super) app_password: Option<(AppPasswordId, String)>,
    /// What changes were heard of before its account was read.
    pub(super) read_at: Moment,
    /// When it had its turn: waiting for others says nothing about the upstream.
    pub(super) looked_at: Monotonic,
    /// The least time that a plain no takes, as it was when the attempt came: what is learnt from its own answer
    /// must not move it, or it would show who was asked.
    pub(super) refused_after: Duration,
    /// The outage of the moment when the attempt came. It may be over when the upstream answers.
    pub(super) outage: Option<Outage>,
    login: LoginName,
    mechanism: Mechanism,
    closed: bool,
}

impl OpenAttempt {
    /// Begins.
    pub(super) fn new(desk: &Arc<Desk>, door: Door, origin: &Origin, credentials: &Credentials) -> Self {
        let (reading, rules) = desk.rules.of_reading();
        Self {
            desk: Arc::clone(desk),
            door,
            rules,
            outdated: origin.reading != reading,
            origin: origin.clone(),
            program: credentials.program.clone(),
            located: None,
            home: None,
            elsewhere: None,
            domain_is_named: false,
            account_exists: false,
            presented: None,
            reservation: None,
            hold: None,
            over_budget: false,
            unseen: false,
            ground: None,
            at_stake: false,
            credential: Credential::Unproven,
            app_password: None,
            read_at: Moment::default(),
            looked_at: desk.clock.monotonic(),
            refused_after: Duration::ZERO,
            outage: None,
            login: credentials.login.clone(),
            mechanism: credentials.mechanism,
            closed: false,
        }
    }

    /// What limits and names call the account: the folded address, or what was typed where it leads nowhere.
    pub(super) fn account_key(&self) -> &str {
        self.located.as_ref().map_or(self.login.as_str(), |located| located.address.as_str())
    }

    /// Ends it: settles its cells, then writes its record, unless it is counted with others. Whether the client may
    /// be told.
    pub(super) async fn close(mut self, settle: Settle, outcome: Outcome, reason: String) -> bool {
        self.settle(settle);
        self.closed = true;
        let desk = Arc::clone(&self.desk);
        let mut counted = Counted { desk: &desk, door: self.door, protocol: self.origin.protocol, outcome };
        let Some(event) = self.event(outcome, reason) else { return true };
        drop(self);
        let told = desk.record(event).await;
        if !told {
            counted.outcome = Outcome::Unavailable;
        }
        told
    }

    /// Whether it is one of many that nobody need tell apart: what was not looked at, and what came to nothing.
    fn is_of_a_crowd(&self, outcome: Outcome) -> bool {
        self.unseen || (outcome == Outcome::Unavailable && self.credential == Credential::Unproven)
    }

    fn settle(&mut self, settle: Settle) {
        let Some(reservation) = self.reservation.take() else { return };
        match settle {
            Settle::Succeed => self.desk.turns.succeed(&reservation),
            Settle::Fail if self.is_due() => self.desk.turns.fail(&reservation),
            Settle::Fail | Settle::Release => self.desk.turns.release(&reservation),
        }
    }

    /// Whether a failure counts: the same password is paid for once.
    fn is_due(&self) -> bool {
        let now = self.desk.clock.monotonic();
        self.presented.is_none_or(|presented| self.desk.passwords.pay(presented, now))
    }

    /// The address if the account exists, else what says nothing about a password typed into the wrong field.
    pub(super) fn recorded_account(&self) -> String {
        match self.meant() {
            Some(located) if self.account_exists => located.address.to_string(),
            Some(_) | None => self.unknown_name(),
        }
    }

    /// Whom the name means, behind whichever listener.
    fn meant(&self) -> Option<&Located> {
        self.located.as_ref().or(self.elsewhere.as_ref())
    }

    /// People type passwords into name fields: nothing but a domain that an upstream is named for stays readable.
    fn unknown_name(&self) -> String {
        let address = self.located.as_ref().map(|located| &located.address);
        let folded = address.and_then(|address| LoginName::from_bytes(address.as_str().as_bytes()).ok());
        let domain = address.filter(|_| self.domain_is_named).map(Address::domain);
        self.desk.audit.unknown_name(folded.as_ref().unwrap_or(&self.login), domain)
    }

    /// The record, and the one line of the log that says the same; none if it is counted with others.
    fn event(&self, outcome: Outcome, reason: String) -> Option<Event> {
        let (tally, account) = (&self.desk.tally, self.recorded_account());
        if self.is_of_a_crowd(outcome)
            && !tally.count(self.origin.client, &account, outcome, &*self.desk.clock)
        {
            return None;
        }
        if self.door == Door::Portal {
            return Some(self.sign_in(account, outcome, reason));
        }
        tracing::info!(
            session.id = %self.origin.session,
            protocol = %self.origin.protocol,
            client.ip = %self.origin.client,
            account,
            outcome = outcome.as_str(),
            reason,
            "login"
        );
        let (app_password, label) = self.app_password.clone().unzip();
        Some(Event::Login(Login {
            session: self.origin.session,
            protocol: self.origin.protocol,
            ip: self.origin.client,
            account,
            mechanism: self.mechanism.to_string(),
            program: self.program.clone(),
            credential: self.credential,
            app_password,
            label,
            upstream: self.meant().map(|located| located.upstream.clone()),
            outcome,
            ground: self.ground_of(outcome),
            reason,
        }))
    }
}

impl OpenAttempt {
    fn sign_in(&self, account: String, outcome: Outcome, reason: String) -> Event {
        tracing::info!(
            client.ip = %self.origin.client,
            account,
            outcome = outcome.as_str(),
            reason,
            "sign-in"
        );
        Event::SignIn(SignIn {
            ip: self.origin.client,
            account,
            browser: self.program.clone(),
            upstream: self.meant().map(|located| located.upstream.clone()),
            outcome,
            ground: self.ground_of(outcome),
            reason,
        })
    }

    /// Of an outage the owner is told that, whatever was presented.
    fn ground_of(&self, outcome: Outcome) -> Option<Ground> {
        self.ground.filter(|_| outcome == Outcome::Refused)
    }
}

/// What the client is told, counted when that is settled or the client gone.
struct Counted<'a> {
    desk: &'a Desk,
    door: Door,
    protocol: Protocol,
    outcome: Outcome,
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        match self.door {
            Door::Mail => self.desk.meters.attempt(self.protocol, self.outcome),
            Door::Portal => self.desk.meters.sign_ins.add(self.outcome),
        }
    }
}

impl Drop for OpenAttempt {
    fn drop(&mut self) {
        if self.closed {
            return;
        }
        self.settle(if self.at_stake { Settle::Fail } else { Settle::Release });
        if let Some(hold) = self.hold.take().filter(|_| self.at_stake) {
            hold.charge_undecided();
        }
        let (desk, protocol) = (&self.desk, self.origin.protocol);
        drop(Counted { desk, door: self.door, protocol, outcome: Outcome::Unavailable });
        let reason = "the connection ended before the answer".to_owned();
        if let Some(event) = self.event(Outcome::Unavailable, reason) {
            self.desk.record_at_leisure(event);
        }
    }
}
