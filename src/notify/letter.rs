//! The words: Chinese first, English below, in plain text and the same in HTML.
//!
//! Names that others chose are shortened, put on one line, their invisible characters spelled out, and quoted as what they are:
//! they begin no line, make no markup and no link.

use std::fmt::Write as _;

use time::UtcOffset;

use super::{Doer, Notice, Place, Told};
use crate::base::Timestamp;
use crate::config::FactorKind;

/// The longest quotation, in characters.
const QUOTED_MAX: usize = 120;

/// What is written in the name of a site.
#[derive(Clone, Debug)]
pub struct Sender {
    /// What its users know it by.
    pub hostname: String,
    /// Where they look after their accounts.
    pub portal: Option<String>,
}

/// A letter, in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Letter {
    /// In both languages.
    pub subject: String,
    /// Plain text.
    pub text: String,
    /// HTML.
    pub html: String,
}

impl Letter {
    /// In both languages.
    pub(super) fn of(parts: &[Part; 2]) -> Self {
        let [chinese, english] = parts;
        let subject = format!("{} / {}", chinese.subject, english.subject);
        Self { subject, text: text(parts), html: html(parts) }
    }
}

/// One language's part.
pub(super) struct Part {
    pub(super) lang: &'static str,
    pub(super) subject: String,
    /// What happened.
    pub(super) said: String,
    /// Name and value.
    pub(super) facts: Vec<(&'static str, String)>,
    /// What to do.
    pub(super) advice: Vec<String>,
}

impl Sender {
    /// What `told` reads like for the owner of the mailbox `account`.
    #[must_use]
    pub fn letter(&self, account: &str, told: &Told) -> Letter {
        Letter::of(&[self.chinese(account, told), self.english(account, told)])
    }

    fn chinese(&self, account: &str, told: &Told) -> Part {
        let (subject, said) = match &told.notice {
            Notice::FactorBound { factor, .. } => (
                "已绑定二次验证方式".to_owned(),
                format!(
                    "您的邮箱已绑定新的二次验证方式：{}。此后，邮件客户端须使用客户端专用密码登录。",
                    factor_zh(factor)
                ),
            ),
            Notice::FactorReplaced { factor, .. } => (
                "已更换二次验证方式".to_owned(),
                format!("您的邮箱已更换二次验证方式：{}。旧的不能再用，客户端专用密码照常有效。", factor_zh(factor)),
            ),
            Notice::FactorUnbound { factors, app_passwords_revoked, .. } => {
                let kinds: Vec<_> = factors.iter().map(|kind| factor_zh(kind)).collect();
                let mut said = format!("您的邮箱已解除绑定二次验证方式：{}。", kinds.join("、"));
                if *app_passwords_revoked > 0 {
                    let _ = write!(said, "同时有 {app_passwords_revoked} 个客户端专用密码被停用。");
                }
                ("已解除绑定二次验证方式".to_owned(), said)
            }
            Notice::AppPasswordCreated { read_only, .. } => {
                let limit = if *read_only { "该密码为只读，不能发信，也不能删除或更改邮件。" } else { "" };
                ("已生成客户端专用密码".to_owned(), format!("您的邮箱生成了一个新的客户端专用密码。{limit}"))
            }
            Notice::AppPasswordsRevoked { which, .. } => (
                "客户端专用密码已停用".to_owned(),
                format!("您的邮箱有 {} 个客户端专用密码已停用，使用它们的邮件客户端不能再登录。", which.len()),
            ),
            Notice::RecoveryCodesMade { .. } => (
                "已生成新的恢复代码".to_owned(),
                "您的邮箱生成了新的恢复代码，以前的恢复代码全部失效。".to_owned(),
            ),
            Notice::NewBrowser { .. } => {
                ("新的浏览器登录".to_owned(), "有人在一个未曾用过的浏览器或网络上登录了您的邮箱安全设置。".to_owned())
            }
            Notice::SecondFactorNotCompleted { .. } => (
                "密码正确但未完成二次验证".to_owned(),
                "有人用正确的密码登录您的邮箱安全设置，但没有完成二次验证，因此未能进入。如果不是您，说明您的密码已经泄露。"
                    .to_owned(),
            ),
        };
        let mut facts =
            vec![("帐号", quoted(account)), ("时间", format!("{}（北京时间）", local(told.at, 8)))];
        for (name, value) in facts_of(&told.notice) {
            facts.push((name.chinese(), value.unwrap_or_else(|| "管理员".to_owned())));
        }
        let mut advice = vec!["如果是您本人的操作，无需理会本邮件。".to_owned()];
        let portal = match &self.portal {
            Some(url) => format!("，再到 {url} 检查您的安全设置"),
            None => String::new(),
        };
        advice.push(format!("如果不是您本人的操作，请立即修改邮箱密码{portal}，并联系邮件系统管理员。"));
        advice.push(format!(
            "本邮件由 {} 自动发出，请勿回复。我们不会在邮件中向您索取密码或验证码。",
            self.hostname
        ));
        Part { lang: "zh-CN", subject, said, facts, advice }
    }

