//! Passkeys: asking a browser for one, and signing in with nothing else.
//!
//! A passkey whose authenticator has verified its owner is both steps at once. Whoever signs in so has not said who he is: the
//! answer says it, and is believed only when it is right. Until then he has no session, and nothing is kept here for him: what
//! he was asked lies sealed in his browser. That it was answered is kept until nobody could answer it any more, so that
//! each is good once, on any node.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};

use super::kept::ANSWERED_WITHIN;
use super::session::{Opening, Step};
use super::sign_in::Answer;
use super::{Broken, Entered, Fresh, Portal, Refused, Visit, place};
use crate::audit::event::Outcome;
use crate::base::key::Purpose;
use crate::base::{AccountId, Domain, FactorId, Secret, Timestamp, aead};
use crate::config::FactorKind;
use crate::factor::{Ceremony, FactorError, Question, RelyingParty, claimed_account};
use crate::gate::Browser;
use crate::notify::Notice;
use crate::store::{AccountRecord, AccountState, Standing};

/// What a sign-in with nothing but a passkey is called in the trail.
pub const PASSKEY_SIGN_IN: &str = "passkey_sign_in";

const BINDING: &[u8] = b"mailward 1 any passkey";

/// Bytes of a moment.
const MOMENT_LEN: usize = 8;

/// What somebody is asked who has not said who he is.
pub struct AnyPasskey {
    /// What the browser's script hands to `navigator.credentials`, as JSON.
    pub options: String,
    /// What the browser has to bring back with the answer; sealed.
    pub kept: String,
    /// How long that makes sense.
    pub lasts: Duration,
}

/// Why a passkey let nobody in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoPasskey {
    /// It took too long, or was asked elsewhere.
    #[error("nothing was asked, or not any more")]
    Expired,
    /// It is nobody's, or its owner is not let in.
    #[error("this passkey lets nobody in")]
    Wrong,
    /// Too many were wrong before.
    #[error("too many wrong answers")]
    TooMany,
    /// Nobody could say.
    #[error(transparent)]
    Broken(#[from] Broken),
}

impl Portal {
    /// The site as authenticators know it; none where it is none for browsers.
    pub(super) fn relying_party(&self) -> Option<RelyingParty> {
        let settings = self.settings();
        RelyingParty::of(&settings.hostname, &settings.public_url)
    }

    /// Whether anybody may have a passkey here.
    #[must_use]
    pub fn offers_passkeys(&self) -> bool {
        let settings = self.settings();
        let policies = &settings.policies;
        let mut all = std::iter::once(&policies.default).chain(policies.domains.values());
        all.any(|policy| policy.factors.contains(&FactorKind::Passkey)) && self.relying_party().is_some()
    }

    /// Asks for a new passkey, perhaps in the place of another one; it is confirmed as other kinds are. What the browser's
    /// script needs is returned.
    ///
    /// # Errors
    /// [`Refused`]
    pub async fn offer_passkey(
        &self,
        fresh: Fresh<'_>,
        replaces: Option<FactorId>,
    ) -> Result<String, Refused> {
        let Fresh(visit) = fresh;
        self.may_offer(fresh, (FactorKind::Passkey, replaces)).await?;
        let site = self.relying_party().ok_or(Refused::NotOffered)?;
        let offered = self.on.factors.offer_passkey(&site, &visit.account, replaces).await;
        let Ceremony { options, kept } = offered.map_err(|error| super::broken(&error))?;
        self.keep_offer(visit, FactorKind::Passkey, &kept).await?;
        Ok(options)
    }

    /// Asks for one of the account's passkeys, in the place of what this session was asked before.
    ///
    /// # Errors
    /// [`Broken`]
    pub async fn ask_passkey(&self, visit: &Visit) -> Result<String, Broken> {
        let site = self.relying_party().ok_or(Broken)?;
        let asked = self.on.factors.ask_passkey(&site, visit.account.id).await;
        let Ceremony { options, kept } = asked.map_err(|error| super::broken(&error))?;
        self.keep_challenge(visit, FactorKind::Passkey, &kept).await?;
        Ok(options)
    }

    /// Asks whoever it is for any passkey of this site.
    ///
    /// # Errors
    /// [`Broken`], also where the site has none.
    pub fn ask_anybody(&self) -> Result<AnyPasskey, Broken> {
        let site = self.relying_party().ok_or(Broken)?;
        let asked = self.on.factors.ask_anybody(&site);
        let Ceremony { options, kept } = asked.map_err(|error| super::broken(&error))?;
        let until = self.on.clock.now().plus(ANSWERED_WITHIN).unix_seconds().to_be_bytes();
        let kept = Secret::new([&until[..], kept.expose()].concat());
        let sealed = aead::seal(&self.on.key.derive(Purpose::PasskeyChallenge), BINDING, &kept);
        Ok(AnyPasskey { options, kept: URL_SAFE_NO_PAD.encode(sealed), lasts: ANSWERED_WITHIN })
    }

