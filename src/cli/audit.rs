//! `mailward audit …`

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use clap::builder::PossibleValuesParser;
use clap::{Args, Subcommand};
use serde_json::Value;

use super::context::Context;
use super::failure::Failure;
use super::output::{self, Table};
use super::{Format, when};
use crate::audit::event::{Actor, Credential, Event, Guessing, Login, Outcome, Pattern, SessionEnd};
use crate::audit::{self, Note, Report};
use crate::base::{ClientAddress, LoginName, Timestamp};
use crate::config::format_duration;
use crate::store::{Among, AuditQuery, AuditRow};

/// How long `--follow` sleeps between looks.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How far back each look of `--follow` reaches: records of another process may arrive a little late.
const LOOK_BACK: Duration = Duration::from_secs(60);

/// Names of events, as the trail has them.
const EVENTS: [&str; 40] = [
    "login",
    "refused_logins",
    "guessing_noticed",
    "session_end",
    "account_added",
    "account_suspended",
    "account_resumed",
    "account_removed",
    "account_upstream_changed",
    "factor_bound",
    "enrolment_link_made",
    "enrolment_link_used",
    "mail_code_sent",
    "factor_unbound",
    "factor_replaced",
    "factor_renamed",
    "app_password_created",
    "app_password_revoked",
    "app_password_renamed",
    "profile_made",
    "profile_fetched",
    "sign_in",
    "second_factor",
    "recovery_codes_made",
    "device_trusted",
    "device_withdrawn",
    "portal_session_ended",
    "session_end_asked",
    "mailbox_password_stale",
    "mailbox_password_taken",
    "mailbox_password_resealed",
    "notice_given_up",
    "upstream_certificate_refused",
    "chain_started",
    "chain_ended",
    "chain_expired",
    "started",
    "configuration_reloaded",
    "reload_failed",
    "stopped",
];

/// The trail: who got in, who was refused, who changed what
#[derive(Subcommand)]
pub(super) enum AuditCommand {
    /// Find records; the newest come last
    Search(Search),
    /// Check that no record was changed, removed, inserted, reordered or cut off
    Verify {
        #[command(flatten)]
        format: Format,
    },
}

#[derive(Args)]
pub(super) struct Search {
    /// Of this account, or of a name that has none: that is recorded as `#` and a keyed hash, and found by either
    #[arg(long, value_name = "ADDRESS")]
    account: Option<String>,
    /// At or after this time: `2026-11-21`, `2026-11-21 08:00`, RFC 3339 (all UTC), or `2h` for two hours ago
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// Before this time
    #[arg(long, value_name = "TIME", conflicts_with = "follow")]
    until: Option<String>,
    /// Of this kind
    #[arg(long, value_parser = PossibleValuesParser::new(EVENTS), hide_possible_values = true, value_name = "NAME")]
    event: Option<String>,
    /// Logins that ended so
    #[arg(long, value_parser = ["admitted", "refused", "limited", "unavailable"])]
    outcome: Option<String>,
    /// From this client address
    #[arg(long, value_name = "ADDRESS")]
    ip: Option<std::net::IpAddr>,
    /// At most so many, the newest
    #[arg(long, value_name = "NUMBER", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
    /// Go on and print new records as they come, if they come within a minute
    #[arg(short, long)]
    follow: bool,
    #[command(flatten)]
    format: Format,
}

impl AuditCommand {
    pub(super) async fn run(&self, context: &Context) -> anyhow::Result<()> {
        match self {
            Self::Search(search) if search.follow => search.follow(context).await,
            Self::Search(search) => search.once(context).await,
            Self::Verify { format } => verify(context, *format).await,
        }
    }
}

impl Search {
    async fn once(&self, context: &Context) -> anyhow::Result<()> {
        let rows = find(context, &self.query(context)?).await?;
        if self.format.json {
            return output::json(&rows.iter().map(record).collect::<Result<Vec<_>, _>>()?);
        }
        if rows.is_empty() {
            return output::line("no records");
        }
        output::print(&self.table(&rows).render())
    }

