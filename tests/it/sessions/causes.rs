//! Every cause, on both databases, made by another process than the one that has the session.
#![expect(clippy::print_stderr, reason = "how long it took is worth knowing even where the test passes")]

use std::time::{Duration, Instant};

use super::{Client, reasons};
use crate::support::{AppPassword, Gate, GateConfig, LegacyOptions, LegacyServer, Mail, Postgres};

/// What is promised. Counted from when the command is done, which is a moment after all can see what it changed; nothing
/// else runs meanwhile (`.config/nextest.toml`).
const BOUND: Duration = Duration::from_secs(1);

#[test]
fn every_cause_ends_what_rests_on_it_on_sqlite() {
    let legacy = legacy();
    let gate = Gate::start(GateConfig::in_front_of(&legacy).uncounted());
    every_cause(&legacy, &gate, &gate);
}

#[test]
fn every_cause_ends_what_rests_on_it_on_another_node() {
    let (legacy, postgres) = (legacy(), Postgres::start());
    let config = || GateConfig::in_front_of(&legacy).uncounted().database(postgres.url());
    let here = Gate::start(config());
    let there = here.join(config());
    every_cause(&legacy, &here, &there);
}

fn legacy() -> LegacyServer {
    let user =
        |options: LegacyOptions, n| options.user(&format!("u{n}@example.test"), &format!("mailbox-{n}"));
    LegacyServer::start((0..9).fold(LegacyOptions::default().fast_auth(), user))
}

/// What stands around one cause: the account that it strikes, with two app passwords.
struct Scene<'a> {
    /// Has the sessions.
    here: &'a Gate,
    /// Runs the command.
    there: &'a Gate,
    user: &'a str,
    mailbox: &'a str,
    first: AppPassword,
    second: AppPassword,
}

impl<'a> Scene<'a> {
    fn set(legacy: &'a LegacyServer, index: usize, here: &'a Gate, there: &'a Gate) -> Self {
        let (user, mailbox) = legacy.user(index);
        let (first, second) =
            (there.app_password(user, mailbox, &[]), there.app_password(user, mailbox, &[]));
        Self { here, there, user, mailbox, first, second }
    }

    fn by(&self, password: &str) -> Vec<Client> {
        Client::enter_all(self.here, self.user, password)
    }

    /// Runs the command while these sessions live; those that must end do so in time and in order, the others go on.
    fn strike(&self, reason: &str, command: &[&str], ending: Vec<Client>, staying: Vec<Client>) {
        let count = ending.len();
        let watched = ending.into_iter().map(Client::watch).collect::<Vec<_>>();
        let begun = Instant::now();
        self.there.cli(command).success();
        let returned = Instant::now();
        for ended in watched {
            let ended = ended.join().expect("a client's end");
            let took = ended.at.saturating_duration_since(returned);
            eprintln!(
                "{}: {reason} {} ms after the command returned, {} ms after it began",
                ended.what,
                took.as_millis(),
                ended.at.duration_since(begun).as_millis()
            );
            assert!(took < BOUND, "{}: {took:?}", ended.what);
            assert_eq!((ended.heard.as_str(), ended.in_order), ("", true), "{}", ended.what);
        }
        for mut client in staying {
            client.goes_on();
        }
        let expected = vec![reason.to_owned(); count];
        let reasons = reasons(self.there, self.user, count);
        let by_the_gate = reasons.into_iter().filter(|reason| reason != "client_closed").collect::<Vec<_>>();
        assert_eq!(by_the_gate, expected, "{command:?}");
    }
}

