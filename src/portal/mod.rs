//! The portal, without a page: what people may do with their account by themselves, and how far in they must be for it.
//!
//! ```text
//!   name, mailbox password ──sign_in──▶ Step::SecondFactor ──answer──▶ Step::TrustDevice ──trust──▶ Step::In
//!                                 └──── none is bound, or the browser is trusted ─────────────────▶ Step::In
//! ```
//!
//! A [`Visit`] is a browser's portal session as one request found it; [`Visit::inside`] gives an [`Inside`] to who has
//! taken every step, and [`Inside::fresh`] a [`Fresh`] to who has also answered for a second factor within the last ten
//! minutes. What shows something demands the one, what changes something the other: a step that is left out does not
//! compile.
//!
//! What a browser sends is hostile. A session's row opens nothing by itself: the mailbox password in it is encrypted under
//! a key that only the browser has.

mod app_passwords;
mod binding;
mod browsers;
mod enrolment;
mod factors;
mod history;
mod kept;
mod mail_codes;
mod mailbox;
mod overview;
mod pace;
mod passkeys;
mod profiles;
mod session;
mod settings;
mod sign_in;
mod signed_in;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

use std::error::Error;
use std::sync::{Arc, PoisonError, RwLock};

use self::pace::Pace;
use crate::account::MailboxCheck;
use crate::app_password::AppPasswords;
use crate::audit::event::Actor;
use crate::audit::{Audit, Author};
use crate::base::{Clock, Domain, SiteKey, UpstreamName};
use crate::factor::{Factors, TrustedDevices};
use crate::gate::{Authenticator, Browser, Finishing, LiveSessions};
use crate::meters::Meters;
use crate::notify::{Courier, Doer, Notice, Notices, Place};
use crate::store::{AccountRecord, Store, StoreError};

pub use app_passwords::{NewAppPassword, NoAppPassword};
pub use binding::{Bound, Refused, TotpOffer};
pub use enrolment::Enrolment;
pub use factors::Unbinding;
pub use history::{Attempt, Way};
pub use mail_codes::NotSent;
pub use overview::{Overview, Seen, SeenBrowser};
pub use pace::TooOften;
pub use passkeys::{AnyPasskey, NoPasskey, PASSKEY_SIGN_IN};
pub use profiles::{Profile, WAITS};
pub use session::{Fresh, Inside, Step, Visit};
pub use settings::{Door, Settings};
pub use sign_in::{Answered, Entered, NoAnswer, NoSignIn, TRUSTED_DEVICE};
pub use signed_in::{SignOutError, SignedIn};

/// What the portal stands on.
pub struct Dependencies {
    /// Judges passwords, and holds the limits.
    pub gate: Arc<Authenticator>,
    /// Asks upstreams about mailbox passwords.
    pub mailboxes: Arc<dyn MailboxCheck>,
    /// Makes and revokes app passwords.
    pub app_passwords: Arc<AppPasswords>,
    /// Binds and verifies second factors.
    pub factors: Factors,
    /// Browsers that need none for a while.
    pub devices: TrustedDevices,
    /// Mail clients that are in.
    pub live_sessions: LiveSessions,
    /// What users are told by mail.
    pub notices: Arc<Notices>,
    /// Brings codes to other mailboxes.
    pub courier: Arc<dyn Courier>,
    /// Portal sessions.
    pub store: Store,
    /// The trail.
    pub audit: Audit,
    /// What vouches for rows.
    pub key: Arc<SiteKey>,
    /// Time.
    pub clock: Arc<dyn Clock>,
}

/// Everything that people do by themselves.
pub struct Portal {
    on: Dependencies,
    settings: RwLock<Arc<Settings>>,
    pace: Pace,
}

/// Something behind the portal does not work, and trying again may help. What it was is in the log; what was asked for may
/// have been done all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("something behind the portal does not work")]
pub struct Broken;

impl Portal {
    /// Stands on these, under `settings`.
    #[must_use]
    pub fn new(on: Dependencies, settings: Settings) -> Self {
        let pace = Pace::new(&on.clock);
        Self { on, settings: RwLock::new(Arc::new(settings)), pace }
    }

    /// From now on `settings` hold.
    pub fn adopt(&self, settings: Settings) {
        *self.settings.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(settings);
    }

    /// Those that hold now.
    #[must_use]
    pub fn settings(&self) -> Arc<Settings> {
        Arc::clone(&self.settings.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// What is counted here.
    #[must_use]
    pub fn meters(&self) -> &Meters {
        self.on.gate.meters()
    }

    /// The upstream of accounts of `domain`, if it is one that is served. Everybody may ask: what it says of one address it
    /// says of all.
    #[must_use]
    pub fn upstream_of(&self, domain: &Domain) -> Option<UpstreamName> {
        self.on.gate.upstream_of(domain)
    }

    /// Where the account's mailbox is now; where it was made, if it leads nowhere any more.
    fn upstream_of_account(&self, account: &AccountRecord) -> UpstreamName {
        let by_domain = || self.upstream_of(&Domain::parse(account.address.domain()).ok()?);
        account.bound_upstream.clone().or_else(by_domain).unwrap_or_else(|| account.upstream.clone())
    }

    /// Something is being done that goes on when its browser is gone: the end of the process waits for it.
    pub fn finishing(&self) -> Finishing {
        self.on.gate.finishing()
    }

    /// Forgets portal sessions, trusted devices and profiles whose time is over, and tells of sign-ins that came no further
    /// than the password; for a caller that does so every minute or so.
    pub async fn tidy_up(&self) {
        let now = self.on.clock.now();
        self.pace.tidy_up();
        let tidied = async {
            self.end_unfinished().await?;
            self.prune_sessions(now).await?;
            self.on.store.prune_profiles(now).await?;
            self.on.store.prune_used_challenges(now).await?;
            self.on.notices.forget_browsers().await?;
            self.on.store.prune_enrolment_links(now).await?;
            self.on.factors.prune_mail_codes().await?;
            self.on.store.prune_used_forms(now.minus(session::AT_MOST)).await?;
            self.on.store.prune_trusted_devices(now).await
        };
        if let Err(error) = tidied.await {
            tracing::warn!(error = &error as &dyn Error, "old portal sessions are not forgotten yet");
        }
    }

    /// Writes down what the owner of `account` is to be told by mail; returns when that is durable.
    async fn tell(&self, account: &AccountRecord, notice: Notice) {
        self.on.notices.tell(account, notice).await;
    }

    /// The account's owner at `browser`, as whoever reads the trail will know him.
    fn owner(&self, browser: &Browser) -> Author<'_> {
        let Browser { address, name } = browser;
        Author::new(&self.on.audit, Actor::Owner { ip: *address, browser: name.clone() })
    }
}

/// Where a browser is, for a notice.
fn place(browser: &Browser) -> Place {
    Place { address: browser.address.to_string(), browser: browser.name.clone() }
}

/// The account's owner at a browser, for a notice.
fn doer(browser: &Browser) -> Doer {
    Doer::Owner(place(browser))
}

/// Says in the log what is broken.
fn broken(error: &(dyn Error + 'static)) -> Broken {
    tracing::error!(error, "the portal cannot do what somebody wants");
    Broken
}

impl From<StoreError> for Broken {
    fn from(error: StoreError) -> Self {
        broken(&error)
    }
}
