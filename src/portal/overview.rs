//! What somebody sees of their own account.

use std::collections::BTreeSet;
use std::time::Duration;

use super::{Broken, Inside, Portal, factors};
use crate::app_password::Scope;
use crate::audit::event::{Credential, Event, Outcome, SecondFactor, SignIn};
use crate::base::{AppPasswordId, FactorId, Protocol, Timestamp};
use crate::config::{AfterUnbind, FactorKind, Requirement};
use crate::store::{
    AppPasswordRecord, AuditQuery, LiveSessionRecord, PortalSessionRecord, TrustedDeviceRecord,
};

/// How far back it shows what happened.
const MONTH: Duration = Duration::from_secs(30 * 86_400);

/// How many attempts it shows at most.
const ATTEMPTS_MAX: u32 = 200;

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
    /// Browsers that are signed in, likewise; this one among them.
    pub browsers: Vec<PortalSessionRecord>,
    /// Mail clients that are in.
    pub mail_sessions: Vec<LiveSessionRecord>,
    /// What was tried during the last month, the latest first.
    pub attempts: Vec<Attempt>,
    /// Mail clients that got in with the mailbox password during the last month: they will not any more once a factor is
    /// bound.
    pub without_app_password: Vec<String>,
    /// What unbinding the last factor does to app passwords.
    pub after_unbind: AfterUnbind,
    /// Whether a factor must be bound, and since when it must without exception.
    pub required_from: Option<Timestamp>,
    /// Kinds that may be bound.
    pub offered: Vec<FactorKind>,
}

/// A second factor, without its secret.
pub struct Seen {
    /// Which.
    pub id: FactorId,
    /// What kind.
    pub kind: FactorKind,
    /// Since when.
    pub bound_at: Timestamp,
    /// When it was last used.
    pub last_used_at: Option<Timestamp>,
}

/// Somebody tried to get in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// When.
    pub at: Timestamp,
    /// From where.
    pub address: String,
    /// Which program or browser it said it is.
    pub program: Option<String>,
    /// In which way.
    pub way: Way,
    /// What became of it.
    pub outcome: Outcome,
}

/// A way in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Way {
    /// A mail client.
    Mail {
        /// What it spoke.
        protocol: Protocol,
        /// The app password, if it was right.
        app_password: Option<AppPasswordId>,
    },
    /// The portal, with the mailbox password.
    Portal,
    /// The portal, with a second factor of this kind.
    SecondFactor(String),
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
        let attempts = self.attempts(inside, now).await?;
        let bound = self.on.factors.list(account.id).await?;
        let app_passwords = self.on.app_passwords.list(account.id).await?;
        let mut browsers = self.on.store.portal_sessions(account.id).await?;
        browsers.retain(|session| session.expires_at > now);
        Ok(Overview {
            factors: bound
                .iter()
                .filter_map(|factor| {
                    let kind = factors::kind_of(factor)?;
                    let (id, bound_at, last_used_at) = (factor.id, factor.bound_at, factor.last_used_at);
                    Some(Seen { id, kind, bound_at, last_used_at })
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
            browsers,
            mail_sessions: self.on.live_sessions.list(Some(account.id)).await?,
            without_app_password: without_app_password(&attempts),
            attempts: attempts.into_iter().map(|(attempt, _)| attempt).collect(),
            after_unbind: policy.app_passwords_after_unbind,
            required_from: match policy.second_factor {
                Requirement::Optional => None,
                Requirement::Required { since, grace } => Some(since.plus(grace)),
            },
            offered: policy.factors.clone(),
        })
    }

    /// The latest first, each with whether it got in with the mailbox password.
    async fn attempts(&self, inside: Inside<'_>, now: Timestamp) -> Result<Vec<(Attempt, bool)>, Broken> {
        let month_ago = now.unix_seconds().saturating_sub(i64::try_from(MONTH.as_secs()).unwrap_or_default());
        let mut rows = Vec::new();
        for event in ["login", "sign_in", "second_factor"] {
            let query = AuditQuery {
                account: Some(inside.0.account.address.to_string()),
                from: Some(Timestamp::from_unix_seconds(month_ago)),
                event: Some(event.to_owned()),
                limit: ATTEMPTS_MAX,
                ..AuditQuery::default()
            };
            let found = crate::audit::search(&self.settings().audit_directory, &self.on.store, &query).await;
            rows.extend(found.map_err(|error| super::broken(&error))?);
        }
        rows.sort_by_key(|row| std::cmp::Reverse(row.at));
        rows.truncate(ATTEMPTS_MAX as usize);
        Ok(rows.iter().filter_map(|row| attempt(row.at, serde_json::from_str(&row.json).ok()?)).collect())
    }
}

/// The attempt that `event` tells of, and whether it got in with the mailbox password.
fn attempt(at: Timestamp, event: Event) -> Option<(Attempt, bool)> {
    if let Event::Login(login) = event {
        let by_mailbox =
            login.outcome == Outcome::Admitted && login.credential == Credential::MailboxPassword;
        let way = Way::Mail { protocol: login.protocol, app_password: login.app_password };
        let (address, program, outcome) = (login.ip.to_string(), login.program, login.outcome);
        Some((Attempt { at, address, program, way, outcome }, by_mailbox))
    } else if let Event::SignIn(SignIn { ip, browser: program, outcome, .. }) = event {
        Some((Attempt { at, address: ip.to_string(), program, way: Way::Portal, outcome }, false))
    } else if let Event::SecondFactor(SecondFactor { ip, browser: program, kind, outcome, .. }) = event {
        let way = Way::SecondFactor(kind);
        Some((Attempt { at, address: ip.to_string(), program, way, outcome }, false))
    } else {
        None
    }
}

fn without_app_password(attempts: &[(Attempt, bool)]) -> Vec<String> {
    let named =
        attempts.iter().filter(|(_, by_mailbox)| *by_mailbox).map(|(attempt, _)| match &attempt.program {
            Some(program) => program.clone(),
            None => attempt.address.clone(),
        });
    named.collect::<BTreeSet<_>>().into_iter().collect()
}
