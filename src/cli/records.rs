//! Records as lists show them and as programs read them.

use serde::Serialize;

use super::output::Table;
use super::when;
use crate::audit::event::{Credential, Event, Outcome};
use crate::base::{
    Access, AppPasswordId, FactorId, PortalSessionId, Protocol, SessionId, Timestamp, UpstreamName,
};
use crate::store::{
    AccountRecord, AppPasswordRecord, AuditRow, FactorRecord, LiveSessionRecord, PortalSessionRecord,
};

/// A bound second factor.
#[derive(Serialize)]
pub(super) struct Factor {
    id: FactorId,
    kind: String,
    name: String,
    detail: Option<String>,
    bound_at: Timestamp,
    last_used_at: Option<Timestamp>,
}

impl From<&FactorRecord> for Factor {
    fn from(record: &FactorRecord) -> Self {
        Self {
            id: record.id,
            kind: record.kind.clone(),
            name: record.name.clone(),
            detail: record.detail.clone(),
            bound_at: record.bound_at,
            last_used_at: record.last_used_at,
        }
    }
}

impl Factor {
    pub(super) fn table(factors: &[Self]) -> Table {
        let mut table = Table::new(["KIND", "NAME", "BOUND", "LAST USED"]);
        for factor in factors {
            table.row([
                factor.kind.clone(),
                factor.shown_name(),
                when::show(factor.bound_at),
                when::show_or(factor.last_used_at, "never"),
            ]);
        }
        table
    }

    /// What its owner calls it, and what tells it from others.
    fn shown_name(&self) -> String {
        let parts = [Some(self.name.as_str()), self.detail.as_deref()];
        parts.into_iter().flatten().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
    }
}

/// The column that is there only where there is something to say.
const STALE_SINCE: &str = "MAILBOX PASSWORD STALE SINCE";

/// An app password; nothing of it opens anything.
#[derive(Serialize)]
pub(super) struct AppPassword {
    id: AppPasswordId,
    label: String,
    name: String,
    protocols: Vec<String>,
    networks: Vec<String>,
    read_only: bool,
    expires_at: Option<Timestamp>,
    created_at: Timestamp,
    last_used_at: Option<Timestamp>,
    last_used_address: Option<String>,
    last_used_program: Option<String>,
    stale_since: Option<Timestamp>,
}

impl From<&AppPasswordRecord> for AppPassword {
    fn from(record: &AppPasswordRecord) -> Self {
        let items = |list: &str| list.split(',').filter(|item| !item.is_empty()).map(str::to_owned).collect();
        Self {
            id: record.id,
            label: record.label.clone(),
            name: record.name.clone(),
            protocols: items(&record.protocols),
            networks: items(&record.networks),
            read_only: record.access == Access::ReadOnly.as_str(),
            expires_at: record.expires_at,
            created_at: record.created_at,
            last_used_at: record.last_used_at,
            last_used_address: record.last_used_address.clone(),
            last_used_program: record.last_used_program.clone(),
            stale_since: record.stale_since,
        }
    }
}

impl AppPassword {
    pub(super) fn table(app_passwords: &[Self]) -> Table {
        let mut table =
            Table::new(["LABEL", "NAME", "MAY", "EXPIRES", "CREATED", "LAST USED", STALE_SINCE, "ID"]);
        for one in app_passwords {
            let from = if one.networks.is_empty() {
                String::new()
            } else {
                format!(" from {}", one.networks.join(","))
            };
            let access = if one.read_only { " read only" } else { "" };
            let used = match (one.last_used_at, &one.last_used_address, &one.last_used_program) {
                (None, _, _) => "never".to_owned(),
                (Some(at), address, program) => [Some(when::show(at)), address.clone(), program.clone()]
                    .into_iter()
                    .flatten()
                    .collect::<Vec<_>>()
                    .join(" "),
            };
            table.row([
                one.label.clone(),
                one.name.clone(),
                one.protocols.join(",") + access + &from,
                when::show_or(one.expires_at, "never"),
                when::show(one.created_at),
                used,
                when::show_or(one.stale_since, ""),
                one.id.to_string(),
            ]);
        }
        let any_is_stale = app_passwords.iter().any(|one| one.stale_since.is_some());
        if any_is_stale { table } else { table.without(STALE_SINCE) }
    }
}

