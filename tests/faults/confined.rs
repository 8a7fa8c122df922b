//! The gate under the confinement that the unit for systemd puts it in: whatever it does there it must be able to do.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixDatagram;
use std::process::Command;
use std::time::Duration;

use crate::readiness::reasons;
use crate::support::gate::BINARY;
use crate::support::{
    Gate, GateConfig, Guest, LegacyOptions, LegacyServer, Mail, PROTOCOLS, code, eventually, in_repository,
    log_in, run,
};
use crate::watch::Watch;
use crate::world::Browser;

/// Nobody's user and group: the confinement forbids to become another, as root could want to.
const NOBODY: &str = "65534";

/// Confines what follows, which sees of `/proc` nothing but processes.
fn confined(unit: &str) -> Vec<String> {
    let mounts = "mount -t proc -o subset=pid proc /proc && exec \"$@\"";
    let apart = ["unshare", "--mount", "sh", "-c", mounts, "sh"].map(str::to_owned);
    let script = in_repository("tests/faults/world/confine.py").display().to_string();
    let unprivileged =
        ["setpriv", &format!("--reuid={NOBODY}"), &format!("--regid={NOBODY}"), "--clear-groups"]
            .map(str::to_owned);
    [&apart[..], &unprivileged[..], &["/usr/bin/python3".into(), "-B".into(), script, unit.into()]].concat()
}

fn unit() -> String {
    in_repository("systemd/mailward.service").display().to_string()
}

/// Starts `gate` in it, and returns when it answers.
fn start(gate: &mut Gate) {
    let directory = gate.directory().display().to_string();
    run("chown", &["-R", &format!("{NOBODY}:{NOBODY}"), &directory], "").success();
    let words = [confined(&unit()), vec![BINARY.to_owned()]].concat();
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]);
    gate.start_as(command);
    gate.wait_until_it_answers();
    let status = fs::read_to_string(format!("/proc/{}/status", gate.pid())).expect("its status");
    let says = |line: &str| assert!(status.contains(line), "no `{line}` in {status}");
    says("Name:\tmailward\n");
    says("Seccomp:\t2\n");
    says("NoNewPrivs:\t1\n");
    says("CapEff:\t0000000000000000\n");
    let policies = policies_of_lanes(gate);
    assert!(!policies.is_empty() && policies.iter().all(|policy| policy == "3"), "SCHED_BATCH: {policies:?}");
}

/// How the threads of connections wait for a core: field 41 of proc_pid_stat(5).
fn policies_of_lanes(gate: &Gate) -> Vec<String> {
    let threads = fs::read_dir(format!("/proc/{}/task", gate.pid())).expect("its threads");
    let stats = threads.flatten().filter_map(|thread| fs::read_to_string(thread.path().join("stat")).ok());
    let lanes = stats.filter_map(|stat| Some(stat.split_once(" (lane) ")?.1.to_owned()));
    lanes.filter_map(|behind_the_name| behind_the_name.split(' ').nth(41 - 3).map(str::to_owned)).collect()
}

/// Where the trail's chains are said to be kept.
fn places(gate: &Gate) -> Vec<String> {
    let asks = "import sqlite3, sys; \
                [print(*row) for row in sqlite3.connect(sys.argv[1]).execute('SELECT DISTINCT place FROM audit_heads')]";
    let database = gate.directory().join("data/mailward.db").display().to_string();
    run("python3", &["-c", asks, &database], "").stdout.lines().map(str::to_owned).collect()
}

fn logs_in(gate: &Gate, user: &str, password: &str) {
    for mail in PROTOCOLS {
        let reply = log_in(gate, mail, user, password);
        assert!(mail.is_yes(&reply), "{mail:?}: {reply}");
    }
}

