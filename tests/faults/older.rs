//! A gate that is started on a database of an older version: it is brought up to date by the start, and people get in as
//! before.

use std::fs;
use std::path::Path;

use sqlx::migrate::Migrator;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{PgPool, SqlitePool};

use crate::support::{Mail, PROTOCOLS, code, in_repository, log_in, run};
use crate::world::{ADA, Browser, Cluster, MAILBOX_PASSWORD, People, apart};

/// The first version that is not an early one: all of them in one test would take long on a busy machine.
const LATE: i64 = 8;

/// How many migrations a database has.
const APPLIED: &str = "SELECT count(*) FROM _sqlx_migrations;";

/// How many migrations there are.
fn newest(folder: &str) -> i64 {
    let files = fs::read_dir(in_repository(folder)).expect("migrations");
    i64::try_from(files.count()).expect("few")
}

/// Brings an empty database to that version, as that version did it.
fn migrate(folder: &str, version: i64, sqlite: Option<&Path>, postgres: Option<&str>) {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let migrator = Migrator::new(in_repository(folder)).await.expect("migrations");
        if let Some(path) = sqlite {
            let options = SqliteConnectOptions::new().filename(path).create_if_missing(true);
            let pool = SqlitePool::connect_with(options).await.expect("a database");
            migrator.run_to(version, &pool).await.expect("a migration");
            pool.close().await;
        }
        if let Some(url) = postgres {
            let pool = PgPool::connect(url).await.expect("a database");
            migrator.run_to(version, &pool).await.expect("a migration");
            pool.close().await;
        }
    });
}

/// The URL of the database that is called after that version, beside the one of `url`.
fn other_database(url: &str, version: i64) -> String {
    let (cluster, _) = url.rsplit_once('/').expect("a database");
    format!("{cluster}/v{version}")
}

/// What both have, of a listing of `table|column`: by table, the columns.
fn common(old: &str, new: &str) -> Vec<(String, Vec<String>)> {
    let mut tables: Vec<(String, Vec<String>)> = Vec::new();
    for line in old.lines().filter(|line| new.lines().any(|other| other == *line)) {
        let (table, column) = line.split_once('|').expect("a table and a column");
        match tables.last_mut() {
            Some((last, columns)) if last == table => columns.push(column.to_owned()),
            _ => tables.push((table.to_owned(), vec![column.to_owned()])),
        }
    }
    // Others write there as they come.
    tables.sort_by_key(|(table, _)| table == "changes");
    tables
}

/// After the start: all that was there is.
fn all_is_as_before(people: &mut People, version: i64) {
    let labels = people.labels();
    assert_eq!(labels.len(), 2, "version {version}");
    people.are_let_in_again();
    people.are_let_in(&people.never_used.password);
    for mail in PROTOCOLS {
        let reply = log_in(&people.gate, mail, ADA, MAILBOX_PASSWORD);
        assert!(!mail.is_yes(&reply), "version {version}, past her second factor: {reply}");
    }
    people.newcomers_are_let_in(&format!("since{version}"));
    let browser = Browser::before(&people.gate);
    assert!(browser.signs_in(&code(&people.secret, 0)), "version {version}: the code is right");
    people.are_let_in(&browser.gets_one(&browser.form()));
    let searched = people.gate.cli(&["audit", "search", "--account", ADA, "--json"]).json();
    assert!(searched.as_array().expect("records").len() > 6, "version {version}: the index is made anew");
}

#[test]
fn a_sqlite_file_of_an_early_version_is_brought_up_to_date_and_people_get_in() {
    sqlite_files(|version| version < LATE);
}

#[test]
fn a_sqlite_file_of_a_late_version_is_brought_up_to_date_and_people_get_in() {
    sqlite_files(|version| version >= LATE);
}

