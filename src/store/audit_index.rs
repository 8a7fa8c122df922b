//! `audit_blocks`, `audit_keys`, `audit_marks`: the search index over all chains, in blocks of their records, and how far into
//! each it has come.
//!
//! The files are the truth; every row here can be made again from them.

use std::ops::Range;
use std::sync::LazyLock;

use super::audit_block::{AuditBatch, all_before, keys_of, matches, narrowest_key, numbers};
use super::several::{Together, one_for};
use super::{AuditMark, AuditQuery, AuditRow, Store, StoreError};
use super::{in_transaction, name_statements, on_pool};

/// What a search returns at most where its `limit` is 0.
const DEFAULT_LIMIT: u32 = 1_000;

/// Blocks that a search reads at once: a MiB or so.
const READ_AT_ONCE: usize = 32;

/// Blocks of a chain that are taken away at once: whoever logs in meanwhile waits behind them.
const FORGOTTEN_AT_ONCE: i64 = 64;

name_statements! {
    MARKS = "SELECT chain, position, tail FROM audit_marks ORDER BY chain";
    NEW_MARK = "INSERT INTO audit_marks (chain, position, tail) VALUES ($1, 0, $2) ON CONFLICT (chain) DO NOTHING";
    MOVE_MARK = "UPDATE audit_marks SET position = $3, tail = $4 WHERE chain = $1 AND position = $2 RETURNING chain";
    /// Who is adding to the chain meanwhile finds its mark elsewhere.
    VOID_MARK = "UPDATE audit_marks SET position = 0, tail = $2 WHERE chain = $1 RETURNING chain";
    FORGET_MARK = "DELETE FROM audit_marks WHERE chain = $1 RETURNING chain";
    FORGET_HEAD = "DELETE FROM audit_heads WHERE chain = $1";
    LAST_INDEXED = "SELECT MAX(last) FROM audit_blocks WHERE chain = $1";
    ADD_BLOCK = "INSERT INTO audit_blocks (number, chain, last, lines) VALUES ($1, $2, $3, $4) \
                 ON CONFLICT (number) DO NOTHING RETURNING number";
    ADD_KEY = "INSERT INTO audit_keys (key, block) VALUES ($1, $2)";
    FIRST_BLOCKS = "SELECT number, chain, lines FROM audit_blocks WHERE chain = $1 ORDER BY last LIMIT $2";
    FORGET_KEY = "DELETE FROM audit_keys WHERE key = $1 AND block = $2";
    FORGET_BLOCK = "DELETE FROM audit_blocks WHERE number = $1";
    BLOCKS = "SELECT number, chain, lines FROM audit_blocks WHERE number >= $1 AND number < $2 \
              ORDER BY number DESC LIMIT $3";
    BLOCKS_BY_KEY = "SELECT b.number, b.chain, b.lines FROM audit_keys AS k \
                     JOIN audit_blocks AS b ON b.number = k.block \
                     WHERE k.key = $4 AND k.block >= $1 AND k.block < $2 ORDER BY k.block DESC LIMIT $3";
}

static ADD_KEYS: LazyLock<[Together; 2]> = LazyLock::new(|| {
    [128, 16].map(|rows| one_for(rows, "INSERT INTO audit_keys (key, block) VALUES ", "($1, $2)", ", ", ""))
});
static FORGET_KEYS: LazyLock<[Together; 1]> =
    LazyLock::new(|| [one_for(32, "DELETE FROM audit_keys WHERE ", "(key = $1 AND block = $2)", " OR ", "")]);

/// No file begins with that: whoever finds it knows that the index of the chain is being taken away, and goes on with it.
const VOID: &[u8] = b"\xff";

/// A block as it is read: number, chain, lines.
type Read = (i64, String, String);

