//! The civil clock of the machine jumps; the monotonic one, as ever, does not.

use std::collections::BTreeSet;
use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use crate::support::gate::BINARY;
use crate::support::table::{EXPIRED, TOO_MANY};
use crate::support::{
    Fake, Gate, GateConfig, Guest, Mail, PROTOCOLS, UpstreamTls, Wire, code, eventually, log_in, run,
};
use crate::world::{ADA, Browser, MAILBOX_PASSWORD, People};

const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;

/// A gate's idea of the time.
struct Clock {
    file: PathBuf,
    environment: Vec<(&'static str, String)>,
}

impl Clock {
    /// Of a gate that has not started yet.
    fn of(gate: &Gate) -> Self {
        let library = fs::read_dir("/usr/lib").expect("libraries").filter_map(Result::ok);
        let library = library.map(|entry| entry.path().join("faketime/libfaketimeMT.so.1"));
        let library = library.into_iter().find(|path| path.exists()).expect("libfaketime is installed");
        let file = gate.directory().join("clock");
        let environment = vec![
            ("LD_PRELOAD", library.display().to_string()),
            ("FAKETIME_TIMESTAMP_FILE", file.display().to_string()),
            ("FAKETIME_NO_CACHE", "1".to_owned()),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
            ("NO_FAKE_STAT", "1".to_owned()),
        ];
        let clock = Self { file, environment };
        clock.jump_to(0);
        clock
    }

    /// One by which the machine's monotonic clock jumps as well: hours pass in a moment, for whatever waits for them.
    fn of_all(gate: &Gate) -> Self {
        let mut clock = Self::of(gate);
        clock.environment.retain(|(name, _)| *name != "FAKETIME_DONT_FAKE_MONOTONIC");
        clock
    }

    fn set(&self, gate: &mut Gate) {
        for (name, value) in &self.environment {
            gate.set_environment(name, value);
        }
    }

    /// So many seconds from now, or before.
    fn jump_to(&self, seconds: i64) {
        let beside = self.file.with_extension("next");
        fs::write(&beside, format!("{seconds:+}")).expect("the time");
        fs::rename(beside, &self.file).expect("the time");
    }