    fn english(&self, account: &str, told: &Told) -> Part {
        let (subject, said) = match &told.notice {
            Notice::FactorBound { factor, .. } => (
                "Second factor added".to_owned(),
                format!(
                    "A second factor was added to your mailbox: {}. From now on mail clients need app passwords.",
                    factor_en(factor)
                ),
            ),
            Notice::FactorReplaced { factor, .. } => (
                "Second factor replaced".to_owned(),
                format!(
                    "A second factor of your mailbox was replaced by a new one: {}. The old one counts no more; app passwords stay as they are.",
                    factor_en(factor)
                ),
            ),
            Notice::FactorUnbound { factors, app_passwords_revoked, .. } => {
                let kinds: Vec<_> = factors.iter().map(|kind| factor_en(kind)).collect();
                let mut said = format!("A second factor was removed from your mailbox: {}.", kinds.join(", "));
                match app_passwords_revoked {
                    0 => {}
                    1 => said += " 1 app password was revoked with it.",
                    many => drop(write!(said, " {many} app passwords were revoked with it.")),
                }
                ("Second factor removed".to_owned(), said)
            }
            Notice::AppPasswordCreated { read_only, .. } => {
                let limit =
                    if *read_only { " It may only read: it cannot send, delete or change anything." } else { "" };
                ("New app password".to_owned(), format!("A new app password was made for your mailbox.{limit}"))
            }
            Notice::AppPasswordsRevoked { which, .. } => (
                "App passwords revoked".to_owned(),
                match which.len() {
                    1 => "An app password of your mailbox was revoked: the mail client that used it is let in no more."
                        .to_owned(),
                    many => format!(
                        "{many} app passwords of your mailbox were revoked: the mail clients that used them are let in no more."
                    ),
                },
            ),
            Notice::RecoveryCodesMade { .. } => (
                "New recovery codes".to_owned(),
                "New recovery codes were made for your mailbox. Older ones are void.".to_owned(),
            ),
            Notice::NewBrowser { .. } => (
                "Sign-in from a new browser".to_owned(),
                "Somebody signed in to your security settings from a browser or network that was not seen before."
                    .to_owned(),
            ),
            Notice::SecondFactorNotCompleted { .. } => (
                "Right password, no second factor".to_owned(),
                "Somebody signed in to your security settings with the right password, never gave a second factor, and so \
                 did not get in. If that was not you, your password is known to somebody else."
                    .to_owned(),
            ),
        };
        let mut facts = vec![("Account", quoted(account)), ("Time", format!("{} UTC", local(told.at, 0)))];
        for (name, value) in facts_of(&told.notice) {
            facts.push((name.english(), value.unwrap_or_else(|| "an administrator".to_owned())));
        }
        let mut advice = vec!["If this was you, there is nothing to do.".to_owned()];
        let portal = match &self.portal {
            Some(url) => format!(", look through your security settings at {url}"),
            None => String::new(),
        };
        advice.push(format!(
            "If it was not you, change your mailbox password now{portal}, and tell the administrator of your mail system."
        ));
        advice.push(format!(
            "This message was sent by {} automatically; nobody reads replies. No message of ours ever asks for a password \
             or a code.",
            self.hostname
        ));
        Part { lang: "en", subject, said, facts, advice }
    }
}

/// What a fact is about.
#[derive(Clone, Copy)]
enum Fact {
    Name,
    Reason,
    By,
    Address,
    Browser,
}

impl Fact {
    fn chinese(self) -> &'static str {
        match self {
            Self::Name => "名称",
            Self::Reason => "原因",
            Self::By => "操作者",
            Self::Address => "IP 地址",
            Self::Browser => "浏览器",
        }
    }

    fn english(self) -> &'static str {
        match self {
            Self::Name => "Name",
            Self::Reason => "Reason",
            Self::By => "Done by",
            Self::Address => "IP address",
            Self::Browser => "Browser",
        }
    }
}

/// Facts that are the same in every language; none: an administrator.
fn facts_of(notice: &Notice) -> Vec<(Fact, Option<String>)> {
    let of_place = |place: &Place| {
        let browser = place.browser.as_deref().map(|name| (Fact::Browser, Some(quoted(name))));
        std::iter::once((Fact::Address, Some(quoted(&place.address)))).chain(browser).collect::<Vec<_>>()
    };
    let of_doer = |by: &Doer| match by {
        Doer::Owner(place) => of_place(place),
        Doer::Administrator => vec![(Fact::By, None)],
    };
    let named = |name: &str, label: &str| (Fact::Name, Some(format!("{} ({})", quoted(name), quoted(label))));
    let mut facts = Vec::new();
    match notice {
        Notice::FactorBound { by, .. }
        | Notice::FactorReplaced { by, .. }
        | Notice::RecoveryCodesMade { by } => {
            facts.extend(of_doer(by));
        }
        Notice::FactorUnbound { reason, by, .. } => {
            facts.extend(reason.as_deref().map(|reason| (Fact::Reason, Some(quoted(reason)))));
            facts.extend(of_doer(by));
        }
        Notice::AppPasswordCreated { name, label, by, read_only: _ } => {
            facts.push(named(name, label));
            facts.extend(of_doer(by));
        }
        Notice::AppPasswordsRevoked { which, by } => {
            facts.extend(which.iter().map(|(name, label)| named(name, label)));
            facts.extend(of_doer(by));
        }
        Notice::NewBrowser { place } | Notice::SecondFactorNotCompleted { place } => {
            facts.extend(of_place(place));
        }
    }
    facts
}

