//! Upstreams that do not speak as the standards write: the client notices nothing of it.

use std::time::Instant;

use crate::support::{
    Fake, Gate, GateConfig, Guest, Mail, Manner, PROTOCOLS, Script, UpstreamTls, b64, plain,
};

const USER: &str = "user0@example.test";
const PASSWORD: &str = "a mailbox password";

/// A gate in front of one that speaks so.
fn in_front_of(mail: Mail, script: Script) -> (Gate, Fake) {
    let fake = Fake::start(mail);
    fake.behave(Manner::scripted(mail, script));
    let gate = Gate::start(GateConfig::in_front_of_fakes(&[&fake], UpstreamTls::None));
    (gate, fake)
}

/// Logged in there through the gate; the reply, and the connection.
fn log_in(mail: Mail, gate: &Gate) -> (String, Guest) {
    let mut guest = Guest::at(gate, mail);
    let reply = guest.log_in(USER, PASSWORD);
    assert!(mail.is_yes(&reply), "{reply}");
    (reply, guest)
}

fn words(text: &str) -> Option<Vec<u8>> {
    Some(text.as_bytes().to_vec())
}

/// The command in an IMAP line.
fn imap(line: &str) -> &str {
    line.split_once(' ').map_or(line, |(_, command)| command)
}

#[test]
fn imap_untagged_lines_first_no_blank_behind_the_plus_and_an_eight_bit_greeting() {
    let (gate, fake) = in_front_of(Mail::Imap, |line, _| match imap(line) {
        "" => Some(b"* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\n* OK \xbb\xb6\xd3\xad\r\n".to_vec()),
        "AUTHENTICATE PLAIN" => words("* 0 RECENT\r\n+\r\n"),
        "LOGOUT" => None,
        _ => words("* OK [ALERT] Mind this\r\n* CAPABILITY IMAP4rev1 QUOTA\r\ng4 OK\r\n"),
    });
    let (reply, _) = log_in(Mail::Imap, &gate);
    let heard = "* 0 RECENT\r\n* OK [ALERT] Mind this\r\nTAG OK [CAPABILITY IMAP4rev1 QUOTA] ";
    assert!(reply.starts_with(heard), "{reply}");
    assert!(fake.heard().contains(&plain(USER, PASSWORD)));
}

#[test]
fn imap_login_only_and_no_list_after_it() {
    let (gate, fake) = in_front_of(Mail::Imap, |line, before| match imap(line) {
        "" => words("* OK old\r\n"),
        "CAPABILITY" if before.iter().any(|line| line.contains("LOGIN")) => {
            words("* CAPABILITY IMAP4rev1 SORT\r\nTAG OK\r\n")
        }
        "CAPABILITY" => words("* CAPABILITY IMAP4rev1\r\nTAG OK\r\n"),
        "LOGOUT" => None,
        login if login.starts_with("LOGIN ") => words("TAG OK in\r\n"),
        _ => words("TAG BAD what?\r\n"),
    });
    let (reply, _) = log_in(Mail::Imap, &gate);
    assert_eq!(reply, "TAG OK [CAPABILITY IMAP4rev1 SORT] in\r\n");
    assert!(fake.heard().contains(&format!("g4 LOGIN \"{USER}\" \"{PASSWORD}\"\r\n")), "{}", fake.heard());
}

#[test]
fn imap_authenticate_only() {
    let (gate, fake) = in_front_of(Mail::Imap, |line, _| match imap(line) {
        "" => words("* OK [CAPABILITY IMAP4rev1 LOGINDISABLED AUTH=LOGIN] ready\r\n"),
        "AUTHENTICATE LOGIN" => words("+VXNlcm5hbWU6\r\n"),
        name if name == b64(USER) => words("+\r\n"),
        password if password == b64(PASSWORD) => words("g4 OK [CAPABILITY IMAP4rev1] in\r\n"),
        "LOGOUT" => None,
        _ => words("TAG NO\r\n"),
    });
    log_in(Mail::Imap, &gate);
    assert!(!fake.heard().contains("g4 LOGIN"), "{}", fake.heard());
}

