//! PostgreSQL cannot be asked: whoever was proven a moment ago gets in, nobody else is judged, and nobody is told that
//! his password is wrong.

use std::time::{Duration, Instant};

use crate::world::{
    ADA, Browser, Cluster, Flow, Form, MAILBOX_PASSWORD, People, Relay, apart, black_hole, mend_the_network,
};

/// What one call to a database takes at most that does not answer, an attempt's first and only one, and some time to
/// come and go.
pub(super) const PATIENCE: Duration = Duration::from_secs(15);

/// While nobody can be looked up. Ada has `form` before her.
pub(super) fn only_what_was_proven_gets_in(people: &mut People, browser: &Browser, form: &Form) {
    people.are_let_in_again();
    people.hear_unavailable(ADA, &people.never_used.password, PATIENCE);
    people.hear_unavailable(ADA, MAILBOX_PASSWORD, PATIENCE);
    people.hear_unavailable(ADA, "not a password of hers", PATIENCE);
    people.hear_unavailable("newcomer", MAILBOX_PASSWORD, PATIENCE);
    people.sessions_go_on();
    let made = people.make_one();
    assert_ne!(made.status, 0, "{made:?}");
    let begun = Instant::now();
    browser.hears_unavailable(form);
    assert_eq!(browser.status("/app-passwords"), 503);
    assert!(begun.elapsed() < 2 * PATIENCE, "{:?} for two pages", begun.elapsed());
}

/// When it answers again.
pub(super) fn is_as_if_nothing_had_been(
    people: &mut People,
    browser: &Browser,
    form: &Form,
    labels: &[String],
) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while people.gate.cli(&["account", "list"]).status != 0 {
        assert!(Instant::now() < deadline, "the database does not come back");
    }
    // What the gate has of connections may be from before.
    people.newcomers_are_let_in("newcomer");
    people.are_let_in(&people.never_used.password);
    people.are_let_in_again();
    people.sessions_go_on();
    assert_eq!(people.labels(), labels, "no half of a row");
    people.make_one().success();
    people.are_let_in(&browser.gets_one(form));
    people.gate.cli(&["audit", "verify"]).success();
    people.gate.stop();
    assert_eq!(people.came_to_nothing(), 4 * 3, "each is on record");
}

#[test]
fn while_it_is_dead_only_what_was_proven_gets_in_and_then_all_is_as_before() {
    apart(|| {
        let mut cluster = Cluster::start();
        let mut people = People::on(&cluster);
        let (browser, form) = people.sign_in();
        let labels = people.labels();
        cluster.kill();
        only_what_was_proven_gets_in(&mut people, &browser, &form);
        cluster.start_again();
        is_as_if_nothing_had_been(&mut people, &browser, &form, &labels);
    });
}

#[test]
fn while_it_cannot_be_reached_only_what_was_proven_gets_in_and_then_all_is_as_before() {
    apart(|| {
        let cluster = Cluster::start();
        let mut people = People::on(&cluster);
        let (browser, form) = people.sign_in();
        let labels = people.labels();
        black_hole(cluster.port());
        only_what_was_proven_gets_in(&mut people, &browser, &form);
        mend_the_network();
        is_as_if_nothing_had_been(&mut people, &browser, &form, &labels);
    });
}

#[test]
fn while_it_is_slow_everybody_gets_in_all_the_same() {
    apart(|| {
        let cluster = Cluster::start();
        let relay = Relay::to(cluster.port());
        let (mut people, ()) = People::arrive(
            |config| config.database(&cluster.url_by(relay.port())).portal_at("127.0.0.1"),
            |_| (),
        );
        let (browser, form) = people.sign_in();
        relay.set(Flow::Slow(Duration::from_millis(150)));
        assert_eq!(browser.status("/app-passwords"), 200);
        people.are_let_in(&browser.gets_one(&form));
        people.are_let_in_again();
        people.are_let_in(&people.never_used.password);
        people.newcomers_are_let_in("patient");
        people.sessions_go_on();
        relay.set(Flow::Free);
        people.gate.cli(&["audit", "verify"]).success();
    });
}