    /// Judges an answer to [`Portal::ask_anybody`], which gave `kept`. Whoever is let in has taken both steps.
    ///
    /// # Errors
    /// [`NoPasskey`]; recorded, if it is about an account that there is.
    pub async fn sign_in_with_passkey(
        &self,
        from: &Browser,
        kept: &str,
        answer: &str,
    ) -> Result<Entered, NoPasskey> {
        let asked = self.open_asked(kept).ok_or(NoPasskey::Expired)?;
        let Some(claimed) = claimed_account(answer) else { return Err(NoPasskey::Wrong) };
        let standing = self.on.store.standing_of(claimed).await.map_err(Broken::from)?;
        // Of an account that there is not there is nothing to guess.
        let Some(Standing { account, bound_factors }) = standing else { return Err(NoPasskey::Wrong) };
        let given = Answer { account: &account, from, kind: PASSKEY_SIGN_IN };
        let Ok(answering) = self.on.gate.answering(from.address, &account.address).await else {
            self.note(given, Outcome::Limited);
            return Err(NoPasskey::TooMany);
        };
        match self.why_not(&account, &asked, answer).await {
            Ok(None) => answering.right(),
            Ok(Some(why)) => {
                drop(answering);
                self.record(given, Outcome::Refused, why).await?;
                return Err(NoPasskey::Wrong);
            }
            Err(broken) => {
                answering.undecided();
                self.note(given, Outcome::Unavailable);
                return Err(broken.into());
            }
        }
        self.record(given, Outcome::Admitted, "a passkey, without the mailbox password").await?;
        let now = self.on.clock.now();
        let opening = Opening {
            account: &account,
            bound_factors,
            mailbox: None,
            verified_at: Some(now),
            step: Step::In,
        };
        let token = self.begin(opening, from).await?;
        if self.is_new_browser(&account, from).await {
            self.tell(&account, Notice::NewBrowser { place: place(from) }).await;
        }
        Ok(Entered { token, step: Step::In })
    }

    /// Why the answer lets nobody in, if it does not; it is used up by this.
    async fn why_not(
        &self,
        account: &AccountRecord,
        asked: &Asked,
        answer: &str,
    ) -> Result<Option<&'static str>, Broken> {
        if !self.on.store.use_challenge(&asked.hash, asked.until).await? {
            return Ok(Some("what was asked was answered before"));
        }
        // What is bound stays a second factor; coming in without the mailbox password is the site's to offer, and where a
        // domain leads nowhere that password would not let in either.
        if !self.offers(self.settings().policy(account), FactorKind::Passkey) {
            return Ok(Some("its domain offers no passkeys"));
        }
        if Domain::parse(account.address.domain()).is_ok_and(|domain| self.upstream_of(&domain).is_none()) {
            return Ok(Some("its domain is not served"));
        }
        let question = Question::Factor(FactorKind::Passkey);
        let account_id: AccountId = account.id;
        match self.on.factors.verify_answer(account_id, question, Some(&asked.challenge), answer).await {
            // Only whoever has the key learns nothing from this.
            Ok(()) if account.state == AccountState::Active => Ok(None),
            Ok(()) => Ok(Some("the account is suspended or removed")),
            Err(FactorError::WrongCode) => Ok(Some("the passkey is not one of the account's")),
            Err(FactorError::WentBack) => Ok(Some(WENT_BACK)),
            Err(error) => Err(super::broken(&error)),
        }
    }

    fn open_asked(&self, kept: &str) -> Option<Asked> {
        let sealed = URL_SAFE_NO_PAD.decode(kept).ok()?;
        let opened = aead::open(&self.on.key.derive(Purpose::PasskeyChallenge), BINDING, &sealed)?;
        let (until, challenge) = opened.expose().split_first_chunk::<MOMENT_LEN>()?;
        let until = Timestamp::from_unix_seconds(i64::from_be_bytes(*until));
        let asked =
            Asked { hash: Sha256::digest(&sealed).into(), until, challenge: Secret::new(challenge.to_vec()) };
        (self.on.clock.now() < until).then_some(asked)
    }
}

/// What the trail says of a counter that went back.
pub(super) const WENT_BACK: &str = "the counter of the security key went back: it may have been copied";

/// What somebody was asked.
struct Asked {
    hash: [u8; 32],
    until: Timestamp,
    challenge: Secret,
}
