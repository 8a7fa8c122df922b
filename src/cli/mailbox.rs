//! Asking for a mailbox password and proving it at its upstream, before anything is made of it.

use super::context::Context;
use super::failure::Failure;
use super::prompt;
use crate::account::{Located, MailboxVerdict};
use crate::app_password::ProvenMailbox;
use crate::base::{Password, Timestamp, UpstreamName};
use crate::config::UpstreamCredential;

/// A mailbox password that its upstream took.
pub(super) struct Mailbox {
    password: Password,
    upstream: UpstreamName,
    at: Timestamp,
}

impl Mailbox {
    /// From stdin or whoever sits at the terminal. `otherwise` is what an error says has not been done.
    pub(super) async fn ask(
        context: &Context,
        located: &Located,
        from_stdin: bool,
        otherwise: &str,
    ) -> anyhow::Result<Self> {
        let password = if from_stdin {
            prompt::password_from_stdin()?
        } else if prompt::is_possible() {
            prompt::password(&format!("Mailbox password of {}", located.address))?
        } else {
            return Err(Failure::usage(
                "the mailbox password is needed, and there is no terminal to ask for it\nhint: give it on stdin with `--mailbox-password-stdin`",
            ));
        };
        let (upstream, at) = (located.upstream.clone(), context.site.clock.now());
        let check = context.mailbox_check()?;
        match check.check(&upstream, &located.upstream_user, &password).await {
            MailboxVerdict::Right => Ok(Self { password, upstream, at }),
            MailboxVerdict::Wrong => {
                anyhow::bail!("`{upstream}` refused the mailbox password of {}; {otherwise}", located.address)
            }
            MailboxVerdict::Unavailable { why, .. } => {
                let unasked =
                    format!("cannot ask `{upstream}` whether the mailbox password is right; {otherwise}");
                Err(anyhow::anyhow!(why).context(unasked))
            }
        }
    }

    /// What may be sealed.
    pub(super) fn proven(&self) -> ProvenMailbox<'_> {
        ProvenMailbox { password: &self.password, upstream: &self.upstream, at: self.at }
    }
}

/// Whether the upstream hears mailbox passwords that are sealed to app passwords.
pub(super) fn is_sealed(context: &Context, located: &Located) -> bool {
    let upstreams = &context.site.config.upstreams;
    match upstreams.iter().find(|upstream| upstream.name == located.upstream).map(|found| &found.credential) {
        Some(UpstreamCredential::Sealed) => true,
        Some(UpstreamCredential::Master(_)) | None => false,
    }
}
