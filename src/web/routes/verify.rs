//! Answers for a second factor: the second step of signing in, and the fresh verification before a change. Where none is
//! bound, that asks for the mailbox password.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use crate::base::Token;
use crate::config::FactorKind;
use crate::factor::Question;
use crate::portal::{Entered, Inside, NoAnswer, NoSignIn, NotSent, Refused, Step, Visit};
use crate::web::answer::{Answer, Stop, go, html, shown, with_cookies};
use crate::web::asked::Asked;
use crate::web::desk::{Desk, inside};
use crate::web::forms::Form;
use crate::web::page::Page;
use crate::web::pages::error::Wrong;
use crate::web::pages::sign_in::{AskedFor, CodePage, PasswordPage};
use crate::web::place::Place;
use crate::web::shown::Shown;

/// Longer than any code, blanks included.
pub(super) const CODE_MAX: usize = 64;

/// Longer than what any authenticator says.
pub(super) const ANSWER_MAX: usize = 16 * 1024;

/// Asks for a fresh verification; whoever has given one goes on.
pub(super) async fn ask(State(desk): State<Arc<Desk>>, asked: Asked) -> Answer {
    let visit = desk.inside(&asked, Place::Verify).await?;
    if inside(&visit)?.fresh().is_some() {
        return Ok(go(&asked.here.to(asked.onward().unwrap_or(Place::Home))));
    }
    if !visit.is_bound() {
        return shown(&password_page(&desk, &asked, &visit, None));
    }
    let wanted = way_asked(&asked.query);
    shown(&page(&desk, &asked, &visit, AskedFor::Changing, wanted, None).await?)
}

/// Judges it.
pub(super) async fn take(State(desk): State<Arc<Desk>>, asked: Asked, form: Form) -> Answer {
    let visit = desk.acting(&asked, &form, Place::Verify).await?;
    if !visit.is_bound() {
        return match take_password(&desk, inside(&visit)?, &form).await {
            Ok(token) => Ok(verified(&asked, &token)),
            Err((status, said)) => html(status, &password_page(&desk, &asked, &visit, Some(said))),
        };
    }
    if let Some(answer) = sent(&desk, &asked, &visit, AskedFor::Changing, &form).await {
        return answer;
    }
    let way = way_asked(&form);
    match answer(&desk, &visit, way, &form).await {
        Ok(Entered { token, .. }) => Ok(verified(&asked, &token)),
        Err(refused) => {
            let (status, said) = problem(way, &refused);
            html(status, &page(&desk, &asked, &visit, AskedFor::Changing, way, Some(said)).await?)
        }
    }
}

/// On to what was to be changed.
fn verified(asked: &Asked, token: &Token) -> Response {
    let onward = asked.here.to(asked.onward().unwrap_or(Place::Home));
    with_cookies(go(&format!("{onward}?done=verified")), [asked.session_cookie(token)])
}

/// Hands the mailbox password in `form` to the portal; if it is not right, what to say of that.
pub(super) async fn take_password(
    desk: &Desk,
    inside: Inside<'_>,
    form: &Form,
) -> Result<Token, (StatusCode, &'static str)> {
    let given = match form.password("password") {
        Some(password) => desk.portal.give_mailbox_password(inside, password).await,
        None => Err(NoSignIn::Wrong),
    };
    given.map_err(|refused| password_problem(refused, "new-wrong-password"))
}

/// What to say of a mailbox password that was refused; `wrong` where it is wrong.
pub(super) fn password_problem(refused: NoSignIn, wrong: &'static str) -> (StatusCode, &'static str) {
    match refused {
        NoSignIn::Wrong => (StatusCode::UNPROCESSABLE_ENTITY, wrong),
        NoSignIn::TooMany => (StatusCode::TOO_MANY_REQUESTS, "sign-in-too-many"),
        NoSignIn::Suspended => (StatusCode::FORBIDDEN, "sign-in-suspended"),
        NoSignIn::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "sign-in-unavailable"),
    }
}

fn password_page(desk: &Desk, asked: &Asked, visit: &Visit, problem: Option<&'static str>) -> PasswordPage {
    PasswordPage {
        page: desk.page(asked, visit, None, Some(Place::Verify)),
        action: asked.here.to_and_on(Place::Verify, asked.onward()),
        problem: problem.map(|key| asked.words.say(key)),
    }
}

/// Sends a code to the backup mailbox, if `form` asks for that, and comes back to the page at `place`.
pub(super) async fn sent(
    desk: &Desk,
    asked: &Asked,
    visit: &Visit,
    asked_for: AskedFor,
    form: &Form,
) -> Option<Answer> {
    let way = Some(Question::Factor(FactorKind::Mailbox));
    if form.text("send", 10) != "yes" || way_asked(form) != way {
        return None;
    }
    let (status, said) = match desk.portal.send_mail_code(visit).await {
        Ok(()) => {
            let back = asked.here.to_and_on(place(asked_for), asked.onward());
            return Some(Ok(go(&asking(&back, Question::Factor(FactorKind::Mailbox)))));
        }
        Err(NotSent::TooMany) => (StatusCode::TOO_MANY_REQUESTS, "mailbox-too-many"),
        Err(NotSent::Failed) => (StatusCode::SERVICE_UNAVAILABLE, "mailbox-failed"),
        Err(NotSent::Refused(Refused::Broken(broken))) => return Some(Err(broken.into())),
        Err(NotSent::BadAddress | NotSent::Ours | NotSent::Refused(_)) => {
            return Some(Err(Stop::Wrong(Wrong::Missing)));
        }
    };
    Some(match page(desk, asked, visit, asked_for, way, Some(said)).await {
        Ok(page) => html(status, &page),
        Err(stop) => Err(stop),
    })
}

