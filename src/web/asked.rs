//! One request, as far as every page needs it: whose browser, which language, what it holds.

use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{FromRequest, FromRequestParts};
use axum::http::header::{ACCEPT_LANGUAGE, USER_AGENT};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Request};

use super::answer::Stop;
use super::cookies::{Cookie, Cookies};
use super::desk::{Desk, Here};
use super::forms::{Form, query};
use super::place::Place;
use super::user_agent;
use super::words::Words;
use crate::base::{ClientAddress, Token};
use crate::gate::Browser;

/// What came with a request.
pub(super) struct Asked {
    /// Where the portal is.
    pub(super) here: Here,
    /// The language of the answer.
    pub(super) words: Words,
    /// Who asks.
    pub(super) browser: Browser,
    /// What stands behind the question mark; hostile.
    pub(super) query: Form,
    headers: HeaderMap,
}

impl Asked {
    /// Of the head of a request.
    pub(super) fn of(parts: &Parts, here: Here, otherwise: Words) -> Self {
        let nobody = ClientAddress::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        let address = parts.extensions.get().copied().unwrap_or(nobody);
        let name = parts.headers.get(USER_AGENT).and_then(|name| user_agent::kept(name.as_bytes()));
        let words = words(here.cookies(), &parts.headers, otherwise);
        let query = query(parts.uri.query());
        let browser = Browser { address, name };
        Self { here, words, browser, query, headers: parts.headers.clone() }
    }

    /// How cookies are written here.
    pub(super) fn cookies(&self) -> Cookies {
        self.here.cookies()
    }

    /// The session that the browser shows.
    pub(super) fn session(&self) -> Option<Token> {
        Token::parse(self.cookies().read(&self.headers, Cookie::Session)?)
    }

    /// The cookie by which the browser shows `token` from now on.
    pub(super) fn session_cookie(&self, token: &Token) -> String {
        self.cookies().set(Cookie::Session, &token.text(), None)
    }

    /// What a trusted device shows.
    pub(super) fn device(&self) -> Option<Token> {
        Token::parse(self.cookies().read(&self.headers, Cookie::Device)?)
    }

    /// The enrolment link that it came by.
    pub(super) fn link(&self) -> Option<Token> {
        Token::parse(self.cookies().read(&self.headers, Cookie::Link)?)
    }

    /// What this browser was asked for a passkey, sealed.
    pub(super) fn passkey(&self) -> Option<&str> {
        self.cookies().read(&self.headers, Cookie::Passkey)
    }

    /// The page that somebody wants to go on to.
    pub(super) fn onward(&self) -> Option<Place> {
        Place::named(self.query.text("to", 120))
    }
}

/// The chosen language, or else the browser's.
fn words(cookies: Cookies, headers: &HeaderMap, otherwise: Words) -> Words {
    let chosen = cookies.read(headers, Cookie::Language).and_then(Words::tagged);
    let preferred = || {
        let wanted = headers.get(ACCEPT_LANGUAGE).and_then(|wanted| wanted.to_str().ok());
        Words::preferred(wanted.unwrap_or_default(), otherwise)
    };
    chosen.unwrap_or_else(preferred)
}

impl FromRequestParts<Arc<Desk>> for Asked {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, desk: &Arc<Desk>) -> Result<Self, Infallible> {
        Ok(Self::of(parts, desk.here(), desk.otherwise()))
    }
}

impl FromRequest<Arc<Desk>> for Form {
    type Rejection = Stop;

    async fn from_request(request: Request<Body>, _: &Arc<Desk>) -> Result<Self, Stop> {
        Self::read(request).await.map_err(Stop::Wrong)
    }
}
