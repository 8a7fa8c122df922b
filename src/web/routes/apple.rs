//! A device's link: a page that asks, and the profile once. Whoever holds the link is answered; nobody's session is looked
//! at. Asking for the page changes nothing, so that a preview of the link uses nothing up.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};

use crate::base::Token;
use crate::web::answer::{Answer, Stop, html};
use crate::web::asked::Asked;
use crate::web::desk::Desk;
use crate::web::pages::apple::ProfilePage;
use crate::web::pages::error::Wrong;
use crate::web::setup::{apple, signed};
use crate::web::shown::Shown;

/// Asks.
pub(super) async fn show(State(desk): State<Arc<Desk>>, asked: Asked, Path(link): Path<String>) -> Answer {
    let waits = match Token::parse(&link) {
        Some(link) => desk.portal.profile_waits(&link).await?,
        None => None,
    };
    page(&asked, waits)
}

fn page(asked: &Asked, whose: Option<String>) -> Answer {
    let status = if whose.is_some() { StatusCode::OK } else { StatusCode::NOT_FOUND };
    let whose = whose.map(|whose| Shown::new(&whose));
    html(status, &ProfilePage { page: Desk::page_of_nobody(asked), whose })
}

/// Gives it out, once.
pub(super) async fn fetch(State(desk): State<Arc<Desk>>, asked: Asked, Path(link): Path<String>) -> Answer {
    let Some(link) = Token::parse(&link) else { return page(&asked, None) };
    let Some(profile) = desk.portal.fetch_profile(&link, &asked.browser).await? else {
        return page(&asked, None);
    };
    let document = apple::document(&profile, &desk.portal.settings(), asked.words);
    Ok(given(&desk, &document.ok_or(Stop::Wrong(Wrong::Unavailable))?))
}

fn given(desk: &Desk, document: &[u8]) -> Response {
    let body = signed(document, &desk.certificate.now()).unwrap_or_else(|error| {
        // It sets up the same, and says of itself that nobody vouches for it.
        tracing::warn!(error = &error as &dyn std::error::Error, "a profile goes out unsigned");
        document.to_vec()
    });
    ([(CONTENT_TYPE, apple::KIND), (CONTENT_DISPOSITION, apple::FILE)], body).into_response()
}
