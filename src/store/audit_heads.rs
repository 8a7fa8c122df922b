//! `audit_heads`: where the chain of each process ends.

use super::{AuditHead, Store, StoreError};
use super::{name_statements, on_pool};

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
}

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
}
