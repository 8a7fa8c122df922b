//! An app password that may only read: a real server sees no change of whoever has it, and what would be one does not
//! even reach the server.

use crate::support::table::OUT_OF_SCOPE;
use crate::support::{
    Fake, Gate, GateConfig, Guest, LegacyOptions, LegacyServer, Mail, Manner, UpstreamTls, Wire, log_in,
};

const NO: &str = "NO [NOPERM] This app password may only read\r\n";

/// What changes something in a mailbox with two messages and a folder called Archive.
const WRITING: [&str; 18] = [
    "APPEND INBOX {5+}\r\nhello",
    "APPEND INBOX (\\Seen) ~{5+}\r\nhello",
    "STORE 1 +FLAGS (\\Deleted \\Seen)",
    "UID STORE 1:* +FLAGS.SILENT (\\Deleted)",
    "COPY 1 Archive",
    "UID COPY 1 Archive",
    "MOVE 1 Archive",
    "UID MOVE 1 Archive",
    "EXPUNGE",
    "UID EXPUNGE 1:*",
    "CREATE Other",
    "DELETE Archive",
    "RENAME Archive Other",
    "SUBSCRIBE Archive",
    "UNSUBSCRIBE INBOX",
    "SETACL INBOX anyone lr",
    "SETMETADATA INBOX (/private/comment \"x\")",
    "SETQUOTA \"\" (STORAGE 1)",
];

/// The mailbox as the server itself has it.
struct Mailbox<'l> {
    legacy: &'l LegacyServer,
}

impl Mailbox<'_> {
    fn open(&self) -> Wire {
        let (name, password) = self.legacy.user(0);
        let mut wire = Wire::open(self.legacy.host(), self.legacy.port("imap"));
        wire.line();
        assert!(wire.imap("login", &format!("LOGIN \"{name}\" \"{password}\"")).contains("login OK"));
        wire
    }

    /// Two unread messages and another folder.
    fn furnish(&self) {
        let mut wire = self.open();
        for subject in ["one", "two"] {
            let message = format!("Subject: {subject}\r\n\r\nHello.\r\n");
            let appended = wire.imap("put", &format!("APPEND INBOX {{{}+}}\r\n{message}", message.len()));
            assert!(appended.contains("put OK"), "{appended}");
        }
        assert!(wire.imap("make", "CREATE Archive").contains("make OK"));
    }

    /// Folders, subscriptions, and of each message number, flags and text.
    fn seen(&self) -> String {
        let mut wire = self.open();
        let mut seen = wire.imap("a", "LIST \"\" *") + &wire.imap("b", "LSUB \"\" *");
        seen += &wire.imap("c", "STATUS Archive (MESSAGES UIDNEXT UIDVALIDITY)");
        wire.imap("d", "EXAMINE INBOX");
        seen += &wire.imap("fetched-all", "UID FETCH 1:* (FLAGS BODY.PEEK[])");
        // What a server says of who looked and when is not the mailbox.
        for passing in [" \\Recent", "\\Recent", " \\UnMarked", " \\Marked"] {
            seen = seen.replace(passing, "");
        }
        seen.lines().filter(|line| !line.contains(" OK ")).map(|line| format!("{line}\n")).collect()
    }
}

/// A session with that app password.
fn enter(gate: &Gate, mail: Mail, user: &str, password: &str) -> Wire {
    let mut guest = Guest::at(gate, mail);
    let reply = guest.log_in(user, password);
    assert!(mail.is_yes(&reply), "{reply}");
    guest.wire
}

