//! The disk of the audit trail is full, or does not keep what it was given.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::readiness::reasons;
use crate::support::table::UNAVAILABLE;
use crate::support::{GateConfig, Mail, PROTOCOLS, b64, code, eventually, log_in};
use crate::world::{ADA, Browser, Ext4, MAILBOX_PASSWORD, People, Strace, Tmpfs, apart};

/// On a disk of its own: what fits into the last block of a file still fits when that is full.
fn trail_of_its_own(config: GateConfig, when_full: &str, reserve: &str) -> GateConfig {
    config
        .set(&["audit", "directory"], "trail")
        .set(&["audit", "when_full"], when_full)
        .set(&["audit", "reserve"], reserve)
        .portal_at("127.0.0.1")
}

fn arrive(when_full: &'static str, reserve: &'static str) -> (People, Browser, Tmpfs) {
    let (mut people, disk) = People::arrive(
        |config| trail_of_its_own(config, when_full, reserve),
        |gate| Tmpfs::mount(&gate.directory().join("trail"), "1m"),
    );
    let (browser, _) = people.sign_in();
    (people, browser, disk)
}

fn logs_in(people: &People) -> bool {
    let reply = log_in(&people.gate, Mail::Imap, ADA, &people.known.password);
    let yes = Mail::Imap.is_yes(&reply);
    if !yes {
        UNAVAILABLE.check(Mail::Imap, &reply);
    }
    yes
}

/// How often Ada was let in, by the trail.
fn admitted(people: &People) -> usize {
    people.records(&["--account", ADA, "--outcome", "admitted"])
}

/// How many times she is let in until she is not any more.
fn logins_until_the_end(people: &People) -> usize {
    let count = (0..2000).find(|_| !logs_in(people));
    count.expect("the disk is never full")
}

/// Somebody guesses, another password each time. Whether he hears that it does not work just now.
fn guess(people: &People) -> bool {
    let guess = b64(format!("{:?}", Instant::now()));
    let reply = log_in(&people.gate, Mail::Pop3, ADA, &guess);
    assert!(reply.starts_with("-ERR "), "{reply}");
    reply.contains("[SYS/TEMP]")
}

/// Makes app passwords until there is no room for the record of one: the last block of the trail may have some still.
fn makes_some_until_the_end(people: &People, browser: &Browser) {
    let made = || people.records(&["--event", "app_password_created"]);
    let before = made();
    let told = (0..100).find(|_| !browser.makes_one(&browser.form())).expect("the disk is never full");
    assert_eq!(made(), before + told, "each that was told of, and no other");
}

fn changes_are_refused(people: &People, browser: &Browser) {
    makes_some_until_the_end(people, browser);
    let labels = people.labels();
    for command in [
        &["account", "suspend", ADA][..],
        &["account", "add", "someone@example.test"],
        &["factor", "unbind", ADA, "--reason", "a test"],
        &["app-password", "revoke", ADA, &people.never_used.id],
    ] {
        let outcome = people.gate.cli(command);
        assert!(outcome.status != 0 && outcome.stdout.is_empty(), "{outcome:?}");
        assert!(outcome.stderr.contains("audit"), "it says why: {outcome:?}");
    }
    assert_ne!(people.make_one().status, 0);
    // Pages need no record.
    browser.hears_unavailable(&browser.form());
    assert_eq!(people.labels(), labels);
    let shown = people.gate.cli(&["account", "show", ADA, "--json"]).json();
    assert_eq!((&shown["state"], &shown["bound_factors"]), (&"active".into(), &1.into()), "{shown}");
    assert_ne!(people.gate.cli(&["account", "show", "someone@example.test"]).status, 0);
}

fn is_as_if_nothing_had_been(people: &mut People, browser: &Browser) {
    people.are_let_in_again();
    people.newcomers_are_let_in("newcomer");
    people.make_one().success();
    people.are_let_in(&browser.gets_one(&browser.form()));
    people.sessions_go_on();
    people.gate.cli(&["audit", "verify"]).success();
}

#[test]
fn without_a_reserve_nobody_gets_in_and_nothing_is_changed_until_there_is_room() {
    apart(|| {
        let (mut people, browser, disk) = arrive("refuse", "0");
        let before = admitted(&people);
        let filled = disk.fill();
        let told = logins_until_the_end(&people);
        // Refusals are shorter, and may still fit.
        let unrecorded = (0..30).filter(|_| guess(&people)).count();
        assert!(unrecorded > 10, "only {unrecorded} of 30 refusals did not fit");
        people.hear_unavailable(ADA, &people.known.password, Duration::from_secs(5));
        people.hear_unavailable("newcomer", MAILBOX_PASSWORD, Duration::from_secs(5));
        people.sessions_go_on();
        changes_are_refused(&people, &browser);
        assert!(people.gate.log().contains("ERROR the audit trail in"), "{}", people.gate.log());
        drop(filled);
        eventually("there is room", || logs_in(&people));
        assert_eq!(admitted(&people), before + told + 1, "each that was told of, and no other");
        is_as_if_nothing_had_been(&mut people, &browser);
    });
}

