//! The desk that every request passes: who is it, how far in, and which page comes before the one that was asked for.

use std::sync::Arc;

use axum::response::Response;

use super::answer::{Stop, go};
use super::asked::Asked;
use super::cookies::Cookies;
use super::forms::Form;
use super::in_force::CertificateInForce;
use super::page::{Page, SiteHelp, Tab};
use super::pages::error::Wrong;
use super::pages::settings::Settings;
use super::place::Place;
use super::routes::BY_LINK;
use super::shown::Shown;
use super::words::Words;
use crate::base::{Clock, Secret, Token};
use crate::config::Help;
use crate::portal::{Fresh, Inside, Portal, Step, TooOften, Visit};

/// What handlers work with.
pub(super) struct Desk {
    /// Everything that people do by themselves.
    pub(super) portal: Arc<Portal>,
    /// Time.
    pub(super) clock: Arc<dyn Clock>,
    /// What profiles are signed with.
    pub(super) certificate: CertificateInForce,
}

/// Where the portal is, by its configuration; never by what a browser says of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Here {
    /// `https://mail.example.org`
    pub(super) origin: String,
    /// What its paths begin with; empty at the root.
    pub(super) base: String,
    /// The name of the site.
    pub(super) site: String,
    /// Whether it is reached by `https`.
    pub(super) secure: bool,
    /// What those are told of whom nobody knows yet who they are.
    pub(super) help: Help,
}

impl Here {
    fn new(public_url: &str, site: &str) -> Self {
        let host = public_url.find("://").map_or(0, |at| at + "://".len());
        let end =
            public_url.get(host..).and_then(|rest| rest.find('/')).map_or(public_url.len(), |at| host + at);
        let (origin, base) = public_url.split_at(end);
        Self {
            origin: without_default_port(origin).to_owned(),
            base: base.to_owned(),
            site: site.to_owned(),
            secure: origin.starts_with("https://"),
            help: Help::default(),
        }
    }

    /// How cookies are written here.
    pub(super) fn cookies(&self) -> Cookies {
        Cookies { secure: self.secure }
    }

    /// The address of `place`.
    pub(super) fn to(&self, place: Place) -> String {
        format!("{}{}", self.base, place.path())
    }

    /// The whole address of a device's link, for other machines.
    pub(super) fn to_profile(&self, link: &Token) -> String {
        format!("{}{}{BY_LINK}{}", self.origin, self.base, &*link.text())
    }

    /// The same, going on to `onward` from there; that is the first page if it is not said.
    pub(super) fn to_and_on(&self, place: Place, onward: Option<Place>) -> String {
        match onward {
            None | Some(Place::Home) => self.to(place),
            Some(onward) => format!("{}?to={}", self.to(place), onward.as_query()),
        }
    }
}

/// Browsers leave it out of the origins that they name (URL Standard, section 4.4).
fn without_default_port(origin: &str) -> &str {
    let port = if origin.starts_with("https://") { ":443" } else { ":80" };
    origin.strip_suffix(port).unwrap_or(origin)
}

/// Something that was done, for the page that comes afterwards. It is named in that page's address, where anybody may
/// write it: it says nothing that could mislead.
const DONE: [(&str, &str); 15] = [
    ("signed-out", "done-signed-out"),
    ("locked", "done-locked"),
    ("already-made", "done-already-made"),
    ("codes-already-made", "done-codes-already-made"),
    ("renamed", "done-renamed"),
    ("deleted", "done-deleted"),
    ("deleted-all", "done-deleted-all"),
    ("session-ended", "done-session-ended"),
    ("device-removed", "done-device-removed"),
    ("browser-ended", "done-browser-ended"),
    ("bound", "done-bound"),
    ("changed", "done-changed"),
    ("unbound", "done-unbound"),
    ("trusted", "done-trusted"),
    ("verified", "done-verified"),
];

/// How much of what was typed is kept across a verification, in bytes: more than fifty networks have, three for each of theirs.
const TYPED_MAX: usize = 16 * 1024;

impl Desk {
    /// Where the portal is.
    pub(super) fn here(&self) -> Here {
        let settings = self.portal.settings();
        let help = settings.policies.default.help.clone();
        Here { help, ..Here::new(&settings.public_url, &settings.hostname) }
    }

    /// The language of whoever prefers none of ours.
    pub(super) fn otherwise(&self) -> Words {
        Words(self.portal.settings().language)
    }

