//! Sealing a mailbox password again, to all app passwords of an account.
//!
//! The public keys come from the database, so each row's MAC is checked first: a key that somebody swapped in
//! never has a mailbox password sealed to it. An app password belongs to its account: where the account moved to
//! another upstream, the seal moves with it.

use super::{AppPasswords, ProvenMailbox, Tampered, row, vault};
use crate::audit::{AuditError, Author, Event};
use crate::base::{AccountId, Address};
use crate::store::{AppPasswordRecord, StoreError};

/// How often a row is read again that somebody else re-sealed meanwhile.
const ROUNDS: usize = 8;

/// What became of the app passwords of an account.
#[derive(Debug, Default)]
pub struct Resealed {
    /// Those that hold the mailbox password now.
    pub sealed: Vec<AppPasswordRecord>,
    /// Those that must not have it, or could not get it.
    pub left_alone: Vec<LeftAlone>,
}

/// An app password that was not re-sealed.
#[derive(Debug)]
pub struct LeftAlone {
    /// Which, as it was read; not to be believed.
    pub row: AppPasswordRecord,
    /// Why.
    pub why: WhyLeftAlone,
}

/// Why an app password was not re-sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WhyLeftAlone {
    /// Somebody changed it, or this version cannot read it.
    #[error(transparent)]
    Tampered(#[from] Tampered),
    /// Somebody else re-sealed it each time.
    #[error("others kept re-sealing it")]
    Overtaken,
}

/// Why not all that could be re-sealed was, or not as it should be.
#[derive(Debug, thiserror::Error)]
pub enum ResealError {
    /// The database. Some may be re-sealed; doing it again is safe.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// They are re-sealed, but the trail could not be written.
    #[error("re-sealed, but it could not be recorded")]
    Unrecorded(#[from] AuditError),
}

impl AppPasswords {
    /// Seals a mailbox password, just proven, to every app password of the account; needs no app password. None of
    /// those is stale any more.
    ///
    /// # Errors
    /// [`ResealError`]
    pub async fn reseal(
        &self,
        account: AccountId,
        address: &Address,
        mailbox: ProvenMailbox<'_>,
        by: &Author<'_>,
    ) -> Result<Resealed, ResealError> {
        let resealed = self.seal_to_all(account, mailbox).await?;
        if !resealed.sealed.is_empty() {
            let recorded = by.record(|by| Event::MailboxPasswordResealed {
                account: address.to_string(),
                upstream: mailbox.upstream.clone(),
                labels: resealed.sealed.iter().map(|row| row.label.clone()).collect(),
                by,
            });
            recorded.await?;
        }
        Ok(resealed)
    }

    async fn seal_to_all(
        &self,
        account: AccountId,
        mailbox: ProvenMailbox<'_>,
    ) -> Result<Resealed, StoreError> {
        let mut resealed = Resealed::default();
        let mut overtaken = Vec::new();
        for _ in 0..ROUNDS {
            overtaken.clear();
            for row in self.store.app_passwords(account).await? {
                if resealed.knows(&row) {
                    continue;
                }
                match self.sealed_again(&row, mailbox) {
                    Ok(next) if self.store.reseal_app_password(&next).await? => resealed.sealed.push(next),
                    Ok(_) => overtaken.push(row),
                    Err(why) => resealed.left_alone.push(LeftAlone { row, why: why.into() }),
                }
            }
            if overtaken.is_empty() {
                break;
            }
        }
        let overtaken = overtaken.into_iter().map(|row| LeftAlone { row, why: WhyLeftAlone::Overtaken });
        resealed.left_alone.extend(overtaken);
        Ok(resealed)
    }

    /// `row` with `mailbox` sealed in it, one version on.
    fn sealed_again(
        &self,
        row: &AppPasswordRecord,
        mailbox: ProvenMailbox<'_>,
    ) -> Result<AppPasswordRecord, Tampered> {
        row::check(&self.key, row)?;
        let mut next = AppPasswordRecord {
            sealed_version: row.sealed_version.checked_add(1).ok_or(Tampered::Unreadable)?,
            upstream: mailbox.upstream.clone(),
            sealed_at: Some(mailbox.at),
            stale_since: None,
            probes: 0,
            next_probe_at: None,
            ..row.clone()
        };
        let sealed = vault::seal(&next.public_key, mailbox.password, row::binding(&next));
        next.sealed = Some(sealed.ok_or(Tampered::Unreadable)?);
        next.mac = row::mac(&self.key, &next).to_vec();
        Ok(next)
    }
}

impl Resealed {
    fn knows(&self, row: &AppPasswordRecord) -> bool {
        let mut known = self.sealed.iter().chain(self.left_alone.iter().map(|left| &left.row));
        known.any(|known| known.id == row.id)
    }
}
