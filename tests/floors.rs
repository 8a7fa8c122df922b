//! The import law: a module imports only from lower floors, and along the few same-floor edges named here.
//!
//! `docs/ARCHITECTURE.md` draws the same table for people; this file keeps it true, and itself: an edge that
//! nobody uses any more fails, too.
#![expect(clippy::unwrap_used, reason = "a source tree that cannot be read fails the test")]

use std::fs;
use std::path::{Path, PathBuf};

/// Top-level modules by floor, lowest first. A module may use everything on the rows above its own.
const FLOORS: &[&[&str]] = &[
    &["base"],
    &["config", "protocol", "store"],
    &["account", "app_password", "audit", "factor", "meters", "notify"],
    &["gate"],
    &["portal", "proxy", "web"],
    &["doctor", "server", "site", "telemetry"],
    &["cli"],
];

/// Edges between neighbours: from, to, and what they are for.
const SAME_FLOOR: &[(&str, &str, &str)] = &[
    ("store", "config", "`[database]` says which database"),
    ("account", "audit", "every change leaves a record"),
    ("app_password", "audit", "every change leaves a record"),
    ("factor", "audit", "every change leaves a record"),
    ("meters", "audit", "an outcome is called the same everywhere"),
    ("notify", "audit", "what nobody was told leaves a record"),
    ("notify", "meters", "what nobody was told is counted"),
    ("web", "portal", "pages show what people may do by themselves"),
    ("web", "proxy", "browsers come in by a door like those of mail clients"),
    ("server", "site", "a gate serves a site"),
    ("server", "telemetry", "a gate is watched"),
];

/// Words that must not occur in the code of a module, and why.
const FORBIDDEN: &[(&str, &[&str], &str)] = &[
    (
        "protocol",
        &[
            "async",
            "await",
            "tokio",
            "sqlx",
            "rustls",
            "Instant",
            "SystemTime",
            "Clock",
            "random",
            "rand",
            "fs",
            "thread",
            "tracing",
        ],
        "dialogues are pure: no I/O, clock, randomness, or log",
    ),
    ("base", &["tokio", "async", "await"], "the ground floor does not wait"),
    ("config", &["tokio", "async", "await"], "reading a file is not a service"),
];

/// Who speaks to the network: with mail clients and upstreams; with browsers; with those who watch.
const NETWORKED: &[&str] = &["proxy", "telemetry", "web"];

/// Names of the network.
const SOCKETS: &[&str] = &[
    "TcpStream",
    "TcpListener",
    "TcpSocket",
    "UdpSocket",
    "UnixStream",
    "UnixListener",
    "ToSocketAddrs",
    "lookup_host",
    "socket2",
    "tokio_rustls",
];

/// What starts another program; `Command` alone is also what a command of `cli` is.
const PROCESSES: &[&str] =
    &["std::process::Command", "std::process::{", "tokio::process", "posix_spawn", "execve"];

/// What reads a file while the gate runs.
const READING: &[&str] = &["std::fs", "tokio::fs", "File::open", "fs::read", "read_to_string"];

/// Where what people read is made: of templates and messages that are compiled in.
const WORDED: &[&str] = &["notify/courier.rs", "notify/letter.rs", "notify/message.rs", "web"];

/// Modules that only tests have.
const TESTS_ALONE: &[&str] = &["samples", "testing", "tests"];

/// The longest file, in lines before its tests.
const FILE_MAX: usize = 500;

#[test]
fn modules_import_only_from_lower_floors() {
    let broken: Vec<_> = imports()
        .into_iter()
        .filter(|import| !allowed(&import.from, &import.to))
        .map(|Import { at, from, to }| format!("{at}: `{from}` uses `{to}`"))
        .collect();
    assert!(broken.is_empty(), "the import law is broken:\n{}", broken.join("\n"));
}

#[test]
fn every_edge_between_neighbours_is_used() {
    let imports = imports();
    for (from, to, why) in SAME_FLOOR {
        assert!(
            imports.iter().any(|import| (import.from.as_str(), import.to.as_str()) == (from, to)),
            "`{from}` no longer uses `{to}` ({why}): take the edge out of the table"
        );
    }
}