/// From its start to its end, in front of real servers that are called by name.
#[test]
fn under_the_units_filter_of_system_calls_everything_works() {
    let legacy = LegacyServer::start(LegacyOptions::default().fast_auth());
    let config = GateConfig::in_front_of(&legacy).mailing_through(&legacy).portal_at("127.0.0.1").uncounted();
    let (config, watch) = Watch::of(config);
    let mut gate = Gate::prepare(config);
    let ca_file = gate.directory().join("legacy.pem");
    fs::copy(legacy.ca_file(), &ca_file).expect("the authority");
    gate.edit(&legacy.ca_file().display().to_string(), &ca_file.display().to_string());
    gate.edit(
        &format!("\"{}:{}\"", legacy.host(), legacy.port("imap")),
        &format!("\"localhost:{}\"", legacy.port("imap")),
    );
    let manager = UnixDatagram::bind(gate.directory().join("notify")).expect("a socket");
    manager.set_read_timeout(Some(Duration::from_secs(20))).expect("a deadline");
    gate.set_environment("NOTIFY_SOCKET", &gate.directory().join("notify").display().to_string());
    start(&mut gate);
    let mut heard = [0; 256];
    let length = manager.recv(&mut heard).expect("it says that it is ready");
    assert!(heard[..length].starts_with(b"READY=1\n"), "{}", String::from_utf8_lossy(&heard[..length]));
    // What commands make belongs to whom the folder belongs to.
    let (user, password) = legacy.user(0);
    logs_in(&gate, user, password);
    let secret = gate.bind_totp(user);
    let made = gate.app_password(user, password, &[]);
    logs_in(&gate, user, &made.password);
    for mail in PROTOCOLS {
        assert!(!mail.is_yes(&log_in(&gate, mail, user, "wrong")));
        assert!(!mail.is_yes(&log_in(&gate, mail, user, password)), "he has a second factor");
    }

    let browser = Browser::before(&gate);
    assert!(browser.signs_in_with(user, password, &code(&secret, 0)), "the code is right");
    logs_in(&gate, user, &browser.gets_one(&browser.form()));
    assert_eq!(browser.status("/second-factors"), 200);
    eventually("he is told of it by mail", || !legacy.mails(user).is_empty());

    // A session that is open while it reloads and is ended by a revocation.
    let mut guest = Guest::at(&gate, Mail::Imap);
    assert!(Mail::Imap.is_yes(&guest.log_in(user, &made.password)));
    gate.edit("[limits]", "[limits]\nauth_deadline = \"50s\"");
    assert!(gate.reload().contains(" INFO reloaded"), "{}", gate.log());
    assert!(guest.wire.imap("n", "NOOP").contains("n OK"));
    gate.cli(&["app-password", "revoke", user, &made.id]).success();
    guest.wire.rest();

    assert!(reasons(&watch).is_empty());
    assert!(watch.number("process_open_fds") > 1.0);
    gate.cli(&["audit", "verify"]).success();
    assert_eq!(gate.stop(), Some(0), "an orderly end");
    let trail = gate.directory().join("data/audit");
    let here = format!("{}:{}", run("uname", &["-n"], "").stdout.trim(), trail.display());
    assert_eq!(places(&gate), [here], "whoever runs `audit verify` outside finds the same place");
    start(&mut gate);
    assert_eq!(gate.stop(), Some(0), "and another");
    gate.cli(&["audit", "verify"]).success();
}

/// A confinement that forbids nothing would prove nothing.
#[test]
fn what_the_unit_forbids_ends_who_does_it() {
    let directory = tempfile::tempdir().expect("a directory");
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o777)).expect("its mode");
    let does = |what: &str| {
        let words = [confined(&unit()), vec!["/usr/bin/python3".into(), "-c".into(), what.into()]].concat();
        run(&words[0], &words[1..], "")
    };
    does("import socket; socket.socket(socket.AF_INET); socket.socket(socket.AF_UNIX)").success();
    let refused = does("import socket; socket.socket(socket.AF_NETLINK)");
    assert!(refused.stderr.contains("Address family not supported"), "{refused:?}");
    for forbidden in [
        "import os; os.chown('.', -1, -1)",
        "import os; os.chroot('.')",
        "import ctypes; ctypes.CDLL(None).unshare(0x10000000)",
        "import os; os.nice(1); os.setpriority(os.PRIO_PROCESS, 0, 1)",
        "import mmap; mmap.mmap(-1, 4096, prot=mmap.PROT_WRITE | mmap.PROT_EXEC)",
    ] {
        let ended = does(forbidden);
        // As a shell says it: by SIGSYS.
        assert!([128 + 31, -1].contains(&ended.status) && ended.stderr.is_empty(), "{forbidden}: {ended:?}");
    }
}
