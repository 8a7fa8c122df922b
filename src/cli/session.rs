//! `mailward session …`

use std::time::Duration;

use clap::Subcommand;

use super::Format;
use super::context::Context;
use super::failure::Failure;
use super::output;
use super::records::Session;
use crate::base::SessionId;

/// How long `end` waits until the session is seen to be gone: its gate hears of it within a quarter of a second, and
/// writes its list every second.
const END_PATIENCE: Duration = Duration::from_secs(5);

/// How often it looks.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Clients that are logged in, on all nodes
#[derive(Subcommand)]
pub(super) enum SessionCommand {
    /// List live sessions, about a second late; IN and OUT are bytes from and to the client
    List {
        /// Of this account only
        address: Option<String>,
        #[command(flatten)]
        format: Format,
    },
    /// End a live session; its client may log in again
    End {
        /// The session's ID, as `list` shows it
        id: SessionId,
    },
}

impl SessionCommand {
    pub(super) async fn run(&self, context: &Context) -> anyhow::Result<()> {
        match self {
            Self::List { address, format } => list(context, address.as_deref(), *format).await,
            Self::End { id } => end(context, *id).await,
        }
    }
}

async fn list(context: &Context, address: Option<&str>, format: Format) -> anyhow::Result<()> {
    let account = match address {
        Some(name) => Some(context.account(name).await?.id),
        None => None,
    };
    let sessions = context.site.live_sessions().list(account).await?;
    let sessions: Vec<Session> = sessions.into_iter().map(Session::from).collect();
    if format.json {
        return output::json(&sessions);
    }
    if sessions.is_empty() {
        return output::line("no live sessions");
    }
    output::print(&Session::table(&sessions).render())
}

async fn end(context: &Context, id: SessionId) -> anyhow::Result<()> {
    let sessions = context.site.live_sessions();
    if !sessions.is_live(id).await? {
        return Err(Failure::not_found(format!(
            "there is no live session `{id}`\nhint: `mailward session list` shows them, about a second late"
        )));
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
