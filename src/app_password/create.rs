//! Making an app password.
//!
//! Its text is given out only after the row is durable and the trail says so; of one that could not be
//! recorded no row stays.

use super::candidate::Candidate;
use super::kdf::{Kdf, Stretched};
use super::{AppPasswords, Busy, ProvenMailbox, Scope, row, vault};
use crate::audit::{AuditError, Author, Event};
use crate::base::{Access, AppPasswordId, BadName, ProtocolSet, Secret, given_name, random};
use crate::store::{AccountRecord, AppPasswordRecord, Inserted, StoreError};

/// A fresh app password; its text is shown once and kept nowhere.
#[derive(Debug)]
pub struct Created {
    /// Key of the row.
    pub id: AppPasswordId,
    /// First group.
    pub label: String,
    /// Four groups of four, separated by blanks: `abcd efgh ijkm npqr`.
    pub printed: Secret,
}

/// Why none was made.
#[derive(Debug, thiserror::Error)]
pub enum CreateError {
    /// The name or the scope makes no sense; nothing was tried.
    #[error("{0}")]
    Invalid(&'static str),
    /// The account has as many as policy allows.
    #[error("the account has {0} app passwords already, as many as policy allows")]
    LimitReached(u32),
    /// The account vanished meanwhile.
    #[error("the account is gone")]
    NoAccount,
    /// Argon2 has more to do than it can queue.
    #[error(transparent)]
    Busy(#[from] Busy),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The trail could not be written, so the row was taken away again.
    #[error("no app password was made, because it could not be recorded")]
    Unrecorded(#[source] AuditError),
}

/// `typed` without blanks around it, if it can be a name.
///
/// # Errors
/// Why not, in words for whoever typed it.
pub(super) fn name(typed: &str) -> Result<&str, &'static str> {
    given_name(typed).map_err(|bad| match bad {
        BadName::Empty => "the app password needs a name",
        BadName::Unfit => "the name is longer than 64 characters or holds control characters",
    })
}

impl AppPasswords {
    /// Makes one that may do what `scope` says; `mailbox` is sealed to it where given, for the upstream that took it.
    /// Returned only when its row is durable and recorded.
    ///
    /// # Errors
    /// [`CreateError`]
    pub async fn create(
        &self,
        account: &AccountRecord,
        name: &str,
        scope: &Scope,
        mailbox: Option<ProvenMailbox<'_>>,
        limit: u32,
        by: &Author<'_>,
    ) -> Result<Created, CreateError> {
        let name = self.judge(name, scope)?;
        // Not the last word, which the database has; but nobody makes the workers sweat for nothing.
        if self.store.app_passwords(account.id).await?.len() >= limit as usize {
            return Err(CreateError::LimitReached(limit));
        }
        // Ends: of 1,048,576 labels an account has taken a handful, so that a second draw is rare already.
        loop {
            let (candidate, kdf) = (Candidate::draw(), Kdf::fresh());
            let stretched = self.workers.stretch(kdf.clone(), &candidate).await?;
            let row = self.row(account, name, scope, candidate.label(), &kdf, &stretched, mailbox);
            match self.store.insert_app_password(&row, limit).await? {
                Inserted::Done => {
                    self.record_or_undo(account, &row, scope.access, by).await?;
                    return Ok(Created { id: row.id, label: row.label, printed: candidate.printed() });
                }
                Inserted::LabelTaken => {}
                Inserted::LimitReached => return Err(CreateError::LimitReached(limit)),
                Inserted::NoAccount => return Err(CreateError::NoAccount),
            }
        }
    }

    /// The name without blanks around it.
    fn judge<'a>(&self, name: &'a str, scope: &Scope) -> Result<&'a str, CreateError> {
        let name = self::name(name).map_err(CreateError::Invalid)?;
        if scope.covered().next().is_none() {
            return Err(CreateError::Invalid(match scope.access {
                Access::Full => "an app password for no protocol opens nothing",
                Access::ReadOnly => {
                    "an app password that may only read needs `imap` or `pop3`: it sends nothing"
                }
            }));
        }
        if scope.expires_at.is_some_and(|end| end <= self.clock.now()) {
            return Err(CreateError::Invalid("the app password would have expired already"));
        }
        Ok(name)
    }

    #[expect(clippy::too_many_arguments, reason = "one for each thing that a row is made of")]
    fn row(
        &self,
        account: &AccountRecord,
        name: &str,
        scope: &Scope,
        label: &str,
        kdf: &Kdf,
        stretched: &Stretched,
        mailbox: Option<ProvenMailbox<'_>>,
    ) -> AppPasswordRecord {
        let created_at = self.clock.now();
        let mut row = AppPasswordRecord {
            id: AppPasswordId(random::uuid(created_at)),
            account: account.id,
            label: label.to_owned(),
            name: name.to_owned(),
            kdf: kdf.to_string(),
            proof: stretched.proof().to_vec(),
            public_key: stretched.key_pair().1.to_vec(),
            sealed: None,
            sealed_version: 0,
            sealed_at: mailbox.map(|mailbox| mailbox.at),
            upstream: mailbox.map_or(&account.upstream, |mailbox| mailbox.upstream).clone(),
            // What it is not for is not listed either.
            protocols: scope.covered().collect::<ProtocolSet>().to_string(),
            networks: scope.networks.to_string(),
            access: scope.access.to_string(),
            expires_at: scope.expires_at,
            created_at,
            last_used_at: None,
            last_used_address: None,
            last_used_program: None,
            stale_since: None,
            probes: 0,
            next_probe_at: None,
            mac: Vec::new(),
        };
        #[expect(clippy::expect_used, reason = "a public key made from a private key is never of low order")]
        let sealed = mailbox.map(|mailbox| {
            vault::seal(&row.public_key, mailbox.password, row::binding(&row))
                .expect("a good public key seals")
        });
        row.sealed = sealed;
        row.mac = row::mac(&self.key, &row).to_vec();
        row
    }

    async fn record_or_undo(
        &self,
        account: &AccountRecord,
        row: &AppPasswordRecord,
        access: Access,
        by: &Author<'_>,
    ) -> Result<(), CreateError> {
        let recorded = by.record(|by| Event::AppPasswordCreated {
            account: account.address.to_string(),
            id: row.id,
            label: row.label.clone(),
            name: row.name.clone(),
            read_only: access == Access::ReadOnly,
            by,
        });
        let Err(unrecorded) = recorded.await else {
            return Ok(());
        };
        if let Err(error) = self.store.delete_app_password(row.account, row.id).await {
            // It stays in lists, but nobody was ever told its text.
            tracing::warn!(app_password.id = %row.id, %error, "cannot take back an app password that was not recorded");
        }
        Err(CreateError::Unrecorded(unrecorded))
    }
}