impl Store {
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
        records: AuditBatch,
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
            let last = sqlx::query_scalar(LAST_INDEXED).bind(&mark.chain).fetch_one(&mut *connection);
            let last: Option<i64> = last.await?;
            let mut keys = Vec::new();
            for block in records.behind(last) {
                let number: i64 = loop {
                    let add = sqlx::query_scalar(ADD_BLOCK).bind(block.draw_number()).bind(&mark.chain);
                    let add = add.bind(block.last).bind(&block.lines).fetch_optional(&mut *connection);
                    if let Some(number) = add.await? {
                        break number;
                    }
                };
                keys.extend(block.keys.into_iter().map(|key| (key, number)));
            }
            // In their order, so that those which lie beside each other are written together.
            keys.sort_unstable();
            for (statement, keys) in self.portions(&keys, ADD_KEY, &*ADD_KEYS) {
                let mut add = sqlx::query(statement);
                for (key, block) in keys {
                    add = add.bind(*key).bind(*block);
                }
                add.execute(&mut *connection).await?;
            }
            true
        })
    }

    /// Takes a chain out of the index and its mark away, so that it is indexed again from its beginning.
    ///
    /// # Errors
    /// [`StoreError`]; whoever indexes the chain next goes on with it.
    pub async fn forget_audit_index(&self, chain: &str) -> Result<(), StoreError> {
        self.forget_chain(chain, &[FORGET_MARK]).await
    }

    /// Takes a chain that is kept no longer out of the index, and its head away.
    ///
    /// # Errors
    /// [`StoreError`]; what is left is for the next call.
    pub async fn expire_audit_chain(&self, chain: &str) -> Result<(), StoreError> {
        self.forget_chain(chain, &[FORGET_MARK, FORGET_HEAD]).await
    }

    /// Takes away all blocks of `chain`, and what `last` says with the last of them. A long chain takes longer than one
    /// transaction may, so it goes in portions, each of which makes the mark void.
    async fn forget_chain(&self, chain: &str, last: &[&'static str]) -> Result<(), StoreError> {
        while in_transaction!(self, |connection| {
            // First, as whoever indexes: two of them wait for each other there, and nowhere else.
            sqlx::query(VOID_MARK).bind(chain).bind(VOID).execute(&mut *connection).await?;
            let some = sqlx::query_as(FIRST_BLOCKS).bind(chain).bind(FORGOTTEN_AT_ONCE);
            let some: Vec<Read> = some.fetch_all(&mut *connection).await?;
            let keys = some.iter().flat_map(|(number, _, lines)| {
                let number = *number;
                keys_of(lines).into_iter().map(move |key| (key, number))
            });
            let keys: Vec<(i64, i64)> = keys.collect();
            for (statement, keys) in self.portions(&keys, FORGET_KEY, &*FORGET_KEYS) {
                let mut forget = sqlx::query(statement);
                for (key, block) in keys {
                    forget = forget.bind(*key).bind(*block);
                }
                forget.execute(&mut *connection).await?;
            }
            for (number, _, _) in &some {
                sqlx::query(FORGET_BLOCK).bind(number).execute(&mut *connection).await?;
            }
            if some.is_empty() {
                for statement in last {
                    sqlx::query(*statement).bind(chain).execute(&mut *connection).await?;
                }
            }
            !some.is_empty()
        })? {}
        Ok(())
    }

    /// Finds records, newest last; where there are more than the limit, the newest.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn search_audit(&self, query: &AuditQuery) -> Result<Vec<AuditRow>, StoreError> {
        let limit = if query.limit == 0 { DEFAULT_LIMIT } else { query.limit };
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let mut left = numbers(query.from, query.until);
        let mut found: Vec<AuditRow> = Vec::new();
        loop {
            let blocks = self.read_blocks(&left, narrowest_key(query)).await?;
            found.extend(blocks.iter().flat_map(|(_, chain, lines)| matches(query, chain, lines)));
            // What was found before is sorted already, which this way of sorting makes use of.
            found.sort_by(|one, other| other.place_in_time().cmp(&one.place_in_time()));
            found.truncate(limit);
            let Some((lowest, _, _)) = blocks.last().filter(|_| blocks.len() == READ_AT_ONCE) else { break };
            // What is left cannot be newer than the oldest that was found.
            if found.len() == limit && found.last().is_some_and(|row| row.at >= all_before(*lowest)) {
                break;
            }
            left.end = *lowest;
        }
        found.reverse();
        Ok(found)
    }

    /// The blocks with the highest numbers, highest first.
    async fn read_blocks(&self, among: &Range<i64>, key: Option<i64>) -> Result<Vec<Read>, StoreError> {
        let count = i64::try_from(READ_AT_ONCE).unwrap_or(i64::MAX);
        on_pool!(self, |pool| match key {
            Some(key) => {
                let read = sqlx::query_as(BLOCKS_BY_KEY).bind(among.start).bind(among.end).bind(count);
                read.bind(key).fetch_all(pool).await?
            }
            None => {
                let read = sqlx::query_as(BLOCKS).bind(among.start).bind(among.end).bind(count);
                read.fetch_all(pool).await?
            }
        })
    }
}
