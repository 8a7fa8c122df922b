//! The way in by an enrolment link.

use std::sync::Arc;

use axum::extract::{Path, State};

use crate::base::Token;
use crate::portal::{Enrolment, Visit};
use crate::web::answer::{Answer, Stop, go, with_cookies};
use crate::web::asked::Asked;
use crate::web::cookies::Cookie;
use crate::web::desk::{Desk, inside, next};
use crate::web::place::Place;

/// Keeps the link in the browser, out of its address, and goes on to what it is for. Nothing is used up by that: whoever
/// looks at links before people do, does them no harm; and what leads nowhere is not told from what does.
pub(super) async fn follow(State(desk): State<Arc<Desk>>, asked: Asked, Path(link): Path<String>) -> Answer {
    let onward = Some(Place::FirstBinding);
    let to = match desk.visit(&asked).await? {
        None => asked.here.to_and_on(Place::SignIn, onward),
        Some(visit) => next(&asked, visit.step(), onward),
    };
    let link = Token::parse(&link).map(|link| asked.cookies().set(Cookie::Link, &link.text(), None));
    Ok(with_cookies(go(&to), link))
}

/// The message that says why no first factor can be bound in this session, and what to do; none where one can, or is bound.
pub(super) async fn closed(desk: &Desk, visit: &Visit) -> Result<Option<&'static str>, Stop> {
    Ok(match desk.portal.enrolment(inside(visit)?).await? {
        Enrolment::Open => None,
        Enrolment::Elsewhere => Some("first-elsewhere"),
        Enrolment::NeedsLink => Some("first-needs-link"),
        Enrolment::LinkVoid => Some("first-link-void"),
    })
}
