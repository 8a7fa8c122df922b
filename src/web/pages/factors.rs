//! Second factors: what is bound, its names, unbinding, recovery codes.

use std::fmt::Write as _;

use askama::Template;

use crate::base::GIVEN_NAME_MAX;
use crate::config::FactorKind;
use crate::factor::CODES;
use crate::web::page::Page;
use crate::web::shown::{Shown, Typed};

/// A factor that is bound.
pub(in crate::web) struct Bound {
    /// Names it in addresses.
    pub(in crate::web) id: String,
    /// Its kind.
    pub(in crate::web) kind: FactorKind,
    /// What its owner calls it, or else the name of its kind.
    pub(in crate::web) name: Shown,
    /// Of which kind where the name does not say it, since when, last used when.
    pub(in crate::web) facts: String,
    /// Whether another of its kind may take its place.
    pub(in crate::web) replaceable: bool,
}

/// What is bound.
#[derive(Template)]
#[template(path = "factors.html")]
pub(in crate::web) struct FactorsPage {
    /// The frame.
    pub(in crate::web) page: Page,
    /// The bound ones.
    pub(in crate::web) factors: Vec<Bound>,
    /// The message that says why a first factor cannot be bound here.
    pub(in crate::web) closed: Option<&'static str>,
    /// Recovery codes that are still good; none where there never were any.
    pub(in crate::web) recovery_left: Option<u32>,
    /// What shows that new ones are asked for for the first time.
    pub(in crate::web) once: String,
}

impl FactorsPage {
    /// For each code of a full set, whether it is used up.
    fn code_marks(&self) -> Vec<bool> {
        let left = self.recovery_left.unwrap_or(0);
        (0..CODES).map(|code| code >= left as usize).collect()
    }
}

/// A mail client.
pub(in crate::web) struct Client {
    /// What it calls itself.
    pub(in crate::web) name: Shown,
    /// The same as the name of an app password, for an address.
    pub(in crate::web) suggestion: String,
}

impl Client {
    /// Called so by itself.
    pub(in crate::web) fn new(name: &str) -> Self {
        Self { name: Shown::new(name), suggestion: name.chars().take(GIVEN_NAME_MAX).collect() }
    }
}

/// What the first binding means; the only page there is where binding is required and nothing bound.
#[derive(Template)]
#[template(path = "first_binding.html")]
pub(in crate::web) struct FirstBindingPage {
    /// The frame.
    pub(in crate::web) page: Page,
    /// Whether the site requires it.
    pub(in crate::web) required: bool,
    /// The message that says why it is not possible here.
    pub(in crate::web) closed: Option<&'static str>,
    /// Whether app passwords rest until then.
    pub(in crate::web) rest: bool,
    /// Clients of the last month that have no app password yet.
    pub(in crate::web) clients: Vec<Client>,
    /// How many app passwords there are.
    pub(in crate::web) made: usize,
}

/// Recovery codes, this once.
#[derive(Template)]
#[template(path = "recovery_codes.html")]
pub(in crate::web) struct RecoveryCodesPage {
    /// The frame.
    pub(in crate::web) page: Page,
    /// Whether they come with the first binding.
    pub(in crate::web) bound: bool,
    /// As they are typed.
    pub(in crate::web) codes: Vec<String>,
}

impl RecoveryCodesPage {
    /// The file to keep.
    fn text(&self) -> String {
        let address = self.page.address.as_ref().map_or("", Shown::as_str);
        let head =
            self.page.words.with_two("recovery-file-text", ("address", &address), ("site", &self.page.site));
        self.codes.iter().fold(head + "\n\n", |text, code| text + code + "\n")
    }

    /// The file as an address: the browser keeps it without asking the server for it again.
    fn download(&self) -> String {
        let mut address = "data:text/plain;charset=utf-8,".to_owned();
        for byte in self.text().into_bytes() {
            let _ = write!(address, "%{byte:02X}");
        }
        address
    }
}

/// Another name for one.
#[derive(Template)]
#[template(path = "rename_factor.html")]
pub(in crate::web) struct RenameFactorPage {
    /// The frame.
    pub(in crate::web) page: Page,
    /// Which.
    pub(in crate::web) factor: Bound,
    /// What stands in the field.
    pub(in crate::web) typed: Typed,
    /// Why it did not work.
    pub(in crate::web) problem: Option<String>,
}

/// Before unbinding.
#[derive(Template)]
#[template(path = "unbind.html")]
pub(in crate::web) struct UnbindPage {
    /// The frame.
    pub(in crate::web) page: Page,
    /// Which.
    pub(in crate::web) factor: Bound,
    /// Whether it is the last one, and the site requires one.
    pub(in crate::web) refused: bool,
    /// Whether it is the last one.
    pub(in crate::web) last: bool,
    /// Whether app passwords outlive it.
    pub(in crate::web) keeps_app_passwords: bool,
    /// How many there are.
    pub(in crate::web) app_passwords: usize,
}
