//! Two gates on one PostgreSQL: one dies, or loses the database.

use std::thread;
use std::time::{Duration, Instant};

use crate::support::table::{NOT_LET_IN, UNAVAILABLE};
use crate::support::{Fake, Gate, GateConfig, Guest, Mail, PROTOCOLS, UpstreamTls, eventually, log_in};
use crate::world::{
    ADA, Cluster, Flow, MAILBOX_PASSWORD, People, Relay, apart, told_yes_before_it_is_killed,
};

/// The people's gate and another, each with its own way to the database.
fn two_gates(cluster: &Cluster) -> ([Relay; 2], People, Gate) {
    let ways = [(); 2].map(|()| Relay::to(cluster.port()));
    let database = |config: GateConfig, way: &Relay| config.database(&cluster.url_by(way.port()));
    let (people, ()) = People::arrive(|config| database(config, &ways[0]), |_| ());
    let fakes = people.fakes.iter().collect::<Vec<_>>();
    let config = GateConfig::in_front_of_fakes(&fakes, UpstreamTls::None).uncounted();
    let other = people.gate.join(database(config, &ways[1]));
    (ways, people, other)
}

fn lets_in(gate: &Gate, password: &str) {
    for mail in PROTOCOLS {
        let reply = log_in(gate, mail, ADA, password);
        assert!(mail.is_yes(&reply), "{mail:?}: {reply}");
    }
}

#[test]
fn when_a_node_dies_no_credential_is_lost_and_no_record_that_somebody_was_told_of() {
    apart(|| {
        let cluster = Cluster::start();
        let (_ways, mut people, other) = two_gates(&cluster);
        let told = told_yes_before_it_is_killed(&people.gate, "somebody", Duration::from_secs(1));
        people.gate.kill();

        lets_in(&other, &people.known.password);
        lets_in(&other, &people.never_used.password);
        NOT_LET_IN.check(Mail::Imap, &log_in(&other, Mail::Imap, ADA, MAILBOX_PASSWORD));
        other.cli(&["app-password", "revoke", ADA, &people.never_used.id]).success();
        NOT_LET_IN.check(Mail::Imap, &log_in(&other, Mail::Imap, ADA, &people.never_used.password));
        other.cli(&["audit", "verify"]).success();

        // What the dead one had not told the database is on its disk.
        people.gate.cli(&["audit", "verify"]).success();
        people.gate.cli(&["account", "add", "afterwards@example.test"]).success();
        let search = ["audit", "search", "--outcome", "admitted", "--limit", "100000", "--json"];
        let found = other.cli(&search).json().to_string();
        for user in &told {
            assert!(found.contains(user.as_str()), "{user} was told yes, and it is not on record");
        }
        people.gate.start_again();
        people.come_in();
    });
}

#[test]
fn a_node_that_loses_the_database_judges_nobody_and_hears_of_everything_when_it_is_back() {
    apart(|| {
        let cluster = Cluster::start();
        let ([_other_way, way], people, mut other) = two_gates(&cluster);
        let bert = "bert@example.test";
        let his = [(); 2].map(|()| people.gate.app_password(bert, MAILBOX_PASSWORD, &[]));
        lets_in(&other, &people.known.password);
        let mut guest = Guest::at(&other, Mail::Imap);
        assert!(Mail::Imap.is_yes(&guest.log_in(ADA, &people.known.password)));
        let all = his.iter().map(|his| (bert, his)).chain([(ADA, &people.known)]);
        let reached = all.map(|(user, app_password)| {
            let mut guest = Guest::at(&people.gate, Mail::Imap);
            assert!(Mail::Imap.is_yes(&guest.log_in(user, &app_password.password)));
            (user, app_password, guest.wire)
        });
        let reached = reached.collect::<Vec<_>>();

        way.set(Flow::Stopped);
        let took = reached.into_iter().map(|(user, app_password, mut wire)| {
            people.gate.cli(&["app-password", "revoke", user, &app_password.id]).success();
            let revoked = Instant::now();
            wire.rest();
            revoked.elapsed()
        });
        let took = took.collect::<Vec<_>>();
        assert!(took.iter().all(|took| *took < Duration::from_secs(1)), "{took:?} to reach a node");

        // Whoever is in there stays, what was proven there a moment ago still is, and nobody can guess.
        let asked = people.fakes.iter().map(Fake::conversations).sum::<usize>();
        assert!(guest.wire.imap("n", "NOOP").contains("n OK"));
        thread::scope(|scope| {
            for number in 0..6 {
                let other = &other;
                scope.spawn(move || {
                    let mail = PROTOCOLS[number % 3];
                    UNAVAILABLE.check(mail, &log_in(other, mail, ADA, &format!("guess {number}")));
                    let somebody = format!("somebody{number}@example.test");
                    UNAVAILABLE.check(mail, &log_in(other, mail, &somebody, MAILBOX_PASSWORD));
                });
            }
        });
        let asked_now = people.fakes.iter().map(Fake::conversations).sum::<usize>();
        assert_eq!(asked_now, asked, "nothing was sent upstream that nobody could count");
        lets_in(&other, &people.known.password);

        way.set(Flow::Free);
        let back = Instant::now();
        guest.wire.rest();
        assert!(back.elapsed() < Duration::from_secs(5), "{:?} to hear of it", back.elapsed());
        eventually("it refuses what was revoked", || {
            let reply = log_in(&other, Mail::Imap, ADA, &people.known.password);
            assert!(!Mail::Imap.is_yes(&reply), "{reply}");
            reply.contains("AUTHENTICATIONFAILED")
        });
        lets_in(&other, &people.never_used.password);
        for gate in [&people.gate, &other] {
            gate.cli(&["audit", "verify"]).success();
        }
        other.stop();
        eventually("what it recorded alone is found", || people.came_to_nothing() >= 12);
    });
}
