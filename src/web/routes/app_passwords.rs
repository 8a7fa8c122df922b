//! App passwords.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::IntoResponse;

use super::enrol::closed;
use super::{parsed, verify};
use crate::app_password::Scope;
use crate::base::{Access, AppPasswordId, NetworkList, Protocol, ProtocolSet, Timestamp, Token};
use crate::portal::{Fresh, NewAppPassword, NoAppPassword, Visit};
use crate::store::AppPasswordRecord;
use crate::web::answer::{Answer, Stop, html, shown, with_cookies};
use crate::web::asked::Asked;
use crate::web::desk::{Desk, done, inside};
use crate::web::forms::Form;
use crate::web::page::Tab;
use crate::web::pages::app_passwords::{
    AppPasswordPage, AppPasswordsPage, Choice, CreatedAppPasswordPage, DeviceLink, EXPIRIES, FieldsWrong,
    NewAppPasswordPage, Row, SUGGESTIONS, TryAppPasswordPage,
};
use crate::web::pages::confirm::ConfirmPage;
use crate::web::pages::error::Wrong;
use crate::web::pages::settings::Settings;
use crate::web::place::Place;
use crate::web::qr;
use crate::web::shown::{Moment, Shown, Typed, day};
use crate::web::words::Words;

/// More than any name may have, so that a name that is too long is refused and not cut.
const NAME_MAX: usize = 1024;

/// More than what shows that a form is sent for the first time.
pub(super) const ONCE_MAX: usize = 100;

/// How many networks one app password may be good in: more make each login slower, and nobody keeps them in mind.
const NETWORKS_MAX: usize = 50;

/// How long the page that waits for a first login looks by itself: four seconds each time.
const LOOKS: u32 = 75;

const DAY: Duration = Duration::from_secs(86_400);

/// The list, the newest first.
pub(super) async fn list(State(desk): State<Arc<Desk>>, asked: Asked) -> Answer {
    let visit = desk.inside(&asked, Place::AppPasswords).await?;
    let rows = rows(&desk, &asked, &visit).await?.into_iter().map(|(_, row)| row).collect();
    let page = desk.page(&asked, &visit, Some(Tab::AppPasswords), Some(Place::AppPasswords));
    shown(&AppPasswordsPage { page, rows, closed: closed(&desk, &visit).await? })
}

async fn rows(desk: &Desk, asked: &Asked, visit: &Visit) -> Result<Vec<(AppPasswordRecord, Row)>, Stop> {
    let overview = desk.portal.overview(inside(visit)?).await?;
    let now = desk.clock.now();
    let rows = overview.app_passwords.into_iter().rev().map(|(record, scope)| {
        let row = row(&record, scope.as_ref(), now, asked.words);
        (record, row)
    });
    Ok(rows.collect())
}

async fn one(
    desk: &Desk,
    asked: &Asked,
    visit: &Visit,
    id: AppPasswordId,
) -> Result<(AppPasswordRecord, Row), Stop> {
    let mut rows = rows(desk, asked, visit).await?.into_iter();
    // Somebody else's looks like none at all.
    rows.find(|(record, _)| record.id == id).ok_or(Stop::Wrong(Wrong::Missing))
}

/// One of them.
pub(super) async fn show(State(desk): State<Arc<Desk>>, asked: Asked, Path(id): Path<String>) -> Answer {
    let id = parsed(&id)?;
    let visit = desk.inside(&asked, Place::AppPassword(id)).await?;
    let typed = desk.typed(&visit, Place::AppPassword(id)).await?;
    let typed = typed.as_ref().map(|form| form.text("name", NAME_MAX));
    shown(&page_of_one(&desk, &asked, &visit, id, (typed, None)).await?)
}

async fn page_of_one(
    desk: &Desk,
    asked: &Asked,
    visit: &Visit,
    id: AppPasswordId,
    (typed, problem): (Option<&str>, Option<&str>),
) -> Result<AppPasswordPage, Stop> {
    let (record, row) = one(desk, asked, visit, id).await?;
    Ok(AppPasswordPage {
        page: desk.page(asked, visit, Some(Tab::AppPasswords), Some(Place::AppPassword(id))),
        one: row,
        typed_name: Typed::new(typed.unwrap_or(&record.name)),
        problem: problem.map(|key| asked.words.say(key)),
    })
}

