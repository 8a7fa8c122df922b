//! Hearing of changes and acting on them, for all processes alike: the one that made a change hears of it the same
//! way.
//!
//! In this order: the change is noted, so that who is just entering reads the store again; proofs of the account are
//! forgotten, so that none passes alone while the database is away; then sessions end. While the database is away
//! sessions go on, and what could not be judged is judged when it is back.

use std::collections::HashSet;
use std::error::Error;
use std::time::Duration;

use super::feed::{Feed, News};
use super::over::why_over;
use super::{Cause, Session};
use crate::base::{AccountId, Address, Monotonic, Timestamp};
use crate::gate::authenticator::Gate;
use crate::store::{AppPasswordRecord, Change, Standing, Store, StoreError};

/// How often old changes are deleted.
const PRUNE_EVERY: Duration = Duration::from_secs(60);

/// What is left to do, from one look to the next.
pub(in crate::gate) struct Ear {
    feed: Feed,
    /// Accounts whose sessions are still to be judged.
    unjudged: HashSet<AccountId>,
    /// Accounts may have been moved to other upstreams.
    moves_unread: bool,
    /// The last look failed, and was reported.
    deaf: bool,
    pruned_at: Option<Monotonic>,
}

/// What the sessions of an account rest on, now.
struct Ground {
    standing: Option<Standing>,
    app_passwords: Vec<AppPasswordRecord>,
}

impl Ear {
    /// That has heard nothing of `store` yet.
    pub(in crate::gate) fn new(store: &Store) -> Self {
        let feed = Feed::new(store.changes_settle_in());
        Self { feed, unjudged: HashSet::new(), moves_unread: false, deaf: false, pruned_at: None }
    }
}

impl Gate {
    /// Looks once for changes, and does what follows.
    pub(in crate::gate) async fn hear_changes(&self) {
        let mut ear = self.ear.lock().await;
        let begun = self.now();
        ear.unjudged.extend(std::mem::take(&mut *self.to_judge()));
        let heard = self.hear(&mut ear).await;
        let was_deaf = std::mem::replace(&mut ear.deaf, heard.is_err());
        if heard.is_ok() {
            self.hearing.heard_all_until(begun);
        }
        match heard {
            Ok(()) if was_deaf => tracing::info!("changes are heard of again"),
            Err(error) if !was_deaf => tracing::warn!(
                error = &error as &dyn Error,
                "the database does not say what was changed: sessions go on until it does"
            ),
            Ok(()) | Err(_) => {}
        }
    }

    async fn hear(&self, ear: &mut Ear) -> Result<(), StoreError> {
        let news = loop {
            let rows = self.store.changes_from(ear.feed.from()).await?;
            match ear.feed.take(rows, self.now()) {
                News::Lost => {}
                news @ (News::Changes(_) | News::Unheard) => break news,
            }
        };
        match news {
            News::Changes(changes) => {
                if changes.iter().any(|change| change.session.is_none()) {
                    ear.moves_unread = true;
                }
                self.act_on(&changes, &mut ear.unjudged);
            }
            News::Unheard | News::Lost => {
                ear.moves_unread = true;
                self.registry.note_unheard_changes();
                self.proofs().forget_all();
                ear.unjudged.extend(self.registry.accounts());
            }
        }
        if ear.moves_unread {
            self.hear_moves().await?;
            ear.moves_unread = false;
        }
        let mut unreadable = None;
        for account in ear.unjudged.iter().copied().collect::<Vec<_>>() {
            match self.judge_again(account).await {
                Ok(()) => drop(ear.unjudged.remove(&account)),
                // Others wait for no row that nobody can read.
                Err(error @ StoreError::Corrupt(_)) => unreadable = Some(error),
                Err(error) => return Err(error),
            }
        }
        if ear.pruned_at.is_none_or(|at| self.now().since(at) >= PRUNE_EVERY) {
            self.store.prune_changes().await?;
            ear.pruned_at = Some(self.now());
        }
        unreadable.map_or(Ok(()), Err)
    }

    fn act_on(&self, changes: &[Change], unjudged: &mut HashSet<AccountId>) {
        let of_accounts = changes.iter().filter(|change| change.session.is_none());
        let accounts: HashSet<AccountId> = of_accounts.map(|change| change.account).collect();
        if !accounts.is_empty() {
            self.registry.note_changes(accounts.iter().copied());
            self.proofs().forget_accounts(&accounts);
        }
        for change in changes {
            let cause = change.reason.as_deref().and_then(Cause::parse);
            match (change.session, cause) {
                (Some(id), cause) => {
                    // A later version may have another word for it; that it must end is certain.
                    let cause = cause.unwrap_or(Cause::EndedByAdmin);
                    self.registry.end(change.account, cause, |session| session.id == id);
                }
                (None, Some(cause)) => {
                    self.registry.end(change.account, cause, |session| cause.concerns(session));
                }
                (None, None) => drop(unjudged.insert(change.account)),
            }
        }
    }

    /// Ends those sessions of `account` that rest on nothing any more.
    async fn judge_again(&self, account: AccountId) -> Result<(), StoreError> {
        let sessions = self.registry.of_account(account);
        let Some(first) = sessions.first() else { return Ok(()) };
        let ground = self.ground(account, &first.address).await?;
        for session in &sessions {
            match self.until_when(session, &ground) {
                Err(cause) => self.registry.end(account, cause, |one| one.id == session.id),
                Ok(expiry) => self.registry.expire_at(session, expiry),
            }
        }
        Ok(())
    }

    /// Why one session must not go on, if it must not, read now.
    pub(in crate::gate) async fn must_end(&self, session: &Session) -> Result<Option<Cause>, StoreError> {
        let ground = self.ground(session.account, &session.address).await?;
        Ok(self.until_when(session, &ground).err())
    }

    async fn ground(&self, account: AccountId, address: &Address) -> Result<Ground, StoreError> {
        let standing = self.store.standing(address).await?;
        Ok(Ground { standing, app_passwords: self.store.app_passwords(account).await? })
    }

    /// When the app password of `session` expires, if it does; or why the session must not go on.
    fn until_when(&self, session: &Session, ground: &Ground) -> Result<Option<Timestamp>, Cause> {
        let row = ground.app_passwords.iter().find(|row| Some(row.id) == session.app_password);
        let scope = row.and_then(|row| match self.app_passwords.scope(row) {
            Ok(scope) => Some(scope),
            // It proves nothing any more, so nothing rests on it.
            Err(why) => {
                tracing::error!(
                    account = %session.address,
                    app_password.id = %row.id,
                    reason = %why,
                    "an app password no longer stands, and its sessions end: the database was changed by somebody else"
                );
                None
            }
        });
        let now = self.desk.clock.now();
        let standing = ground.standing.as_ref();
        let upstream = standing.and_then(|standing| self.rules().upstream_now(&session.address, standing));
        match why_over(session, standing, upstream.as_ref(), scope.as_ref(), now) {
            Some(cause) => Err(cause),
            None => Ok(scope.and_then(|scope| scope.expires_at)),
        }
    }
}
