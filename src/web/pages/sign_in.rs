//! The steps of signing in, and the fresh verification that uses the second of them again.

use std::time::Duration;

use askama::Template;

use crate::config::FactorKind;
use crate::factor::Question;
use crate::web::page::Page;
use crate::web::shown::{Shown, Typed};

/// The first step: address and mailbox password.
#[derive(Template)]
#[template(path = "sign_in.html")]
pub(in crate::web) struct SignInPage {
    /// The frame.
    pub(in crate::web) page: Page,
    /// Where to go afterwards.
    pub(in crate::web) to: Option<String>,
    /// What was typed before; never the password.
    pub(in crate::web) login: Typed,
    /// Where to go with a passkey, if there are any.
    pub(in crate::web) passkey: Option<String>,
    /// Why it did not work.
    pub(in crate::web) problem: Option<String>,
}

/// Signing in with nothing but a passkey.
#[derive(Template)]
#[template(path = "passkey_entry.html")]
pub(in crate::web) struct PasskeyEntryPage {
    /// The frame.
    pub(in crate::web) page: Page,
    /// Where the form goes.
    pub(in crate::web) action: String,
    /// Where to go without one.
    pub(in crate::web) otherwise: String,
    /// For our script.
    pub(in crate::web) options: String,
    /// Why it did not work.
    pub(in crate::web) problem: Option<String>,
}

/// What an answer is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::web) enum AskedFor {
    /// The second step of signing in.
    Entering,
    /// A change that needs a fresh verification.
    Changing,
}

/// The second step, or a fresh verification.
#[derive(Template)]
#[template(path = "second_factor.html")]
pub(in crate::web) struct CodePage {
    /// The frame.
    pub(in crate::web) page: Page,
    /// What for.
    pub(in crate::web) asked_for: AskedFor,
    /// Where the form goes, with everything but the way.
    pub(in crate::web) action: String,
    /// What is asked.
    pub(in crate::web) ask: Question,
    /// What our script needs, where a passkey is asked.
    pub(in crate::web) options: Option<String>,
    /// What else could be.
    pub(in crate::web) others: Vec<Question>,
    /// To which backup mailbox a code was sent, masked.
    pub(in crate::web) sent_to: Option<Shown>,
    /// Why it did not work.
    pub(in crate::web) problem: Option<String>,
}

/// A fresh verification where no second factor is bound: the mailbox password once more.
#[derive(Template)]
#[template(path = "verify_password.html")]
pub(in crate::web) struct PasswordPage {
    /// The frame.
    pub(in crate::web) page: Page,
    /// Where the form goes.
    pub(in crate::web) action: String,
    /// Why it did not work.
    pub(in crate::web) problem: Option<String>,
}

/// Something else that could be asked.
struct Way {
    question: Question,
    name: &'static str,
}

impl CodePage {
    fn ways(&self) -> impl Iterator<Item = Way> {
        self.others.iter().map(|question| {
            let name = match question {
                Question::Factor(FactorKind::Totp) => "way-totp",
                Question::Factor(FactorKind::Mailbox) => "way-mailbox",
                Question::Factor(FactorKind::Passkey) => "way-passkey",
                Question::RecoveryCode => "way-recovery",
            };
            Way { question: *question, name }
        })
    }

    /// Whether nothing can be typed before a code is sent.
    fn waits_for_mail(&self) -> bool {
        self.ask == Question::Factor(FactorKind::Mailbox) && self.sent_to.is_none()
    }

    fn heading(&self) -> &'static str {
        match self.asked_for {
            AskedFor::Entering => "code-title",
            AskedFor::Changing => "verify-title",
        }
    }

    fn lead(&self) -> &'static str {
        match (self.ask, self.asked_for) {
            (Question::Factor(FactorKind::Totp), AskedFor::Entering) => "code-totp-lead",
            (Question::Factor(FactorKind::Totp), AskedFor::Changing) => "verify-lead",
            (Question::Factor(FactorKind::Passkey), AskedFor::Entering) => "code-passkey-lead",
            (Question::Factor(FactorKind::Passkey), AskedFor::Changing) => "verify-passkey-lead",
            (Question::Factor(FactorKind::Mailbox), _) if self.sent_to.is_some() => "code-mailbox-sent-lead",
            (Question::Factor(FactorKind::Mailbox), _) => "code-mailbox-lead",
            (Question::RecoveryCode, _) => "code-recovery-lead",
        }
    }

    fn button(&self) -> &'static str {
        match self.ask {
            Question::Factor(FactorKind::Totp | FactorKind::Mailbox) | Question::RecoveryCode => {
                "code-button"
            }
            Question::Factor(FactorKind::Passkey) => "passkey-button",
        }
    }
}

/// The third step.
#[derive(Template)]
#[template(path = "trust.html")]
pub(in crate::web) struct TrustPage {
    /// The frame.
    pub(in crate::web) page: Page,
    /// Where the form goes.
    pub(in crate::web) action: String,
    /// How long it would be trusted.
    pub(in crate::web) lasts: Duration,
    /// What it calls itself.
    pub(in crate::web) browser: Shown,
}

impl TrustPage {
    /// For how many whole days, or hours where those are few: a day and a half is not *1 day*.
    fn lead(&self) -> String {
        let hours = u32::try_from(self.lasts.as_secs() / 3600).unwrap_or(u32::MAX).max(1);
        match hours {
            ..48 => self.page.with("trust-lead-hours", "hours", hours),
            48.. => self.page.with("trust-lead", "days", hours / 24),
        }
    }
}
