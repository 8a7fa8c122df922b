//! What was tried with an account, out of the trail: for its owner's eyes.

use std::collections::{BTreeSet, HashSet};
use std::time::Duration;

use super::{Broken, Inside, Portal};
use crate::audit::event::{Credential, Event, Login, Outcome, SecondFactor, SignIn};
use crate::base::{AppPasswordId, Protocol, Timestamp};
use crate::store::{AuditQuery, AuditRow};

/// How far back it goes.
const MONTH: Duration = Duration::from_secs(30 * 86_400);

/// How many logins are looked through for clients without an app password: a phone that asks every five minutes makes
/// some nine thousand in a month.
const LOGINS_MAX: u32 = 20_000;

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
    /// What was tried during the last month, the latest first; at most so much of it.
    ///
    /// # Errors
    /// [`Broken`]
    pub async fn attempts(&self, inside: Inside<'_>, limit: u32) -> Result<Vec<Attempt>, Broken> {
        // All kinds in one search: one for a kind of which there are few would go through all that the month has.
        let wanted = AuditQuery { attempts_only: true, limit, ..AuditQuery::default() };
        let found = self.records(inside, wanted).await?;
        let told = |row: &AuditRow| attempt(row.at, serde_json::from_str(&row.json).ok()?);
        Ok(found.iter().rev().filter_map(told).collect())
    }

    /// Mail clients that got in with the mailbox password during the last month, and not with an app password since: once a
    /// factor is bound they will not any more.
    ///
    /// # Errors
    /// [`Broken`]
    pub async fn clients_without_app_password(&self, inside: Inside<'_>) -> Result<Vec<String>, Broken> {
        let (event, outcome) = (Some("login".to_owned()), Some("admitted".to_owned()));
        let wanted = AuditQuery { event, outcome, limit: LOGINS_MAX, ..AuditQuery::default() };
        let found = self.records(inside, wanted).await?;
        let (mut seen, mut without) = (HashSet::new(), BTreeSet::new());
        // The latest first: it says how the client gets in now. What is asked for is a login, and not looked at twice.
        for login in found.iter().rev().filter_map(|row| serde_json::from_str::<Login>(&row.json).ok()) {
            let client = login.program.unwrap_or_else(|| login.ip.to_string());
            if seen.insert(client.clone()) && login.credential == Credential::MailboxPassword {
                without.insert(client);
            }
        }
        Ok(without.into_iter().collect())
    }

    /// The `wanted` records of the account during the last month, the latest last.
    async fn records(&self, inside: Inside<'_>, wanted: AuditQuery) -> Result<Vec<AuditRow>, Broken> {
        let now = self.on.clock.now().unix_seconds();
        let month = i64::try_from(MONTH.as_secs()).unwrap_or(i64::MAX);
        let query = AuditQuery {
            account: Some(inside.0.account.address.to_string()),
            from: Some(Timestamp::from_unix_seconds(now.saturating_sub(month))),
            ..wanted
        };
        let found = crate::audit::search(&self.settings().audit_directory, &self.on.store, &query).await;
        found.map_err(|error| super::broken(&error))
    }
}

/// The attempt that `event` tells of.
fn attempt(at: Timestamp, event: Event) -> Option<Attempt> {
    if let Event::Login(login) = event {
        let way = Way::Mail { protocol: login.protocol, app_password: login.app_password };
        let (address, program, outcome) = (login.ip.to_string(), login.program, login.outcome);
        Some(Attempt { at, address, program, way, outcome })
    } else if let Event::SignIn(SignIn { ip, browser: program, outcome, .. }) = event {
        Some(Attempt { at, address: ip.to_string(), program, way: Way::Portal, outcome })
    } else if let Event::SecondFactor(SecondFactor { ip, browser: program, kind, outcome, .. }) = event {
        Some(Attempt { at, address: ip.to_string(), program, way: Way::SecondFactor(kind), outcome })
    } else {
        None
    }
}
