//! Codes by mail: sent at once, because somebody waits for them, and kept nowhere on the way.

use std::error::Error;
use std::pin::Pin;
use std::time::Duration;

use tokio::time::timeout;

use super::letter::{Letter, Part};
use super::postman::Means;
use super::{Postman, RelayError, Sender, message};
use crate::base::{NoticeId, Secret, random};

/// How long somebody waits for a code to be on its way.
const LONGEST: Duration = Duration::from_secs(20);

/// A code could not be sent; why is in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the code could not be sent")]
pub struct NotSent;

/// Brings codes to other mailboxes.
pub trait Courier: Send + Sync {
    /// Sends `code`, which somebody asked for who is signed in as `account`, to the mailbox `to`; returns when the relay answers
    /// for it.
    ///
    /// # Errors
    /// [`NotSent`]
    fn bring<'a>(
        &'a self,
        to: &'a str,
        account: &'a str,
        code: &'a Secret,
    ) -> Pin<Box<dyn Future<Output = Result<(), NotSent>> + Send + 'a>>;
}

impl Courier for Postman {
    fn bring<'a>(
        &'a self,
        to: &'a str,
        account: &'a str,
        code: &'a Secret,
    ) -> Pin<Box<dyn Future<Output = Result<(), NotSent>> + Send + 'a>> {
        Box::pin(async move {
            let Some(means) = self.means() else {
                tracing::error!("a code cannot be sent: there is no `[mail]`");
                return Err(NotSent);
            };
            let letter = means.sender.code_letter(account, code);
            let now = self.now();
            let id = format!("{}@{}", NoticeId(random::uuid(now)), means.sender.hostname);
            let mail = match message(&letter, &means.relay.from, to, &id, now) {
                Ok(mail) => mail,
                Err(error) => {
                    tracing::error!(error = &error as &dyn Error, "a code cannot be put into a message");
                    return Err(NotSent);
                }
            };
            match timeout(LONGEST, send(&means, &mail)).await {
                Ok(Ok(())) => Ok(()),
                Ok(Err(error)) => {
                    tracing::warn!(error = &error as &dyn Error, "a code could not be sent");
                    Err(NotSent)
                }
                Err(_) => {
                    tracing::warn!("a code could not be sent in time");
                    Err(NotSent)
                }
            }
        })
    }
}

async fn send(means: &Means, mail: &lettre::message::Message) -> Result<(), RelayError> {
    let mut conversation = means.relay.connect().await?;
    conversation.send(mail).await?;
    conversation.end().await;
    Ok(())
}

impl Sender {
    /// What brings `code` to the backup mailbox of `account`.
    #[must_use]
    pub fn code_letter(&self, account: &str, code: &Secret) -> Letter {
        let code = String::from_utf8_lossy(code.expose()).into_owned();
        let host = &self.hostname;
        let chinese = Part {
            lang: "zh-CN",
            subject: "邮箱安全验证码".to_owned(),
            said: format!("您正在 {host} 的邮箱安全设置中进行验证。验证码五分钟内有效，只能使用一次。"),
            facts: vec![("帐号", super::letter::quoted(account)), ("验证码", code.clone())],
            advice: vec![
                "请勿把验证码告诉任何人，管理员也不会向您索取。".to_owned(),
                "如果不是您本人的操作，说明有人知道您的邮箱密码：请立即修改，并联系邮件系统管理员。"
                    .to_owned(),
            ],
        };
        let english = Part {
            lang: "en",
            subject: "Mailbox security code".to_owned(),
            said: format!(
                "You are confirming something in the security settings of your mailbox at {host}. The code is good for five minutes and works once."
            ),
            facts: vec![("Account", super::letter::quoted(account)), ("Code", code)],
            advice: vec![
                "Tell it to nobody; no administrator will ask for it.".to_owned(),
                "If this was not you, somebody knows your mailbox password: change it now, and tell the administrator of your mail system.".to_owned(),
            ],
        };
        Letter::of(&[chinese, english])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_told_in_both_languages_and_not_in_the_subject() {
        let sender = Sender { hostname: "mail.example.org".to_owned(), portal: None };
        let letter = sender.code_letter("alice@example.org\r\nBcc: x", &Secret::new(b"012345".to_vec()));
        assert_eq!(letter.subject, "邮箱安全验证码 / Mailbox security code");
        assert!(
            letter.text.contains("验证码: 012345") && letter.text.contains("Code: 012345"),
            "{}",
            letter.text
        );
        assert!(
            letter.html.contains("<bdi>012345</bdi>") && !letter.text.contains("\r\n"),
            "{}",
            letter.html
        );
    }
}