fn place(asked_for: AskedFor) -> Place {
    match asked_for {
        AskedFor::Entering => Place::SecondFactor,
        AskedFor::Changing => Place::Verify,
    }
}

/// Hands what was typed to the one verifier.
pub(super) async fn answer(
    desk: &Desk,
    visit: &Visit,
    way: Option<Question>,
    form: &Form,
) -> Result<Entered, NoAnswer> {
    let question = match way {
        Some(question) => question,
        // The page asks for what was answered last, unless it says otherwise.
        None => desk.portal.questions(visit).await?.first().ok_or(NoAnswer::Wrong)?.question,
    };
    let answer = match question {
        Question::Factor(FactorKind::Totp | FactorKind::Mailbox) | Question::RecoveryCode => {
            form.text("code", CODE_MAX)
        }
        Question::Factor(FactorKind::Passkey) => form.text("answer", ANSWER_MAX),
    };
    desk.portal.answer(visit, question, answer).await
}

/// The way that a form or an address names.
pub(super) fn way_asked(fields: &Form) -> Option<Question> {
    Question::parse(fields.text("use", 20))
}

/// The same address, of a page that asks for an answer in that way.
pub(super) fn asking(address: &str, way: Question) -> String {
    let sign = if address.contains('?') { '&' } else { '?' };
    format!("{address}{sign}use={}", way.as_str())
}

/// What to say of a refused answer.
pub(super) fn problem(way: Option<Question>, refused: &NoAnswer) -> (StatusCode, &'static str) {
    match (refused, way) {
        (NoAnswer::Wrong, Some(Question::RecoveryCode)) => {
            (StatusCode::UNPROCESSABLE_ENTITY, "code-recovery-wrong")
        }
        (NoAnswer::Wrong, Some(Question::Factor(FactorKind::Totp)) | None) => {
            (StatusCode::UNPROCESSABLE_ENTITY, "code-wrong")
        }
        (NoAnswer::Wrong, Some(Question::Factor(FactorKind::Mailbox))) => {
            (StatusCode::UNPROCESSABLE_ENTITY, "code-mailbox-wrong")
        }
        (NoAnswer::Wrong, Some(Question::Factor(FactorKind::Passkey))) => {
            (StatusCode::UNPROCESSABLE_ENTITY, "code-passkey-wrong")
        }
        (NoAnswer::TooMany { .. }, _) => (StatusCode::TOO_MANY_REQUESTS, "code-too-many"),
        (NoAnswer::Broken(_), _) => (StatusCode::SERVICE_UNAVAILABLE, "code-unavailable"),
    }
}

/// The page that asks for `wanted`, or for what was answered last.
pub(super) async fn page(
    desk: &Desk,
    asked: &Asked,
    visit: &Visit,
    asked_for: AskedFor,
    wanted: Option<Question>,
    problem: Option<&'static str>,
) -> Result<CodePage, Stop> {
    let questions = desk.portal.questions(visit).await?;
    let ways: Vec<Question> = questions.iter().map(|answered| answered.question).collect();
    let ask = wanted.filter(|wanted| ways.contains(wanted)).or(ways.first().copied());
    // The last factor was unbound meanwhile, and the session with it.
    let ask = ask.ok_or(Stop::Wrong(Wrong::Unavailable))?;
    let place = place(asked_for);
    let options = match ask {
        Question::Factor(FactorKind::Passkey) => match desk.portal.ask_passkey(visit).await {
            Ok(options) => Some(options),
            Err(broken) => {
                // Of a form that was sent twice the other one was right, and this session has another token by now: what is
                // asked anew had no place left.
                match asked_for {
                    AskedFor::Entering => desk.entering(asked, Step::SecondFactor).await?,
                    AskedFor::Changing => desk.inside(asked, place).await?,
                };
                return Err(broken.into());
            }
        },
        Question::Factor(FactorKind::Totp | FactorKind::Mailbox) | Question::RecoveryCode => None,
    };
    let way = wanted.map(Question::as_str);
    Ok(CodePage {
        page: Page { way, ..desk.page(asked, visit, None, Some(place)) },
        asked_for,
        action: asked.here.to_and_on(place, asked.onward()),
        ask,
        sent_to: match ask {
            Question::Factor(FactorKind::Mailbox) => {
                desk.portal.asked_mailbox(visit).await?.map(|address| Shown::new(&address))
            }
            Question::Factor(FactorKind::Totp | FactorKind::Passkey) | Question::RecoveryCode => None,
        },
        options,
        others: ways.into_iter().filter(|other| *other != ask).collect(),
        problem: problem.map(|key| asked.words.say(key)),
    })
}
