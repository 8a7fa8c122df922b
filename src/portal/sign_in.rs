//! The way in: mailbox password, second factor, whether to trust the browser. And out.
//!
//! Each step ends in another token. Whoever tries is told no more than which step comes next.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::passkeys::WENT_BACK;
use super::session::{Opening, Step, Visit};
use super::{Broken, Portal, place};
use crate::app_password::ProvenMailbox;
use crate::audit::Event;
use crate::audit::event::{Outcome, SecondFactor};
use crate::base::{LoginName, Password, Timestamp, Token};
use crate::config::FactorKind;
use crate::factor::{FactorError, Question};
use crate::gate::{Browser, SignIn, SignedIn};
use crate::notify::Notice;
use crate::protocol::Refusal;
use crate::store::AccountRecord;

/// How the trail calls it that a browser showed that it is trusted.
pub const TRUSTED_DEVICE: &str = "trusted_device";

/// Somebody came a step further.
#[derive(Debug)]
pub struct Entered {
    /// What the browser shows from now on.
    pub token: Token,
    /// Which step comes next.
    pub step: Step,
}

/// Why a mailbox password led nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoSignIn {
    /// Name or password is wrong.
    #[error("name or password is wrong")]
    Wrong,
    /// Too many failed before.
    #[error("too many failures")]
    TooMany,
    /// They are right, and the account is suspended.
    #[error("the account is suspended")]
    Suspended,
    /// Nobody could say.
    #[error("the mail server cannot be asked")]
    Unavailable,
}

/// Why an answer for a second factor led nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoAnswer {
    /// It is wrong, or was used before.
    #[error("the code is wrong or was used before")]
    Wrong,
    /// Too many were wrong before.
    #[error("too many wrong codes")]
    TooMany {
        /// Until the next one may be tried.
        wait: Duration,
    },
    /// Nobody could say.
    #[error(transparent)]
    Broken(#[from] Broken),
}

/// What somebody may be asked for, and when he last answered it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answered {
    /// What.
    pub question: Question,
    /// When.
    pub last: Option<Timestamp>,
}

impl Portal {
    /// Judges a name and a mailbox password, no faster than the gate judges others. `device` is what a trusted browser
    /// shows.
    ///
    /// # Errors
    /// [`NoSignIn`], recorded.
    pub async fn sign_in(
        &self,
        from: &Browser,
        login: LoginName,
        password: Password,
        device: Option<&Token>,
    ) -> Result<Entered, NoSignIn> {
        let signed_in = self.judge_mailbox(from, login, password).await?;
        self.seal_again(&signed_in, from).await;
        let step = self.step_after_password(&signed_in, from, device).await;
        let step = step.map_err(|Broken| NoSignIn::Unavailable)?;
        let opening = Opening {
            account: &signed_in.account,
            bound_factors: signed_in.bound_factors,
            mailbox: Some(&signed_in),
            verified_at: None,
            step,
        };
        let token = self.begin(opening, from).await.map_err(|Broken| NoSignIn::Unavailable)?;
        // A trusted browser is known, unless what it shows was copied.
        let account = &signed_in.account;
        if step == Step::In
            && self.is_new_browser(account, from).await
            && (signed_in.bound_factors > 0 || self.count_new_browser(account.id).is_ok())
        {
            self.tell(account, Notice::NewBrowser { place: place(from) }).await;
        }
        Ok(Entered { token, step })
    }

    /// Asks the gate about a name and a mailbox password; the answer comes no faster than the gate's to others.
    pub(super) async fn judge_mailbox(
        &self,
        from: &Browser,
        login: LoginName,
        password: Password,
    ) -> Result<Box<SignedIn>, NoSignIn> {
        let arrived = Instant::now();
        match self.on.gate.sign_in(from, login, password, &self.on.mailboxes).await {
            SignIn::In(signed_in) => Ok(signed_in),
            SignIn::Out(refused) => {
                sleep_until(arrived + refused.not_before).await;
                Err(match refused.refusal {
                    Refusal::NotLetIn => NoSignIn::Wrong,
                    Refusal::TooManyFailures => NoSignIn::TooMany,
                    Refusal::Suspended => NoSignIn::Suspended,
                    Refusal::BindFirst
                    | Refusal::OutOfScope
                    | Refusal::Expired
                    | Refusal::Stale
                    | Refusal::InUse
                    | Refusal::LoginDelay
                    | Refusal::Unavailable => NoSignIn::Unavailable,
                })
            }
        }
    }

