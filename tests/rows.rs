//! Every row of what the gate promises to withstand and to say has a test, and every test that a row names is there.
//!
//! `docs/security/threats.md` and `docs/admin/refusals.md` hold the rows, `tests/rows.toml` says which tests show them.
//! `docs/security/asvs.md` names its tests itself, or the page that is all an item asks for, or says that there is none.
#![expect(clippy::unwrap_used, reason = "a file of the repository that cannot be read fails the test")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;

/// The tables: a name for `rows.toml`, the file, and what its header begins with.
const TABLES: [(&str, &str, &str); 2] = [
    ("threats", "docs/security/threats.md", "| threat |"),
    ("refusals", "docs/admin/refusals.md", "| case |"),
];

/// Chapters of OWASP ASVS 5.0.0 that apply, and how many items of levels 1 and 2 each has.
const ASVS: [(&str, usize); 13] = [
    ("1", 27),
    ("2", 11),
    ("3", 19),
    ("4", 10),
    ("6", 35),
    ("7", 18),
    ("8", 7),
    ("11", 14),
    ("12", 9),
    ("13", 13),
    ("14", 9),
    ("15", 13),
    ("16", 16),
];

/// What may be said of an item.
const STATES: [&str; 4] = ["met", "partly", "not met", "does not apply"];

/// Where files are that the page names.
const FOLDERS: [&str; 7] = ["config/", "docs/", "scripts/", "src/", "systemd/", "templates/", "tests/"];

/// What those end with that are at the root.
const ENDINGS: [&str; 3] = [".lock", ".md", ".toml"];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rows {
    row: Vec<Row>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    /// One of [`TABLES`].
    of: String,
    /// Its first cell.
    name: String,
    /// `binary::module::function`, `lib::module::function`, or `transcripts/<path>.txt`.
    #[serde(default)]
    tests: Vec<String>,
    /// The folder of what the row is about, where that is not built yet: once it is there, the row needs tests.
    waits_for: Option<String>,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap()
}

/// The rows of the tables whose header begins with `header`, cell by cell.
fn rows_of<'t>(text: &'t str, header: &str) -> Vec<Vec<&'t str>> {
    let mut rows = Vec::new();
    let mut inside = false;
    for line in text.lines() {
        if line.starts_with(header) {
            inside = true;
        } else if !line.starts_with('|') {
            inside = false;
        } else if inside && !line.starts_with("|---") {
            rows.push(line.trim_matches('|').split('|').map(str::trim).collect());
        }
    }
    rows
}

/// The first cells of those tables.
fn first_cells(text: &str, header: &str) -> BTreeSet<String> {
    rows_of(text, header).into_iter().map(|cells| cells[0].to_owned()).collect()
}

fn in_backticks(cell: &str) -> impl Iterator<Item = &str> {
    cell.split('`').skip(1).step_by(2)
}

/// Whether it is the name of a file that is not there.
fn is_gone(name: &str) -> bool {
    let is_file = FOLDERS.iter().any(|folder| name.starts_with(folder))
        || ENDINGS.iter().any(|ending| name.ends_with(ending));
    is_file && !root().join(name).exists()
}

/// How a row names the page that is all it asks for.
const DOCUMENTATION: &str = "documentation: ";

/// What is wrong with what a row is shown by, if anything: a test, or a page and the heading in it.
fn missing_here(shown: &str) -> Option<String> {
    let Some(place) = shown.strip_prefix(DOCUMENTATION) else { return missing(shown) };
    let (page, anchor) = place.split_once('#').unwrap_or((place, ""));
    if !root().join(page).is_file() || !page.ends_with(".md") {
        return Some(format!("no page is called `{page}`"));
    }
    let there =
        anchor.is_empty() || read(page).lines().any(|line| anchor_of(line).as_deref() == Some(anchor));
    (!there).then(|| format!("{page} has no heading `{anchor}`"))
}

/// What a heading is called in a link: small, without punctuation, with hyphens for blanks. `None` for other lines.
fn anchor_of(line: &str) -> Option<String> {
    let (marks, title) = line.split_once(' ')?;
    let is_heading = (1..=6).contains(&marks.len()) && marks.bytes().all(|mark| mark == b'#');
    let kept = title.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    is_heading.then(|| kept.flat_map(char::to_lowercase).map(|c| if c == ' ' { '-' } else { c }).collect())
}

/// What is wrong with the name of a test, if anything.
fn missing(test: &str) -> Option<String> {
    if let Some(transcript) = test.strip_prefix("transcripts/") {
        let path = root().join("tests/transcripts").join(transcript);
        return (!path.is_file()).then(|| format!("no transcript `{test}`"));
    }
    let Some((path, function)) = test.rsplit_once("::") else {
        return Some(format!("`{test}` is no name of a test"));
    };
    let Some(file) = source_of(path) else { return Some(format!("no file has `{test}`")) };
    let source = fs::read_to_string(&file).unwrap();
    let lines = source.lines().collect::<Vec<_>>();
    let is_it = |line: &&str| line.trim_start().split("fn ").nth(1).is_some_and(|rest| names(rest, function));
    let Some(place) = lines.iter().position(is_it) else {
        return Some(format!("{} has no `{function}`", file.display()));
    };
    let attributes = lines[..place].iter().rev().take_while(|line| is_attribute(line)).collect::<Vec<_>>();
    if attributes.iter().any(|line| line.contains("#[ignore")) {
        return Some(format!("`{test}` is ignored"));
    }
    let runs = ["test]", "test(", "#[rstest", "#[case"];
    let is_test = attributes.iter().any(|line| runs.iter().any(|mark| line.contains(mark)))
        || path.starts_with("store_contract::") && is_listed(function);
    (!is_test).then(|| format!("`{test}` is no test"))
}

