//! Binding a second factor: which kind, and each kind's own page.

use std::borrow::Cow;

use askama::Template;

use crate::config::FactorKind;
use crate::web::page::Page;
use crate::web::place::Place;
use crate::web::shown::Shown;

/// The message that names a kind.
pub(in crate::web) fn name(kind: FactorKind) -> &'static str {
    match kind {
        FactorKind::Totp => "totp-name",
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
    /// Those that the site offers.
    pub(in crate::web) kinds: Vec<FactorKind>,
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
}

impl ChooseFactorPage {
    fn choices(&self) -> impl Iterator<Item = Choice> {
        self.kinds.iter().map(|kind| {
            let lead = match kind {
                FactorKind::Totp => "totp-lead",
                FactorKind::Passkey => "passkey-lead",
            };
            Choice { kind: *kind, name: name(*kind), lead, path: Place::Bind(*kind).path() }
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
    pub(in crate::web) name: Shown,
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
}
