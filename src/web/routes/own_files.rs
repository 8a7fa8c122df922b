//! What is the same for everybody: our own files, and the choice of a language.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::IntoResponse;

use super::verify::{asking, way_asked};
use crate::web::answer::{Answer, Stop, go, with_cookies};
use crate::web::asked::Asked;
use crate::web::assets;
use crate::web::cookies::Cookie;
use crate::web::desk::Desk;
use crate::web::forms::Form;
use crate::web::pages::error::Wrong;
use crate::web::place::Place;
use crate::web::words::Words;

/// Their addresses change with what is in them.
const KEPT: &str = "public, max-age=31536000, immutable";

/// How long a chosen language stays chosen.
const LANGUAGE_LASTS: Duration = Duration::from_secs(366 * 86_400);

/// One of our files.
pub(super) async fn asset(Path(name): Path<String>) -> Answer {
    let asset = assets::ALL.into_iter().find(|asset| asset.name == name);
    let asset = asset.ok_or(Stop::Wrong(Wrong::Missing))?;
    Ok(([(CONTENT_TYPE, asset.kind), (CACHE_CONTROL, KEPT)], asset.content).into_response())
}

/// Whoever asks reads another language from now on, on the page where he was: a way that leads on, or a way to answer that
/// was chosen, stays.
pub(super) async fn choose_language(State(_): State<Arc<Desk>>, asked: Asked, form: Form) -> Answer {
    let words = Words::tagged(form.text("language", 20)).ok_or(Stop::Wrong(Wrong::Request))?;
    let place = Place::named(form.text("to", 120)).unwrap_or(Place::Home);
    let onward = Place::named(form.text("onward", 120));
    let back = asked.here.to_and_on(place, onward);
    let back = match way_asked(&form) {
        Some(way) => asking(&back, way),
        None => back,
    };
    let cookie = asked.cookies().set(Cookie::Language, words.tag(), Some(LANGUAGE_LASTS));
    Ok(with_cookies(go(&back), [cookie]))
}
