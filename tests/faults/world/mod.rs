//! What the tests break, and with what: a network, disks and system calls of their own.

mod browser;
mod cluster;
mod disk;
mod lock;
mod people;
mod relay;
mod strace;

pub(crate) use browser::{Browser, Form};
pub(crate) use cluster::Cluster;
pub(crate) use disk::{Ext4, Tmpfs};
pub(crate) use lock::Lock;
pub(crate) use people::{
    ADA, MAILBOX_PASSWORD, People, told_unavailable_or_in, told_yes_before_it_is_killed,
};
pub(crate) use relay::{Flow, Relay};
pub(crate) use strace::{Strace, is_allowed, started_with};

use std::any::type_name;
use std::env;
use std::process::Command;

use crate::support::run;

/// Names the test whose world this process is.
const MARK: &str = "MAILWARD_TEST_APART";

/// A network of its own (with nothing but loopback), mounts and processes of its own: what is broken in there breaks
/// nothing else, and however the test ends, nothing of it is left.
const APART: [&str; 8] =
    ["--net", "--mount", "--propagation=private", "--pid", "--fork", "--kill-child", "--mount-proc", "--"];

/// Runs a test in a world of its own: this program again, for that one test.
pub(crate) fn apart<T: FnOnce()>(test: T) {
    // `faults::database::sqlite::name_of_the_test::{{closure}}`
    let path = type_name::<T>().trim_end_matches("::{{closure}}");
    let name = path.split_once("::").expect("a path in a crate").1;
    if env::var_os(MARK).is_some_and(|mark| mark == *name) {
        run("ip", &["link", "set", "lo", "up"], "").success();
        return test();
    }
    let tried = run("unshare", &[&APART[..], &["true"]].concat(), "");
    assert_eq!(
        tried.status, 0,
        "this test breaks a network, a disk or a process of its own making, and needs the right to make them, as \
         root has: {}",
        tried.stderr
    );
    let program = env::current_exe().expect("this program");
    let mut again = Command::new("unshare");
    again.args(APART).arg(program).args(["--exact", name, "--nocapture"]).env(MARK, name);
    let status = again.status().expect("unshare");
    assert!(status.success(), "it failed in its own world: see above");
}

/// From now on what is sent to or from that port of this world is lost on its way.
pub(crate) fn black_hole(port: u16) {
    let rules = format!(
        "add table inet faults
         add chain inet faults lost {{ type filter hook output priority 0; }}
         add rule inet faults lost tcp dport {port} drop
         add rule inet faults lost tcp sport {port} drop"
    );
    run("nft", &["-f", "-"], &rules).success();
}

/// Nothing is lost any more.
pub(crate) fn mend_the_network() {
    run("nft", &["flush", "ruleset"], "").success();
}
