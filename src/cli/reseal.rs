//! `mailward app-password reseal`

use anyhow::Context as _;
use serde::Serialize;

use super::context::Context;
use super::failure::Failure;
use super::mailbox::{self, Mailbox};
use super::{Format, output};
use crate::app_password::{LeftAlone, Resealed};
use crate::base::AppPasswordId;
use crate::store::AppPasswordRecord;

/// What became of the app passwords, for programs.
#[derive(Serialize)]
struct Outcome<'a> {
    resealed: Vec<One<'a>>,
    left_alone: Vec<Left<'a>>,
}

#[derive(Serialize)]
struct One<'a> {
    id: AppPasswordId,
    label: &'a str,
    name: &'a str,
}

#[derive(Serialize)]
struct Left<'a> {
    #[serde(flatten)]
    which: One<'a>,
    reason: String,
}

/// Seals the mailbox password, once it is proven, to all app passwords of the account.
pub(super) async fn run(
    context: &Context,
    name: &str,
    from_stdin: bool,
    format: Format,
) -> anyhow::Result<()> {
    let located = context.whereabouts(name).await?;
    if !mailbox::is_sealed(context, &located) {
        return Err(Failure::usage(format!(
            "nothing is sealed to the app passwords of {}: the gate logs in to `{}` as a master user\nhint: there is nothing to re-seal; no mailbox password is kept",
            located.address, located.upstream
        )));
    }
    let account = context.account(name).await?;
    let mailbox = Mailbox::ask(context, &located, from_stdin, "nothing was re-sealed").await?;
    let trail = context.trail().await?;
    let resealed = context
        .site
        .app_passwords()
        .reseal(account.id, &account.address, mailbox.proven(), &trail.author())
        .await;
    trail.close_in_force().await;
    let Resealed { sealed, left_alone } =
        resealed.with_context(|| format!("cannot re-seal the app passwords of {}", account.address))?;

    if format.json {
        output::json(&Outcome {
            resealed: sealed.iter().map(One::from).collect(),
            left_alone: left_alone.iter().map(Left::from).collect(),
        })?;
    } else {
        output::line(&match (sealed.len(), left_alone.len()) {
            (0, 0) => format!("{} has no app passwords", account.address),
            (1, 0) => format!("re-sealed the one app password of {}", account.address),
            (many, 0) => format!("re-sealed all {many} app passwords of {}", account.address),
            (some, left) => {
                format!("re-sealed {some} of {} app passwords of {}", some + left, account.address)
            }
        })?;
        for left in &left_alone {
            output::line(&self::left_alone(left))?;
        }
    }
    match left_alone.len() {
        0 => Ok(()),
        some => anyhow::bail!(
            "{some} of the app passwords of {} could not be re-sealed\nhint: revoke what was changed in the database, and make it anew",
            account.address
        ),
    }
}

/// One that was not re-sealed, and why.
pub(super) fn left_alone(LeftAlone { row, why }: &LeftAlone) -> String {
    format!("left alone: `{}` ({}): {why}", output::visible(&row.name), row.label)
}

impl<'a> From<&'a AppPasswordRecord> for One<'a> {
    fn from(row: &'a AppPasswordRecord) -> Self {
        Self { id: row.id, label: &row.label, name: &row.name }
    }
}

impl<'a> From<&'a LeftAlone> for Left<'a> {
    fn from(left: &'a LeftAlone) -> Self {
        Self { which: One::from(&left.row), reason: left.why.to_string() }
    }
}
