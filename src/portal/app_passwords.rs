//! Making, renaming and revoking app passwords.

use super::session::mailbox;
use super::{Broken, Enrolment, Fresh, Inside, Portal, Visit, doer};
use crate::app_password::{CreateError, Created, ProvenMailbox, RenameError, RevokeError, Scope};
use crate::base::{Access, AppPasswordId};
use crate::notify::Notice;
use crate::store::AppPasswordRecord;

/// What somebody wants.
pub struct NewAppPassword<'a> {
    /// What to call it.
    pub name: &'a str,
    /// What it may do.
    pub scope: Scope,
}

/// Why no app password was made or changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoAppPassword {
    /// Name or scope make no sense.
    #[error("{0}")]
    Invalid(&'static str),
    /// There are as many as policy allows.
    #[error("there are {0} already, as many as there may be")]
    LimitReached(u32),
    /// None is made here before a first factor is bound, because that could not be bound here either.
    #[error("none is made here before a first factor is bound")]
    Elsewhere,
    /// The mailbox password is needed, and this session has none.
    #[error("the mailbox password is needed")]
    NeedsMailboxPassword,
    /// There is none with this id.
    #[error("there is no such app password")]
    NotFound,
    /// Many are being made: once more, in a moment.
    #[error("too many are being made")]
    Busy,
    /// Something does not work.
    #[error(transparent)]
    Broken(#[from] Broken),
}

impl Portal {
    /// Makes one; its text is returned once.
    ///
    /// # Errors
    /// [`NoAppPassword`]
    pub async fn create_app_password(
        &self,
        fresh: Fresh<'_>,
        wanted: &NewAppPassword<'_>,
    ) -> Result<Created, NoAppPassword> {
        let Fresh(visit) = fresh;
        // What is made with nothing but the mailbox password outlasts the first binding.
        if self.enrolment(fresh.inside()).await? != Enrolment::Open {
            return Err(NoAppPassword::Elsewhere);
        }
        let settings = self.settings();
        let held = mailbox(visit);
        let upstream = match &held {
            Some((_, upstream, _)) => upstream.clone(),
            None => self.upstream_of_account(&visit.account),
        };
        let mailbox = match (&held, settings.seals(&upstream)) {
            (_, false) => None,
            (None, true) => return Err(NoAppPassword::NeedsMailboxPassword),
            (Some((password, upstream, at)), true) => Some(ProvenMailbox { password, upstream, at: *at }),
        };
        let limit = settings.policy(&visit.account).app_passwords_per_account;
        let by = self.owner(&visit.from);
        let created =
            self.on.app_passwords.create(&visit.account, wanted.name, &wanted.scope, mailbox, limit, &by);
        let created = created.await.map_err(|error| match error {
            CreateError::Invalid(why) => NoAppPassword::Invalid(why),
            CreateError::LimitReached(limit) => NoAppPassword::LimitReached(limit),
            CreateError::Busy(_) => NoAppPassword::Busy,
            error @ (CreateError::NoAccount | CreateError::Store(_) | CreateError::Unrecorded(_)) => {
                NoAppPassword::from(super::broken(&error))
            }
        })?;
        // Whoever locked everything meanwhile ended this session first, and has not seen this one.
        if !self.lives(&visit.record.token).await? {
            let revoked = self.on.app_passwords.revoke(&visit.account, created.id, &by).await;
            revoked.map_err(|error| super::broken(&error))?;
            return Err(Broken.into());
        }
        let notice = Notice::AppPasswordCreated {
            name: wanted.name.trim().to_owned(),
            label: created.label.clone(),
            read_only: wanted.scope.access == Access::ReadOnly,
            by: doer(&visit.from),
        };
        self.tell(&visit.account, notice).await;
        Ok(created)
    }

    /// All of the account's, oldest first.
    ///
    /// # Errors
    /// [`Broken`]
    pub async fn app_passwords(&self, inside: Inside<'_>) -> Result<Vec<AppPasswordRecord>, Broken> {
        Ok(self.on.app_passwords.list(inside.0.account.id).await?)
    }

    /// Whether they are worth nothing until a factor is bound.
    #[must_use]
    pub fn app_passwords_rest(&self, visit: &Visit) -> bool {
        let settings = self.settings();
        let policy = settings.policy(&visit.account);
        !visit.is_bound() && policy.app_passwords_rest(visit.account.must_bind, self.on.clock.now())
    }

    /// Gives one another name.
    ///
    /// # Errors
    /// [`NoAppPassword`]
    pub async fn rename_app_password(
        &self,
        fresh: Fresh<'_>,
        id: AppPasswordId,
        name: &str,
    ) -> Result<(), NoAppPassword> {
        let Fresh(visit) = fresh;
        let by = self.owner(&visit.from);
        let renamed = self.on.app_passwords.rename(&visit.account, id, name, &by).await;
        renamed.map_err(|error| match error {
            RenameError::Invalid(why) => NoAppPassword::Invalid(why),
            RenameError::NotFound => NoAppPassword::NotFound,
            error @ (RenameError::Tampered(_)
            | RenameError::Overtaken
            | RenameError::Store(_)
            | RenameError::Unrecorded(_)) => super::broken(&error).into(),
        })
    }

    /// Revokes one; its sessions end within a second.
    ///
    /// # Errors
    /// [`NoAppPassword`]
    pub async fn revoke_app_password(
        &self,
        fresh: Fresh<'_>,
        id: AppPasswordId,
    ) -> Result<AppPasswordRecord, NoAppPassword> {
        let Fresh(visit) = fresh;
        let revoked = self.on.app_passwords.revoke(&visit.account, id, &self.owner(&visit.from)).await;
        let revoked = revoked.map_err(|error| match error {
            RevokeError::NotFound => NoAppPassword::NotFound,
            error @ (RevokeError::Store(_) | RevokeError::Unrecorded(_)) => super::broken(&error).into(),
        })?;
        self.tell_revoked(visit, std::slice::from_ref(&revoked)).await;
        self.until_heard().await;
        Ok(revoked)
    }

    /// Revokes all; how many.
    ///
    /// # Errors
    /// [`Broken`]
    pub async fn revoke_all_app_passwords(&self, fresh: Fresh<'_>) -> Result<usize, Broken> {
        let revoked = self.begin_to_revoke_all(fresh).await?;
        if revoked > 0 {
            self.until_heard().await;
        }
        Ok(revoked)
    }

    /// The same, and gates may not have heard of it yet.
    pub(super) async fn begin_to_revoke_all(&self, fresh: Fresh<'_>) -> Result<usize, Broken> {
        let Fresh(visit) = fresh;
        let revoked = self.on.app_passwords.revoke_all(&visit.account, &self.owner(&visit.from)).await;
        let revoked = revoked.map_err(|error| super::broken(&error))?;
        if !revoked.is_empty() {
            self.tell_revoked(visit, &revoked).await;
        }
        Ok(revoked.len())
    }

    async fn tell_revoked(&self, visit: &Visit, revoked: &[AppPasswordRecord]) {
        let which = revoked.iter().map(|row| (row.name.clone(), row.label.clone())).collect();
        self.tell(&visit.account, Notice::AppPasswordsRevoked { which, by: doer(&visit.from) }).await;
    }
}
