//! What all pages have in common: the language, the site, who is signed in, where one is.

use std::borrow::Cow;

use super::assets;
use super::place::Place;
use super::shown::Shown;
use super::words::{Argument, Words};
use crate::config::Help;

/// The frame around a page's own content.
#[derive(Clone)]
pub(super) struct Page {
    /// Whose language.
    pub(super) words: Words,
    /// The name of the site, as its users know it.
    pub(super) site: String,
    /// What the portal's paths begin with; empty at the root of its host.
    pub(super) base: String,
    /// The tab that is lit.
    pub(super) tab: Option<Tab>,
    /// Where a switch of language leads back to; none where the page cannot be shown again.
    pub(super) to: Option<Cow<'static, str>>,
    /// Where that page goes on to.
    pub(super) onward: Option<Cow<'static, str>>,
    /// The way in which it asks for a second factor, where somebody chose one.
    pub(super) way: Option<&'static str>,
    /// Who is signed in, to whatever step.
    pub(super) address: Option<Shown>,
    /// Whether all steps are behind them.
    pub(super) whole: bool,
    /// What their forms must carry.
    pub(super) form_token: String,
    /// What was just done.
    pub(super) done: Option<String>,
    /// What the site tells those who do not know how to go on.
    pub(super) help: Option<SiteHelp>,
}

/// The site's own words; the administrator's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct SiteHelp {
    /// Paragraphs.
    pub(super) lines: Vec<String>,
    /// Whom to ask.
    pub(super) contact: Option<Ask>,
}

/// A mail address, a telephone or a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ask {
    /// Where it leads.
    pub(super) link: String,
    /// What to read.
    pub(super) shown: String,
}

impl Ask {
    /// Whether it leads away from here.
    pub(super) fn is_page(&self) -> bool {
        self.link.starts_with("https://")
    }
}

impl SiteHelp {
    /// What `help` says in the language of `words`, if it says anything.
    pub(super) fn of(help: &Help, words: Words) -> Option<Self> {
        let lines = help.text(words.0).into_iter().flat_map(str::lines).map(str::trim);
        let contact = help.contact.as_ref();
        let said = Self {
            lines: lines.filter(|line| !line.is_empty()).map(str::to_owned).collect(),
            contact: contact
                .map(|contact| Ask { link: contact.link().to_owned(), shown: contact.shown().to_owned() }),
        };
        (said != Self::default()).then_some(said)
    }
}

/// The tabs of somebody who is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tab {
    /// My security.
    Security,
    /// Second factors.
    Factors,
    /// App passwords.
    AppPasswords,
    /// Set-up guides.
    Guides,
}

impl Tab {
    fn as_str(self) -> &'static str {
        match self {
            Self::Security => "security",
            Self::Factors => "factors",
            Self::AppPasswords => "app-passwords",
            Self::Guides => "guides",
        }
    }
}

impl Page {
    /// See [`Words::say`].
    pub(super) fn say(&self, key: &str) -> String {
        self.words.say(key)
    }

    /// See [`Words::with`].
    pub(super) fn with(&self, key: &str, name: &'static str, value: impl Argument) -> String {
        self.words.with(key, name, value)
    }

    /// The same page, lit at `tab`, with a way back for the switch of language.
    pub(super) fn at(mut self, tab: Option<Tab>, to: Option<Place>) -> Self {
        self.tab = tab;
        self.to = to.map(Place::path);
        self
    }

    pub(super) fn is_in(&self) -> bool {
        self.address.is_some() && self.whole
    }

    pub(super) fn is_at(&self, tab: &str) -> bool {
        self.tab.is_some_and(|lit| lit.as_str() == tab)
    }

    pub(super) fn other_languages(&self) -> impl Iterator<Item = Words> {
        Words::ALL.into_iter().filter(|words| *words != self.words)
    }

    pub(super) fn asset(&self, name: &str) -> String {
        format!("{}{}", self.base, assets::path(name))
    }
}
