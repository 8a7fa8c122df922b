//! `mailward app-password …`

use std::time::Duration;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use serde::Serialize;

use super::context::{Context, Trail};
use super::failure::{self, Failure};
use super::mailbox::{self, Mailbox};
use super::records::AppPassword;
use super::{Format, output, reseal};
use crate::account::Located;
use crate::app_password::{Created, Scope};
use crate::base::{Access, AppPasswordId, NetworkList, ProtocolSet};
use crate::config::{InvalidDuration, parse_duration};
use crate::notify::{Doer, Notice};
use crate::store::{AccountRecord, AccountState, AppPasswordRecord};

/// App passwords: one for each mail client
#[derive(Subcommand)]
pub(super) enum AppPasswordCommand {
    /// Make an app password and print it, once
    ///
    /// The account need not exist yet, nor have a second factor. Where the upstream's credential is `sealed`,
    /// the mailbox password is needed: it is asked for, checked by logging in upstream, and sealed so that only
    /// the app password opens it. It is sealed to the account's other app passwords as well, as by `reseal`.
    Create(Create),
    /// List the app passwords of an account
    List {
        /// The mail address
        address: String,
        #[command(flatten)]
        format: Format,
    },
    /// Seal a changed mailbox password to all app passwords of an account
    ///
    /// The mailbox password is asked for and checked by logging in upstream. No client needs a new app password.
    Reseal {
        /// The mail address
        address: String,
        /// Read the mailbox password from the first line of stdin instead of asking
        #[arg(long)]
        mailbox_password_stdin: bool,
        #[command(flatten)]
        format: Format,
    },
    /// Revoke an app password, or all of an account
    Revoke {
        /// The mail address
        address: String,
        /// Which: the ID or the label that `list` shows
        #[arg(required_unless_present = "all")]
        id: Option<String>,
        /// All of them
        #[arg(long, conflicts_with = "id")]
        all: bool,
    },
}

#[derive(Args)]
pub(super) struct Create {
    /// The mail address
    address: String,
    /// What the user calls it, such as `Phone`
    #[arg(long)]
    name: String,
    /// What it may be used for
    #[arg(long, value_name = "LIST", default_value = "imap,pop3,smtp")]
    protocols: ProtocolSet,
    /// Let it read alone: nothing in the mailbox is changed with it, and nothing sent
    #[arg(long)]
    read_only: bool,
    /// From where it may be used: addresses and networks; anywhere if left out
    #[arg(long, value_name = "CIDR,…", default_value = "", hide_default_value = true)]
    networks: NetworkList,
    /// How long it is good, such as `90d`; for ever if left out
    #[arg(long, value_name = "DURATION", value_parser = expiry)]
    expires: Option<Duration>,
    /// Read the mailbox password from the first line of stdin instead of asking
    #[arg(long)]
    mailbox_password_stdin: bool,
    #[command(flatten)]
    format: Format,
}

fn expiry(text: &str) -> Result<Duration, InvalidDuration> {
    parse_duration(text).ok().filter(|time| !time.is_zero()).ok_or_else(|| InvalidDuration(text.to_owned()))
}

impl AppPasswordCommand {
    pub(super) async fn run(&self, context: &Context) -> anyhow::Result<()> {
        match self {
            Self::Create(create) => create.run(context).await,
            Self::List { address, format } => list(context, address, *format).await,
            Self::Reseal { address, mailbox_password_stdin, format } => {
                reseal::run(context, address, *mailbox_password_stdin, *format).await
            }
            Self::Revoke { address, id: Some(id), .. } => revoke(context, address, id).await,
            Self::Revoke { address, id: None, .. } => revoke_all(context, address).await,
        }
    }
}

/// What was made, for programs.
#[derive(Serialize)]
struct Made<'a> {
    id: AppPasswordId,
    label: &'a str,
    password: &'a str,
}

impl Create {
    async fn run(&self, context: &Context) -> anyhow::Result<()> {
        let located = context.whereabouts(&self.address).await?;
        let mailbox = self.mailbox_password(context, &located).await?;
        let created = self.create(context, &located, mailbox.as_ref()).await?;
        let password = std::str::from_utf8(created.printed.expose())?;
        let shown = if self.format.json {
            output::json_text(&Made { id: created.id, label: &created.label, password })?
        } else {
            format!(
                "App password `{}` for {}:\n\n    {password}\n\nIt is shown this once and kept nowhere. Blanks and upper or lower case do not matter.\n{}",
                output::visible(self.name.trim()),
                located.address,
                if self.read_only {
                    "It may only read: nothing is changed, deleted or sent with it.\n"
                } else {
                    ""
                },
            )
        };
        output::reveal(&shown).with_context(|| {
            let (address, label) = (&located.address, &created.label);
            format!("the app password was made, but could not be shown\nhint: take it back with `mailward app-password revoke {address} {label}`")
        })?;
        if self.format.json {
            return Ok(());
        }
        let standing = context.site.accounts().show(&located.address).await?;
        if standing.account.state == AccountState::Suspended {
            output::line(&format!("The account is suspended: mailward account resume {}", located.address))?;
        }
        Ok(())
    }