    /// Runs one of the gate's commands at its time.
    fn cli(&self, config: &Path, arguments: &[&str]) -> String {
        let variables = self.environment.iter().map(|(name, value)| format!("{name}={value}"));
        let config = config.display().to_string();
        let words = [BINARY, "--config", &config].into_iter().chain(arguments.iter().copied());
        let words = variables.chain(words.map(str::to_owned)).collect::<Vec<_>>();
        run("env", &words, "").success()
    }
}

/// People whose gate has a clock of its own.
fn arrive(change: impl FnOnce(GateConfig) -> GateConfig) -> (People, Clock) {
    let (mut people, clock) = People::arrive(change, Clock::of);
    people.gate.stop();
    clock.set(&mut people.gate);
    people.gate.start_again();
    people.come_in();
    (people, clock)
}

/// The time of the newest record, as the trail has it.
fn newest(people: &People, clock: &Clock) -> String {
    let found = clock.cli(&people.gate.config_file(), &["audit", "search", "--event", "login", "--json"]);
    let found = serde_json::from_str::<serde_json::Value>(&found).expect("records");
    let times = found.as_array().expect("records").iter().filter_map(|record| record["at"].as_str());
    times.max().expect("a record").to_owned()
}

#[test]
fn whoever_has_failed_too_often_waits_as_long_whatever_the_clock_says() {
    let (people, clock) =
        arrive(|config| config.set(&["limits", "exempt"], Vec::<String>::new()).failures(1000, 3));
    let stranger = |number: usize| {
        let mut guest = Guest::from(Ipv4Addr::new(127, 0, 0, 9), &people.gate, Mail::Smtp);
        guest.log_in(ADA, &format!("guess {number}"))
    };
    let heard = (0..4).map(stranger).collect::<Vec<_>>();
    TOO_MANY.check(Mail::Smtp, heard.last().expect("the last"));
    let today = newest(&people, &clock);
    for (number, jump) in [2 * HOUR, 400 * DAY, 0, -2 * HOUR, -400 * DAY].into_iter().enumerate() {
        clock.jump_to(jump);
        TOO_MANY.check(Mail::Smtp, &stranger(10 + number));
        for mail in PROTOCOLS {
            let reply = log_in(&people.gate, mail, ADA, &people.known.password);
            assert!(mail.is_yes(&reply), "at {jump:+} s: {reply}");
        }
        if jump > 0 {
            assert_ne!(newest(&people, &clock)[..13], today[..13], "the gate's clock has not jumped");
        }
    }
    clock.jump_to(0);
    people.gate.cli(&["audit", "verify"]).success();
}

#[test]
fn what_has_expired_is_over_at_once_and_a_clock_that_is_set_back_brings_no_session_back() {
    let (mut people, clock) = arrive(|config| config);
    let short = people.gate.app_password(ADA, MAILBOX_PASSWORD, &["--expires", "1h"]);
    let enter = || -> Wire {
        let mut guest = Guest::at(&people.gate, Mail::Imap);
        let reply = guest.log_in(ADA, &short.password);
        assert!(Mail::Imap.is_yes(&reply), "{reply}");
        guest.wire
    };
    let mut first = enter();
    clock.jump_to(2 * HOUR);
    let rest = first.rest();
    assert!(!rest.contains(" OK "), "{rest}");
    for mail in PROTOCOLS {
        EXPIRED.check(mail, &log_in(&people.gate, mail, ADA, &short.password));
    }
    // By the clock it is good again; what was ended is not.
    clock.jump_to(0);
    assert!(first.next_line().is_none());
    let mut second = enter();
    clock.jump_to(-DAY);
    assert!(second.imap("n", "NOOP").contains("n OK"));
    let third = enter();
    clock.jump_to(2 * HOUR);
    for mut wire in [second, third] {
        wire.rest();
    }
    let expired = || {
        let ends = people.gate.cli(&["audit", "search", "--event", "session_end", "--json"]).json();
        ends.as_array().expect("records").iter().filter(|end| end["reason"] == "expired").count()
    };
    eventually("each end is on record", || expired() >= 3);
    assert_eq!(expired(), 3);
    people.are_let_in_again();
    people.sessions_go_on();
    people.gate.cli(&["audit", "verify"]).success();

    // Chains are named after the time at which they begin: one that seems older than its elders is as good.
    clock.jump_to(-400 * DAY);
    people.gate.stop();
    people.gate.start_again();
    people.come_in();
    people.gate.cli(&["audit", "verify"]).success();
    assert_eq!(people.gate.stop(), Some(0));
    people.gate.cli(&["audit", "verify"]).success();
}

#[test]
fn a_clock_that_is_set_back_makes_no_code_good_again() {
    let (people, clock) = arrive(|config| config.portal_at("127.0.0.1"));
    let bert = "bert@example.test";
    people.gate.cli(&["account", "add", bert]).success();
    let bert = (bert, people.gate.bind_totp(bert));
    let signs_in = |code: &str| Browser::before(&people.gate).signs_in(code);
    let begun = Instant::now();
    // So many seconds from the beginning, where it then stays for a moment. Returns by how much it is wrong.
    let jump_to = |seconds: i64| {
        let passed = i64::try_from(begun.elapsed().as_secs()).expect("few");
        clock.jump_to(seconds - passed);
        seconds - passed
    };
    let used = code(&people.secret, 0);
    assert!(signs_in(&used), "it is right");
    let wrong_by = jump_to(-600);
    for (which, code) in [("of this time", code(&people.secret, wrong_by)), ("used", used.clone())] {
        assert!(!signs_in(&code), "the code {which} is no newer than what was used");
    }
    let his = code(&bert.1, wrong_by);
    assert!(Browser::before(&people.gate).signs_in_as(bert.0, &his), "the gate's clock has jumped");
    jump_to(0);
    assert!(!signs_in(&used), "by the clock it is right again, and it was used");
    let wrong_by = jump_to(60);
    assert!(signs_in(&code(&people.secret, wrong_by)), "it is newer than what was used");
    people.gate.cli(&["audit", "verify"]).success();
}

#[test]
fn how_long_the_trail_is_kept_changes_while_the_gate_runs() {
    let upstream = Fake::start(Mail::Imap);
    let config = GateConfig::in_front_of_fakes(&[&upstream], UpstreamTls::None);
    let mut gate = Gate::start(config.set(&["audit", "retention"], "0"));
    gate.stop();
    let trail = gate.directory().join("data/audit");
    let files = || -> BTreeSet<PathBuf> {
        let entries = fs::read_dir(&trail).expect("the trail").filter_map(Result::ok);
        entries.map(|entry| entry.path()).collect()
    };
    let young = files();
    let clock = Clock::of_all(&gate);
    clock.set(&mut gate);
    clock.jump_to(-3 * DAY);
    gate.start_again();
    gate.stop();
    let old = files().difference(&young).cloned().collect::<Vec<_>>();
    assert!(!young.is_empty() && !old.is_empty(), "{young:?} and {old:?}");
    clock.jump_to(0);
    gate.start_again();

    // It looks once an hour, and takes away what was due the time before as well.
    let come_to = |hour: i64, patience: Duration| {
        clock.jump_to(hour * (HOUR + 60));
        thread::sleep(patience);
    };
    let left = || old.iter().filter(|file| file.exists()).count();
    let moment = Duration::from_millis(300);
    (1..5).for_each(|hour| come_to(hour, moment));
    assert_eq!(left(), old.len(), "for ever, it says");
    gate.edit("retention = \"0\"", "retention = \"1d\"");
    let log = gate.reload();
    assert!(!log.contains("nothing was reloaded") && !log.contains("restart"), "{log}");
    (5..10).for_each(|hour| come_to(hour, moment));
    // A busy machine may not have come to a look each time; but a day must not pass.
    for (slower, hour) in (2..).zip(10..23) {
        if left() > 0 {
            come_to(hour, slower * moment);
        }
    }
    assert_eq!(left(), 0, "{}", gate.log());
    assert!(young.iter().all(|file| file.exists()), "they are not a day old: {:?}", files());
    gate.cli(&["audit", "verify"]).success();
}
