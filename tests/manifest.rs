//! What the manifest and the lock file promise: where everything comes from, what is not among it, and which mistakes of our
//! own code the compiler does not let pass.
#![expect(clippy::unwrap_used, reason = "a file of the repository that cannot be read fails the test")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use toml::{Table, Value};

/// Where every dependency comes from.
const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// What asks others over HTTP, and could be led on by an answer.
const HTTP_CLIENTS: [&str; 14] = [
    "attohttpc",
    "awc",
    "curl",
    "hyper-rustls",
    "hyper-tls",
    "isahc",
    "minreq",
    "oauth2",
    "reqwest",
    "surf",
    "tonic",
    "ureq",
    "wreq",
    "xh",
];

/// What makes templates out of text while it runs.
const TEMPLATE_ENGINES: [&str; 6] = ["handlebars", "liquid", "minijinja", "mustache", "rhai", "tera"];

fn parsed(name: &str) -> Table {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap().parse().unwrap()
}

/// The names of all that a release is built of: what the manifest names for it, and what that needs in turn.
fn in_a_release() -> BTreeSet<String> {
    let lock = parsed("Cargo.lock");
    let mut needs: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for package in lock["package"].as_array().unwrap() {
        let dependencies = package.get("dependencies").and_then(Value::as_array).into_iter().flatten();
        // "name", or "name version" where there are several.
        let names = dependencies.filter_map(|one| one.as_str()?.split(' ').next());
        needs.entry(package["name"].as_str().unwrap()).or_default().extend(names);
    }
    let manifest = parsed("Cargo.toml");
    let mut pending: Vec<&str> =
        manifest["dependencies"].as_table().unwrap().keys().map(String::as_str).collect();
    let mut found = BTreeSet::new();
    while let Some(name) = pending.pop() {
        if found.insert(name.to_owned()) {
            pending.extend(needs.get(name).into_iter().flatten());
        }
    }
    assert!(found.len() > 100 && found.contains("hyper") && !found.contains("fantoccini"), "{found:?}");
    found
}

fn level(of: &str, lint: &str) -> String {
    parsed("Cargo.toml")["lints"][of][lint].as_str().unwrap_or_default().to_owned()
}

#[test]
fn everything_comes_from_the_registry_with_its_checksum() {
    let lock = parsed("Cargo.lock");
    let mut of_others = 0;
    for package in lock["package"].as_array().unwrap() {
        let name = package["name"].as_str().unwrap();
        if name == env!("CARGO_PKG_NAME") {
            continue;
        }
        assert_eq!(package.get("source").and_then(Value::as_str), Some(REGISTRY), "{name}");
        let checksum = package.get("checksum").and_then(Value::as_str).unwrap_or_default();
        assert_eq!(checksum.len(), 64, "{name}");
        of_others += 1;
    }
    assert!(of_others > 100, "{of_others}");
    let sources = &parsed("deny.toml")["sources"];
    for of in ["unknown-registry", "unknown-git"] {
        assert_eq!(sources[of].as_str(), Some("deny"), "{of}");
    }
}

#[test]
fn nothing_in_a_release_asks_others_over_http() {
    let there = in_a_release();
    let clients: Vec<_> = HTTP_CLIENTS.iter().filter(|name| there.contains(**name)).collect();
    assert!(clients.is_empty(), "{clients:?}");
    for of in ["hyper", "hyper-util"] {
        let features = parsed("Cargo.toml")["dependencies"][of]["features"].as_array().unwrap().clone();
        assert!(
            features.iter().all(|one| one.as_str().is_some_and(|one| !one.starts_with("client"))),
            "{of}"
        );
    }
}

#[test]
fn nothing_in_a_release_makes_templates_while_it_runs() {
    let there = in_a_release();
    let engines: Vec<_> = TEMPLATE_ENGINES.iter().filter(|name| there.contains(**name)).collect();
    assert!(engines.is_empty(), "{engines:?}");
}

#[test]
fn numbers_of_our_code_do_not_wrap_around_in_a_release() {
    let manifest = parsed("Cargo.toml");
    let checks = &manifest["profile"]["release"]["package"]["mailward"]["overflow-checks"];
    assert_eq!(checks.as_bool(), Some(true));
}

#[test]
fn closed_sets_are_matched_without_a_rest() {
    // `cargo clippy` denies warnings in `scripts/test`.
    assert!(["warn", "deny"].contains(&level("clippy", "wildcard_enum_match_arm").as_str()));
    let script = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/test")).unwrap();
    assert!(script.contains("clippy") && script.contains("-D warnings"), "{script}");
}
