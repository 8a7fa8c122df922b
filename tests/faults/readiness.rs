//! `/readyz`, `/healthz` and `mailward_ready`, while what a gate stands on is broken: a balancer sends nobody to a gate that
//! cannot let anybody in, and nobody restarts it for that.

use serde_json::Value;

use crate::support::table::UNAVAILABLE;
use crate::support::{Mail, eventually, log_in};
use crate::watch::Watch;
use crate::world::{ADA, Cluster, Flow, People, Relay, Tmpfs, apart};

/// Why it is not ready; nothing if it is. It is alive in any case.
pub(crate) fn reasons(watch: &Watch) -> Vec<String> {
    assert_eq!(watch.get("/healthz"), (200, "ok\n".to_owned()), "the process answers");
    let (status, body) = watch.get("/readyz");
    let said: Value = serde_json::from_str(&body).unwrap_or_else(|_| panic!("no JSON: {body}"));
    let reasons: Vec<String> = serde_json::from_value(said["reasons"].clone()).expect("reasons");
    assert_eq!(
        (&said["ready"], status == 200),
        (&Value::Bool(reasons.is_empty()), reasons.is_empty()),
        "{body}"
    );
    assert!([200, 503].contains(&status), "{status}");
    reasons
}

fn becomes_ready(watch: &Watch) {
    eventually("it is ready", || reasons(watch).is_empty());
    eventually("the gauge says so", || watch.number("mailward_ready") > 0.5);
}

/// A database that has just failed may be slow to say so, and a busy one slow to answer.
fn becomes_unready(watch: &Watch, reason: &str) {
    eventually(reason, || reasons(watch) == [reason]);
    assert!(watch.number("mailward_ready") < 0.5);
}

#[test]
fn while_the_database_is_broken_a_gate_is_alive_and_not_ready() {
    apart(|| {
        let mut cluster = Cluster::start();
        let relay = Relay::to(cluster.port());
        let (people, watch, ()) =
            People::arrive_watched(|config| config.database(&cluster.url_by(relay.port())), |_| ());
        becomes_ready(&watch);

        relay.set(Flow::Stopped);
        becomes_unready(&watch, "the database does not answer in time");
        relay.set(Flow::Free);
        becomes_ready(&watch);

        cluster.sql(&["ALTER TABLE site RENAME TO lost"]);
        becomes_unready(&watch, "the database cannot be read");
        cluster.sql(&["ALTER TABLE lost RENAME TO site"]);
        becomes_ready(&watch);

        // A proof stands alone for a minute after its row was read.
        people.are_let_in_again();
        cluster.kill();
        becomes_unready(&watch, "the database cannot be read");
        let reply = log_in(&people.gate, Mail::Imap, ADA, &people.never_used.password);
        UNAVAILABLE.check(Mail::Imap, &reply);
        people.are_let_in_again();
        cluster.start_again();
        becomes_ready(&watch);
        people.are_let_in(&people.never_used.password);
    });
}

#[test]
fn while_the_trail_cannot_be_written_a_gate_is_alive_and_not_ready() {
    apart(|| {
        let (people, watch, disk) = People::arrive_watched(
            |config| config.set(&["audit", "directory"], "trail").set(&["audit", "reserve"], "0"),
            |gate| Tmpfs::mount(&gate.directory().join("trail"), "1m"),
        );
        becomes_ready(&watch);
        let filled = disk.fill();
        let mut told = String::new();
        eventually("there is no room for a record", || {
            told = log_in(&people.gate, Mail::Imap, ADA, &people.known.password);
            !Mail::Imap.is_yes(&told)
        });
        UNAVAILABLE.check(Mail::Imap, &told);
        becomes_unready(&watch, "the audit trail cannot be written");
        drop(filled);
        // The first who comes finds out.
        eventually("there is room", || {
            let reply = log_in(&people.gate, Mail::Imap, ADA, &people.known.password);
            Mail::Imap.is_yes(&reply)
        });
        becomes_ready(&watch);
        people.gate.cli(&["audit", "verify"]).success();
    });
}
