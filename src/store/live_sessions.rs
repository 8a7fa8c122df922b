//! `nodes`, `live_sessions`: who is in, on all nodes, as each node wrote it down. For lists only: what a session may
//! do is known by the process that has it.

use super::{LiveSession, LiveSessionRecord, NodeId, Store, StoreError};
use super::{in_transaction, name_statements, on_pool};
use crate::base::{AccountId, SessionId};

macro_rules! listed {
    ($rest:literal) => {
        concat!(
            "SELECT live_sessions.id, live_sessions.account, address, protocol, client, program, app_password, \
             label, name, live_sessions.upstream, since, bytes_from_client, bytes_to_client \
             FROM live_sessions JOIN nodes ON nodes.id = node AND beat >= unixepoch() - 20 \
             JOIN accounts ON accounts.id = live_sessions.account \
             LEFT JOIN app_passwords ON app_passwords.id = app_password ",
            $rest
        )
    };
}

name_statements! {
    ENLIST = "INSERT INTO nodes (id, beat) VALUES ($1, unixepoch()) ON CONFLICT (id) DO UPDATE SET beat = excluded.beat";
    FORGET_SESSIONS = "DELETE FROM live_sessions WHERE node = $1";
    BEAT = "UPDATE nodes SET beat = unixepoch() WHERE id = $1";
    FORGET = "DELETE FROM nodes WHERE id = $1";
    /// Later than they vanish from lists: a node that was only slow must not lose its rows.
    FORGET_DEAD = "DELETE FROM nodes WHERE beat < unixepoch() - 60";
    /// As long as a node that is only slow may go on.
    NODES = "SELECT COUNT(*) FROM nodes WHERE beat >= unixepoch() - 60";
    BEGUN = "INSERT INTO live_sessions (id, node, account, protocol, client, program, app_password, upstream, since, \
             bytes_from_client, bytes_to_client) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) \
             ON CONFLICT (id) DO NOTHING";
    MOVED = "UPDATE live_sessions SET bytes_from_client = $2, bytes_to_client = $3 WHERE id = $1";
    ENDED = "DELETE FROM live_sessions WHERE id = $1";
    LIST = listed!("ORDER BY since, live_sessions.id");
    LIST_OF = listed!("WHERE live_sessions.account = $1 ORDER BY since, live_sessions.id");
    ONE = listed!("WHERE live_sessions.id = $1");
}

impl Store {
    /// Makes a serving process known, with no sessions.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn enlist_node(&self, node: NodeId) -> Result<(), StoreError> {
        in_transaction!(self, |connection| {
            for statement in [ENLIST, FORGET_SESSIONS] {
                sqlx::query(statement).bind(node).execute(&mut *connection).await?;
            }
        })
    }

    /// Says that a node lives, and which of its sessions have begun, moved bytes, or ended. `false`, and nothing is
    /// written, where the node is not known (any more): enlist it, and begin all its sessions again.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn write_sessions(
        &self,
        node: NodeId,
        begun: &[LiveSession],
        moved: &[LiveSession],
        ended: &[SessionId],
    ) -> Result<bool, StoreError> {
        in_transaction!(self, |connection| {
            if sqlx::query(BEAT).bind(node).execute(&mut *connection).await?.rows_affected() == 0 {
                return Ok(false);
            }
            for session in begun {
                sqlx::query(BEGUN)
                    .bind(session.id)
                    .bind(node)
                    .bind(session.account)
                    .bind(session.protocol.as_str())
                    .bind(session.client.to_string())
                    // A client may call itself anything; PostgreSQL's text cannot hold NUL (SQLite's can).
                    .bind(session.program.as_deref().map(|program| program.replace('\0', "\u{fffd}")))
                    .bind(session.app_password)
                    .bind(&session.upstream)
                    .bind(session.since)
                    .bind(bytes(session.bytes_from_client))
                    .bind(bytes(session.bytes_to_client))
                    .execute(&mut *connection)
                    .await?;
            }
            for session in moved {
                sqlx::query(MOVED)
                    .bind(session.id)
                    .bind(bytes(session.bytes_from_client))
                    .bind(bytes(session.bytes_to_client))
                    .execute(&mut *connection)
                    .await?;
            }
            for session in ended {
                sqlx::query(ENDED).bind(session).execute(&mut *connection).await?;
            }
            true
        })
    }

    /// Forgets a node that stops, and its sessions.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn forget_node(&self, node: NodeId) -> Result<(), StoreError> {
        on_pool!(self, |pool| {
            sqlx::query(FORGET).bind(node).execute(pool).await?;
        })
    }

    /// Forgets nodes that died a minute ago, and their sessions.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn forget_dead_nodes(&self) -> Result<(), StoreError> {
        on_pool!(self, |pool| {
            sqlx::query(FORGET_DEAD).execute(pool).await?;
        })
    }

    /// Whether a gate serves with this database, or did a minute ago.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn is_served(&self) -> Result<bool, StoreError> {
        on_pool!(self, |pool| sqlx::query_scalar::<_, i64>(NODES).fetch_one(pool).await? > 0)
    }

    /// The live sessions of all nodes that said within the last 20 seconds that they live; of one account, or all.
    /// The longest first.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn live_sessions(
        &self,
        account: Option<AccountId>,
    ) -> Result<Vec<LiveSessionRecord>, StoreError> {
        on_pool!(self, |pool| match account {
            Some(account) => sqlx::query_as(LIST_OF).bind(account).fetch_all(pool).await?,
            None => sqlx::query_as(LIST).fetch_all(pool).await?,
        })
    }

    /// One of them.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn live_session(&self, id: SessionId) -> Result<Option<LiveSessionRecord>, StoreError> {
        on_pool!(self, |pool| sqlx::query_as(ONE).bind(id).fetch_optional(pool).await?)
    }
}

/// Neither database has unsigned numbers; no session moves so much.
fn bytes(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
