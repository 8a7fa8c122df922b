//! A gate that is told to stop: who waits is told to come back, what is under way is finished, nothing is cut off or
//! doubled, and it ends in time.

use std::thread;
use std::time::{Duration, Instant};

use super::enter;
use crate::support::{
    Answer, Fake, Gate, GateConfig, Guest, LegacyOptions, LegacyServer, Mail, Manner, UpstreamTls, Wire,
    eventually, plain,
};

const USER: (&str, &str) = ("user@example.test", "mailbox-password");

fn legacy() -> LegacyServer {
    LegacyServer::start(LegacyOptions::default().fast_auth().user(USER.0, USER.1))
}

/// Everything in the mailbox, as the server itself tells it.
fn mailbox(legacy: &LegacyServer) -> String {
    let mut wire = Wire::open(legacy.host(), legacy.port("imap"));
    wire.line();
    assert!(wire.imap("l", &format!("LOGIN {} {}", USER.0, USER.1)).contains("l OK"));
    assert!(wire.imap("s", "SELECT INBOX").contains("s OK"));
    wire.imap("f", "FETCH 1:* (BODY.PEEK[])")
}

/// A message to himself, up to its content.
fn begin_message(guest: &mut Guest) {
    begin_envelope(guest);
    let reply = guest.wire.command("DATA");
    assert!(reply.starts_with("354"), "{reply}");
}

/// From himself to himself.
fn begin_envelope(guest: &mut Guest) {
    for command in [format!("MAIL FROM:<{}>", USER.0), format!("RCPT TO:<{}>", USER.0)] {
        let reply = guest.wire.command(&command);
        assert!(reply.starts_with("250"), "{command}: {reply}");
    }
}

#[test]
fn whoever_waits_is_told_to_come_back_in_the_protocols_own_words() {
    let legacy = legacy();
    // What a service manager sends, and what comes from a keyboard.
    for signal in ["TERM", "INT"] {
        whoever_waits_is_told_to_come_back(&legacy, signal);
    }
}

fn whoever_waits_is_told_to_come_back(legacy: &LegacyServer, signal: &str) {
    let mut gate = Gate::start(GateConfig::in_front_of(legacy));
    let strangers = [Mail::Imap, Mail::Pop3, Mail::Smtp].map(|mail| Guest::at(&gate, mail));
    let mut idling = enter(&gate, Mail::Imap, USER.0, USER.1);
    assert!(idling.wire.imap("s", "SELECT INBOX").contains("s OK"));
    assert!(idling.wire.ask("i IDLE").starts_with("+ "));
    let mut resting = enter(&gate, Mail::Imap, USER.0, USER.1);
    assert!(resting.wire.imap("s", "EXAMINE INBOX").contains("s OK"));
    let pop3 = enter(&gate, Mail::Pop3, USER.0, USER.1);
    let smtp = enter(&gate, Mail::Smtp, USER.0, USER.1);

    let begun = Instant::now();
    gate.signal(signal);
    let [imap_stranger, pop3_stranger, smtp_stranger] = strangers;
    for (who, mut guest, words) in [
        ("an IMAP client before login", imap_stranger, "* BYE "),
        ("a POP3 client before login", pop3_stranger, ""),
        ("an SMTP client before login", smtp_stranger, "421 4.3.2 mail.example.test "),
        ("an IMAP client in IDLE", idling, "* BYE "),
        ("an IMAP client with a folder open", resting, "* BYE "),
        ("a POP3 client", pop3, ""),
        ("an SMTP client", smtp, "421 4.3.2 mail.example.test "),
    ] {
        let (heard, in_order) = guest.wire.end();
        assert!(
            heard.starts_with(words) && in_order,
            "{signal}: {who} heard `{heard}`, in order: {in_order}"
        );
        assert_eq!(heard.lines().count(), usize::from(!words.is_empty()), "{signal}: {who} heard `{heard}`");
    }
    assert_eq!(gate.ended(), Some(0));
    assert!(begun.elapsed() < Duration::from_secs(9), "nobody held it up: {:?}", begun.elapsed());
    assert!(gate.log().contains("stopped"));
}