    /// Every app password gets the mailbox password that is right now, so that clients go on after it was changed.
    pub(super) async fn seal_again(&self, signed_in: &SignedIn, from: &Browser) {
        let SignedIn { account, password, upstream, at, .. } = signed_in;
        if !self.settings().seals(upstream) {
            return;
        }
        let mailbox = ProvenMailbox { password, upstream, at: *at };
        let by = self.owner(from);
        let resealed = self.on.app_passwords.reseal(account.id, &account.address, mailbox, &by).await;
        if let Err(error) = resealed {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                account = %account.address,
                "app passwords may not have the new mailbox password yet"
            );
        }
    }

    async fn step_after_password(
        &self,
        signed_in: &SignedIn,
        from: &Browser,
        device: Option<&Token>,
    ) -> Result<Step, Broken> {
        let SignedIn { account, bound_factors, .. } = signed_in;
        if *bound_factors == 0 {
            return Ok(Step::In);
        }
        let Some(device) = device else { return Ok(Step::SecondFactor) };
        if self.settings().policy(account).trusted_device.is_zero()
            || !self.on.devices.recognise(account.id, device).await?
        {
            return Ok(Step::SecondFactor);
        }
        let answer = Answer { account, from, kind: TRUSTED_DEVICE };
        self.record(answer, Outcome::Admitted, "the browser is trusted").await?;
        Ok(Step::In)
    }

    /// What this session may be asked for: what was answered last comes first.
    ///
    /// # Errors
    /// [`Broken`]
    pub async fn questions(&self, visit: &Visit) -> Result<Vec<Answered>, Broken> {
        let factors = self.on.factors.list(visit.account.id).await?;
        let mut questions: Vec<Answered> = Vec::new();
        for kind in FactorKind::ALL.into_iter().filter(|kind| self.is_possible(*kind)) {
            let mut of_kind = factors.iter().filter(|factor| factor.kind == kind.as_str()).peekable();
            if of_kind.peek().is_some() {
                let last = of_kind.filter_map(|factor| factor.last_used_at).max();
                questions.push(Answered { question: Question::Factor(kind), last });
            }
        }
        questions.sort_by_key(|answered| std::cmp::Reverse(answered.last));
        if !factors.is_empty() && self.on.factors.recovery_codes_left(visit.account.id).await? > 0 {
            questions.push(Answered { question: Question::RecoveryCode, last: None });
        }
        Ok(questions)
    }

    /// Judges an answer for a second factor: on the way in, or of somebody inside who wants to change something. The one
    /// place where codes are judged, under one limit; under the same, a passkey of somebody without a session is by
    /// [`Portal::sign_in_with_passkey`].
    ///
    /// # Errors
    /// [`NoAnswer`], recorded.
    pub async fn answer(&self, visit: &Visit, question: Question, answer: &str) -> Result<Entered, NoAnswer> {
        let (account, from) = (&visit.account, &visit.from);
        let given = Answer { account, from, kind: question.as_str() };
        if !visit.is_bound() {
            return Err(NoAnswer::Wrong);
        }
        let answering = match self.on.gate.answering(from.address, &account.address).await {
            Ok(answering) => answering,
            Err(too_many) => {
                self.note(given, Outcome::Limited);
                return Err(NoAnswer::TooMany { wait: too_many.wait });
            }
        };
        match self.why_wrong(visit, question, answer).await {
            Ok(None) => answering.right(),
            Ok(Some(why)) => {
                drop(answering);
                self.record(given, Outcome::Refused, why).await?;
                return Err(NoAnswer::Wrong);
            }
            Err(broken) => {
                answering.undecided();
                self.note(given, Outcome::Unavailable);
                return Err(broken.into());
            }
        }
        self.record(given, Outcome::Admitted, "the code is right").await?;
        let step = match visit.step() {
            Step::SecondFactor if !self.settings().policy(account).trusted_device.is_zero() => {
                Step::TrustDevice
            }
            Step::SecondFactor | Step::In => Step::In,
            Step::TrustDevice => Step::TrustDevice,
        };
        let now = Some(self.on.clock.now());
        let token = match visit.inside() {
            Some(inside) => self.verified(inside, |record, _| record.verified_at = now).await?,
            None => self.step_to(visit, step, now).await?,
        };
        if visit.step() == Step::SecondFactor && self.is_new_browser(account, from).await {
            self.tell(account, Notice::NewBrowser { place: place(from) }).await;
        }
        Ok(Entered { token, step })
    }

    /// Why an answer is wrong, if it is; if not, it is used up, and with it what was asked.
    async fn why_wrong(
        &self,
        visit: &Visit,
        question: Question,
        answer: &str,
    ) -> Result<Option<&'static str>, Broken> {
        let challenge = match question {
            Question::Factor(kind) => self.open_challenge(visit, kind).await?,
            Question::RecoveryCode => None,
        };
        let any_answer_takes_it = match question {
            Question::Factor(FactorKind::Passkey) => true,
            Question::Factor(FactorKind::Totp | FactorKind::Mailbox) | Question::RecoveryCode => false,
        };
        let wrong = Ok(Some("the code is wrong or was used before"));
        if any_answer_takes_it {
            let taken = match &challenge {
                Some(challenge) => self.take(visit, challenge).await?,
                None => false,
            };
            if !taken {
                return Ok(Some("nothing was asked, or it was answered before"));
            }
        }
        let account = visit.account.id;
        let asked = challenge.as_ref().map(|challenge| &challenge.secret);
        if let Question::Factor(kind) = question
            && !self.on.factors.count_try(kind, asked).await?
        {
            return Ok(Some("no code was sent, or too many were wrong"));
        }
        match self.on.factors.verify_answer(account, question, asked, answer).await {
            Ok(()) => match &challenge {
                Some(challenge) if !any_answer_takes_it && !self.take(visit, challenge).await? => wrong,
                Some(_) | None => Ok(None),
            },
            Err(FactorError::WrongCode) => wrong,
            Err(FactorError::WentBack) => Ok(Some(WENT_BACK)),
            Err(error) => Err(super::broken(&error)),
        }
    }

    /// Whether nobody signed in to the account with this browser before; from now on somebody did.
    pub(super) async fn is_new_browser(&self, account: &AccountRecord, from: &Browser) -> bool {
        match self.on.notices.is_new_browser(account, from.address, from.name.as_deref()).await {
            Ok(new) => new,
            Err(error) => {
                super::broken(&error);
                true
            }
        }
    }

    /// For how long a browser of this account is trusted, if it is.
    #[must_use]
    pub fn trusted_for(&self, visit: &Visit) -> Duration {
        self.settings().policy(&visit.account).trusted_device
    }

    /// Ends the last step: whether this browser is trusted from now on. What it has to show then is returned; what it showed
    /// before, somebody else may know.
    ///
    /// # Errors
    /// [`Broken`]
    pub async fn trust(&self, visit: &Visit, trusts: bool) -> Result<(Entered, Option<Token>), Broken> {
        if visit.step() != Step::TrustDevice {
            return Err(Broken);
        }
        let (account, from) = (&visit.account, &visit.from);
        let time = self.trusted_for(visit);
        // First: of a session that somebody has ended no trust is left.
        let token = self.step_to(visit, Step::In, None).await?;
        let shown = if trusts && !time.is_zero() {
            let device = Token::fresh();
            let browser = (from.address.to_string(), from.name.clone());
            let trusted = self.on.devices.trust(account, &device, browser, time, &self.owner(from)).await;
            let trusted = trusted.map_err(|error| super::broken(&error))?;
            if !self.lives(&token.hash()).await? {
                self.on.store.withdraw_device(account.id, trusted).await?;
                return Err(Broken);
            }
            Some(device)
        } else {
            None
        };
        Ok((Entered { token, step: Step::In }, shown))
    }

    /// Ends the session of this browser.
    ///
    /// # Errors
    /// [`Broken`]
    pub async fn sign_out(&self, visit: &Visit) -> Result<(), Broken> {
        Ok(self.end(&visit.account, &visit.record).await?)
    }

    pub(super) async fn record(
        &self,
        given: Answer<'_>,
        outcome: Outcome,
        reason: &str,
    ) -> Result<(), Broken> {
        self.note(given, outcome);
        let Answer { account, from, kind } = given;
        let event = Event::SecondFactor(SecondFactor {
            ip: from.address,
            account: account.address.to_string(),
            browser: from.name.clone(),
            kind: kind.to_owned(),
            outcome,
            reason: reason.to_owned(),
        });
        self.on.audit.append(event).await.map_err(|error| super::broken(&error))
    }

    pub(super) fn note(&self, Answer { account, from, kind }: Answer<'_>, outcome: Outcome) {
        self.on.gate.meters().second_factors.add(outcome);
        let outcome = outcome.as_str();
        tracing::info!(client.ip = %from.address, account = %account.address, kind, outcome, "second factor");
    }
}

/// What was answered, for the trail.
#[derive(Clone, Copy)]
pub(super) struct Answer<'a> {
    pub(super) account: &'a AccountRecord,
    pub(super) from: &'a Browser,
    pub(super) kind: &'a str,
}