fn factor_zh(kind: &str) -> String {
    match FactorKind::parse(kind) {
        Some(FactorKind::Totp) => "动态验证码应用 (TOTP)".to_owned(),
        Some(FactorKind::Mailbox) => "备用邮箱".to_owned(),
        Some(FactorKind::Passkey) => "通行密钥或安全密钥".to_owned(),
        None => quoted(kind),
    }
}

fn factor_en(kind: &str) -> String {
    match FactorKind::parse(kind) {
        Some(FactorKind::Totp) => "authenticator app (TOTP)".to_owned(),
        Some(FactorKind::Mailbox) => "backup mailbox".to_owned(),
        Some(FactorKind::Passkey) => "passkey or security key".to_owned(),
        None => quoted(kind),
    }
}

fn local(at: Timestamp, hours: i8) -> String {
    let offset = UtcOffset::from_hms(hours, 0, 0).unwrap_or(UtcOffset::UTC);
    let at = at.date_time().to_offset(offset);
    let (date, time) = (at.date(), at.time());
    format!("{date} {:02}:{:02}", time.hour(), time.minute())
}

/// Somebody else's words: on one line, not too long.
pub(super) fn quoted(text: &str) -> String {
    let mut shown = visible(text.trim());
    if let Some((at, _)) = shown.char_indices().nth(QUOTED_MAX) {
        shown.truncate(at);
        shown.push('…');
    }
    shown
}

/// The text with control characters, line ends, and whatever is invisible or turns the direction, spelled out.
pub(super) fn visible(text: &str) -> String {
    let hides = |c: char| {
        c.is_control()
            || matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
    };
    text.chars().fold(String::new(), |mut shown, c| {
        if hides(c) {
            shown.extend(c.escape_unicode());
        } else {
            shown.push(c);
        }
        shown
    })
}

fn text(parts: &[Part; 2]) -> String {
    let mut text = String::new();
    for (number, part) in parts.iter().enumerate() {
        if number > 0 {
            text += "\n----------------------------------------\n\n";
        }
        let _ = writeln!(text, "{}\n", part.said);
        for (name, value) in &part.facts {
            let _ = writeln!(text, "    {name}: {value}");
        }
        for advice in &part.advice {
            let _ = writeln!(text, "\n{advice}");
        }
    }
    text
}

/// Nothing is loaded from anywhere; colours are the reader's own.
fn html(parts: &[Part; 2]) -> String {
    let mut html = "<!DOCTYPE html>\n<html lang=\"zh-CN\">\n<head><meta charset=\"utf-8\">\
        <meta name=\"viewport\" content=\"width=device-width\"><meta name=\"color-scheme\" content=\"light dark\">\
        <title></title></head>\n<body style=\"font: 16px/1.6 system-ui, sans-serif; max-width: 36em; margin: 1.5em auto; padding: 0 1em\">\n"
        .to_owned();
    for (number, part) in parts.iter().enumerate() {
        if number > 0 {
            html += "<hr style=\"border: 0; border-top: 1px solid #999; margin: 2em 0\">\n";
        }
        let _ = writeln!(
            html,
            "<div lang=\"{}\">\n<h1 style=\"font-size: 1.25em\">{}</h1>",
            part.lang,
            escaped(&part.subject)
        );
        let _ = writeln!(html, "<p>{}</p>\n<table style=\"border-spacing: 0 .25em\">", escaped(&part.said));
        for (name, value) in &part.facts {
            let _ = writeln!(
                html,
                "<tr><th style=\"text-align: left; vertical-align: top; font-weight: normal; padding-right: 1.5em; opacity: .7; white-space: nowrap\">{name}</th><td><bdi>{}</bdi></td></tr>",
                escaped(value)
            );
        }
        html += "</table>\n";
        for advice in &part.advice {
            let _ = writeln!(html, "<p>{}</p>", escaped(advice));
        }
        html += "</div>\n";
    }
    html + "</body>\n</html>\n"
}

fn escaped(text: &str) -> String {
    text.chars().fold(String::new(), |mut out, c| {
        match c {
            '&' => out += "&amp;",
            '<' => out += "&lt;",
            '>' => out += "&gt;",
            '"' => out += "&quot;",
            '\'' => out += "&#39;",
            other => out.push(other),
        }
        out
    })
}