    /// What mail clients need to know: of whoever is signed in, his own; all that there is, where that is nobody.
    pub(super) fn client_settings(&self, visit: Option<&Visit>) -> Settings {
        let settings = self.portal.settings();
        let own = visit.and_then(Visit::inside).map(|inside| self.portal.doors(inside));
        Settings::of(own.as_ref().unwrap_or(&settings.doors), &settings.hostname)
    }

    /// The session that the browser has, at whatever step.
    pub(super) async fn visit(&self, asked: &Asked) -> Result<Option<Visit>, Stop> {
        let Some(token) = asked.session() else { return Ok(None) };
        let visit = self.portal.visit(token, asked.browser.clone()).await?;
        if let Some(visit) = &visit {
            self.portal.count_request(visit).map_err(|TooOften| Stop::Wrong(Wrong::TooOften))?;
        }
        Ok(visit.map(|visit| visit.with_link(asked.link())))
    }

    /// Somebody at `step` of signing in; whoever is elsewhere is sent there.
    pub(super) async fn entering(&self, asked: &Asked, step: Step) -> Result<Visit, Stop> {
        match self.visit(asked).await? {
            None => Err(Stop::Go(asked.here.to_and_on(Place::SignIn, asked.onward()))),
            Some(visit) if visit.step() == step => Ok(visit),
            Some(visit) => Err(Stop::Go(next(asked, visit.step(), asked.onward()))),
        }
    }

    /// Somebody who is in, for the page `place`; whoever is not is sent to the step that comes first.
    pub(super) async fn inside(&self, asked: &Asked, place: Place) -> Result<Visit, Stop> {
        match self.visit(asked).await? {
            None => Err(Stop::Go(asked.here.to_and_on(Place::SignIn, Some(place)))),
            Some(visit) if visit.step() != Step::In => Err(Stop::Go(next(asked, visit.step(), Some(place)))),
            Some(visit) if visit.must_bind() && !is_open_before_binding(place) => {
                Err(Stop::Go(asked.here.to(Place::FirstBinding)))
            }
            Some(visit) => Ok(visit),
        }
    }

    /// Somebody who is in and has sent `form` from a page of this very session.
    pub(super) async fn acting(&self, asked: &Asked, form: &Form, place: Place) -> Result<Visit, Stop> {
        let visit = self.inside(asked, place).await?;
        self.has_form_token(&visit, form)?;
        Ok(visit)
    }

    /// Refuses a form that this session was not given.
    pub(super) fn has_form_token(&self, visit: &Visit, form: &Form) -> Result<(), Stop> {
        let shown = form.text("form", 100);
        if self.portal.is_form_token(visit, shown) { Ok(()) } else { Err(Stop::Wrong(Wrong::Origin)) }
    }

    /// Who may change things; whoever has not answered for a second factor lately does so first, and comes back to
    /// `place`.
    pub(super) fn fresh<'v>(&self, asked: &Asked, visit: &'v Visit, place: Place) -> Result<Fresh<'v>, Stop> {
        let verify = || Stop::Go(asked.here.to_and_on(Place::Verify, Some(place)));
        inside(visit)?.fresh().ok_or_else(verify)
    }

    /// The same, who is about to add something: not too often.
    pub(super) fn adding<'v>(
        &self,
        asked: &Asked,
        visit: &'v Visit,
        place: Place,
    ) -> Result<Fresh<'v>, Stop> {
        let fresh = self.fresh(asked, visit, place)?;
        self.portal.count_change(fresh).map_err(|TooOften| Stop::Wrong(Wrong::TooOften))?;
        Ok(fresh)
    }

    /// The same, by `form`. Where a verification comes first, what was typed into `fields`, none of which holds a secret, stands
    /// in the page at `place` after it.
    pub(super) async fn adding_typed<'v>(
        &self,
        asked: &Asked,
        visit: &'v Visit,
        place: Place,
        (form, fields): (&Form, &[&str]),
    ) -> Result<Fresh<'v>, Stop> {
        let inside = inside(visit)?;
        let typed = inside.fresh().is_none().then(|| format!("{}?{}", place.path(), form.only(fields)));
        match typed.filter(|typed| typed.len() <= TYPED_MAX) {
            Some(typed) => self.portal.keep_typed(inside, &Secret::new(typed.into_bytes())).await?,
            // He sends it now, or more than is kept: what he typed before is not to come back.
            None if self.typed(visit, place).await?.is_some() => self.portal.forget_typed(inside).await?,
            None => {}
        }
        self.adding(asked, visit, place)
    }

    /// What was typed into a form of the page at `place` before a verification, until it is sent.
    pub(super) async fn typed(&self, visit: &Visit, place: Place) -> Result<Option<Form>, Stop> {
        let Some(typed) = self.portal.typed(inside(visit)?).await? else { return Ok(None) };
        let of_place = typed.expose().strip_prefix(place.path().as_bytes());
        Ok(of_place.and_then(|typed| Form::parse(typed.strip_prefix(b"?")?)))
    }

    /// The session under the token that a step gave it, and the cookie that tells the browser.
    pub(super) async fn renewed(&self, asked: &Asked, token: Token) -> Result<(Visit, String), Stop> {
        let cookie = asked.session_cookie(&token);
        let visit = self.portal.visit(token, asked.browser.clone()).await?;
        Ok((visit.ok_or(Stop::Wrong(Wrong::Unavailable))?.with_link(asked.link()), cookie))
    }

    /// The frame of a page for somebody at whatever step.
    pub(super) fn page(&self, asked: &Asked, visit: &Visit, tab: Option<Tab>, place: Option<Place>) -> Page {
        let page = Page {
            address: Some(Shown::new(visit.address())),
            whole: visit.step() == Step::In && !visit.must_bind(),
            form_token: self.portal.form_token(visit),
            help: SiteHelp::of(&self.portal.help(visit), asked.words),
            ..Self::page_of_nobody(asked)
        };
        page.at(tab, place)
    }

    /// The frame of a page for anybody.
    pub(super) fn page_of_nobody(asked: &Asked) -> Page {
        let done = asked.query.text("done", 30);
        let done = DONE.iter().find(|(name, _)| *name == done).map(|(_, key)| asked.words.say(key));
        Page {
            words: asked.words,
            site: asked.here.site.clone(),
            base: asked.here.base.clone(),
            tab: None,
            to: None,
            onward: asked.onward().map(Place::path),
            way: None,
            address: None,
            whole: false,
            form_token: String::new(),
            done,
            help: SiteHelp::of(&asked.here.help, asked.words),
        }
    }
}

