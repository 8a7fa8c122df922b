//! Browsers that are signed in to the portal: what administrators see of them, and how they sign them out; and how somebody
//! in one throws mail clients out.

use std::time::{Duration, Instant};

use regex::Regex;

use super::{Client, reasons};
use crate::support::{Gate, GateConfig, LegacyOptions, LegacyServer, Mail, Visitor, eventually, log_in};

/// Whether somebody is signed in there.
fn is_in(visitor: &Visitor) -> bool {
    let asked = ["--output", "/dev/null", "--write-out", "%{http_code} %{redirect_url}"];
    let heard = visitor.ask("/", &asked).success();
    assert!(heard.starts_with("200 ") || heard.ends_with("/sign-in"), "{heard}");
    heard.starts_with("200 ")
}

#[test]
fn who_is_signed_in_to_the_portal_is_listed_and_signed_out() {
    let legacy = LegacyServer::start(LegacyOptions::default().fast_auth());
    let gate = Gate::start(GateConfig::in_front_of(&legacy).portal_at("127.0.0.1"));
    assert_eq!(gate.cli(&["session", "list", "--browsers"]).success(), "no browser is signed in\n");
    let visitors = [0, 0, 0, 1].map(|user| {
        let (visitor, (login, password)) = (Visitor::before(gate.portal()), legacy.user(user));
        visitor.post("/sign-in", &[("login", login), ("password", password)]).success();
        assert!(is_in(&visitor));
        visitor
    });

    let (user, other) = (legacy.user(0).0, legacy.user(1).0);
    let browsers = gate.cli(&["session", "list", "--browsers", "--json"]).json();
    let accounts = browsers.as_array().expect("browsers").iter().map(|browser| &browser["account"]);
    assert_eq!(accounts.collect::<Vec<_>>(), [user, user, user, other]);
    assert_eq!(browsers[0]["ip"], "127.0.0.1", "{browsers}");
    let of_other = gate.cli(&["session", "list", "--browsers", other]).success();
    assert_eq!(of_other.lines().count(), 2, "a heading and one:\n{of_other}");
    assert!(of_other.contains(other) && !of_other.contains(user), "{of_other}");
    assert_eq!(gate.cli(&["session", "list"]).success(), "no live sessions\n", "of mail clients");

    let id = browsers[0]["id"].as_str().expect("an ID");
    let said = gate.cli(&["session", "end", id]).success();
    assert_eq!(said, format!("signed a browser of {user} out, from 127.0.0.1\n"));
    assert_eq!(gate.cli(&["session", "end", id]).status, 3, "it is over");
    assert_eq!(visitors.iter().filter(|visitor| is_in(visitor)).count(), 3, "one of them heard of it");

    let all = |of| gate.cli(&["session", "end", "--browsers", of]).success();
    assert_eq!(all(user), format!("signed all 2 browsers of {user} out\n"));
    assert_eq!(all(user), format!("{user} was signed in with no browser\n"));
    assert_eq!(visitors.each_ref().map(is_in), [false, false, false, true]);
    assert_eq!(all(other), format!("signed the one browser of {other} out\n"));
    assert_eq!(gate.cli(&["session", "end", "--browsers", "nobody@example.test"]).status, 3);
    assert_eq!(gate.cli(&["session", "end", id, "--browsers", user]).status, 2, "one or the other");
    assert_eq!(gate.cli(&["session", "end"]).status, 2, "nothing is named");

    let ended = gate.cli(&["audit", "search", "--event", "portal_session_ended", "--json"]).json();
    let by: Vec<_> = ended.as_array().expect("records").iter().map(|record| &record["by"]["kind"]).collect();
    assert_eq!(by, ["command_line"; 4], "{ended}");
    assert!(ended.to_string().contains(id), "{ended}");
}

/// Every first group of `pattern` in a page.
fn all(page: &str, pattern: &str) -> Vec<String> {
    let pattern = Regex::new(pattern).expect("a pattern");
    pattern.captures_iter(page).map(|found| found[1].to_owned()).collect()
}

/// Sends the form of `page` to that address.
fn press(visitor: &Visitor, page: &str, path: &str) {
    let token = all(page, r#"name="form" value="([^"]+)""#).remove(0);
    visitor.post(path, &[("form", &token)]).success();
}

#[test]
fn mail_clients_are_seen_in_the_portal_and_thrown_out_there() {
    const BOUND: Duration = Duration::from_secs(1);
    let legacy = LegacyServer::start(LegacyOptions::default().fast_auth());
    let gate = Gate::start(GateConfig::in_front_of(&legacy).uncounted().portal_at("127.0.0.1"));
    let ((user, password), (other, others)) = (legacy.user(0), legacy.user(1));
    let made = gate.app_password(user, password, &[]);
    let by_app_password = Client::enter(&gate, Mail::Imap, user, &made.password);
    let mut by_mailbox_password = Client::enter(&gate, Mail::Pop3, user, password);
    let mut of_other = Client::enter(&gate, Mail::Imap, other, others);
    let visitor = Visitor::before(gate.portal());
    visitor.post("/sign-in", &[("login", user), ("password", password)]).success();

    let mut home = String::new();
    let mut listed = |count: usize| {
        let row = r#"class="meta">([A-Z0-9]+) · [^\n]*\n<form method="post" action="/sessions/"#;
        eventually("so many clients are shown", || {
            home = visitor.ask("/", &[]).success();
            all(&home, row).len() == count
        });
        (all(&home, row), all(&home, r#"action="(/sessions/[0-9a-f-]{36}/end)""#), home.clone())
    };
    let (protocols, ends, page) = listed(2);
    assert_eq!(protocols, ["IMAP", "POP3"], "nobody else's: {page}");
    let watched = by_app_password.watch();
    press(&visitor, &page, &ends[0]);
    let asked = Instant::now();
    let ended = watched.join().expect("its end");
    assert!(ended.at.saturating_duration_since(asked) < BOUND && ended.in_order, "{}", ended.what);
    by_mailbox_password.goes_on();
    assert_eq!(listed(1).0, ["POP3"]);
    assert!(Mail::Imap.is_yes(&log_in(&gate, Mail::Imap, user, &made.password)), "its password is good");

    let watched = by_mailbox_password.watch();
    let page = visitor.ask("/lock", &[]).success();
    press(&visitor, &page, "/lock");
    let locked = Instant::now();
    let ended = watched.join().expect("its end");
    assert!(ended.at.saturating_duration_since(locked) < BOUND && ended.in_order, "{}", ended.what);
    assert!(is_in(&visitor), "this browser stays");
    assert_eq!(listed(0).0, [""; 0]);
    assert!(!Mail::Imap.is_yes(&log_in(&gate, Mail::Imap, user, &made.password)), "it is revoked");
    of_other.goes_on();
    let by_the_gate = |reason: &String| reason != "client_closed";
    let reasons: Vec<_> = reasons(&gate, user, 3).into_iter().filter(by_the_gate).collect();
    assert_eq!(reasons, ["ended_by_owner"; 2], "in his browser, and by no administrator");
    let asked = gate.cli(&["audit", "search", "--event", "session_end_asked", "--json"]).json();
    for record in asked.as_array().expect("records") {
        assert_eq!(record["by"]["kind"], "owner", "{asked}");
    }
}
