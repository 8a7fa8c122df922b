//! What has to do with backup mailboxes.

use super::*;
use crate::web::pages::binding::BindMailboxPage;

const MAIL: Question = Question::Factor(FactorKind::Mailbox);

/// Named.
pub(super) fn all(words: Words) -> Vec<(&'static str, Box<dyn DynPage>)> {
    let entering = || Page { address: Some(Shown::new("lin.xiaoyue@example.org")), ..page(words) };
    let asking = |sent_to: Option<&str>| CodePage {
        sent_to: sent_to.map(Shown::new),
        ..code(entering(), AskedFor::Entering, MAIL, vec![Question::RecoveryCode], None)
    };
    let bind = |sent_to: Option<&str>, wrong: Option<&str>| BindMailboxPage {
        page: signed_in(words).at(Some(Tab::Factors), Some(Place::Bind(FactorKind::Mailbox))),
        replaces: None,
        sent_to: sent_to.map(Shown::new),
        typed: Typed::new(if wrong.is_some() { NASTY } else { "" }),
        wrong: wrong.map(|key| words.say(key)),
        problem: None,
    };
    vec![
        ("code-mailbox", Box::new(asking(None))),
        ("code-mailbox-sent", Box::new(asking(Some("caos****@163.com")))),
        ("mailbox", Box::new(bind(None, None))),
        ("mailbox-wrong", Box::new(bind(None, Some("mailbox-ours")))),
        ("mailbox-sent", Box::new(bind(Some("caos****@163.com"), None))),
    ]
}
