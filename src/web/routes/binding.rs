//! Binding second factors: which kind, one of it, one in the place of another.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;

use super::enrol::closed;
use super::factors::{codes_page, find, text};
use super::parsed;
use super::verify::{ANSWER_MAX, CODE_MAX};
use crate::base::FactorId;
use crate::config::FactorKind;
use crate::portal::{Bound, Fresh, NotSent, Refused, Visit};
use crate::web::answer::{Answer, Stop, go, html, shown, with_cookies};
use crate::web::asked::Asked;
use crate::web::cookies::Cookie;
use crate::web::desk::{Desk, done, inside};
use crate::web::forms::Form;
use crate::web::page::Tab;
use crate::web::pages::binding::{BindMailboxPage, BindPasskeyPage, BindTotpPage, ChooseFactorPage};
use crate::web::pages::error::Wrong;
use crate::web::place::Place;
use crate::web::qr;
use crate::web::shown::{Shown, Typed};
use crate::web::user_agent;

/// More than any address may have.
const ADDRESS_MAX: usize = 1024;

/// More than any name may have, so that a name that is too long is refused and not cut.
pub(super) const NAME_MAX: usize = 1024;

/// Which kind.
pub(super) async fn choose(State(desk): State<Arc<Desk>>, asked: Asked) -> Answer {
    let visit = desk.inside(&asked, Place::Choose).await?;
    desk.fresh(&asked, &visit, Place::Choose)?;
    // None of them would be offered: the page for binding says why.
    if closed(&desk, &visit).await?.is_some() {
        return Ok(go(&asked.here.to(Place::FirstBinding)));
    }
    shown(&choose_page(&desk, &asked, &visit, None).await?)
}

async fn choose_page(
    desk: &Desk,
    asked: &Asked,
    visit: &Visit,
    problem: Option<&str>,
) -> Result<ChooseFactorPage, Stop> {
    Ok(ChooseFactorPage {
        page: desk.page(asked, visit, Some(Tab::Factors), Some(Place::Choose)),
        first: !visit.is_bound(),
        kinds: desk.portal.overview(inside(visit)?).await?.offered,
        problem: problem.map(|key| asked.words.say(key)),
    })
}

/// Offers an authenticator app.
pub(super) async fn offer_totp(State(desk): State<Arc<Desk>>, asked: Asked) -> Answer {
    offer(&desk, &asked, FactorKind::Totp).await
}

/// Binds it.
pub(super) async fn bind_totp(State(desk): State<Arc<Desk>>, asked: Asked, form: Form) -> Answer {
    bind(&desk, &asked, &form, FactorKind::Totp).await
}

/// Offers a passkey.
pub(super) async fn offer_passkey(State(desk): State<Arc<Desk>>, asked: Asked) -> Answer {
    offer(&desk, &asked, FactorKind::Passkey).await
}

/// Binds it.
pub(super) async fn bind_passkey(State(desk): State<Arc<Desk>>, asked: Asked, form: Form) -> Answer {
    bind(&desk, &asked, &form, FactorKind::Passkey).await
}

/// Asks for a backup mailbox, or for the code that was sent there.
pub(super) async fn offer_mailbox(State(desk): State<Arc<Desk>>, asked: Asked) -> Answer {
    offer(&desk, &asked, FactorKind::Mailbox).await
}

/// Sends a code there, or binds it.
pub(super) async fn bind_mailbox(State(desk): State<Arc<Desk>>, asked: Asked, form: Form) -> Answer {
    bind(&desk, &asked, &form, FactorKind::Mailbox).await
}

