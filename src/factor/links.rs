//! Enrolment links: an administrator's leave to bind a first factor, for who may not bind one with the mailbox password
//! alone.
//!
//! Whoever holds a link can do nothing with it but bind for the one account it was made for, after signing in to that with its
//! mailbox password. Rows carry a MAC, so that whoever can write the database alone gives nobody leave.

use std::time::Duration;

use super::Factors;
use crate::audit::{AuditError, Author, Event};
use crate::base::key::Purpose;
use crate::base::{Timestamp, Token};
use crate::store::{AccountRecord, EnrolmentLinkRecord, LinkKept, StoreError};

/// Why there is no link.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// The account has a factor: a link is for the first one.
    #[error("a second factor is bound already")]
    Bound,
    /// The account vanished meanwhile.
    #[error("the account is gone")]
    NoAccount,
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The trail could not be written; nothing was given or used up.
    #[error("it could not be recorded")]
    Unrecorded(#[from] AuditError),
}

impl Factors {
    /// Makes a link for the account, good for `time`, in the place of any other: what it holds, and until when.
    ///
    /// # Errors
    /// [`LinkError`]
    pub async fn invite(
        &self,
        account: &AccountRecord,
        time: Duration,
        by: &Author<'_>,
    ) -> Result<(Token, Timestamp), LinkError> {
        let now = self.clock.now();
        let (token, until) = (Token::fresh(), now.plus(time));
        let mut link = EnrolmentLinkRecord {
            account: account.id,
            token: token.hash().to_vec(),
            made_at: now,
            expires_at: until,
            mac: Vec::new(),
        };
        link.mac = with_parts(&link, |parts| self.key.mac(Purpose::EnrolmentLink, parts)).to_vec();
        match self.store.put_enrolment_link(&link).await? {
            LinkKept::Kept => {}
            LinkKept::Bound => return Err(LinkError::Bound),
            LinkKept::NoAccount => return Err(LinkError::NoAccount),
        }
        let address = account.address.to_string();
        let recorded = by.record(|by| Event::EnrolmentLinkMade { account: address, until, by });
        if let Err(unrecorded) = recorded.await {
            self.store.take_enrolment_link(account.id, &link.token).await?;
            return Err(unrecorded.into());
        }
        Ok((token, until))
    }

    /// The link that `token` is for this account, if it is good now.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn invitation(
        &self,
        account: &AccountRecord,
        token: &Token,
    ) -> Result<Option<EnrolmentLinkRecord>, StoreError> {
        let link = self.store.enrolment_link(account.id, &token.hash()).await?;
        let Some(link) = link.filter(|link| link.expires_at > self.clock.now()) else { return Ok(None) };
        if !with_parts(&link, |parts| self.key.verify(Purpose::EnrolmentLink, parts, &link.mac)) {
            tracing::error!(account = %account.address, "an enrolment link was changed by somebody else");
            return Ok(None);
        }
        Ok(Some(link))
    }

    /// Uses `link` up, on record; `false` where somebody else has, a moment ago.
    ///
    /// # Errors
    /// [`LinkError`]
    pub async fn use_invitation(
        &self,
        account: &AccountRecord,
        link: &EnrolmentLinkRecord,
        by: &Author<'_>,
    ) -> Result<bool, LinkError> {
        if !self.store.take_enrolment_link(account.id, &link.token).await? {
            return Ok(false);
        }
        let address = account.address.to_string();
        if let Err(unrecorded) = by.record(|by| Event::EnrolmentLinkUsed { account: address, by }).await {
            self.give_invitation_back(link).await?;
            return Err(unrecorded.into());
        }
        Ok(true)
    }

    /// Nothing was bound with it after all.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn give_invitation_back(&self, link: &EnrolmentLinkRecord) -> Result<(), StoreError> {
        self.store.put_enrolment_link(link).await?;
        Ok(())
    }
}

fn with_parts<T>(link: &EnrolmentLinkRecord, then: impl FnOnce(&[&[u8]]) -> T) -> T {
    then(&[
        link.account.0.as_bytes(),
        &link.token,
        &link.made_at.unix_micros().to_be_bytes(),
        &link.expires_at.unix_micros().to_be_bytes(),
    ])
}
