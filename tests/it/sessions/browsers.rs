//! Browsers that are signed in to the portal: what administrators see of them, and how they sign them out.

use crate::support::{Gate, GateConfig, LegacyOptions, LegacyServer, Visitor};

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
