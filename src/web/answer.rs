//! From a request to its answer: what is the same for all of them.

use std::sync::Arc;

use askama::Template;
use axum::Router;
use axum::body::Body;
use axum::http::header::{ALLOW, CONTENT_TYPE, LOCATION, REFERRER_POLICY, SET_COOKIE};
use axum::http::uri::PathAndQuery;
use axum::http::{HeaderValue, Request, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use hyper::service::Service as _;
use hyper_util::service::TowerToHyperService;
use tokio::time::Instant;

use super::asked::Asked;
use super::desk::Desk;
use super::in_force::CertificateInForce;
use super::pages::error::{ErrorPage, Wrong};
use super::{forms, headers, routes};
use crate::base::Clock;
use crate::meters::PageAnswer;
use crate::portal::{Broken, Portal};
use crate::proxy::Seldom;

/// The pages. Clones are the same.
#[derive(Clone)]
pub struct Web {
    desk: Arc<Desk>,
    routes: TowerToHyperService<Router>,
    /// That a form came from elsewhere.
    foreign: Arc<Seldom>,
}

/// What becomes of a request.
pub(super) type Answer = Result<Response, Stop>;

/// Why a page is not shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// Something is wrong.
    Wrong(Wrong),
    /// Another page comes first, at this address of ours.
    Go(String),
}

impl Web {
    /// Over `portal`; profiles are signed with `certificate`.
    #[must_use]
    pub fn new(portal: Arc<Portal>, clock: Arc<dyn Clock>, certificate: CertificateInForce) -> Self {
        let desk = Arc::new(Desk { portal, clock, certificate });
        let routes = TowerToHyperService::new(routes::all().with_state(Arc::clone(&desk)));
        Self { desk, routes, foreign: Arc::default() }
    }

    /// What became of requests so far.
    #[cfg(test)]
    pub(super) fn answers(&self) -> impl Iterator<Item = (PageAnswer, u64)> {
        self.desk.portal.meters().pages()
    }

    /// Answers one request; its client's address is among its extensions.
    pub async fn answer(&self, request: Request<Body>) -> Response {
        let here = self.desk.here();
        let (mut parts, body) = request.into_parts();
        let asked = Asked::of(&parts, here.clone(), self.desk.otherwise());
        // Mail clients ask at the root of a host, wherever the pages begin.
        let of_client = routes::is_of_clients(parts.uri.path());
        let uri = if of_client { Some(parts.uri.clone()) } else { below(&parts.uri, &here.base) };
        let at = |fits: fn(&str) -> bool| uri.as_ref().is_some_and(|uri| fits(uri.path()));
        let (open, secret) = (at(routes::is_without_session), at(routes::is_secret));
        let mut methods = None;
        let answer = if !open && !forms::is_from_here(&parts.method, &parts.headers, &here.origin) {
            Err(Wrong::Origin)
        } else if let Some(uri) = uri {
            parts.uri = uri;
            let answer = self.handle(Request::from_parts(parts, body)).await;
            methods = answer.headers().get(ALLOW).cloned();
            match wrong(&answer) {
                Some(wrong) => Err(wrong),
                None => Ok(answer),
            }
        } else {
            Err(Wrong::Missing)
        };
        let became = answer.as_ref().map_or_else(|wrong| wrong.counts_as(), |_| PageAnswer::Given);
        self.desk.portal.meters().page(became);
        if became == PageAnswer::Foreign && self.foreign.is_due(Instant::now()) {
            tracing::warn!(
                client = %asked.browser.address, signed_in = asked.session().is_some(),
                "a form was refused: the page of another site sent it, or it is not of this session; metrics count all of them"
            );
        }
        let mut answer = answer.unwrap_or_else(|wrong| error_page(&asked, wrong));
        // Whoever asked by a method that is of no use here is told which are (RFC 9110, section 15.5.6).
        if let Some(methods) = methods {
            answer.headers_mut().insert(ALLOW, methods);
        }
        if secret {
            answer.headers_mut().insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
        }
        headers::complete(answer.headers_mut(), here.secure);
        answer
    }
}

impl Web {
    /// What changes something goes on when its browser is gone: a change must not stay without its record, nor half done.
    async fn handle(&self, request: Request<Body>) -> Response {
        let changes = !request.method().is_safe();
        let called = self.routes.call(request);
        let answered = async {
            match called.await {
                Ok(answer) => answer,
                Err(never) => match never {},
            }
        };
        if !changes {
            return answered.await;
        }
        let finishing = self.desk.portal.finishing();
        let answering = tokio::spawn(async move {
            let _finishing = finishing;
            answered.await
        });
        answering.await.unwrap_or_else(|error| {
            tracing::error!(%error, "a page failed");
            Stop::Wrong(Wrong::Ours).into_response()
        })
    }
}

