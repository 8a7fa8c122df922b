//! `mailward account …`

use clap::Subcommand;
use serde::Serialize;

use super::audit::find;
use super::context::Context;
use super::output::{self, Table};
use super::records::{AppPassword, Attempt, Factor, Session};
use super::{Format, upstream, when};
use crate::base::{Timestamp, UpstreamName};
use crate::config::Requirement;
use crate::store::{Added, AuditQuery, Standing};

/// How many attempts `show` shows.
const ATTEMPTS_SHOWN: u32 = 10;

/// Mail accounts behind the gate
#[derive(Subcommand)]
pub(super) enum AccountCommand {
    /// List all accounts
    List {
        #[command(flatten)]
        format: Format,
    },
    /// Show an account with its second factors, app passwords, live sessions and last attempts
    Show {
        /// The mail address
        address: String,
        #[command(flatten)]
        format: Format,
    },
    /// Add an account (others appear at their first login, unless `accounts = "listed"`)
    Add {
        /// The mail address
        address: String,
    },
    /// Move an account to another upstream than its domain leads to, or back: its mailbox is there already
    Upstream {
        /// The mail address
        address: String,
        /// The `name` of an `[[upstream]]`
        #[arg(required_unless_present = "none", conflicts_with = "none")]
        name: Option<String>,
        /// Go where its domain leads
        #[arg(long)]
        none: bool,
    },
    /// Keep an account out until it is resumed
    Suspend {
        /// The mail address
        address: String,
    },
    /// Let a suspended account in again
    Resume {
        /// The mail address
        address: String,
    },
    /// Remove an account with its second factors and app passwords; the mailbox is not touched
    Remove {
        /// The mail address
        address: String,
    },
}

impl AccountCommand {
    pub(super) async fn run(&self, context: &Context) -> anyhow::Result<()> {
        match self {
            Self::List { format } => list(context, *format).await,
            Self::Show { address, format } => show(context, address, *format).await,
            Self::Add { address } => add(context, address).await,
            Self::Upstream { address, name, none: _ } => {
                upstream::bind(context, address, name.as_deref()).await
            }
            Self::Suspend { address } => suspend(context, address).await,
            Self::Resume { address } => resume(context, address).await,
            Self::Remove { address } => remove(context, address).await,
        }
    }
}

/// An account as programs read it.
#[derive(Serialize)]
struct Account {
    address: String,
    upstream: UpstreamName,
    bound_upstream: Option<UpstreamName>,
    state: &'static str,
    bound_factors: u32,
    must_bind: bool,
    created_at: Timestamp,
    last_login_at: Option<Timestamp>,
}

impl Account {
    fn new(standing: &Standing, context: &Context) -> Self {
        let account = &standing.account;
        Self {
            address: account.address.to_string(),
            upstream: context.upstream_of(account),
            bound_upstream: account.bound_upstream.clone(),
            state: account.state.as_str(),
            bound_factors: standing.bound_factors,
            must_bind: account.must_bind,
            created_at: account.created_at,
            last_login_at: account.last_login_at,
        }
    }
}

impl Account {
    fn upstream_in_words(&self) -> String {
        match self.bound_upstream {
            Some(_) => format!("{} (bound)", self.upstream),
            None => self.upstream.to_string(),
        }
    }
}

/// `show` for programs: the account and what belongs to it.
#[derive(Serialize)]
struct Whole<'a> {
    #[serde(flatten)]
    account: Account,
    factors: &'a [Factor],
    app_passwords: &'a [AppPassword],
    sessions: &'a [Session],
    attempts: &'a [Attempt],
}

async fn list(context: &Context, format: Format) -> anyhow::Result<()> {
    let accounts = context.site.accounts().list().await?;
    let accounts: Vec<Account> = accounts.iter().map(|one| Account::new(one, context)).collect();
    if format.json {
        return output::json(&accounts);
    }
    if accounts.is_empty() {
        return output::line(
            "no accounts yet: they appear at their first login, or with `mailward account add`",
        );
    }
    let mut table = Table::new(["ADDRESS", "STATE", "FACTORS", "UPSTREAM", "CREATED", "LAST LOGIN"]);
    for account in accounts {
        let factors = match (account.bound_factors, account.must_bind) {
            (0, true) => "must bind".to_owned(),
            (0, false) => "none".to_owned(),
            (number, _) => number.to_string(),
        };
        let upstream = account.upstream_in_words();
        table.row([
            account.address,
            account.state.to_owned(),
            factors,
            upstream,
            when::show(account.created_at),
            when::show_or(account.last_login_at, "never"),
        ]);
    }
    output::print(&table.render())
}