/// Sends a code to the address in `form`, which is to be bound, and asks for it.
async fn send_code(
    desk: &Desk,
    asked: &Asked,
    (visit, fresh): (&Visit, Fresh<'_>),
    replaces: Option<FactorId>,
    form: &Form,
) -> Answer {
    let typed = form.text("address", ADDRESS_MAX);
    let place = replaces.map_or(Place::Bind(FactorKind::Mailbox), Place::Change);
    let (status, wrong, problem) = match desk.portal.offer_mailbox(fresh, replaces, typed).await {
        Ok(()) => return Ok(go(&asked.here.to(place))),
        Err(NotSent::BadAddress) => (StatusCode::UNPROCESSABLE_ENTITY, Some("mailbox-bad"), None),
        Err(NotSent::Ours) => (StatusCode::UNPROCESSABLE_ENTITY, Some("mailbox-ours"), None),
        Err(NotSent::TooMany) => (StatusCode::TOO_MANY_REQUESTS, None, Some("mailbox-too-many")),
        Err(NotSent::Failed) => (StatusCode::SERVICE_UNAVAILABLE, None, Some("mailbox-failed")),
        Err(NotSent::Refused(refused)) => return cannot_offer(desk, asked, visit, refused).await,
    };
    // An earlier code is as good as it was.
    let sent_to = desk.portal.offered_mailbox(visit).await?.map(|address| Shown::new(&address));
    let page = BindMailboxPage {
        page: desk.page(asked, visit, Some(Tab::Factors), Some(place)),
        replaces: replaces.map(|id| id.to_string()),
        sent_to,
        typed: Typed::new(typed),
        wrong: wrong.map(|key| asked.words.say(key)),
        problem: problem.map(|key| asked.words.say(key)),
    };
    html(status, &page)
}

/// Offers one of `kind`.
async fn offer(desk: &Desk, asked: &Asked, kind: FactorKind) -> Answer {
    let visit = desk.inside(asked, Place::Bind(kind)).await?;
    let fresh = desk.fresh(asked, &visit, Place::Bind(kind))?;
    offer_page(desk, asked, &visit, fresh, (kind, None), None).await
}

/// Binds what of `kind` was offered.
async fn bind(desk: &Desk, asked: &Asked, form: &Form, kind: FactorKind) -> Answer {
    let visit = desk.acting(asked, form, Place::Bind(kind)).await?;
    let fresh = desk.adding(asked, &visit, Place::Bind(kind))?;
    if asks_for_code(kind, form) {
        return send_code(desk, asked, (&visit, fresh), None, form).await;
    }
    let made = match confirm(desk, fresh, (kind, None), form).await {
        Ok(made) => made,
        Err(refused) => return offer_again(desk, asked, &visit, fresh, (kind, None), form, refused).await,
    };
    let (visit, cookie) = desk.renewed(asked, made.token).await?;
    // It is used up, or of no use any more.
    let link = asked.link().map(|_| asked.cookies().forget(Cookie::Link));
    let answer = match made.recovery_codes {
        Some(codes) => codes_page(desk, asked, &visit, true, &codes)?,
        None => done(asked, Place::Factors, "bound"),
    };
    Ok(with_cookies(answer, [Some(cookie), link].into_iter().flatten()))
}

/// Whether a code is to be sent before one can be typed.
fn asks_for_code(kind: FactorKind, form: &Form) -> bool {
    kind == FactorKind::Mailbox && form.text("code", CODE_MAX).is_empty()
}

/// Hands what confirms an offer to the portal.
async fn confirm(
    desk: &Desk,
    fresh: Fresh<'_>,
    (kind, replaces): (FactorKind, Option<FactorId>),
    form: &Form,
) -> Result<Bound, Refused> {
    let answer = match kind {
        FactorKind::Totp | FactorKind::Mailbox => form.text("code", CODE_MAX),
        FactorKind::Passkey => form.text("answer", ANSWER_MAX),
    };
    let name = form.text("name", NAME_MAX);
    match replaces {
        None => desk.portal.bind(fresh, kind, name, answer).await,
        Some(old) => desk.portal.change(fresh, (kind, old), name, answer).await,
    }
}

/// Offers another one in the place of one that is bound.
pub(super) async fn offer_change(
    State(desk): State<Arc<Desk>>,
    asked: Asked,
    Path(id): Path<String>,
) -> Answer {
    let id = parsed(&id)?;
    let visit = desk.inside(&asked, Place::Change(id)).await?;
    let fresh = desk.fresh(&asked, &visit, Place::Change(id))?;
    let kind = find(&desk, &visit, id).await?.kind;
    offer_page(&desk, &asked, &visit, fresh, (kind, Some(id)), None).await
}

/// Binds it, and unbinds the other by that.
pub(super) async fn change(
    State(desk): State<Arc<Desk>>,
    asked: Asked,
    Path(id): Path<String>,
    form: Form,
) -> Answer {
    let id = parsed(&id)?;
    let visit = desk.acting(&asked, &form, Place::Change(id)).await?;
    let fresh = desk.adding(&asked, &visit, Place::Change(id))?;
    let kind = find(&desk, &visit, id).await?.kind;
    if asks_for_code(kind, &form) {
        return send_code(&desk, &asked, (&visit, fresh), Some(id), &form).await;
    }
    match confirm(&desk, fresh, (kind, Some(id)), &form).await {
        Ok(made) => {
            let cookie = asked.session_cookie(&made.token);
            Ok(with_cookies(done(&asked, Place::Factors, "changed"), [cookie]))
        }
        Err(refused) => offer_again(&desk, &asked, &visit, fresh, (kind, Some(id)), &form, refused).await,
    }
}

/// The page that offers one of a kind, perhaps in the place of another; `told` says why it comes again, and
/// which name was typed.
async fn offer_page(
    desk: &Desk,
    asked: &Asked,
    visit: &Visit,
    fresh: Fresh<'_>,
    (kind, replaces): (FactorKind, Option<FactorId>),
    told: Option<(StatusCode, &'static str, &str)>,
) -> Answer {
    let status = told.map_or(StatusCode::OK, |(status, ..)| status);
    let problem = told.map(|(_, key, _)| asked.words.say(key));
    let page =
        desk.page(asked, visit, Some(Tab::Factors), Some(replaces.map_or(Place::Bind(kind), Place::Change)));
    match kind {
        FactorKind::Mailbox => {
            if let Err(refused) = desk.portal.may_offer(fresh, (kind, replaces)).await {
                return cannot_offer(desk, asked, visit, refused).await;
            }
            let sent_to = desk.portal.offered_mailbox(visit).await?.map(|address| Shown::new(&address));
            let replaces = replaces.map(|id| id.to_string());
            let typed = Typed::default();
            html(status, &BindMailboxPage { page, replaces, sent_to, typed, wrong: None, problem })
        }
        FactorKind::Totp => {
            let offer = match desk.portal.offer_totp(fresh, replaces).await {
                Ok(offer) => offer,
                Err(refused) => return cannot_offer(desk, asked, visit, refused).await,
            };
            let uri = text(&offer.uri);
            let groups = offer.key.expose().chunks(4);
            let key_groups = groups.map(|group| String::from_utf8_lossy(group).into_owned()).collect();
            let replaces = replaces.map(|id| id.to_string());
            let (digits, seconds) = (offer.parameters.digits.into(), offer.parameters.period.into());
            let qr = qr::svg(&uri);
            html(status, &BindTotpPage { page, replaces, qr, key_groups, uri, digits, seconds, problem })
        }
        FactorKind::Passkey => {
            let options = match desk.portal.offer_passkey(fresh, replaces).await {
                Ok(options) => options,
                Err(refused) => return cannot_offer(desk, asked, visit, refused).await,
            };
            let name = match told {
                Some((.., typed)) if !typed.is_empty() => Typed::new(typed),
                // Where it is made says most about where it will be.
                _ => Typed::new(user_agent::named(asked.browser.name.as_deref(), asked.words).as_str()),
            };
            let replaces = replaces.map(|id| id.to_string());
            html(status, &BindPasskeyPage { page, replaces, options, name, problem })
        }
    }
}

async fn cannot_offer(desk: &Desk, asked: &Asked, visit: &Visit, refused: Refused) -> Answer {
    match refused {
        Refused::Elsewhere => Err(Stop::Go(asked.here.to(Place::FirstBinding))),
        Refused::LimitReached => {
            let page = choose_page(desk, asked, visit, Some("factor-too-many")).await?;
            html(StatusCode::CONFLICT, &page)
        }
        Refused::Broken(broken) => Err(match desk.visit(asked).await? {
            Some(_) => broken.into(),
            // Of a form that was sent twice the other one has bound: what should have been offered again had no place left.
            None => Stop::Go(asked.here.to_and_on(Place::SignIn, Some(Place::Factors))),
        }),
        Refused::WrongCode
        | Refused::TooMany { .. }
        | Refused::NoOffer
        | Refused::NotOffered
        | Refused::BadName
        | Refused::Required
        | Refused::NotFound => Err(Stop::Wrong(Wrong::Missing)),
    }
}

async fn offer_again(
    desk: &Desk,
    asked: &Asked,
    visit: &Visit,
    fresh: Fresh<'_>,
    what: (FactorKind, Option<FactorId>),
    form: &Form,
    refused: Refused,
) -> Answer {
    let (wrong, expired) = match what.0 {
        FactorKind::Totp => ("totp-wrong", "totp-expired"),
        FactorKind::Mailbox => ("mailbox-wrong", "mailbox-expired"),
        FactorKind::Passkey => ("passkey-wrong", "passkey-expired"),
    };
    let (status, said) = match refused {
        Refused::WrongCode => (StatusCode::UNPROCESSABLE_ENTITY, wrong),
        Refused::TooMany { .. } => (StatusCode::TOO_MANY_REQUESTS, "code-too-many"),
        Refused::NoOffer => (StatusCode::UNPROCESSABLE_ENTITY, expired),
        Refused::BadName => (StatusCode::UNPROCESSABLE_ENTITY, "rename-bad"),
        Refused::Elsewhere
        | Refused::LimitReached
        | Refused::Broken(_)
        | Refused::NotOffered
        | Refused::Required
        | Refused::NotFound => return cannot_offer(desk, asked, visit, refused).await,
    };
    offer_page(desk, asked, visit, fresh, what, Some((status, said, form.text("name", NAME_MAX)))).await
}
