//! The steps of signing in, and the fresh verification that uses the second of them again.

use askama::Template;

use crate::web::page::Page;
use crate::web::shown::Shown;

/// The first step: address and mailbox password.
#[derive(Template)]
#[template(path = "sign_in.html")]
pub(in crate::web) struct SignInPage {
    /// The frame.
    pub(in crate::web) page: Page,
    /// Where to go afterwards.
    pub(in crate::web) to: Option<String>,
    /// What was typed before; never the password.
    pub(in crate::web) login: Shown,
    /// Why it did not work.
    pub(in crate::web) problem: Option<String>,
}

/// A way to show who one is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::web) enum Way {
    /// A code from an authenticator app.
    Totp,
    /// A recovery code.
    Recovery,
}

impl Way {
    /// Its name in forms and addresses.
    pub(in crate::web) fn as_str(self) -> &'static str {
        match self {
            Self::Totp => "totp",
            Self::Recovery => "recovery",
        }
    }

    /// The message that names it.
    pub(in crate::web) fn name(self) -> &'static str {
        match self {
            Self::Totp => "way-totp",
            Self::Recovery => "way-recovery",
        }
    }
}

/// What a code is asked for.
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
    pub(in crate::web) ask: Way,
    /// What else could be.
    pub(in crate::web) others: Vec<Way>,
    /// Why it did not work.
    pub(in crate::web) problem: Option<String>,
}

impl CodePage {
    fn heading(&self) -> &'static str {
        match self.asked_for {
            AskedFor::Entering => "code-title",
            AskedFor::Changing => "verify-title",
        }
    }

    fn lead(&self) -> &'static str {
        match (self.ask, self.asked_for) {
            (Way::Totp, AskedFor::Entering) => "code-totp-lead",
            (Way::Totp, AskedFor::Changing) => "verify-lead",
            (Way::Recovery, _) => "code-recovery-lead",
        }
    }

    fn asks_totp(&self) -> bool {
        self.ask == Way::Totp
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
    pub(in crate::web) days: u32,
    /// What it calls itself.
    pub(in crate::web) browser: Shown,
}
