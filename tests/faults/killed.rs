//! `kill -9` in the middle of something: what somebody was told is there, and nothing is there by half.

mod binding;

use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::gate::BINARY;
use crate::support::{GateConfig, Mail, log_in, run};
use crate::world::{
    ADA, MAILBOX_PASSWORD, People, apart, is_allowed, started_with, told_yes_before_it_is_killed,
};

/// How the making of an app password ended.
#[derive(Debug)]
struct Making {
    /// By itself, and it said that all is well.
    finished: bool,
    /// What was printed, as far as it is an app password.
    printed: Option<String>,
}

impl Making {
    fn of(finished: bool, stdout: &[u8]) -> Self {
        let printed = serde_json::from_slice::<Value>(stdout).ok();
        let printed = printed.map(|made| made["password"].as_str().expect("a password").to_owned());
        if printed.is_none() {
            assert!(!finished, "it finished and printed nothing");
            assert!(stdout.is_empty(), "half of something: {}", String::from_utf8_lossy(stdout));
        }
        Self { finished, printed }
    }
}

/// The system calls that write something. They are counted in each thread. The database is synced by `fsync`, the trail by
/// `fdatasync`.
const WRITES: [&str; 5] = ["pwrite64", "fsync", "fdatasync", "ftruncate,unlink,rename,mkdir", "write,writev"];

/// Makers of app passwords. Each has a few only, for each that is made seals the others anew.
fn maker(number: usize) -> String {
    format!("maker{}@example.test", number / 10)
}

fn command(people: &People, user: &str) -> Vec<String> {
    let config = people.gate.config_file().display().to_string();
    let words = ["--config", &config, "app-password", "create", user, "--name", "Phone"];
    let words = words.into_iter().chain(["--mailbox-password-stdin", "--json"]);
    [BINARY].into_iter().chain(words).map(str::to_owned).collect()
}

/// Whatever was printed works; whatever is there is whole; and the trail is sound.
fn check(people: &People, printed: &[(String, String)]) {
    for (user, password) in printed {
        let reply = log_in(&people.gate, Mail::Imap, user, password);
        assert!(Mail::Imap.is_yes(&reply), "what was printed for {user} does not work: {reply}");
    }
    let accounts = people.gate.cli(&["account", "list", "--json"]).json();
    let accounts = accounts.as_array().expect("accounts").iter();
    for user in accounts.filter_map(|account| account["address"].as_str()) {
        // It reads and rewrites each row, and says which it cannot.
        let reseal = ["app-password", "reseal", user, "--mailbox-password-stdin"];
        let resealed = people.gate.cli_with_input(&reseal, &format!("{MAILBOX_PASSWORD}\n"));
        assert_eq!(resealed.status, 0, "a row is not whole: {resealed:?}");
    }
    are_sound(people);
    // What was shown was on record before.
    let found = people.gate.cli(&["audit", "search", "--event", "app_password_created", "--json"]).json();
    for (user, password) in printed {
        let (label, account) = (&password[..4], user.as_str());
        let recorded = found.as_array().expect("records").iter();
        let mut recorded = recorded.filter(|record| record["account"] == account && record["label"] == label);
        assert!(recorded.next().is_some(), "`{label}` of {user} was shown, and is not on record: {found}");
    }
}

/// Neither the trail nor the database has anything in it by half.
fn are_sound(people: &People) {
    people.gate.cli(&["audit", "verify"]).success();
    let database = people.gate.directory().join("data/mailward.db");
    let checked = run("sqlite3", &[database.as_os_str(), "PRAGMA integrity_check".as_ref()], "");
    assert_eq!(checked.success().trim(), "ok");
}

fn arrive() -> People {
    People::arrive(|config| config.set(&["policy", "app_passwords_per_account"], 1000), |_| ()).0
}

/// At each of the system calls that write something, one after the other.
#[test]
fn an_app_password_that_is_killed_at_any_write_is_whole_or_absent_and_shown_only_if_whole() {
    is_allowed();
    let people = arrive();
    let (mut printed, mut killed) = (Vec::new(), 0);
    for calls in WRITES {
        for number in 1.. {
            let user = maker(killed);
            let injection = format!("{calls}:signal=KILL:when={number}");
            let arguments = [started_with(&injection), command(&people, &user)].concat();
            let made = run("strace", &arguments, &format!("{MAILBOX_PASSWORD}\n"));
            let making = Making::of(made.status == 0, made.stdout.as_bytes());
            printed.extend(making.printed.map(|password| (user, password)));
            if making.finished {
                break;
            }
            killed += 1;
            assert!(number < 200, "`{calls}`: it never comes to its end: {made:?}");
        }
    }
    assert!(killed > 40, "it was killed only {killed} times");
    check(&people, &printed);
}

