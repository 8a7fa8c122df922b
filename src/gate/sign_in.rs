//! Signing in to the portal: the mailbox password, judged like one that a mail client brings, under the same limits and
//! within the same budget of what the upstream may see.
//!
//! It differs where a browser is no mail client: an app password is worth nothing here, and a bound second factor is no
//! reason to refuse, because it is asked for afterwards. The portal sees to that; nobody else gets a [`SignedIn`].

use std::sync::Arc;
use std::time::Duration;

use super::attempt::{Door, OpenAttempt};
use super::authenticator::{Authenticator, Gate};
use super::grant::{Basis, Concerns, Grant, Origin, Refused, UpstreamSaid};
use super::reach::{Led, Reach};
use super::verdict::{No, Settle};
use crate::account::{MailboxCheck, MailboxVerdict};
use crate::audit::event::Outcome;
use crate::base::{ClientAddress, LoginName, Password, Protocol, SessionId, Timestamp, UpstreamName, random};
use crate::protocol::{Credentials, Mechanism, Refusal};
use crate::store::{AccountRecord, Standing};

/// Where somebody sits who signs in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Browser {
    /// From where.
    pub address: ClientAddress,
    /// What it says it is; hostile.
    pub name: Option<String>,
}

/// How signing in ended, recorded.
pub enum SignIn {
    /// The mailbox password is right. A second factor may have to follow.
    In(Box<SignedIn>),
    /// Not in. Whoever asks hears it no earlier than that.
    Out(Refused),
}

/// Somebody whose mailbox password the upstream took just now.
pub struct SignedIn {
    /// Whose mailbox it opens.
    pub account: AccountRecord,
    /// Factors that are bound: unless it is 0, one has to be answered for.
    pub bound_factors: u32,
    /// The mailbox password.
    pub password: Password,
    /// Who took it.
    pub upstream: UpstreamName,
    /// When.
    pub at: Timestamp,
}

impl Authenticator {
    /// Judges a name and a mailbox password, which `mailboxes` asks the upstream about.
    ///
    /// A browser that leaves takes nothing back: the attempt goes on, is charged and recorded.
    pub async fn sign_in(
        &self,
        from: &Browser,
        login: LoginName,
        password: Password,
        mailboxes: &Arc<dyn MailboxCheck>,
    ) -> SignIn {
        let finishing = self.gate.desk.unfinished.begin();
        let (gate, from, mailboxes) = (Arc::clone(&self.gate), from.clone(), Arc::clone(mailboxes));
        let judging = async move {
            let _finishing = finishing;
            gate.sign_in(&from, login, password, &*mailboxes).await
        };
        tokio::spawn(judging).await.unwrap_or_else(|error| {
            tracing::error!(%error, "the gate failed to judge a sign-in");
            SignIn::Out(Refused { refusal: Refusal::Unavailable, not_before: Duration::ZERO })
        })
    }
}

impl Gate {
    async fn sign_in(
        &self,
        from: &Browser,
        login: LoginName,
        password: Password,
        mailboxes: &dyn MailboxCheck,
    ) -> SignIn {
        let (reading, rules) = self.desk.rules.of_reading();
        let origin = Origin {
            session: SessionId(random::uuid(self.desk.clock.now())),
            // Until it is known what its upstream speaks.
            protocol: Protocol::Imap,
            client: from.address,
            reach: Reach::new(rules.upstreams.iter().map(|rules| Led::to(rules.name.clone()))),
            reading,
        };
        let kept = password.duplicate();
        let credentials =
            Credentials { login, password, mechanism: Mechanism::Command, program: from.name.clone() };
        let mut attempt = OpenAttempt::new(&self.desk, Door::Portal, &origin, &credentials);
        let leave = match self.judge(&mut attempt, credentials).await {
            Ok(leave) => leave,
            Err(no) => return self.no_sign_in(attempt, no).await,
        };
        let mut grant = Grant { attempt, upstream: leave.upstream, login: leave.login, basis: leave.basis };
        let said = {
            let login = grant.take_login();
            said(mailboxes.check(&grant.upstream, &login.user, &login.password).await)
        };
        let Grant { mut attempt, upstream, basis, .. } = grant;
        let Some(located) = attempt.located.clone() else {
            return self.no_sign_in(attempt, No::undecided("a grant without an account")).await;
        };
        let at = self.desk.clock.now();
        let standing = match self.weigh(&mut attempt, &located, &upstream, &basis, said).await {
            Ok(_) => self.store.standing(&located.address).await,
            Err(no) => return self.no_sign_in(attempt, no).await,
        };
        let Ok(Some(Standing { account, bound_factors })) = standing else {
            return self.no_sign_in(attempt, No::undecided("the account cannot be read")).await;
        };
        debug_assert!(matches!(basis, Basis::MailboxPassword), "nothing else is tried here");
        // A thief of mailbox passwords must not become an acquaintance of the limits by knowing one.
        let settle = if bound_factors == 0 { Settle::Succeed } else { Settle::Release };
        let reason = "the upstream took the mailbox password".to_owned();
        if !attempt.close(settle, Outcome::Admitted, reason).await {
            return SignIn::Out(Refused { refusal: Refusal::Unavailable, not_before: Duration::ZERO });
        }
        SignIn::In(Box::new(SignedIn { account, bound_factors, password: kept, upstream, at }))
    }

    async fn no_sign_in(&self, attempt: OpenAttempt, no: No) -> SignIn {
        SignIn::Out(Box::pin(self.refuse(attempt, no)).await)
    }
}

fn said(verdict: MailboxVerdict) -> UpstreamSaid {
    match verdict {
        MailboxVerdict::Right => UpstreamSaid::Yes,
        MailboxVerdict::Wrong => UpstreamSaid::No,
        MailboxVerdict::Unavailable { why, sent, everybody } => UpstreamSaid::Unavailable {
            refusal: Refusal::Unavailable,
            reason: why,
            credential_sent: sent,
            concerns: if everybody { Concerns::Everybody } else { Concerns::Mailbox },
        },
    }
}
