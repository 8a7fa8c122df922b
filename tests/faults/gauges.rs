//! What waits is to be seen: gauges that rise while something is slow, and are back at nothing when it is not.

use std::thread;
use std::time::Duration;

use crate::support::{GateConfig, Mail, PROTOCOLS, eventually, log_in};
use crate::watch::Watch;
use crate::world::{ADA, Cluster, Flow, Lock, MAILBOX_PASSWORD, People, Relay, apart};

const QUEUE: &str = "mailward_argon2_queue";
const LAG: &str = "mailward_audit_lag_seconds";

fn is_nothing(watch: &Watch, gauge: &str) -> bool {
    watch.number(gauge).abs() < f64::EPSILON
}

/// After a restart nothing is proven: as many app passwords as there are clients have to be.
#[test]
fn while_many_are_to_be_proven_the_queue_is_seen_and_all_get_in() {
    let (mut people, watch, ()) = People::arrive_watched(|config| config, |_| ());
    let made = (0..12).map(|_| people.gate.app_password(ADA, MAILBOX_PASSWORD, &[]).password);
    let made = made.collect::<Vec<_>>();
    let mut most_that_waited = || {
        people.gate.stop();
        people.gate.start_again();
        assert!(is_nothing(&watch, QUEUE));
        let most = all_come(&people, &watch, &made);
        assert!(is_nothing(&watch, QUEUE));
        assert!(watch.number("mailward_proof_cache_misses_total") >= 12.0);
        assert!(is_nothing(&watch, "mailward_argon2_turned_away_total"));
        most
    };
    // Who looks may not have had a turn while they waited: they come again.
    assert!((0..10).any(|_| most_that_waited() > 0.5), "nobody was seen to wait");
}

/// They all log in at once. The longest queue that was seen meanwhile.
fn all_come(people: &People, watch: &Watch, made: &[String]) -> f64 {
    thread::scope(|scope| {
        let clients = made.iter().zip(PROTOCOLS.into_iter().cycle()).map(|(password, mail)| {
            let gate = &people.gate;
            scope.spawn(move || {
                let reply = log_in(gate, mail, ADA, password);
                assert!(mail.is_yes(&reply), "{mail:?}: {reply}");
            })
        });
        let clients = clients.collect::<Vec<_>>();
        let mut most = 0.0_f64;
        while clients.iter().any(|client| !client.is_finished()) {
            most = most.max(watch.number(QUEUE));
        }
        most
    })
}

/// Ada is let in and recorded; the database hears of it when it can.
fn lag_rises_and_falls(people: &People, watch: &Watch, broken: impl FnOnce()) {
    let logged_in = log_in(&people.gate, Mail::Imap, ADA, &people.known.password);
    assert!(Mail::Imap.is_yes(&logged_in), "{logged_in}");
    eventually("the database is behind", || watch.number(LAG) > 0.5);
    let before = watch.number(LAG);
    thread::sleep(Duration::from_millis(300));
    assert!(watch.number(LAG) > before, "it goes on to be");
    broken();
    eventually("it has caught up", || is_nothing(watch, LAG));
    people.gate.cli(&["audit", "verify"]).success();
}

#[test]
fn while_the_database_is_locked_or_stopped_it_is_seen_to_be_behind_the_trail() {
    apart(|| {
        let config = |config: GateConfig| config.set(&["database", "url"], "sqlite:own/mailward.db");
        let (people, watch, ()) = People::arrive_watched(config, |_| ());
        eventually("it knows of everything", || is_nothing(&watch, LAG));
        let lock = Lock::hold(&people.gate.directory().join("own/mailward.db"));
        lag_rises_and_falls(&people, &watch, || drop(lock));
        drop(people);

        let cluster = Cluster::start();
        let relay = Relay::to(cluster.port());
        let (people, watch, ()) =
            People::arrive_watched(|config| config.database(&cluster.url_by(relay.port())), |_| ());
        eventually("it knows of everything", || is_nothing(&watch, LAG));
        relay.set(Flow::Stopped);
        lag_rises_and_falls(&people, &watch, || relay.set(Flow::Free));
    });
}