    /// Asked for where it is to be sealed to the app password, and proven right wherever it is given.
    async fn mailbox_password(
        &self,
        context: &Context,
        located: &Located,
    ) -> anyhow::Result<Option<Mailbox>> {
        let sealed = mailbox::is_sealed(context, located);
        if !sealed && !self.mailbox_password_stdin {
            return Ok(None);
        }
        let otherwise = "no app password was made";
        let proven = Mailbox::ask(context, located, self.mailbox_password_stdin, otherwise).await?;
        Ok(sealed.then_some(proven))
    }

    async fn create(
        &self,
        context: &Context,
        located: &Located,
        mailbox: Option<&Mailbox>,
    ) -> anyhow::Result<Created> {
        let scope = Scope {
            protocols: self.protocols,
            networks: self.networks.clone(),
            access: if self.read_only { Access::ReadOnly } else { Access::Full },
            expires_at: self.expires.map(|time| context.site.clock.now().plus(time)),
        };
        let limit = context.site.config.policies.of(located.address.domain()).app_passwords_per_account;
        let trail = context.trail().await?;
        let author = trail.author();
        let made = async {
            let (account, _) = context.site.accounts().add(located, &author).await?;
            let app_passwords = context.site.app_passwords();
            let mailbox = mailbox.map(Mailbox::proven);
            if let Some(mailbox) = mailbox {
                // First, so that what fails here leaves no app password whose text nobody was told.
                let others = app_passwords.reseal(account.id, &account.address, mailbox, &author).await;
                let others = others
                    .with_context(|| format!("cannot re-seal the app passwords of {}", account.address))?;
                for left in &others.left_alone {
                    failure::complain(&format!("warning: {}", reseal::left_alone(left)));
                }
            }
            let made = app_passwords.create(&account, &self.name, &scope, mailbox, limit, &author).await;
            let made =
                made.with_context(|| format!("cannot make an app password for {}", account.address))?;
            let notice = Notice::AppPasswordCreated {
                name: self.name.trim().to_owned(),
                label: made.label.clone(),
                read_only: scope.access == Access::ReadOnly,
                by: Doer::Administrator,
            };
            trail.tell(&account, notice).await;
            anyhow::Ok(made)
        };
        let made = made.await;
        drop(author);
        trail.close().await;
        made
    }
}

async fn list(context: &Context, name: &str, format: Format) -> anyhow::Result<()> {
    let account = context.account(name).await?;
    let app_passwords: Vec<AppPassword> =
        context.site.app_passwords().list(account.id).await?.iter().map(AppPassword::from).collect();
    if format.json {
        output::json(&app_passwords)
    } else if app_passwords.is_empty() {
        output::line(&format!("{} has no app passwords", account.address))
    } else {
        output::print(&AppPassword::table(&app_passwords).render())
    }
}

async fn revoke(context: &Context, name: &str, id_or_label: &str) -> anyhow::Result<()> {
    let account = context.account(name).await?;
    let app_passwords = context.site.app_passwords();
    let found = app_passwords
        .list(account.id)
        .await?
        .into_iter()
        .find(|row| row.label.eq_ignore_ascii_case(id_or_label) || id_or_label.parse() == Ok(row.id));
    let Some(row) = found else {
        return Err(Failure::not_found(format!(
            "{} has no app password `{id_or_label}`\nhint: `mailward app-password list {}` shows them",
            account.address, account.address
        )));
    };
    let trail = context.trail().await?;
    let revoked = app_passwords.revoke(&account, row.id, &trail.author()).await;
    if let Ok(row) = &revoked {
        tell_revoked(&trail, &account, std::slice::from_ref(row)).await;
    }
    trail.close_in_force().await;
    let row = revoked?;
    output::line(&format!("revoked `{}` ({}) of {}", output::visible(&row.name), row.label, account.address))
}

async fn tell_revoked(trail: &Trail, account: &AccountRecord, revoked: &[AppPasswordRecord]) {
    let which = revoked.iter().map(|row| (row.name.clone(), row.label.clone())).collect();
    trail.tell(account, Notice::AppPasswordsRevoked { which, by: Doer::Administrator }).await;
}

async fn revoke_all(context: &Context, name: &str) -> anyhow::Result<()> {
    let account = context.account(name).await?;
    let trail = context.trail().await?;
    let revoked = context.site.app_passwords().revoke_all(&account, &trail.author()).await;
    if let Ok(rows) = &revoked
        && !rows.is_empty()
    {
        tell_revoked(&trail, &account, rows).await;
    }
    trail.close_in_force().await;
    let number = revoked?.len();
    output::line(&match number {
        0 => format!("{} had no app passwords", account.address),
        1 => format!("revoked the one app password of {}", account.address),
        many => format!("revoked all {many} app passwords of {}", account.address),
    })
}
