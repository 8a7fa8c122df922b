//! The audit trail keeps what it was told, and tells when somebody changed it.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test says what is wrong by panicking, and talks"
)]

#[path = "../src/base/scratch.rs"]
mod scratch;

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use mailward::audit::event::{Credential, Login, Outcome};
use mailward::audit::{Audit, AuditError, Event, Note, Problem, Report, search, verify};
use mailward::base::{ClientAddress, Protocol, SessionId, SiteKey, SystemClock, Timestamp, random};
use mailward::config;
use mailward::store::{AuditQuery, Store};
use scratch::Scratch;
use sha2::{Digest, Sha256};

// ---- writing ----

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_records_at_once_are_all_durable_in_order_with_far_fewer_syncs() {
    let site = Site::new().await;
    let audit = site.open().await;
    let waiting: Vec<_> = (0..1_000)
        .map(|n| {
            let audit = audit.clone();
            tokio::spawn(async move { audit.append(login(&format!("user{n}@example.org"))).await })
        })
        .collect();
    for one in waiting {
        one.await.unwrap().unwrap();
    }
    let figures = audit.figures();
    assert_eq!((figures.records, figures.failures), (1_000, 0));
    assert!(figures.syncs < 300, "{figures:?}");

    let lines = read_lines(&site.only_file());
    assert_eq!(lines.len(), 1_001, "with the chain's first record; nothing waited for the end");
    let mut names = HashMap::new();
    for (line, sequence) in lines.iter().zip(1..) {
        let record: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(record["seq"], sequence);
        *names.entry(record["account"].to_string()).or_insert(0) += 1;
    }
    assert_eq!(names.len(), 1_001, "each once");
    audit.close().await;
    assert_eq!(site.verify().await.sound().chains[0].records, 1_002);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_at_leisure_goes_with_the_next_group_or_alone_within_a_moment() {
    let site = Site::new().await;
    let audit = site.open().await;
    // Alone.
    let began = Instant::now();
    audit.append_at_leisure(login("ada@example.org")).unwrap();
    while audit.figures().records < 1 {
        assert!(began.elapsed() < Duration::from_secs(10), "nobody came for it");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert!(began.elapsed() >= Duration::from_millis(90), "it waited for company");
    // With company: a hundred need no sync of their own.
    let before = audit.figures().syncs;
    for n in 0..100 {
        audit.append_at_leisure(login(&format!("user{n}@example.org"))).unwrap();
    }
    audit.append(login("bob@example.org")).await.unwrap();
    let figures = audit.figures();
    assert_eq!(figures.records, 102);
    assert!(figures.syncs <= before + 3, "{figures:?}");
    // What nobody came for yet when the trail ends is in it.
    audit.append_at_leisure(login("carol@example.org")).unwrap();
    audit.close().await;
    assert!(std::fs::read_to_string(site.only_file()).unwrap().contains("carol@example.org"));
    assert!(matches!(audit.append_at_leisure(Event::Stopped), Err(AuditError::Closed)));
    assert_eq!(site.verify().await.sound().chains[0].notes, []);
}

#[tokio::test]
async fn the_trail_is_nobody_elses_and_holds_no_control_characters() {
    let site = Site::new().await;
    let audit = site.open().await;
    let Event::Login(login) = login("ada@example.org") else { unreachable!() };
    audit
        .append(Event::Login(Login { program: Some("evil\r\n\u{1b}[2J\0 客户端".to_owned()), ..login }))
        .await
        .unwrap();
    let file = site.only_file();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&file), mode(&site.settings.directory)), (0o600, 0o700));
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(text.chars().all(|c| c == '\n' || !c.is_control()), "{text}");
    assert_eq!(text.lines().count(), 2);
    assert_eq!(site.search(AuditQuery::default()).await, ["chain_started", "login"], "and it is searched");
    audit.close().await;
}