    /// Runs until it is interrupted, or nobody reads any more.
    async fn follow(&self, context: &Context) -> anyhow::Result<()> {
        let mut query = self.query(context)?;
        let mut shown = Shown::default();
        loop {
            // Before it looks: what is written meanwhile, however long that takes, is for the next look.
            let horizon = context.site.clock.now().minus(LOOK_BACK);
            let found = find(context, &query).await?;
            let oldest = found.first().filter(|_| found.len() == query.limit as usize).map(|row| row.at);
            let rows = shown.new_of(found, horizon);
            for row in &rows {
                if self.format.json {
                    output::json_line(&record(row)?)?;
                }
            }
            if !self.format.json {
                output::print(&self.table(&rows).without_headings().render())?;
            }
            // What `--limit` left out of the first look stays out.
            query.from = query.from.max(Some(horizon)).max(oldest);
            query.limit = u32::MAX;
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// What every row would say is left out, so that lines stay short.
    fn table(&self, rows: &[AuditRow]) -> Table {
        let mut table = table(rows);
        if self.account.is_some() {
            table = table.without("ACCOUNT");
        }
        if self.event.is_some() {
            table = table.without("EVENT");
        }
        table
    }

    fn query(&self, context: &Context) -> anyhow::Result<AuditQuery> {
        let now = context.site.clock.now();
        let moment = |text: &Option<String>| -> anyhow::Result<Option<Timestamp>> {
            text.as_ref().map(|text| when::parse(text, now).map_err(Failure::usage)).transpose()
        };
        // what belongs to no account is recorded as `#hash@domain`, and found under that, too
        let account = self.account.as_ref().map(|name| match context.address(name) {
            Ok(address) if !name.starts_with('#') => address.to_string(),
            Ok(_) | Err(_) => name.clone(),
        });
        Ok(AuditQuery {
            account,
            from: moment(&self.from)?,
            until: moment(&self.until)?,
            event: self.event.clone(),
            outcome: self.outcome.clone(),
            ip: self.ip.map(|ip| ClientAddress::new(ip).to_string()),
            // programs are told all; people only if they ask
            without_chains: self.event.is_none() && !self.format.json,
            among: Among::All,
            limit: self.limit,
        })
    }
}

/// What `--follow` has printed, as far as the next look can find it again: chain, sequence number, and when it happened.
#[derive(Default)]
struct Shown(HashMap<(String, i64), Timestamp>);

impl Shown {
    /// Those of `found` that are new; they are shown from now on. The next look finds nothing older than `horizon`.
    fn new_of(&mut self, mut found: Vec<AuditRow>, horizon: Timestamp) -> Vec<AuditRow> {
        found.retain(|row| self.0.insert((row.chain.clone(), row.sequence), row.at).is_none());
        self.0.retain(|_, at| *at >= horizon);
        found
    }
}

/// The newest records that fit, oldest first, whichever process wrote them; with those of the time when the account was not
/// there.
pub(super) async fn find(context: &Context, query: &AuditQuery) -> anyhow::Result<Vec<AuditRow>> {
    let site = &context.site;
    let mut rows = audit::search(&site.config.audit.directory, &site.store, query).await?;
    let known = rows.len();
    for name in query.account.iter().flat_map(|account| unknown(context, account)) {
        rows.extend(site.store.search_audit(&AuditQuery { account: Some(name), ..query.clone() }).await?);
    }
    if rows.len() > known {
        rows.sort_by(|one, other| {
            (one.at, &one.chain, one.sequence).cmp(&(other.at, &other.chain, other.sequence))
        });
        let more = rows.len().saturating_sub(usize::try_from(query.limit).unwrap_or(usize::MAX));
        rows.drain(..more);
    }
    Ok(rows)
}

/// As what `name` is recorded where it has no account, behind doors that lead to its domain and behind others.
fn unknown(context: &Context, name: &str) -> Vec<String> {
    let Some(login) = LoginName::from_bytes(name.as_bytes()).ok().filter(|_| !name.starts_with('#')) else {
        return vec![];
    };
    let domain = name.rsplit_once('@').map(|(_, domain)| domain);
    let recorded = |domain| audit::unknown_name(&context.site.key, &login, domain);
    domain.into_iter().map(|domain| recorded(Some(domain))).chain([recorded(None)]).collect()
}

/// The record as it stands in the file, and in which.
fn record(row: &AuditRow) -> serde_json::Result<Value> {
    let mut record: Value = serde_json::from_str(&row.json)?;
    if let Some(fields) = record.as_object_mut() {
        fields.insert("chain".into(), row.chain.clone().into());
    }
    Ok(record)
}

fn table(rows: &[AuditRow]) -> Table {
    let mut table = Table::new(["TIME", "EVENT", "ACCOUNT", "OUTCOME", "FROM", "DETAIL"]);
    for row in rows {
        let cell = |text: &Option<String>| text.clone().unwrap_or_default();
        let detail =
            serde_json::from_str(&row.json).map_or_else(|_| row.json.clone(), |event| detail(&event));
        table.row([
            when::show(row.at),
            row.event.clone(),
            cell(&row.account),
            cell(&row.outcome),
            cell(&row.ip),
            detail,
        ]);
    }
    table
}

/// What the other columns do not say.
fn detail(event: &Event) -> String {
    match event {
        Event::Login(login) => login_detail(login),
        Event::RefusedLogins(more) => {
            let network = more.network.as_deref().unwrap_or("many networks");
            format!("{} more from {network} since {}", more.count, when::show(more.since))
        }
        Event::GuessingNoticed(guessing) => guessing_detail(guessing),
        Event::SessionEnd(end) => session_detail(end),
        Event::AccountAdded { by, .. }
        | Event::AccountSuspended { by, .. }
        | Event::AccountResumed { by, .. }
        | Event::AccountRemoved { by, .. }
        | Event::EnrolmentLinkUsed { by, .. } => by_whom(by),
        Event::AccountUpstreamChanged { from, to, bound, by, .. } => {
            let how = if *bound { "bound to" } else { "by its domain at" };
            format!("{how} `{to}`, was at `{from}`, {}", by_whom(by))
        }
        Event::FactorBound { kind, name, by, .. } | Event::FactorRenamed { kind, name, by, .. } => {
            format!("{}, {}", named(kind, name), by_whom(by))
        }
        Event::FactorUnbound { kind, name, reason, app_passwords_revoked, by, .. } => {
            let revoked = match app_passwords_revoked {
                0 => String::new(),
                1 => ", 1 app password revoked".to_owned(),
                many => format!(", {many} app passwords revoked"),
            };
            format!("{}, {}: {reason}{revoked}", named(kind, name), by_whom(by))
        }
        Event::FactorReplaced { kind, name, replaced, by, .. } => {
            let (new, old) = (named(kind, name), named(kind, replaced));
            format!("{new} in the place of {old}, {}", by_whom(by))
        }
        Event::AppPasswordCreated { label, name, read_only, by, .. } => {
            let access = if *read_only { ", may only read" } else { "" };
            format!("{label} `{name}`{access}, {}", by_whom(by))
        }
        Event::AppPasswordRenamed { label, name, by, .. } => format!("{label} `{name}`, {}", by_whom(by)),
        Event::MailCodeSent { to, by, .. } => format!("to {to}, {}", by_whom(by)),
        Event::AppPasswordRevoked { label, by, .. } | Event::ProfileMade { label, by, .. } => {
            format!("{label}, {}", by_whom(by))
        }
        Event::ProfileFetched { label, browser, .. } => told(label, browser.as_deref()),
        Event::SignIn(sign_in) => told(&sign_in.reason, sign_in.browser.as_deref()),
        Event::SecondFactor(answer) => {
            format!("{}: {}", answer.kind, told(&answer.reason, answer.browser.as_deref()))
        }
        Event::NoticeGivenUp { notice, reason, .. } => format!("`{notice}` was not told: {reason}"),
        Event::RecoveryCodesMade { count, by, .. } => format!("{count} codes, {}", by_whom(by)),
        Event::EnrolmentLinkMade { until, by, .. } | Event::DeviceTrusted { until, by, .. } => {
            format!("until {}, {}", when::show(*until), by_whom(by))
        }
        Event::DeviceWithdrawn { id, by, .. } => format!("{id}, {}", by_whom(by)),
        Event::PortalSessionEnded { id, by, .. } => format!("{id}, {}", by_whom(by)),
        Event::SessionEndAsked { session, by, .. } => format!("{session}, {}", by_whom(by)),
        Event::MailboxPasswordStale { labels, upstream, by, .. }
        | Event::MailboxPasswordTaken { labels, upstream, by, .. }
        | Event::MailboxPasswordResealed { labels, upstream, by, .. } => {
            format!("{} at `{upstream}`, {}", labels.join(" "), by_whom(by))
        }
        Event::UpstreamCertificateRefused { upstream, protocol, address, found, reason, .. } => {
            let found = found.as_ref().map(|key| format!(", found key {key}")).unwrap_or_default();
            format!("{protocol} of `{upstream}` at {address}: {reason}{found}")
        }
        Event::Started { version } => format!("version {version}"),
        Event::ConfigurationReloaded { needing_restart, sessions_ended } => {
            let restart = match needing_restart.as_slice() {
                [] => String::new(),
                keys => format!(", `{}` at the next start", keys.join("`, `")),
            };
            format!("{sessions_ended} sessions ended{restart}")
        }
        Event::ReloadFailed { reason } => reason.clone(),
        Event::Stopped | Event::ChainEnded => String::new(),
        Event::ChainStarted { chain } => chain.clone(),
        Event::ChainExpired { chain, records, until } => {
            format!("{chain}, {records} records until {until}: `audit.retention`")
        }
    }
}

fn login_detail(login: &Login) -> String {
    let credential = match (login.credential, &login.label) {
        (Credential::AppPassword, Some(label)) => format!(", app password {label}"),
        (Credential::AppPassword, None) => ", app password".into(),
        (Credential::MailboxPassword, _) => ", mailbox password".into(),
        (Credential::Unproven, _) => String::new(),
    };
    let program = login.program.as_ref().map(|program| format!(" ({program})")).unwrap_or_default();
    // Who got in got in with what stands there: the reason would say it again.
    let reason = match login.outcome {
        Outcome::Admitted => String::new(),
        Outcome::Refused | Outcome::Limited | Outcome::Unavailable => format!(": {}", login.reason),
    };
    format!("{} {}{credential}{program}{reason}", login.protocol, login.mechanism)
}

fn guessing_detail(guessing: &Guessing) -> String {
    let what = match guessing.pattern {
        Pattern::ManyAccounts => "accounts from one network",
        Pattern::ManyNetworks => "networks at one account",
        Pattern::ManyPasswords => "passwords at one account",
    };
    format!("{} {what} within {}", guessing.count, format_duration(Duration::from_secs(guessing.within_s)))
}

fn session_detail(end: &SessionEnd) -> String {
    let seconds = Duration::from_secs(end.duration_ms / 1000);
    format!(
        "{}, {} after {}, {} bytes in, {} out",
        end.protocol,
        end.reason,
        format_duration(seconds),
        end.bytes_from_client,
        end.bytes_to_client
    )
}

/// Why, and with which browser.
fn told(reason: &str, browser: Option<&str>) -> String {
    browser.map_or_else(|| reason.to_owned(), |browser| format!("{reason} ({browser})"))
}

/// A second factor, as its owner knows it.
fn named(kind: &str, name: &str) -> String {
    if name.is_empty() { kind.to_owned() } else { format!("{kind} `{name}`") }
}

fn by_whom(actor: &Actor) -> String {
    match actor {
        Actor::Owner { ip, .. } => format!("by its owner from {ip}"),
        Actor::Gate => "by the gate".into(),
        Actor::CommandLine { user } => format!("by {user} on the command line"),
    }
}

async fn verify(context: &Context, format: Format) -> anyhow::Result<()> {
    let report =
        audit::verify(&context.site.config.audit.directory, &context.site.store, &context.site.key).await?;
    if format.json {
        output::json(&report)?;
    } else {
        output::print(&findings(&report))?;
    }
    let problems: usize = report.chains.iter().map(|chain| chain.problems.len()).sum();
    if report.is_sound() {
        return Ok(());
    }
    anyhow::bail!(
        "the trail is not as it was written: {problems} {} above\nhint: keep a copy of `{}` and of the database before anything else",
        if problems == 1 { "problem" } else { "problems" },
        context.site.config.audit.directory.display()
    )
}

/// The chains that there is something to say about, then the sum.
fn findings(report: &Report) -> String {
    let mut text = String::new();
    let mut elsewhere: BTreeMap<&str, usize> = BTreeMap::new();
    for chain in &report.chains {
        let name = output::visible(&chain.chain);
        for problem in &chain.problems {
            text += &format!("{name}: {problem}\n");
        }
        for note in &chain.notes {
            match note {
                Note::Elsewhere { place } => *elsewhere.entry(place).or_default() += 1,
                Note::HalfLine { .. } | Note::NotEnded | Note::Unanchored { .. } => {
                    text += &format!("{name}: note: {note}\n");
                }
            }
        }
    }
    for (place, number) in &elsewhere {
        let place = output::visible(place);
        text +=
            &format!("note: {number} of the chains are kept at {place}: run `mailward audit verify` there\n");
    }
    let records: u64 = report.chains.iter().map(|chain| chain.records).sum();
    let chains = report.chains.len() - elsewhere.values().sum::<usize>();
    let live = report.chains.iter().filter(|chain| chain.live).count();
    let verdict = if report.is_sound() { "whole and unchanged" } else { "NOT as written" };
    text + &format!("{records} records in {chains} chains ({live} being written): {verdict}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = r#"
        server = { hostname = "mail.example.org", data_dir = "data" }
        tls.certificate = [{ cert = "cert.pem", key = "key.pem" }]
        listener = [{ protocol = "imap", address = "[::]:993", tls = "implicit" }]
        [[upstream]]
        name = "legacy"
        domains = ["example.org"]
        imap = { address = ["127.0.0.1:9"], tls = "none" }
    "#;

    #[tokio::test]
    async fn what_was_refused_before_there_was_an_account_is_found_by_its_address_and_by_what_stands_there() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("mailward.toml");
        std::fs::write(&file, FILE).unwrap();
        let context = Context::open(&file).await.unwrap();
        let audit = context.site.audit().await.unwrap();
        let login = LoginName::from_bytes(b"Bob@example.org").unwrap();
        let hashed = audit.unknown_name(&login, Some("example.org"));
        let names = [
            &*hashed,
            &*audit.unknown_name(&login, None),
            "bob@example.org",
            "#0123456789abcdef@example.org",
        ];
        for (number, account) in names.iter().enumerate() {
            let account = Some((*account).to_owned());
            let (pattern, count) = (Pattern::ManyPasswords, u64::try_from(number).unwrap());
            let guessing = Guessing { pattern, ip: None, network: None, account, count, within_s: 60 };
            audit.append(Event::GuessingNoticed(guessing)).await.unwrap();
        }
        audit.close().await;
        let found = async |account: &str, limit| {
            let query = AuditQuery { account: Some(account.to_owned()), limit, ..AuditQuery::default() };
            let rows = find(&context, &query).await.unwrap();
            rows.into_iter().map(|row| row.account.unwrap()).collect::<Vec<_>>()
        };
        assert_eq!(found("bob@example.org", 10).await, names[..3]);
        assert_eq!(found("bob@example.org", 2).await, names[1..3], "the newest");
        assert_eq!(found(&hashed, 10).await, names[..1]);
        assert_eq!(found("anna@example.org", 10).await, [""; 0]);
    }

    #[test]
    fn every_event_of_the_trail_can_be_searched_for() {
        let unknown = serde_json::from_str::<Event>(r#"{"event":"?"}"#).unwrap_err().to_string();
        let known: Vec<&str> = unknown.split('`').skip(3).step_by(2).collect();
        assert_eq!(known, EVENTS, "{unknown}");
    }

    #[test]
    fn what_is_followed_is_shown_once_and_forgotten_when_it_is_out_of_sight() {
        let at = |second| Timestamp::from_unix_seconds(second);
        let row = |sequence, second| AuditRow {
            chain: "a".into(),
            sequence,
            at: at(second),
            event: "started".into(),
            account: None,
            ip: None,
            outcome: None,
            json: String::new(),
        };
        let mut shown = Shown::default();
        let mut look = |rows: &[(i64, i64)], horizon| {
            let found = rows.iter().map(|(sequence, second)| row(*sequence, *second)).collect();
            let new: Vec<i64> = shown.new_of(found, at(horizon)).iter().map(|row| row.sequence).collect();
            (new, shown.0.len())
        };
        assert_eq!(look(&[(1, 10), (2, 100)], 40), (vec![1, 2], 1));
        assert_eq!(look(&[(2, 100), (3, 90)], 41), (vec![3], 2), "one came late");
        assert_eq!(look(&[(2, 100), (3, 90), (4, 150)], 100), (vec![4], 2));
        assert_eq!(look(&[(2, 100)], 101), (vec![], 1));
    }
}
