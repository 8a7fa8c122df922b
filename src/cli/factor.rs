//! `mailward factor …`

use std::time::Duration;

use anyhow::Context as _;
use clap::builder::PossibleValue;
use clap::{Subcommand, ValueEnum};
use serde::Serialize;

use super::context::Context;
use super::failure::{Failure, complain};
use super::output;
use super::records::Factor;
use super::{Format, invite, prompt};
use crate::config::{AfterUnbind, FactorKind};
use crate::factor::{FactorError, TotpEnrolment, qr};
use crate::notify::{Doer, Notice};
use crate::store::AccountRecord;

/// How often a mistyped code may be typed again.
const CODE_TRIES: u32 = 3;

/// Second factors of an account
#[derive(Subcommand)]
pub(super) enum FactorCommand {
    /// List the second factors of an account
    List {
        /// The mail address
        address: String,
        #[command(flatten)]
        format: Format,
    },
    /// Bind an authenticator app: prints a QR code and the same key to type
    ///
    /// From then on the mailbox password no longer opens the mailbox through the gate; app passwords do.
    Totp {
        /// The mail address
        address: String,
        /// Ask for a code first, and bind only if it is right
        #[arg(long)]
        confirm: bool,
        #[command(flatten)]
        format: Format,
    },
    /// Print a link with which a user binds a first second factor
    ///
    /// For who may not bind one with the mailbox password alone: `enrol_by` and `enrol_from` in the configuration. The link
    /// is good once and for this account alone, and only together with its mailbox password.
    Invite {
        /// The mail address
        address: String,
        /// How long it is good, from `1m` to `30d`
        #[arg(long, value_name = "DURATION", default_value = "24h", value_parser = invite::expiry)]
        expires: Duration,
        #[command(flatten)]
        format: Format,
    },
    /// Unbind second factors for a user who lost them
    Unbind {
        /// The mail address
        address: String,
        /// Which kind; all of them if left out
        kind: Option<Kind>,
        /// Why: goes into the audit trail, and into the mail that tells the user
        #[arg(long, value_name = "TEXT")]
        reason: String,
        #[command(flatten)]
        format: Format,
    },
}

/// A kind of second factor on the command line.
#[derive(Clone, Copy)]
pub(super) struct Kind(FactorKind);

impl ValueEnum for Kind {
    fn value_variants<'a>() -> &'a [Self] {
        const KINDS: [Kind; FactorKind::ALL.len()] =
            [Kind(FactorKind::Totp), Kind(FactorKind::Passkey), Kind(FactorKind::Mailbox)];
        &KINDS
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        let Self(kind) = self;
        Some(PossibleValue::new(kind.as_str()).help(match kind {
            FactorKind::Totp => "An authenticator app",
            FactorKind::Mailbox => "A mailbox elsewhere",
            FactorKind::Passkey => "Passkeys and security keys",
        }))
    }
}

impl FactorCommand {
    pub(super) async fn run(&self, context: &Context) -> anyhow::Result<()> {
        match self {
            Self::List { address, format } => list(context, address, *format).await,
            Self::Totp { address, confirm, format } => totp(context, address, *confirm, *format).await,
            Self::Invite { address, expires, format } => {
                invite::run(context, address, *expires, *format).await
            }
            Self::Unbind { address, kind, reason, format } => {
                unbind(context, address, kind.map(|Kind(kind)| kind), reason, *format).await
            }
        }
    }
}

async fn list(context: &Context, name: &str, format: Format) -> anyhow::Result<()> {
    let account = context.account(name).await?;
    let factors: Vec<Factor> =
        context.site.factors().list(account.id).await?.iter().map(Factor::from).collect();
    if format.json {
        output::json(&factors)
    } else if factors.is_empty() {
        output::line(&format!("{} has no second factor", account.address))
    } else {
        output::print(&Factor::table(&factors).render())
    }
}

/// What the authenticator needs, for programs.
#[derive(Serialize)]
struct Enrolled<'a> {
    secret: &'a str,
    uri: &'a str,
}