fn sqlite_files(wanted: impl Fn(i64) -> bool) {
    const FOLDER: &str = "migrations/sqlite";
    const COLUMNS: &str = "SELECT m.name, c.name FROM sqlite_schema m, pragma_table_info(m.name) c \
                           WHERE m.type = 'table' AND m.name NOT LIKE '\\_%' ESCAPE '\\' \
                           AND m.name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY m.name, c.cid";
    let (mut people, ()) = People::arrive(|config| config.portal_at("127.0.0.1"), |_| ());
    people.gate.stop();
    let (database, new) =
        (people.gate.directory().join("data/mailward.db"), people.gate.directory().join("new.db"));
    let sqlite = |path: &Path, commands: &str| {
        run("sqlite3", &["-bail".as_ref(), path.as_os_str()], commands).success()
    };
    sqlite(&database, &format!("VACUUM INTO '{}';", new.display()));
    let newest = newest(FOLDER);
    assert!(newest > 10, "{newest}");
    for version in (1..newest).filter(|version| wanted(*version)) {
        let old = people.gate.directory().join(format!("{version}.db"));
        migrate(FOLDER, version, Some(&old), None);
        let columns = |path: &Path| sqlite(path, &format!("{COLUMNS};"));
        let mut copy = format!("ATTACH '{}' AS new;\n", new.display());
        for (table, columns) in common(&columns(&old), &columns(&new)) {
            let columns = columns.join(", ");
            copy += &format!(
                "DELETE FROM {table};\nINSERT INTO {table} ({columns}) SELECT {columns} FROM new.{table};\n"
            );
        }
        sqlite(&old, &copy);
        for ending in ["", "-wal", "-shm"] {
            let _ = fs::remove_file(format!("{}{ending}", database.display()));
        }
        fs::rename(&old, &database).expect("the older database");
        people.gate.start_again();
        all_is_as_before(&mut people, version);
        people.gate.stop();
        assert_eq!(sqlite(&database, APPLIED).trim(), newest.to_string(), "from version {version}");
    }
}

#[test]
fn a_postgresql_database_of_an_early_version_is_brought_up_to_date_and_people_get_in() {
    apart(|| postgresql_databases(|version| version < LATE));
}

#[test]
fn a_postgresql_database_of_a_late_version_is_brought_up_to_date_and_people_get_in() {
    apart(|| postgresql_databases(|version| version >= LATE));
}

fn postgresql_databases(wanted: impl Fn(i64) -> bool) {
    const FOLDER: &str = "migrations/postgres";
    const COLUMNS: &str = "SELECT table_name, column_name FROM information_schema.columns \
                           WHERE table_schema = 'public' AND table_name NOT LIKE '\\_%' ORDER BY 1, ordinal_position";
    let cluster = Cluster::start();
    let mut people = People::on(&cluster);
    people.gate.stop();
    let psql = |url: &str, commands: &str| {
        let arguments =
            ["--quiet", "--no-psqlrc", "--tuples-only", "--no-align", "--set=ON_ERROR_STOP=1", url];
        run("psql", &arguments, commands).success()
    };
    let newest = newest(FOLDER);
    let mut current = cluster.url().to_owned();
    for version in (1..newest).filter(|version| wanted(*version)) {
        cluster.sql(&[&format!("CREATE DATABASE v{version}")]);
        let old = other_database(cluster.url(), version);
        migrate(FOLDER, version, None, Some(&old));
        let folder = people.gate.directory().display().to_string();
        let columns = |url: &str| psql(url, &format!("{COLUMNS};"));
        // Neither triggers nor references: all of it comes, in whatever order.
        let (mut give, mut take) = (String::new(), "SET session_replication_role = replica;\n".to_owned());
        for (table, columns) in common(&columns(&old), &columns(cluster.url())) {
            let (columns, file) = (columns.join(", "), format!("{folder}/copied.{table}"));
            give += &format!("\\copy (SELECT {columns} FROM {table}) TO '{file}'\n");
            take += &format!("DELETE FROM {table};\n\\copy {table} ({columns}) FROM '{file}'\n");
            if table == "changes" {
                take += "SELECT setval(pg_get_serial_sequence('changes', 'seq'), 100000);\n";
            }
        }
        psql(cluster.url(), &give);
        psql(&old, &take);
        people.gate.edit(&current, &old);
        current = old;
        people.gate.start_again();
        all_is_as_before(&mut people, version);
        people.gate.stop();
        assert_eq!(psql(&current, APPLIED).trim(), newest.to_string(), "from version {version}");
    }
}

/// Commands bring it up to date as well, whichever comes first.
#[test]
fn a_command_may_be_the_first_that_finds_an_older_database() {
    let (mut people, ()) = People::arrive(|config| config, |_| ());
    people.gate.stop();
    let other = people.gate.directory().join("data/mailward.db");
    for ending in ["", "-wal", "-shm"] {
        let _ = fs::remove_file(format!("{}{ending}", other.display()));
    }
    migrate("migrations/sqlite", 7, Some(&other), None);
    let found = people.gate.cli(&["doctor", "--json"]).stdout;
    assert!(found.contains(" migrations come with the next start"), "{found}");
    people.gate.cli(&["account", "add", "anna@example.test"]).success();
    let found = people.gate.cli(&["doctor", "--json"]).stdout;
    assert!(found.contains("answers, and has all tables"), "{found}");
    people.gate.start_again();
    let reply = log_in(&people.gate, Mail::Imap, "anna@example.test", MAILBOX_PASSWORD);
    assert!(Mail::Imap.is_yes(&reply), "{reply}");
}
