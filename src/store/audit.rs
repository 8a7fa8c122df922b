//! `audit_heads`, `audit_records`, `audit_marks`: where each chain ends, and the search index over all of them.
//!
//! The files are the truth; every row here but the heads can be made again from them.

use std::sync::LazyLock;

use super::several::several_rows;
use super::{AuditHead, AuditMark, AuditQuery, AuditRow, Store, StoreError};
use super::{in_transaction, name_statements, on_pool};
use crate::base::Timestamp;

/// What a search returns at most where its `limit` is 0.
const DEFAULT_LIMIT: u32 = 1_000;

/// Records of a chain that expired which are taken out of the index by one statement.
const FORGOTTEN_AT_ONCE: i64 = 2_000;

/// 9999-12-31T23:59:59Z.
const END_OF_TIME: i64 = 253_402_300_799;

/// One text with the same nine parameters for every kind of search, so that each has the index it needs: the
/// planner cannot use one for `account = $6 OR $6 IS NULL`.
macro_rules! search {
    ($account:literal, $ip:literal) => {
        concat!(
            "SELECT chain, sequence, at, event, account, ip, outcome, json FROM audit_records \
             WHERE at >= $1 AND at < $2 AND (event = $3 OR $3 IS NULL) AND (outcome = $4 OR $4 IS NULL) \
             AND (event NOT IN ('chain_started', 'chain_ended') OR NOT $8) \
             AND (event IN ('login', 'sign_in', 'second_factor') OR NOT $9) AND ",
            $ip,
            " AND ",
            $account,
            " ORDER BY at DESC, chain DESC, sequence DESC LIMIT $7"
        )
    };
}

name_statements! {
    /// Forward only: a write that was delayed must not undo a later one.
    PUT_HEAD = "INSERT INTO audit_heads (chain, place, sequence, hash, mac) VALUES ($1, $2, $3, $4, $5) \
                ON CONFLICT (chain) DO UPDATE \
                SET place = excluded.place, sequence = excluded.sequence, hash = excluded.hash, mac = excluded.mac \
                WHERE audit_heads.sequence < excluded.sequence";
    /// Whatever is there.
    REPLACE_HEAD = "INSERT INTO audit_heads (chain, place, sequence, hash, mac) VALUES ($1, $2, $3, $4, $5) \
                    ON CONFLICT (chain) DO UPDATE SET place = excluded.place, sequence = excluded.sequence, \
                    hash = excluded.hash, mac = excluded.mac";
    HEADS = "SELECT chain, place, sequence, hash, mac FROM audit_heads ORDER BY chain";
    MARKS = "SELECT chain, position, tail FROM audit_marks ORDER BY chain";
    NEW_MARK = "INSERT INTO audit_marks (chain, position, tail) VALUES ($1, 0, $2) ON CONFLICT (chain) DO NOTHING";
    MOVE_MARK = "UPDATE audit_marks SET position = $3, tail = $4 WHERE chain = $1 AND position = $2 RETURNING chain";
    INDEX = "INSERT INTO audit_records (chain, sequence, at, event, account, ip, outcome, json) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (chain, sequence) DO NOTHING";
    FORGET_RECORDS = "DELETE FROM audit_records WHERE chain = $1";
    /// Few at a time: whoever logs in meanwhile waits behind each.
    FORGET_SOME = "DELETE FROM audit_records WHERE chain = $1 AND sequence <= $2";
    FIRST_INDEXED = "SELECT MIN(sequence) FROM audit_records WHERE chain = $1";
    FORGET_HEAD = "DELETE FROM audit_heads WHERE chain = $1";
    FORGET_MARK = "DELETE FROM audit_marks WHERE chain = $1 RETURNING chain";
    SEARCH = search!("(account = $6 OR $6 IS NULL)", "(ip = $5 OR $5 IS NULL)");
    SEARCH_ACCOUNT = search!("account = $6", "(ip = $5 OR $5 IS NULL)");
    SEARCH_IP = search!("(account = $6 OR $6 IS NULL)", "ip = $5");
}

static INDEX_SEVERAL: LazyLock<&str> = LazyLock::new(|| several_rows(INDEX));

