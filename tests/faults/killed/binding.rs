//! `kill -9` while a second factor is being bound: its owner is never told of one that is not there, and one that is there
//! counts whole, though its owner was not told.

use std::thread;
use std::time::Instant;

use serde_json::Value;

use super::{WRITES, are_sound};
use crate::support::gate::BINARY;
use crate::support::{Mail, code, log_in, run};
use crate::world::{Browser, MAILBOX_PASSWORD, People, apart, is_allowed, started_with};

/// How many second factors somebody has.
fn bound(people: &People, user: &str) -> usize {
    let list = people.gate.cli(&["factor", "list", user, "--json"]).json();
    list.as_array().expect("a list").len()
}

/// Whether the mailbox password alone reads the mailbox.
fn mailbox_password_opens(people: &People, user: &str) -> bool {
    Mail::Imap.is_yes(&log_in(&people.gate, Mail::Imap, user, MAILBOX_PASSWORD))
}

/// One that is there is in the way of the mailbox password, and can be unbound; and without one that password opens.
fn counts_whole(people: &People, user: &str) {
    let bound = bound(people, user);
    assert!(bound <= 1, "{user} has {bound}");
    assert_eq!(mailbox_password_opens(people, user), bound == 0, "{user} has {bound}");
    if bound == 1 {
        people.gate.cli(&["factor", "unbind", user, "--reason", "killed"]).success();
    }
}

/// At each of the system calls that write something, one after the other.
#[test]
fn a_second_factor_that_is_killed_at_any_write_is_whole_or_absent_and_shown_only_if_bound() {
    is_allowed();
    let (people, ()) = People::arrive(|config| config, |_| ());
    let config = people.gate.config_file().display().to_string();
    let (mut shown, mut silent) = (Vec::new(), Vec::new());
    for calls in WRITES {
        for number in 1.. {
            let user = format!("binder{}@example.test", shown.len() + silent.len());
            people.gate.cli(&["account", "add", &user]).success();
            let injection = format!("{calls}:signal=KILL:when={number}");
            let words = [BINARY, "--config", &config, "factor", "totp", &user, "--json"].map(str::to_owned);
            let made = run("strace", &[started_with(&injection), words.to_vec()].concat(), "");
            match serde_json::from_str::<Value>(&made.stdout) {
                Ok(printed) => {
                    assert!(printed["secret"].is_string(), "{printed}");
                    shown.push(user);
                }
                Err(_) => {
                    assert!(made.stdout.is_empty() && made.status != 0, "{made:?}");
                    silent.push(user);
                }
            }
            if made.status == 0 {
                break;
            }
            assert!(number < 200, "`{calls}`: it never comes to its end: {made:?}");
        }
    }
    assert!(silent.len() > 20 && shown.len() >= WRITES.len(), "{} and {}", silent.len(), shown.len());
    let recorded =
        people.gate.cli(&["audit", "search", "--event", "factor_bound", "--limit", "1000", "--json"]);
    let recorded = recorded.json();
    for user in &shown {
        assert_eq!(bound(&people, user), 1, "its key was shown to {user}");
        let mut records = recorded.as_array().expect("records").iter();
        assert!(records.any(|record| record["account"] == **user), "no record of {user}: {recorded}");
    }
    let there = silent.iter().filter(|user| bound(&people, user) == 1).count();
    assert!(there > 0, "none was killed between its binding and the end");
    for user in shown.iter().chain(&silent) {
        counts_whole(&people, user);
    }
    are_sound(&people);
}

/// The gate itself, while the form is on its way that binds a first one.
#[test]
fn a_second_factor_whose_owner_saw_it_bound_before_the_gate_was_killed_is_bound() {
    apart(|| {
        let (mut people, ()) = People::arrive(|config| config.portal_at("127.0.0.1"), |_| ());
        let arrive = |people: &People, user: &str| {
            let browser = Browser::before(&people.gate);
            browser.signs_in_with_mailbox_password_alone(user);
            let offer = browser.offer();
            (browser, offer)
        };
        let (browser, offer) = arrive(&people, "first@example.test");
        let begun = Instant::now();
        assert_eq!(browser.may_bind(&offer).map(|codes| codes.len()), Some(10));
        let mut patience = begun.elapsed();
        let (mut seen, mut bound_unseen, mut rounds) = (0, 0, 0);
        // A machine that pauses says little about how long it takes: more rounds, until one was and one was not in time.
        while rounds < 12 || (rounds < 48 && (seen == 0 || seen == rounds)) {
            let user = format!("binder{rounds}@example.test");
            rounds += 1;
            let (browser, offer) = arrive(&people, &user);
            let codes = thread::scope(|scope| {
                let form = scope.spawn(|| browser.may_bind(&offer));
                thread::sleep(patience);
                people.gate.signal("KILL");
                form.join().expect("a browser")
            });
            people.gate.kill();
            people.gate.start_again();
            let bound = bound(&people, &user);
            // Around the end of it: things are written right before.
            patience = patience.mul_f64(if codes.is_some() { 0.7 } else { 1.15 });
            seen += usize::from(codes.is_some());
            bound_unseen += usize::from(bound == 1 && codes.is_none());
            if let Some(codes) = codes {
                assert_eq!((bound, codes.len()), (1, 10), "{user} saw it");
            }
            if bound == 1 {
                // What confirmed it is used up, and the next code counts.
                let elsewhere = Browser::before(&people.gate);
                assert!(elsewhere.signs_in_as(&user, &code(&offer.key, 30)), "{user}");
            } else {
                // Still signed in, with the same to be bound or something new.
                let offer = browser.offer();
                assert_eq!(browser.may_bind(&offer).map(|codes| codes.len()), Some(10), "{user}");
            }
            counts_whole(&people, &user);
        }
        assert!(seen < rounds, "it was never killed in time: {bound_unseen} of {rounds}");
        assert!(seen > 0, "it was always killed in time: {bound_unseen} of {rounds}");
        are_sound(&people);
    });
}