/// The same address seen from the portal's root.
fn below(uri: &Uri, base: &str) -> Option<Uri> {
    if base.is_empty() {
        return Some(uri.clone());
    }
    let rest = uri.path().strip_prefix(base)?;
    let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    let path = match rest {
        "" => format!("/{query}"),
        rest if rest.starts_with('/') => format!("{rest}{query}"),
        _ => return None,
    };
    Some(Uri::from(path.parse::<PathAndQuery>().ok()?))
}

/// What went wrong, by the handler or before one was found.
fn wrong(answer: &Response) -> Option<Wrong> {
    if let Some(wrong) = answer.extensions().get::<Wrong>() {
        return Some(*wrong);
    }
    // A page that tells its own trouble has a body of ours.
    if answer.headers().get(CONTENT_TYPE).is_some_and(|kind| kind == HTML || kind == XML) {
        return None;
    }
    match answer.status().as_u16() {
        404 => Some(Wrong::Missing),
        405 => Some(Wrong::Method),
        413 => Some(Wrong::TooLarge),
        400..=499 => Some(Wrong::Request),
        500..=599 => Some(Wrong::Ours),
        _ => None,
    }
}

fn error_page(asked: &Asked, wrong: Wrong) -> Response {
    let page = ErrorPage::new(Desk::page_of_nobody(asked), wrong);
    let status = StatusCode::from_u16(wrong.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    html(status, &page).unwrap_or_else(|_| status.into_response())
}

const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");

const XML: HeaderValue = HeaderValue::from_static("text/xml; charset=utf-8");

/// A page.
pub(super) fn html(status: StatusCode, page: &impl Template) -> Answer {
    drawn(status, HTML, page)
}

/// What a mail client reads.
pub(super) fn xml(status: StatusCode, document: &impl Template) -> Answer {
    drawn(status, XML, document)
}

fn drawn(status: StatusCode, kind: HeaderValue, page: &impl Template) -> Answer {
    match page.render() {
        Ok(text) => Ok((status, [(CONTENT_TYPE, kind)], text).into_response()),
        Err(error) => {
            tracing::error!(error = &error as &dyn std::error::Error, "a page cannot be drawn");
            Err(Stop::Wrong(Wrong::Ours))
        }
    }
}

/// A page that shows what was asked for.
pub(super) fn shown(page: &impl Template) -> Answer {
    html(StatusCode::OK, page)
}

/// On to another page, by GET (RFC 9110 section 15.4.4).
pub(super) fn go(address: &str) -> Response {
    match HeaderValue::from_str(address) {
        Ok(address) => (StatusCode::SEE_OTHER, [(LOCATION, address)]).into_response(),
        Err(_) => Stop::Wrong(Wrong::Ours).into_response(),
    }
}

/// The same answer, with cookies.
pub(super) fn with_cookies(mut answer: Response, cookies: impl IntoIterator<Item = String>) -> Response {
    for cookie in cookies {
        if let Ok(line) = HeaderValue::from_str(&cookie) {
            answer.headers_mut().append(SET_COOKIE, line);
        }
    }
    answer
}

impl IntoResponse for Stop {
    fn into_response(self) -> Response {
        match self {
            Self::Wrong(wrong) => {
                let status =
                    StatusCode::from_u16(wrong.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
                let mut answer = status.into_response();
                answer.extensions_mut().insert(wrong);
                answer
            }
            Self::Go(address) => go(&address),
        }
    }
}

/// It is in the log already.
impl From<Broken> for Stop {
    fn from(Broken: Broken) -> Self {
        Self::Wrong(Wrong::Unavailable)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_portal_may_stand_below_the_root_of_its_host() {
        let seen = |path: &str, base| below(&path.parse().unwrap(), base).map(|uri| uri.to_string());
        assert_eq!(seen("/lock?a=b", "").as_deref(), Some("/lock?a=b"));
        assert_eq!(seen("/portal/lock?a=b", "/portal").as_deref(), Some("/lock?a=b"));
        assert_eq!(seen("/portal", "/portal").as_deref(), Some("/"));
        assert_eq!(seen("/portal?x", "/portal").as_deref(), Some("/?x"));
        assert_eq!(seen("/portals/lock", "/portal"), None);
        assert_eq!(seen("/lock", "/portal"), None);
    }
}
