//! Codes by mail: to a mailbox that is being bound, or to one that is.
//!
//! Each send is counted before anything is sent, for the account, the browser's network and everybody; what was sent is kept
//! by the session that asked for it, and nowhere else. Only once the relay has taken it: until then an earlier one is good,
//! and a code that nobody was sent never is, whenever the process ends.

use super::{Broken, Fresh, Portal, Refused, Visit};
use crate::audit::Event;
use crate::base::FactorId;
use crate::config::FactorKind;
use crate::factor::{NewMailCode, NoMailCode, mail_address, masked, sent_to};

/// Why no code was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotSent {
    /// It is no address that mail can go to.
    #[error("this is no mail address")]
    BadAddress,
    /// It is behind the gate: whoever is locked out of the one mailbox is locked out of the other.
    #[error("this address is served here")]
    Ours,
    /// As many were sent as may be.
    #[error("too many codes were sent")]
    TooMany,
    /// The relay did not take it.
    #[error("the code could not be sent")]
    Failed,
    /// It may not be bound here and now.
    #[error(transparent)]
    Refused(#[from] Refused),
}

impl From<Broken> for NotSent {
    fn from(broken: Broken) -> Self {
        Self::Refused(broken.into())
    }
}

impl Portal {
    /// Sends a code to a mailbox that is to be bound, perhaps in the place of a factor; from now on this session may confirm it.
    ///
    /// # Errors
    /// [`NotSent`]
    pub async fn offer_mailbox(
        &self,
        fresh: Fresh<'_>,
        replaces: Option<FactorId>,
        typed: &str,
    ) -> Result<(), NotSent> {
        let Fresh(visit) = fresh;
        let _unused = self.may_bind(fresh, (FactorKind::Mailbox, replaces)).await?;
        let address = mail_address(typed).ok_or(NotSent::BadAddress)?;
        if self.on.gate.leads_here(&address) {
            return Err(NotSent::Ours);
        }
        let code = self.bring(visit, &address).await?;
        Ok(self.keep_offer(visit, FactorKind::Mailbox, &code.kept).await?)
    }

    /// To which mailbox a code was sent that this session may bind it with; masked.
    ///
    /// # Errors
    /// [`Broken`]
    pub async fn offered_mailbox(&self, visit: &Visit) -> Result<Option<String>, Broken> {
        let kept = self.open_offer(visit, FactorKind::Mailbox).await?;
        Ok(kept.and_then(|kept| sent_to(&kept.secret, self.on.clock.now())))
    }

    /// Sends a code to the bound backup mailbox; from now on this session may answer with it.
    ///
    /// # Errors
    /// [`NotSent`]
    pub async fn send_mail_code(&self, visit: &Visit) -> Result<(), NotSent> {
        let address = match self.on.factors.backup_mailbox(visit.account.id).await {
            Ok(address) => address,
            Err(NoMailCode::Store(error)) => return Err(Broken::from(error).into()),
            Err(NoMailCode::NotFound | NoMailCode::TooMany) => return Err(Refused::NotFound.into()),
        };
        let code = self.bring(visit, &address).await?;
        Ok(self.keep_challenge(visit, FactorKind::Mailbox, &code.kept).await?)
    }

    /// To which mailbox a code was sent that this session may answer with; masked.
    ///
    /// # Errors
    /// [`Broken`]
    pub async fn asked_mailbox(&self, visit: &Visit) -> Result<Option<String>, Broken> {
        let kept = self.open_challenge(visit, FactorKind::Mailbox).await?;
        Ok(kept.and_then(|kept| sent_to(&kept.secret, self.on.clock.now())))
    }

    async fn new_code(&self, visit: &Visit, address: &str) -> Result<NewMailCode, NotSent> {
        let made = self.on.factors.new_mail_code(visit.account.id, visit.from.address, address).await;
        made.map_err(|error| match error {
            NoMailCode::TooMany => NotSent::TooMany,
            NoMailCode::NotFound => Refused::NotFound.into(),
            NoMailCode::Store(error) => Broken::from(error).into(),
        })
    }

    /// Sends a new code to `address`.
    async fn bring(&self, visit: &Visit, address: &str) -> Result<NewMailCode, NotSent> {
        let code = self.new_code(visit, address).await?;
        // In the name of whoever was thrown out nothing is sent.
        if !self.lives(&visit.record.token).await? {
            return Err(Broken.into());
        }
        let account = visit.account.address.to_string();
        let to = masked(&code.address);
        let recorded = self.owner(&visit.from).record(|by| Event::MailCodeSent { account, to, by }).await;
        recorded.map_err(|error| super::broken(&error))?;
        let brought = self.on.courier.bring(&code.address, visit.address(), &code.code).await;
        brought.map_err(|_| NotSent::Failed)?;
        Ok(code)
    }
}
