//! Configurations that change while the gate serves.

use std::fs;
use std::net::TcpStream;

use toml::{Table, toml};

use super::{enter, goes_on, reloads};
use crate::support::{
    Answer, Fake, Gate, GateConfig, Mail, Manner, Port, UpstreamTls, Wire, eventually, log_in, plain,
};

const ANNA: &str = "anna@example.test";
const WRONG: Answer = Answer::Says("TAG NO [AUTHENTICATIONFAILED] no");

/// Whether somebody has logged in there so.
fn has_seen(upstream: &Fake, user: &str, password: &str) -> bool {
    let heard = upstream.heard();
    heard.contains(&plain(user, password)) || (heard.contains(user) && heard.contains(password))
}

fn in_front_of(upstream: &Fake) -> GateConfig {
    GateConfig::in_front_of_fakes(&[upstream], UpstreamTls::None)
}

#[test]
fn a_bad_configuration_changes_nothing_and_says_where_it_is_bad() {
    let upstream = Fake::start(Mail::Imap);
    let gate = Gate::start(in_front_of(&upstream).set(&["policy", "second_factor"], "optional"));
    let mut session = enter(&gate, Mail::Imap, ANNA, "password");
    gate.edit("second_factor = \"optional\"", "second_factor = \"required\"\ngrase_period = \"1d\"");
    let log = gate.reload();
    let file = gate.directory().join("mailward.toml");
    for part in ["nothing was reloaded", &file.display().to_string(), "line ", "grase_period", "did you mean"]
    {
        assert!(log.contains(part), "no `{part}` in: {log}");
    }
    enter(&gate, Mail::Imap, ANNA, "password");
    goes_on(&mut session, Mail::Imap);
    fs::remove_file(&file).expect("no configuration");
    assert!(gate.reload().contains("nothing was reloaded"));
    enter(&gate, Mail::Imap, ANNA, "password");
}

#[test]
fn rules_limits_and_words_change_while_a_session_goes_on() {
    let upstream = Fake::start(Mail::Imap);
    let config = in_front_of(&upstream)
        .set(&["policy", "second_factor"], "optional")
        .set(&["limits", "sessions_per_account"], 2);
    let gate = Gate::start(config);
    let mut sessions = [(); 2].map(|()| enter(&gate, Mail::Imap, ANNA, "password"));
    assert!(log_in(&gate, Mail::Imap, ANNA, "password").contains("TAG NO [UNAVAILABLE]"));

    // Nobody tells it: it finds out.
    let before = gate.log().len();
    gate.edit("sessions_per_account = 2", "sessions_per_account = 3");
    gate.reloads_from(before);
    sessions.iter_mut().for_each(|session| goes_on(session, Mail::Imap));
    let third = enter(&gate, Mail::Imap, ANNA, "password");

    drop(third);
    gate.edit("second_factor = \"optional\"", "second_factor = \"required\"");
    gate.edit("hostname = \"mail.example.test\"", "hostname = \"mx.example.test\"");
    gate.reload();
    eventually("who must bind is told so", || {
        log_in(&gate, Mail::Imap, ANNA, "password").contains("[CONTACTADMIN]")
    });
    let greeting = Wire::open("127.0.0.1", gate.port("imap", false)).line();
    assert!(greeting.contains("mx.example.test"), "{greeting}");
    sessions.iter_mut().for_each(|session| goes_on(session, Mail::Imap));
    assert_eq!(
        reloads(&gate).iter().map(|(event, _)| &**event).collect::<Vec<_>>(),
        ["configuration_reloaded"; 2]
    );
}

#[test]
fn what_was_charged_stays_charged() {
    let upstream = Fake::start(Mail::Imap);
    upstream.behave(Manner { login: WRONG, ..Manner::friendly(Mail::Imap) });
    let gate = Gate::start(in_front_of(&upstream).failures(1000, 3));
    let refused = |n: u32| log_in(&gate, Mail::Imap, ANNA, &format!("wrong {n}"));
    for n in 0..3 {
        assert!(refused(n).contains("[AUTHENTICATIONFAILED]"), "{n}");
    }
    assert!(refused(3).contains("[UNAVAILABLE]"));
    gate.edit("failure_delay = \"100ms\"", "failure_delay = \"200ms\"");
    gate.reload();
    assert!(refused(4).contains("[UNAVAILABLE]"), "the charge outlives the reload");
}

#[test]
fn an_upstream_that_moves_takes_new_logins_with_it_and_leaves_sessions_where_they_are() {
    let (old, new) = (Fake::start(Mail::Imap), Fake::start(Mail::Imap));
    let gate = Gate::start(in_front_of(&old));
    let mut session = enter(&gate, Mail::Imap, ANNA, "before");
    gate.edit(&format!("127.0.0.1:{}", old.port()), &format!("127.0.0.1:{}", new.port()));
    gate.reload();
    enter(&gate, Mail::Imap, ANNA, "after");
    goes_on(&mut session, Mail::Imap);
    assert!(has_seen(&new, ANNA, "after") && !has_seen(&new, ANNA, "before"), "{}", new.heard());
    assert!(has_seen(&old, ANNA, "before") && !has_seen(&old, ANNA, "after"), "{}", old.heard());
}

