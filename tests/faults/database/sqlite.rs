//! The SQLite file cannot be written, but it can be read: whoever is known gets in, and nothing new is half done.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use crate::support::gate::BINARY;
use crate::support::{Fake, Gate, GateConfig, Mail, PROTOCOLS, UpstreamTls, log_in, run};
use crate::world::{
    ADA, Browser, Ext4, Form, Lock, MAILBOX_PASSWORD, People, Strace, Tmpfs, apart, is_allowed, started_with,
};

/// On a disk of its own; the trail is elsewhere.
fn on_its_own_disk(config: GateConfig) -> GateConfig {
    config.set(&["database", "url"], "sqlite:small/mailward.db").portal_at("127.0.0.1")
}

fn database(people: &People) -> PathBuf {
    people.gate.directory().join("small/mailward.db")
}

/// While nothing can be written. Ada has `form` before her.
fn goes_on_as_far_as_it_can(people: &mut People, browser: &Browser, form: &Form) {
    let before = people.labels();
    assert_eq!(browser.status("/app-passwords"), 200, "what is there can be read");
    people.are_let_in_again();
    people.are_let_in(&people.never_used.password);
    people.sessions_go_on();
    people.hear_unavailable("newcomer", MAILBOX_PASSWORD, Duration::from_secs(13));
    let made = people.make_one();
    assert_ne!(made.status, 0, "{made:?}");
    browser.hears_unavailable(form);
    for command in [&["account", "suspend", ADA][..], &["factor", "totp", ADA, "--json"]] {
        let outcome = people.gate.cli(command);
        assert!(outcome.status != 0 && outcome.stdout.is_empty(), "{outcome:?}");
    }
    people.are_let_in_again();
    people.sessions_go_on();
    assert_eq!(people.labels(), before, "no half of a row");
}

/// When it can be written again.
fn is_as_if_nothing_had_been(people: &mut People, browser: &Browser, form: &Form) {
    people.newcomers_are_let_in("newcomer");
    people.make_one().success();
    people.are_let_in(&browser.gets_one(form));
    people.are_let_in_again();
    people.sessions_go_on();
    people.gate.cli(&["audit", "verify"]).success();
    let checked = run("sqlite3", &[database(people).as_os_str(), "PRAGMA integrity_check".as_ref()], "");
    assert_eq!(checked.success().trim(), "ok");
}

#[test]
fn while_it_is_locked_whoever_is_known_gets_in_and_nothing_is_half_done() {
    let (mut people, ()) = People::arrive(on_its_own_disk, |_| ());
    let (browser, form) = people.sign_in();
    let lock = Lock::hold(&database(&people));
    goes_on_as_far_as_it_can(&mut people, &browser, &form);
    drop(lock);
    is_as_if_nothing_had_been(&mut people, &browser, &form);
}

#[test]
fn while_its_disk_is_full_whoever_is_known_gets_in_and_nothing_is_half_done() {
    apart(|| {
        let (mut people, disk) =
            People::arrive(on_its_own_disk, |gate| Tmpfs::mount(&gate.directory().join("small"), "4m"));
        let (browser, form) = people.sign_in();
        // Whoever closes it last puts what is in its log into its place, which makes room: and the gate closes what has failed.
        let _reader = Lock::read(&database(&people));
        let filled = disk.fill();
        goes_on_as_far_as_it_can(&mut people, &browser, &form);
        drop(filled);
        is_as_if_nothing_had_been(&mut people, &browser, &form);
    });
}

#[test]
fn while_its_disk_is_read_only_whoever_is_known_gets_in_and_nothing_is_half_done() {
    apart(|| {
        let (mut people, disk) =
            People::arrive(on_its_own_disk, |gate| Ext4::mount(&gate.directory().join("small")));
        let (browser, form) = people.sign_in();
        disk.fail();
        goes_on_as_far_as_it_can(&mut people, &browser, &form);
        // A disk that did this is not written again before it was looked at.
        people.gate.stop();
        disk.repair();
        people.gate.start_again();
        people.come_in();
        is_as_if_nothing_had_been(&mut people, &browser, &form);
    });
}

/// Making it takes many writes, and the patience of a client is not that of a start.
#[test]
fn a_start_on_a_slow_disk_takes_its_time() {
    apart(|| {
        is_allowed();
        let fakes = PROTOCOLS.map(Fake::start);
        let fakes = fakes.iter().collect::<Vec<_>>();
        let mut gate = Gate::prepare(GateConfig::in_front_of_fakes(&fakes, UpstreamTls::None));
        let mut command = Command::new("strace");
        // What is written first, before there is a table: later SQLite has another log.
        let journal = gate.directory().join("data/mailward.db-journal");
        command.args(started_with("fsync,fdatasync:delay_enter=3500000"));
        command.arg(format!("--trace-path={}", journal.display())).arg(BINARY);
        gate.start_as(command);
        gate.wait_until_it_answers();
        let reply = log_in(&gate, Mail::Imap, ADA, MAILBOX_PASSWORD);
        assert!(Mail::Imap.is_yes(&reply), "{reply}");
    });
}

#[test]
fn while_it_is_slow_to_write_everybody_gets_in_all_the_same() {
    apart(|| {
        let (mut people, ()) = People::arrive(on_its_own_disk, |_| ());
        let (browser, form) = people.sign_in();
        let log = people.gate.directory().join("small/mailward.db-wal").display().to_string();
        let another = browser.form();
        let slow = Strace::attach(people.gate.pid(), &["fdatasync,fsync:delay_enter=400000"], &[&log]);
        assert_eq!(browser.status("/app-passwords"), 200);
        people.are_let_in(&browser.gets_one(&another));
        people.are_let_in_again();
        people.are_let_in(&people.never_used.password);
        people.newcomers_are_let_in("patient");
        people.sessions_go_on();
        drop(slow);
        is_as_if_nothing_had_been(&mut people, &browser, &form);
    });
}

/// The disk takes what is written and does not keep it.
#[test]
fn while_no_commit_is_kept_nobody_is_shown_what_is_not_there() {
    apart(|| {
        let (mut people, ()) = People::arrive(on_its_own_disk, |_| ());
        let (browser, form) = people.sign_in();
        let labels = people.labels();
        let file = database(&people).display().to_string();
        let broken = Strace::attach(
            people.gate.pid(),
            &["fdatasync,fsync:error=EIO"],
            &[&file, &format!("{file}-wal"), &format!("{file}-shm")],
        );
        assert_eq!(browser.status("/app-passwords"), 200, "what is there can be read");
        browser.hears_unavailable(&form);
        people.are_let_in_again();
        people.are_let_in(&people.never_used.password);
        people.sessions_go_on();
        people.hear_unavailable("newcomer", MAILBOX_PASSWORD, Duration::from_secs(13));
        assert_eq!(people.labels(), labels);
        drop(broken);
        is_as_if_nothing_had_been(&mut people, &browser, &form);
    });
}