#[test]
fn each_module_names_only_what_its_floor_may_know() {
    let mut broken = Vec::new();
    for file in source_files() {
        let code = before_tests(&file.code);
        for (module, words, why) in FORBIDDEN {
            if file.module == *module {
                broken.extend(found(&file, code, words).map(|place| format!("{place}: {why}")));
            }
        }
        if !NETWORKED.contains(&file.module.as_str()) {
            broken.extend(
                found(&file, code, SOCKETS).map(|place| format!("{place}: only {NETWORKED:?} name sockets")),
            );
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
fn the_gate_starts_no_program() {
    for file in source_files() {
        for word in PROCESSES {
            assert!(!before_tests(&file.code).contains(word), "{}: `{word}`", file.path.display());
        }
    }
}

#[test]
fn nothing_for_tests_is_in_what_is_served() {
    let mut named = 0;
    for file in source_files() {
        let lines: Vec<_> = file.code.lines().map(str::trim).collect();
        for (at, line) in lines.iter().enumerate() {
            let module = line.strip_suffix(';').and_then(|line| line.rsplit_once("mod "));
            if module.is_some_and(|(_, name)| TESTS_ALONE.contains(&name)) {
                let attributes = lines[..at].iter().rev().take_while(|line| line.starts_with("#["));
                let guarded = attributes.into_iter().any(|line| *line == "#[cfg(test)]");
                assert!(guarded, "{}: `{line}`", file.path.display());
                named += 1;
            }
        }
    }
    assert!(named > 10, "{named}");
}

/// So that neither a template nor a message is made of what somebody wrote.
#[test]
fn pages_and_letters_are_made_of_what_is_compiled_in() {
    let mut templates = 0;
    for file in source_files().iter().filter(|file| WORDED.iter().any(|place| file.path.starts_with(place))) {
        let (place, code) = (file.path.with_extension(""), before_tests(&file.code));
        if place.iter().any(|part| TESTS_ALONE.iter().any(|name| part == *name)) {
            continue;
        }
        for word in READING {
            assert!(!code.contains(word), "{}: `{word}`", file.path.display());
        }
        let of_a_file = code.matches("#[template(path = \"").count();
        assert_eq!(code.matches("#[template(").count(), of_a_file, "{}", file.path.display());
        templates += of_a_file;
    }
    assert!(templates > 10, "{templates}");
}

#[test]
fn no_code_of_ours_is_unsafe() {
    let manifest = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml")).unwrap();
    assert!(manifest.lines().any(|line| line.starts_with("unsafe_code = \"forbid\"")));
}

#[test]
fn the_pages_that_people_read_draw_the_same_floors() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(root.join("docs/ARCHITECTURE.md")).unwrap();
    let mut drawn: Vec<Vec<String>> = vec![vec![]; FLOORS.len()];
    for row in page.lines() {
        let mut cells = row.split('|').map(str::trim).skip(1);
        if let Some(number) = cells.next().and_then(|cell| cell.parse::<usize>().ok()) {
            assert!(number < FLOORS.len(), "there is no floor {number}");
            drawn[number].extend(in_backticks(cells.next().unwrap()));
        }
    }
    drawn.iter_mut().for_each(|modules| modules.sort());
    assert_eq!(drawn, FLOORS, "docs/ARCHITECTURE.md draws other floors");

    let edges = page.split_once("<!-- same-floor edges -->").unwrap().1.split_once("\n\n").unwrap().0;
    let edges = in_backticks(edges);
    let named: Vec<_> = SAME_FLOOR.iter().map(|(from, to, _)| format!("{from} → {to}")).collect();
    assert_eq!(edges, named, "docs/ARCHITECTURE.md names other edges");

    let library = fs::read_to_string(root.join("src/lib.rs")).unwrap();
    let listed: Vec<_> =
        library.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';')).collect();
    assert_eq!(listed, FLOORS.concat(), "src/lib.rs lists the modules floor by floor");
}

#[test]
fn the_law_can_be_broken() {
    assert!(allowed("gate", "store") && allowed("proxy", "gate") && allowed("app_password", "audit"));
    assert!(
        !allowed("store", "protocol") && !allowed("gate", "proxy") && !allowed("account", "app_password")
    );
    assert!(!allowed("gate", "*"), "what cannot be told apart is not allowed");

    let names = |path: &str, code: &str| -> Vec<String> {
        root_paths(Path::new(path), code).into_iter().map(|(_, name)| name).collect()
    };
    let grouped = "use crate::{base::Clock, gate::{self, Grant}};\nlet x = crate::proxy::y;";
    assert_eq!(names("store/open.rs", grouped), ["base", "gate", "proxy"]);
    assert_eq!(names("store/open.rs", "use crate::*; use crate as all; use crate::{*};"), ["*", "*", "*"]);
    assert_eq!(
        names("gate/mod.rs", "use super::proxy::Bound; use super::{proxy, cli};"),
        ["proxy", "proxy", "cli"]
    );
    assert_eq!(names("gate/judge.rs", "use super::proxy; use super::super::proxy::Bound;"), ["proxy"]);
    assert_eq!(names("server.rs", "use super::cli;"), ["cli"]);
    assert_eq!(names("server.rs", "mod tests { use super::super::cli; }"), ["cli"]);

    let testing_first =
        "use a;\n#[cfg(test)]\nmod tests;\nuse tokio::net;\n#[cfg(test)]\nmod tests {\nuse b;";
    assert!(before_tests(testing_first).ends_with("use tokio::net;\n"));
    assert!(has_word("use tokio::net;", "tokio") && !has_word("tokio_free", "tokio"));
    assert_eq!(
        without_comments("let url = \"imaps://x\"; crate::y // crate::z"),
        "let url = \"imaps://x\"; crate::y "
    );
}

