//! The page before something that cannot be taken back.

use askama::Template;

use crate::web::page::Page;

/// What will happen, and two buttons.
#[derive(Template)]
#[template(path = "confirm.html")]
pub(in crate::web) struct ConfirmPage {
    page: Page,
    title: &'static str,
    lead: String,
    consequences: Vec<String>,
    action: String,
    button: &'static str,
    back: String,
}

impl ConfirmPage {
    /// Before all app passwords go.
    pub(in crate::web) fn delete_all(page: Page, count: usize) -> Self {
        Self {
            title: "delete-all-confirm",
            lead: page.with("delete-all-lead", "count", count),
            consequences: vec![page.say("delete-all-ends"), page.say("delete-all-new")],
            action: format!("{}/app-passwords/delete-all", page.base),
            button: "delete-all-button",
            back: format!("{}/app-passwords", page.base),
            page,
        }
    }

    /// Before everything is locked.
    pub(in crate::web) fn lock(page: Page) -> Self {
        let consequences = [
            page.say("lock-sessions"),
            page.say("lock-passwords"),
            page.say("lock-devices"),
            page.say("lock-next"),
        ];
        Self {
            title: "lock-confirm",
            lead: page.say("lock-confirm-lead"),
            consequences: consequences.into(),
            action: format!("{}/lock", page.base),
            button: "lock-button",
            back: format!("{}/", page.base),
            page,
        }
    }
}