#[test]
fn where_mail_matters_more_it_goes_on_without_records_and_nothing_is_changed() {
    apart(|| {
        let (mut people, browser, disk) = arrive("continue", "0");
        let filled = disk.fill();
        for _ in 0..12 {
            people.are_let_in_again();
        }
        people.newcomers_are_let_in("newcomer");
        people.sessions_go_on();
        assert!(people.gate.log().contains("ERROR an audit record is lost"), "{}", people.gate.log());
        changes_are_refused(&people, &browser);
        // Not even a start needs the trail then.
        people.gate.kill();
        people.gate.start_again();
        people.are_let_in_again();
        assert!(people.gate.log().contains("the start is not in the trail"), "{}", people.gate.log());
        drop(filled);
        people.come_in();
        let before = admitted(&people);
        people.are_let_in_again();
        assert_eq!(admitted(&people), before + 3, "they are recorded again");
        is_as_if_nothing_had_been(&mut people, &browser);
    });
}

/// Refusals fill the disk; successes and changes have the reserve.
#[test]
fn whoever_fills_the_disk_with_refusals_silences_neither_successes_nor_changes() {
    apart(|| {
        let (mut people, browser, disk) = arrive("refuse", "384KiB");
        let reserve = people.gate.directory().join("trail/reserve");
        let held = || fs::metadata(&reserve).map_or(0, |file| file.len());
        assert_eq!(held(), 384 << 10);
        let filled = disk.fill();
        let refused = (0..100).find(|_| guess(&people)).expect("refusals are not recorded for ever");
        assert!(people.gate.log().contains("the disk of the audit trail is full"), "{}", people.gate.log());

        let (logins, changes) = (admitted(&people), people.records(&["--event", "account_suspended"]));
        for round in 0..10 {
            people.are_let_in_again();
            assert!(guess(&people), "no refusal has any of the reserve, after {refused} and {round}");
        }
        people.sessions_go_on();
        for command in ["suspend", "resume"] {
            people.gate.cli(&["account", command, ADA]).success();
        }
        people.make_one().success();
        assert_eq!(admitted(&people), logins + 30);
        assert_eq!(people.records(&["--event", "account_suspended"]), changes + 1);
        assert!((1..384 << 10).contains(&held()), "{} bytes are left", held());
        eventually("Ada may come in again", || logs_in(&people));

        // It is not without end either.
        logins_until_the_end(&people);
        assert_eq!(held(), 0);
        people.hear_unavailable("newcomer", MAILBOX_PASSWORD, Duration::from_secs(5));
        people.gate.cli(&["audit", "verify"]).success();

        drop(filled);
        eventually("there is room", || logs_in(&people));
        eventually("the reserve is filled again", || logs_in(&people) && held() == 384 << 10);
        assert!(!guess(&people), "refusals are recorded again");
        people.come_in();
        // Whoever is suspended is out at the portal as well.
        assert_eq!(browser.status("/app-passwords"), 303);
        assert!(browser.signs_in(&code(&people.secret, 30)), "it is newer than the first, and good already");
        is_as_if_nothing_had_been(&mut people, &browser);
    });
}

/// It became read-only by itself, as a disk does on which an error is found.
#[test]
fn while_the_disk_is_read_only_nobody_gets_in_and_nothing_is_changed_until_it_is_repaired() {
    apart(|| {
        let (mut people, disk) = People::arrive(
            |config| trail_of_its_own(config, "refuse", "64KiB"),
            |gate| Ext4::mount(&gate.directory().join("trail")),
        );
        let (browser, _) = people.sign_in();
        let before = admitted(&people);
        disk.fail();
        people.hear_unavailable(ADA, &people.known.password, Duration::from_secs(5));
        people.hear_unavailable("newcomer", MAILBOX_PASSWORD, Duration::from_secs(5));
        people.sessions_go_on();
        changes_are_refused(&people, &browser);
        assert!(people.gate.log().contains("Read-only file system"), "{}", people.gate.log());
        people.gate.stop();
        disk.repair();
        people.gate.start_again();
        assert_eq!(admitted(&people), before, "nobody was told of what is not on record");
        people.come_in();
        is_as_if_nothing_had_been(&mut people, &browser);
    });
}

/// The same where mail matters more than records of it.
#[test]
fn while_the_disk_is_read_only_mail_goes_on_where_it_matters_more_and_nothing_is_changed() {
    apart(|| {
        let (mut people, watch, disk) = People::arrive_watched(
            |config| trail_of_its_own(config, "continue", "64KiB"),
            |gate| Ext4::mount(&gate.directory().join("trail")),
        );
        let (browser, _) = people.sign_in();
        disk.fail();
        for _ in 0..3 {
            people.are_let_in_again();
        }
        people.newcomers_are_let_in("newcomer");
        people.sessions_go_on();
        assert!(people.gate.log().contains("ERROR an audit record is lost"), "{}", people.gate.log());
        assert!(people.gate.log().contains("Read-only file system"), "{}", people.gate.log());
        assert!(reasons(&watch).is_empty(), "nobody is kept out for it");
        assert!(watch.number("mailward_audit_failures_total") > 8.5, "what is lost is counted");
        changes_are_refused(&people, &browser);
        people.gate.kill();
        people.gate.start_again();
        people.are_let_in_again();
        assert!(people.gate.log().contains("the start is not in the trail"), "{}", people.gate.log());
        people.gate.stop();
        disk.repair();
        people.gate.start_again();
        let before = admitted(&people);
        people.come_in();
        assert_eq!(admitted(&people), before + 3, "they are recorded again");
        is_as_if_nothing_had_been(&mut people, &browser);
    });
}