#[test]
fn over_imap_nothing_is_changed_and_what_is_read_stays_unseen() {
    let legacy = LegacyServer::start(LegacyOptions::default().fast_auth());
    let mailbox = Mailbox { legacy: &legacy };
    mailbox.furnish();
    let before = mailbox.seen();
    assert_eq!(before.matches("FLAGS ()").count(), 2, "{before}");
    let gate = Gate::start(GateConfig::in_front_of(&legacy));
    let (user, password) = legacy.user(0);
    let made = gate.app_password(user, password, &["--read-only"]);

    let mut wire = enter(&gate, Mail::Imap, user, &made.password);
    for (command, answer) in [
        ("SELECT INBOX", "a OK [READ-ONLY]"),
        ("SELECT \"INBOX\" (CONDSTORE)", "a OK [READ-ONLY]"),
        ("SELECT {5+}\r\nINBOX", "a OK [READ-ONLY]"),
        ("FETCH 1:2 (FLAGS BODY[])", "Subject: two\r\n"),
        ("UID FETCH 1:* RFC822", "Subject: one\r\n"),
        ("SEARCH RETURN (SAVE) UNSEEN", "a OK"),
        ("FETCH $ FLAGS", "* 2 FETCH (FLAGS ("),
        ("STATUS Archive (MESSAGES)", "MESSAGES 0"),
        ("LIST \"\" *", "Archive"),
        ("CHECK", "a OK"),
    ] {
        let heard = wire.imap("a", command);
        assert!(heard.contains(answer) && heard.contains("a OK"), "{command}: {heard}");
    }
    for command in WRITING {
        let heard = wire.imap("b", command);
        assert!(heard.ends_with(&format!("b {NO}")), "{command}: {heard}");
    }
    // With a literal that asks for leave, and all in one segment.
    wire.send("c APPEND INBOX {310}\r\n");
    assert_eq!(wire.line(), format!("c {NO}"));
    let all: String = WRITING.iter().map(|command| format!("d {command}\r\n")).collect();
    wire.send(format!("c NOOP\r\n{all}e CLOSE\r\nf LOGOUT\r\n"));
    let heard = wire.rest();
    assert_eq!(heard.matches(&format!("d {NO}")).count(), WRITING.len(), "{heard}");
    assert!(heard.contains("c OK") && heard.contains("e OK") && heard.contains("f OK"), "{heard}");
    assert_eq!(mailbox.seen(), before);

    // Who may do everything does.
    let made = gate.app_password(user, password, &[]);
    let mut wire = enter(&gate, Mail::Imap, user, &made.password);
    assert!(wire.imap("a", "SELECT INBOX").contains("a OK [READ-WRITE]"));
    for command in [WRITING[0], "FETCH 1 BODY[]", "COPY 1 Archive", "SUBSCRIBE Archive"] {
        let heard = wire.imap("b", command);
        assert!(heard.contains("b OK"), "{command}: {heard}");
    }
    let after = mailbox.seen();
    assert!(after != before && after.contains("\\Seen") && after.contains("MESSAGES 1"), "{after}");
}

/// Dovecot skips the rest of a line that it does not understand, and reads an announced literal as commands.
#[test]
fn behind_a_literal_that_the_server_takes_for_none_no_command_is_hidden() {
    let legacy = LegacyServer::start(LegacyOptions::default().fast_auth());
    let mailbox = Mailbox { legacy: &legacy };
    mailbox.furnish();
    let before = mailbox.seen();
    let gate = Gate::start(GateConfig::in_front_of(&legacy));
    let (user, password) = legacy.user(0);
    let made = gate.app_password(user, password, &["--read-only"]);
    let hidden = "b CREATE Other\r\nb SELECT INBOX\r\nb STORE 1 +FLAGS (\\Deleted)\r\nb EXPUNGE\r\n";
    let announced = format!("{{{}+}}\r\n{hidden}", hidden.len());
    for command in ["NOOP ", "NOOP ~", "CHECK ", "FETCH ) ", "SEARCH ) ", "LIST \"\" ) ", "NAMESPACE "] {
        let mut wire = enter(&gate, Mail::Imap, user, &made.password);
        wire.send(format!("a {command}{announced}\r\nc NOOP\r\nd LOGOUT\r\n"));
        let heard = wire.rest();
        assert!(
            heard.contains("c OK") && heard.contains("d OK") && !heard.contains("b "),
            "{command}: {heard}"
        );
        assert_eq!(mailbox.seen(), before, "{command}");
    }
    // So it does without a gate.
    let mut wire = mailbox.open();
    wire.send(format!("a NOOP {announced}\r\nc LOGOUT\r\n"));
    let heard = wire.rest();
    assert!(heard.contains("b OK Expunge"), "no need to guard against it any more: {heard}");
}

