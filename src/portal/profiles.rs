//! Getting a fresh app password into a phone or a Mac without typing it: it waits behind a link, for five minutes, to be
//! fetched once.
//!
//! Whoever holds the link may fetch it, signed in or not: the link is shown where the app password itself is shown. What
//! waits is encrypted under a key that follows from the link and the site's key file, so that neither the database nor
//! both together open it.

use std::time::Duration;

use super::{Broken, Fresh, Portal};
use crate::app_password::{Created, Scope};
use crate::audit::Event;
use crate::base::key::Purpose;
use crate::base::{AccountId, AppPasswordId, Protocol, Secret, Token, UpstreamName, aead};
use crate::gate::Browser;
use crate::store::{AccountState, ProfileRecord};

/// How long it waits.
pub const WAITS: Duration = Duration::from_secs(5 * 60);

/// How many wait for one account; the oldest makes room. One app password is put into one device at a time.
const WAITING_MAX: u32 = 3;

const LINK: &str = "mailward 1 link of a profile";

/// What a device sets itself up with.
pub struct Profile {
    /// Whose.
    pub account: AccountId,
    /// Which app password it is.
    pub app_password: AppPasswordId,
    /// Where its mailbox is.
    pub upstream: UpstreamName,
    /// The user name and mail address.
    pub address: String,
    /// The app password as it is printed.
    pub password: Secret,
}

impl Portal {
    /// Lets the app password that was just made wait behind a link. `None` where no device could be set up with it: it has
    /// to receive over IMAP and to send, now and not only once a factor is bound.
    ///
    /// # Errors
    /// [`Broken`]; the app password is as good as without.
    pub async fn offer_profile(
        &self,
        fresh: Fresh<'_>,
        created: &Created,
        scope: &Scope,
    ) -> Result<Option<Token>, Broken> {
        let Fresh(visit) = fresh;
        let (settings, upstream) = (self.settings(), self.upstream_of_account(&visit.account));
        let can = |protocol| settings.best_door(protocol, &upstream).is_some() && scope.covers(protocol);
        if !can(Protocol::Imap) || !can(Protocol::Smtp) || self.app_passwords_rest(visit) {
            return Ok(None);
        }
        let (link, now) = (Token::fresh(), self.on.clock.now());
        let mut record = ProfileRecord {
            id: link.hash().to_vec(),
            account: visit.account.id,
            app_password: created.id,
            made_at: now,
            expires_at: now.plus(WAITS),
            sealed: Vec::new(),
        };
        record.sealed = aead::seal(&self.key_of(&link), &binding(&record), &created.printed);
        if !self.on.store.keep_profile(&record, WAITING_MAX).await? {
            return Ok(None);
        }
        let by = self.owner(&visit.from);
        let (account, label) = (visit.account.address.to_string(), created.label.clone());
        let recorded = by.record(|by| Event::ProfileMade { account, id: created.id, label, by }).await;
        recorded.map_err(|error| super::broken(&error))?;
        Ok(Some(link))
    }

    /// Whose device would be set up by what waits behind `link`; `None` where nothing does. It stays.
    ///
    /// # Errors
    /// [`Broken`]
    pub async fn profile_waits(&self, link: &Token) -> Result<Option<String>, Broken> {
        let Some(record) = self.on.store.profile(&link.hash(), self.on.clock.now()).await? else {
            return Ok(None);
        };
        let standing = self.on.store.standing_of(record.account).await?;
        Ok(standing.map(|standing| standing.account.address.to_string()))
    }

    /// Takes out what waits behind `link`: of many at once exactly one gets it, and it is given out only when the trail
    /// says so. `None` where nothing waits, or not any more.
    ///
    /// # Errors
    /// [`Broken`]
    pub async fn fetch_profile(&self, link: &Token, from: &Browser) -> Result<Option<Profile>, Broken> {
        let (store, id) = (&self.on.store, link.hash());
        // All that may fail is read before it is gone.
        let Some(record) = store.profile(&id, self.on.clock.now()).await? else { return Ok(None) };
        let rows = self.on.app_passwords.list(record.account).await?;
        let Some(row) = rows.into_iter().find(|row| row.id == record.app_password) else { return Ok(None) };
        let Some(standing) = store.standing_of(record.account).await? else { return Ok(None) };
        if standing.account.state != AccountState::Active {
            return Ok(None);
        }
        let Some(password) = aead::open(&self.key_of(link), &binding(&record), &record.sealed) else {
            tracing::error!(account = %standing.account.address, "a profile was changed by somebody else");
            return Ok(None);
        };
        if store.take_profile(&id, self.on.clock.now()).await?.as_ref() != Some(&record) {
            return Ok(None);
        }
        let fetched = Event::ProfileFetched {
            account: standing.account.address.to_string(),
            id: row.id,
            label: row.label,
            ip: from.address,
            browser: from.name.clone(),
        };
        self.on.audit.append(fetched).await.map_err(|error| super::broken(&error))?;
        Ok(Some(Profile {
            account: record.account,
            app_password: record.app_password,
            address: standing.account.address.to_string(),
            upstream: self.upstream_of_account(&standing.account),
            password,
        }))
    }

    /// The link's part and the site's: whoever can write the database makes no profile either.
    fn key_of(&self, link: &Token) -> Secret {
        Secret::new(self.on.key.mac(Purpose::Profile, &[link.derive(LINK).expose()]).to_vec())
    }
}

/// What it was sealed for: of none of these another can be put in its place. All but the last have one length.
fn binding(record: &ProfileRecord) -> Vec<u8> {
    let ends = record.expires_at.unix_micros().to_be_bytes();
    [record.account.0.as_bytes(), record.app_password.0.as_bytes(), &ends[..], &record.id].concat()
}
