//! The gate is told to stop while people are at it.

use std::thread;
use std::time::{Duration, Instant};

use crate::support::{Gate, GateConfig, Guest, LegacyOptions, LegacyServer, Mail, Wire, eventually};
use crate::world::People;

/// A client in the middle of a message with that subject, to himself.
fn writing(gate: &Gate, user: &str, password: &str, subject: &str) -> Wire {
    let mut guest = Guest::at(gate, Mail::Smtp);
    let reply = guest.log_in(user, password);
    assert!(Mail::Smtp.is_yes(&reply), "{reply}");
    let mut wire = guest.wire;
    for (command, code) in
        [(format!("MAIL FROM:<{user}>"), "250"), (format!("RCPT TO:<{user}>"), "250"), ("DATA".into(), "354")]
    {
        let reply = wire.command(&command);
        assert!(reply.starts_with(code), "{command}: {reply}");
    }
    wire.send(format!("Subject: {subject}\r\n\r\nline 0\r\n"));
    wire
}

/// All that is in the mailbox, by the old server itself.
fn mailbox(legacy: &LegacyServer, user: &str, password: &str) -> String {
    let mut wire = Wire::open(legacy.host(), legacy.port("imap"));
    wire.line();
    assert!(wire.imap("a", &format!("LOGIN {user} \"{password}\"")).contains("a OK"));
    assert!(wire.imap("b", "SELECT INBOX").contains("b OK"));
    wire.imap("c", "FETCH 1:* BODY.PEEK[]")
}

#[test]
fn messages_in_flight_arrive_whole_and_once_and_half_a_message_does_not() {
    const LINES: usize = 12;
    let legacy = LegacyServer::start(LegacyOptions::default().fast_auth());
    let mut gate = Gate::start(GateConfig::in_front_of(&legacy).uncounted());
    let (user, password) = legacy.user(0);
    let mut whole =
        (0..4).map(|number| writing(&gate, user, password, &format!("whole {number}"))).collect::<Vec<_>>();
    let mut half = writing(&gate, user, password, "half");

    gate.signal("TERM");
    let told = Instant::now();
    for line in 1..LINES {
        thread::sleep(Duration::from_millis(40));
        for wire in &mut whole {
            wire.send(format!("line {line}\r\n"));
        }
    }
    let port = gate.port("smtp", true);
    assert!(
        Wire::try_open_from(std::net::Ipv4Addr::LOCALHOST, "127.0.0.1", port).is_err(),
        "it takes nobody"
    );
    for wire in &mut whole {
        let reply = wire.command(".");
        assert!(reply.starts_with("250 "), "{reply}");
    }
    half.rest();
    assert_eq!(gate.end(), Some(0), "an orderly end");
    assert!(told.elapsed() < Duration::from_secs(16), "{:?} to stop", told.elapsed());

    let mut found = String::new();
    eventually("all have arrived", || {
        found = mailbox(&legacy, user, password);
        (0..4).all(|number| found.contains(&format!("Subject: whole {number}\r\n")))
    });
    for line in 0..LINES {
        assert_eq!(found.matches(&format!("line {line}\r\n")).count(), 4, "{found}");
    }
    assert_eq!(found.matches("Subject: whole").count(), 4, "each once: {found}");
    assert!(!found.contains("Subject: half"), "{found}");
    gate.cli(&["audit", "verify"]).success();
}

/// Whoever sent a form in time sees what it made; of a form that came too late nothing is made.
#[test]
fn forms_in_flight_are_answered_or_have_made_nothing() {
    let (mut people, ()) = People::arrive(
        |config| config.set(&["policy", "app_passwords_per_account"], 1000).portal_at("127.0.0.1"),
        |_| (),
    );
    let (browser, form) = people.sign_in();
    let begun = Instant::now();
    let mut shown = vec![browser.gets_one(&form)];
    let mut patience = begun.elapsed();
    let before = people.labels().len();
    let (mut sent, mut rounds) = (0, 0);
    // A machine that pauses says little about how long it takes: more rounds, until some were and some were not in time.
    while rounds < 6 || (rounds < 24 && !(4..sent).contains(&shown.len())) {
        rounds += 1;
        let forms = (0..4).map(|_| browser.form()).collect::<Vec<_>>();
        let got = thread::scope(|scope| {
            let browser = &browser;
            let send = |form| scope.spawn(move || browser.may_get_one(form));
            let clients = forms.iter().map(send).collect::<Vec<_>>();
            thread::sleep(patience);
            people.gate.signal("TERM");
            clients.into_iter().map(|client| client.join().expect("a browser")).collect::<Vec<_>>()
        });
        assert_eq!(people.gate.end(), Some(0), "an orderly end");
        people.gate.start_again();
        sent += got.len();
        let late = got.iter().filter(|one| one.is_none()).count();
        patience = patience.mul_f64(if 2 * late < got.len() { 0.5 } else { 1.6 });
        shown.extend(got.into_iter().flatten());
        assert_eq!(people.labels().len() - before, shown.len() - 1, "each was shown that was made");
    }
    assert!((4..sent).contains(&shown.len()), "{} of {sent} were in time", shown.len());
    for password in &shown {
        people.are_let_in(password);
    }
    people.gate.cli(&["audit", "verify"]).success();
}