impl Store {
    /// Sets a chain's head; one that is not further on than what is there changes nothing.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn put_audit_head(&self, head: &AuditHead) -> Result<(), StoreError> {
        self.write_head(PUT_HEAD, head).await
    }

    /// The same, whatever is there.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn replace_audit_head(&self, head: &AuditHead) -> Result<(), StoreError> {
        self.write_head(REPLACE_HEAD, head).await
    }

    async fn write_head(&self, statement: &'static str, head: &AuditHead) -> Result<(), StoreError> {
        on_pool!(self, |pool| {
            sqlx::query(statement)
                .bind(&head.chain)
                .bind(&head.place)
                .bind(head.sequence)
                .bind(&head.hash)
                .bind(&head.mac)
                .execute(pool)
                .await?;
        })
    }

    /// The heads of all chains.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn audit_heads(&self) -> Result<Vec<AuditHead>, StoreError> {
        on_pool!(self, |pool| sqlx::query_as(HEADS).fetch_all(pool).await?)
    }

    /// How far the index has come, for each chain that it knows.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn audit_marks(&self) -> Result<Vec<AuditMark>, StoreError> {
        on_pool!(self, |pool| sqlx::query_as(MARKS).fetch_all(pool).await?)
    }

    /// Adds records of one chain to the search index and moves its mark from `position` to `mark`. `false`, and
    /// nothing was added, where the mark is elsewhere: somebody else is indexing the same chain.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn index_audit(
        &self,
        position: i64,
        mark: &AuditMark,
        rows: &[AuditRow],
    ) -> Result<bool, StoreError> {
        in_transaction!(self, |connection| {
            sqlx::query(NEW_MARK).bind(&mark.chain).bind(&b""[..]).execute(&mut *connection).await?;
            let moved: Option<String> = sqlx::query_scalar(MOVE_MARK)
                .bind(&mark.chain)
                .bind(position)
                .bind(mark.position)
                .bind(&mark.tail)
                .fetch_optional(&mut *connection)
                .await?;
            if moved.is_none() {
                return Ok(false);
            }
            for (statement, rows) in self.portions(rows, INDEX, *INDEX_SEVERAL) {
                let mut index = sqlx::query(statement);
                for row in rows {
                    index = index
                        .bind(&row.chain)
                        .bind(row.sequence)
                        .bind(row.at)
                        .bind(&row.event)
                        .bind(&row.account)
                        .bind(&row.ip)
                        .bind(&row.outcome)
                        .bind(&row.json);
                }
                index.execute(&mut *connection).await?;
            }
            true
        })
    }

    /// Takes a chain out of the index and its mark away, so that it is indexed again from its beginning.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn forget_audit_index(&self, chain: &str) -> Result<(), StoreError> {
        in_transaction!(self, |connection| {
            // The mark first: it is what those who index wait for.
            sqlx::query(FORGET_MARK).bind(chain).execute(&mut *connection).await?;
            sqlx::query(FORGET_RECORDS).bind(chain).execute(&mut *connection).await?;
        })
    }

    /// Takes a chain that is kept no longer out of the index, and its head away.
    ///
    /// # Errors
    /// [`StoreError`]; what is left is for the next call.
    pub async fn expire_audit_chain(&self, chain: &str) -> Result<(), StoreError> {
        while let Some(first) = self.first_indexed(chain).await? {
            on_pool!(self, |pool| {
                let some = sqlx::query(FORGET_SOME).bind(chain).bind(first.saturating_add(FORGOTTEN_AT_ONCE));
                some.execute(pool).await?;
            })?;
        }
        in_transaction!(self, |connection| {
            // The mark first: it is what those who index wait for.
            sqlx::query(FORGET_MARK).bind(chain).execute(&mut *connection).await?;
            sqlx::query(FORGET_RECORDS).bind(chain).execute(&mut *connection).await?;
            sqlx::query(FORGET_HEAD).bind(chain).execute(&mut *connection).await?;
        })
    }

    async fn first_indexed(&self, chain: &str) -> Result<Option<i64>, StoreError> {
        on_pool!(self, |pool| sqlx::query_scalar(FIRST_INDEXED).bind(chain).fetch_one(pool).await?)
    }

    /// Finds records, newest last; where there are more than the limit, the newest.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn search_audit(&self, query: &AuditQuery) -> Result<Vec<AuditRow>, StoreError> {
        let statement = match query {
            AuditQuery { account: Some(_), .. } => SEARCH_ACCOUNT,
            AuditQuery { ip: Some(_), .. } => SEARCH_IP,
            AuditQuery { .. } => SEARCH,
        };
        let from = query.from.unwrap_or_else(|| Timestamp::from_unix_seconds(0));
        let until = query.until.unwrap_or_else(|| Timestamp::from_unix_seconds(END_OF_TIME));
        let limit = if query.limit == 0 { DEFAULT_LIMIT } else { query.limit };
        let mut rows: Vec<AuditRow> = on_pool!(self, |pool| {
            sqlx::query_as(statement)
                .bind(from)
                .bind(until)
                .bind(&query.event)
                .bind(&query.outcome)
                .bind(&query.ip)
                .bind(&query.account)
                .bind(i64::from(limit))
                .bind(query.without_chains)
                .bind(query.attempts_only)
                .fetch_all(pool)
                .await?
        })?;
        rows.reverse();
        Ok(rows)
    }
}