/// Another name for it.
pub(super) async fn rename(
    State(desk): State<Arc<Desk>>,
    asked: Asked,
    Path(id): Path<String>,
    form: Form,
) -> Answer {
    let id = parsed(&id)?;
    let visit = desk.acting(&asked, &form, Place::AppPassword(id)).await?;
    let fresh = desk.adding_typed(&asked, &visit, Place::AppPassword(id), (&form, &["name"])).await?;
    let name = form.text("name", NAME_MAX);
    match desk.portal.rename_app_password(fresh, id, name).await {
        Ok(()) => Ok(done(&asked, Place::AppPassword(id), "renamed")),
        Err(NoAppPassword::Invalid(_)) => {
            let refused = (Some(name), Some("rename-bad"));
            let page = page_of_one(&desk, &asked, &visit, id, refused).await?;
            html(StatusCode::UNPROCESSABLE_ENTITY, &page)
        }
        Err(refused) => Err(stop(refused)),
    }
}

/// Gone.
pub(super) async fn delete(
    State(desk): State<Arc<Desk>>,
    asked: Asked,
    Path(id): Path<String>,
    form: Form,
) -> Answer {
    let id = parsed(&id)?;
    let visit = desk.acting(&asked, &form, Place::AppPassword(id)).await?;
    let fresh = desk.fresh(&asked, &visit, Place::AppPassword(id))?;
    desk.portal.revoke_app_password(fresh, id).await.map_err(stop)?;
    Ok(done(&asked, Place::AppPasswords, "deleted"))
}

/// Asks before all go.
pub(super) async fn ask_delete_all(State(desk): State<Arc<Desk>>, asked: Asked) -> Answer {
    let visit = desk.inside(&asked, Place::DeleteAll).await?;
    desk.fresh(&asked, &visit, Place::DeleteAll)?;
    let count = desk.portal.app_passwords(inside(&visit)?).await?.len();
    let page = desk.page(&asked, &visit, Some(Tab::AppPasswords), Some(Place::DeleteAll));
    shown(&ConfirmPage::delete_all(page, count))
}

/// All gone.
pub(super) async fn delete_all(State(desk): State<Arc<Desk>>, asked: Asked, form: Form) -> Answer {
    let visit = desk.acting(&asked, &form, Place::DeleteAll).await?;
    desk.portal.revoke_all_app_passwords(desk.fresh(&asked, &visit, Place::DeleteAll)?).await?;
    Ok(done(&asked, Place::AppPasswords, "deleted-all"))
}

/// The form for a new one.
pub(super) async fn form(State(desk): State<Arc<Desk>>, asked: Asked) -> Answer {
    let visit = desk.inside(&asked, Place::NewAppPassword).await?;
    let fresh = desk.fresh(&asked, &visit, Place::NewAppPassword)?;
    closed_elsewhere(&desk, &asked, &visit).await?;
    let name = asked.query.text("name", NAME_MAX);
    // Who comes by a link that names it begins anew.
    let typed = if name.is_empty() { desk.typed(&visit, Place::NewAppPassword).await? } else { None };
    let (protocols, access) = (Protocol::ALL.into(), Access::Full);
    let wanted = match &typed {
        Some(form) => Wanted::of(form)?,
        None => Wanted { name, protocols, access, days: None, networks: "" },
    };
    shown(&form_page(&desk, &asked, fresh, &wanted, FieldsWrong::default(), None))
}

/// What somebody wants.
struct Wanted<'f> {
    name: &'f str,
    protocols: Vec<Protocol>,
    access: Access,
    days: Option<u32>,
    networks: &'f str,
}

/// Who may not bind a first factor here makes no app password before it either: the page for binding says why.
async fn closed_elsewhere(desk: &Desk, asked: &Asked, visit: &Visit) -> Result<(), Stop> {
    match closed(desk, visit).await? {
        None => Ok(()),
        Some(_) => Err(Stop::Go(asked.here.to(Place::FirstBinding))),
    }
}

/// The fields that say it.
const WANTED: [&str; 5] = ["name", "protocol", "read-only", "expires", "networks"];

