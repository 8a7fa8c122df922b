//! `mailward report enforcement`

use clap::Subcommand;
use serde::Serialize;

use super::context::Context;
use super::output::{self, Table};
use super::{Format, when};
use crate::account::{Refused, Unready, unready};
use crate::base::Timestamp;
use crate::store::AccountState;

/// What administrators ask of all accounts at once
#[derive(Subcommand)]
pub(super) enum ReportCommand {
    /// Show who would be refused if a second factor were required: accounts that have none, and since when or from when on
    ///
    /// APP PASSWORDS says what becomes of theirs, if they have any: they `rest` until a factor is bound, or `go on`.
    Enforcement {
        #[command(flatten)]
        format: Format,
    },
}

impl ReportCommand {
    pub(super) async fn run(&self, context: &Context) -> anyhow::Result<()> {
        match self {
            Self::Enforcement { format } => enforcement(context, *format).await,
        }
    }
}

/// An account as programs read it.
#[derive(Serialize)]
struct Account {
    address: String,
    /// `now`, `later` or `if_required`.
    refused: &'static str,
    refused_from: Option<Timestamp>,
    app_passwords_rest: bool,
    last_login_at: Option<Timestamp>,
}

impl From<&Unready> for Account {
    fn from(one: &Unready) -> Self {
        let (refused, refused_from) = match one.refused {
            Refused::Now => ("now", None),
            Refused::From(moment) => ("later", Some(moment)),
            Refused::IfRequired => ("if_required", None),
        };
        Self {
            address: one.address.to_string(),
            refused,
            refused_from,
            app_passwords_rest: one.app_passwords_rest,
            last_login_at: one.last_login_at,
        }
    }
}

async fn enforcement(context: &Context, format: Format) -> anyhow::Result<()> {
    let (site, accounts) = (&context.site, context.site.accounts().list().await?);
    let found = unready(&accounts, &site.config.policies, site.clock.now());
    if format.json {
        return output::json(&found.iter().map(Account::from).collect::<Vec<_>>());
    }
    if found.is_empty() {
        return output::line("nobody would be refused: every account that may log in has a second factor");
    }
    let mut table = Table::new(["ADDRESS", "REFUSED", "APP PASSWORDS", "LAST LOGIN"]);
    for one in &found {
        table.row([
            one.address.to_string(),
            match one.refused {
                Refused::Now => "now".to_owned(),
                Refused::From(moment) => format!("from {}", when::show(moment)),
                Refused::IfRequired => "if required".to_owned(),
            },
            if one.app_passwords_rest { "rest" } else { "go on" }.to_owned(),
            when::show_or(one.last_login_at, "never"),
        ]);
    }
    let may_log_in = accounts.iter().filter(|one| one.account.state == AccountState::Active).count();
    let count = format!("{} of {may_log_in} accounts that may log in have no second factor\n", found.len());
    output::print(&(table.render() + "\n" + &count))
}
