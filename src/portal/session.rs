//! A browser's portal session: where it is on the way in, and what that opens.
//!
//! The browser holds a token, the store its hash. With each step the token is another one, so that whoever planted or
//! saw an earlier one has nothing, but for what was being bound then (`kept`). The mailbox password is encrypted under a
//! key that follows from the token.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::{Broken, Portal};
use crate::base::key::Purpose;
use crate::base::{Password, PortalSessionId, Secret, Timestamp, Token, UpstreamName, aead, random};
use crate::config::Requirement;
use crate::gate::{Browser, SignedIn};
use crate::notify::Place;
use crate::store::{AccountRecord, AccountState, Instead, PortalSessionRecord, Standing, StoreError};

/// How long somebody may take for the steps after the mailbox password.
const STEPS_MAX: Duration = Duration::from_secs(10 * 60);

/// How long a session may be left alone.
const IDLE_MAX: Duration = Duration::from_secs(30 * 60);

/// How long it lasts whatever happens.
pub(super) const AT_MOST: Duration = Duration::from_secs(12 * 3600);

/// How long an answer for a second factor, or without one the mailbox password, opens what changes something.
const FRESH: Duration = Duration::from_secs(10 * 60);

/// How many sessions an account has at a time, sign-ins that are under way among them.
const SESSIONS_MAX: u32 = 64;

/// How many sign-ins are ended at a time.
const UNFINISHED_MAX: u32 = 100;

/// How late it may be noted that it is used.
const NOTED_EVERY: Duration = Duration::from_secs(60);

const MAILBOX: &str = "mailward 1 mailbox password of a portal session";

/// How far in somebody is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The mailbox password is right; a second factor is to follow.
    SecondFactor,
    /// Asked whether the browser is to be trusted.
    TrustDevice,
    /// In.
    In,
}

impl Step {
    fn as_str(self) -> &'static str {
        match self {
            Self::SecondFactor => "second_factor",
            Self::TrustDevice => "trust_device",
            Self::In => "in",
        }
    }

    fn parse(word: &str) -> Option<Self> {
        [Self::SecondFactor, Self::TrustDevice, Self::In].into_iter().find(|step| step.as_str() == word)
    }
}

/// A portal session, as one request found it.
pub struct Visit {
    pub(super) token: Token,
    pub(super) record: PortalSessionRecord,
    pub(super) account: AccountRecord,
    pub(super) bound_factors: u32,
    pub(super) from: Browser,
    pub(super) link: Option<Token>,
    step: Step,
    must_bind: bool,
    now: Timestamp,
}

/// How a session begins.
pub(super) struct Opening<'a> {
    pub(super) account: &'a AccountRecord,
    /// As whoever signs in has counted them.
    pub(super) bound_factors: u32,
    /// The mailbox password, where it was given.
    pub(super) mailbox: Option<&'a SignedIn>,
    /// When a second factor was answered for.
    pub(super) verified_at: Option<Timestamp>,
    pub(super) step: Step,
}

/// Somebody who has taken every step.
#[derive(Clone, Copy)]
pub struct Inside<'v>(pub(super) &'v Visit);

/// Somebody inside who may change things: he has shown a moment ago who he is.
#[derive(Clone, Copy)]
pub struct Fresh<'v>(pub(super) &'v Visit);

impl Visit {
    /// Whose.
    #[must_use]
    pub fn address(&self) -> &str {
        self.account.address.as_str()
    }

    /// How far in.
    #[must_use]
    pub fn step(&self) -> Step {
        self.step
    }

    /// Whether a second factor is bound.
    #[must_use]
    pub fn is_bound(&self) -> bool {
        self.bound_factors > 0
    }

    /// Whether nothing but binding a second factor is open to the account.
    #[must_use]
    pub fn must_bind(&self) -> bool {
        self.must_bind
    }

    /// Which, in lists.
    #[must_use]
    pub fn id(&self) -> PortalSessionId {
        self.record.id
    }

    /// The same, of a browser that also shows an enrolment link; hostile.
    #[must_use]
    pub fn with_link(self, link: Option<Token>) -> Self {
        Self { link, ..self }
    }