/// Somebody who is in.
#[derive(Serialize)]
pub(super) struct Session {
    id: SessionId,
    account: String,
    protocol: String,
    program: Option<String>,
    ip: String,
    credential: Credential,
    app_password: Option<AppPasswordId>,
    label: Option<String>,
    name: Option<String>,
    upstream: UpstreamName,
    since: Timestamp,
    bytes_from_client: i64,
    bytes_to_client: i64,
}

impl From<LiveSessionRecord> for Session {
    fn from(record: LiveSessionRecord) -> Self {
        let credential = match record.app_password {
            Some(_) => Credential::AppPassword,
            None => Credential::MailboxPassword,
        };
        Self {
            id: record.id,
            account: record.address,
            protocol: record.protocol,
            program: record.program,
            ip: record.client,
            credential,
            app_password: record.app_password,
            label: record.label,
            name: record.name,
            upstream: record.upstream,
            since: record.since,
            bytes_from_client: record.bytes_from_client,
            bytes_to_client: record.bytes_to_client,
        }
    }
}

impl Session {
    pub(super) fn table(sessions: &[Self]) -> Table {
        let mut table = Table::new([
            "ACCOUNT",
            "PROTOCOL",
            "FROM",
            "PROGRAM",
            "CREDENTIAL",
            "UPSTREAM",
            "SINCE",
            "IN",
            "OUT",
            "ID",
        ]);
        for one in sessions {
            let credential = match (&one.app_password, &one.label, &one.name) {
                (None, _, _) => "mailbox password".to_owned(),
                (Some(_), Some(label), Some(name)) => format!("{label} `{name}`"),
                (Some(_), _, _) => "a revoked app password".to_owned(),
            };
            table.row([
                one.account.clone(),
                one.protocol.clone(),
                one.ip.clone(),
                one.program.clone().unwrap_or_default(),
                credential,
                one.upstream.to_string(),
                when::show(one.since),
                one.bytes_from_client.to_string(),
                one.bytes_to_client.to_string(),
                one.id.to_string(),
            ]);
        }
        table
    }
}

/// A browser that somebody is signed in with.
#[derive(Serialize)]
pub(super) struct SignedInBrowser {
    pub(super) id: PortalSessionId,
    pub(super) account: String,
    pub(super) ip: String,
    browser: Option<String>,
    since: Timestamp,
    last_used_at: Timestamp,
}

impl From<(AccountRecord, PortalSessionRecord)> for SignedInBrowser {
    fn from((account, session): (AccountRecord, PortalSessionRecord)) -> Self {
        Self {
            id: session.id,
            account: account.address.to_string(),
            ip: session.address,
            browser: session.browser,
            since: session.began_at,
            last_used_at: session.seen_at,
        }
    }
}

impl SignedInBrowser {
    pub(super) fn table(browsers: &[Self]) -> Table {
        let mut table = Table::new(["ACCOUNT", "FROM", "BROWSER", "SINCE", "LAST USED", "ID"]);
        for one in browsers {
            table.row([
                one.account.clone(),
                one.ip.clone(),
                one.browser.clone().unwrap_or_default(),
                when::show(one.since),
                when::show(one.last_used_at),
                one.id.to_string(),
            ]);
        }
        table
    }
}

/// One try to log in.
#[derive(Serialize)]
pub(super) struct Attempt {
    at: Timestamp,
    protocol: Protocol,
    ip: String,
    program: Option<String>,
    outcome: Outcome,
    reason: String,
}

impl Attempt {
    /// `None` for a row that is no attempt.
    pub(super) fn read(row: &AuditRow) -> Option<Self> {
        let Event::Login(login) = serde_json::from_str(&row.json).ok()? else { return None };
        Some(Self {
            at: row.at,
            protocol: login.protocol,
            ip: login.ip.to_string(),
            program: login.program,
            outcome: login.outcome,
            reason: login.reason,
        })
    }

    pub(super) fn table(attempts: &[Self]) -> Table {
        let mut table = Table::new(["TIME", "PROTOCOL", "FROM", "PROGRAM", "OUTCOME", "REASON"]);
        for one in attempts {
            table.row([
                when::show(one.at),
                one.protocol.to_string(),
                one.ip.clone(),
                one.program.clone().unwrap_or_default(),
                one.outcome.as_str().to_owned(),
                one.reason.clone(),
            ]);
        }
        table
    }
}
