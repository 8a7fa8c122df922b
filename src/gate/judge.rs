//! From an attempt to leave to log in upstream, or a no.
//!
//! ```text
//!   name ─▶ account and row (one read, or what was read before) ─▶ a turn within the limits ─▶ plan ─▶ refused a moment ago? no
//!     plan: refuse ─▶ no
//!           pass through ─▶ a place in what the upstream may see ─▶ leave, with the presented password
//!           app password ─▶ proof: from the cache, else argon2 once ─▶ scope ─▶ a place ─▶ not stale ─▶ leave
//! ```
//!
//! Nothing about an account is told before the presented password is proven; until then every path ends in the
//! same no, after the same time.

use std::sync::Arc;

use super::attempt::{Door, OpenAttempt};
use super::authenticator::Gate;
use super::budget::Place;
use super::conclude::broken;
use super::grant::Basis;
use super::known::{Known, Row};
use super::limiter::{Subject, Tried};
use super::password_memory::Judge;
use super::policy::{self, Plan, Then};
use super::proof_cache::{LastRead, Presented, Proof};
use super::reach::Way;
use super::rules::Rules;
use super::stale::Sent;
use super::upstream_login::{Style, UpstreamRules, own_login};
use super::verdict::{No, unreadable};
use crate::account::{Located, NameRefused};
use crate::app_password::{Candidate, Outside, Scope, Tampered, Undecided};
use crate::audit::event::Credential;
use crate::base::{Address, Password, UpstreamName};
use crate::protocol::{Credentials, Refusal, UpstreamLogin};
use crate::store::{AppPasswordRecord, SentSeal, StoreError};

/// What a grant is made of.
pub(super) struct Leave {
    pub(super) upstream: UpstreamName,
    pub(super) login: UpstreamLogin,
    pub(super) basis: Basis,
}

/// One attempt whose name led to an account.
struct Case<'a> {
    located: &'a Located,
    rules: &'a UpstreamRules,
    /// What was presented, if it has the form of an app password.
    candidate: Option<&'a Candidate>,
}

