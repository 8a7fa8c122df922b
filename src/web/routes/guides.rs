//! Guides are for everybody: they say what a port scan says.

use std::sync::Arc;

use axum::extract::{Path, State};

use crate::web::answer::{Answer, Stop, shown};
use crate::web::asked::Asked;
use crate::web::desk::Desk;
use crate::web::page::{Page, Tab};
use crate::web::pages::error::Wrong;
use crate::web::pages::guides::{Guide, GuidePage, GuidesPage};
use crate::web::pages::settings::Settings;
use crate::web::place::Place;

/// The list.
pub(super) async fn list(State(desk): State<Arc<Desk>>, asked: Asked) -> Answer {
    let (page, settings) = page(&desk, &asked, Place::Guides).await?;
    shown(&GuidesPage::new(page, settings))
}

/// One of them.
pub(super) async fn show(State(desk): State<Arc<Desk>>, asked: Asked, Path(slug): Path<String>) -> Answer {
    let guide = Guide::named(&slug).ok_or(Stop::Wrong(Wrong::Missing))?;
    let (page, settings) = page(&desk, &asked, Place::Guide(guide)).await?;
    shown(&GuidePage::new(page, guide, settings))
}

async fn page(desk: &Desk, asked: &Asked, place: Place) -> Result<(Page, Settings), Stop> {
    let visit = desk.visit(asked).await?;
    let page = match &visit {
        Some(visit) => desk.page(asked, visit, Some(Tab::Guides), Some(place)),
        None => Desk::page_of_nobody(asked).at(None, Some(place)),
    };
    Ok((page, desk.client_settings(visit.as_ref())))
}