    /// The proof that every step was taken, if it was.
    #[must_use]
    pub fn inside(&self) -> Option<Inside<'_>> {
        (self.step == Step::In).then_some(Inside(self))
    }
}

impl<'v> Inside<'v> {
    /// The session.
    #[must_use]
    pub fn visit(self) -> &'v Visit {
        self.0
    }

    /// The proof that a second factor was answered for within the last ten minutes, if it was; where none is bound, that the
    /// mailbox password was given.
    #[must_use]
    pub fn fresh(self) -> Option<Fresh<'v>> {
        let Visit { record, bound_factors, now, .. } = self.0;
        let shown = if *bound_factors == 0 { record.mailbox_at } else { record.verified_at };
        shown.is_some_and(|at| *now < at.plus(FRESH)).then_some(Fresh(self.0))
    }
}

impl<'v> Fresh<'v> {
    /// The same, who may look as well.
    #[must_use]
    pub fn inside(self) -> Inside<'v> {
        Inside(self.0)
    }
}

impl Portal {
    /// The session of the browser that shows `token`, if it has one.
    ///
    /// # Errors
    /// [`Broken`]
    pub async fn visit(&self, token: Token, from: Browser) -> Result<Option<Visit>, Broken> {
        let Some(record) = self.on.store.portal_session(&token.hash()).await? else { return Ok(None) };
        let now = self.on.clock.now();
        let Some(step) = Step::parse(&record.step) else { return Ok(None) };
        let until = match step {
            Step::SecondFactor | Step::TrustDevice => record.began_at.plus(STEPS_MAX),
            Step::In => record.seen_at.plus(IDLE_MAX),
        };
        if now >= record.expires_at.min(until) {
            if step == Step::SecondFactor {
                // Ends with a notice.
                return Ok(None);
            }
            self.on.store.end_portal_session(&record.token).await?;
            return Ok(None);
        }
        if !with_parts(&record, |parts| self.on.key.verify(Purpose::PortalSession, parts, &record.mac)) {
            tracing::error!(session = %record.id, "a portal session was changed by somebody else");
            return Ok(None);
        }
        let Some(Standing { account, bound_factors }) = self.on.store.standing_of(record.account).await?
        else {
            return Ok(None);
        };
        if account.state != AccountState::Active {
            return Ok(None);
        }
        if record.seen_at.plus(NOTED_EVERY) <= now {
            self.on.store.portal_session_seen(&record.token, now).await?;
        }
        let required = match self.settings().policy(&account).second_factor {
            Requirement::Optional => account.must_bind,
            Requirement::Required { .. } => true,
        };
        let must_bind = bound_factors == 0 && required;
        let link = None;
        Ok(Some(Visit { token, record, account, bound_factors, from, link, step, must_bind, now }))
    }

    /// Ends sign-ins that came no further than the password; their owners are told of those.
    pub(super) async fn end_unfinished(&self) -> Result<(), StoreError> {
        let step = Step::SecondFactor.as_str();
        let before = self.on.clock.now().minus(STEPS_MAX);
        for record in self.on.store.unfinished_sign_ins(step, before, UNFINISHED_MAX).await? {
            let account = self.on.store.standing_of(record.account).await?.map(|standing| standing.account);
            if let Some(account) = account {
                self.end(&account, &record).await?;
            }
        }
        Ok(())
    }

    /// Ends a session; of one that stands at the second factor its owner is told by that.
    pub(super) async fn end(
        &self,
        account: &AccountRecord,
        record: &PortalSessionRecord,
    ) -> Result<(), StoreError> {
        let place = Place { address: record.address.clone(), browser: record.browser.clone() };
        let instead = Instead { token: &record.token, step: Step::SecondFactor.as_str() };
        if !is_unfinished(record)
            || !self.on.notices.tell_of_unfinished(account, place, record.began_at, instead).await
        {
            // There is nothing to tell, nothing is told here, or it has ended already.
            self.on.store.end_portal_session(&record.token).await?;
        }
        Ok(())
    }