impl<'f> Wanted<'f> {
    fn of(form: &'f Form) -> Result<Self, Stop> {
        let protocols = Protocol::ALL.into_iter();
        let protocols = protocols.filter(|one| form.chosen("protocol").any(|chosen| chosen == one.as_str()));
        // A limit that got lost would be none.
        let days = match form.whole_text("expires").map_err(Stop::Wrong)? {
            "" => None,
            days => Some(offered_days(days).ok_or(Stop::Wrong(Wrong::Request))?),
        };
        let networks = form.whole_text("networks").map_err(Stop::Wrong)?;
        let access = match form.whole_text("read-only").map_err(Stop::Wrong)? {
            "" => Access::Full,
            _ => Access::ReadOnly,
        };
        let (name, protocols) = (form.text("name", NAME_MAX), protocols.collect());
        Ok(Self { name, protocols, access, days, networks })
    }

    /// What it may do; or what is wrong with what was typed.
    fn scope(&self, now: Timestamp, words: Words) -> Result<Scope, FieldsWrong> {
        let (networks, wrong_networks) = match self.networks(words) {
            Ok(networks) => (networks, None),
            Err(wrong) => (NetworkList::default(), Some(wrong)),
        };
        let scope = Scope {
            protocols: self.protocols.iter().copied().collect::<ProtocolSet>(),
            networks,
            access: self.access,
            expires_at: self.days.map(|days| now.plus(DAY * days)),
        };
        let wrong_protocols = scope.covered().next().is_none().then(|| {
            words.say(if self.protocols.is_empty() { "new-no-protocol" } else { "new-read-only-sends" })
        });
        if wrong_networks.is_none() && wrong_protocols.is_none() {
            return Ok(scope);
        }
        Err(FieldsWrong { name: None, protocols: wrong_protocols, networks: wrong_networks })
    }

    /// Networks, however people separate them.
    fn networks(&self, words: Words) -> Result<NetworkList, String> {
        let separates = |c: char| c.is_whitespace() || matches!(c, ',' | ';' | '，' | '；' | '、');
        let items: Vec<_> = self.networks.split(separates).filter(|item| !item.is_empty()).collect();
        if items.len() > NETWORKS_MAX {
            let most = u32::try_from(NETWORKS_MAX).unwrap_or(u32::MAX);
            return Err(words.with("new-many-networks", "count", most));
        }
        NetworkList::parse_items(items)
            .map_err(|bad| words.with("new-bad-network", "network", Shown::new(&bad.0)))
    }
}

/// A time that the page offers.
fn offered_days(typed: &str) -> Option<u32> {
    typed.parse().ok().filter(|days| EXPIRIES.contains(days))
}

/// Makes it, and shows it once. Whoever has come in without the mailbox password gives it first.
pub(super) async fn create(State(desk): State<Arc<Desk>>, asked: Asked, form: Form) -> Answer {
    let visit = desk.acting(&asked, &form, Place::NewAppPassword).await?;
    // First: what cannot be shown again is not kept either.
    let wanted = Wanted::of(&form)?;
    let fresh = desk.adding_typed(&asked, &visit, Place::NewAppPassword, (&form, &WANTED)).await?;
    let once = form.text("once", ONCE_MAX);
    if once.is_empty() {
        return Err(Stop::Wrong(Wrong::Request));
    }
    // A page that is loaded again sends its form again, and a hasty finger sends it twice. Every page that says why nothing
    // was made has another value.
    if !desk.portal.is_first_time(&visit, once).await? {
        let list = if visit.must_bind() { Place::FirstBinding } else { Place::AppPasswords };
        return Ok(done(&asked, list, "already-made"));
    }
    if !desk.portal.needs_mailbox_password(fresh) {
        return create_wanted(&desk, &asked, fresh, &wanted).await;
    }
    let token = match verify::take_password(&desk, fresh.inside(), &form).await {
        Ok(token) => token,
        Err((status, said)) => {
            let page = form_page(&desk, &asked, fresh, &wanted, FieldsWrong::default(), Some(said));
            return html(status, &page);
        }
    };
    let (visit, cookie) = desk.renewed(&asked, token).await?;
    let fresh = desk.fresh(&asked, &visit, Place::NewAppPassword)?;
    let answer = create_wanted(&desk, &asked, fresh, &wanted).await;
    Ok(with_cookies(answer.unwrap_or_else(IntoResponse::into_response), [cookie]))
}