impl<'a> Case<'a> {
    /// `candidate`, as proofs are remembered of it.
    fn presented(&self, candidate: &'a Candidate) -> Presented<'a> {
        Presented { account: self.located.address.as_str(), candidate }
    }
}

impl Gate {
    /// Judges `attempt`, and notes in it what becomes known.
    pub(super) async fn judge(
        &self,
        attempt: &mut OpenAttempt,
        credentials: Credentials,
    ) -> Result<Leave, No> {
        if attempt.outdated {
            return Err(No::undecided("the configuration changed while it was connected"));
        }
        let rules = Arc::clone(&attempt.rules);
        let reach = attempt.origin.reach.clone();
        let home = match rules.directory.locate_among(&credentials.login, |name| reach.way_to(name).is_some())
        {
            Ok(home) => home,
            Err(why) => return Err(self.nowhere(attempt, &credentials.password, &why.to_string()).await),
        };
        let candidate = match attempt.door {
            Door::Mail => Candidate::parse(&credentials.password),
            Door::Portal => None,
        };
        let read = self.look_up_or_recall(attempt, &home.address, candidate.as_ref()).await;
        let located = match &read {
            Ok(known) => {
                attempt.account_exists = known.standing.is_some();
                rules.whereabouts(&home, known.standing.as_ref())
            }
            Err(_) => self.remembered_whereabouts(&rules, &home, candidate.as_ref()),
        };
        let located = match located {
            Ok(located) => located,
            // Somebody changed the configuration under it: `Directory::strays` told when the gate started.
            Err(why) => {
                self.take_turn(attempt, None).await?;
                return Err(No::undecided(&why.to_string()));
            }
        };
        let Some(way) = reach.way_to(&located.upstream) else {
            // An account behind other listeners is none here; only the trail says whose it is.
            attempt.elsewhere = Some(located);
            let why = "this listener does not lead to its upstream";
            return Err(self.nowhere(attempt, &credentials.password, why).await);
        };
        attempt.located = Some(located.clone());
        attempt.home = Some(home.upstream.clone());
        self.note_presented(attempt, &credentials.password);
        attempt.refused_after = self.refusal_time_around(&home.upstream);
        let domain_is_named = |of: &UpstreamRules| of.names(home.address.domain());
        attempt.domain_is_named = rules.upstream(&home.upstream).is_some_and(domain_is_named);
        let Some(of_upstream) = rules.upstream(&located.upstream) else {
            return Err(No::undecided("the upstream is not configured"));
        };
        if attempt.door == Door::Portal {
            // What the upstream is asked by.
            let Some(protocol) = of_upstream.protocols.first() else {
                return Err(No::undecided("the upstream speaks nothing"));
            };
            attempt.origin.protocol = *protocol;
        }
        // Whoever the account is, or a guesser would learn whom the gate asks the upstream about.
        if let Some(obstacle) = way.obstacle() {
            self.take_turn(attempt, None).await?;
            if way != Way::Misled {
                // All hear it without anybody asking: there is nothing to wait for that somebody found out before.
                self.outages().answered(&located.upstream, attempt.origin.protocol);
            }
            return Err(No::undecided(obstacle));
        }
        attempt.outage = self.trouble(attempt);
        let case = Case { located: &located, rules: of_upstream, candidate: candidate.as_ref() };
        let mut known = match read {
            Ok(known) => known,
            Err(error) => return self.without_store(attempt, &case, &error).await,
        };
        let label = known.row.as_ref().map(|row| row.record.label.clone());
        if self.take_turn(attempt, label.as_deref()).await? {
            known = match self.look_up(&located.address, case.candidate).await {
                Ok(known) => Arc::new(known),
                Err(error) => return self.without_store(attempt, &case, &error).await,
            };
            attempt.account_exists = known.standing.is_some();
            if rules.whereabouts(&home, known.standing.as_ref()).as_ref() != Ok(&located) {
                return Err(No::undecided("the account was moved to another upstream meanwhile"));
            }
        }
        if let (Some(candidate), None) = (case.candidate, &known.row) {
            self.proofs().forget(case.presented(candidate));
        }
        let plan = self.plan(attempt.door, &rules, &known, &located);
        let judge = judge_of(plan, known.row.as_ref().map(|row| &row.record), &located.upstream);
        if self.is_repeated(attempt, &credentials.password, judge) {
            if !self.is_paid(attempt) {
                // Somebody else presented it before: that must not show.
                self.take_place(attempt, &located.upstream, Place::AsIfSent).await?;
            }
            return Err(No::repeated());
        }
        match (plan, &known.row, case.candidate) {
            (Plan::Refuse(because), ..) => {
                self.take_place(attempt, &located.upstream, Place::AsIfSent).await?;
                Err(No::planned(because))
            }
            (Plan::ProveAppPassword(then), Some(row), Some(candidate)) => {
                let leave = self.by_app_password(attempt, &case, row, candidate, then).await?;
                let read = LastRead { known: Arc::clone(&known), before: attempt.read_at };
                self.proofs().keep_read(case.presented(candidate), read);
                Ok(leave)
            }
            (Plan::PassThrough(_), ..) => {
                self.take_place(attempt, &located.upstream, Place::Sent).await?;
                let login = own_login(&located, credentials.password);
                Ok(Leave { upstream: located.upstream, login, basis: Basis::MailboxPassword })
            }
            (Plan::ProveAppPassword(_), ..) => Err(No::undecided("an app password was planned without one")),
        }
    }

    /// A no to a name that leads nowhere from where the attempt comes from.
    async fn nowhere(&self, attempt: &mut OpenAttempt, password: &Password, why: &str) -> No {
        attempt.refused_after = self.refusal_time(None);
        self.note_presented(attempt, password);
        if let Err(no) = self.take_turn(attempt, None).await {
            return no;
        }
        if self.is_repeated(attempt, password, Judge::Nobody(why)) {
            No::repeated()
        } else {
            No::hopeless(why)
        }
    }

    /// Where the account was when its password was last proven, for the time in which nobody can say where it is.
    fn remembered_whereabouts(
        &self,
        rules: &Rules,
        home: &Located,
        candidate: Option<&Candidate>,
    ) -> Result<Located, NameRefused> {
        let account = home.address.as_str();
        let at = candidate.and_then(|candidate| self.proofs().at(Presented { account, candidate }));
        match at {
            Some(at) => rules.directory.at(home, &at),
            None => Ok(home.clone()),
        }
    }

