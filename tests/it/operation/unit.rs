//! The units for systemd: as tight as was promised, understood by systemd, and of the ports that the configuration has.

use std::fs;

use tempfile::TempDir;
use toml::Table;

use crate::support::{in_repository, run};

const BINARY: &str = env!("CARGO_BIN_EXE_mailward");

/// Ten times the exposure level that `systemd-analyze security` may find.
const EXPOSURE_MAX: &str = "16";

#[test]
fn the_service_is_exposed_no_more_than_was_promised() {
    let unit = in_repository("systemd/mailward.service");
    let unit = unit.to_str().expect("a path");
    let arguments =
        ["security", "--no-pager", "--offline=true", &format!("--threshold={EXPOSURE_MAX}"), unit];
    run("systemd-analyze", &arguments, "").success();
}

#[test]
fn systemd_understands_the_units() {
    let directory = TempDir::new().expect("a directory");
    let mut paths = Vec::new();
    for name in ["mailward.service", "mailward.socket"] {
        let text = fs::read_to_string(in_repository("systemd").join(name)).expect("a unit");
        let path = directory.path().join(name);
        fs::write(&path, text.replace("/usr/bin/mailward", BINARY)).expect("a unit");
        paths.push(path.display().to_string());
    }
    let mut arguments = vec!["verify", "--man=no", "--recursive-errors=no"];
    arguments.extend(paths.iter().map(String::as_str));
    let outcome = run("systemd-analyze", &arguments, "");
    let said = format!("{}{}", outcome.stdout, outcome.stderr);
    // What it says of units of this machine is not ours.
    let ours: Vec<_> = said.lines().filter(|line| line.contains("mailward")).collect();
    assert!(ours.is_empty(), "{ours:?}");
}

#[test]
fn the_socket_unit_has_the_ports_of_the_reference_configuration() {
    let config = fs::read_to_string(in_repository("config/mailward.toml")).expect("the reference");
    let config: Table = config.parse().expect("TOML");
    let listeners = config["listener"].as_array().expect("listeners").iter();
    let mut wanted: Vec<_> =
        listeners.map(|one| one["address"].as_str().expect("an address").to_owned()).collect();
    let unit = fs::read_to_string(in_repository("systemd/mailward.socket")).expect("the unit");
    let streams = unit.lines().filter_map(|line| line.strip_prefix("ListenStream="));
    let mut streams: Vec<_> = streams.map(|port| format!("[::]:{port}")).collect();
    wanted.sort();
    streams.sort();
    assert_eq!(streams, wanted);
}
