//! What was tried with an account, out of the trail, and which mail clients are not ready for a second factor: for its
//! owner's eyes.

use std::time::Duration;

use super::{Broken, Inside, Portal};
use crate::audit::event::{Event, Outcome, SecondFactor, SignIn};
use crate::base::{AppPasswordId, Protocol, Timestamp};
use crate::gate::CLIENTS_KEPT;
use crate::store::{AuditQuery, AuditRow};

/// How far back it goes.
const MONTH: Duration = Duration::from_secs(30 * 86_400);

/// How long a page waits for the index.
const PATIENCE: Duration = Duration::from_secs(1);

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
        let query = AuditQuery {
            account: Some(inside.0.account.address.to_string()),
            from: Some(self.on.clock.now().minus(MONTH)),
            attempts_only: true,
            limit,
            ..AuditQuery::default()
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