#[test]
fn over_pop3_nothing_is_deleted_and_over_smtp_nothing_sent() {
    let legacy = LegacyServer::start(LegacyOptions::default().fast_auth());
    let mailbox = Mailbox { legacy: &legacy };
    mailbox.furnish();
    let gate = Gate::start(GateConfig::in_front_of(&legacy));
    let (user, password) = legacy.user(0);
    let made = gate.app_password(user, password, &["--read-only"]);

    let mut wire = enter(&gate, Mail::Pop3, user, &made.password);
    assert!(wire.ask("STAT").starts_with("+OK 2 "));
    assert_eq!(wire.ask("DELE 1"), "-ERR This app password may only read\r\n");
    assert!(wire.ask("STAT").starts_with("+OK 2 "));
    wire.send(
        "LIST\r\ndele 1\r\nRETR 1\r\nDELE 2\r\nUIDL 2\r\nXTND XMIT\r\nTOP 2 0\r\nDELE 1\r\nRSET\r\nQUIT\r\n",
    );
    let heard = wire.rest();
    let answers: Vec<&str> =
        heard.lines().filter(|line| line.starts_with("+OK") || line.starts_with("-ERR")).collect();
    let signs: String = answers.iter().filter_map(|answer| answer.chars().next()).collect();
    assert_eq!(signs, "+-+-+-+-++", "in the order of the questions: {heard}");
    assert!(heard.contains("Subject: one\r\n") && heard.contains("Subject: two\r\n"), "{heard}");
    let left = mailbox.seen();
    assert!(left.contains("Subject: one\r") || left.contains("Subject: one\n"), "{left}");
    assert!(left.contains("Subject: two"), "{left}");

    for _ in 0..2 {
        OUT_OF_SCOPE.check(Mail::Smtp, &log_in(&gate, Mail::Smtp, user, &made.password));
    }
    // It is the app password that may not, and not its owner.
    let made = gate.app_password(user, password, &[]);
    let mut wire = enter(&gate, Mail::Pop3, user, &made.password);
    assert!(wire.ask("DELE 1").starts_with("+OK") && wire.ask("QUIT").starts_with("+OK"));
    assert!(!mailbox.seen().contains("Subject: one"));
    assert!(Mail::Smtp.is_yes(&log_in(&gate, Mail::Smtp, user, &made.password)));
}

#[test]
fn what_does_not_pass_never_reaches_the_server_and_no_compression_hides_it() {
    const USER: &str = "user0@example.test";
    let (imap, pop3) = (Fake::start(Mail::Imap), Fake::start(Mail::Pop3));
    let offer = vec!["IMAP4rev1", "LITERAL+", "COMPRESS=DEFLATE", "AUTH=PLAIN"];
    imap.behave(Manner { offer, ..Manner::friendly(Mail::Imap) });
    let gate = Gate::start(GateConfig::in_front_of_fakes(&[&imap, &pop3], UpstreamTls::None));
    let made = gate.app_password(USER, "password", &["--read-only"]);

    let mut guest = Guest::at(&gate, Mail::Imap);
    let told = guest.log_in(USER, &made.password);
    assert!(told.contains("LITERAL+") && !told.contains("COMPRESS"), "{told}");
    assert!(!guest.wire.imap("a", "CAPABILITY").contains("COMPRESS"));
    assert!(guest.wire.imap("b", "COMPRESS DEFLATE").starts_with("b BAD"));
    for command in WRITING {
        assert_eq!(guest.wire.imap("c", command), format!("c {NO}"), "{command}");
    }
    guest.wire.imap("d", "select INBOX");
    let heard = imap.heard_after_login();
    assert!(heard.ends_with("a CAPABILITY\r\nd EXAMINE INBOX\r\n"), "{heard}");

    let mut wire = enter(&gate, Mail::Pop3, USER, &made.password);
    assert!(wire.ask("DELE 1").starts_with("-ERR"));
    wire.send("DELE 1\nXTND XMIT\r\nNOOP\rDELE 1\r\nNOOP\r\n");
    for _ in 0..3 {
        assert!(wire.line().starts_with("-ERR This app password may only read"));
    }
    wire.line();
    assert_eq!(pop3.heard_after_login(), "NOOP\r\n");
}