/// One module naming another.
struct Import {
    at: String,
    from: String,
    to: String,
}

fn imports() -> Vec<Import> {
    let mut imports = Vec::new();
    for file in source_files() {
        for (line, to) in root_paths(&file.path, &file.code) {
            let at = format!("{}:{line}", file.path.display());
            imports.push(Import { at, from: file.module.clone(), to });
        }
    }
    imports
}

/// Where `code` of `file` holds one of `words`.
fn found<'a>(file: &'a SourceFile, code: &'a str, words: &'a [&str]) -> impl Iterator<Item = String> {
    code.lines().enumerate().flat_map(move |(number, line)| {
        let held = words.iter().filter(move |word| has_word(line, word));
        held.map(move |word| format!("{}:{}: `{word}`", file.path.display(), number + 1))
    })
}

fn in_backticks(text: &str) -> Vec<String> {
    text.split('`').skip(1).step_by(2).map(str::to_owned).collect()
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

/// Without what follows `//`, unless that is part of a URL.
fn without_comments(text: &str) -> String {
    let strip = |line: &str| {
        let comment = line.match_indices("//").find(|(at, _)| !line[..*at].ends_with(':'));
        comment.map_or(line, |(at, _)| &line[..at]).to_owned()
    };
    text.lines().map(strip).collect::<Vec<_>>().join("\n")
}

/// What stands before a file's own tests, which come last. A module of tests that is only named here ends nothing.
fn before_tests(code: &str) -> &str {
    code.split_once("#[cfg(test)]\nmod tests {").map_or(code, |(before, _)| before)
}

/// Every top-level module named behind `crate::`, or behind as many `super::` as lead to the root, with its line;
/// `crate::{a::b, c}` names two. Whatever takes in the root as a whole is `*`.
fn root_paths(file: &Path, code: &str) -> Vec<(usize, String)> {
    let line = |at: usize| code[..at].matches('\n').count() + 1;
    let mut found = Vec::new();
    for (at, _) in code.match_indices("crate").filter(|(at, _)| is_word(code, *at, "crate")) {
        let rest = &code[at + "crate".len()..];
        let names = match rest.strip_prefix("::") {
            Some(rest) => heads(rest),
            None if rest.starts_with(" as ") => vec!["*".to_owned()],
            None => vec![],
        };
        found.extend(names.into_iter().map(|name| (line(at), name)));
    }
    // `a/b.rs` is two below the root, `a/mod.rs` and `a.rs` one.
    let depth = file.components().count() - usize::from(file.ends_with("mod.rs"));
    let to_root = "super::".repeat(depth);
    for (at, _) in code.match_indices(&to_root) {
        // Longer chains begin inside an inline module; then what follows the root may be a name of this module.
        if !code[..at].ends_with("super::") && is_word(code, at, "super") {
            let rest = code[at + to_root.len()..].trim_start_matches("super::");
            let names = heads(rest).into_iter().filter(|name| floor(name).is_some());
            found.extend(names.map(|name| (line(at), name)));
        }
    }
    found
}

/// The first names of what follows a `::`.
fn heads(path: &str) -> Vec<String> {
    match path.strip_prefix('{') {
        Some(group) => group_heads(group),
        None => vec![head(path)],
    }
}

fn head(path: &str) -> String {
    let path = path.trim_start();
    let name = identifier(path);
    if path.starts_with('*') || name == "self" { "*".to_owned() } else { name }
}

fn group_heads(group: &str) -> Vec<String> {
    let mut depth = 0;
    let mut heads = vec![head(group)];
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => heads.push(head(&group[at + 1..])),
            _ => {}
        }
    }
    heads.retain(|name| !name.is_empty());
    heads
}

fn identifier(text: &str) -> String {
    text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

fn has_word(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| is_word(line, at, word))
}

/// Whether the `word` that stands at `at` is no part of a longer one.
fn is_word(text: &str, at: usize, word: &str) -> bool {
    let boundary = |c: Option<char>| c.is_none_or(|c| !c.is_alphanumeric() && c != '_');
    boundary(text[..at].chars().next_back()) && boundary(text[at + word.len()..].chars().next())
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
        // Not a module: a macro or an item of the crate root. The root as a whole is all modules at once.
        _ => floor(to).is_none() && to != "*",
    }
}
