//! Sealing a changed mailbox password again, to all app passwords of an account.
//!
//! The public keys come from the database, so each row's MAC is checked first: a key that somebody swapped in
//! never has a mailbox password sealed to it.

use super::{AppPasswords, row, vault};
use crate::base::{AccountId, AppPasswordId, Password, UpstreamName};
use crate::store::{AppPasswordRecord, StoreError};

/// How often a row is read again that somebody else re-sealed meanwhile.
const ROUNDS: usize = 8;

impl AppPasswords {
    /// Seals a changed mailbox password, just proven at `upstream`, to every app password of the account;
    /// needs no app password. Rows that must not have it, because their MAC is wrong or they belong to another
    /// upstream, are left alone and returned.
    ///
    /// # Errors
    /// [`StoreError`]; then some may be sealed and some not, and doing it again is safe.
    pub async fn reseal(
        &self,
        account: AccountId,
        upstream: &UpstreamName,
        mailbox: &Password,
    ) -> Result<Vec<AppPasswordId>, StoreError> {
        let (mut done, mut left_alone) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            let mut overtaken = false;
            for row in self.store.app_passwords(account).await? {
                if done.contains(&row.id) || left_alone.contains(&row.id) {
                    continue;
                }
                let Some(next) = self.sealed_again(&row, account, upstream, mailbox) else {
                    left_alone.push(row.id);
                    continue;
                };
                let sealed = next.sealed.as_deref().unwrap_or_default();
                if self.store.reseal_app_password(row.id, row.sealed_version, sealed, &next.mac).await? {
                    done.push(row.id);
                } else {
                    overtaken = true;
                }
            }
            if !overtaken {
                break;
            }
        }
        Ok(left_alone)
    }

    /// `row` with `mailbox` sealed in it, one version on; `None` where it must not have it.
    fn sealed_again(
        &self,
        row: &AppPasswordRecord,
        account: AccountId,
        upstream: &UpstreamName,
        mailbox: &Password,
    ) -> Option<AppPasswordRecord> {
        row::check(&self.key, row).ok()?;
        if row.account != account || row.upstream != *upstream {
            return None;
        }
        let mut next =
            AppPasswordRecord { sealed_version: row.sealed_version.checked_add(1)?, ..row.clone() };
        next.sealed = Some(vault::seal(&next.public_key, mailbox, row::binding(&next))?);
        next.mac = row::mac(&self.key, &next).to_vec();
        Some(next)
    }
}