    /// The same as [`Gate::look_up`]; by memory, where the gate has just heard that nothing was changed since that was
    /// read. Notes in `attempt` what had been heard of before.
    async fn look_up_or_recall(
        &self,
        attempt: &mut OpenAttempt,
        address: &Address,
        candidate: Option<&Candidate>,
    ) -> Result<Arc<Known>, StoreError> {
        if let Some(read) = candidate.and_then(|candidate| self.recall(address, candidate)) {
            attempt.read_at = read.before;
            return Ok(read.known);
        }
        attempt.read_at = self.registry.moment();
        self.look_up(address, candidate).await.map(Arc::new)
    }

    /// What was read of an app password that was proven, where it holds still.
    pub(super) fn recall(&self, address: &Address, candidate: &Candidate) -> Option<LastRead> {
        let now = self.now();
        if !self.hearing.is_fresh(now) {
            return None;
        }
        let read = self.proofs().last_read(Presented { account: address.as_str(), candidate }, now)?;
        let account = read.known.standing.as_ref()?.account.id;
        (!self.registry.changed_since(account, read.before)).then_some(read)
    }

    /// The account and, if the presented password has the form of an app password, the row with its label.
    async fn look_up(&self, address: &Address, candidate: Option<&Candidate>) -> Result<Known, StoreError> {
        let Some(candidate) = candidate else {
            return Ok(Known { standing: self.store.standing(address).await?, row: None });
        };
        let found = self.store.find(address, candidate.label()).await?;
        let (standing, row) = found.map(|found| (found.standing, found.app_password)).unzip();
        Ok(Known { standing, row: row.flatten().map(Row::new) })
    }

    /// What may be tried, by all that is known now.
    pub(super) fn plan(&self, door: Door, rules: &Rules, known: &Known, located: &Located) -> Plan {
        let standing = known.standing.as_ref();
        let policy = rules.policies.of(located.address.domain());
        let accounts = rules.upstream(&located.upstream).and_then(|upstream| upstream.accounts);
        match door {
            Door::Mail => {
                policy::plan(standing, policy, accounts, known.row.is_some(), self.desk.clock.now())
            }
            Door::Portal => policy::plan_sign_in(standing, policy, accounts),
        }
    }

    /// Waits until the limits have room for `attempt`. Whether time passed.
    async fn take_turn(&self, attempt: &mut OpenAttempt, known_label: Option<&str>) -> Result<bool, No> {
        let client = attempt.origin.client;
        let tried = Tried::Password;
        let subject = Subject { tried, client, account: attempt.account_key(), known_label };
        let turn = tokio::time::timeout(attempt.rules.longest_wait(), self.desk.turns.reserve(subject)).await;
        let Ok(turn) = turn else {
            return Err(No::undecided("attempts before this one are still being judged"));
        };
        attempt.reservation = Some(turn.reserve.map_err(No::used_up)?);
        attempt.looked_at = self.now();
        Ok(turn.waited)
    }

    fn note_presented(&self, attempt: &mut OpenAttempt, password: &Password) {
        let presented = self.desk.passwords.presented(attempt.origin.client, attempt.account_key(), password);
        attempt.presented = Some(presented);
    }

    /// Whether the password was refused a moment ago, when it had the same judge: then nobody is asked again.
    fn is_repeated(&self, attempt: &mut OpenAttempt, password: &Password, judge: Judge<'_>) -> bool {
        let Some(presented) = attempt.presented else { return false };
        let presented = self.desk.passwords.judged(presented, attempt.account_key(), password, judge);
        attempt.presented = Some(presented);
        self.desk.passwords.was_refused(presented, self.now())
    }

    /// Whether the client, or another in its network, failed with the same password before.
    pub(super) fn is_paid(&self, attempt: &OpenAttempt) -> bool {
        attempt.presented.is_some_and(|presented| self.desk.passwords.is_paid(presented, self.now()))
    }

