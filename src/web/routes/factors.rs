//! Second factors: what is bound, binding, changing, unbinding, recovery codes.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;

use super::parsed;
use super::verify::CODE_MAX;
use crate::base::{FactorId, Secret, Timestamp};
use crate::config::{AfterUnbind, FactorKind};
use crate::portal::{self, Fresh, Refused, Visit};
use crate::web::answer::{Answer, Stop, go, html, shown, with_cookies};
use crate::web::asked::Asked;
use crate::web::desk::{Desk, done, inside};
use crate::web::forms::Form;
use crate::web::page::Tab;
use crate::web::pages::error::Wrong;
use crate::web::pages::factors::{
    BindTotpPage, Bound, FactorsPage, FirstBindingPage, RecoveryCodesPage, UnbindPage,
};
use crate::web::place::Place;
use crate::web::qr;
use crate::web::shown::{Moment, Shown};
use crate::web::words::Words;

/// What is bound.
pub(super) async fn show(State(desk): State<Arc<Desk>>, asked: Asked) -> Answer {
    let visit = desk.inside(&asked, Place::Factors).await?;
    let overview = desk.portal.overview(inside(&visit)?).await?;
    let now = desk.clock.now();
    shown(&FactorsPage {
        page: desk.page(&asked, &visit, Some(Tab::Factors), Some(Place::Factors)),
        recovery_left: visit.is_bound().then_some(overview.recovery_codes),
        factors: overview.factors.iter().map(|factor| bound(factor, now, asked.words)).collect(),
    })
}

/// What the first binding means.
pub(super) async fn show_first(State(desk): State<Arc<Desk>>, asked: Asked) -> Answer {
    let visit = desk.inside(&asked, Place::FirstBinding).await?;
    if visit.is_bound() {
        return Ok(go(&asked.here.to(Place::Factors)));
    }
    let overview = desk.portal.overview(inside(&visit)?).await?;
    let clients = desk.portal.clients_without_app_password(inside(&visit)?).await?;
    let settings = desk.portal.settings();
    let domain = visit.address().rsplit_once('@').map_or("", |(_, domain)| domain);
    let allowed = &settings.policies.of(domain).enrol_from;
    shown(&FirstBindingPage {
        page: desk.page(&asked, &visit, Some(Tab::Factors), Some(Place::FirstBinding)),
        required: overview.required_from.is_some() || visit.must_bind(),
        elsewhere: !allowed.is_empty() && !allowed.contains(asked.browser.address),
        clients: clients.iter().map(|client| Shown::new(client)).collect(),
        made: overview.app_passwords.len(),
    })
}

/// Offers an authenticator app.
pub(super) async fn offer(State(desk): State<Arc<Desk>>, asked: Asked) -> Answer {
    let visit = desk.inside(&asked, Place::Totp).await?;
    let fresh = desk.fresh(&asked, &visit, Place::Totp)?;
    shown(&offer_page(&desk, &asked, &visit, fresh, None, None).await?)
}

/// Binds it.
pub(super) async fn bind(State(desk): State<Arc<Desk>>, asked: Asked, form: Form) -> Answer {
    let visit = desk.acting(&asked, &form, Place::Totp).await?;
    let fresh = desk.fresh(&asked, &visit, Place::Totp)?;
    let made = match desk.portal.bind_totp(fresh, form.text("code", CODE_MAX)).await {
        Ok(made) => made,
        Err(refused) => return offer_again(&desk, &asked, &visit, fresh, None, refused).await,
    };
    let (visit, cookie) = desk.renewed(&asked, made.token).await?;
    let answer = match made.recovery_codes {
        Some(codes) => codes_page(&desk, &asked, &visit, true, &codes)?,
        None => done(&asked, Place::Factors, "bound"),
    };
    Ok(with_cookies(answer, [cookie]))
}

/// Offers an authenticator app in place of another.
pub(super) async fn offer_change(
    State(desk): State<Arc<Desk>>,
    asked: Asked,
    Path(id): Path<String>,
) -> Answer {
    let id = parsed(&id)?;
    let visit = desk.inside(&asked, Place::Change(id)).await?;
    let fresh = desk.fresh(&asked, &visit, Place::Change(id))?;
    is_bound(&desk, &visit, id).await?;
    shown(&offer_page(&desk, &asked, &visit, fresh, Some(id), None).await?)
}

