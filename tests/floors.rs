//! The import law: a module imports only from lower floors, and along the few same-floor edges named here.
//!
//! `docs/ARCHITECTURE.md` draws the same table for people; this file is what keeps it true.
#![expect(clippy::unwrap_used, reason = "a source tree that cannot be read fails the test")]

use std::fs;
use std::path::{Path, PathBuf};

/// Top-level modules by floor, lowest first. A module may use everything on the rows above its own.
const FLOORS: &[&[&str]] = &[
    &["base"],
    &["config", "protocol", "store"],
    &["account", "app_password", "audit", "factor"],
    &["gate"],
    &["proxy"],
    &["server", "site", "telemetry"],
    &["cli"],
];

/// Edges between neighbours: from, to, and what they are for.
const SAME_FLOOR: &[(&str, &str, &str)] = &[
    ("store", "config", "`[database]` says which database"),
    ("app_password", "account", "an app password belongs to an account"),
    ("account", "audit", "every change leaves a record"),
    ("app_password", "audit", "every change leaves a record"),
    ("factor", "audit", "every change leaves a record"),
    ("server", "site", "a gate serves a site"),
];

/// Words that must not occur in the code of a module, and why.
const FORBIDDEN: &[(&str, &[&str], &str)] = &[
    (
        "protocol",
        &["tokio", "sqlx", "Instant", "SystemTime", "tracing"],
        "dialogues are pure: no I/O, clock, or log",
    ),
    ("base", &["tokio"], "the ground floor does not wait"),
    ("config", &["tokio"], "reading a file is not a service"),
    ("store", &["TcpStream", "TcpListener"], "only the proxy names sockets"),
    ("account", &["TcpStream", "TcpListener"], "only the proxy names sockets"),
    ("app_password", &["TcpStream", "TcpListener"], "only the proxy names sockets"),
    ("audit", &["TcpStream", "TcpListener"], "only the proxy names sockets"),
    ("factor", &["TcpStream", "TcpListener"], "only the proxy names sockets"),
    ("gate", &["TcpStream", "TcpListener"], "only the proxy names sockets"),
];

/// The longest file, in lines before its tests.
const FILE_MAX: usize = 500;

#[test]
fn modules_import_only_from_lower_floors() {
    let mut broken = Vec::new();
    for file in source_files() {
        for (line, target) in crate_paths(&file.code) {
            if !allowed(&file.module, &target) {
                broken.push(format!("{}:{line}: `{}` uses `{target}`", file.path.display(), file.module));
            }
        }
    }
    assert!(broken.is_empty(), "the import law is broken:\n{}", broken.join("\n"));
}

#[test]
fn each_module_names_only_what_its_floor_may_know() {
    let mut broken = Vec::new();
    for file in source_files() {
        for (module, words, why) in FORBIDDEN {
            if file.module != *module {
                continue;
            }
            for (number, line) in before_tests(&file.code).lines().enumerate() {
                for word in words.iter().filter(|word| has_word(line, word)) {
                    broken.push(format!("{}:{}: `{word}`: {why}", file.path.display(), number + 1));
                }
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn every_module_has_a_floor_and_every_file_fits_a_mind() {
    for file in source_files() {
        if !matches!(file.module.as_str(), "lib" | "main") {
            assert!(
                floor(&file.module).is_some(),
                "{}: `{}` is on no floor",
                file.path.display(),
                file.module
            );
        }
        let lines = before_tests(&file.code).lines().count();
        assert!(lines <= FILE_MAX, "{}: {lines} lines before its tests", file.path.display());
    }
}

#[test]
fn the_law_can_be_broken() {
    assert!(allowed("gate", "store") && allowed("proxy", "gate") && allowed("app_password", "account"));
    assert!(
        !allowed("store", "protocol") && !allowed("gate", "proxy") && !allowed("account", "app_password")
    );
    let found = crate_paths("use crate::{base::Clock, gate::{self, Grant}};\nlet x = crate::proxy::y;");
    let names: Vec<_> = found.iter().map(|(_, name)| name.as_str()).collect();
    assert_eq!(names, ["base", "gate", "proxy"]);
    assert!(has_word("use tokio::net;", "tokio") && !has_word("tokio_free", "tokio"));
}

struct SourceFile {
    path: PathBuf,
    module: String,
    /// With comments blanked, line numbers kept.
    code: String,
}

fn source_files() -> Vec<SourceFile> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut pending = vec![root.clone()];
    let mut files = Vec::new();
    while let Some(directory) = pending.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                pending.push(path);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                let inside = path.strip_prefix(&root).unwrap();
                let first = inside.components().next().unwrap().as_os_str().to_str().unwrap();
                let module = first.trim_end_matches(".rs").to_owned();
                let code = without_comments(&fs::read_to_string(&path).unwrap());
                files.push(SourceFile { path: inside.to_owned(), module, code });
            }
        }
    }
    assert!(files.len() > 20, "the source tree was not found");
    files
}

fn without_comments(text: &str) -> String {
    let strip = |line: &str| line.split_once("//").map_or(line.to_owned(), |(code, _)| code.to_owned());
    text.lines().map(strip).collect::<Vec<_>>().join("\n")
}

fn before_tests(code: &str) -> &str {
    code.split_once("#[cfg(test)]\nmod ").map_or(code, |(before, _)| before)
}

/// Every top-level module named behind `crate::`, with its line; `crate::{a::b, c}` names two.
fn crate_paths(code: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        let line = code[..at].lines().count().max(1);
        let rest = &code[at + "crate::".len()..];
        let names = match rest.strip_prefix('{') {
            Some(group) => group_heads(group),
            None => vec![identifier(rest)],
        };
        found.extend(names.into_iter().filter(|name| !name.is_empty()).map(|name| (line, name)));
    }
    found
}

fn group_heads(group: &str) -> Vec<String> {
    let mut depth = 0;
    let mut heads = vec![identifier(group.trim_start())];
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => heads.push(identifier(group[at + 1..].trim_start())),
            _ => {}
        }
    }
    heads
}

fn identifier(text: &str) -> String {
    text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

fn has_word(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let boundary = |c: Option<char>| c.is_none_or(|c| !c.is_alphanumeric() && c != '_');
        boundary(line[..at].chars().next_back()) && boundary(line[at + word.len()..].chars().next())
    })
}

fn floor(module: &str) -> Option<usize> {
    FLOORS.iter().position(|modules| modules.contains(&module))
}

fn allowed(from: &str, to: &str) -> bool {
    if from == to || matches!(from, "lib" | "main") {
        return true;
    }
    match (floor(from), floor(to)) {
        (Some(here), Some(there)) => {
            there < here || SAME_FLOOR.iter().any(|edge| (edge.0, edge.1) == (from, to))
        }
        // Not a module: a macro or an item of the crate root.
        _ => floor(to).is_none(),
    }
}
