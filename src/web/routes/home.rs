//! My security.

use std::sync::Arc;

use axum::extract::State;

use super::app_passwords::row;
use super::enrol::closed;
use super::factors::bound;
use crate::audit::event::{Ground, Outcome};
use crate::base::{AppPasswordId, Timestamp};
use crate::config::FactorKind;
use crate::portal::{self, Overview, PASSKEY_SIGN_IN, TRUSTED_DEVICE};
use crate::web::answer::{Answer, shown};
use crate::web::asked::Asked;
use crate::web::desk::{Desk, inside};
use crate::web::page::Tab;
use crate::web::pages::home::{Attempt, Device, HomePage, Live, SignedIn};
use crate::web::place::Place;
use crate::web::shown::{Moment, Shown, day};
use crate::web::user_agent;
use crate::web::words::Words;

/// The page.
pub(super) async fn show(State(desk): State<Arc<Desk>>, asked: Asked) -> Answer {
    let visit = desk.inside(&asked, Place::Home).await?;
    let overview = desk.portal.overview(inside(&visit)?).await?;
    let attempts = desk.portal.attempts(inside(&visit)?).await?;
    let seen = Seen { words: asked.words, now: desk.clock.now() };
    let current = asked.device().map(|device| device.hash());
    let Overview { factors, recovery_codes, devices, browsers, mail_sessions, .. } = overview;
    let devices = devices.into_iter().map(|device| Device {
        id: device.id.to_string(),
        browser: user_agent::named(device.browser.as_deref(), seen.words),
        detail: format!(
            "{} · {}",
            seen.words.with("device-until", "day", day(device.expires_at, seen.words)),
            seen.words.with("from", "from", Shown::new(&device.address)),
        ),
        current: current.is_some_and(|current| current[..] == device.token[..]),
    });
    let browsers = browsers.into_iter().map(|browser| SignedIn {
        session: browser.session.map(|session| session.to_string()),
        browser: user_agent::named(browser.browser.as_deref(), seen.words),
        detail: format!(
            "{} · {}",
            seen.words.with("from", "from", Shown::new(&browser.address)),
            seen.when(browser.seen_at)
        ),
        current: browser.session == Some(visit.id()),
    });
    let live = mail_sessions.into_iter().map(|session| Live {
        id: session.id.to_string(),
        client: match session.name.or(session.program) {
            Some(name) => Shown::new(&name),
            None => Shown::new(&seen.words.say("unknown-client")),
        },
        detail: format!(
            "{} · {}",
            session.protocol.to_uppercase(),
            seen.words.with("from", "from", Shown::new(&session.client))
        ),
        since: Moment::new(session.since, seen.now, seen.words),
    });
    let names: Vec<_> = overview.app_passwords.iter().map(|(row, _)| (row.id, row.name.clone())).collect();
    let attempts = attempts.into_iter().map(|attempt| seen.attempt(&attempt, &names));
    shown(&HomePage {
        page: desk.page(&asked, &visit, Some(Tab::Security), Some(Place::Home)),
        closed: closed(&desk, &visit).await?,
        recovery_left: (!factors.is_empty()).then_some(recovery_codes),
        factors: factors.iter().map(|factor| bound(factor, seen.now, seen.words)).collect(),
        app_passwords: overview
            .app_passwords
            .iter()
            .rev()
            .map(|(record, scope)| row(record, scope.as_ref(), seen.now, seen.words))
            .collect(),
        live: live.collect(),
        devices: devices.collect(),
        browsers: browsers.collect(),
        attempts: attempts.collect(),
    })
}

/// Through whose eyes, and when.
struct Seen {
    words: Words,
    now: Timestamp,
}

impl Seen {
    fn when(&self, at: Timestamp) -> String {
        Moment::new(at, self.now, self.words).words
    }

