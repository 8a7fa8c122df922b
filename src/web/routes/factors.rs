//! Second factors: what is bound, its names, unbinding, recovery codes.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;

use super::app_passwords::ONCE_MAX;
use super::binding::NAME_MAX;
use super::enrol::closed;
use super::parsed;
use crate::base::{FactorId, Secret, Timestamp, Token};
use crate::config::AfterUnbind;
use crate::portal::{self, Fresh, Refused, Visit};
use crate::web::answer::{Answer, Stop, go, html, shown, with_cookies};
use crate::web::asked::Asked;
use crate::web::desk::{Desk, done, inside};
use crate::web::forms::Form;
use crate::web::page::Tab;
use crate::web::pages::binding;
use crate::web::pages::error::Wrong;
use crate::web::pages::factors::{
    Bound, Client, FactorsPage, FirstBindingPage, RecoveryCodesPage, RenameFactorPage, UnbindPage,
};
use crate::web::place::Place;
use crate::web::shown::{Moment, Shown, Typed};
use crate::web::words::Words;

/// What is bound.
pub(super) async fn show(State(desk): State<Arc<Desk>>, asked: Asked) -> Answer {
    let visit = desk.inside(&asked, Place::Factors).await?;
    let overview = desk.portal.overview(inside(&visit)?).await?;
    let now = desk.clock.now();
    shown(&FactorsPage {
        page: desk.page(&asked, &visit, Some(Tab::Factors), Some(Place::Factors)),
        closed: closed(&desk, &visit).await?,
        recovery_left: visit.is_bound().then_some(overview.recovery_codes),
        once: Token::fresh().text().to_string(),
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
    shown(&FirstBindingPage {
        page: desk.page(&asked, &visit, Some(Tab::Factors), Some(Place::FirstBinding)),
        required: overview.required_from.is_some() || visit.must_bind(),
        closed: closed(&desk, &visit).await?,
        rest: overview.app_passwords_rest,
        clients: clients.iter().map(|client| Client::new(client)).collect(),
        made: overview.app_passwords.len(),
    })
}

/// Asks for another name.
pub(super) async fn ask_name(State(desk): State<Arc<Desk>>, asked: Asked, Path(id): Path<String>) -> Answer {
    let id = parsed(&id)?;
    let visit = desk.inside(&asked, Place::Rename(id)).await?;
    desk.fresh(&asked, &visit, Place::Rename(id))?;
    let typed = desk.typed(&visit, Place::Rename(id)).await?;
    let typed = typed.as_ref().map(|form| form.text("name", NAME_MAX));
    shown(&rename_page(&desk, &asked, &visit, id, (typed, None)).await?)
}

async fn rename_page(
    desk: &Desk,
    asked: &Asked,
    visit: &Visit,
    id: FactorId,
    (typed, problem): (Option<&str>, Option<&str>),
) -> Result<RenameFactorPage, Stop> {
    let factor = find(desk, visit, id).await?;
    Ok(RenameFactorPage {
        page: desk.page(asked, visit, Some(Tab::Factors), Some(Place::Rename(id))),
        typed: Typed::new(typed.unwrap_or(&factor.name)),
        factor: bound(&factor, desk.clock.now(), asked.words),
        problem: problem.map(|key| asked.words.say(key)),
    })
}

/// Gives it that name.
pub(super) async fn rename(
    State(desk): State<Arc<Desk>>,
    asked: Asked,
    Path(id): Path<String>,
    form: Form,
) -> Answer {
    let id = parsed(&id)?;
    let visit = desk.acting(&asked, &form, Place::Rename(id)).await?;
    let fresh = desk.adding_typed(&asked, &visit, Place::Rename(id), (&form, &["name"])).await?;
    let name = form.text("name", NAME_MAX);
    match desk.portal.rename(fresh, id, name).await {
        Ok(()) => Ok(done(&asked, Place::Factors, "renamed")),
        Err(Refused::BadName) => {
            let page = rename_page(&desk, &asked, &visit, id, (Some(name), Some("rename-bad"))).await?;
            html(StatusCode::UNPROCESSABLE_ENTITY, &page)
        }
        Err(refused) => Err(stop(refused)),
    }
}

/// Makes new recovery codes.
pub(super) async fn renew_codes(State(desk): State<Arc<Desk>>, asked: Asked, form: Form) -> Answer {
    let visit = desk.acting(&asked, &form, Place::Factors).await?;
    let fresh = desk.adding(&asked, &visit, Place::Factors)?;
    if !visit.is_bound() {
        return Err(Stop::Wrong(Wrong::Missing));
    }
    let once = form.text("once", ONCE_MAX);
    if once.is_empty() {
        return Err(Stop::Wrong(Wrong::Request));
    }
    // Others would void those that were just kept, by a page that is loaded again.
    if !desk.portal.is_first_time(&visit, once).await? {
        return Ok(done(&asked, Place::Factors, "codes-already-made"));
    }
    let codes = desk.portal.make_recovery_codes(fresh).await?;
    codes_page(&desk, &asked, &visit, false, &codes)
}

pub(super) fn codes_page(desk: &Desk, asked: &Asked, visit: &Visit, bound: bool, codes: &[Secret]) -> Answer {
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
    let factor = overview.factors.iter().find(|factor| factor.id == id).ok_or(Stop::Wrong(Wrong::Missing))?;
    Ok(UnbindPage {
        page: desk.page(asked, visit, Some(Tab::Factors), Some(Place::Unbind(id))),
        factor: bound(factor, desk.clock.now(), asked.words),
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
        Err(refused) => Err(stop(refused)),
    }
}

fn stop(refused: Refused) -> Stop {
    match refused {
        Refused::Broken(broken) => broken.into(),
        Refused::WrongCode
        | Refused::TooMany { .. }
        | Refused::NoOffer
        | Refused::NotOffered
        | Refused::Elsewhere
        | Refused::LimitReached
        | Refused::BadName
        | Refused::Required
        | Refused::NotFound => Stop::Wrong(Wrong::Missing),
    }
}

/// A bound factor, as lists show it.
pub(super) fn bound(factor: &portal::Seen, now: Timestamp, words: Words) -> Bound {
    let when = |at| Moment::new(at, now, words).words;
    let kind = words.say(binding::name(factor.kind));
    let used = match factor.last_used_at {
        Some(used) => words.with_two("factor-used", ("when", &when(factor.bound_at)), ("used", &when(used))),
        None => words.with("factor-bound", "when", when(factor.bound_at)),
    };
    let detail = factor.detail.as_deref().map(|detail| Shown::new(detail).as_str().to_owned());
    let (name, kind) = if factor.name.is_empty() {
        (Shown::new(&kind), None)
    } else {
        (Shown::new(&factor.name), Some(kind))
    };
    let facts: Vec<String> = [kind, detail, Some(used)].into_iter().flatten().collect();
    Bound {
        id: factor.id.to_string(),
        kind: factor.kind,
        name,
        facts: facts.join(" · "),
        replaceable: factor.is_offered,
    }
}

/// Somebody else's factor looks like none at all.
pub(super) async fn find(desk: &Desk, visit: &Visit, id: FactorId) -> Result<portal::Seen, Stop> {
    let overview = desk.portal.overview(inside(visit)?).await?;
    overview.factors.into_iter().find(|factor| factor.id == id).ok_or(Stop::Wrong(Wrong::Missing))
}

/// What is shown to its owner, this once.
pub(super) fn text(secret: &Secret) -> String {
    String::from_utf8_lossy(secret.expose()).into_owned()
}