fn chains(people: &People) -> Vec<PathBuf> {
    let files = fs::read_dir(people.gate.directory().join("trail")).expect("the trail");
    let mut files = files.map(|entry| entry.expect("a file").path()).collect::<Vec<_>>();
    files.retain(|path| path.extension().is_some_and(|ending| ending == "jsonl"));
    files.sort();
    files
}

/// The kernel says once that what was written is not on the disk, and may say yes the next time: the file is not
/// written again, and nobody was told of what it lost.
#[test]
fn a_record_that_the_disk_did_not_keep_was_not_written_and_the_trail_goes_on_in_another_file() {
    apart(|| {
        let (mut people, ()) = People::arrive(|config| trail_of_its_own(config, "refuse", "64KiB"), |_| ());
        let (browser, _) = people.sign_in();
        // How those ended who were in before nobody waits for: it would be lost first.
        // Two more were ended by a second factor.
        eventually("that is kept", || people.records(&["--event", "session_end"]) == 2 + PROTOCOLS.len());
        let before = (admitted(&people), chains(&people).len());
        let biggest =
            chains(&people).into_iter().max_by_key(|path| fs::metadata(path).map_or(0, |file| file.len()));
        let biggest = biggest.expect("the gate's chain").display().to_string();
        let broken = Strace::attach(people.gate.pid(), &["fdatasync:error=EIO"], &[&biggest]);
        assert!(!logs_in(&people), "it was not kept");
        assert!(logs_in(&people), "it is kept in another file");
        drop(broken);
        assert!(logs_in(&people));
        assert_eq!(admitted(&people), before.0 + 2, "each that was told of, and no other");
        assert_eq!(chains(&people).len(), before.1 + 1);
        assert!(people.gate.log().contains("Input/output error"), "{}", people.gate.log());
        people.gate.cli(&["audit", "verify"]).success();

        // Nothing can be kept: nobody gets in, and nobody is told that he is wrong.
        let broken = Strace::attach(people.gate.pid(), &["fdatasync,fsync:error=EIO"], &[]);
        people.hear_unavailable(ADA, &people.known.password, Duration::from_secs(15));
        people.hear_unavailable("newcomer", MAILBOX_PASSWORD, Duration::from_secs(15));
        people.sessions_go_on();
        drop(broken);
        assert_eq!(admitted(&people), before.0 + 2);
        for mail in PROTOCOLS {
            let reply = log_in(&people.gate, mail, ADA, &people.known.password);
            assert!(mail.is_yes(&reply), "{reply}");
        }
        is_as_if_nothing_had_been(&mut people, &browser);
    });
}

/// Somebody takes the file away that is being written, or all of them: what is written to it is nowhere.
#[test]
fn records_are_not_written_to_a_file_that_was_taken_away() {
    apart(|| {
        let (mut people, ()) = People::arrive(|config| trail_of_its_own(config, "refuse", "64KiB"), |_| ());
        let (browser, _) = people.sign_in();
        let trail = people.gate.directory().join("trail");
        let (away, elsewhere) = (trail.with_extension("away"), trail.with_extension("elsewhere"));
        let told = || (0..6).filter(|_| logs_in(&people)).count();

        // As a program does that rotates logs.
        for file in chains(&people) {
            fs::create_dir_all(&away).expect("a folder");
            fs::rename(&file, away.join(file.file_name().expect("a name"))).expect("a file of the trail");
        }
        assert!(told() >= 5, "one attempt at most finds out");
        assert!(people.gate.log().contains("was taken away or replaced"), "{}", people.gate.log());
        for file in fs::read_dir(&away).expect("a folder") {
            let file = file.expect("a file").path();
            fs::rename(&file, trail.join(file.file_name().expect("a name"))).expect("a file of the trail");
        }
        people.gate.cli(&["audit", "verify"]).success();

        fs::rename(&trail, &elsewhere).expect("the trail");
        assert!(told() >= 5, "one attempt at most finds out");
        let files = chains(&people);
        assert_eq!(files.len(), 1, "it goes on where it belongs");
        let text = fs::read_to_string(&files[0]).expect("the trail");
        assert!(text.matches("\"admitted\"").count() >= 5, "{text}");
        let verified = people.gate.cli(&["audit", "verify"]);
        assert_ne!(verified.status, 0, "what is missing is missed: {verified:?}");
        for file in fs::read_dir(&elsewhere).expect("the trail") {
            let file = file.expect("a file").path();
            fs::rename(&file, trail.join(file.file_name().expect("a name"))).expect("a file of the trail");
        }
        is_as_if_nothing_had_been(&mut people, &browser);
    });
}
