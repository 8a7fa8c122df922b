//! What users are told by mail: what concerns the safety of their account, and nothing else.
//!
//! ```text
//!   something happens ──tell──▶ outbox (store) ──Postman::round──▶ Relay ──▶ mailbox
//!                                  ▲                   │ not taken: later; refused, or too old: given up, on record
//!                                  └───────────────────┘
//! ```
//!
//! A notice is in the store before its user is told that the thing is done. It holds no secret. What it quotes (names of app
//! passwords, browsers, a reason) was written by others and is hostile: `letter` and `message` make it harmless.

mod courier;
mod letter;
mod message;
mod postman;
mod relay;
#[cfg(test)]
mod tests;

use std::error::Error;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::audit::{Audit, Event};
use crate::base::key::Purpose;
use crate::base::{ClientAddress, Clock, NoticeId, SiteKey, Timestamp, random};
use crate::meters::Meters;
use crate::store::{AccountRecord, Instead, KnownBrowserRecord, NoticeRecord, Posted, Store, StoreError};

pub use courier::{Courier, NotSent};
pub use letter::{Letter, Sender};
pub use message::{MessageError, message};
pub use postman::{Postman, ROUND_EVERY, Round};
pub use relay::{Answers, Relay, RelayError};

/// How many notices of one account may wait: more than a day of changes makes, few enough that one account does not crowd out
/// the others.
const WAITING_PER_ACCOUNT: u32 = 50;

/// How often an account is told of what a stranger can cause again and again.
const SELDOM: Duration = Duration::from_secs(3600);

/// How long a browser that is not used stays known.
const BROWSER_KNOWN_FOR: Duration = Duration::from_secs(180 * 24 * 3600);

/// Something that its user is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Notice {
    /// A second factor was bound.
    FactorBound {
        /// Which kind, as in the trail.
        factor: String,
        /// By whom.
        by: Doer,
    },
    /// A second factor was bound in the place of another of its kind.
    FactorReplaced {
        /// Which kind, as in the trail.
        factor: String,
        /// By whom.
        by: Doer,
    },
    /// Second factors were unbound.
    FactorUnbound {
        /// Which kinds.
        factors: Vec<String>,
        /// How many app passwords were revoked with them.
        app_passwords_revoked: u64,
        /// Why, where an administrator did it.
        reason: Option<String>,
        /// By whom.
        by: Doer,
    },
    /// An app password was made.
    AppPasswordCreated {
        /// What it is called.
        name: String,
        /// Its visible first group.
        label: String,
        /// Whether it is for reading alone.
        #[serde(default)]
        read_only: bool,
        /// By whom.
        by: Doer,
    },
    /// App passwords were revoked.
    AppPasswordsRevoked {
        /// What they are called, and their labels.
        which: Vec<(String, String)>,
        /// By whom.
        by: Doer,
    },
    /// Recovery codes were made; older ones are void.
    RecoveryCodesMade {
        /// By whom.
        by: Doer,
    },
    /// Somebody signed in from a browser that was not seen before.
    NewBrowser {
        /// Where.
        place: Place,
    },
    /// Somebody had the right password, and never gave a second factor.
    SecondFactorNotCompleted {
        /// Where.
        place: Place,
    },
}

/// Who did it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Doer {
    /// Whoever was signed in to the portal.
    Owner(Place),
    /// An administrator.
    Administrator,
}

/// Where somebody sits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// From where.
    pub address: String,
    /// What the browser says it is; hostile.
    pub browser: Option<String>,
}

impl Notice {
    /// The name of its kind in logs and in the trail.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::FactorBound { .. } => "factor_bound",
            Self::FactorReplaced { .. } => "factor_replaced",
            Self::FactorUnbound { .. } => "factor_unbound",
            Self::AppPasswordCreated { .. } => "app_password_created",
            Self::AppPasswordsRevoked { .. } => "app_passwords_revoked",
            Self::RecoveryCodesMade { .. } => "recovery_codes_made",
            Self::NewBrowser { .. } => "new_browser",
            Self::SecondFactorNotCompleted { .. } => "second_factor_not_completed",
        }
    }

    /// Whether a stranger can cause it again and again.
    fn is_told_seldom(&self) -> bool {
        match self {
            Self::SecondFactorNotCompleted { .. } => true,
            Self::FactorBound { .. }
            | Self::FactorReplaced { .. }
            | Self::FactorUnbound { .. }
            | Self::AppPasswordCreated { .. }
            | Self::AppPasswordsRevoked { .. }
            | Self::RecoveryCodesMade { .. }
            | Self::NewBrowser { .. } => false,
        }
    }
}

/// A notice and when it came about, as the outbox keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// When.
    pub at: Timestamp,
    /// What.
    pub notice: Notice,
}

/// Writes notices down.
pub struct Notices {
    store: Store,
    key: Arc<SiteKey>,
    clock: Arc<dyn Clock>,
    audit: Audit,
    meters: Arc<Meters>,
    /// Whether there is a relay to take them.
    on: AtomicBool,
}

impl Notices {
    /// Those of this site; nothing is written down unless it is `on`. What others crowd out is recorded and counted.
    #[must_use]
    pub fn new(
        store: Store,
        key: Arc<SiteKey>,
        clock: Arc<dyn Clock>,
        (audit, meters): (Audit, Arc<Meters>),
        on: bool,
    ) -> Self {
        Self { store, key, clock, audit, meters, on: AtomicBool::new(on) }
    }

