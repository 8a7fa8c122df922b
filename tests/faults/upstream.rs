//! The server behind the gate is broken in some way: a temporary failure in time, on record, and no credential sent
//! more than once. `it::upstream` and `it::refusals::unavailable` have more of it.

use std::time::Duration;

use crate::support::{Answer, Fake, GateConfig, Mail, Manner, plain};
use crate::world::{ADA, MAILBOX_PASSWORD, People, apart, black_hole, mend_the_network};

/// Deadlines of the gate in these tests, and how long after them the last client must have heard. A refusal that proves
/// nothing leaves later than the upstream's failure showed, so that all leave alike.
const CONNECT: Duration = Duration::from_secs(1);
const LOGIN: Duration = Duration::from_secs(2);
const MARGIN: Duration = Duration::from_secs(4);

fn in_a_hurry() -> People {
    let deadlines = [("connect_deadline", CONNECT), ("login_deadline", LOGIN)];
    let hurry = |config| {
        deadlines.iter().fold(config, |config: GateConfig, (key, time)| {
            config.set(&["upstream", "0", key], format!("{}s", time.as_secs()))
        })
    };
    People::arrive(hurry, |_| ()).0
}

/// How often each server has heard the mailbox password.
fn times_sent(people: &People) -> Vec<usize> {
    let secrets = [plain(ADA, MAILBOX_PASSWORD), MAILBOX_PASSWORD.to_owned()];
    let heard = people.fakes.iter().map(Fake::heard);
    heard.map(|heard| secrets.iter().map(|secret| heard.matches(secret).count()).sum()).collect()
}

/// What it is called, and how a server behaves then.
type Way = (&'static str, fn(Mail) -> Manner);

/// Breaks the servers in one way after the other. `sent` says whether they get as far as hearing a credential.
fn each_way_is_temporary(ways: &[Way], sent: usize) {
    let mut people = in_a_hurry();
    for (what, manner) in ways {
        let asked = people.fakes.iter().map(Fake::conversations).collect::<Vec<_>>();
        for fake in &people.fakes {
            fake.behave(manner(fake.mail()));
        }
        let before = times_sent(&people);
        people.hear_unavailable(ADA, &people.known.password, CONNECT + LOGIN + MARGIN);
        let now = times_sent(&people);
        assert!(
            before.iter().zip(&now).all(|(before, now)| *now == before + sent),
            "{what}: {before:?} {now:?}"
        );
        for (fake, asked) in people.fakes.iter().zip(asked) {
            assert!(fake.conversations() > asked, "{what}: {:?} was not asked", fake.mail());
        }
        people.hear_unavailable("newcomer", "a guess", CONNECT + LOGIN + MARGIN);
        // A server that failed twice is not asked for a while.
        for fake in &people.fakes {
            fake.behave(Manner::friendly(fake.mail()));
        }
        people.are_let_in_soon();
    }
    people.sessions_go_on();
    assert_eq!(people.records(&["--event", "mailbox_password_stale"]), 0);
    people.gate.stop();
    // Those that came before a server was asked again are among them.
    let (came, told) = (people.came_to_nothing(), 6 * ways.len());
    assert!(came >= told, "each is on record: {came} of {told} at least");
}

/// One is silent from the beginning, the others once they have heard the login.
#[test]
fn with_deadlines_as_they_are_by_default_nobody_waits_longer_for_a_silent_server() {
    let (mut people, ()) = People::arrive(|config| config, |_| ());
    for fake in &people.fakes {
        let mail = fake.mail();
        fake.behave(match mail {
            Mail::Imap => Manner::scripted(mail, |_, _| Some(Vec::new())),
            Mail::Pop3 | Mail::Smtp => Manner { login: Answer::Silence, ..Manner::friendly(mail) },
        });
    }
    // Five seconds to connect, thirty to log in, and what it takes to say so.
    people.hear_unavailable(ADA, &people.known.password, Duration::from_secs(5 + 30) + MARGIN);
    people.sessions_go_on();
    for fake in &people.fakes {
        fake.behave(Manner::friendly(fake.mail()));
    }
    people.are_let_in_soon();
}

#[test]
fn what_breaks_before_the_login_is_temporary_and_no_credential_leaves() {
    each_way_is_temporary(
        &[
            ("silent from the beginning", |mail| Manner::scripted(mail, |_, _| Some(Vec::new()))),
            ("gone at once", |mail| Manner::scripted(mail, |_, _| None)),
            ("greets with garbage", |mail| {
                Manner::scripted(mail, |_, _| Some(b"\x16\x03\x01\xff\0\x80* OK\xfe\r\n".to_vec()))
            }),
            ("greets without end", |mail| Manner {
                slow: true,
                ..Manner::scripted(mail, |_, _| Some(b"* OK +OK 220 ".repeat(200)))
            }),
            ("gone after its greeting", |mail| {
                let script = match mail {
                    Mail::Imap => {
                        |line: &str, _: &[String]| line.is_empty().then(|| b"* OK ready\r\n".to_vec())
                    }
                    Mail::Pop3 => {
                        |line: &str, _: &[String]| line.is_empty().then(|| b"+OK ready\r\n".to_vec())
                    }
                    Mail::Smtp => {
                        |line: &str, _: &[String]| line.is_empty().then(|| b"220 ready ESMTP\r\n".to_vec())
                    }
                };
                Manner::scripted(mail, script)
            }),
        ],
        0,
    );
}

#[test]
fn what_breaks_during_the_login_is_temporary_and_the_credential_was_sent_once() {
    each_way_is_temporary(
        &[
            ("gone instead of an answer", |mail| Manner {
                login: Answer::Ends(""),
                ..Manner::friendly(mail)
            }),
            ("silent instead of an answer", |mail| Manner {
                login: Answer::Silence,
                ..Manner::friendly(mail)
            }),
            ("too slow with its answer", |mail| {
                // Whatever it says: at two milliseconds for each byte it is too late.
                let refusal = match mail {
                    Mail::Imap => "TAG NO [AUTHENTICATIONFAILED] ",
                    Mail::Pop3 => "-ERR [AUTH] ",
                    Mail::Smtp => "535 5.7.8 ",
                };
                let late = Answer::Says(format!("{refusal}{}", "no ".repeat(600)).leak());
                Manner { login: late, slow: true, ..Manner::friendly(mail) }
            }),
        ],
        1,
    );
}

/// With the deadlines as they are by default.
#[test]
fn a_server_that_cannot_be_reached_is_given_up_after_five_seconds() {
    apart(|| {
        let (mut people, ()) = People::arrive(|config| config, |_| ());
        for fake in &people.fakes {
            black_hole(fake.port());
        }
        people.hear_unavailable(ADA, &people.known.password, Duration::from_secs(7));
        // Not sooner than a failure shows, whoever it is.
        people.hear_unavailable(ADA, "a guess", Duration::from_secs(12));
        mend_the_network();
        people.are_let_in_soon();
        people.sessions_go_on();
        assert_eq!(people.records(&["--event", "login", "--outcome", "unavailable"]), 6);
    });
}