async fn create_wanted(desk: &Desk, asked: &Asked, fresh: Fresh<'_>, wanted: &Wanted<'_>) -> Answer {
    let visit = fresh.inside().visit();
    let wrong =
        |wrong| html(StatusCode::UNPROCESSABLE_ENTITY, &form_page(desk, asked, fresh, wanted, wrong, None));
    let again = |status, problem| {
        html(status, &form_page(desk, asked, fresh, wanted, FieldsWrong::default(), Some(problem)))
    };
    let scope = match wanted.scope(desk.clock.now(), asked.words) {
        Ok(scope) => scope,
        Err(fields) => return wrong(fields),
    };
    let new = NewAppPassword { name: wanted.name, scope };
    let created = desk.portal.create_app_password(fresh, &new).await;
    let created = match created {
        Ok(created) => created,
        Err(NoAppPassword::Invalid(_)) => {
            return wrong(FieldsWrong {
                name: Some(asked.words.say("new-bad-name")),
                ..FieldsWrong::default()
            });
        }
        Err(NoAppPassword::LimitReached(_)) => return again(StatusCode::CONFLICT, "new-too-many"),
        Err(NoAppPassword::NeedsMailboxPassword) => return again(StatusCode::CONFLICT, "new-needs-password"),
        Err(NoAppPassword::Busy) => return again(StatusCode::SERVICE_UNAVAILABLE, "new-busy"),
        Err(NoAppPassword::Broken(_)) => return again(StatusCode::SERVICE_UNAVAILABLE, "new-unavailable"),
        Err(NoAppPassword::Elsewhere) => return Err(Stop::Go(asked.here.to(Place::FirstBinding))),
        Err(NoAppPassword::NotFound) => return Err(Stop::Wrong(Wrong::Missing)),
    };
    // What went wrong is in the log; the app password is shown all the same, or it would be lost.
    let link = desk.portal.offer_profile(fresh, &created, &new.scope).await.unwrap_or_default();
    let link = link.map(|link| asked.here.to_profile(&link));
    let printed = String::from_utf8_lossy(created.printed.expose());
    shown(&CreatedAppPasswordPage {
        page: desk.page(asked, visit, Some(Tab::AppPasswords), None),
        id: created.id.to_string(),
        name: Shown::new(wanted.name),
        groups: printed.split(' ').map(str::to_owned).collect(),
        login: Shown::new(visit.address()),
        settings: settings_for(desk, fresh, &new.scope),
        read_only: new.scope.access == Access::ReadOnly,
        link: link.map(|url| DeviceLink { qr: qr::svg(&url), url }),
        rests: desk.portal.app_passwords_rest(visit),
    })
}

/// What a client that uses it needs to know; of one that may only read no way to send.
fn settings_for(desk: &Desk, fresh: Fresh<'_>, scope: &Scope) -> Settings {
    let mut doors = desk.portal.doors(fresh.inside());
    match scope.access {
        Access::Full => {}
        Access::ReadOnly => doors.retain(|door| scope.covers(door.protocol)),
    }
    Settings::of(&doors, &desk.portal.settings().hostname)
}

fn form_page(
    desk: &Desk,
    asked: &Asked,
    fresh: Fresh<'_>,
    wanted: &Wanted<'_>,
    wrong: FieldsWrong,
    problem: Option<&'static str>,
) -> NewAppPasswordPage {
    let words = asked.words;
    let doors = desk.portal.doors(fresh.inside());
    let protocols = Protocol::ALL.into_iter().filter(|one| doors.iter().any(|door| door.protocol == *one));
    let protocols: Vec<_> = protocols
        .map(|one| Choice {
            value: one.as_str().to_owned(),
            name: words.say(match one {
                Protocol::Imap => "protocol-imap",
                Protocol::Pop3 => "protocol-pop3",
                Protocol::Smtp => "protocol-smtp",
            }),
            chosen: wanted.protocols.contains(&one),
        })
        .collect();
    let never =
        Choice { value: String::new(), name: words.say("new-expires-never"), chosen: wanted.days.is_none() };
    let days = EXPIRIES.map(|days| Choice {
        value: days.to_string(),
        name: words.with("new-expires-days", "count", days),
        chosen: wanted.days == Some(days),
    });
    let read_only = wanted.access == Access::ReadOnly;
    let limited = wanted.days.is_some()
        || read_only
        || !wanted.networks.is_empty()
        || wrong.is_limit()
        || protocols.iter().any(|protocol| !protocol.chosen);
    NewAppPasswordPage {
        page: desk.page(asked, fresh.inside().visit(), Some(Tab::AppPasswords), Some(Place::NewAppPassword)),
        once: Token::fresh().text().to_string(),
        name: Typed::new(wanted.name),
        networks: Typed::new(wanted.networks),
        from: Shown::new(&asked.browser.address.to_string()),
        asks_password: desk.portal.needs_mailbox_password(fresh),
        suggestions: SUGGESTIONS,
        limited,
        protocols,
        read_only,
        expiries: std::iter::once(never).chain(days).collect(),
        wrong,
        problem: problem.map(|key| words.say(key)),
    }
}