#[test]
fn an_upstream_that_is_withdrawn_ends_its_sessions_and_no_others() {
    let (stays, goes) = (Fake::start(Mail::Imap), Fake::start(Mail::Imap));
    let upstream = |name: &str, fake: &Fake| -> Table {
        toml! {
            name = (name)
            domains = [(format!("{name}.test"))]
            imap = { address = [(format!("127.0.0.1:{}", fake.port()))], tls = "none" }
        }
    };
    let both = vec![upstream("stays", &stays), upstream("goes", &goes)];
    let gate = Gate::start(in_front_of(&stays).set(&["upstream"], both));
    let mut staying = enter(&gate, Mail::Imap, "anna@stays.test", "password");
    let mut going = enter(&gate, Mail::Imap, "bert@goes.test", "password");
    gate.edit("\"goes.test\"", "\"elsewhere.test\"");
    gate.reload();
    assert!(going.wire.end().1, "in order");
    goes_on(&mut staying, Mail::Imap);
    assert!(log_in(&gate, Mail::Imap, "bert@goes.test", "password").contains("[AUTHENTICATIONFAILED]"));
    eventually("it is on record", || {
        let ends = gate.cli(&["audit", "search", "--event", "session_end", "--json"]).json();
        ends.as_array().expect("records").iter().any(|end| end["reason"] == "upstream_withdrawn")
    });
    eventually("the account is named", || gate.log().contains("cannot be reached any more"));
}

#[test]
fn doors_open_and_close_and_one_that_is_taken_changes_nothing() {
    let upstream = Fake::start(Mail::Imap);
    let gate = Gate::start(in_front_of(&upstream));
    let (old, new) = (gate.port("imap", false), Port::choose());
    let mut session = enter(&gate, Mail::Imap, ANNA, "password");
    let (from, to) = (format!("127.0.0.1:{old}"), format!("127.0.0.1:{}", new.number));

    let taken = std::net::TcpListener::bind(("127.0.0.1", new.number)).expect("the port");
    gate.edit(&from, &to);
    let log = gate.reload();
    assert!(log.contains("nothing was reloaded") && log.contains("another program"), "{log}");
    assert!(TcpStream::connect(("127.0.0.1", old)).is_ok());
    drop(taken);
    gate.reload();
    assert!(Wire::open("127.0.0.1", new.number).line().starts_with("* OK"));
    eventually("nobody listens there", || TcpStream::connect(("127.0.0.1", old)).is_err());
    goes_on(&mut session, Mail::Imap);
    enter(&gate, Mail::Imap, ANNA, "password");
}

#[test]
fn what_needs_a_restart_is_named_and_the_rest_holds() {
    let upstream = Fake::start(Mail::Imap);
    let gate = Gate::start(in_front_of(&upstream).set(&["limits", "connections"], 100));
    let elsewhere = gate.directory().join("elsewhere").display().to_string();
    let audit = gate.directory().join("data/audit").display().to_string();
    gate.edit(&audit, &elsewhere);
    gate.edit("connections = 100", "connections = 200");
    gate.edit("hostname = \"mail.example.test\"", "hostname = \"mx.example.test\"");
    let log = gate.reload();
    assert!(log.contains("`limits.connections`, `audit.directory` changed"), "{log}");
    let greeting = Wire::open("127.0.0.1", gate.port("imap", false)).line();
    assert!(greeting.contains("mx.example.test"), "{greeting}");
    assert!(!fs::exists(&elsewhere).expect("the folder"));
}

#[test]
fn a_list_of_aliases_is_read_again_when_it_changes() {
    let upstream = Fake::start(Mail::Imap);
    let directory = tempfile::TempDir::new().expect("a directory");
    let aliases = directory.path().join("aliases");
    fs::write(&aliases, "").expect("a list");
    let config =
        in_front_of(&upstream).set(&["upstream", "0", "aliases_file"], aliases.display().to_string());
    let gate = Gate::start(config);
    enter(&gate, Mail::Imap, "sales@example.test", "password");
    assert!(has_seen(&upstream, "sales@example.test", "password"));
    let before = gate.log().len();
    fs::write(&aliases, format!("info@example.test {ANNA}\n")).expect("a list");
    gate.reloads_from(before);
    enter(&gate, Mail::Imap, "info@example.test", "password");
    assert!(has_seen(&upstream, ANNA, "password") && !has_seen(&upstream, "info@example.test", "password"));
    let before = gate.log().len();
    fs::write(&aliases, "one two three\n").expect("a list");
    assert!(gate.reloads_from(before).contains("nothing was reloaded"));
    enter(&gate, Mail::Imap, "info@example.test", "password");
}