    /// The presented password carries the label of `row`.
    async fn by_app_password(
        &self,
        attempt: &mut OpenAttempt,
        case: &Case<'_>,
        read: &Row,
        candidate: &Candidate,
        then: Then,
    ) -> Result<Leave, No> {
        let row = &read.record;
        // Before any proof, because a row that somebody changed proves nothing.
        let scope = read.scope(&self.app_passwords).map_err(|why| tampered(case, row, why))?;
        let presented = case.presented(candidate);
        let mut cached = self.proofs().look_up(presented, row, self.now());
        cached = cached.filter(|proof| proof.serves(&case.rules.style, row.sealed.is_some()));
        let meters = &self.desk.meters;
        if cached.is_some() { &meters.proofs_found } else { &meters.proofs_missed }.add(1);
        let barred = then != Then::Enter || scope.is_over(self.desk.clock.now());
        let proof = match cached {
            Some(proof) if barred || !proof.barred => proof,
            Some(_) | None => self.prove(attempt, case, row, candidate, scope.clone()).await?,
        };
        if barred {
            self.proofs().bar(presented);
        }
        if let Some(no) = then.keeps_out() {
            note_proof(attempt, &proof);
            return Err(no);
        }
        let (leave, waited) = self.by_proof(attempt, case, proof).await?;
        if !waited {
            return self.unless_stale(&case.located.address, row, leave).await;
        }
        // One of those before it may have been refused: then this one is not sent.
        match self.look_up(&case.located.address, Some(candidate)).await {
            Ok(Known { row: Some(Row { record: now, .. }), .. })
                if now.id == row.id && now.mac == row.mac =>
            {
                self.unless_stale(&case.located.address, &now, leave).await
            }
            Ok(_) => Err(broken(No::undecided("the app password was changed meanwhile"))),
            Err(_) => self.unless_seen_refused(leave),
        }
    }

    /// Argon2, at most once per attempt. A client that leaves meanwhile has had its guess.
    async fn prove(
        &self,
        attempt: &mut OpenAttempt,
        case: &Case<'_>,
        row: &AppPasswordRecord,
        candidate: &Candidate,
        scope: Scope,
    ) -> Result<Proof, No> {
        #[cfg(test)]
        self.argon2_runs.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        attempt.at_stake = true;
        let proven = self.app_passwords.prove(row, candidate).await;
        // A wrong one stays at stake until it is charged: its client may leave before.
        attempt.at_stake = matches!(proven, Ok(None));
        let proven = match proven {
            Ok(Some(proven)) => proven,
            Ok(None) => {
                let (account, repeated) = (attempt.account_key(), self.is_paid(attempt));
                attempt.over_budget = self.budgets.turns_away(&case.located.upstream, account, repeated);
                return Err(No::wrong("wrong app password"));
            }
            Err(Undecided::Busy(busy)) => {
                self.outages().workers_busy(self.now());
                return Err(No::undecided(&busy.to_string()));
            }
            Err(Undecided::Tampered(why)) => return Err(tampered(case, row, why)),
        };
        let mailbox = match &case.rules.style {
            Style::Master(_) => None,
            Style::Sealed => match self.app_passwords.open(row, &proven) {
                Ok(mailbox) => Some(mailbox),
                Err(Tampered::NothingSealed) => None,
                Err(why @ (Tampered::Mac | Tampered::Unreadable | Tampered::Seal)) => {
                    return Err(tampered(case, row, why));
                }
            },
        };
        let proof = Proof {
            account: row.account,
            app_password: row.id,
            label: row.label.clone(),
            scope,
            at: case.located.upstream.clone(),
            upstream: row.upstream.clone(),
            sealed_version: row.sealed_version,
            mailbox,
            barred: false,
        };
        let presented = case.presented(candidate);
        self.proofs().remember(presented, row, &proof, self.now());
        // Whoever heard of a change while argon2 ran has forgotten too early.
        if self.registry.changed_since(row.account, attempt.read_at) {
            self.proofs().forget(presented);
        }
        Ok(proof)
    }

