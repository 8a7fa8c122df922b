//! What the pages on security list is what there is: tables of the database, derived keys, events of the trail, ways to be
//! asked, forms, fields, and limits. What is new and not listed fails, and so does what is listed and gone.
#![expect(clippy::unwrap_used, reason = "a file of the repository that cannot be read fails the test")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use mailward::config::FactorKind;

const INVENTORY: &str = "docs/security/inventory.md";
const WAYS: &str = "docs/security/ways-in.md";
const PORTAL: &str = "docs/admin/portal.md";

/// How each label of a derived key begins.
const LABEL: &str = "\"mailward 1 ";

/// How the code reads a field of a form or of an address.
const READERS: [&str; 4] = [".text(\"", ".whole_text(\"", ".password(\"", ".chosen(\""];

/// Numbers that the page on the portal states: where the code has each, and how the page says it.
const LIMITS: [(&str, &str, &str); 14] = [
    (
        "src/web/listener.rs",
        "const CONNECTIONS: u32 = 512;",
        "| connections of browsers | 512, of one network 128;",
    ),
    (
        "src/web/listener.rs",
        "const PER_NETWORK: u32 = 128;",
        "| connections of browsers | 512, of one network 128;",
    ),
    (
        "src/portal/session.rs",
        "const SESSIONS_MAX: u32 = 64;",
        "| browsers that are signed in to one account | 64;",
    ),
    (
        "src/portal/pace.rs",
        "(NonZeroU32::new(240).unwrap(), Duration::from_millis(250))",
        "| 240 at once, then four a second |",
    ),
    (
        "src/portal/pace.rs",
        "(NonZeroU32::new(60).unwrap(), Duration::from_secs(60))",
        "| 60 at once, then one a minute.",
    ),
    ("src/factor/mailbox.rs", "const SENT_PER_PAIR: u32 = 5;", "| five an hour for an account and network,"),
    ("src/factor/mailbox.rs", "const SENT_PER_ACCOUNT: u32 = 15;", "fifteen for an account,"),
    ("src/factor/mailbox.rs", "const SENT_PER_NETWORK: u32 = 30;", "thirty for a network,"),
    ("src/factor/mailbox.rs", "const SENT_IN_ALL: u32 = 1_000;", "a thousand in all |"),
    (
        "src/factor/mailbox.rs",
        "const COUNTED_FOR: std::time::Duration = std::time::Duration::from_secs(3600);",
        "| five an hour",
    ),
    ("src/factor/mailbox.rs", "const DIGITS: usize = 6;", "A code has six digits,"),
    (
        "src/factor/mailbox.rs",
        "const GOOD_FOR: std::time::Duration = std::time::Duration::from_secs(5 * 60);",
        "is good for five minutes,",
    ),
    ("src/factor/mailbox.rs", "const TRIES: u32 = 5;", "for five tries,"),
    (
        "src/config/policy.rs",
        "const DEFAULT_APP_PASSWORDS: u32 = 20;",
        "`app_passwords_per_account`, 20 unless you say otherwise |",
    ),
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap()
}

/// The cells of the one table of `page` whose header begins with `header`.
fn table(page: &str, header: &str) -> Vec<Vec<String>> {
    let text = read(page);
    let rows = text.lines().skip_while(|line| !line.starts_with(header)).skip(2);
    let rows: Vec<_> = rows
        .take_while(|line| line.starts_with('|'))
        .map(|line| line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect())
        .collect();
    assert!(rows.len() > 2, "{page} has no table `{header}`");
    rows
}

fn in_backticks(text: &str) -> impl Iterator<Item = String> {
    text.split('`').skip(1).step_by(2).map(str::to_owned)
}

/// What stands in backticks in one column of that table; twice is once too often.
fn listed(page: &str, header: &str, column: usize) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for row in table(page, header) {
        for name in in_backticks(&row[column]) {
            assert!(names.insert(name.clone()), "{page}: `{name}` stands in `{header}` twice");
        }
    }
    names
}

#[track_caller]
fn the_same(page: &str, what: &str, listed: &BTreeSet<String>, there: &BTreeSet<String>) {
    let missing: Vec<_> = there.difference(listed).collect();
    let gone: Vec<_> = listed.difference(there).collect();
    assert!(
        missing.is_empty() && gone.is_empty(),
        "{page}: {what} not listed: {missing:?}; not there: {gone:?}"
    );
}

/// The source under `folder` before its tests, without comments.
fn sources(folder: &str) -> Vec<String> {
    let mut pending = vec![root().join(folder)];
    let mut sources = Vec::new();
    while let Some(directory) = pending.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path: PathBuf = entry.unwrap().path();
            let for_tests = path
                .file_stem()
                .is_some_and(|name| ["tests", "testing", "samples"].iter().any(|one| name == *one));
            if for_tests {
                continue;
            }
            if path.is_dir() {
                pending.push(path);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                let text = fs::read_to_string(path).unwrap();
                let code = text.split_once("#[cfg(test)]\nmod tests {").map_or(&*text, |(before, _)| before);
                let lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
                sources.push(lines.collect::<Vec<_>>().join("\n"));
            }
        }
    }
    assert!(sources.len() > 5, "{folder} was not found");
    sources
}

