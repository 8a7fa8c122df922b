//! PostgreSQL answers, and does not do what it is asked: it may not write, what is asked for is locked, or its disk is full.

use crate::readiness::reasons;
use crate::support::table::UNAVAILABLE;
use crate::support::{Mail, log_in};
use crate::world::{ADA, Cluster, Lock, MAILBOX_PASSWORD, People, apart};

use super::postgres::{PATIENCE, is_as_if_nothing_had_been, only_what_was_proven_gets_in};

#[test]
fn while_it_may_not_write_whoever_is_known_gets_in_and_nothing_is_half_done() {
    apart(|| {
        let cluster = Cluster::start();
        let (mut people, watch, ()) =
            People::arrive_watched(|config| config.database(cluster.url()).portal_at("127.0.0.1"), |_| ());
        let (browser, form) = people.sign_in();
        let labels = people.labels();
        let read_only = |setting: &str| {
            let set = format!("ALTER SYSTEM SET default_transaction_read_only = {setting}");
            cluster.sql(&["SET default_transaction_read_only = off", &set, "SELECT pg_reload_conf()"]);
            // Each connection hears of it before its next statement, and those that are new at once.
            while cluster.sql(&["SHOW default_transaction_read_only"]).trim() != setting {}
        };
        read_only("on");
        assert_eq!(browser.status("/app-passwords"), 200, "what is there can be read");
        people.are_let_in_again();
        people.are_let_in(&people.never_used.password);
        people.sessions_go_on();
        people.hear_unavailable("newcomer", MAILBOX_PASSWORD, PATIENCE);
        assert_ne!(people.make_one().status, 0);
        browser.hears_unavailable(&form);
        for command in [&["account", "suspend", ADA][..], &["factor", "totp", ADA, "--json"]] {
            let outcome = people.gate.cli(command);
            assert!(outcome.status != 0 && outcome.stdout.is_empty(), "{outcome:?}");
        }
        assert_eq!(people.labels(), labels, "no half of a row, and they can be read");
        assert!(reasons(&watch).is_empty(), "who is known gets in");
        people.are_let_in_again();
        read_only("off");
        people.newcomers_are_let_in("newcomer");
        people.are_let_in(&browser.gets_one(&form));
        people.make_one().success();
        people.sessions_go_on();
        people.gate.cli(&["audit", "verify"]).success();
    });
}

#[test]
fn while_somebody_has_its_tables_only_what_was_proven_gets_in_and_then_all_is_as_before() {
    apart(|| {
        let cluster = Cluster::start();
        let mut people = People::on(&cluster);
        let (browser, form) = people.sign_in();
        let labels = people.labels();
        let lock = Lock::hold_tables(cluster.url(), "accounts, app_passwords");
        only_what_was_proven_gets_in(&mut people, &browser, &form);
        drop(lock);
        is_as_if_nothing_had_been(&mut people, &browser, &form, &labels);
    });
}

/// What fits into the last page of a table still fits when the disk is full: it becomes full bit by bit.
#[test]
fn while_its_disk_is_full_whoever_is_known_gets_in_and_nothing_is_half_done() {
    apart(|| {
        let cluster = Cluster::start_on_a_disk_of("128m");
        let mut people = People::on(&cluster);
        let (browser, form) = people.sign_in();
        let before = people.labels().len();
        let filled = cluster.fill();
        let mut told = Vec::new();
        let refused = (0..3000).find_map(|number| {
            let user = format!("newcomer{number}@example.test");
            let reply = log_in(&people.gate, Mail::Imap, &user, MAILBOX_PASSWORD);
            if Mail::Imap.is_yes(&reply) {
                told.push(user);
                return None;
            }
            Some(reply)
        });
        UNAVAILABLE.check(Mail::Imap, &refused.expect("the disk is never full"));
        people.are_let_in_again();
        people.are_let_in(&people.never_used.password);
        people.sessions_go_on();
        // They may have room still, or not.
        let made = (0..3).filter(|_| people.make_one().status == 0).count();
        let shown = usize::from(browser.makes_one(&form));
        people.are_let_in_again();
        drop(filled);
        people.newcomers_are_let_in("latecomer");
        assert_eq!(people.labels().len(), before + made + shown, "what was told of, and no half of a row");
        let accounts = people.gate.cli(&["account", "list", "--json"]).success();
        for user in &told {
            assert!(accounts.contains(user.as_str()), "{user} was let in, and has no account");
        }
        people.make_one().success();
        people.are_let_in(&browser.gets_one(&browser.form()));
        people.sessions_go_on();
        people.gate.cli(&["audit", "verify"]).success();
    });
}