/// Binds it, then unbinds the other: in this order there is always one.
pub(super) async fn change(
    State(desk): State<Arc<Desk>>,
    asked: Asked,
    Path(id): Path<String>,
    form: Form,
) -> Answer {
    let id = parsed(&id)?;
    let visit = desk.acting(&asked, &form, Place::Change(id)).await?;
    let fresh = desk.fresh(&asked, &visit, Place::Change(id))?;
    is_bound(&desk, &visit, id).await?;
    let made = match desk.portal.bind_totp(fresh, form.text("code", CODE_MAX)).await {
        Ok(made) => made,
        Err(refused) => return offer_again(&desk, &asked, &visit, fresh, Some(id), refused).await,
    };
    let (visit, cookie) = desk.renewed(&asked, made.token).await?;
    let unbound = desk.portal.unbind(desk.fresh(&asked, &visit, Place::Factors)?, id).await;
    Ok(match unbound {
        Ok(unbound) => {
            let cookie = asked.session_cookie(&unbound.token);
            with_cookies(done(&asked, Place::Factors, "changed"), [cookie])
        }
        // Both are bound; the list shows it, and the old one can be unbound there.
        Err(_) => with_cookies(done(&asked, Place::Factors, "bound"), [cookie]),
    })
}

async fn offer_page(
    desk: &Desk,
    asked: &Asked,
    visit: &Visit,
    fresh: Fresh<'_>,
    replaces: Option<FactorId>,
    problem: Option<String>,
) -> Result<BindTotpPage, Stop> {
    let offer = desk.portal.offer_totp(fresh).await.map_err(|refused| match refused {
        Refused::Elsewhere => Stop::Go(asked.here.to(Place::FirstBinding)),
        Refused::Broken(broken) => broken.into(),
        Refused::WrongCode
        | Refused::TooMany { .. }
        | Refused::NoOffer
        | Refused::NotOffered
        | Refused::Required
        | Refused::NotFound => Stop::Wrong(Wrong::Missing),
    })?;
    let uri = text(&offer.uri);
    let place = replaces.map_or(Place::Totp, Place::Change);
    Ok(BindTotpPage {
        page: desk.page(asked, visit, Some(Tab::Factors), Some(place)),
        first: !visit.is_bound(),
        replaces: replaces.map(|id| id.to_string()),
        qr: qr::svg(&uri),
        key_groups: offer
            .key
            .expose()
            .chunks(4)
            .map(|group| String::from_utf8_lossy(group).into_owned())
            .collect(),
        uri,
        problem,
    })
}

async fn offer_again(
    desk: &Desk,
    asked: &Asked,
    visit: &Visit,
    fresh: Fresh<'_>,
    replaces: Option<FactorId>,
    refused: Refused,
) -> Answer {
    let (status, said) = match refused {
        Refused::WrongCode => (StatusCode::UNPROCESSABLE_ENTITY, "totp-wrong"),
        Refused::TooMany { .. } => (StatusCode::TOO_MANY_REQUESTS, "code-too-many"),
        Refused::NoOffer => (StatusCode::UNPROCESSABLE_ENTITY, "totp-expired"),
        Refused::Elsewhere => return Err(Stop::Go(asked.here.to(Place::FirstBinding))),
        Refused::Broken(broken) => return Err(broken.into()),
        Refused::NotOffered | Refused::Required | Refused::NotFound => {
            return Err(Stop::Wrong(Wrong::Missing));
        }
    };
    let problem = Some(asked.words.say(said));
    html(status, &offer_page(desk, asked, visit, fresh, replaces, problem).await?)
}

/// Makes new recovery codes.
pub(super) async fn renew_codes(State(desk): State<Arc<Desk>>, asked: Asked, form: Form) -> Answer {
    let visit = desk.acting(&asked, &form, Place::Factors).await?;
    let fresh = desk.fresh(&asked, &visit, Place::Factors)?;
    if !visit.is_bound() {
        return Err(Stop::Wrong(Wrong::Missing));
    }
    let codes = desk.portal.make_recovery_codes(fresh).await?;
    codes_page(&desk, &asked, &visit, false, &codes)
}

