//! `mailward session …`

use std::time::Duration;

use clap::Subcommand;

use super::Format;
use super::context::Context;
use super::failure::Failure;
use super::output;
use super::records::{Session, SignedInBrowser};
use crate::base::{PortalSessionId, SessionId};
use crate::store::AccountRecord;

/// How long `end` waits until the session is seen to be gone: its gate hears of it within a quarter of a second, and
/// writes its list every second.
const END_PATIENCE: Duration = Duration::from_secs(5);

/// How often it looks.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Clients that are logged in, on all nodes, and browsers that are signed in to the portal
#[derive(Subcommand)]
pub(super) enum SessionCommand {
    /// List live sessions, about a second late; IN and OUT are bytes from and to the client
    List {
        /// Of this account only
        address: Option<String>,
        /// List browsers that are signed in to the portal instead; FROM is where they signed in
        #[arg(long)]
        browsers: bool,
        #[command(flatten)]
        format: Format,
    },
    /// End a live session, or sign a browser out; whoever it was may log in again
    End {
        /// The session's ID, as `list` shows it with or without `--browsers`
        #[arg(required_unless_present = "browsers", value_parser = identifier)]
        id: Option<SessionId>,
        /// Sign every browser of this account out instead; those that it trusts stay trusted
        #[arg(long, value_name = "ADDRESS", conflicts_with = "id")]
        browsers: Option<String>,
    },
}

/// Reads an ID.
fn identifier(text: &str) -> Result<SessionId, String> {
    text.parse().map_err(|_| {
        format!(
            "`{text}` is no session's ID\nhint: `mailward session list` shows them, and `mailward session list --browsers` those of browsers"
        )
    })
}

impl SessionCommand {
    pub(super) async fn run(&self, context: &Context) -> anyhow::Result<()> {
        match self {
            Self::List { address, browsers, format } => {
                let account = match address {
                    Some(name) => Some(context.account(name).await?),
                    None => None,
                };
                if *browsers {
                    list_browsers(context, account.as_ref(), *format).await
                } else {
                    list(context, account.as_ref(), *format).await
                }
            }
            Self::End { id: Some(id), .. } => end(context, *id).await,
            Self::End { id: None, browsers: Some(name) } => sign_all_out(context, name).await,
            Self::End { id: None, browsers: None } => {
                Err(Failure::usage("nothing is named that should end\nhint: `mailward session end ID`"))
            }
        }
    }
}

async fn list(context: &Context, account: Option<&AccountRecord>, format: Format) -> anyhow::Result<()> {
    let sessions = context.site.live_sessions().list(account.map(|account| account.id)).await?;
    let sessions: Vec<Session> = sessions.into_iter().map(Session::from).collect();
    if format.json {
        return output::json(&sessions);
    }
    if sessions.is_empty() {
        return output::line("no live sessions");
    }
    output::print(&Session::table(&sessions).render())
}

async fn list_browsers(
    context: &Context,
    account: Option<&AccountRecord>,
    format: Format,
) -> anyhow::Result<()> {
    let browsers = context.site.signed_in().list(account).await?;
    let browsers: Vec<SignedInBrowser> = browsers.into_iter().map(SignedInBrowser::from).collect();
    if format.json {
        return output::json(&browsers);
    }
    if browsers.is_empty() {
        return output::line("no browser is signed in");
    }
    output::print(&SignedInBrowser::table(&browsers).render())
}

/// Ends what has that ID: identifiers are drawn, and what is a session's is no browser's.
async fn end(context: &Context, id: SessionId) -> anyhow::Result<()> {
    let sessions = context.site.live_sessions();
    if !sessions.is_live(id).await? {
        return sign_out(context, PortalSessionId(id.0)).await;
    }
    let trail = context.trail().await?;
    let asked = sessions.end(id, &trail.author()).await;
    trail.close().await;
    let session = asked?;
    let gone = async {
        while sessions.is_live(id).await? {
            tokio::time::sleep(LOOK_EVERY).await;
        }
        anyhow::Ok(())
    };
    match tokio::time::timeout(END_PATIENCE, gone).await {
        Ok(gone) => gone?,
        Err(_) => anyhow::bail!(
            "session `{id}` was not seen to end within {} s\nhint: its gate was told; if it does not answer, look at its log",
            END_PATIENCE.as_secs()
        ),
    }
    output::line(&format!(
        "ended the {} session of {} from {}",
        session.protocol, session.address, session.client
    ))
}

async fn sign_out(context: &Context, id: PortalSessionId) -> anyhow::Result<()> {
    let signed_in = context.site.signed_in();
    let not_found = || {
        Failure::not_found(format!(
            "there is no live session `{id}`\nhint: `mailward session list` shows them, about a second late, and `mailward session list --browsers` those of browsers"
        ))
    };
    let found = signed_in.list(None).await?.into_iter().find(|(_, session)| session.id == id);
    let (account, session) = found.ok_or_else(not_found)?;
    let trail = context.trail().await?;
    let out = signed_in.sign_out(&account, id, &trail.author()).await;
    trail.close().await;
    if !out? {
        return Err(not_found());
    }
    output::line(&format!("signed a browser of {} out, from {}", account.address, session.address))
}

async fn sign_all_out(context: &Context, name: &str) -> anyhow::Result<()> {
    let account = context.account(name).await?;
    let trail = context.trail().await?;
    let out = context.site.signed_in().sign_all_out(&account, &trail.author()).await;
    trail.close().await;
    output::line(&match out? {
        0 => format!("{} was signed in with no browser", account.address),
        1 => format!("signed the one browser of {} out", account.address),
        many => format!("signed all {many} browsers of {} out", account.address),
    })
}