    fn attempt(&self, attempt: &portal::Attempt, names: &[(AppPasswordId, String)]) -> Attempt {
        let words = self.words;
        let name = match &attempt.way {
            portal::Way::Mail { app_password, .. } => names.iter().find(|(id, _)| Some(*id) == *app_password),
            portal::Way::Portal
            | portal::Way::SecondFactor(_)
            | portal::Way::CopiedKey
            | portal::Way::Counted => None,
        };
        let name = name.map(|(_, name)| words.with("attempt-named", "name", Shown::new(name)));
        let program = attempt.program.as_deref().map(|program| match &attempt.way {
            portal::Way::Mail { .. } => Shown::new(program),
            portal::Way::Portal
            | portal::Way::SecondFactor(_)
            | portal::Way::CopiedKey
            | portal::Way::Counted => user_agent::named(Some(program), words),
        });
        let from = attempt.from.as_deref().map(Shown::new);
        let from = match (from, program) {
            (Some(from), Some(program)) => words.with_two("from-with", ("from", &from), ("client", &program)),
            (Some(from), None) => words.with("from", "from", from),
            (None, _) => words.say("from-many"),
        };
        let times = (attempt.count > 1).then(|| words.with("attempt-times", "count", attempt.count));
        Attempt {
            good: attempt.outcome == Outcome::Admitted,
            what: self.what(attempt),
            detail: [name, Some(from), times].into_iter().flatten().collect::<Vec<_>>().join(" · "),
            at: Moment::new(attempt.at, self.now, words),
        }
    }

    fn what(&self, attempt: &portal::Attempt) -> String {
        let words = self.words;
        let why = attempt.ground.map(|ground| words.say(ground_in_words(ground)));
        match (&attempt.way, attempt.outcome) {
            (portal::Way::Mail { protocol, .. }, outcome) => {
                let protocol = protocol.as_str().to_uppercase();
                match (outcome, why) {
                    (Outcome::Admitted, _) => words.with("attempt-admitted", "protocol", protocol),
                    (Outcome::Refused, Some(why)) => {
                        words.with_two("attempt-refused-why", ("protocol", &protocol), ("why", &why))
                    }
                    (Outcome::Refused, None) => words.with("attempt-refused", "protocol", protocol),
                    (Outcome::Limited, _) => words.with("attempt-limited", "protocol", protocol),
                    (Outcome::Unavailable, _) => words.with("attempt-unavailable", "protocol", protocol),
                }
            }
            (portal::Way::Portal, Outcome::Admitted) => words.say("attempt-portal"),
            (portal::Way::Portal, Outcome::Refused) => match why {
                Some(why) => words.with("attempt-portal-refused-why", "why", why),
                None => words.say("attempt-portal-refused"),
            },
            (portal::Way::Portal, Outcome::Limited) => words.say("attempt-portal-limited"),
            (portal::Way::Portal, Outcome::Unavailable) => words.say("attempt-portal-unavailable"),
            (portal::Way::SecondFactor(kind), Outcome::Admitted) if kind == PASSKEY_SIGN_IN => {
                words.say("attempt-passkey")
            }
            (portal::Way::SecondFactor(kind), Outcome::Admitted) if kind == TRUSTED_DEVICE => {
                words.say("attempt-trusted")
            }
            (portal::Way::SecondFactor(kind), Outcome::Refused) if kind == PASSKEY_SIGN_IN => {
                words.say("attempt-passkey-refused")
            }
            (portal::Way::SecondFactor(kind), Outcome::Refused) if kind == FactorKind::Passkey.as_str() => {
                words.say("attempt-key-refused")
            }
            (portal::Way::SecondFactor(_), Outcome::Admitted) => words.say("attempt-code"),
            (portal::Way::SecondFactor(_), Outcome::Refused) => words.say("attempt-code-refused"),
            (portal::Way::SecondFactor(_), Outcome::Limited) => words.say("attempt-code-limited"),
            (portal::Way::SecondFactor(_), Outcome::Unavailable) => words.say("attempt-code-unavailable"),
            (portal::Way::CopiedKey, _) => words.say("attempt-key-copied"),
            (portal::Way::Counted, Outcome::Unavailable) => words.say("attempt-counted-unavailable"),
            (portal::Way::Counted, Outcome::Admitted | Outcome::Refused | Outcome::Limited) => {
                words.say("attempt-counted")
            }
        }
    }
}

/// The message that says why.
fn ground_in_words(ground: Ground) -> &'static str {
    match ground {
        Ground::WrongPassword => "ground-wrong-password",
        Ground::AppPasswordNeeded => "ground-app-password-needed",
        Ground::SameAgain => "ground-same-again",
        Ground::BindFirst => "ground-bind-first",
        Ground::OutOfScope => "ground-out-of-scope",
        Ground::Expired => "ground-expired",
        Ground::Stale => "ground-stale",
        Ground::Suspended => "ground-suspended",
    }
}
