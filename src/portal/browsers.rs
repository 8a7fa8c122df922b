//! Who else is in: trusted devices, other browsers, mail clients; and throwing them out.

use std::time::Duration;

use super::session::{Step, is_unfinished};
use super::signed_in::sign_out;
use super::{Broken, Fresh, Portal};
use crate::base::{DeviceId, PortalSessionId, SessionId, Token};
use crate::factor::DeviceError;
use crate::gate::{EndError, HEARD_WITHIN};

/// How long sessions that were ended may stay in the list, in tenths of a second: gates hear of it within half a second, and
/// write the list once a second; one that is busy may take longer.
const GONE_WITHIN: u32 = 50;

impl Portal {
    /// Trusts a device no longer; `false` where the account trusts no such one.
    ///
    /// # Errors
    /// [`Broken`]
    pub async fn withdraw_device(&self, fresh: Fresh<'_>, id: DeviceId) -> Result<bool, Broken> {
        let Fresh(visit) = fresh;
        match self.on.devices.withdraw(&visit.account, id, &self.owner(&visit.from)).await {
            Ok(()) => Ok(true),
            Err(DeviceError::NotFound) => Ok(false),
            Err(error) => Err(super::broken(&error)),
        }
    }

    /// Signs another browser out; `false` where the account has no such session.
    ///
    /// # Errors
    /// [`Broken`]
    pub async fn end_portal_session(&self, fresh: Fresh<'_>, id: PortalSessionId) -> Result<bool, Broken> {
        let Fresh(visit) = fresh;
        let ended = sign_out(&self.on.store, &visit.account, id, &self.owner(&visit.from)).await;
        ended.map_err(|error| super::broken(&error))
    }

    /// Ends a mail client's session; `false` where the account has no such one.
    ///
    /// # Errors
    /// [`Broken`]
    pub async fn end_mail_session(&self, fresh: Fresh<'_>, id: SessionId) -> Result<bool, Broken> {
        let there = self.ask_for_end(fresh, id).await?;
        if there {
            self.until_gone(fresh, Some(id)).await;
        }
        Ok(there)
    }

    /// Waits until every gate has heard of what was done: whoever is told that something is so must find it so.
    pub(super) async fn until_heard(&self) {
        tokio::time::sleep(HEARD_WITHIN).await;
    }

    /// Waits until that session, or all of the account's, are in the list of who is in no more: whoever is told that they
    /// have ended must find it so. A node that is down keeps nobody waiting for ever.
    async fn until_gone(&self, fresh: Fresh<'_>, id: Option<SessionId>) {
        let Fresh(visit) = fresh;
        for _ in 0..GONE_WITHIN {
            // It is done: where the list cannot be had, there is nothing to wait for.
            let left = self.on.live_sessions.list(Some(visit.account.id)).await.unwrap_or_default();
            if !left.iter().any(|session| id.is_none_or(|id| session.id == id)) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    async fn ask_for_end(&self, fresh: Fresh<'_>, id: SessionId) -> Result<bool, Broken> {
        let Fresh(visit) = fresh;
        let own = self.on.live_sessions.list(Some(visit.account.id)).await?;
        if !own.iter().any(|session| session.id == id) {
            return Ok(false);
        }
        match self.on.live_sessions.end(id, &self.owner(&visit.from)).await {
            Ok(_) => Ok(true),
            Err(EndError::NotFound(_)) => Ok(false),
            Err(error) => Err(super::broken(&error)),
        }
    }

    /// Throws everybody out but this browser: every app password is revoked, every trusted device withdrawn, every other
    /// portal session and every mail session ended. Returns what the browser shows from now on.
    ///
    /// # Errors
    /// [`Broken`]; then some of it may be done, and doing it again is safe.
    pub async fn lock_everything(&self, fresh: Fresh<'_>) -> Result<Token, Broken> {
        let Fresh(visit) = fresh;
        let by = self.owner(&visit.from);
        // Browsers first: what they are making at this moment, they give up when they find their session gone.
        for session in self.on.store.portal_sessions(visit.account.id).await? {
            if session.id == visit.record.id {
                continue;
            }
            if is_unfinished(&session) {
                self.end(&visit.account, &session).await?;
            }
            // Also one that was unfinished: it may have come further meanwhile, under another token.
            self.end_portal_session(fresh, session.id).await?;
        }
        let withdrawn = self.on.devices.withdraw_all(&visit.account, &by).await;
        withdrawn.map_err(|error| super::broken(&error))?;
        self.begin_to_revoke_all(fresh).await?;
        for session in self.on.live_sessions.list(Some(visit.account.id)).await? {
            self.ask_for_end(fresh, session.id).await?;
        }
        self.until_heard().await;
        self.until_gone(fresh, None).await;
        self.step_to(visit, Step::In, None).await
    }
}
