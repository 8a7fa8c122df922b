//! Signing in with nothing but a passkey.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;

use super::verify::ANSWER_MAX;
use crate::portal::{Entered, NoPasskey, Step};
use crate::web::answer::{Answer, Stop, go, html, with_cookies};
use crate::web::asked::Asked;
use crate::web::cookies::Cookie;
use crate::web::desk::{Desk, next};
use crate::web::forms::Form;
use crate::web::pages::error::Wrong;
use crate::web::pages::sign_in::PasskeyEntryPage;
use crate::web::place::Place;

/// Asks for one. Whoever is in already has no need of it.
pub(super) async fn ask(State(desk): State<Arc<Desk>>, asked: Asked) -> Answer {
    let visit = desk.visit(&asked).await?;
    if visit.is_some_and(|visit| visit.step() == Step::In) {
        return Ok(go(&next(&asked, Step::In, asked.onward())));
    }
    page(&desk, &asked, StatusCode::OK, None)
}

/// Judges it.
pub(super) async fn take(State(desk): State<Arc<Desk>>, asked: Asked, form: Form) -> Answer {
    if !desk.portal.offers_passkeys() {
        return Err(Stop::Wrong(Wrong::Missing));
    }
    let (kept, answer) = (asked.passkey().unwrap_or_default(), form.text("answer", ANSWER_MAX));
    let (status, said) = match desk.portal.sign_in_with_passkey(&asked.browser, kept, answer).await {
        Ok(Entered { token, step }) => {
            // Who signs in again has no need of the session before.
            if let Some(before) = desk.visit(&asked).await? {
                desk.portal.sign_out(&before).await?;
            }
            let cookies = [asked.session_cookie(&token), asked.cookies().forget(Cookie::Passkey)];
            return Ok(with_cookies(go(&next(&asked, step, asked.onward())), cookies));
        }
        Err(NoPasskey::Expired) => (StatusCode::UNPROCESSABLE_ENTITY, "passkey-expired"),
        Err(NoPasskey::Wrong) => (StatusCode::UNPROCESSABLE_ENTITY, "passkey-entry-wrong"),
        Err(NoPasskey::TooMany) => (StatusCode::TOO_MANY_REQUESTS, "sign-in-too-many"),
        Err(NoPasskey::Broken(_)) => (StatusCode::SERVICE_UNAVAILABLE, "code-unavailable"),
    };
    page(&desk, &asked, status, Some(said))
}

/// Each page asks something else.
fn page(desk: &Desk, asked: &Asked, status: StatusCode, problem: Option<&str>) -> Answer {
    if !desk.portal.offers_passkeys() {
        return Err(Stop::Wrong(Wrong::Missing));
    }
    let wanted = desk.portal.ask_anybody()?;
    let page = PasskeyEntryPage {
        page: Desk::page_of_nobody(asked).at(None, Some(Place::SignInPasskey)),
        action: asked.here.to_and_on(Place::SignInPasskey, asked.onward()),
        otherwise: asked.here.to_and_on(Place::SignIn, asked.onward()),
        options: wanted.options,
        problem: problem.map(|key| asked.words.say(key)),
    };
    let cookie = asked.cookies().set(Cookie::Passkey, &wanted.kept, Some(wanted.lasts));
    Ok(with_cookies(html(status, &page)?, [cookie]))
}