fn every_cause(legacy: &LegacyServer, here: &Gate, there: &Gate) {
    let scene = |index| Scene::set(legacy, index, here, there);
    let (bystander, password) = legacy.user(8);
    let mut others = Client::enter_all(here, bystander, password);

    let one = scene(0);
    let (ending, mut staying) = (one.by(&one.first.password), one.by(&one.second.password));
    staying.extend(one.by(one.mailbox));
    one.strike("revoked", &["app-password", "revoke", one.user, &one.first.id], ending, staying);
    // Two finished their messages, and the half of the third is none.
    assert!(legacy.postfix_log().contains("lost connection after DATA"), "{}", legacy.postfix_log());
    crate::support::eventually("two messages are there", || {
        let mut guest = crate::support::Guest::at(here, Mail::Imap);
        assert!(Mail::Imap.is_yes(&guest.log_in(one.user, one.mailbox)));
        guest.wire.imap("m", "STATUS INBOX (MESSAGES)").contains("(MESSAGES 2)")
    });

    let all = scene(1);
    let (mut ending, staying) = (all.by(&all.first.password), all.by(all.mailbox));
    ending.extend(all.by(&all.second.password));
    all.strike("revoked", &["app-password", "revoke", all.user, "--all"], ending, staying);

    for (index, verb, reason) in [(2, "suspend", "suspended"), (3, "remove", "removed")] {
        let scene = scene(index);
        let mut ending = scene.by(&scene.first.password);
        ending.extend(scene.by(scene.mailbox));
        scene.strike(reason, &["account", verb, scene.user], ending, vec![]);
    }

    let bound = scene(4);
    let (ending, staying) = (bound.by(bound.mailbox), bound.by(&bound.first.password));
    bound.strike("factor_bound", &["factor", "totp", bound.user], ending, staying);

    let unbound = scene(5);
    there.bind_totp(unbound.user);
    let ending = unbound.by(&unbound.first.password);
    let command = ["factor", "unbind", unbound.user, "--reason", "lost the phone"];
    unbound.strike("revoked", &command, ending, vec![]);

    let ended = scene(6);
    let (mut ending, staying) = (ended.by(&ended.first.password), ended.by(&ended.first.password));
    ending.truncate(1);
    let session = eventually_listed(there, ended.user, 4, "imap").remove(0);
    let twin = &staying[0];
    assert_eq!(twin.mail, Mail::Imap, "two alike, and one of them is meant");
    ended.strike("ended_by_admin", &["session", "end", &session], ending, staying);

    expiry(&scene(7));

    for client in &mut others {
        client.goes_on();
    }
    assert_eq!(reasons(there, bystander, 0), Vec::<String>::new());
    there.cli(&["audit", "verify"]).success();
}

/// Nobody does anything, and the time is over.
fn expiry(scene: &Scene<'_>) {
    const LIFE: Duration = Duration::from_secs(10);
    let (user, mailbox) = (scene.user, scene.mailbox);
    let mut staying = scene.by(mailbox);
    staying.extend(scene.by(&scene.first.password));
    let asked = Instant::now();
    let made = scene.there.app_password(user, mailbox, &["--expires", "10s"]);
    let made_at = Instant::now();
    let ending = scene.by(&made.password);
    for ended in ending.into_iter().map(Client::watch).collect::<Vec<_>>() {
        let ended = ended.join().expect("a client's end");
        assert!(ended.at >= asked + LIFE, "{} ended too early", ended.what);
        let late = ended.at.saturating_duration_since(made_at + LIFE);
        eprintln!(
            "{}: expired at most {} ms late",
            ended.what,
            ended.at.duration_since(asked + LIFE).as_millis()
        );
        assert!(late < BOUND, "{}: {late:?}", ended.what);
        // Dovecot tells whoever waits for mail every so often that it is there.
        let heard = ended.heard.replace("* OK Still here\r\n", "");
        assert_eq!((heard.as_str(), ended.in_order), ("", true), "{}", ended.what);
    }
    for client in &mut staying {
        client.goes_on();
    }
    assert_eq!(reasons(scene.there, user, 3), ["expired"; 3]);
}

/// The IDs of the user's sessions of that protocol, the longest first, once so many sessions are listed in all.
fn eventually_listed(gate: &Gate, user: &str, count: usize, protocol: &str) -> Vec<String> {
    let mut ids = Vec::new();
    crate::support::eventually("the sessions are listed", || {
        let listed = gate.cli(&["session", "list", user, "--json"]).json();
        let listed = listed.as_array().expect("sessions");
        let of_protocol = listed.iter().filter(|one| one["protocol"] == protocol);
        ids = of_protocol.filter_map(|one| one["id"].as_str().map(str::to_owned)).collect();
        listed.len() == count
    });
    ids
}