/// Waits for the first login with it.
pub(super) async fn watch(State(desk): State<Arc<Desk>>, asked: Asked, Path(id): Path<String>) -> Answer {
    let id = parsed(&id)?;
    let visit = desk.inside(&asked, Place::Try(id)).await?;
    let records = desk.portal.app_passwords(inside(&visit)?).await?;
    let record = records.into_iter().find(|record| record.id == id).ok_or(Stop::Wrong(Wrong::Missing))?;
    let used = used(&record, desk.clock.now(), asked.words);
    let seen = used.map(|used| asked.words.with("try-seen-lead", "used", used));
    let looks = asked.query.text("looks", 4).parse().unwrap_or(0_u32);
    shown(&TryAppPasswordPage {
        page: desk.page(&asked, &visit, Some(Tab::AppPasswords), Some(Place::Try(id))),
        id: id.to_string(),
        name: Shown::new(&record.name),
        seen,
        looks: looks.saturating_add(1),
        waits: looks < LOOKS,
    })
}

/// When, from where and with which client it was used last, if it was.
fn used(record: &AppPasswordRecord, now: Timestamp, words: Words) -> Option<String> {
    let when = Moment::new(record.last_used_at?, now, words).words;
    let from = Shown::new(record.last_used_address.as_deref().unwrap_or("–"));
    Some(match record.last_used_program.as_deref().map(Shown::new) {
        None => words.with_two("app-password-used", ("when", &when), ("from", &from)),
        Some(client) => {
            words.with_all("app-password-used-by", &[("when", &when), ("from", &from), ("client", &client)])
        }
    })
}

/// An app password, as lists show it.
pub(super) fn row(record: &AppPasswordRecord, scope: Option<&Scope>, now: Timestamp, words: Words) -> Row {
    let when = |at| Moment::new(at, now, words).words;
    let state = match scope {
        // Somebody has changed the row: it opens nothing.
        None => Some("app-password-void"),
        Some(scope) if scope.is_over(now) => Some("app-password-expired"),
        Some(_) if record.stale_since.is_some() => Some("app-password-stale"),
        Some(_) => None,
    };
    Row {
        id: record.id.to_string(),
        name: Shown::new(&record.name),
        label: record.label.clone(),
        used: used(record, now, words).unwrap_or_else(|| words.say("app-password-unused")),
        created: when(record.created_at),
        scope: scope.map_or_else(|| "–".to_owned(), |scope| scope_in_words(scope, words)),
        expires: record.expires_at.map_or_else(|| words.say("expires-never"), |at| day(at, words)),
        state: state.map(|key| words.say(key)),
    }
}

fn scope_in_words(scope: &Scope, words: Words) -> String {
    let protocols: Vec<_> = scope.covered().collect();
    let protocols = if protocols.len() == Protocol::ALL.len() {
        words.say("scope-all")
    } else {
        protocols.iter().map(|one| one.as_str().to_uppercase()).collect::<Vec<_>>().join(", ")
    };
    let protocols = match scope.access {
        Access::Full => protocols,
        Access::ReadOnly => words.with("scope-read-only", "protocols", protocols),
    };
    if scope.networks.is_empty() {
        return protocols;
    }
    words.with_two(
        "scope-networks",
        ("protocols", &protocols),
        ("networks", &Shown::new(&scope.networks.to_string())),
    )
}

fn stop(refused: NoAppPassword) -> Stop {
    Stop::Wrong(match refused {
        NoAppPassword::NotFound => Wrong::Missing,
        NoAppPassword::Broken(_) | NoAppPassword::Busy => Wrong::Unavailable,
        NoAppPassword::Invalid(_)
        | NoAppPassword::LimitReached(_)
        | NoAppPassword::NeedsMailboxPassword
        | NoAppPassword::Elsewhere => Wrong::Request,
    })
}
