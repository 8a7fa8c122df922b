//! What people are told, in one place for the three protocols. ASCII English by default, the URL first,
//! because clients cut long texts; Chinese where the site or the client asks for it.

use super::Refusal;
use crate::base::Language;

/// Names and texts of this site.
#[derive(Clone, Debug)]
pub struct Wording {
    /// The name the gate greets with.
    pub hostname: String,
    /// Where users bind factors and make app passwords; the hint names no URL without one.
    pub portal: Option<String>,
    /// Unless the client asked for another.
    pub language: Language,
}

impl Wording {
    /// The text for `refusal` in `language`: one line, no control characters; ASCII in English.
    #[must_use]
    pub fn refusal(&self, refusal: Refusal, language: Language) -> String {
        let text = match (language, refusal, &self.portal) {
            (Language::English, Refusal::Stale, None) => {
                "The mailbox password has changed; ask your administrator to renew this app password with it"
            }
            (Language::Chinese, Refusal::Stale, None) => {
                "邮箱密码已更改；请联系管理员用新密码更新此客户端专用密码"
            }
            (Language::English, ..) => english(refusal),
            (Language::Chinese, ..) => chinese(refusal),
        };
        match &self.portal {
            Some(url) if names_the_portal(refusal) => format!("{url} {text}"),
            _ => text.to_owned(),
        }
    }
}

/// Whether the portal is where the user can mend it.
fn names_the_portal(refusal: Refusal) -> bool {
    match refusal {
        Refusal::NotLetIn | Refusal::BindFirst | Refusal::Stale | Refusal::OutOfScope | Refusal::Expired => {
            true
        }
        Refusal::Suspended
        | Refusal::TooManyFailures
        | Refusal::Unavailable
        | Refusal::InUse
        | Refusal::LoginDelay => false,
    }
}

fn english(refusal: Refusal) -> &'static str {
    match refusal {
        Refusal::NotLetIn => {
            "Wrong user name or password; with two-step verification on, use an app password"
        }
        Refusal::BindFirst => {
            "Two-step verification is required here: bind a second factor, then use an app password"
        }
        Refusal::OutOfScope => "This app password is not allowed for this protocol or network",
        Refusal::Expired => "This app password has expired; make a new one",
        Refusal::Stale => {
            "The mailbox password has changed; sign in once to the portal and this app password works again"
        }
        Refusal::Suspended => "This account is suspended; contact your administrator",
        Refusal::TooManyFailures => "Too many failed logins; wait a few minutes and try again",
        Refusal::Unavailable => "The mail server is not available right now; try again later",
        Refusal::InUse => "The mailbox is in use by another session; try again later",
        Refusal::LoginDelay => "Logging in too often; try again later",
    }
}

fn chinese(refusal: Refusal) -> &'static str {
    match refusal {
        Refusal::NotLetIn => "用户名或密码错误；如已开启二次验证，请使用客户端专用密码",
        Refusal::BindFirst => "本站要求二次验证：请先绑定验证方式，再使用客户端专用密码登录",
        Refusal::OutOfScope => "此客户端专用密码不允许用于该协议或网络",
        Refusal::Expired => "此客户端专用密码已过期，请重新生成",
        Refusal::Stale => "邮箱密码已更改；登录一次自助门户后，此客户端专用密码即可恢复使用",
        Refusal::Suspended => "此账号已被停用，请联系管理员",
        Refusal::TooManyFailures => "登录失败次数过多，请稍后再试",
        Refusal::Unavailable => "邮件服务器暂时不可用，请稍后再试",
        Refusal::InUse => "邮箱正被其他会话使用，请稍后再试",
        Refusal::LoginDelay => "登录过于频繁，请稍后再试",
    }
}
