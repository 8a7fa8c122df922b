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
    pub(in crate::web) devices: Vec<Device>,
    /// Browsers that are signed in, then those that were.
    pub(in crate::web) browsers: Vec<SignedIn>,
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

/// A browser that skips the second factor.
pub(in crate::web) struct Device {
    /// Names it in addresses.
    pub(in crate::web) id: String,
    /// What it calls itself.
    pub(in crate::web) browser: Shown,
    /// Until when, from where.
    pub(in crate::web) detail: String,
    /// Whether it is this one.
    pub(in crate::web) current: bool,
}

/// A browser that somebody is signed in with, or was.
pub(in crate::web) struct SignedIn {
    /// Names its session in addresses, while that lasts.
    pub(in crate::web) session: Option<String>,
    /// What it calls itself.
    pub(in crate::web) browser: Shown,
    /// When, from where.
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
    /// With which app password, from where, with which client, how often.
    pub(in crate::web) detail: String,
    /// When.
    pub(in crate::web) at: Moment,
}

impl HomePage {
    fn few_codes(&self) -> bool {
        self.recovery_left.is_some_and(|left| left <= FEW)
    }
}