/// What stands between `begin` and the next `"`, each time.
fn quoted<'t>(text: &'t str, begin: &'t str) -> impl Iterator<Item = String> + 't {
    text.split(begin).skip(1).map(|rest| rest.split('"').next().unwrap_or_default().to_owned())
}

/// Tables after all migrations of `database`.
fn tables(database: &str) -> BTreeSet<String> {
    let mut files: Vec<_> = fs::read_dir(root().join("migrations").join(database))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    let mut tables = BTreeSet::new();
    for file in files {
        let text = fs::read_to_string(file).unwrap();
        for statement in text.lines() {
            let name = |rest: &str| rest.split([' ', '(', ';']).next().unwrap_or_default().to_owned();
            if let Some(rest) = statement.strip_prefix("CREATE TABLE ") {
                tables.insert(name(rest));
            } else if let Some(rest) = statement.strip_prefix("DROP TABLE ") {
                assert!(tables.remove(&name(rest)), "`{statement}` drops what is not there");
            }
        }
    }
    assert!(tables.len() > 10);
    tables
}

#[test]
fn every_table_of_the_database_is_in_the_inventory_with_its_level_and_its_time() {
    let there = tables("sqlite");
    assert_eq!(there, tables("postgres"));
    the_same(INVENTORY, "tables", &listed(INVENTORY, "| table |", 0), &there);
    for row in table(INVENTORY, "| table |") {
        let [name, level, .., how, how_long] = &row[..] else { panic!("{row:?}") };
        assert!(["1", "2", "3", "4"].contains(&level.as_str()), "{name} is of level `{level}`");
        assert!(!how.is_empty() && !how_long.is_empty(), "{name}");
    }
}

#[test]
fn every_derived_key_is_in_the_inventory_and_no_other() {
    let there: BTreeSet<_> = sources("src")
        .iter()
        .flat_map(|code| quoted(code, LABEL).collect::<Vec<_>>())
        .map(|label| label.trim_end().to_owned())
        .collect();
    the_same(INVENTORY, "keys", &listed(INVENTORY, "| label |", 0), &there);
    // Those of the site's key are the purposes that it is derived for.
    let of_the_site: BTreeSet<_> = table(INVENTORY, "| label |")
        .into_iter()
        .filter(|row| row[1] == "`site.key`")
        .flat_map(|row| in_backticks(&row[0]).collect::<Vec<_>>())
        .collect();
    let purposes = quoted(&read("src/base/key.rs"), LABEL).collect();
    the_same(INVENTORY, "purposes of `site.key`", &of_the_site, &purposes);
}

#[test]
fn every_event_of_the_trail_is_in_the_inventory_and_no_other() {
    let source = read("src/cli/audit.rs");
    let list = source.split_once("const EVENTS").and_then(|(_, rest)| rest.split_once("];")).unwrap().0;
    let there: BTreeSet<_> = list.split('"').skip(1).step_by(2).map(str::to_owned).collect();
    assert!(there.len() > 20, "{there:?}");
    the_same(INVENTORY, "events", &listed(INVENTORY, "| events of the trail |", 0), &there);
}

#[test]
fn every_kind_of_second_factor_is_among_the_ways_in() {
    let ways: BTreeSet<_> =
        table(WAYS, "| way |").iter().flat_map(|row| in_backticks(&row[0]).collect::<Vec<_>>()).collect();
    let kinds = FactorKind::ALL.into_iter().map(FactorKind::as_str);
    for kind in kinds.chain(["recovery", "trusted_device"]) {
        assert!(ways.contains(kind), "{WAYS} does not say what `{kind}` is worth");
    }
}

#[test]
fn every_form_is_listed_with_what_may_be_typed_into_it() {
    let routes = read("src/web/routes/mod.rs");
    let mut there = BTreeSet::new();
    for route in routes.split(".route(").skip(1) {
        let of_this_route = route.split("\n        .route").next().unwrap_or_default();
        if of_this_route.contains("post(") {
            there.extend(quoted(of_this_route, "\"").next());
        }
    }
    the_same(WAYS, "forms", &listed(WAYS, "| form |", 0), &there);
    let fields = listed(WAYS, "| field |", 0);
    for row in table(WAYS, "| form |") {
        for field in in_backticks(&row[1]) {
            assert!(fields.contains(&field), "{WAYS}: what is valid in `{field}` of {}?", row[0]);
        }
    }
}

#[test]
fn every_field_that_is_read_is_listed_with_what_is_valid_in_it_and_no_other() {
    let code = sources("src/web").join("\n");
    let there = READERS.iter().flat_map(|reader| quoted(&code, reader)).collect();
    the_same(WAYS, "fields", &listed(WAYS, "| field |", 0), &there);
}

#[test]
fn the_limits_that_the_portals_page_states_are_those_of_the_code() {
    let page = read(PORTAL);
    for (file, in_the_code, on_the_page) in LIMITS {
        assert!(read(file).contains(in_the_code), "{file} has no `{in_the_code}`: does {PORTAL} know?");
        assert!(page.contains(on_the_page), "{PORTAL} does not say `{on_the_page}`, as {file} has it");
    }
}
