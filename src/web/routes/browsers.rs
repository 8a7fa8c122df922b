//! Who else is in, and throwing them out.

use std::sync::Arc;

use axum::extract::{Path, State};

use super::parsed;
use crate::web::answer::{Answer, Stop, shown, with_cookies};
use crate::web::asked::Asked;
use crate::web::cookies::Cookie;
use crate::web::desk::{Desk, done};
use crate::web::forms::Form;
use crate::web::page::Tab;
use crate::web::pages::confirm::ConfirmPage;
use crate::web::pages::error::Wrong;
use crate::web::place::Place;

/// Ends a mail client's session.
pub(super) async fn end_session(
    State(desk): State<Arc<Desk>>,
    asked: Asked,
    Path(id): Path<String>,
    form: Form,
) -> Answer {
    let visit = desk.acting(&asked, &form, Place::Home).await?;
    let fresh = desk.fresh(&asked, &visit, Place::Home)?;
    let ended = desk.portal.end_mail_session(fresh, parsed(&id)?).await?;
    if_there(&asked, ended, "session-ended")
}

/// Trusts a device no longer.
pub(super) async fn remove_device(
    State(desk): State<Arc<Desk>>,
    asked: Asked,
    Path(id): Path<String>,
    form: Form,
) -> Answer {
    let visit = desk.acting(&asked, &form, Place::Home).await?;
    let fresh = desk.fresh(&asked, &visit, Place::Home)?;
    let removed = desk.portal.withdraw_device(fresh, parsed(&id)?).await?;
    if_there(&asked, removed, "device-removed")
}

/// Signs another browser out.
pub(super) async fn end_browser(
    State(desk): State<Arc<Desk>>,
    asked: Asked,
    Path(id): Path<String>,
    form: Form,
) -> Answer {
    let visit = desk.acting(&asked, &form, Place::Home).await?;
    let fresh = desk.fresh(&asked, &visit, Place::Home)?;
    let ended = desk.portal.end_portal_session(fresh, parsed(&id)?).await?;
    if_there(&asked, ended, "browser-ended")
}

/// Asks before everything is locked.
pub(super) async fn ask_lock(State(desk): State<Arc<Desk>>, asked: Asked) -> Answer {
    let visit = desk.inside(&asked, Place::Lock).await?;
    desk.fresh(&asked, &visit, Place::Lock)?;
    shown(&ConfirmPage::lock(desk.page(&asked, &visit, Some(Tab::Security), Some(Place::Lock))))
}

/// Locks it.
pub(super) async fn lock(State(desk): State<Arc<Desk>>, asked: Asked, form: Form) -> Answer {
    let visit = desk.acting(&asked, &form, Place::Lock).await?;
    let token = desk.portal.lock_everything(desk.fresh(&asked, &visit, Place::Lock)?).await?;
    let session = asked.session_cookie(&token);
    let device = asked.cookies().forget(Cookie::Device);
    Ok(with_cookies(done(&asked, Place::Home, "locked"), [session, device]))
}

/// Somebody else's looks like none at all.
fn if_there(asked: &Asked, was_there: bool, what: &'static str) -> Answer {
    if was_there { Ok(done(asked, Place::Home, what)) } else { Err(Stop::Wrong(Wrong::Missing)) }
}
