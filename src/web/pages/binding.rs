//! Binding a second factor: which kind, and each kind's own page.

use std::borrow::Cow;

use askama::Template;

use crate::config::FactorKind;
use crate::web::page::Page;
use crate::web::place::Place;
use crate::web::shown::{Shown, Typed};

/// The message that names a kind.
pub(in crate::web) fn name(kind: FactorKind) -> &'static str {
    match kind {
        FactorKind::Totp => "totp-name",
        FactorKind::Mailbox => "mailbox-name",
        FactorKind::Passkey => "passkey-name",
    }
}

/// Which kind to bind.
#[derive(Template)]
#[template(path = "choose_factor.html")]
pub(in crate::web) struct ChooseFactorPage {
    /// The frame.
    pub(in crate::web) page: Page,
    /// Whether nothing is bound yet.
    pub(in crate::web) first: bool,
    /// Those that the site offers, and whether it recommends them.
    pub(in crate::web) kinds: Vec<(FactorKind, bool)>,
    /// Why none can be bound now.
    pub(in crate::web) problem: Option<String>,
}

/// A kind that may be chosen.
struct Choice {
    kind: FactorKind,
    name: &'static str,
    /// What it is, in a sentence.
    lead: &'static str,
    path: Cow<'static, str>,
    recommended: bool,
}

impl ChooseFactorPage {
    fn choices(&self) -> impl Iterator<Item = Choice> {
        self.kinds.iter().map(|(kind, recommended)| {
            let lead = match kind {
                FactorKind::Totp => "totp-lead",
                FactorKind::Mailbox => "mailbox-lead",
                FactorKind::Passkey => "passkey-lead",
            };
            let (path, recommended) = (Place::Bind(*kind).path(), *recommended);
            Choice { kind: *kind, name: name(*kind), lead, path, recommended }
        })
    }
}

/// Binding or changing a passkey.
#[derive(Template)]
#[template(path = "bind_passkey.html")]
pub(in crate::web) struct BindPasskeyPage {
    /// The frame.
    pub(in crate::web) page: Page,
    /// Which of the bound ones this replaces.
    pub(in crate::web) replaces: Option<String>,
    /// For our script.
    pub(in crate::web) options: String,
    /// What stands in the field for its name.
    pub(in crate::web) name: Typed,
    /// Why it did not work.
    pub(in crate::web) problem: Option<String>,
}

impl BindPasskeyPage {
    fn heading(&self) -> &'static str {
        if self.replaces.is_some() { "passkey-change-title" } else { "passkey-bind-title" }
    }
}

/// Binding or changing an authenticator app.
#[derive(Template)]
#[template(path = "bind_totp.html")]
pub(in crate::web) struct BindTotpPage {
    /// The frame.
    pub(in crate::web) page: Page,
    /// Which of the bound ones this replaces.
    pub(in crate::web) replaces: Option<String>,
    /// Our own SVG.
    pub(in crate::web) qr: String,
    /// The key as it is typed, in groups of four.
    pub(in crate::web) key_groups: Vec<String>,
    /// The enrolment for an app on the same device.
    pub(in crate::web) uri: String,
    /// How many digits a code has.
    pub(in crate::web) digits: u32,
    /// How long it is good.
    pub(in crate::web) seconds: u32,
    /// Why it did not work.
    pub(in crate::web) problem: Option<String>,
}

impl BindTotpPage {
    fn heading(&self) -> &'static str {
        if self.replaces.is_some() { "totp-change-title" } else { "totp-bind-title" }
    }

    fn key(&self) -> String {
        self.key_groups.concat()
    }

    fn key_hint(&self) -> String {
        self.page.words.with_two("totp-key-hint", ("digits", &self.digits), ("seconds", &self.seconds))
    }

    fn code_label(&self) -> String {
        self.page.with("totp-code-label", "digits", self.digits)
    }
}

/// Binding or changing a backup mailbox: its address first, then the code that was sent there.
#[derive(Template)]
#[template(path = "bind_mailbox.html")]
pub(in crate::web) struct BindMailboxPage {
    /// The frame.
    pub(in crate::web) page: Page,
    /// Which of the bound ones this replaces.
    pub(in crate::web) replaces: Option<String>,
    /// To which mailbox a code was sent, masked.
    pub(in crate::web) sent_to: Option<Shown>,
    /// The address as it was typed.
    pub(in crate::web) typed: Typed,
    /// What is wrong with it.
    pub(in crate::web) wrong: Option<String>,
    /// Why it did not work.
    pub(in crate::web) problem: Option<String>,
}

impl BindMailboxPage {
    fn heading(&self) -> &'static str {
        if self.replaces.is_some() { "mailbox-change-title" } else { "mailbox-bind-title" }
    }

    fn action(&self) -> String {
        match &self.replaces {
            Some(id) => format!("{}/second-factors/{id}/change", self.page.base),
            None => format!("{}/second-factors/mailbox", self.page.base),
        }
    }
}
