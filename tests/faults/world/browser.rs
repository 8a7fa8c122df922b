//! Ada's browser at the portal, when something breaks behind it.

use regex::Regex;

use super::people::{ADA, MAILBOX_PASSWORD};
use crate::support::visitor::{data, first};
use crate::support::{Gate, PROTOCOLS, Visitor, code};

/// A browser of hers.
pub(crate) struct Browser {
    visitor: Visitor,
}

/// An authenticator app that is offered to be bound.
pub(crate) struct Offer {
    pub(crate) key: String,
    token: String,
}

/// A form that she has before her and has not sent.
pub(crate) struct Form {
    token: String,
    once: String,
}

impl Browser {
    /// Before the portal, signed in nowhere.
    pub(crate) fn before(gate: &Gate) -> Self {
        Self { visitor: Visitor::before(gate.portal()) }
    }

    /// Gives her mailbox password and that code, and says that the browser is not to be trusted. Returns whether the code
    /// was right.
    pub(crate) fn signs_in(&self, code: &str) -> bool {
        self.signs_in_as(ADA, code)
    }

    /// The same for somebody who borrows it.
    pub(crate) fn signs_in_as(&self, login: &str, code: &str) -> bool {
        self.signs_in_with(login, MAILBOX_PASSWORD, code)
    }

    /// The same with that mailbox password.
    pub(crate) fn signs_in_with(&self, login: &str, password: &str, code: &str) -> bool {
        let (status, page) = self.hear("/sign-in", &[("login", login), ("password", password)]);
        assert_eq!(status, 303, "{page}");
        let token = self.token("/second-factor");
        let (status, page) =
            self.hear("/second-factor", &[("form", &token), ("use", "totp"), ("code", code)]);
        assert!([303, 422].contains(&status), "{status}: {page}");
        if status == 422 {
            return false;
        }
        let token = self.token("/trust");
        let (status, page) = self.hear("/trust", &[("form", &token), ("trust", "no")]);
        assert_eq!(status, 303, "{page}");
        true
    }

    /// Signs in where no second factor is bound.
    pub(crate) fn signs_in_with_mailbox_password_alone(&self, login: &str) {
        let (status, page) = self.hear("/sign-in", &[("login", login), ("password", MAILBOX_PASSWORD)]);
        assert_eq!(status, 303, "{page}");
    }

    /// The key of the authenticator app that it is offered, and the form that binds it.
    pub(crate) fn offer(&self) -> Offer {
        let (status, page) = self.hear("/second-factors/totp", &[]);
        assert_eq!(status, 200, "{page}");
        Offer { key: first(&page, r#"data-copy="([A-Z2-7]+)""#), token: Visitor::hidden(&page, "form") }
    }

    /// Sends it to a gate that may end at any moment. The recovery codes, if it was bound and they are shown.
    pub(crate) fn may_bind(&self, offer: &Offer) -> Option<Vec<String>> {
        let fields = data(&[("form", &offer.token), ("code", &code(&offer.key, 0))]);
        let told = self.may_hear("/second-factors/totp", &fields);
        let shown = Regex::new("<li>([a-z2-9]{5} [a-z2-9]{5})</li>").expect("a pattern");
        let shown = shown.captures_iter(&told).map(|found| found[1].to_owned()).collect::<Vec<_>>();
        (!shown.is_empty()).then_some(shown)
    }

    /// Gets a page, or sends a form if there are any fields, and takes whatever comes: the status, and what came with it.
    /// Asks once: curl takes a 503 for an invitation.
    fn hear(&self, path: &str, fields: &[(&str, &str)]) -> (u16, String) {
        let fields = data(fields);
        let whatever = ["--no-fail", "--retry", "0", "--write-out", "\n%{http_code}"];
        let fields = fields.iter().map(String::as_str);
        let told = self.visitor.ask(path, &whatever.into_iter().chain(fields).collect::<Vec<_>>()).success();
        let (page, status) = told.rsplit_once('\n').expect("a status");
        (status.parse().expect("a number"), page.to_owned())
    }

    fn token(&self, path: &str) -> String {
        let (status, page) = self.hear(path, &[]);
        assert_eq!(status, 200, "{page}");
        Visitor::hidden(&page, "form")
    }

    /// What a page is answered with that only those see who are in.
    pub(crate) fn status(&self, path: &str) -> u16 {
        let (status, page) = self.hear(path, &[]);
        assert!(!shows_a_secret(&page), "{page}");
        status
    }

    /// The form that makes an app password.
    pub(crate) fn form(&self) -> Form {
        let (status, page) = self.hear("/app-passwords/new", &[]);
        assert_eq!(status, 200, "{page}");
        let [token, once] = ["form", "once"].map(|name| Visitor::hidden(&page, name));
        Form { token, once }
    }

    fn send(&self, form: &Form) -> (u16, String) {
        self.hear("/app-passwords/new", &form.fields())
    }

    /// Sends it to a gate that may end at any moment. The app password, if one is shown.
    pub(crate) fn may_get_one(&self, form: &Form) -> Option<String> {
        let told = self.may_hear("/app-passwords/new", &data(&form.fields()));
        shows_a_secret(&told).then(|| secret(&told))
    }

    /// Sends a form to a gate that may end at any moment: whatever came, though the rest did not. Cookies stay as they are:
    /// of several at once one would read the file that another is writing.
    fn may_hear(&self, path: &str, fields: &[String]) -> String {
        let once = ["--retry", "0", "--cookie-jar", "/dev/null"];
        let fields = fields.iter().map(String::as_str);
        self.visitor.ask(path, &once.into_iter().chain(fields).collect::<Vec<_>>()).stdout
    }

    /// Sends it, and hears that this does not work just now; of what was not made nothing is shown.
    pub(crate) fn hears_unavailable(&self, form: &Form) {
        assert!(!self.makes_one(form), "it was made");
    }

    /// Sends it. Whether that makes an app password; if not, that does not work just now, and nothing is shown.
    pub(crate) fn makes_one(&self, form: &Form) -> bool {
        let (status, page) = self.send(form);
        let made = status == 200;
        assert!(made || status == 503, "{status}: {page}");
        assert_eq!(shows_a_secret(&page), made, "{page}");
        made
    }

    /// Sends it, and gets an app password.
    pub(crate) fn gets_one(&self, form: &Form) -> String {
        let (status, page) = self.send(form);
        assert_eq!(status, 200, "{page}");
        assert!(shows_a_secret(&page), "{page}");
        secret(&page)
    }
}

impl Form {
    fn fields(&self) -> Vec<(&str, &str)> {
        let protocols = PROTOCOLS.map(|mail| ("protocol", mail.name()));
        [&[("name", "Another"), ("form", &*self.token), ("once", &*self.once)][..], &protocols].concat()
    }
}

fn secret(page: &str) -> String {
    first(page, r#"data-copy="([a-z2-9 ]{19})""#)
}

/// Whether four groups of an app password stand there, with or without what makes them beautiful.
fn shows_a_secret(page: &str) -> bool {
    let tags = Regex::new("<[^>]*>").expect("a pattern");
    let groups = Regex::new(r#"["\s]([a-z2-9]{4}\s+){3}[a-z2-9]{4}["\s]"#).expect("a pattern");
    groups.is_match(page) || groups.is_match(&tags.replace_all(page, " "))
}
