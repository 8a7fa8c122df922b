//! My security: everything that opens this mailbox, and everybody who tried.

use askama::Template;

use super::app_passwords::Row;
use super::factors::Bound;
use crate::config::FactorKind;
use crate::web::page::Page;
use crate::web::shown::{Moment, Shown};

/// Recovery codes that are few enough to say so.
const FEW: u32 = 3;

/// The page.
#[derive(Template)]
#[template(path = "home.html")]
pub(in crate::web) struct HomePage {
    /// The frame.
    pub(in crate::web) page: Page,
    /// What is bound.
    pub(in crate::web) factors: Vec<Bound>,
    /// The message that says why a first factor cannot be bound here.
    pub(in crate::web) closed: Option<&'static str>,
    /// Recovery codes that are still good; none where there never were any.
    pub(in crate::web) recovery_left: Option<u32>,
    /// The app passwords.
    pub(in crate::web) app_passwords: Vec<Row>,
    /// Connected mail clients.
    pub(in crate::web) live: Vec<Live>,
    /// Browsers that skip the second factor.
    pub(in crate::web) devices: Vec<Browser>,
    /// Signed-in browsers.
    pub(in crate::web) browsers: Vec<Browser>,
    /// What happened, newest first.
    pub(in crate::web) attempts: Vec<Attempt>,
}

/// A mail client that is connected.
pub(in crate::web) struct Live {
    /// Names it in addresses.
    pub(in crate::web) id: String,
    /// What it calls itself, or its app password's name.
    pub(in crate::web) client: Shown,
    /// Protocol and address.
    pub(in crate::web) detail: String,
    /// Since when.
    pub(in crate::web) since: Moment,
}

/// A browser.
pub(in crate::web) struct Browser {
    /// Names it in addresses.
    pub(in crate::web) id: String,
    /// What it calls itself.
    pub(in crate::web) browser: Shown,
    /// When, from where, until when.
    pub(in crate::web) detail: String,
    /// Whether it is this one.
    pub(in crate::web) current: bool,
}

/// Something that happened.
pub(in crate::web) struct Attempt {
    /// Whether somebody got in.
    pub(in crate::web) good: bool,
    /// In words.
    pub(in crate::web) what: String,
    /// From where, with which client.
    pub(in crate::web) detail: String,
    /// When.
    pub(in crate::web) at: Moment,
}

impl HomePage {
    fn few_codes(&self) -> bool {
        self.recovery_left.is_some_and(|left| left <= FEW)
    }
}