/// The proof that every step was taken.
pub(super) fn inside(visit: &Visit) -> Result<Inside<'_>, Stop> {
    visit.inside().ok_or(Stop::Wrong(Wrong::Origin))
}

/// The page of the step that comes next.
pub(super) fn next(asked: &Asked, step: Step, onward: Option<Place>) -> String {
    match step {
        Step::SecondFactor => asked.here.to_and_on(Place::SecondFactor, onward),
        Step::TrustDevice => asked.here.to_and_on(Place::Trust, onward),
        Step::In => asked.here.to(onward.unwrap_or(Place::Home)),
    }
}

/// Back to a page that says what was done.
pub(super) fn done(asked: &Asked, place: Place, what: &'static str) -> Response {
    debug_assert!(DONE.iter().any(|(name, _)| *name == what), "{what}");
    go(&format!("{}?done={what}", asked.here.to(place)))
}

/// What an account sees that must bind a factor before anything else: the way to that, and app passwords, so that its
/// mail clients can go on.
fn is_open_before_binding(place: Place) -> bool {
    match place {
        Place::FirstBinding
        | Place::Choose
        | Place::Bind(_)
        | Place::NewAppPassword
        | Place::Try(_)
        | Place::Verify => true,
        Place::Home
        | Place::SignIn
        | Place::SignInPasskey
        | Place::SecondFactor
        | Place::Trust
        | Place::Factors
        | Place::Rename(_)
        | Place::Change(_)
        | Place::Unbind(_)
        | Place::AppPasswords
        | Place::AppPassword(_)
        | Place::DeleteAll
        | Place::Lock
        | Place::Guides
        | Place::Guide(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_the_portal_is_follows_from_its_configuration() {
        let here = |url: &str| {
            let Here { origin, base, secure, .. } = Here::new(url, "mail.example.org");
            (origin, base, secure)
        };
        let is = |origin: &str, base: &str, secure| (origin.to_owned(), base.to_owned(), secure);
        assert_eq!(here("https://mail.example.org"), is("https://mail.example.org", "", true));
        assert_eq!(
            here("https://mail.example.org:443/portal"),
            is("https://mail.example.org", "/portal", true)
        );
        assert_eq!(here("http://127.0.0.1:8080/a/b"), is("http://127.0.0.1:8080", "/a/b", false));
        let here = Here::new("https://mail.example.org/portal", "x");
        assert_eq!(here.to_and_on(Place::Verify, Some(Place::Lock)), "/portal/verify?to=%2Flock");
    }

    #[test]
    fn what_was_done_can_be_said() {
        for (_, key) in DONE {
            for words in Words::ALL {
                assert!(words.say(key).len() > 5, "{key}");
            }
        }
    }
}
