//! Habits of mail programs that take more than one dialogue to show (the dialogues stand in the transcripts).

use std::thread;

use crate::support::table::NOT_LET_IN;
use crate::support::{
    Fake, GATE_NAME, Gate, GateConfig, Guest, LegacyOptions, LegacyServer, Mail, Manner, PROTOCOLS,
    UpstreamTls, Wire, b64, on_each_protocol,
};

const USER: &str = "user0@example.test";

/// Delta Chat watches several folders at once, each on a connection of its own.
#[test]
fn delta_chat_idles_on_many_connections_and_all_hear_of_a_message() {
    let legacy = LegacyServer::start(LegacyOptions::default());
    let gate = Gate::start(GateConfig::in_front_of(&legacy));
    let (user, password) = legacy.user(0);
    let (gate, made) = (&gate, gate.app_password(user, password, &[]));
    gate.bind_totp(user);
    thread::scope(|scope| {
        let idle = (0..6).map(|_| {
            let password = made.password.as_str();
            scope.spawn(move || {
                let mut guest = Guest::at(gate, Mail::Imap);
                assert!(Mail::Imap.is_yes(&guest.log_in_with_command(user, password)));
                let mut wire = guest.wire;
                assert!(wire.imap("a", "CAPABILITY").contains(" IDLE "));
                assert!(wire.imap("b", "ID (\"name\" \"Delta Chat\")").contains("b OK"));
                assert!(wire.imap("c", "SELECT INBOX").contains("c OK"));
                assert!(wire.ask("d IDLE").starts_with('+'));
                wire
            })
        });
        let idle = idle.collect::<Vec<_>>();
        let mut idle = idle.into_iter().map(|idle| idle.join().expect("it idles")).collect::<Vec<_>>();
        let mut smtp = Guest::at(gate, Mail::Smtp);
        assert!(Mail::Smtp.is_yes(&smtp.log_in(user, &made.password)));
        smtp.wire.send(format!("MAIL FROM:<{user}>\r\nRCPT TO:<{user}>\r\nDATA\r\n"));
        let replies = [(); 3].map(|()| smtp.wire.reply());
        assert!(replies[2].starts_with("354 "), "{replies:?}");
        assert!(smtp.wire.command("Subject: hello\r\n\r\nhello\r\n.").starts_with("250 "));
        for wire in &mut idle {
            let heard = wire.lines_until(|line| line.contains(" EXISTS"));
            assert!(heard.contains("* 1 EXISTS"), "{heard}");
            wire.send("DONE\r\n");
            assert!(wire.tagged("d").contains("d OK"));
        }
    });
}

/// K-9 and Delta Chat compress where the upstream does; the gate is none the wiser.
#[test]
fn compression_is_the_upstreams_and_the_clients_business() {
    let fake = Fake::start(Mail::Imap);
    let offer = vec!["IMAP4rev1", "COMPRESS=DEFLATE", "AUTH=PLAIN", "SASL-IR"];
    fake.behave(Manner { offer, ..Manner::friendly(Mail::Imap) });
    let gate = Gate::start(GateConfig::in_front_of_fakes(&[&fake], UpstreamTls::None));
    let mut guest = Guest::at(&gate, Mail::Imap);
    assert!(guest.log_in(USER, "password").contains("COMPRESS=DEFLATE"));
    assert!(guest.wire.imap("a", "COMPRESS DEFLATE").starts_with("a OK"));
    let deflated = [0x4a, 0x54, 0xf0, 0xf3, 0xf7, 0x0f, 0xe0, 0xe5, 0x02, 0x00, b'\r', b'\n'];
    guest.wire.send(deflated);
    assert!(guest.wire.line().contains("Done"));
    assert!(fake.heard_after_login().ends_with(&*String::from_utf8_lossy(&deflated)));
}

/// iOS tries the ports with and without TLS side by side, and hangs up on those that it does not want.
#[test]
fn ios_probes_both_doors_side_by_side() {
    let fake = Fake::start(Mail::Imap);
    let gate = Gate::start(GateConfig::in_front_of_fakes(&[&fake], UpstreamTls::None).failures(1, 1));
    let mut plain = Wire::open("127.0.0.1", gate.port("imap", false));
    let mut secure = Guest::at(&gate, Mail::Imap);
    assert!(plain.line().contains("LOGINDISABLED"));
    let idle = Wire::open("127.0.0.1", gate.port("imap", true));
    for _ in 0..3 {
        let reply = plain.imap("1", &format!("LOGIN {USER} password"));
        assert!(reply.starts_with("1 NO [PRIVACYREQUIRED] "), "{reply}");
    }
    drop((idle, plain));
    assert!(
        Mail::Imap.is_yes(&secure.log_in(USER, "password")),
        "what was refused unseen counts for nothing"
    );
}

