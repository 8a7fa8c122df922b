//! What was tried with an account, out of the trail, and which mail clients are not ready for a second factor: for its
//! owner's eyes.

use std::time::Duration;

use super::passkeys::WENT_BACK;
use super::{Broken, Inside, Portal};
use crate::audit::event::{Event, Ground, Outcome, RefusedLogins, SecondFactor, SignIn};
use crate::base::{AppPasswordId, ClientAddress, Protocol, Timestamp};
use crate::gate::CLIENTS_KEPT;
use crate::store::{Among, AuditQuery, AuditRow};

/// How far back it goes.
pub(super) const MONTH: Duration = Duration::from_secs(30 * 86_400);

/// How long a page waits for the index.
const PATIENCE: Duration = Duration::from_secs(1);

/// How many of the latest records of each kind are read.
const READ: u32 = 100;

/// How many lines are told of mail clients that were let in, of browsers that were, and of all that was not: none of them hides
/// another, whatever somebody does a hundred times.
const CLIENTS_TOLD: usize = 10;
const BROWSERS_TOLD: usize = 10;
const REFUSED_TOLD: usize = 20;

/// Somebody tried to get in, once or several times in the same way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// When, the last time.
    pub at: Timestamp,
    /// How many times, as far as that was read.
    pub count: u32,
    /// From where: an address, or a network; none where it was from many.
    pub from: Option<String>,
    /// Which program or browser it said it is.
    pub program: Option<String>,
    /// In which way.
    pub way: Way,
    /// What became of it.
    pub outcome: Outcome,
    /// On which ground it was refused, if that is known.
    pub ground: Option<Ground>,
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
    /// The portal, with a security key that may have been copied.
    CopiedKey,
    /// Whichever: nobody looked, and they were only counted.
    Counted,
}

impl Portal {
    /// What was tried during the last month, the latest first.
    ///
    /// # Errors
    /// [`Broken`]
    pub async fn attempts(&self, inside: Inside<'_>) -> Result<Vec<Attempt>, Broken> {
        let admitted = || Some(Outcome::Admitted.as_str().to_owned());
        let rare = AuditQuery { among: Among::RareAttempts, ..AuditQuery::default() };
        let browsers = AuditQuery { outcome: admitted(), ..rare.clone() };
        let clients =
            AuditQuery { event: Some("login".to_owned()), outcome: admitted(), ..AuditQuery::default() };
        let mut refused = self.told(inside, rare).await?;
        refused.retain(|attempt| attempt.outcome != Outcome::Admitted);
        let mut attempts = gathered(refused, REFUSED_TOLD);
        attempts.extend(gathered(self.told(inside, browsers).await?, BROWSERS_TOLD));
        attempts.extend(gathered(self.told(inside, clients).await?, CLIENTS_TOLD));
        attempts.sort_by_key(|attempt| std::cmp::Reverse(attempt.at));
        Ok(attempts)
    }

    /// The latest first.
    async fn told(&self, inside: Inside<'_>, what: AuditQuery) -> Result<Vec<Attempt>, Broken> {
        let query = AuditQuery {
            account: Some(inside.0.account.address.to_string()),
            from: Some(self.on.clock.now().minus(MONTH)),
            limit: READ,
            ..what
        };
        let found =
            crate::audit::search_soon(&self.settings().audit_directory, &self.on.store, &query, PATIENCE)
                .await;
        let found = found.map_err(|error| super::broken(&error))?;
        let told = |row: &AuditRow| attempt(row.at, serde_json::from_str(&row.json).ok()?);
        Ok(found.iter().rev().filter_map(told).collect())
    }

    /// Mail clients that got in with the mailbox password during the last month, and not with an app password since: once a
    /// factor is bound they will not any more. At most the fifty that were seen last.
    ///
    /// # Errors
    /// [`Broken`]
    pub async fn clients_without_app_password(&self, inside: Inside<'_>) -> Result<Vec<String>, Broken> {
        let since = self.on.clock.now().minus(CLIENTS_KEPT);
        Ok(self.on.store.clients_without_app_password(inside.0.account.id, since).await?)
    }
}

/// One for each way in which somebody came from one place to one end, where it stands latest; at most so many.
fn gathered(attempts: Vec<Attempt>, most: usize) -> Vec<Attempt> {
    let mut gathered: Vec<Attempt> = Vec::new();
    for attempt in attempts {
        match gathered.iter_mut().find(|one| one.is_like(&attempt)) {
            Some(one) => one.count = one.count.saturating_add(attempt.count),
            None => gathered.push(attempt),
        }
    }
    gathered.truncate(most);
    gathered
}

impl Attempt {
    /// Whether only the time tells them apart.
    fn is_like(&self, other: &Self) -> bool {
        let Self { at: _, count: _, from, program, way, outcome, ground } = self;
        (from, program, way, outcome, ground)
            == (&other.from, &other.program, &other.way, &other.outcome, &other.ground)
    }
}

/// The attempt that `event` tells of.
fn attempt(at: Timestamp, event: Event) -> Option<Attempt> {
    let one = |from: ClientAddress, program, way, outcome, ground| {
        Some(Attempt { at, count: 1, from: Some(from.to_string()), program, way, outcome, ground })
    };
    if let Event::Login(login) = event {
        let way = Way::Mail { protocol: login.protocol, app_password: login.app_password };
        one(login.ip, login.program, way, login.outcome, login.ground)
    } else if let Event::SignIn(SignIn { ip, browser, outcome, ground, .. }) = event {
        one(ip, browser, Way::Portal, outcome, ground)
    } else if let Event::SecondFactor(SecondFactor { ip, browser, kind, outcome, reason, .. }) = event {
        let way = if reason == WENT_BACK { Way::CopiedKey } else { Way::SecondFactor(kind) };
        one(ip, browser, way, outcome, None)
    } else if let Event::RefusedLogins(RefusedLogins { ip, network, outcome, count, .. }) = event {
        let from = network.or(ip.map(|ip| ip.to_string()));
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        Some(Attempt { at, count, from, program: None, way: Way::Counted, outcome, ground: None })
    } else {
        None
    }
}
