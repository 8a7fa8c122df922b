//! Thunderbird, headless: one start for all tasks, since a start costs more than they do.
//!
//! Its installation stays as it is. A copy of its launcher in a directory of our own, with links to everything else,
//! is an installation of our own, whose configuration mechanism runs `tests/clients/thunderbird.js` with all rights.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::task::{BODY, HOST, Outcome, Task, messages_in, run_at_home};
use crate::support::in_repository;

const INSTALLED: &str = "/usr/lib/thunderbird";
const LAUNCHER: &str = "thunderbird-bin";

/// What its own profile sets: nothing leaves this machine, nothing is shown, nothing asks, and nobody but a task fetches.
const PREFERENCES: &str = r#"
user_pref("network.proxy.type", 1);
user_pref("network.proxy.http", "127.0.0.1");
user_pref("network.proxy.http_port", 9);
user_pref("network.proxy.ssl", "127.0.0.1");
user_pref("network.proxy.ssl_port", 9);
user_pref("network.captive-portal-service.enabled", false);
user_pref("network.connectivity-service.enabled", false);
user_pref("network.dns.localDomains", "mail.example.test");
user_pref("app.update.enabled", false);
user_pref("extensions.update.enabled", false);
user_pref("datareporting.policy.dataSubmissionEnabled", false);
user_pref("toolkit.telemetry.enabled", false);
user_pref("mailnews.start_page.enabled", false);
user_pref("mail.provider.suppress_dialog_on_startup", true);
user_pref("mail.shell.checkDefaultClient", false);
user_pref("mail.biff.show_alert", false);
user_pref("mail.biff.play_sound", false);
user_pref("mailnews.send_plaintext_flowed", false);
user_pref("mailnews.database.global.indexer.enabled", false);
user_pref("mail.server.default.autosync_offline_stores", false);
user_pref("mail.server.default.offline_download", false);
user_pref("mail.server.default.spamLevel", 0);
user_pref("browser.dom.window.dump.enabled", true);
"#;

/// Names the file that runs at the start; it has to be beside the launcher. (A first line is not read.)
const AUTOCONFIG: &str = r#"// Mailward's tests
pref("general.config.filename", "mailward.cfg");
pref("general.config.obscure_value", 0);
pref("general.config.sandbox_enabled", false);
"#;

pub(super) fn drive(tasks: &[Task]) -> Vec<Outcome> {
    let Some(first) = tasks.first() else { return Vec::new() };
    let described = tasks.iter().enumerate().map(|(number, task)| describe(number, task)).collect::<Vec<_>>();
    let (results, words) = run(&first.ca, &described);
    let of = |(number, task): (usize, &Task)| match results.iter().find(|result| result["task"] == number) {
        Some(result) if result["problem"].is_null() => Ok(messages_in(&task.directory.join("mail"))),
        Some(result) => Err(result.to_string()),
        None => Err(format!("no result; {words}")),
    };
    tasks.iter().enumerate().map(of).collect()
}

/// Starts it once for those tasks, where it trusts `ca`. What came of each, and what it said otherwise.
pub(super) fn run(ca: &Path, tasks: &[Value]) -> (Vec<Value>, String) {
    let home = TempDir::new().expect("a temporary directory");
    let launcher = install(home.path());
    let profile = home.path().join("profile");
    fs::create_dir(&profile).expect("a directory");
    fs::write(profile.join("user.js"), PREFERENCES).expect("the preferences");

    let plan = json!({ "ca": fs::read_to_string(ca).expect("the authority"), "tasks": tasks });
    let (plan_file, results) = (home.path().join("plan.json"), home.path().join("results"));
    fs::write(&plan_file, plan.to_string()).expect("the plan");
    let command = [
        "env".to_owned(),
        "MOZ_CRASHREPORTER_DISABLE=1".to_owned(),
        format!("MAILWARD_PLAN={}", plan_file.display()),
        format!("MAILWARD_RESULTS={}", results.display()),
        launcher,
        "--headless".to_owned(),
        "--no-remote".to_owned(),
        "--profile".to_owned(),
        profile.display().to_string(),
    ];
    let ended = run_at_home(home.path(), &command, "");

    // Gtk misses a screen, hundreds of times.
    let said = [ended.stdout.as_str(), &ended.stderr].map(str::lines).into_iter().flatten();
    let words = said.filter(|line| !line.contains("gtk_")).collect::<Vec<_>>().join("\n");
    let lines = fs::read_to_string(&results).unwrap_or_default();
    let results = lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    (results, format!("status {}\n{words}", ended.status))
}

fn describe(number: usize, task: &Task) -> Value {
    json!({
        "task": number,
        "protocol": task.door.mail.name(),
        "tls": task.door.tls(),
        "host": HOST,
        "port": task.port,
        "user": task.user,
        "password": task.password,
        "subject": task.letter.subject,
        "body": BODY.replace('\n', "\r\n"),
        "save": task.folder("mail"),
    })
}

/// Puts an installation of our own together; returns its launcher.
fn install(home: &Path) -> String {
    let (from, to) = (Path::new(INSTALLED), home.join("thunderbird"));
    fs::create_dir_all(to.join("defaults/pref")).expect("a directory");
    let entries = fs::read_dir(from).unwrap_or_else(|error| panic!("no Thunderbird in {INSTALLED}: {error}"));
    for entry in entries {
        let name = entry.expect("an entry").file_name();
        if name == LAUNCHER {
            // Copied, since it looks for the rest beside itself, whatever it was called by; and not by this process, whose
            // other threads start programs: as long as one of those holds the file open, nobody can run it.
            run_at_home(home, &["cp".into(), from.join(&name), to.join(&name)], "").success();
        } else if name != "defaults" {
            symlink(from.join(&name), to.join(&name)).expect("a link");
        }
    }
    for entry in fs::read_dir(from.join("defaults/pref")).expect("its preferences") {
        let name = entry.expect("an entry").file_name();
        symlink(from.join("defaults/pref").join(&name), to.join("defaults/pref").join(&name))
            .expect("a link");
    }
    symlink(from.join("defaults/messenger"), to.join("defaults/messenger")).expect("a link");
    fs::write(to.join("defaults/pref/mailward.js"), AUTOCONFIG).expect("a file");
    fs::copy(in_repository("tests/clients/thunderbird.js"), to.join("mailward.cfg")).expect("a copy");
    to.join(LAUNCHER).display().to_string()
}