/// A client may be wrong three times, and try one way after the other, on one connection.
#[test]
fn three_failures_are_borne_and_the_next_way_works() {
    let legacy = LegacyServer::start(LegacyOptions::default().fast_auth());
    let gate = Gate::start(GateConfig::in_front_of(&legacy));
    let (user, password) = legacy.user(0);
    on_each_protocol(|mail| {
        let mut guest = Guest::at(&gate, mail);
        NOT_LET_IN.check(mail, &guest.log_in(user, "wrong once"));
        NOT_LET_IN.check(mail, &guest.log_in_with_command(user, "wrong twice"));
        NOT_LET_IN.check(mail, &guest.log_in(user, "wrong three times"));
        let reply = guest.log_in_with_command(user, password);
        assert!(mail.is_yes(&reply), "{reply}");
    });
}

/// Passwords with blanks at either end, and in letters that are not ASCII, reach the upstream byte for byte.
#[test]
fn a_password_is_its_bytes() {
    for mail in PROTOCOLS {
        let fake = Fake::start(mail);
        let gate = Gate::start(GateConfig::in_front_of_fakes(&[&fake], UpstreamTls::None));
        for password in [" blanks at either end  ", "密码", "\"quoted\\ {3}", "*"] {
            for command in [false, true] {
                let mut guest = Guest::at(&gate, mail);
                let reply = if command {
                    guest.log_in_with_command(USER, password)
                } else {
                    guest.log_in(USER, password)
                };
                assert!(mail.is_yes(&reply), "{mail:?} {password:?}: {reply}");
                let heard = fake.heard();
                let last = heard.lines().last().unwrap_or_default().rsplit(' ').next().unwrap_or_default();
                assert_eq!(last, b64(format!("\0{USER}\0{password}")), "{mail:?} {password:?}");
            }
        }
        // In GBK, in IMAP's quoted strings and POP3's line.
        let gbk = b"\xc3\xdc\xc2\xeb";
        let mut wire = Guest::at(&gate, mail).wire;
        let command: &[&[u8]] = match mail {
            Mail::Imap => &[b"a LOGIN ", USER.as_bytes(), b" \"", gbk, b"\"\r\n"],
            Mail::Pop3 => &[b"USER ", USER.as_bytes(), b"\r\nPASS ", gbk, b"\r\n"],
            Mail::Smtp => continue,
        };
        wire.send(command.concat());
        let heard = if mail == Mail::Imap { wire.tagged("a") } else { wire.line() + &wire.line() };
        assert!(heard.contains("a OK") || heard.matches("+OK").count() == 2, "{heard}");
        assert!(fake.heard().contains(&b64([b"\0", USER.as_bytes(), b"\0", gbk].concat())));
    }
}

/// The name in EHLO is what the upstream is greeted with, whatever it is.
#[test]
fn computers_and_phones_call_themselves_what_they_like() {
    let fake = Fake::start(Mail::Smtp);
    let gate = Gate::start(GateConfig::in_front_of_fakes(&[&fake], UpstreamTls::None));
    for name in ["[192.168.1.2]", "DESKTOP_7Q2", "张三的电脑", "localhost", "[fe80::1%wlan0]", "192.168.1.2"]
    {
        let mut wire = Wire::open("127.0.0.1", gate.port("smtp", true)).secure(&gate.ca_file(), GATE_NAME);
        wire.line();
        // Nothing is waited for.
        let message = b64(format!("\0{USER}\0password"));
        wire.send(format!("EHLO {name}\r\nAUTH PLAIN {message}\r\nQUIT\r\n"));
        let replies = [(); 3].map(|()| wire.reply());
        assert!(replies[0].starts_with("250-") && replies[1].starts_with("235 "), "{replies:?}");
        assert!(fake.heard().contains(&format!("EHLO {name}\r\nAUTH PLAIN ")), "{}", fake.heard());
    }
}