#[tokio::test]
async fn what_root_records_belongs_to_whom_the_data_belongs() {
    let site = Site::new().await;
    if chown(site.directory.path(), Some(65534), Some(65534)).is_err() {
        return; // only root can make things that are not its own
    }
    site.open().await.close().await;
    for made in [site.only_file(), site.settings.directory.clone()] {
        assert_eq!(std::fs::metadata(&made).unwrap().uid(), 65534, "{made:?}");
    }
}

#[tokio::test]
async fn a_closed_trail_takes_nothing_more() {
    let site = Site::new().await;
    let audit = site.open().await;
    let other = audit.clone();
    audit.close().await;
    assert!(matches!(other.append(Event::Stopped).await, Err(AuditError::Closed)));
    other.close().await;
    assert_eq!(site.verify().await.sound().chains[0].notes, []);
}

#[tokio::test]
async fn a_directory_that_cannot_be_made_is_an_error_that_names_it() {
    let site = Site::new().await;
    std::fs::write(&site.settings.directory, "in the way").unwrap();
    let error = Audit::open(&site.settings, site.store.clone(), key(), clock()).await.err().unwrap();
    assert!(error.to_string().contains(site.settings.directory.to_str().unwrap()), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_does_not_answer_holds_up_no_record() {
    let site = Site::new().await;
    let audit = site.open().await;
    let Store::Sqlite(pool, _) = &site.store else { unreachable!() };
    let lock = pool.begin_with("BEGIN IMMEDIATE").await.unwrap();
    let begun = Instant::now();
    for _ in 0..20 {
        audit.append(Event::Stopped).await.unwrap();
    }
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    drop(lock);
    let deadline = Instant::now() + Duration::from_secs(20);
    while site.head().await != 21 {
        assert!(Instant::now() < deadline, "the head follows by itself");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    site.store.close().await;
    audit.append(Event::Stopped).await.unwrap();
    audit.close().await; // in vain, but in finite time
    let site = site.reopened().await;
    let report = site.verify().await.sound();
    assert_eq!(report.chains[0].notes, [Note::Unanchored { from: 22, to: 23 }]);
}

#[tokio::test]
async fn heads_are_written_for_many_records_together() {
    let site = Site::new().await;
    let begun = Instant::now();
    let audit = site.open().await;
    // However slow the machine is: a head is seen after it was written, and may be missed, never counted twice.
    let (mut heads, mut last) = (0, 0);
    while heads < 4 {
        audit.append(Event::Stopped).await.unwrap();
        tokio::time::sleep(Duration::from_millis(5)).await;
        let head = site.head().await;
        heads += i32::from(std::mem::replace(&mut last, head) != head);
        assert!(begun.elapsed() < Duration::from_secs(60), "{heads} heads in a minute");
    }
    let least = 3 * Duration::from_millis(200);
    assert!(begun.elapsed() >= least, "4 heads in {:?}", begun.elapsed());
    audit.close().await;
}

#[tokio::test]
async fn an_index_that_was_half_taken_away_is_made_whole() {
    let site = Site::with_ten_records().await;
    assert_eq!(site.search(AuditQuery::default()).await.len(), 12);
    let Store::Sqlite(pool, _) = &site.store else { unreachable!("{:?}", site.settings) };
    // As it stands between two transactions of whoever takes it away.
    let void = "UPDATE audit_marks SET position = 0, tail = x'ff'";
    sqlx::query(void).execute(pool).await.unwrap();
    for _ in 0..2 {
        assert_eq!(site.search(AuditQuery::default()).await.len(), 12, "each once");
    }
    let marks = site.store.audit_marks().await.unwrap();
    assert_eq!(marks[0].position as u64, std::fs::metadata(site.only_file()).unwrap().len());
}

// ---- tampering ----

#[tokio::test]
async fn an_untouched_trail_is_sound() {
    let site = Site::with_ten_records().await;
    let report = site.verify().await.sound();
    let chain = &report.chains[0];
    assert_eq!((chain.records, chain.head, chain.live), (12, Some(12), false));
    assert_eq!(chain.notes, []);
}

#[tokio::test]
async fn a_changed_byte_is_found_wherever_it_is() {
    let site = Site::with_ten_records().await;
    let original = std::fs::read(site.only_file()).unwrap();
    let lines: Vec<usize> = (0..original.len()).filter(|at| original[*at] == b'\n').collect();
    // One in each part of a line, in the first, a middle and the last one.
    for at in [0, 10, lines[0] - 1, lines[0] - 40, lines[4] + 2, lines[4] + 60, lines[5] - 3, lines[11] - 30]
    {
        let mut changed = original.clone();
        changed[at] = if changed[at] == b'7' { b'8' } else { b'7' };
        std::fs::write(site.only_file(), &changed).unwrap();
        let line = 1 + lines.iter().filter(|end| **end < at).count() as u64;
        let problems = site.problems().await;
        assert!(problems.contains(&Problem::Changed { line }), "byte {at}: {problems:?}");
    }
    for at in &lines[..11] {
        let mut joined = original.clone();
        joined[*at] = b' ';
        std::fs::write(site.only_file(), &joined).unwrap();
        assert!(!site.problems().await.is_empty(), "a line end at {at}");
    }
}

#[tokio::test]
async fn a_record_that_was_rewritten_with_a_fitting_hash_breaks_the_link_to_the_next() {
    let site = Site::with_ten_records().await;
    let problems = site.tamper(|lines| lines[4] = rehashed(&lines[4].replace("user3@", "user9@"))).await;
    assert_eq!(problems, [Problem::BrokenLink { sequence: 6 }]);
}

#[tokio::test]
async fn missing_records_are_named() {
    let site = Site::with_ten_records().await;
    let problems = site.tamper(|lines| drop(lines.remove(4))).await;
    assert_eq!(problems, [Problem::Missing { from: 5, to: 5 }]);
    let problems = site.tamper(|lines| drop(lines.drain(0..3))).await;
    assert_eq!(problems, [Problem::Missing { from: 1, to: 3 }]);
}

#[tokio::test]
async fn inserted_records_are_named() {
    let site = Site::with_ten_records().await;
    let again = |lines: &mut Vec<String>| lines.insert(8, lines[3].clone());
    assert_eq!(site.tamper(again).await, [Problem::Inserted { sequence: 4, line: 9 }]);
    // One that fits before what follows.
    let forged = |lines: &mut Vec<String>| lines.insert(5, rehashed(&lines[5].replace("user4@", "user9@")));
    let problems = site.tamper(forged).await;
    assert_eq!(problems, [Problem::Inserted { sequence: 6, line: 7 }, Problem::BrokenLink { sequence: 7 }]);
    let after_the_end = |lines: &mut Vec<String>| lines.push(follower_of(&lines[11]));
    assert_eq!(site.tamper(after_the_end).await, [Problem::AfterEnd { line: 13 }]);
}

#[tokio::test]
async fn reordered_records_are_named() {
    let site = Site::with_ten_records().await;
    let problems = site.tamper(|lines| lines.swap(4, 5)).await;
    assert_eq!(problems, [Problem::Reordered { sequence: 5, line: 6 }]);
    let problems = site.tamper(|lines| lines[2..6].rotate_left(1)).await;
    assert_eq!(problems, [Problem::Reordered { sequence: 3, line: 6 }]);
    let problems = site.tamper(|lines| lines[2..6].reverse()).await;
    let late = |sequence, line| Problem::Reordered { sequence, line };
    assert_eq!(problems, [late(5, 4), late(4, 5), late(3, 6)]);
}

#[tokio::test]
async fn a_tail_that_was_cut_off_is_found() {
    let site = Site::with_ten_records().await;
    assert_eq!(site.tamper(|lines| lines.truncate(9)).await, [Problem::CutOff { last: 9, head: 12 }]);
    assert_eq!(site.tamper(Vec::clear).await, [Problem::CutOff { last: 0, head: 12 }]);
    // In the middle of the last line, as if the power had failed.
    let whole = std::fs::read(site.only_file()).unwrap();
    std::fs::write(site.only_file(), &whole[..whole.len() - 9]).unwrap();
    assert_eq!(site.problems().await, [Problem::CutOff { last: 11, head: 12 }]);
}

#[tokio::test]
async fn a_tail_that_was_made_anew_with_fitting_hashes_does_not_fit_its_head() {
    let site = Site::with_ten_records().await;
    let problems = site
        .tamper(|lines| {
            lines[6] = lines[6].replace("refused", "admitted");
            relink(lines, 6);
        })
        .await;
    assert_eq!(problems, [Problem::Recomputed { sequence: 12 }]);
    let shorter_by_one = |lines: &mut Vec<String>| {
        lines.remove(6);
        relink(lines, 6);
    };
    assert_eq!(site.tamper(shorter_by_one).await, [Problem::CutOff { last: 11, head: 12 }]);
}

#[tokio::test]
async fn a_file_that_was_removed_or_renamed_is_missed() {
    let site = Site::with_ten_records().await;
    let file = site.only_file();
    let stranger = file.with_file_name("20200101T000000Z-00000000.jsonl");
    std::fs::rename(&file, &stranger).unwrap();
    let report = site.verify().await;
    assert!(!report.is_sound());
    assert_eq!(report.chains[0].problems, [Problem::BrokenLink { sequence: 1 }], "another chain's name");
    assert_eq!(report.chains[1].problems, [Problem::FileMissing { head: 12 }]);
    std::fs::remove_file(&stranger).unwrap();
    assert_eq!(site.problems().await, [Problem::FileMissing { head: 12 }]);
}

#[tokio::test]
async fn a_head_that_was_changed_in_the_database_is_found() {
    let site = Site::with_ten_records().await;
    let Store::Sqlite(pool, _) = &site.store else { unreachable!() };
    let problems = site.tamper(|lines| lines.truncate(9)).await;
    assert_eq!(problems, [Problem::CutOff { last: 9, head: 12 }]);
    sqlx::query("UPDATE audit_heads SET sequence = 9").execute(pool).await.unwrap();
    assert_eq!(site.problems().await, [Problem::ForgedHead]);
    // Another site's key makes another MAC.
    let other = SiteKey::from_bytes([8; 32]);
    let report = verify(&site.settings.directory, &site.store, &other).await.unwrap();
    assert_eq!(report.chains[0].problems, [Problem::ForgedHead]);
}

#[tokio::test]
async fn a_file_put_back_with_the_head_of_its_time_shows_as_a_chain_that_was_not_closed() {
    let site = Site::new().await;
    let audit = site.open().await;
    audit.append(login("early@example.org")).await.unwrap();
    while site.head().await != 2 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let early = (read_lines(&site.only_file()), site.store.audit_heads().await.unwrap().remove(0));
    audit.append(login("late@example.org")).await.unwrap();
    audit.close().await;
    drop(audit);
    assert_eq!(site.verify().await.sound().chains[0].notes, []);

    let Store::Sqlite(pool, _) = &site.store else { unreachable!() };
    sqlx::query("DELETE FROM audit_heads").execute(pool).await.unwrap();
    site.store.put_audit_head(&early.1).await.unwrap();
    write_lines(&site.only_file(), &early.0);
    assert_eq!(site.verify().await.sound().chains[0].notes, [Note::NotEnded]);
}

#[tokio::test]
async fn a_file_that_cannot_be_read_hides_nothing_about_the_others() {
    let site = Site::with_ten_records().await;
    let file = site.only_file();
    write_lines(&file, &read_lines(&file)[..9]);
    std::fs::create_dir(file.with_file_name("20200101T000000Z-00000000.jsonl")).unwrap();
    let problems = site.problems().await;
    assert!(matches!(&problems[0], Problem::Unreadable { reason } if reason.contains("directory")));
    assert_eq!(problems[1..], [Problem::CutOff { last: 9, head: 12 }]);
}

// ---- several processes, and those that die ----

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chain_that_waits_for_its_head_does_not_look_as_if_its_process_had_been_killed() {
    let site = Site::new().await;
    let audit = site.open().await;
    let Store::Sqlite(pool, _) = &site.store else { unreachable!() };
    let lock = pool.begin_with("BEGIN IMMEDIATE").await.unwrap();
    audit.append(Event::Stopped).await.unwrap();
    let closing = tokio::spawn(async move { audit.close().await });
    while read_lines(&site.only_file()).len() < 3 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    tokio::time::sleep(Duration::from_millis(100)).await;
    let chain = site.verify().await.sound().chains.remove(0);
    assert!(chain.live && chain.notes.is_empty(), "{chain:?}");
    drop(lock);
    closing.await.unwrap();
    let chain = site.verify().await.sound().chains.remove(0);
    assert_eq!((chain.live, chain.head, chain.notes), (false, Some(3), vec![]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_writers_at_once_are_no_fault_while_they_write() {
    let site = Site::new().await;
    let mut child = WriterProcess::start(&site, "endless");
    child.wait_for("20");
    let audits = [site.open().await, site.open().await];
    let writing: Vec<_> = audits
        .iter()
        .cloned()
        .map(|audit| {
            tokio::spawn(async move {
                for n in 0..400 {
                    audit.append(login(&format!("user{n}@example.org"))).await.unwrap();
                    if n % 10 == 0 {
                        tokio::time::sleep(Duration::from_millis(10)).await;
                    }
                }
            })
        })
        .collect();
    let mut checks = 0;
    while !writing.iter().all(tokio::task::JoinHandle::is_finished) {
        let report = site.verify().await.sound();
        assert!(report.chains.iter().all(|chain| chain.live && chain.notes.is_empty()), "{report:?}");
        assert_eq!(report.chains.len(), 3);
        checks += 1;
    }
    assert!(checks > 2);
    child.kill();
    for audit in &audits {
        audit.close().await;
    }
    assert!(site.verify().await.sound().chains.iter().all(|chain| !chain.live));
}

#[tokio::test]
async fn what_a_killed_process_recorded_is_kept_found_and_told_from_tampering() {
    let site = Site::new().await;
    let mut child = WriterProcess::start(&site, "endless");
    child.wait_for("50");
    // It is written behind the records.
    while site.store.audit_heads().await.unwrap().is_empty() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let told = child.kill();
    assert!(told >= 50);
    let file = site.only_file();
    // The process might have been killed within a line, too.
    std::fs::OpenOptions::new().append(true).open(&file).unwrap().write_all(b"{\"seq\":99,\"at").unwrap();

    let report = site.verify().await.sound();
    let chain = &report.chains[0];
    assert!(chain.records > told, "no record that somebody was told of is lost");
    assert!(chain.notes.contains(&Note::HalfLine { bytes: 13 }), "{chain:?}");

    let audit = site.open().await;
    audit.append(Event::Stopped).await.unwrap();
    audit.close().await;
    let found = site.store.search_audit(&AuditQuery::default()).await.unwrap();
    assert_eq!(found.len() as u64, chain.records + 3, "the next process indexes what was left behind");
    assert_eq!(site.verify().await.sound().chains.len(), 2, "in a chain of its own");

    // The records that the head vouches for are safe in an unfinished chain, too.
    let head = chain.head.unwrap() as usize;
    let lines = read_lines(&file);
    write_lines(&file, &lines[..head - 1]);
    assert_eq!(site.problems().await, [Problem::CutOff { last: head as i64 - 1, head: head as i64 }]);
}

#[tokio::test]
async fn a_full_disk_refuses_records_and_takes_them_again_when_there_is_room() {
    let site = Site::new().await;
    let mut child = WriterProcess::start(&site, "full-disk");
    child.wait_for("done");
    child.process.wait().unwrap();
    let report = site.verify().await.sound();
    assert_eq!(report.chains.len(), 1, "in the same chain");
    assert_eq!(report.chains[0].notes, []);
    let recorded: Vec<_> = read_lines(&site.only_file());
    let recorded: Vec<_> =
        recorded.iter().filter(|line| line.contains("@")).map(|line| field(line, "account")).collect();
    let confirmed: Vec<_> = child.lines.iter().filter(|line| line.contains("@")).collect();
    assert_eq!(recorded, confirmed);
}

// ---- searching ----

#[tokio::test]
async fn a_search_finds_what_was_recorded_a_moment_ago_by_any_process() {
    let site = Site::new().await;
    let (here, elsewhere) = (site.open().await, site.open().await);
    let ada = AuditQuery { account: Some("ada@example.org".to_owned()), ..AuditQuery::default() };
    for n in 1..=20 {
        let writer = if n % 2 == 0 { &here } else { &elsewhere };
        writer.append(login("ada@example.org")).await.unwrap();
        assert_eq!(site.search(ada.clone()).await.len(), n);
    }
    let refused = AuditQuery { outcome: Some("refused".to_owned()), ..ada.clone() };
    assert_eq!(site.search(refused).await.len(), 20);
    let elsewhere_on_the_net = AuditQuery { ip: Some("192.0.2.8".to_owned()), ..ada };
    assert_eq!(site.search(elsewhere_on_the_net).await.len(), 0);
    here.close().await;
    elsewhere.close().await;
}

#[tokio::test]
async fn the_index_is_made_again_from_the_files_alone() {
    let site = Site::with_ten_records().await;
    let before = site.store.search_audit(&AuditQuery::default()).await.unwrap();
    assert_eq!(before.len(), 12);
    let empty = Scratch::new();
    let database = config::Database::Sqlite(empty.path().join("new.db"));
    let store = Store::open(&database).await.unwrap();
    let after = search(&site.settings.directory, &store, &AuditQuery::default()).await.unwrap();
    assert_eq!(after, before);
    let nowhere = search(&empty.path().join("none"), &store, &AuditQuery::default()).await.unwrap();
    assert_eq!(nowhere, before, "no directory, nothing to catch up with");
}

#[tokio::test]
async fn records_that_were_taken_back_leave_the_index_too() {
    let site = Site::new().await;
    let audit = site.open().await;
    audit.append(login("ada@example.org")).await.unwrap();
    let file = site.only_file();
    // What a failed group may look like to a search for a moment: written, not synced, then taken back.
    let lines = read_lines(&file);
    let mut unconfirmed = lines.clone();
    unconfirmed.push(follower_of(&lines[1]));
    write_lines(&file, &unconfirmed);
    assert_eq!(site.search(AuditQuery::default()).await.len(), 3);
    write_lines(&file, &lines);
    assert_eq!(site.search(AuditQuery::default()).await, ["chain_started", "login"]);
    // The same, but others are written in its place before anybody looks.
    write_lines(&file, &unconfirmed);
    assert_eq!(site.search(AuditQuery::default()).await.len(), 3);
    write_lines(&file, &lines);
    audit.append(Event::Stopped).await.unwrap();
    audit.append(login("ada@example.org")).await.unwrap();
    assert_eq!(site.search(AuditQuery::default()).await, ["chain_started", "login", "stopped", "login"]);
    audit.close().await;
}

// ---- a site, and another process ----

struct Site {
    directory: Scratch,
    settings: config::Audit,
    store: Store,
}

impl Site {
    async fn new() -> Self {
        let directory = Scratch::new();
        let (settings, store) = at_site(directory.path()).await;
        Self { directory, settings, store }
    }

    async fn reopened(self) -> Self {
        let (settings, store) = at_site(self.directory.path()).await;
        Self { settings, store, ..self }
    }

    /// With the chain's first and last record there are twelve.
    async fn with_ten_records() -> Self {
        let site = Self::new().await;
        let audit = site.open().await;
        for n in 0..10 {
            audit.append(login(&format!("user{n}@example.org"))).await.unwrap();
        }
        audit.close().await;
        site
    }

    async fn open(&self) -> Audit {
        Audit::open(&self.settings, self.store.clone(), key(), clock()).await.unwrap()
    }

    async fn verify(&self) -> Report {
        verify(&self.settings.directory, &self.store, &key()).await.unwrap()
    }

    /// Of all chains together.
    async fn problems(&self) -> Vec<Problem> {
        self.verify().await.chains.into_iter().flat_map(|chain| chain.problems).collect()
    }

    /// What is found after `change`, which is undone again.
    async fn tamper(&self, change: impl FnOnce(&mut Vec<String>)) -> Vec<Problem> {
        let file = self.only_file();
        let original = read_lines(&file);
        let mut changed = original.clone();
        change(&mut changed);
        write_lines(&file, &changed);
        let problems = self.problems().await;
        write_lines(&file, &original);
        problems
    }

    /// The events found, newest last.
    async fn search(&self, query: AuditQuery) -> Vec<String> {
        let found = search(&self.settings.directory, &self.store, &query).await.unwrap();
        found.into_iter().map(|row| row.event).collect()
    }

    async fn head(&self) -> i64 {
        self.store.audit_heads().await.unwrap().first().map_or(0, |head| head.sequence)
    }

    fn only_file(&self) -> PathBuf {
        let files: Vec<_> = std::fs::read_dir(&self.settings.directory).unwrap().collect();
        assert_eq!(files.len(), 1);
        files[0].as_ref().unwrap().path()
    }
}

trait Sound {
    fn sound(self) -> Self;
}

impl Sound for Report {
    fn sound(self) -> Self {
        assert!(self.is_sound(), "{self:?}");
        self
    }
}

async fn at_site(directory: &Path) -> (config::Audit, Store) {
    let settings = config::Audit {
        directory: directory.join("audit"),
        when_full: config::WhenFull::Refuse,
        retention: None,
        reserve: 0,
    };
    let database = config::Database::Sqlite(directory.join("mailward.db"));
    (settings, Store::open(&database).await.unwrap())
}

fn key() -> Arc<SiteKey> {
    Arc::new(SiteKey::from_bytes([7; 32]))
}

fn clock() -> Arc<SystemClock> {
    Arc::new(SystemClock::start())
}

fn login(account: &str) -> Event {
    Event::Login(Login {
        session: SessionId(random::uuid(Timestamp::from_unix_seconds(1_767_225_600))),
        protocol: Protocol::Imap,
        ip: ClientAddress::new("192.0.2.7".parse().unwrap()),
        account: account.to_owned(),
        mechanism: "PLAIN".to_owned(),
        program: None,
        credential: Credential::Unproven,
        app_password: None,
        label: None,
        upstream: None,
        outcome: Outcome::Refused,
        ground: None,
        reason: "wrong password".to_owned(),
    })
}

fn read_lines(file: &Path) -> Vec<String> {
    std::fs::read_to_string(file).unwrap().lines().map(str::to_owned).collect()
}

/// In place: a live writer keeps its handle, and what it holds is the same file.
fn write_lines(file: &Path, lines: &[String]) {
    let text: String = lines.iter().flat_map(|line| [line, "\n"]).collect();
    std::fs::write(file, text).unwrap();
}

/// The line with the hash that its content has, as whoever forges one would write it.
fn rehashed(line: &str) -> String {
    let (body, _) = line.rsplit_once(",\"hash\":").unwrap();
    let hash: String = Sha256::digest(body).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{body},\"hash\":\"{hash}\"}}")
}

fn field<'a>(line: &'a str, key: &str) -> &'a str {
    let (_, value) = line.rsplit_once(&format!("\"{key}\":")).unwrap();
    value.split([',', '}']).next().unwrap().trim_matches('"')
}

/// A copy of `line` as the record behind it.
fn follower_of(line: &str) -> String {
    let sequence: i64 = field(line, "seq").parse().unwrap();
    let next = line
        .replace(&format!("\"seq\":{sequence}"), &format!("\"seq\":{}", sequence + 1))
        .replace(field(line, "prev"), field(line, "hash"));
    rehashed(&next)
}

/// Numbers, links and hashes the lines from `first` on anew.
fn relink(lines: &mut [String], first: usize) {
    for n in first..lines.len() {
        let prev = field(&lines[n - 1], "hash").to_owned();
        let line = &lines[n];
        let linked = line
            .replace(&format!("\"seq\":{}", field(line, "seq")), &format!("\"seq\":{}", n + 1))
            .replace(field(line, "prev"), &prev);
        lines[n] = rehashed(&linked);
    }
}

/// This test program once more, as another process that writes: it prints a line for each record it was told
/// is durable.
struct WriterProcess {
    process: Child,
    output: BufReader<std::process::ChildStdout>,
    /// All that it said so far.
    lines: Vec<String>,
}

const TASK: &str = "MAILWARD_TEST_WRITER";

impl WriterProcess {
    fn start(site: &Site, task: &str) -> Self {
        // The shell only makes the file-size limit an error instead of a signal.
        let mut process = Command::new("sh")
            .args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\""])
            .arg(std::env::current_exe().unwrap())
            .args(["--exact", "another_process", "--ignored", "--nocapture", "--test-threads=1"])
            .env(TASK, format!("{task} {}", site.directory.path().display()))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(process.stdout.take().unwrap());
        Self { process, output, lines: Vec::new() }
    }

    /// Reads until a line says `wanted`.
    fn wait_for(&mut self, wanted: &str) {
        while self.lines.last().is_none_or(|line| line != wanted) {
            let mut line = String::new();
            assert_ne!(self.output.read_line(&mut line).unwrap(), 0, "it ended before it said {wanted}");
            self.lines.push(line.trim_end().to_owned());
        }
    }

    /// `kill -9`; returns how many records it said were durable.
    fn kill(&mut self) -> u64 {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
        self.lines.extend((&mut self.output).lines().map_while(Result::ok));
        self.lines.iter().rev().find_map(|line| line.parse().ok()).unwrap_or(0)
    }
}

#[test]
#[ignore = "not a test: what `WriterProcess` runs"]
fn another_process() {
    let Ok(told) = std::env::var(TASK) else { return };
    println!(); // the test harness has begun a line
    let (task, directory) = told.split_once(' ').unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let (settings, store) = at_site(Path::new(directory)).await;
        let audit = Audit::open(&settings, store.clone(), key(), clock()).await.unwrap();
        match task {
            "endless" => {
                for n in 1u64.. {
                    audit.append(login("other@example.org")).await.unwrap();
                    println!("{n}");
                }
            }
            _ => fill_the_disk(&audit).await,
        }
        audit.close().await;
        store.close().await;
        println!("done");
    });
}

/// The limit on the size of files stands for a full disk: a write gets as far as it can, then fails.
async fn fill_the_disk(audit: &Audit) {
    limit_file_size("20000:unlimited");
    let (mut refused, mut admitted_again) = (0, 0);
    for n in 0.. {
        let account = format!("user{n}@example.org");
        match audit.append(login(&account)).await {
            Ok(()) => {
                println!("{account}");
                admitted_again += u32::from(refused > 0);
            }
            Err(AuditError::Write { .. }) => refused += 1,
            Err(AuditError::Closed) => panic!("closed"),
        }
        if refused == 3 && admitted_again == 0 {
            limit_file_size("unlimited:unlimited");
        }
        if admitted_again == 5 {
            return;
        }
    }
}

fn limit_file_size(limit: &str) {
    let pid = std::process::id().to_string();
    let done = Command::new("prlimit").args(["--pid", &pid, &format!("--fsize={limit}")]).status().unwrap();
    assert!(done.success());
}