#[test]
fn what_is_on_its_way_arrives_once_and_whole() {
    let legacy = legacy();
    let mut gate = Gate::start(GateConfig::in_front_of(&legacy).set(&["server", "drain"], "20s"));
    let mut sending = enter(&gate, Mail::Smtp, USER.0, USER.1);
    begin_message(&mut sending);
    sending.wire.send("Subject: slowly sent\r\n\r\nThe first line.\r\n");
    let mut saving = enter(&gate, Mail::Imap, USER.0, USER.1);
    let draft = "Subject: slowly saved\r\n\r\nThe first line.\r\nThe last line.\r\n";
    assert!(saving.wire.ask(&format!("a APPEND INBOX {{{}}}", draft.len())).starts_with("+ "));
    let (first, rest) = draft.split_at(40);
    saving.wire.send(first);
    // RFC 3030, section 2: so many octets, and no line ends them.
    let mut chunked = enter(&gate, Mail::Smtp, USER.0, USER.1);
    begin_envelope(&mut chunked);
    let chunk = "Subject: slowly sent in a chunk\r\n\r\nThe first line.\r\nThe last line.\r\n";
    let (first_of_chunk, rest_of_chunk) = chunk.split_at(50);
    chunked.wire.send(format!("BDAT {} LAST\r\n{first_of_chunk}", chunk.len()));
    // The upstream has them before the silence begins.
    thread::sleep(Duration::from_millis(200));
    gate.signal("TERM");
    // Longer than anybody idle may be silent.
    thread::sleep(Duration::from_millis(2500));
    saving.wire.send(format!("{rest}\r\n"));
    assert!(saving.wire.tagged("a").contains("a OK"));
    let (heard, in_order) = saving.wire.end();
    assert!(heard.starts_with("* BYE ") && in_order, "{heard}");
    chunked.wire.send(rest_of_chunk);
    sending.wire.send("The last line.\r\n.\r\n");
    for guest in [&mut chunked, &mut sending] {
        let reply = guest.wire.reply();
        assert!(reply.starts_with("250"), "{reply}");
        let (heard, in_order) = guest.wire.end();
        assert!(heard.starts_with("421 4.3.2 ") && in_order, "{heard}");
    }
    assert_eq!(gate.ended(), Some(0));
    eventually("all three are there, once and whole", || {
        let found = mailbox(&legacy);
        found.matches("Subject: slowly").count() == 3
            && found.matches("The first line.\r\nThe last line.\r\n").count() == 3
    });
}

#[test]
fn under_load_each_message_that_was_taken_is_there_once() {
    // It takes its time with the answer to a message: long enough for a gate that does not wait to cut it off.
    let slow = ["--postfix", "smtpd_end_of_data_restrictions = sleep 2"];
    let options = LegacyOptions::default().fast_auth().user(USER.0, USER.1);
    let legacy = LegacyServer::start(slow.into_iter().fold(options, LegacyOptions::with));
    let mut gate = Gate::start(GateConfig::in_front_of(&legacy).uncounted());
    let guests: Vec<_> = (0..6).map(|_| enter(&gate, Mail::Smtp, USER.0, USER.1)).collect();
    let senders = guests.into_iter().enumerate().map(|(sender, mut guest)| {
        thread::spawn(move || {
            let mut taken = Vec::new();
            for number in 0.. {
                let commands =
                    [format!("MAIL FROM:<{}>", USER.0), format!("RCPT TO:<{}>", USER.0), "DATA".to_owned()];
                for command in commands {
                    if guest.wire.try_send(format!("{command}\r\n")).is_err() {
                        return taken;
                    }
                    let reply = guest.wire.reply();
                    if reply.is_empty() || reply.starts_with("421") {
                        return taken;
                    }
                }
                let name = format!("<{sender}.{number}>");
                for line in [
                    format!("Subject: {name}\r\n\r\n"),
                    format!("begin {name}\r\n"),
                    format!("end {name}\r\n"),
                ] {
                    if guest.wire.try_send(line).is_err() {
                        return taken;
                    }
                    thread::sleep(Duration::from_millis(30));
                }
                if guest.wire.try_send(".\r\n").is_err() || !guest.wire.reply().starts_with("250") {
                    return taken;
                }
                taken.push(name);
            }
            taken
        })
    });
    let senders: Vec<_> = senders.collect();
    thread::sleep(Duration::from_millis(3000));
    let begun = Instant::now();
    gate.signal("TERM");
    let taken: Vec<String> = senders.into_iter().flat_map(|one| one.join().expect("a sender")).collect();
    assert_eq!(gate.ended(), Some(0));
    assert!(begun.elapsed() < Duration::from_secs(8), "between two messages: {:?}", begun.elapsed());
    assert!(taken.len() >= 6, "{taken:?}");
    // What nobody was told of would come later.
    thread::sleep(Duration::from_millis(2500));
    let mut found = String::new();
    eventually("all that were taken are delivered", || {
        found = mailbox(&legacy);
        found.matches("Subject: <").count() >= taken.len()
    });
    for name in &taken {
        let whole = format!("begin {name}\r\nend {name}\r\n");
        assert_eq!(found.matches(&whole).count(), 1, "{name}");
    }
    let subjects = found.matches("Subject: <").count();
    assert_eq!(subjects, found.matches("begin <").count(), "nothing is cut off");
    assert_eq!(subjects, found.matches("end <").count(), "nothing is cut off");
    assert_eq!(subjects, taken.len(), "nothing is doubled, and what is there was taken");
}