/// At moments that are spread over all the time that it takes.
#[test]
fn an_app_password_that_is_killed_at_any_moment_is_whole_or_absent_and_shown_only_if_whole() {
    let people = arrive();
    let make = |user: &str, patience: Option<Duration>| {
        let words = command(&people, user);
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let begun = Instant::now();
        let mut child = command.spawn().expect("the command");
        let input = child.stdin.take().expect("a pipe");
        let _ = std::io::Write::write_all(&mut { input }, format!("{MAILBOX_PASSWORD}\n").as_bytes());
        if let Some(patience) = patience {
            thread::sleep(patience.saturating_sub(begun.elapsed()));
            let _ = child.kill();
        }
        let output = child.wait_with_output().expect("its end");
        (Making::of(output.status.success(), &output.stdout), begun.elapsed())
    };
    let (_, whole) = make(&maker(0), None);
    let mut printed = Vec::new();
    const ROUNDS: usize = 24;
    for round in 1..=ROUNDS {
        // The second half of the time is where things are written.
        let moment = whole.mul_f64(0.3 + 0.9 * (round as f64 / ROUNDS as f64));
        let user = maker(round);
        printed.extend(make(&user, Some(moment)).0.printed.map(|password| (user, password)));
    }
    check(&people, &printed);
}

/// The gate itself, while many forms are on their way to it.
#[test]
fn what_the_portal_showed_before_it_was_killed_is_there_and_nothing_is_there_by_half() {
    apart(|| {
        let change = |config: GateConfig| {
            config.set(&["policy", "app_passwords_per_account"], 1000).portal_at("127.0.0.1")
        };
        let (mut people, ()) = People::arrive(change, |_| ());
        let (browser, form) = people.sign_in();
        let begun = Instant::now();
        let mut shown = vec![(ADA.to_owned(), browser.gets_one(&form))];
        let mut patience = begun.elapsed();
        let before = people.labels().len();
        let (mut sent, mut unanswered, mut rounds) = (0, 0, 0);
        // A machine that pauses says little about how long it takes: more rounds, until some were and some were not in time.
        while rounds < 8 || (rounds < 32 && (unanswered < 4 || shown.len() < 5)) {
            rounds += 1;
            let forms = (0..4).map(|_| browser.form()).collect::<Vec<_>>();
            let got = thread::scope(|scope| {
                let browser = &browser;
                let send = |form| scope.spawn(move || browser.may_get_one(form));
                let clients = forms.iter().map(send).collect::<Vec<_>>();
                // Each that is being made waits for those before it.
                thread::sleep(patience);
                people.gate.signal("KILL");
                clients.into_iter().map(|client| client.join().expect("a browser")).collect::<Vec<_>>()
            });
            people.gate.kill();
            people.gate.start_again();
            sent += got.len();
            let late = got.iter().filter(|one| one.is_none()).count();
            patience = patience.mul_f64(if 2 * late < got.len() { 0.75 } else { 1.5 });
            unanswered += late;
            shown.extend(got.into_iter().flatten().map(|password| (ADA.to_owned(), password)));
        }
        assert!(unanswered > 3 && shown.len() > 4, "{unanswered} of {sent} were not answered");
        let labels = people.labels();
        assert!((before + shown.len() - 1..=before + sent).contains(&labels.len()), "{labels:?}");
        check(&people, &shown);
        // She is signed in as before, and what waited for an answer has to be sent anew.
        people.are_let_in(&browser.gets_one(&browser.form()));
        people.are_let_in_again();
        people.gate.cli(&["audit", "verify"]).success();
    });
}

#[test]
fn a_gate_that_is_killed_under_load_has_every_login_on_record_that_somebody_was_told_of() {
    apart(|| {
        let (mut people, ()) = People::arrive(|config| config, |_| ());
        for round in 0..3_u64 {
            let after = Duration::from_millis(500 + 137 * round);
            let told = told_yes_before_it_is_killed(&people.gate, &format!("round{round}-"), after);
            people.gate.kill();
            people.gate.cli(&["audit", "verify"]).success();
            people.gate.start_again();
            let search = [
                "audit",
                "search",
                "--event",
                "login",
                "--outcome",
                "admitted",
                "--limit",
                "100000",
                "--json",
            ];
            let found = people.gate.cli(&search).json();
            let recorded = found.as_array().expect("records").iter();
            let recorded = recorded.filter_map(|record| record["account"].as_str()).collect::<Vec<_>>();
            for user in &told {
                assert!(recorded.contains(&user.as_str()), "{user} was told yes, and it is not on record");
            }
        }
        people.gate.cli(&["audit", "verify"]).success();
        people.are_let_in_again();
    });
}
