//! The mailbox password of somebody who is in: asked for when something is sealed with it and he came in without it, and
//! where no second factor is bound, when he has to show again who he is.

use super::session::{Fresh, Inside, hold, mailbox};
use super::sign_in::NoSignIn;
use super::{Broken, Portal};
use crate::base::{LoginName, Password, Token};

impl Portal {
    /// Whether an app password cannot be made before the mailbox password was given.
    #[must_use]
    pub fn needs_mailbox_password(&self, fresh: Fresh<'_>) -> bool {
        let Fresh(visit) = fresh;
        mailbox(visit).is_none() && self.settings().seals(&self.upstream_of_account(&visit.account))
    }

    /// Judges the account's mailbox password, as at sign-in: by the same gate, under the same limits, recorded. If it is right,
    /// every app password gets it, and this session holds it from now on, under the token that is returned.
    ///
    /// # Errors
    /// [`NoSignIn`]
    pub async fn give_mailbox_password(
        &self,
        inside: Inside<'_>,
        password: Password,
    ) -> Result<Token, NoSignIn> {
        let Inside(visit) = inside;
        let login = LoginName::from_bytes(visit.account.address.as_str().as_bytes());
        let login = login.map_err(|_| NoSignIn::Unavailable)?;
        let signed_in = self.judge_mailbox(&visit.from, login, password).await?;
        if signed_in.account.id != visit.account.id {
            // The address was given to another account meanwhile.
            return Err(NoSignIn::Unavailable);
        }
        self.seal_again(&signed_in, &visit.from).await;
        let renewed = self.verified(inside, |record, token| hold(record, token, &signed_in)).await;
        renewed.map_err(|Broken| NoSignIn::Unavailable)
    }
}
