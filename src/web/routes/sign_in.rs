//! In, step by step; and out.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderName, HeaderValue};

use super::verify::{self, problem, way_asked};
use crate::base::{LoginName, Token};
use crate::portal::{Entered, NoSignIn, Step};
use crate::web::answer::{Answer, Stop, go, html, shown, with_cookies};
use crate::web::asked::Asked;
use crate::web::cookies::Cookie;
use crate::web::desk::{Desk, next};
use crate::web::forms::Form;
use crate::web::page::Page;
use crate::web::pages::sign_in::{AskedFor, SignInPage, TrustPage};
use crate::web::place::Place;
use crate::web::shown::Typed;
use crate::web::user_agent;

/// The longest name that is looked at: an address has 254 bytes at most (RFC 5321 section 4.5.3.1.3, with its brackets).
const LOGIN_MAX: usize = 320;

/// Clear Site Data, section 3.1.
const CLEAR_SITE_DATA: HeaderName = HeaderName::from_static("clear-site-data");

/// The first step. Whoever is in already has no need of it.
pub(super) async fn show(State(desk): State<Arc<Desk>>, asked: Asked) -> Answer {
    let visit = desk.visit(&asked).await?;
    if visit.as_ref().is_some_and(|visit| visit.step() == Step::In) {
        return Ok(go(&next(&asked, Step::In, asked.onward())));
    }
    let mut page = page(&asked);
    if visit.is_none() && asked.session().is_some() {
        page.done = page.done.or_else(|| Some(asked.words.say("sign-in-ended")));
    }
    let passkey = with_passkey(&desk, &asked, asked.onward());
    shown(&SignInPage { page, to: onward(&asked, None), login: Typed::default(), passkey, problem: None })
}

/// Judges it.
pub(super) async fn take(State(desk): State<Arc<Desk>>, asked: Asked, form: Form) -> Answer {
    let typed = form.text("login", LOGIN_MAX);
    let onward_to = Place::named(form.text("to", 120));
    let refused = match (LoginName::from_bytes(typed.as_bytes()), form.password("password")) {
        (Ok(login), Some(password)) => {
            let device = asked.device();
            // Who signs in again has no need of the session before.
            if let Some(before) = desk.visit(&asked).await? {
                desk.portal.sign_out(&before).await?;
            }
            let entered = desk.portal.sign_in(&asked.browser, login, password, device.as_ref()).await;
            match entered {
                Ok(Entered { token, step }) => {
                    let cookie = asked.session_cookie(&token);
                    return Ok(with_cookies(go(&next(&asked, step, onward_to)), [cookie]));
                }
                Err(refused) => refused,
            }
        }
        // Nothing of the kind can be anybody's.
        _ => NoSignIn::Wrong,
    };
    let (status, said) = verify::password_problem(refused, "sign-in-wrong");
    let onward_to = onward_to.or_else(|| asked.onward());
    let page = Page { onward: onward_to.map(Place::path), ..page(&asked) };
    let (passkey, problem) = (with_passkey(&desk, &asked, onward_to), Some(asked.words.say(said)));
    let to = onward(&asked, onward_to);
    html(status, &SignInPage { page, to, login: Typed::new(typed), passkey, problem })
}

fn with_passkey(desk: &Desk, asked: &Asked, onward: Option<Place>) -> Option<String> {
    desk.portal.offers_passkeys().then(|| asked.here.to_and_on(Place::SignInPasskey, onward))
}

fn page(asked: &Asked) -> Page {
    Desk::page_of_nobody(asked).at(None, Some(Place::SignIn))
}

fn onward(asked: &Asked, typed: Option<Place>) -> Option<String> {
    typed.or_else(|| asked.onward()).map(|place| place.path().into_owned())
}

/// The second step.
pub(super) async fn ask_factor(State(desk): State<Arc<Desk>>, asked: Asked) -> Answer {
    let visit = desk.entering(&asked, Step::SecondFactor).await?;
    let wanted = way_asked(&asked.query);
    shown(&verify::page(&desk, &asked, &visit, AskedFor::Entering, wanted, None).await?)
}

/// Judges it.
pub(super) async fn take_factor(State(desk): State<Arc<Desk>>, asked: Asked, form: Form) -> Answer {
    let visit = desk.entering(&asked, Step::SecondFactor).await?;
    desk.has_form_token(&visit, &form)?;
    if let Some(answer) = verify::sent(&desk, &asked, &visit, AskedFor::Entering, &form).await {
        return answer;
    }
    let way = way_asked(&form);
    match verify::answer(&desk, &visit, way, &form).await {
        Ok(Entered { token, step }) => {
            let cookie = asked.session_cookie(&token);
            Ok(with_cookies(go(&next(&asked, step, asked.onward())), [cookie]))
        }
        Err(refused) => {
            let (status, said) = problem(way, &refused);
            let page = verify::page(&desk, &asked, &visit, AskedFor::Entering, way, Some(said)).await?;
            html(status, &page)
        }
    }
}

/// The third step.
pub(super) async fn ask_trust(State(desk): State<Arc<Desk>>, asked: Asked) -> Answer {
    let visit = desk.entering(&asked, Step::TrustDevice).await?;
    let place = Some(Place::Trust);
    shown(&TrustPage {
        page: desk.page(&asked, &visit, None, place),
        action: asked.here.to_and_on(Place::Trust, asked.onward()),
        lasts: desk.portal.trusted_for(&visit),
        browser: user_agent::named(asked.browser.name.as_deref(), asked.words),
    })
}

/// Takes the answer.
pub(super) async fn take_trust(State(desk): State<Arc<Desk>>, asked: Asked, form: Form) -> Answer {
    let visit = desk.entering(&asked, Step::TrustDevice).await?;
    desk.has_form_token(&visit, &form)?;
    let trusts = form.text("trust", 10) == "yes";
    let (Entered { token, step }, device) = desk.portal.trust(&visit, trusts).await?;
    let lasts = desk.portal.trusted_for(&visit);
    let device = device.map(|device: Token| asked.cookies().set(Cookie::Device, &device.text(), Some(lasts)));
    let session = asked.session_cookie(&token);
    Ok(with_cookies(go(&next(&asked, step, asked.onward())), [Some(session), device].into_iter().flatten()))
}

/// Out. Whoever has no session any more is out already.
pub(super) async fn leave(State(desk): State<Arc<Desk>>, asked: Asked, form: Form) -> Answer {
    if let Some(visit) = desk.visit(&asked).await? {
        desk.has_form_token(&visit, &form)?;
        desk.portal.sign_out(&visit).await.map_err(Stop::from)?;
    }
    let mut answer = go(&format!("{}?done=signed-out", asked.here.to(Place::SignIn)));
    // Pages that are still open, and what browsers hold of them; cookies stay, since the browser may be a trusted one.
    answer.headers_mut().insert(CLEAR_SITE_DATA, HeaderValue::from_static("\"cache\""));
    Ok(with_cookies(answer, [asked.cookies().forget(Cookie::Session)]))
}