fn codes_page(desk: &Desk, asked: &Asked, visit: &Visit, bound: bool, codes: &[Secret]) -> Answer {
    let page = desk.page(asked, visit, Some(Tab::Factors), None);
    shown(&RecoveryCodesPage { page, bound, codes: codes.iter().map(text).collect() })
}

/// Asks before unbinding.
pub(super) async fn ask_unbind(
    State(desk): State<Arc<Desk>>,
    asked: Asked,
    Path(id): Path<String>,
) -> Answer {
    let id = parsed(&id)?;
    let visit = desk.inside(&asked, Place::Unbind(id)).await?;
    let fresh = desk.fresh(&asked, &visit, Place::Unbind(id))?;
    is_bound(&desk, &visit, id).await?;
    shown(&unbind_page(&desk, &asked, &visit, fresh, id).await?)
}

async fn unbind_page(
    desk: &Desk,
    asked: &Asked,
    visit: &Visit,
    fresh: Fresh<'_>,
    id: FactorId,
) -> Result<UnbindPage, Stop> {
    let overview = desk.portal.overview(fresh.inside()).await?;
    let last = overview.factors.len() <= 1;
    Ok(UnbindPage {
        page: desk.page(asked, visit, Some(Tab::Factors), Some(Place::Unbind(id))),
        id: id.to_string(),
        refused: last && desk.portal.is_required(fresh),
        last,
        keeps_app_passwords: desk.portal.after_unbind(fresh) == AfterUnbind::Keep,
        app_passwords: overview.app_passwords.len(),
    })
}

/// Unbinds it.
pub(super) async fn unbind(
    State(desk): State<Arc<Desk>>,
    asked: Asked,
    Path(id): Path<String>,
    form: Form,
) -> Answer {
    let id = parsed(&id)?;
    let visit = desk.acting(&asked, &form, Place::Unbind(id)).await?;
    let fresh = desk.fresh(&asked, &visit, Place::Unbind(id))?;
    match desk.portal.unbind(fresh, id).await {
        Ok(unbound) => {
            let cookie = asked.session_cookie(&unbound.token);
            Ok(with_cookies(done(&asked, Place::Factors, "unbound"), [cookie]))
        }
        Err(Refused::Required) => {
            html(StatusCode::FORBIDDEN, &unbind_page(&desk, &asked, &visit, fresh, id).await?)
        }
        Err(Refused::Broken(broken)) => Err(broken.into()),
        Err(
            Refused::WrongCode
            | Refused::TooMany { .. }
            | Refused::NoOffer
            | Refused::NotOffered
            | Refused::Elsewhere
            | Refused::NotFound,
        ) => Err(Stop::Wrong(Wrong::Missing)),
    }
}

/// A bound factor, as lists show it.
pub(super) fn bound(factor: &portal::Seen, now: Timestamp, words: Words) -> Bound {
    let when = |at| Moment::new(at, now, words).words;
    let name = match factor.kind {
        FactorKind::Totp => words.say("totp-name"),
    };
    let detail = match factor.last_used_at {
        Some(used) => words.with_two("factor-used", ("when", &when(factor.bound_at)), ("used", &when(used))),
        None => words.with("factor-bound", "when", when(factor.bound_at)),
    };
    Bound { id: factor.id.to_string(), name, detail }
}

/// Somebody else's factor looks like none at all.
async fn is_bound(desk: &Desk, visit: &Visit, id: FactorId) -> Result<(), Stop> {
    let overview = desk.portal.overview(inside(visit)?).await?;
    let there = overview.factors.iter().any(|factor| factor.id == id);
    if there { Ok(()) } else { Err(Stop::Wrong(Wrong::Missing)) }
}

/// What is shown to its owner, this once.
fn text(secret: &Secret) -> String {
    String::from_utf8_lossy(secret.expose()).into_owned()
}
