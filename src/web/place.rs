//! Every place that a visitor can be sent to. A form or an address may name one of them, and nothing else: nobody is
//! ever sent to where a stranger wants.

use std::borrow::Cow;

use super::pages::guides::Guide;
use crate::base::{AppPasswordId, FactorId};
use crate::config::FactorKind;

/// A page that is reached by a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// My security.
    Home,
    /// Signing in.
    SignIn,
    /// Signing in with nothing but a passkey.
    SignInPasskey,
    /// The second step of signing in.
    SecondFactor,
    /// The third.
    Trust,
    /// A fresh verification.
    Verify,
    /// Bound factors.
    Factors,
    /// What the first binding means.
    FirstBinding,
    /// Which kind of second factor to bind.
    Choose,
    /// Binding one of this kind.
    Bind(FactorKind),
    /// Another name for this one.
    Rename(FactorId),
    /// Binding another one in place of this.
    Change(FactorId),
    /// Unbinding it.
    Unbind(FactorId),
    /// The list.
    AppPasswords,
    /// A new one.
    NewAppPassword,
    /// One of them.
    AppPassword(AppPasswordId),
    /// Waiting for the first login with it.
    Try(AppPasswordId),
    /// All of them, gone.
    DeleteAll,
    /// Everything locked.
    Lock,
    /// Set-up guides.
    Guides,
    /// One of them.
    Guide(Guide),
}

/// Those that are always there.
const FIXED: [Place; 17] = [
    Place::Home,
    Place::SignIn,
    Place::SignInPasskey,
    Place::SecondFactor,
    Place::Trust,
    Place::Verify,
    Place::Factors,
    Place::FirstBinding,
    Place::Choose,
    Place::Bind(FactorKind::Totp),
    Place::Bind(FactorKind::Passkey),
    Place::Bind(FactorKind::Mailbox),
    Place::AppPasswords,
    Place::NewAppPassword,
    Place::DeleteAll,
    Place::Lock,
    Place::Guides,
];

impl Place {
    /// Below the portal's root.
    pub(super) fn path(self) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            Self::Home => "/",
            Self::SignIn => "/sign-in",
            Self::SignInPasskey => "/sign-in/passkey",
            Self::SecondFactor => "/second-factor",
            Self::Trust => "/trust",
            Self::Verify => "/verify",
            Self::Factors => "/second-factors",
            Self::FirstBinding => "/second-factors/first",
            Self::Choose => "/second-factors/new",
            Self::Bind(FactorKind::Totp) => "/second-factors/totp",
            Self::Bind(FactorKind::Passkey) => "/second-factors/passkey",
            Self::Bind(FactorKind::Mailbox) => "/second-factors/mailbox",
            Self::AppPasswords => "/app-passwords",
            Self::NewAppPassword => "/app-passwords/new",
            Self::DeleteAll => "/app-passwords/delete-all",
            Self::Lock => "/lock",
            Self::Guides => "/guides",
            Self::Rename(id) => return format!("/second-factors/{id}/rename").into(),
            Self::Change(id) => return format!("/second-factors/{id}/change").into(),
            Self::Unbind(id) => return format!("/second-factors/{id}/unbind").into(),
            Self::AppPassword(id) => return format!("/app-passwords/{id}").into(),
            Self::Try(id) => return format!("/app-passwords/{id}/try").into(),
            Self::Guide(guide) => return format!("/guides/{}", guide.slug).into(),
        })
    }

    /// The place with exactly this path.
    pub(super) fn named(path: &str) -> Option<Self> {
        if let Some(place) = FIXED.into_iter().find(|place| place.path() == path) {
            return Some(place);
        }
        let mut parts = path.strip_prefix('/')?.split('/');
        let place = match (parts.next()?, parts.next()?, parts.next()) {
            ("app-passwords", id, None) => Self::AppPassword(id.parse().ok()?),
            ("app-passwords", id, Some("try")) => Self::Try(id.parse().ok()?),
            ("second-factors", id, Some("rename")) => Self::Rename(id.parse().ok()?),
            ("second-factors", id, Some("change")) => Self::Change(id.parse().ok()?),
            ("second-factors", id, Some("unbind")) => Self::Unbind(id.parse().ok()?),
            ("guides", slug, None) => Self::Guide(Guide::named(slug)?),
            _ => return None,
        };
        // Whatever else reads as the same is not it.
        (place.path() == path).then_some(place)
    }

    /// The same as the value of a query's field.
    pub(super) fn as_query(self) -> String {
        self.path().replace('/', "%2F")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_sent_to_a_place_that_is_not_ours() {
        let id = "0193a1c2-0000-7000-8000-000000000001".parse::<uuid::Uuid>().unwrap();
        for kind in FactorKind::ALL {
            assert!(FIXED.contains(&Place::Bind(kind)), "{}", kind.as_str());
        }
        let moving = [
            Place::Rename(FactorId(id)),
            Place::Change(FactorId(id)),
            Place::Unbind(FactorId(id)),
            Place::AppPassword(AppPasswordId(id)),
            Place::Try(AppPasswordId(id)),
            Place::Guide(Guide::named("outlook").unwrap()),
        ];
        for place in FIXED.into_iter().chain(moving) {
            assert_eq!(Place::named(&place.path()), Some(place));
        }
        for elsewhere in [
            "//evil.example",
            "https://evil.example/",
            "/\\evil.example",
            "/lock/",
            "/Lock",
            "",
            "/lock?x",
            "javascript:",
            "/app-passwords/0193A1C2-0000-7000-8000-000000000001",
            "/app-passwords/{0193a1c2-0000-7000-8000-000000000001}",
            "/app-passwords/0193a1c2-0000-7000-8000-000000000001/try/",
            "/guides/../lock",
        ] {
            assert_eq!(Place::named(elsewhere), None, "{elsewhere}");
        }
    }
}