/// The store's contract lists its cases in a macro, which makes a test of each for either database.
fn is_listed(case: &str) -> bool {
    let ends = [format!("{case},"), format!("{case};")];
    read("tests/store_contract/main.rs").lines().any(|line| ends.iter().any(|end| line.trim() == end))
}

fn names(rest: &str, function: &str) -> bool {
    rest.strip_prefix(function).is_some_and(|after| after.starts_with(['(', '<']))
}

fn is_attribute(line: &str) -> bool {
    let line = line.trim_start();
    line.starts_with("#[") || line.starts_with("//") || line.starts_with(")]")
}

/// The file of a module path, whose last parts may be modules inside the file.
fn source_of(path: &str) -> Option<PathBuf> {
    let mut parts = path.split("::");
    let mut base = match parts.next()? {
        "lib" => root().join("src"),
        binary => root().join("tests").join(binary),
    };
    let mut found = source_at(&base);
    for part in parts {
        base.push(part);
        // A module that stands in its parent's file may have others in files of their own.
        found = source_at(&base).or(found);
    }
    found
}

fn source_at(base: &Path) -> Option<PathBuf> {
    let names = [base.with_extension("rs"), base.join("mod.rs"), base.join("main.rs")];
    names.into_iter().find(|path| path.is_file())
}

#[test]
fn every_row_has_tests_and_every_test_is_there() {
    let Rows { row: rows } = toml::from_str(&read("tests/rows.toml")).unwrap();
    let mut problems = Vec::new();
    for (table, file, header) in TABLES {
        let promised = first_cells(&read(file), header);
        assert!(promised.len() > 9, "{file} has no rows");
        let listed = rows.iter().filter(|row| row.of == table).map(|row| row.name.clone()).collect();
        problems.extend(promised.difference(&listed).map(|name| format!("{table}: `{name}` has no tests")));
        problems.extend(listed.difference(&promised).map(|name| format!("{table}: `{name}` is no row")));
    }
    for row in &rows {
        let name = &row.name;
        match &row.waits_for {
            None if row.tests.is_empty() => problems.push(format!("`{name}` names no test")),
            Some(folder) if root().join(folder).exists() => {
                problems.push(format!("`{name}` waits for `{folder}`, which is there"));
            }
            None | Some(_) => {}
        }
        problems.extend(
            row.tests.iter().filter_map(|test| missing(test)).map(|what| format!("`{name}`: {what}")),
        );
    }
    assert!(problems.is_empty(), "\n{}", problems.join("\n"));
}

#[test]
fn every_item_of_asvs_has_its_row_and_what_a_row_names_is_there() {
    let page = read("docs/security/asvs.md");
    let (mut items, mut problems) = (BTreeSet::new(), Vec::new());
    for cells in rows_of(&page, "| item |") {
        let [named, _, _, state, how, shown]: [&str; 6] = cells.try_into().unwrap();
        for item in named.split(", ") {
            if !items.insert(item) {
                problems.push(format!("{item} stands there twice"));
            }
        }
        if !STATES.contains(&state) {
            problems.push(format!("{named} is `{state}`"));
        }
        let says = in_backticks(shown).count() > 0 || shown.contains("no test");
        if says == (state == "does not apply") {
            problems.push(format!("{named}: what shows it?"));
        }
        problems.extend(in_backticks(shown).filter_map(missing_here).map(|what| format!("{named}: {what}")));
        let gone = in_backticks(how).filter(|name| is_gone(name));
        problems.extend(gone.map(|name| format!("{named}: no file is called `{name}`")));
    }
    for (chapter, wanted) in ASVS {
        let of_chapter = |item: &&&str| item.split_once('.').is_some_and(|(number, _)| number == chapter);
        let found = items.iter().filter(of_chapter).count();
        if found != wanted {
            problems.push(format!("V{chapter} has {wanted} items, and {found} stand there"));
        }
    }
    assert!(problems.is_empty(), "\n{}", problems.join("\n"));
}

#[test]
fn a_test_that_is_not_there_is_noticed() {
    assert_eq!(missing("rows::a_test_that_is_not_there_is_noticed"), None);
    assert_eq!(missing("lib::gate::limiter::tests::exempt_networks_are_not_counted"), None);
    for gone in [
        "rows::no_such_test",
        "rows::missing",
        "it::nowhere::at_all",
        "lib::gate::limiter::reserve",
        "transcripts/imap/none.txt",
        "nothing",
    ] {
        assert!(missing(gone).is_some(), "{gone}");
    }
}

#[test]
fn a_page_or_a_heading_that_is_not_there_is_noticed() {
    for there in [
        "documentation: SECURITY.md#holes-in-what-we-stand-on",
        "documentation: docs/security/asvs.md#v2-validation-and-business-logic",
        "documentation: docs/decisions/0121-portal-sessions.md",
        "rows::a_page_or_a_heading_that_is_not_there_is_noticed",
    ] {
        assert_eq!(missing_here(there), None);
    }
    for gone in [
        "documentation: docs/security/none.md",
        "documentation: docs/security",
        "documentation: SECURITY.md#holes",
        "documentation: SECURITY.md#From the day",
        "documentation: Cargo.toml",
        "SECURITY.md",
    ] {
        assert!(missing_here(gone).is_some(), "{gone}");
    }
}