#[test]
fn imap_a_mechanism_that_is_listed_but_not_done() {
    let (gate, fake) = in_front_of(Mail::Imap, |line, _| match imap(line) {
        "" => words("* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] ready\r\n"),
        login if login.starts_with("LOGIN ") => words("TAG OK [CAPABILITY IMAP4rev1] in\r\n"),
        "LOGOUT" => None,
        _ => words("TAG BAD not implemented\r\n"),
    });
    log_in(Mail::Imap, &gate);
    assert!(fake.heard().contains("g4 AUTHENTICATE PLAIN\r\ng8 LOGIN "), "{}", fake.heard());
}

/// NetEase: `SELECT` is refused unless an `ID` came behind the login.
#[test]
fn imap_an_id_wanted_after_login() {
    let (gate, fake) = in_front_of(Mail::Imap, |line, before| {
        let login = before.iter().position(|line| imap(line).starts_with("LOGIN "));
        let introduced =
            login.is_some_and(|at| before[at..].iter().any(|line| imap(line).starts_with("ID ")));
        match imap(line) {
            "" => words("* OK [CAPABILITY IMAP4rev1 ID] ready\r\n"),
            "LOGOUT" => None,
            "SELECT INBOX" if !introduced => words("TAG NO SELECT Unsafe Login. Please contact us\r\n"),
            "CAPABILITY" => words("* CAPABILITY IMAP4rev1 ID\r\nTAG OK done\r\n"),
            id if id.starts_with("ID ") => words("* ID NIL\r\nTAG OK done\r\n"),
            _ => words("TAG OK done\r\n"),
        }
    });
    let id = "ID (\"name\" \"com.huawei.email\" \"x-android-device-model\" \"LYA-AL00\")";
    // Before the login: the gate says it again, cleaned.
    let mut guest = Guest::at(&gate, Mail::Imap);
    guest.wire.imap("i", id);
    assert!(Mail::Imap.is_yes(&guest.log_in(USER, PASSWORD)));
    assert!(guest.wire.imap("s", "SELECT INBOX").starts_with("s OK"));
    // In front of it the gate says before the login where the client comes from.
    let cleaned = "\"name\" \"com.huawei.email\")\r\n";
    assert_eq!(fake.heard().matches(cleaned).count(), 2, "before and after: {}", fake.heard());
    assert!(!fake.heard().contains("x-android"), "{}", fake.heard());
    // Behind it: it passes.
    let (_, mut guest) = log_in(Mail::Imap, &gate);
    assert!(guest.wire.imap("s", "SELECT INBOX").starts_with("s NO SELECT Unsafe Login"));
    assert!(guest.wire.imap("i", "ID (\"name\" \"iPhone Mail\")").contains("i OK"));
    assert!(guest.wire.imap("s", "SELECT INBOX").starts_with("s OK"));
}

#[test]
fn pop3_no_capa_a_timestamp_and_no_text() {
    let (gate, fake) = in_front_of(Mail::Pop3, |line, _| match line.split(' ').next().unwrap_or_default() {
        "" => Some(b"+OK <1896.697170952@old.example.test> \xbb\xb6\xd3\xad\r\n".to_vec()),
        "CAPA" => words("-ERR\r\n"),
        "QUIT" => None,
        _ => words("+OK\r\n"),
    });
    let (reply, mut guest) = log_in(Mail::Pop3, &gate);
    assert_eq!(reply, "+OK\r\n");
    assert_eq!(guest.wire.ask("STAT"), "+OK\r\n");
    let heard = fake.heard();
    assert!(
        heard.contains(&format!("USER {USER}\r\nPASS {PASSWORD}\r\n")) && !heard.contains("APOP"),
        "{heard}"
    );
    let greeting = crate::support::Wire::open("127.0.0.1", gate.port("pop3", false)).line();
    assert!(!greeting.contains('<'), "{greeting}");
}

