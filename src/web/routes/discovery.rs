//! What mail clients ask for before anybody is signed in to anything. The answer is the same for every address of a
//! domain, whether there is such a mailbox or not.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::header::HOST;
use axum::http::{HeaderMap, Request, StatusCode};

use crate::base::Domain;
use crate::web::answer::{Answer, Stop, xml};
use crate::web::asked::Asked;
use crate::web::desk::Desk;
use crate::web::forms;
use crate::web::pages::error::Wrong;
use crate::web::setup::autoconfig::Autoconfig;
use crate::web::setup::autodiscover::{self, NoAnswer, Question, Trouble};

/// The longest address (RFC 5321 section 4.5.3.1), and more.
const ADDRESS_MAX: usize = 400;

/// For Thunderbird and its like.
pub(super) async fn autoconfig(State(desk): State<Arc<Desk>>, asked: Asked, headers: HeaderMap) -> Answer {
    let address = asked.query.text("emailaddress", ADDRESS_MAX);
    let domain = match address.rsplit_once('@') {
        Some((_, domain)) => Domain::parse(domain).ok(),
        None => domain_of_host(&headers),
    };
    let domain = domain.ok_or(Stop::Wrong(Wrong::Missing))?;
    let upstream = desk.portal.upstream_of(&domain).ok_or(Stop::Wrong(Wrong::Missing))?;
    xml(StatusCode::OK, &Autoconfig::new(&domain, &upstream, &desk.portal.settings()))
}

/// Which of the domains somebody means who names no address, by the name of the host that he looks for it at. Nothing else
/// follows from that name.
fn domain_of_host(headers: &HeaderMap) -> Option<Domain> {
    let host = headers.get(HOST)?.to_str().ok()?;
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    let name = name.to_ascii_lowercase();
    Domain::parse(name.strip_prefix("autoconfig.").unwrap_or(&name)).ok()
}

/// For Outlook.
pub(super) async fn autodiscover(State(desk): State<Arc<Desk>>, request: Request<Body>) -> Answer {
    let body = forms::whole(request.into_body()).await.map_err(Stop::Wrong)?;
    answered(&desk, Question::read(&body))
}

/// The same for whoever writes the address behind a question mark.
pub(super) async fn about(State(desk): State<Arc<Desk>>, asked: Asked) -> Answer {
    answered(&desk, Question::about(asked.query.text("emailaddress", ADDRESS_MAX)))
}

fn answered(desk: &Desk, question: Result<Question, Trouble>) -> Answer {
    let served = |question: Question| {
        let domain = Domain::parse(question.address.domain()).ok();
        let upstream = domain.and_then(|domain| desk.portal.upstream_of(&domain));
        upstream.map(|upstream| (question, upstream)).ok_or(Trouble::Domain)
    };
    match question.and_then(served) {
        Ok((question, upstream)) => {
            xml(StatusCode::OK, &autodiscover::Answer::new(&question, &upstream, &desk.portal.settings()))
        }
        Err(trouble) => {
            let status = StatusCode::from_u16(trouble.status()).unwrap_or(StatusCode::BAD_REQUEST);
            xml(status, &NoAnswer::new(trouble, desk.clock.now()))
        }
    }
}