#[test]
fn whoever_never_finishes_is_waited_for_no_longer_than_it_says() {
    let legacy = legacy();
    let mut gate = Gate::start(GateConfig::in_front_of(&legacy).set(&["server", "drain"], "3s"));
    let mut guest = enter(&gate, Mail::Smtp, USER.0, USER.1);
    begin_message(&mut guest);
    guest.wire.send("Subject: never sent\r\n\r\nThe first line.\r\n");
    let begun = Instant::now();
    gate.signal("TERM");
    let (heard, _) = guest.wire.end();
    assert_eq!(heard, "", "in the middle of a message there is no word");
    let waited = begun.elapsed();
    assert!((Duration::from_millis(2900)..Duration::from_secs(7)).contains(&waited), "{waited:?}");
    assert_eq!(gate.ended(), Some(0));
    assert!(!mailbox(&legacy).contains("never sent"), "half a message is none");
}

#[test]
fn a_login_that_the_old_server_does_not_answer_is_answered_and_recorded_all_the_same() {
    let upstream = Fake::start(Mail::Imap);
    upstream.behave(Manner { login: Answer::Silence, ..Manner::friendly(Mail::Imap) });
    let config = GateConfig::in_front_of_fakes(&[&upstream], UpstreamTls::None);
    let mut gate = Gate::start(config.set(&["server", "drain"], "1s"));
    let mut guest = Guest::at(&gate, Mail::Imap);
    guest.wire.send(format!("a LOGIN {} {}\r\n", USER.0, USER.1));
    eventually("its password was sent", || upstream.heard().contains(&plain(USER.0, USER.1)));
    gate.signal("TERM");
    let (heard, _) = guest.wire.end();
    assert!(heard.starts_with("a NO [UNAVAILABLE]"), "{heard}");
    assert_eq!(gate.ended(), Some(0));
    let logins = gate.cli(&["audit", "search", "--event", "login"]).success();
    assert_eq!(logins.matches("unavailable").count(), 1, "{logins}");
}

#[test]
fn a_session_that_a_guard_has_just_stopped_ends_with_the_rest_and_is_recorded() {
    let legacy = legacy();
    let mut gate = Gate::start(GateConfig::in_front_of(&legacy).set(&["server", "drain"], "1s"));
    let mut guest = enter(&gate, Mail::Smtp, USER.0, USER.1);
    begin_message(&mut guest);
    guest.wire.send("Subject: smuggled\r\n\r\nThe first line.\n.\r\n");
    thread::sleep(Duration::from_millis(300));
    let begun = Instant::now();
    gate.signal("TERM");
    assert_eq!(gate.ended(), Some(0));
    assert!(begun.elapsed() < Duration::from_millis(3500), "{:?}", begun.elapsed());
    let ends = gate.cli(&["audit", "search", "--event", "session_end"]).success();
    assert_eq!(ends.matches("error").count(), 1, "{ends}");
}

#[test]
fn told_twice_it_ends_at_once_and_its_trail_is_sound() {
    let legacy = legacy();
    for signal in ["TERM", "INT"] {
        let mut gate = Gate::start(GateConfig::in_front_of(&legacy));
        let mut guest = enter(&gate, Mail::Smtp, USER.0, USER.1);
        begin_message(&mut guest);
        guest.wire.send("Subject: half sent\r\n\r\nThe first line.\r\n");
        gate.signal("TERM");
        eventually("it has heard", || gate.log().contains("stopping"));
        // A message is waited for.
        thread::sleep(Duration::from_millis(1500));
        assert!(gate.is_running());
        let begun = Instant::now();
        gate.signal(signal);
        assert_eq!(gate.ended(), Some(1), "{signal}");
        assert!(begun.elapsed() < Duration::from_secs(3), "{signal}: {:?}", begun.elapsed());
        let (heard, _) = guest.wire.end();
        assert_eq!(heard, "", "in the middle of a message there is no word");
        gate.cli(&["audit", "verify"]).success();
        // As after any end that came by surprise.
        gate.start_again();
        enter(&gate, Mail::Smtp, USER.0, USER.1);
        gate.cli(&["audit", "verify"]).success();
    }
    assert!(!mailbox(&legacy).contains("half sent"), "half a message is none");
}
