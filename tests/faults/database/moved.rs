//! The SQLite file is taken away while it is used, or another is put in its place. The gate has the old one open still, and
//! what it wrote there would be lost: so it counts as a database that is away, and never as one that knows nobody.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use crate::readiness::reasons;
use crate::support::{Gate, GateConfig, PROTOCOLS, UpstreamTls, eventually, log_in, run};
use crate::watch::Watch;
use crate::world::{ADA, Browser, Form, MAILBOX_PASSWORD, People};

/// The longest that somebody waits to hear that he cannot be judged.
const PATIENCE: Duration = Duration::from_secs(13);

struct World {
    people: People,
    watch: Watch,
    browser: Browser,
    form: Form,
    labels: Vec<String>,
}

impl World {
    /// The database in a folder of its own.
    fn new() -> Self {
        let change = |config: GateConfig| {
            config.set(&["database", "url"], "sqlite:own/mailward.db").portal_at("127.0.0.1")
        };
        let (mut people, watch, ()) = People::arrive_watched(change, |_| ());
        let (browser, form) = people.sign_in();
        let labels = people.labels();
        Self { people, watch, browser, form, labels }
    }

    fn folder(&self) -> PathBuf {
        self.people.gate.directory().join("own")
    }

    /// While what the gate has open is not what stands there.
    fn nobody_is_judged_by_what_is_gone(&mut self, told: &str) {
        let Self { people, watch, browser, form, .. } = self;
        people.are_let_in_again();
        people.hear_unavailable(ADA, &people.never_used.password, PATIENCE);
        people.hear_unavailable(ADA, MAILBOX_PASSWORD, PATIENCE);
        people.hear_unavailable("newcomer", MAILBOX_PASSWORD, PATIENCE);
        people.sessions_go_on();
        browser.hears_unavailable(form);
        assert_eq!(browser.status("/app-passwords"), 503);
        assert_eq!(reasons(watch), ["the database cannot be read"]);
        assert!(
            people.gate.log().contains("was removed or replaced while it is in use"),
            "{}",
            people.gate.log()
        );
        let made = people.make_one();
        assert!(made.status != 0 && made.stderr.contains(told), "{made:?}");
        let found = people.gate.cli(&["doctor", "--json"]);
        assert_eq!(found.status, 1);
        assert!(found.stdout.contains(told), "{}", found.stdout);
        people.are_let_in_again();
    }

    fn is_as_if_nothing_had_been(&mut self) {
        let Self { people, watch, browser, form, labels } = self;
        eventually("it is ready", || reasons(watch).is_empty());
        assert_eq!(&people.labels(), labels, "all are there, and no half of another");
        people.newcomers_are_let_in("newcomer");
        people.are_let_in(&people.never_used.password);
        people.are_let_in_again();
        for mail in PROTOCOLS {
            let reply = log_in(&people.gate, mail, ADA, MAILBOX_PASSWORD);
            assert!(!mail.is_yes(&reply), "past her second factor: {reply}");
        }
        people.make_one().success();
        people.are_let_in(&browser.gets_one(form));
        people.gate.cli(&["audit", "verify"]).success();
    }
}

#[test]
fn while_the_file_is_elsewhere_nothing_is_written_to_it_and_when_it_is_back_all_is_as_before() {
    let mut world = World::new();
    let (folder, away) = (world.folder(), world.folder().with_extension("away"));
    fs::rename(&folder, &away).expect("the folder");
    world.nobody_is_judged_by_what_is_gone("is missing, and the key file");
    assert!(!folder.exists(), "no other is begun in its place");
    fs::rename(&away, &folder).expect("the folder");
    world.people.sessions_go_on();
    world.is_as_if_nothing_had_been();
}

#[test]
fn when_the_file_is_lost_a_backup_and_a_restart_bring_all_back() {
    let mut world = World::new();
    let (folder, backup) = (world.folder(), world.people.gate.directory().join("backup.db"));
    let database = folder.join("mailward.db");
    let copy = format!("VACUUM INTO '{}'", backup.display());
    run("sqlite3", &[&database.display().to_string(), &copy], "").success();
    fs::remove_dir_all(&folder).expect("the folder");
    world.nobody_is_judged_by_what_is_gone("is missing, and the key file");
    // Neither does a restart begin another: whoever bound a factor would have none.
    world.people.gate.stop();
    world.people.gate.start_with_sockets(&[]);
    assert_eq!(world.people.gate.ended(), Some(1));
    assert!(world.people.gate.log().contains("is missing, and the key file"), "{}", world.people.gate.log());
    fs::create_dir_all(&folder).expect("the folder");
    fs::copy(&backup, &database).expect("the backup");
    world.people.gate.start_again();
    world.people.come_in();
    // By the database that is back the form is as good as it was.
    world.is_as_if_nothing_had_been();
}

#[test]
fn a_file_that_is_put_in_its_place_is_not_believed() {
    let mut world = World::new();
    let fakes = world.people.fakes.iter().collect::<Vec<_>>();
    let other = Gate::prepare(GateConfig::in_front_of_fakes(&fakes, UpstreamTls::None));
    other.cli(&["account", "list"]).success();
    let empty = other.directory().join("data/mailward.db");
    let folder = world.folder();
    let kept = folder.with_extension("kept");
    fs::rename(&folder, &kept).expect("the folder");
    fs::create_dir_all(&folder).expect("another folder");
    fs::copy(empty, folder.join("mailward.db")).expect("another file");
    world.nobody_is_judged_by_what_is_gone("is not the one that the database was used with");
    for mail in PROTOCOLS {
        let reply = log_in(&world.people.gate, mail, ADA, MAILBOX_PASSWORD);
        assert!(!mail.is_yes(&reply), "past her second factor: {reply}");
    }
    fs::remove_dir_all(&folder).expect("the other folder");
    fs::rename(&kept, &folder).expect("the folder");
    world.is_as_if_nothing_had_been();
}