    /// The database does not answer: what was proven a moment ago stands, everything else is undecided.
    async fn without_store(
        &self,
        attempt: &mut OpenAttempt,
        case: &Case<'_>,
        error: &StoreError,
    ) -> Result<Leave, No> {
        let presented = case.candidate.map(|candidate| case.presented(candidate));
        let proof = presented.and_then(|presented| self.proofs().look_up_alone(presented, self.now()));
        match proof.filter(|proof| proof.serves(&case.rules.style, true)) {
            Some(proof) => {
                self.desk.meters.proofs_found.add(1);
                attempt.account_exists = true;
                let (leave, _) = self.by_proof(attempt, case, proof).await?;
                self.unless_seen_refused(leave)
            }
            None => Err(unreadable(error)),
        }
    }

    /// The app password is right: whether it may be used here and now, and how the gate logs in with it; and whether
    /// time passed until it may.
    async fn by_proof(
        &self,
        attempt: &mut OpenAttempt,
        case: &Case<'_>,
        proof: Proof,
    ) -> Result<(Leave, bool), No> {
        note_proof(attempt, &proof);
        let (protocol, client) = (attempt.origin.protocol, attempt.origin.client);
        match proof.scope.excludes(protocol, client, self.desk.clock.now()) {
            None => {}
            Some(Outside::Expired) => {
                return Err(No::proven(Refusal::Expired, "the app password has expired"));
            }
            Some(Outside::Protocol) => {
                return Err(No::proven(Refusal::OutOfScope, "the app password is not for this protocol"));
            }
            Some(Outside::Network) => {
                return Err(No::proven(Refusal::OutOfScope, "the app password is not for this network"));
            }
        }
        let (login, sealed) = match &case.rules.style {
            Style::Master(master) => {
                let login = master.login(case.located).map_err(|why| {
                    No::proven(Refusal::Unavailable, &format!("no master login for this name: {why}"))
                })?;
                (login, None)
            }
            // A mailbox password belongs to the upstream it was sealed for, and is sent to no other, unless the
            // administrator says that it is good there as well.
            Style::Sealed if !case.rules.takes_passwords_of(&proof.upstream) => {
                return Err(No::proven(
                    Refusal::Stale,
                    "the mailbox password was sealed for another upstream",
                ));
            }
            Style::Sealed => match proof.mailbox {
                Some(mailbox) => {
                    let seal = SentSeal {
                        account: proof.account,
                        app_password: proof.app_password,
                        upstream: proof.upstream,
                        version: proof.sealed_version,
                    };
                    (own_login(case.located, mailbox), Some(Sent { seal, probe: None }))
                }
                None => return Err(No::proven(Refusal::Stale, "no mailbox password is sealed to it")),
            },
        };
        let waited = self.take_trusted_place(attempt, &case.located.upstream).await.map_err(broken)?;
        let basis = Basis::AppPassword {
            account: proof.account,
            app_password: proof.app_password,
            access: proof.scope.access,
            expires_at: proof.scope.expires_at,
            sealed,
        };
        Ok((Leave { upstream: case.located.upstream.clone(), login, basis }, waited))
    }
}

/// By what a presented password is judged.
pub(super) fn judge_of<'a>(
    plan: Plan,
    row: Option<&'a AppPasswordRecord>,
    upstream: &'a UpstreamName,
) -> Judge<'a> {
    match (plan, row) {
        (Plan::Refuse(because), _) => Judge::Nobody(because.as_str()),
        (Plan::ProveAppPassword(_), Some(row)) => Judge::Row(row.id, &row.mac),
        (Plan::ProveAppPassword(_), None) | (Plan::PassThrough(_), _) => Judge::Upstream(upstream),
    }
}

fn note_proof(attempt: &mut OpenAttempt, proof: &Proof) {
    attempt.credential = Credential::AppPassword;
    attempt.app_password = Some((proof.app_password, proof.label.clone()));
}

/// Loud: somebody wrote to the database, or the key file is another one.
fn tampered(case: &Case<'_>, row: &AppPasswordRecord, why: Tampered) -> No {
    tracing::error!(
        account = %case.located.address,
        app_password.id = %row.id,
        reason = %why,
        "an app password cannot be used: the database was changed by somebody else, or `site.key` is not the one it was made with"
    );
    No::undecided(&why.to_string())
}
