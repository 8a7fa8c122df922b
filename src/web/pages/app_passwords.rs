//! App passwords: the list, one of them, a new one, and watching its first login.

use askama::Template;

use super::settings::Settings;
use crate::web::page::Page;
use crate::web::shown::{Shown, Typed};

/// What the form offers for names.
pub(in crate::web) const SUGGESTIONS: [&str; 5] = ["Foxmail", "iPhone", "华为邮箱", "Outlook", "Thunderbird"];

/// Days for which a new one may be good.
pub(in crate::web) const EXPIRIES: [u32; 4] = [7, 30, 90, 365];

/// An app password as lists show it.
pub(in crate::web) struct Row {
    /// Names it in addresses.
    pub(in crate::web) id: String,
    /// Its owner's name for it.
    pub(in crate::web) name: Shown,
    /// Its first group.
    pub(in crate::web) label: String,
    /// When, from where, by which client.
    pub(in crate::web) used: String,
    /// When.
    pub(in crate::web) created: String,
    /// Protocols and networks.
    pub(in crate::web) scope: String,
    /// Until when.
    pub(in crate::web) expires: String,
    /// What keeps it from working.
    pub(in crate::web) state: Option<String>,
}

/// The list.
#[derive(Template)]
#[template(path = "app_passwords.html")]
pub(in crate::web) struct AppPasswordsPage {
    /// The frame.
    pub(in crate::web) page: Page,
    /// Newest first.
    pub(in crate::web) rows: Vec<Row>,
    /// The message that says why none can be made here.
    pub(in crate::web) closed: Option<&'static str>,
}

/// One of them.
#[derive(Template)]
#[template(path = "app_password.html")]
pub(in crate::web) struct AppPasswordPage {
    /// The frame.
    pub(in crate::web) page: Page,
    /// The row.
    pub(in crate::web) one: Row,
    /// The name to change.
    pub(in crate::web) typed_name: Typed,
    /// Why it did not work.
    pub(in crate::web) problem: Option<String>,
}

/// Something to choose.
pub(in crate::web) struct Choice {
    /// In the form.
    pub(in crate::web) value: String,
    /// On the page.
    pub(in crate::web) name: String,
    /// Whether it is chosen.
    pub(in crate::web) chosen: bool,
}

/// The form for a new one.
#[derive(Template)]
#[template(path = "new_app_password.html")]
pub(in crate::web) struct NewAppPasswordPage {
    /// The frame.
    pub(in crate::web) page: Page,
    /// What shows that it is sent for the first time.
    pub(in crate::web) once: String,
    /// What was typed, or suggested.
    pub(in crate::web) name: Typed,
    /// Networks as they were typed.
    pub(in crate::web) networks: Typed,
    /// From where the form is filled in.
    pub(in crate::web) from: Shown,
    /// See [`SUGGESTIONS`].
    pub(in crate::web) suggestions: [&'static str; 5],
    /// Whether the mailbox password is needed, too.
    pub(in crate::web) asks_password: bool,
    /// Whether a limit was set before.
    pub(in crate::web) limited: bool,
    /// Which protocols.
    pub(in crate::web) protocols: Vec<Choice>,
    /// Whether it is to read alone.
    pub(in crate::web) read_only: bool,
    /// How long.
    pub(in crate::web) expiries: Vec<Choice>,
    /// What is wrong with a field.
    pub(in crate::web) wrong: FieldsWrong,
    /// Why it did not work.
    pub(in crate::web) problem: Option<String>,
}

/// What is wrong, next to where it was typed.
#[derive(Default)]
pub(in crate::web) struct FieldsWrong {
    /// With the name.
    pub(in crate::web) name: Option<String>,
    /// With the protocols.
    pub(in crate::web) protocols: Option<String>,
    /// With the networks.
    pub(in crate::web) networks: Option<String>,
}

impl FieldsWrong {
    /// Whether one of those that are folded away is.
    pub(in crate::web) fn is_limit(&self) -> bool {
        self.protocols.is_some() || self.networks.is_some()
    }
}

/// A new one, this once.
#[derive(Template)]
#[template(path = "created_app_password.html")]
pub(in crate::web) struct CreatedAppPasswordPage {
    /// The frame.
    pub(in crate::web) page: Page,
    /// Names it in addresses.
    pub(in crate::web) id: String,
    /// Its owner's name for it.
    pub(in crate::web) name: Shown,
    /// The password, in its four groups.
    pub(in crate::web) groups: Vec<String>,
    /// The user name that clients need.
    pub(in crate::web) login: Shown,
    /// What else they need.
    pub(in crate::web) settings: Settings,
    /// How an Apple device gets all of it at once.
    pub(in crate::web) link: Option<DeviceLink>,
    /// Whether it may only read.
    pub(in crate::web) read_only: bool,
    /// Whether it is worth nothing until a factor is bound.
    pub(in crate::web) rests: bool,
}

/// A link that sets up the device on which it is opened.
pub(in crate::web) struct DeviceLink {
    /// The whole address.
    pub(in crate::web) url: String,
    /// The same for the camera of another device, as an SVG element.
    pub(in crate::web) qr: String,
}

impl CreatedAppPasswordPage {
    fn password(&self) -> String {
        self.groups.join(" ")
    }
}

/// Waiting for its first login.
#[derive(Template)]
#[template(path = "try_app_password.html")]
pub(in crate::web) struct TryAppPasswordPage {
    /// The frame.
    pub(in crate::web) page: Page,
    /// Names it in addresses.
    pub(in crate::web) id: String,
    /// Its owner's name for it.
    pub(in crate::web) name: Shown,
    /// The first login, in words.
    pub(in crate::web) seen: Option<String>,
    /// How often it has looked.
    pub(in crate::web) looks: u32,
    /// Whether the page still looks by itself.
    pub(in crate::web) waits: bool,
}
