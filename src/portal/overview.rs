//! What somebody sees of their own account.

use super::history::MONTH;
use super::session::is_in;
use super::settings::Door;
use super::{Broken, Inside, Portal};
use crate::app_password::Scope;
use crate::base::{ClientAddress, FactorId, PortalSessionId, Timestamp};
use crate::config::{AfterUnbind, FactorKind, Requirement};
use crate::store::{AccountRecord, AppPasswordRecord, LiveSessionRecord, TrustedDeviceRecord};

/// How many browsers are told that are signed in no more.
const BROWSERS_TOLD: u32 = 20;

/// Everything that concerns one account.
pub struct Overview {
    /// Second factors that are bound, oldest first.
    pub factors: Vec<Seen>,
    /// Recovery codes that are left.
    pub recovery_codes: u32,
    /// App passwords, oldest first, and what each may do; none where its row was changed by somebody else.
    pub app_passwords: Vec<(AppPasswordRecord, Option<Scope>)>,
    /// Browsers that need no second factor, the one that was used last first.
    pub devices: Vec<TrustedDeviceRecord>,
    /// Browsers that are signed in, likewise, this one among them; then those that were during the last month.
    pub browsers: Vec<SeenBrowser>,
    /// Mail clients that are in.
    pub mail_sessions: Vec<LiveSessionRecord>,
    /// What unbinding the last factor does to app passwords.
    pub after_unbind: AfterUnbind,
    /// Whether a factor must be bound, and since when it must without exception.
    pub required_from: Option<Timestamp>,
    /// Kinds that may be bound, and whether they are recommended: then they come first.
    pub offered: Vec<(FactorKind, bool)>,
    /// Whether app passwords rest until a factor is bound.
    pub app_passwords_rest: bool,
}

/// A browser that somebody is signed in with, or was.
pub struct SeenBrowser {
    /// By which session, where he still is.
    pub session: Option<PortalSessionId>,
    /// What it says it is; hostile.
    pub browser: Option<String>,
    /// Where it signed in the last time.
    pub address: String,
    /// When it was last used, or signed in.
    pub seen_at: Timestamp,
}

/// A second factor, without its secret.
pub struct Seen {
    /// Which.
    pub id: FactorId,
    /// What kind.
    pub kind: FactorKind,
    /// What its owner calls it; empty where he gave it no name. Hostile.
    pub name: String,
    /// What tells it from others of its kind.
    pub detail: Option<String>,
    /// Since when.
    pub bound_at: Timestamp,
    /// Whether another of its kind may be bound in its place: policy may offer the kind no longer.
    pub is_offered: bool,
    /// When it was last used.
    pub last_used_at: Option<Timestamp>,
}

impl Portal {
    /// All of it, as it is now.
    ///
    /// # Errors
    /// [`Broken`]
    pub async fn overview(&self, inside: Inside<'_>) -> Result<Overview, Broken> {
        let account = &inside.0.account;
        let settings = self.settings();
        let policy = settings.policy(account);
        let now = self.on.clock.now();
        let bound = self.on.factors.list(account.id).await?;
        let app_passwords = self.on.app_passwords.list(account.id).await?;
        Ok(Overview {
            factors: bound
                .iter()
                .filter_map(|factor| {
                    let kind = FactorKind::parse(&factor.kind)?;
                    Some(Seen {
                        id: factor.id,
                        kind,
                        is_offered: self.offers(policy, kind),
                        name: factor.name.clone(),
                        detail: factor.detail.clone(),
                        bound_at: factor.bound_at,
                        last_used_at: factor.last_used_at,
                    })
                })
                .collect(),
            recovery_codes: self.on.factors.recovery_codes_left(account.id).await?,
            app_passwords: app_passwords
                .into_iter()
                .map(|row| {
                    let scope = self.on.app_passwords.scope(&row).ok();
                    (row, scope)
                })
                .collect(),
            devices: self.on.devices.list(account.id).await?,
            browsers: self.browsers(account, now).await?,
            mail_sessions: self.on.live_sessions.list(Some(account.id)).await?,
            after_unbind: policy.app_passwords_after_unbind,
            required_from: match policy.second_factor {
                Requirement::Optional => None,
                Requirement::Required { since, grace } => Some(since.plus(grace)),
            },
            offered: policy.offered().filter(|kind| self.offers(policy, kind.0)).collect(),
            app_passwords_rest: self.app_passwords_rest(inside.0),
        })
    }

    /// The doors through which the account's mail clients get to its mailbox.
    #[must_use]
    pub fn doors(&self, inside: Inside<'_>) -> Vec<Door> {
        self.settings().doors_to(&self.upstream_of_account(&inside.0.account)).collect()
    }

    async fn browsers(&self, account: &AccountRecord, now: Timestamp) -> Result<Vec<SeenBrowser>, Broken> {
        let mut sessions = self.on.store.portal_sessions(account.id).await?;
        sessions.retain(|session| is_in(session, now));
        let marks: Vec<_> = sessions
            .iter()
            .filter_map(|session| {
                let address = ClientAddress::new(session.address.parse().ok()?);
                Some(self.on.notices.browser_mark(account, address, session.browser.as_deref()))
            })
            .collect();
        let at_most = BROWSERS_TOLD.saturating_add(u32::try_from(sessions.len()).unwrap_or(u32::MAX));
        let known = self.on.store.known_browsers(account.id, now.minus(MONTH), at_most).await?;
        let gone = known.into_iter().filter(|known| !marks.contains(&known.mark)).map(|known| SeenBrowser {
            session: None,
            browser: known.browser,
            address: known.address,
            seen_at: known.seen_at,
        });
        let here = sessions.into_iter().map(|session| SeenBrowser {
            session: Some(session.id),
            browser: session.browser,
            address: session.address,
            seen_at: session.seen_at,
        });
        Ok(here.chain(gone).collect())
    }
}