async fn show(context: &Context, name: &str, format: Format) -> anyhow::Result<()> {
    let record = context.account(name).await?;
    let standing = context.site.accounts().show(&record.address).await?;
    let factors: Vec<Factor> =
        context.site.factors().list(record.id).await?.iter().map(Factor::from).collect();
    let app_passwords: Vec<AppPassword> =
        context.site.app_passwords().list(record.id).await?.iter().map(AppPassword::from).collect();
    let sessions = context.site.live_sessions().list(Some(record.id)).await?;
    let sessions: Vec<Session> = sessions.into_iter().map(Session::from).collect();
    let query = AuditQuery {
        account: Some(record.address.to_string()),
        event: Some("login".into()),
        limit: ATTEMPTS_SHOWN,
        ..AuditQuery::default()
    };
    let attempts: Vec<Attempt> = find(context, &query).await?.iter().filter_map(Attempt::read).collect();
    let account = Account::new(&standing, context);
    if format.json {
        return output::json(&Whole {
            account,
            factors: &factors,
            app_passwords: &app_passwords,
            sessions: &sessions,
            attempts: &attempts,
        });
    }

    let rule = match context.site.config.policies.of(record.address.domain()).second_factor {
        Requirement::Optional => "optional".to_owned(),
        at_once if at_once == Requirement::at_once() => "required".to_owned(),
        Requirement::Required { since, grace } => {
            format!("required, from {} on", when::show(since.plus(grace)))
        }
    };
    let mut facts = Table::of_pairs();
    facts.row(["state".into(), account.state.into()]);
    facts.row(["upstream".into(), account.upstream_in_words()]);
    facts.row(["second factor".into(), rule]);
    facts.row(["created".into(), when::show(account.created_at)]);
    facts.row(["last login".into(), when::show_or(account.last_login_at, "never")]);
    let mut text = format!("{}\n{}", account.address, facts.render());
    text += &section(
        "second factors",
        &factors,
        account.must_bind.then_some("none, and one must be bound"),
        Factor::table,
    );
    text += &section("app passwords", &app_passwords, None, AppPassword::table);
    text +=
        &section("live sessions", &sessions, None, |sessions| Session::table(sessions).without("ACCOUNT"));
    text += &section("last attempts", &attempts, None, Attempt::table);
    output::print(&text)
}

fn section<T>(title: &str, records: &[T], if_none: Option<&str>, table: impl Fn(&[T]) -> Table) -> String {
    match records {
        [] => format!("\n{title}: {}\n", if_none.unwrap_or("none")),
        records => format!("\n{title}\n{}", table(records).indented().render()),
    }
}

async fn add(context: &Context, name: &str) -> anyhow::Result<()> {
    let located = context.locate(name)?;
    let trail = context.trail().await?;
    let added = context.site.accounts().add(&located, &trail.author()).await;
    trail.close().await;
    let (account, added) = added?;
    let must_bind = if account.must_bind {
        "; it had a second factor when it was removed, and must bind one before its mailbox password counts again"
    } else {
        ""
    };
    output::line(&match added {
        Added::New => format!("added {} (upstream {})", account.address, account.upstream),
        Added::Revived => {
            format!("added {} again (upstream {}){must_bind}", account.address, account.upstream)
        }
        Added::Existing => format!("{} is there already", account.address),
    })
}

async fn suspend(context: &Context, name: &str) -> anyhow::Result<()> {
    let account = context.account(name).await?;
    let trail = context.trail().await?;
    let changed = context.site.accounts().suspend(&account.address, &trail.author()).await;
    trail.close_in_force().await;
    output::line(&match changed? {
        true => format!("suspended {}", account.address),
        false => format!("{} was suspended already", account.address),
    })
}

async fn resume(context: &Context, name: &str) -> anyhow::Result<()> {
    let account = context.account(name).await?;
    let trail = context.trail().await?;
    let changed = context.site.accounts().resume(&account.address, &trail.author()).await;
    trail.close().await;
    output::line(&match changed? {
        true => format!("resumed {}", account.address),
        false => format!("{} was not suspended", account.address),
    })
}

async fn remove(context: &Context, name: &str) -> anyhow::Result<()> {
    let account = context.own_account(name).await?;
    let trail = context.trail().await?;
    let removed = context.site.accounts().remove(&account.address, &trail.author()).await;
    trail.close_in_force().await;
    let bound = match removed?.bound_factors {
        0 => String::new(),
        _ => "; should it come back, it must bind a second factor first".to_owned(),
    };
    output::line(&format!("removed {} with its second factors and app passwords{bound}", account.address))
}