    /// What a form of this session has to bring back.
    #[must_use]
    pub fn form_token(&self, visit: &Visit) -> String {
        URL_SAFE_NO_PAD.encode(self.on.key.mac(Purpose::PortalForm, &[&visit.record.token]))
    }

    /// Whether a form that may be sent once, and carries `once`, is sent for the first time.
    ///
    /// # Errors
    /// [`Broken`]
    pub async fn is_first_time(&self, visit: &Visit, once: &str) -> Result<bool, Broken> {
        let mark = self.on.key.mac(Purpose::PortalForm, &[visit.record.id.0.as_bytes(), once.as_bytes()]);
        Ok(self.on.store.use_form(&mark, self.on.clock.now()).await?)
    }

    /// Whether `shown` is what a form of this session brings back.
    #[must_use]
    pub fn is_form_token(&self, visit: &Visit, shown: &str) -> bool {
        let tag = URL_SAFE_NO_PAD.decode(shown);
        tag.is_ok_and(|tag| self.on.key.verify(Purpose::PortalForm, &[&visit.record.token], &tag))
    }

    /// A new session.
    ///
    /// # Errors
    /// [`Broken`]
    pub(super) async fn begin(&self, opening: Opening<'_>, from: &Browser) -> Result<Token, Broken> {
        let Opening { account, bound_factors, mailbox, verified_at, step } = opening;
        let now = self.on.clock.now();
        let token = Token::fresh();
        let mut record = PortalSessionRecord {
            id: PortalSessionId(random::uuid(now)),
            token: token.hash().to_vec(),
            account: account.id,
            step: step.as_str().to_owned(),
            began_at: now,
            seen_at: now,
            expires_at: now.plus(AT_MOST),
            verified_at,
            address: from.address.to_string(),
            browser: from.name.clone(),
            mailbox: None,
            mailbox_upstream: None,
            mailbox_at: None,
            mac: Vec::new(),
        };
        if let Some(signed_in) = mailbox {
            hold(&mut record, &token, signed_in);
        }
        self.sign(&mut record);
        if !self.on.store.begin_portal_session(&record, bound_factors).await? {
            return Err(Broken);
        }
        // Whoever knows the password could begin one after the other. Who is in goes on before who is at the door; and whom that
        // pushes out is told of like everybody who leaves it, or a thief would keep the notice of himself back.
        for beyond in
            self.on.store.portal_sessions_beyond(account.id, Step::In.as_str(), SESSIONS_MAX).await?
        {
            self.end(account, &beyond).await?;
        }
        Ok(token)
    }

    /// Forgets those whose time is over. Those that stand at the second factor end with a notice.
    pub(super) async fn prune_sessions(&self, now: Timestamp) -> Result<(), StoreError> {
        let idle_since = now.minus(IDLE_MAX);
        self.on.store.prune_portal_sessions(now, Step::In.as_str(), idle_since).await?;
        Ok(())
    }

    /// The session of somebody inside who has shown again who he is, as `change` writes it down, under another token. He goes on
    /// with what he was binding.
    ///
    /// # Errors
    /// [`Broken`]
    pub(super) async fn verified(
        &self,
        inside: Inside<'_>,
        change: impl FnOnce(&mut PortalSessionRecord, &Token),
    ) -> Result<Token, Broken> {
        let going_on = self.going_on(inside).await?;
        let token = self.renew(inside.0, None, change).await?;
        self.go_on(inside.0.record.id, &token, going_on).await;
        Ok(token)
    }

    /// The session under another token, changed by `change`; what it kept is forgotten with the old one. Where a change that
    /// `visit` made has ended it, it begins again, if the account has as many factors as there are after that change.
    ///
    /// # Errors
    /// [`Broken`], also where somebody else has ended it.
    pub(super) async fn renew(
        &self,
        visit: &Visit,
        factors_changed: Option<u32>,
        change: impl FnOnce(&mut PortalSessionRecord, &Token),
    ) -> Result<Token, Broken> {
        let token = Token::fresh();
        let mailbox = mailbox_password(visit);
        let mut record = PortalSessionRecord {
            token: token.hash().to_vec(),
            seen_at: visit.now,
            mailbox: mailbox.map(|password| seal_mailbox(&token, visit.record.id, &password)),
            ..visit.record.clone()
        };
        change(&mut record, &token);
        self.sign(&mut record);
        let renewed = match factors_changed {
            Some(bound) => self.on.store.begin_portal_session(&record, bound).await?,
            None => self.on.store.replace_portal_session(&visit.record.token, &record).await?,
        };
        if renewed { Ok(token) } else { Err(Broken) }
    }