#[test]
fn smtp_lists_of_every_shape() {
    const LISTS: [(&str, Script); 3] = [
        ("AUTH LOGIN\r\n", |line, _| smtp(line, "250-Mail Hello\r\n250-size 999\r\n250 auth=login\r\n")),
        ("AUTH PLAIN ", |line, _| {
            smtp(
                line,
                "250-mail\r\n250-AUTH LOGIN\r\n250-AUTH LOGIN PLAIN\r\n250-AUTH=LOGIN PLAIN\r\n250 SIZE 999\r\n",
            )
        }),
        ("AUTH PLAIN ", |line, _| smtp(line, "250-mail\r\n250-Size 999\r\n250 Auth Plain\r\n")),
    ];
    for (wanted, script) in LISTS {
        let (gate, fake) = in_front_of(Mail::Smtp, script);
        log_in(Mail::Smtp, &gate);
        assert!(fake.heard().contains(&format!("EHLO client.test\r\n{wanted}")), "{}", fake.heard());
        let told = Guest::at(&gate, Mail::Smtp).wire.command("EHLO client.test");
        assert!(told.to_ascii_uppercase().contains("SIZE 999\r\n"), "{told}");
        assert_eq!(told.matches("AUTH").count(), 1, "the gate's own: {told}");
    }
}

/// A server with that list, which lets everybody in.
fn smtp(line: &str, list: &str) -> Option<Vec<u8>> {
    match line {
        "" => words("220-mail\r\n220-welcomes\r\n220 you\r\n"),
        "QUIT" => None,
        "AUTH LOGIN" => words("334 VXNlcm5hbWU6\r\n"),
        hello if hello.starts_with("EHLO ") => words(list),
        name if name == b64(USER) => words("334 UGFzc3dvcmQ6\r\n"),
        _ => words("235-2.7.0 welcome\r\n235 2.7.0 indeed\r\n"),
    }
}

#[test]
fn byte_by_byte() {
    for mail in PROTOCOLS {
        let fake = Fake::start(mail);
        fake.behave(Manner { slow: true, ..Manner::friendly(mail) });
        let gate = Gate::start(GateConfig::in_front_of_fakes(&[&fake], UpstreamTls::None));
        let (_, mut guest) = log_in(mail, &gate);
        assert!(guest.wire.ask("a NOOP").contains("Done"), "{mail:?}");
    }
}

/// Commands that a client sends at once, and answers that come at once, but late.
#[test]
fn late_answers_to_pipelined_commands() {
    const LATE: [(Mail, Script, &str, &[&str]); 3] = [
        (
            Mail::Imap,
            |line, _| match imap(line) {
                "" => words("* OK [CAPABILITY IMAP4rev1] ready\r\n"),
                "LOGOUT" => None,
                login if login.starts_with("LOGIN ") => words("TAG OK [CAPABILITY IMAP4rev1] in\r\n"),
                "NOOP" => words(""),
                _ => words("a OK one\r\nb OK two\r\nc OK three\r\n"),
            },
            "a NOOP\r\nb NOOP\r\nc CHECK\r\n",
            &["a OK one", "b OK two", "c OK three"],
        ),
        (
            Mail::Pop3,
            |line, _| match line.split(' ').next().unwrap_or_default() {
                "" | "USER" | "PASS" => words("+OK\r\n"),
                "CAPA" => words("+OK\r\nPIPELINING\r\n.\r\n"),
                "QUIT" => None,
                "UIDL" => words("+OK one\r\n+OK two\r\n+OK three\r\n"),
                _ => words(""),
            },
            "STAT\r\nLIST 1\r\nUIDL 1\r\n",
            &["+OK one", "+OK two", "+OK three"],
        ),
        (
            Mail::Smtp,
            |line, _| match line.split(' ').next().unwrap_or_default() {
                "" => words("220 mail\r\n"),
                "EHLO" => words("250-mail\r\n250-PIPELINING\r\n250 AUTH PLAIN\r\n"),
                "AUTH" => words("235 in\r\n"),
                "QUIT" => None,
                "DATA" => words("250 one\r\n250-two\r\n250 and a half\r\n354 three\r\n"),
                _ => words(""),
            },
            "MAIL FROM:<a@example.test>\r\nXCLIENT ADDR=192.0.2.66\r\nRCPT TO:<b@example.test>\r\nDATA\r\n",
            &["250 one", "550 5.7.0 Not allowed", "250-two", "250 and a half", "354 three"],
        ),
    ];
    for (mail, script, commands, answers) in LATE {
        let (gate, fake) = in_front_of(mail, script);
        let (_, mut guest) = log_in(mail, &gate);
        let begun = Instant::now();
        guest.wire.send(commands);
        for answer in answers {
            assert_eq!(guest.wire.line(), format!("{answer}\r\n"), "{mail:?} after {:?}", begun.elapsed());
        }
        assert!(!fake.heard().contains("XCLIENT"));
    }
}
