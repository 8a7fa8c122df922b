//! Samples of the pages for app passwords.

use super::*;

pub(super) fn row(words: Words, name: &str, used: Option<(&str, &str)>) -> Row {
    let used = match used {
        None => words.say("app-password-unused"),
        Some((from, client)) => {
            let when = words.with("when-minutes", "count", 12_u32);
            words.with_all("app-password-used-by", &[("when", &when), ("from", &from), ("client", &client)])
        }
    };
    Row {
        id: "0193a1c2".to_owned(),
        name: Shown::new(name),
        label: "h7kq".to_owned(),
        used,
        created: words.with("when-days", "count", 3_u32),
        scope: words.say("scope-all"),
        expires: words.say("expires-never"),
        state: None,
    }
}

pub(super) fn rows(words: Words) -> Vec<Row> {
    let mut scanner = row(words, "扫描仪 Scanner", None);
    scanner.scope = words.with("scope-read-only", "protocols", "IMAP, POP3".to_owned());
    let mut expired = row(words, NASTY, None);
    expired.state = Some(words.say("app-password-expired"));
    vec![
        row(words, "iPhone", Some(("203.0.113.77", "iPhone Mail 18.2"))),
        row(words, "办公室的 Foxmail", Some(("2001:db8:4:1::2a", "Foxmail 7.2.25"))),
        scanner,
        expired,
    ]
}

pub(super) fn new_app_password(words: Words, problem: Option<&str>) -> NewAppPasswordPage {
    let page = signed_in(words).at(Some(Tab::AppPasswords), Some(Place::NewAppPassword));
    let protocol =
        |value: &str, key: &str| Choice { value: value.to_owned(), name: words.say(key), chosen: true };
    let mut expiries =
        vec![Choice { value: String::new(), name: words.say("new-expires-never"), chosen: true }];
    expiries.extend(EXPIRIES.map(|days| Choice {
        value: days.to_string(),
        name: words.with("new-expires-days", "count", days),
        chosen: false,
    }));
    NewAppPasswordPage {
        once: "once".to_owned(),
        name: Typed::new(if problem.is_some() { NASTY } else { "" }),
        networks: Typed::new(if problem.is_some() { "192.0.2.0/33" } else { "" }),
        from: Shown::new("203.0.113.77"),
        suggestions: SUGGESTIONS,
        asks_password: problem.is_some(),
        limited: problem.is_some(),
        protocols: vec![
            protocol("imap", "protocol-imap"),
            protocol("pop3", "protocol-pop3"),
            protocol("smtp", "protocol-smtp"),
        ],
        read_only: problem.is_some(),
        expiries,
        wrong: FieldsWrong {
            name: problem.map(|key| words.say(key)),
            protocols: problem.map(|_| words.say("new-no-protocol")),
            networks: problem.map(|_| words.with("new-bad-network", "network", "192.0.2.0/33".to_owned())),
        },
        problem: None,
        page,
    }
}

pub(super) fn trying(words: Words, seen: bool, waits: bool) -> TryAppPasswordPage {
    let used = row(words, "iPhone", Some(("203.0.113.77", "iPhone Mail 18.2"))).used;
    let seen = seen.then(|| words.with("try-seen-lead", "used", used));
    TryAppPasswordPage {
        page: signed_in(words).at(Some(Tab::AppPasswords), None),
        id: "0193a1c2".to_owned(),
        name: Shown::new("iPhone"),
        seen,
        looks: 1,
        waits,
    }
}
