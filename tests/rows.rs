//! Every row of what the gate promises to withstand and to say has a test, and every test that a row names is there.
//!
//! `docs/security/threats.md` and `docs/admin/refusals.md` hold the rows, `tests/rows.toml` says which tests show them.
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

/// The first cells of the tables whose header begins with `header`.
fn first_cells(text: &str, header: &str) -> BTreeSet<String> {
    let mut cells = BTreeSet::new();
    let mut inside = false;
    for line in text.lines() {
        if line.starts_with(header) {
            inside = true;
        } else if !line.starts_with('|') {
            inside = false;
        } else if inside && !line.starts_with("|---") {
            cells.insert(line.split('|').nth(1).unwrap().trim().to_owned());
        }
    }
    cells
}

/// What is wrong with the name of a test, if anything.
fn missing(test: &str) -> Option<String> {
    if let Some(transcript) = test.strip_prefix("transcripts/") {
        let path = root().join("tests/transcripts").join(transcript);
        return (!path.is_file()).then(|| format!("no transcript `{test}`"));
    }
    let (path, function) = test.rsplit_once("::")?;
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
    // The store's contract lists its cases in a macro, which makes a test of each for either database.
    let listed = format!("{function},");
    let is_test = attributes.iter().any(|line| runs.iter().any(|mark| line.contains(mark)))
        || lines.iter().any(|line| line.trim() == listed);
    (!is_test).then(|| format!("`{test}` is no test"))
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
        let Some(deeper) = source_at(&base) else { break };
        found = Some(deeper);
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
fn a_test_that_is_not_there_is_noticed() {
    assert_eq!(missing("rows::a_test_that_is_not_there_is_noticed"), None);
    assert_eq!(missing("lib::gate::limiter::tests::exempt_networks_are_not_counted"), None);
    for gone in [
        "rows::no_such_test",
        "rows::missing",
        "it::nowhere::at_all",
        "lib::gate::limiter::reserve",
        "transcripts/imap/none.txt",
    ] {
        assert!(missing(gone).is_some(), "{gone}");
    }
}