    /// From now on, whether there is a relay.
    pub fn turn(&self, on: bool) {
        self.on.store(on, Ordering::Relaxed);
    }

    /// Writes down what the owner of `account` is to be told; returns when that is durable. That it could not be written down
    /// undoes nothing, and is in the log.
    pub async fn tell(&self, account: &AccountRecord, notice: Notice) {
        let now = self.clock.now();
        self.post(account, Told { at: now, notice }, None).await;
    }

    /// The same of a sign-in that came no further since `at`, which ends by it; `false` where it had ended, or could not.
    pub async fn tell_of_unfinished(
        &self,
        account: &AccountRecord,
        place: Place,
        at: Timestamp,
        session: Instead<'_>,
    ) -> bool {
        let notice = Notice::SecondFactorNotCompleted { place };
        self.post(account, Told { at, notice }, Some(session)).await
    }

    /// Whether the account was never signed in to with this browser in this network.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn is_new_browser(
        &self,
        account: &AccountRecord,
        address: ClientAddress,
        browser: Option<&str>,
    ) -> Result<bool, StoreError> {
        let seen = KnownBrowserRecord {
            mark: self.browser_mark(account, address, browser),
            seen_at: self.clock.now(),
            browser: browser.map(str::to_owned),
            address: address.to_string(),
        };
        self.store.browser_seen(account.id, &seen).await
    }

    /// What tells one browser of an account from the others: what it says it is, but for its versions, and its network. Browsers
    /// get a new version each month, and nobody is to be alarmed by that.
    #[must_use]
    pub fn browser_mark(
        &self,
        account: &AccountRecord,
        address: ClientAddress,
        browser: Option<&str>,
    ) -> Vec<u8> {
        let name: String = browser.unwrap_or_default().chars().filter(|c| !c.is_ascii_digit()).collect();
        let parts = [account.id.0.as_bytes(), &neighbourhood(address)[..], name.as_bytes()];
        self.key.mac(Purpose::KnownBrowser, &parts).to_vec()
    }

    /// Forgets browsers that nobody signed in with for half a year.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn forget_browsers(&self) -> Result<u64, StoreError> {
        self.store.forget_browsers(self.clock.now().minus(BROWSER_KNOWN_FOR)).await
    }

    async fn post(&self, account: &AccountRecord, told: Told, session: Option<Instead<'_>>) -> bool {
        if !self.on.load(Ordering::Relaxed) {
            return false;
        }
        let kind = told.notice.kind();
        let posted = async {
            let now = self.clock.now();
            let Ok(notice) = serde_json::to_string(&told) else { return Ok(Posted::Gone) };
            let mut row = NoticeRecord {
                id: NoticeId(random::uuid(now)),
                account: account.id,
                address: account.address.to_string(),
                notice,
                made_at: now,
                due_at: now,
                attempts: 0,
                mac: Vec::new(),
            };
            row.mac = with_parts(&row, |parts| self.key.mac(Purpose::Notice, parts)).to_vec();
            let seldom = told.notice.is_told_seldom().then_some((kind, now.minus(SELDOM)));
            self.store.post_notice(&row, WAITING_PER_ACCOUNT, seldom, session).await
        };
        match posted.await {
            Ok(Posted::Waiting(dropped)) => {
                for notice in dropped {
                    self.meters.notices.given_up.add(1);
                    let why = "more wait for this account than may";
                    give_up(&self.audit, &notice, why).await;
                }
                true
            }
            Ok(Posted::Lately) => true,
            Ok(Posted::Gone) => false,
            Err(error) => {
                let error = &error as &dyn Error;
                tracing::error!(error, account = %account.address, notice = kind, "a user will not be told");
                false
            }
        }
    }
}

/// Where an address is, roughly: what a provider gives one line after the other is a /24 (IPv4) or /48 (IPv6).
fn neighbourhood(address: ClientAddress) -> Vec<u8> {
    match address.ip() {
        IpAddr::V4(v4) => v4.octets().iter().take(3).copied().collect(),
        IpAddr::V6(v6) => v6.octets().iter().take(6).copied().collect(),
    }
}

/// Says in log and trail that a user was not told.
async fn give_up(audit: &Audit, row: &NoticeRecord, why: &str) {
    let kind = read(row).map_or("unreadable", |told| told.notice.kind());
    tracing::error!(account = row.address, notice = kind, made_at = %row.made_at, "a user is not told: {why}");
    let event = Event::NoticeGivenUp {
        account: row.address.clone(),
        notice: kind.to_owned(),
        made_at: row.made_at,
        reason: why.to_owned(),
    };
    if let Err(error) = audit.append(event).await {
        tracing::error!(error = &error as &dyn Error, "that a user is not told is not in the trail");
    }
}

fn read(row: &NoticeRecord) -> Option<Told> {
    serde_json::from_str(&row.notice).ok()
}

/// What is sent to whom.
fn with_parts<T>(row: &NoticeRecord, then: impl FnOnce(&[&[u8]]) -> T) -> T {
    then(&[
        row.id.0.as_bytes(),
        row.account.0.as_bytes(),
        row.address.as_bytes(),
        row.notice.as_bytes(),
        &row.made_at.unix_micros().to_be_bytes(),
    ])
}