    /// The session at another step, under another token.
    ///
    /// # Errors
    /// [`Broken`]
    pub(super) async fn step_to(
        &self,
        visit: &Visit,
        step: Step,
        verified_at: Option<Timestamp>,
    ) -> Result<Token, Broken> {
        self.renew(visit, None, |record, _| {
            record.step = step.as_str().to_owned();
            record.verified_at = verified_at.or(record.verified_at);
        })
        .await
    }

    /// Whether the session is there still. Asked after something was made on its behalf: whoever ends sessions first, and
    /// then takes away what they made, finds all of it.
    pub(super) async fn lives(&self, token: &[u8]) -> Result<bool, Broken> {
        Ok(self.on.store.portal_session(token).await?.is_some())
    }

    fn sign(&self, record: &mut PortalSessionRecord) {
        record.mac = with_parts(record, |parts| self.on.key.mac(Purpose::PortalSession, parts)).to_vec();
    }
}

/// Whether somebody is in with it at that moment.
pub(super) fn is_in(record: &PortalSessionRecord, now: Timestamp) -> bool {
    Step::parse(&record.step) == Some(Step::In) && now < record.expires_at.min(record.seen_at.plus(IDLE_MAX))
}

/// Whether it came no further than the password.
pub(super) fn is_unfinished(record: &PortalSessionRecord) -> bool {
    Step::parse(&record.step) == Some(Step::SecondFactor)
}

/// The mailbox password that the session holds, and who took it when.
pub(super) fn mailbox(visit: &Visit) -> Option<(Password, UpstreamName, Timestamp)> {
    let upstream = visit.record.mailbox_upstream.clone()?;
    Some((mailbox_password(visit)?, upstream, visit.record.mailbox_at?))
}

fn mailbox_password(visit: &Visit) -> Option<Password> {
    let sealed = visit.record.mailbox.as_deref()?;
    let opened = aead::open(&visit.token.derive(MAILBOX), visit.record.id.0.as_bytes(), sealed)?;
    Password::new(opened.expose().to_vec()).ok()
}

/// Keeps a mailbox password in the session of whoever shows `token`, and who took it when.
pub(super) fn hold(record: &mut PortalSessionRecord, token: &Token, signed_in: &SignedIn) {
    let SignedIn { password, upstream, at, .. } = signed_in;
    record.mailbox = Some(seal_mailbox(token, record.id, password));
    record.mailbox_upstream = Some(upstream.clone());
    record.mailbox_at = Some(*at);
}

fn seal_mailbox(token: &Token, id: PortalSessionId, password: &Password) -> Vec<u8> {
    aead::seal(&token.derive(MAILBOX), id.0.as_bytes(), &Secret::new(password.expose().to_vec()))
}

/// What opens something: who, which browser, how far in, since when and until when.
fn with_parts<T>(record: &PortalSessionRecord, then: impl FnOnce(&[&[u8]]) -> T) -> T {
    let bytes = |at: Timestamp| at.unix_micros().to_be_bytes();
    let verified_at = record.verified_at.map(bytes);
    then(&[
        record.id.0.as_bytes(),
        &record.token,
        record.account.0.as_bytes(),
        record.step.as_bytes(),
        &bytes(record.began_at),
        &bytes(record.expires_at),
        verified_at.as_ref().map_or(&[][..], |bytes| &bytes[..]),
        record.mailbox_upstream.as_ref().map_or(&[][..], |upstream| upstream.0.as_bytes()),
        &record.mailbox_at.map(bytes).unwrap_or_default(),
    ])
}
