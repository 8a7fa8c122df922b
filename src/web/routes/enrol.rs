//! The way in by an enrolment link.

use std::sync::Arc;

use axum::extract::{Path, State};

use crate::base::Token;
use crate::web::answer::{Answer, go, with_cookies};
use crate::web::asked::Asked;
use crate::web::cookies::Cookie;
use crate::web::desk::{Desk, next};
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
