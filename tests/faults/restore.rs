//! The machine is lost: what `docs/admin/backup.md` says brings everything back.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use mailward::base::{Address, SiteKey, SystemClock};
use mailward::factor::Factors;
use mailward::{config, store};
use tempfile::TempDir;

use crate::support::gate::BINARY;
use crate::support::table::NOT_LET_IN;
use crate::support::{GateConfig, PROTOCOLS, code, eventually, in_repository, log_in, run};
use crate::world::{ADA, Cluster, MAILBOX_PASSWORD, People, apart, told_unavailable_or_in};

/// Number `index` of the page's blocks of commands.
fn block(index: usize) -> String {
    let page = fs::read_to_string(in_repository("docs/admin/backup.md")).expect("the page");
    let block = page.split("```sh\n").nth(index + 1).expect("a block");
    block.split("```").next().expect("its end").to_owned()
}

/// A machine: where on it everything is that the page speaks of.
struct Machine {
    people: People,
    /// Stands for `/var/lib/mailward` (in `lib`) and `/backup` (in `backup`).
    folders: TempDir,
}

impl Machine {
    fn new(database: Option<&str>) -> Self {
        let folders = TempDir::new().expect("a folder");
        let lib = folders.path().join("lib").display().to_string();
        let url = database.map_or_else(|| format!("sqlite://{lib}/mailward.db"), str::to_owned);
        let change = |config: GateConfig| {
            config
                .set(&["server", "data_dir"], lib.clone())
                .set(&["database", "url"], url)
                .set(&["audit", "directory"], format!("{lib}/audit"))
        };
        let people = People::arrive(change, |_| ()).0;
        Self { people, folders }
    }

    fn lib(&self) -> PathBuf {
        self.folders.path().join("lib")
    }

    /// Runs commands of the page, on this machine's folders.
    fn follow(&self, commands: &str, database: &str) -> String {
        let etc = self.people.gate.directory();
        let (parent, name) = (etc.parent().expect("a folder"), etc.file_name().expect("a name"));
        let home = format!("/backup/{} {}/", name.display(), parent.display());
        let commands = commands
            .replace("/backup/mailward /etc/", &home)
            .replace("/etc/mailward", &etc.display().to_string())
            .replace("/var/lib/mailward", &self.lib().display().to_string())
            .replace("/backup", &self.folders.path().join("backup").display().to_string());
        let programs = Path::new(BINARY).parent().expect("a folder").display().to_string();
        let config = self.people.gate.config_file().display().to_string();
        let script = format!(
            "set -eu\nPATH={programs}:$PATH\nDATABASE_URL='{database}'\nexport MAILWARD_CONFIG={config}\n{commands}"
        );
        run("sh", &["-c", &script], "").success()
    }

    /// Nothing is left of it.
    fn is_lost(&mut self) {
        self.people.gate.kill();
        fs::remove_dir_all(self.lib()).expect("the data");
        for name in ["mailward.toml", "cert.pem", "key.pem", "ca.pem"] {
            fs::remove_file(self.people.gate.directory().join(name)).expect("a file of the configuration");
        }
    }

    /// All is there again.
    fn is_back(&mut self, database: &config::Database, secret: &str, records: usize) {
        let key = self.lib().join("site.key");
        assert!(!is_right(database, &key, "000000"));
        assert!(is_right(database, &key, &code(secret, 0)), "the authenticator's code is right");
        let people = &mut self.people;
        people.gate.start_again();
        people.come_in();
        people.are_let_in(&people.never_used.password);
        for mail in PROTOCOLS {
            NOT_LET_IN.check(mail, &log_in(&people.gate, mail, ADA, MAILBOX_PASSWORD));
        }
        eventually("what was on record still is", || people.records(&["--event", "login"]) >= records + 6);
        people.make_one().success();
        people.gate.cli(&["audit", "verify"]).success();
    }
}

#[test]
fn what_was_backed_up_on_sqlite_while_it_ran_is_as_good_elsewhere() {
    let mut machine = Machine::new(None);
    let secret = machine.people.secret.clone();
    let records = machine.people.records(&["--event", "login"]);
    let backup = block(0);
    thread::scope(|scope| {
        // Somebody is logging in all the time.
        let begun = Instant::now();
        let gate = &machine.people.gate;
        scope.spawn(move || {
            let told = Mutex::default();
            told_unavailable_or_in(gate, "somebody", &told, || begun.elapsed() > Duration::from_secs(2));
        });
        thread::sleep(Duration::from_millis(500));
        machine.follow(&backup, "");
    });
    machine.is_lost();
    let verified = machine.follow(&block(1), "");
    assert!(!verified.is_empty());
    let database = config::Database::Sqlite(machine.lib().join("mailward.db"));
    machine.is_back(&database, &secret, records);
}

#[test]
fn what_was_backed_up_on_postgresql_while_it_ran_is_as_good_elsewhere() {
    apart(|| {
        let cluster = Cluster::start();
        let url = cluster.url().to_owned();
        let mut machine = Machine::new(Some(&url));
        let secret = machine.people.secret.clone();
        let records = machine.people.records(&["--event", "login"]);
        let without = |block: &str| {
            let lines = block.lines().filter(|line| !line.contains("VACUUM") && !line.starts_with("rm "));
            lines.collect::<Vec<_>>().join("\n").replace("/backup/mailward.db ", "")
        };
        let (first, rest) = block(0)
            .split_once("rm -f")
            .map(|(first, rest)| (first.to_owned(), rest.to_owned()))
            .expect("the place of the database");
        let rest = rest.split_once('\n').expect("more lines").1.to_owned();
        machine.follow(&[first, block(2), without(&rest)].join("\n"), &url);
        machine.is_lost();
        let admin = format!("{}/postgres", url.rsplit_once('/').expect("a URL").0);
        for sql in ["DROP DATABASE mailward WITH (FORCE)", "CREATE DATABASE mailward"] {
            run("psql", &[&admin, "-qc", sql], "").success();
        }
        machine.follow(&[block(3), without(&block(1))].join("\n"), &url);
        machine.is_back(&config::Database::Postgres(url), &secret, records);
    });
}

/// Whether the code is right, by the services that everything else uses.
fn is_right(database: &config::Database, key: &Path, code: &str) -> bool {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let store = store::Store::open(database).await.expect("the database");
        let ada = Address::parse(ADA).expect("an address");
        let account = store.standing(&ada).await.expect("a row").expect("Ada").account;
        let key = Arc::new(SiteKey::open_or_create(key).expect("the key"));
        let factors = Factors::new(store.clone(), key, Arc::new(SystemClock::start()));
        let right = factors.verify_totp(account.id, code).await.is_ok();
        store.close().await;
        right
    })
}
