//! Checking a mailbox password by really logging in, and leaving at once.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::time::{Instant, timeout};

use super::{Answer, Entered, Legs, Upstreams};
use crate::account::{MailboxCheck, MailboxVerdict};
use crate::base::{LoginName, Password, Protocol, UpstreamName};
use crate::gate::Concerns;
use crate::protocol::smtp::ClientName;
use crate::protocol::{MailProtocol, Shown, UpstreamLogin, imap, pop3, smtp};

/// For the goodbye to an upstream that may not read it.
const GOODBYE_MAX: Duration = Duration::from_secs(1);

impl MailboxCheck for Upstreams {
    /// Asks over IMAP, else POP3, else SMTP: whichever the upstream has.
    fn check<'a>(
        &'a self,
        upstream: &'a UpstreamName,
        user: &'a LoginName,
        password: &'a Password,
    ) -> Pin<Box<dyn Future<Output = MailboxVerdict> + Send + 'a>> {
        Box::pin(async move {
            let login =
                UpstreamLogin { user: user.clone(), authorize_as: None, password: password.duplicate() };
            if self.imap.serves(upstream) {
                check(&self.imap, upstream, login, imap::Introduction::default()).await
            } else if self.pop3.serves(upstream) {
                check(&self.pop3, upstream, login, pop3::Introduction::default()).await
            } else {
                let name = match ClientName::parse(self.own_name.as_bytes()) {
                    Ok(name) => name,
                    Err(error) => {
                        return MailboxVerdict::Unavailable {
                            why: error.to_string(),
                            sent: false,
                            everybody: true,
                        };
                    }
                };
                // EHLO, of whose answer nothing is counted on.
                let introduction = smtp::Introduction { name, told: Some(Arc::default()) };
                check(&self.smtp, upstream, login, introduction).await
            }
        })
    }
}

async fn check<P: MailProtocol>(
    legs: &Legs<P>,
    upstream: &UpstreamName,
    login: UpstreamLogin,
    introduction: P::Introduction,
) -> MailboxVerdict {
    let by = Instant::now() + legs.patience(upstream);
    match legs.log_in(upstream, login, introduction, None, by).await {
        Answer::Yes(entered) => {
            // The password is right, whether or not the goodbye is heard.
            let _ = timeout(GOODBYE_MAX, leave(entered)).await;
            MailboxVerdict::Right
        }
        Answer::No => MailboxVerdict::Wrong,
        Answer::Unavailable { failure, shown } => MailboxVerdict::Unavailable {
            why: failure.to_string(),
            sent: shown == Shown::Credential,
            everybody: failure.concerns(shown) == Concerns::Everybody,
        },
    }
}

async fn leave<P: MailProtocol>(mut entered: Entered<P>) -> std::io::Result<()> {
    let goodbye: &[u8] = match P::PROTOCOL {
        Protocol::Imap => b"bye LOGOUT\r\n",
        Protocol::Pop3 | Protocol::Smtp => b"QUIT\r\n",
    };
    entered.stream.write_all(goodbye).await?;
    entered.stream.shutdown().await
}