async fn totp(context: &Context, name: &str, confirm: bool, format: Format) -> anyhow::Result<()> {
    let account = context.account(name).await?;
    let config = &context.site.config;
    let parameters = config.policies.of(account.address.domain()).totp;
    let enrolment = context.site.factors().enrol_totp(&config.server.hostname, &account.address, parameters);
    let (secret, uri) = (shown(&enrolment.secret)?, shown(&enrolment.uri)?);
    let shown = match format.json {
        true => output::json_text(&Enrolled { secret, uri })?,
        false => format!(
            "{}\n\nScan this with the authenticator app of {}, or type the key:\n\n    {}\n\n",
            qr::terminal(uri),
            account.address,
            groups(secret)
        ),
    };
    // unconfirmed, the key is shown only once it is bound: what did not work must not be scanned
    if confirm {
        output::reveal(&shown).context("nothing is bound, because the key could not be shown")?;
        bind_with_code(context, &account, &enrolment).await?;
    } else {
        bind(context, &account, &enrolment, None).await?;
        output::reveal(&shown).with_context(|| {
            let address = &account.address;
            format!("the second factor is bound, but its key could not be shown\nhint: take it back with `mailward factor unbind {address} --reason 'key not shown'`")
        })?;
    }
    if format.json {
        return Ok(());
    }
    output::line(&format!(
        "bound; from now on mail clients of {} need app passwords:\nthe mailbox password is refused",
        account.address
    ))?;
    if context.site.app_passwords().list(account.id).await?.is_empty() {
        output::line(&format!(
            "it has none yet: mailward app-password create {} --name Phone",
            account.address
        ))?;
    }
    Ok(())
}

async fn bind_with_code(
    context: &Context,
    account: &AccountRecord,
    enrolment: &TotpEnrolment,
) -> anyhow::Result<()> {
    let mut tries = CODE_TRIES;
    loop {
        let code = prompt::line("Code that the app shows now", None)?;
        let code: String = code.split_whitespace().collect();
        tries -= 1;
        match bind(context, account, enrolment, Some(&code)).await {
            Err(error) if tries > 0 && matches!(error.downcast_ref(), Some(FactorError::WrongCode)) => {
                complain("that is not the code; nothing is bound yet, try the next one");
            }
            other => return other,
        }
    }
}

async fn bind(
    context: &Context,
    account: &AccountRecord,
    enrolment: &TotpEnrolment,
    code: Option<&str>,
) -> anyhow::Result<()> {
    let trail = context.trail().await?;
    let bound = context.site.factors().bind_totp(account, enrolment, code, &trail.author()).await;
    if let Ok(factor) = &bound {
        let factor = factor.kind.clone();
        trail.tell(account, Notice::FactorBound { factor, by: Doer::Administrator }).await;
    }
    trail.close().await;
    bound?;
    Ok(())
}

/// What was unbound, for programs.
#[derive(Serialize)]
struct Unbound {
    factors: Vec<Factor>,
    app_passwords_revoked: u64,
}

async fn unbind(
    context: &Context,
    name: &str,
    kind: Option<FactorKind>,
    reason: &str,
    format: Format,
) -> anyhow::Result<()> {
    if reason.trim().is_empty() {
        return Err(Failure::usage("the reason is empty\nhint: say why, for whoever reads the trail later"));
    }
    let account = context.account(name).await?;
    let after = context.site.config.policies.of(account.address.domain()).app_passwords_after_unbind;
    let trail = context.trail().await?;
    let unbound = context.site.factors().unbind(&account, kind, after, reason.trim(), &trail.author()).await;
    if let Ok(unbound) = &unbound
        && !unbound.factors.is_empty()
    {
        let notice = Notice::FactorUnbound {
            factors: unbound.factors.iter().map(|factor| factor.kind.clone()).collect(),
            app_passwords_revoked: unbound.app_passwords,
            reason: Some(reason.trim().to_owned()),
            by: Doer::Administrator,
        };
        trail.tell(&account, notice).await;
    }
    trail.close_in_force().await;
    let unbound = unbound?;
    if unbound.factors.is_empty() {
        return Err(Failure::not_found(format!("{} has no such second factor", account.address)));
    }
    if format.json {
        return output::json(&Unbound {
            factors: unbound.factors.iter().map(Factor::from).collect(),
            app_passwords_revoked: unbound.app_passwords,
        });
    }
    let kinds: Vec<_> = unbound.factors.iter().map(|factor| factor.kind.as_str()).collect();
    let app_passwords = match (unbound.app_passwords, after) {
        (0, AfterUnbind::Stop | AfterUnbind::Keep) => String::new(),
        (1, _) => "; 1 app password was revoked with it".to_owned(),
        (many, _) => format!("; {many} app passwords were revoked with it"),
    };
    output::line(&format!("unbound {} of {}{app_passwords}", kinds.join(", "), account.address))
}

/// Both are ASCII: base32, and a URL.
fn shown(secret: &crate::base::Secret) -> anyhow::Result<&str> {
    Ok(std::str::from_utf8(secret.expose())?)
}

/// In groups of four, to be typed.
fn groups(key: &str) -> String {
    let mut text = String::with_capacity(key.len() * 5 / 4);
    for (place, symbol) in key.chars().enumerate() {
        if place > 0 && place % 4 == 0 {
            text.push(' ');
        }
        text.push(symbol);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_shown_in_groups_of_four() {
        assert_eq!(groups("ABCDEFGHIJ"), "ABCD EFGH IJ");
    }
}
