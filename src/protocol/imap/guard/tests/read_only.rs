//! A client that may only read.

use super::*;

const NO: &str = "NO [NOPERM] This app password may only read\r\n";

/// Everything that changes something, and what nobody knows.
const WRITING: [&str; 30] = [
    "APPEND x (\\Seen) \"01-Jan-2027 00:00:00 +0000\"",
    "STORE 1 +FLAGS (\\Deleted)",
    "UID STORE 1 +FLAGS (\\Deleted)",
    "uid  store 1 flags ()",
    "COPY 1 Trash",
    "UID COPY 1 Trash",
    "MOVE 1 Trash",
    "UID MOVE 1 Trash",
    "EXPUNGE",
    "UID EXPUNGE 1",
    "REPLACE 1 x",
    "UID REPLACE 1 x",
    "CREATE x",
    "DELETE x",
    "RENAME x y",
    "SUBSCRIBE x",
    "UNSUBSCRIBE x",
    "SETACL x anna lrs",
    "DELETEACL x anna",
    "SETQUOTA x (STORAGE 1)",
    "SETMETADATA x (/private/comment NIL)",
    "SETANNOTATION x \"/comment\" (\"value.priv\" NIL)",
    "GENURLAUTH \"imap://x\" INTERNAL",
    "RESETKEY",
    "XSOMETHING x",
    "LOGIN tom secret",
    "UID",
    "UID XSOMETHING 1",
    "FETCH(1 FLAGS)",
    "store 1 flags ()",
];

#[test]
fn what_changes_anything_is_answered_and_does_not_pass() {
    let mut relay = Relay::reading("IMAP4rev1 LITERAL+");
    for command in WRITING {
        relay.client(&format!("a NOOP\r\nb {command}\r\nc NOOP\r\n"));
        assert_eq!(relay.got(), got("a NOOP\r\nc NOOP\r\n", &format!("b {NO}")), "{command}");
        relay.upstream("a OK\r\nc OK\r\n").got();
    }
}

#[test]
fn the_literals_of_what_does_not_pass_are_no_commands() {
    let mut relay = Relay::reading("IMAP4rev1 LITERAL+ BINARY");
    for command in WRITING {
        for announced in ["{24+}", "~{24+}"] {
            let content = "x FETCH 1 BODY[]\r\ny NOOP";
            assert_eq!(content.len(), 24);
            relay.client(&format!(
                "b {command} {announced}\r\n{content} {{0+}}\r\n {{2+}}\r\nzz\r\nc NOOP\r\n"
            ));
            assert_eq!(relay.got(), got("c NOOP\r\n", &format!("b {NO}")), "{command} {announced}");
            relay.upstream("c OK\r\n").got();
        }
        // Nobody says `+`, so that a literal that asks for it does not come.
        for announced in ["{18}", "~{18}"] {
            relay.client(&format!("b {command} {announced}\r\n"));
            assert_eq!(relay.got(), got("", &format!("b {NO}")), "{command} {announced}");
            relay.client("c NOOP\r\nd STORE 1 +FLAGS x\r\n");
            assert_eq!(relay.got(), got("c NOOP\r\n", &format!("d {NO}")), "{command} {announced}");
            relay.upstream("c OK\r\n").got();
        }
    }
}

#[test]
fn what_reads_passes_byte_for_byte() {
    let mut relay = Relay::reading("IMAP4rev1 LITERAL+");
    for command in [
        "CAPABILITY",
        "noop",
        "ID (\"name\" \"Foxmail\")",
        "ENABLE CONDSTORE QRESYNC",
        "NAMESPACE",
        "EXAMINE INBOX",
        "examine \"a\\\"b\" (CONDSTORE)",
        "LIST \"\" \"*\" RETURN (SPECIAL-USE STATUS (MESSAGES UNSEEN))",
        "LSUB \"\" *",
        "STATUS INBOX (MESSAGES)",
        "SEARCH RETURN (SAVE) TEXT {2+}\r\nST CHARSET {4+}\r\n\r\n\r\n",
        "SORT (REVERSE DATE) UTF-8 ALL",
        "THREAD REFERENCES UTF-8 ALL",
        "FETCH 1:* (FLAGS BODY[HEADER.FIELDS ({7+}\r\nsubject to)])",
        "UID FETCH 1:* (UID FLAGS) (CHANGEDSINCE 5 VANISHED)",
        "uid  search UNSEEN",
        "UID SORT (DATE) UTF-8 ALL",
        "UID THREAD REFERENCES UTF-8 ALL",
        "GETQUOTAROOT INBOX",
        "GETACL INBOX",
        "MYRIGHTS INBOX",
        "GETMETADATA INBOX /private/comment",
        "NOTIFY SET (SELECTED (MessageNew MessageExpunge))",
        "CHECK",
        "CLOSE",
        "UNSELECT",
        "LOGOUT",
    ] {
        let line = format!("b {command}\r\n");
        relay.client(&line);
        assert_eq!(relay.passed(), line.replace("+}", "}"));
        relay.upstream("b OK\r\n").got();
    }
}

#[test]
fn a_mailbox_is_opened_for_reading_alone_whatever_follows_the_verb() {
    let mut relay = Relay::reading("IMAP4rev1 LITERAL+");
    for (said, heard) in [
        ("a SELECT INBOX\r\n", "a EXAMINE INBOX\r\n"),
        ("a select INBOX (CONDSTORE)\r\n", "a EXAMINE INBOX (CONDSTORE)\r\n"),
        ("SELECT SELECT SELECT\r\n", "SELECT EXAMINE SELECT\r\n"),
        ("a  Select  \"SELECT\"\r\n", "a  EXAMINE  \"SELECT\"\r\n"),
        (
            "a SELECT {6+}\r\nSELECT (QRESYNC (1 2 3:4))\r\n",
            "a EXAMINE {6}\r\nSELECT (QRESYNC (1 2 3:4))\r\n",
        ),
        ("a SELECT\r\n", "a EXAMINE\r\n"),
    ] {
        relay.client(said);
        assert_eq!(relay.passed(), heard);
        let tag = said.split(' ').next().unwrap();
        let answer = format!("* 3 EXISTS\r\n{tag} OK [READ-ONLY] Examine completed\r\n");
        assert_eq!(relay.upstream(&answer).got().1, answer);
    }
    // Behind a synchronising literal it goes on as it began.
    relay.client("a SELECT {5}\r\n");
    assert_eq!(relay.got().0, "a EXAMINE {5}\r\n");
    relay.upstream("+ go\r\n").client("INBOX\r\n").upstream("a OK\r\n");
    assert_eq!(relay.got().0, "INBOX\r\n");
    // Who may do everything opens it as he says.
    let mut relay = Relay::new("IMAP4rev1");
    relay.client("a SELECT INBOX\r\nb STORE 1 +FLAGS x\r\n");
    assert_eq!(relay.got(), got("a SELECT INBOX\r\nb STORE 1 +FLAGS x\r\n", ""));
}

#[test]
fn what_changes_who_the_client_is_or_hides_what_it_says_is_refused_as_ever() {
    let mut relay = Relay::reading("IMAP4rev1 COMPRESS=DEFLATE UNAUTHENTICATE");
    for verb in ["COMPRESS DEFLATE", "AUTHENTICATE PLAIN", "STARTTLS", "unauthenticate", "PROXYAUTH tom"] {
        relay.client(&format!("e {verb}\r\n"));
        assert_eq!(relay.got(), got("", "e BAD Not available here\r\n"), "{verb}");
    }
    let list = "* CAPABILITY IMAP4rev1 COMPRESS=DEFLATE IDLE\r\n";
    assert_eq!(relay.upstream(list).got().1, "* CAPABILITY IMAP4rev1 IDLE\r\n");
}

#[test]
fn idle_goes_on_and_ends_as_ever() {
    let mut relay = Relay::reading("IMAP4rev1");
    relay.client("a IDLE\r\n").upstream("+ idling\r\n* 3 EXISTS\r\n").client("DONE\r\nb EXPUNGE\r\n");
    assert_eq!(relay.got(), got("a IDLE\r\nDONE\r\n", &format!("+ idling\r\n* 3 EXISTS\r\nb {NO}")));
}

#[test]
fn what_two_servers_could_read_differently_ends_the_session() {
    for bytes in [
        "a FETCH\t1 FLAGS\r\n",
        "a UID\tSTORE 1 FLAGS ()\r\n",
        "a UID FETCH\t1 FLAGS\r\n",
        "a UID \0STORE 1\r\n",
        "a NOOP\nb STORE 1 FLAGS ()\r\n",
        "a NOOP\rb STORE 1 FLAGS ()\r\n",
        "a UID\nSTORE 1\r\n",
        " a FETCH 1 FLAGS\r\n",
        "a SEARCH TEXT {5-}\r\n",
        "a SEARCH TEXT {5-}",
        "a SEARCH TEXT {+5}\r\n",
        "a SEARCH TEXT {5} \r\n",
        "a SEARCH TEXT \"x\" {x\r\n",
        "a SEARCH TEXT \"x {5-}\r\n",
        "a SEARCH TEXT x\"y {5-}\r\n",
        "a SEARCH TEXT \"x\r\n",
        "a SEARCH TEXT x\0b DELETE y\r\n",
        "a SEARCH TEXT \"x\u{1a}\"\r\n",
        &format!("a FETCH {} FLAGS\r\n", "1,".repeat(33_000)),
    ] {
        let mut relay = Relay::reading("IMAP4rev1 LITERAL+");
        relay.client(bytes).client("\r\n");
        assert!(relay.ended, "{bytes:?}");
        assert!(!relay.got().0.ends_with('\n'), "{bytes:?}");
    }
    let mut relay = Relay::reading("IMAP4rev1 LITERAL+");
    for fine in ["a SEARCH TEXT \"{5-}\"\r\n", "a EXAMINE x}\r\n", "a SEARCH TEXT \"\\\"{5-}\"\r\n"] {
        relay.client(fine);
        assert_eq!(relay.got(), got(fine, ""));
    }
}

#[test]
fn who_goes_on_writing_while_something_is_fetched_waits_and_is_answered_every_time() {
    let mut relay = Relay::reading("IMAP4rev1");
    relay.client("a FETCH 1 BODY[]\r\n").upstream("* 1 FETCH (BODY[] {4}\r\nte");
    relay.client(&"b STORE 1 +FLAGS (\\Seen)\r\n".repeat(1000)).client("c NOOP\r\n");
    assert!(!relay.ended && !relay.held.is_empty());
    let (upstream, client) = relay.got();
    assert_eq!((&*upstream, &*client), ("a FETCH 1 BODY[]\r\n", "* 1 FETCH (BODY[] {4}\r\nte"));
    assert!(relay.guard.answers.len() <= ANSWERS_MAX);
    relay.upstream("xt)\r\n");
    let (upstream, client) = relay.got();
    assert_eq!(upstream, "c NOOP\r\n");
    assert_eq!(client, format!("xt)\r\n{}", format!("b {NO}").repeat(1000)));
    assert!(!relay.ended && relay.held.is_empty());
}

/// What a client might say.
const SAID: [&str; 27] = [
    "a NOOP\r\n",
    "b NOOP\r\n",
    "a SELECT x\r\n",
    "a SELECT {18}\r\n",
    "b SELECT {20+}\r\n",
    "a FETCH 1 x\r\n",
    "a UID FETCH 1 x\r\n",
    "a UID STORE 1 x\r\n",
    "b STORE 1 +FLAGS x\r\n",
    "b STORE 1 +FLAGS x\r\n",
    "c store {18}\r\n",
    "c APPEND x {20+}\r\n",
    "a APPEND x ~{18}\r\n",
    " c STORE 1 x\r\n",
    "c\tSTORE 1 x\r\n",
    "STORE\r\n",
    "UID STORE 1 x\r\n",
    "a UID  STORE 1\r\n",
    "a SEARCH {20-}\r\n",
    "a SEARCH {20+}\r\n",
    "a SEARCH \"x {18}\r\n",
    "a IDLE\r\n",
    "DONE\r\n",
    "a XASK\r\n",
    "............",
    "\r\n",
    "a NOOP {0}\r\n",
];

fn words() -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(&SAID[..]), 0..14).prop_map(|words| words.concat())
}

fn conversation() -> impl Strategy<Value = Vec<Said>> {
    let upstream = [
        "+ go\r\n",
        "a OK\r\n",
        "b NO\r\n",
        "c BAD\r\n",
        "* 1 FETCH (BODY[] {10}\r\n+ 3456\r\n90)\r\n",
        "* 1 FETCH (BODY[] {10}\r\n+ 34",
        "* CAPABILITY A COMPRESS=DEFLATE\r\n",
    ];
    let client = prop::sample::select(&SAID[..]).prop_map(Said::Client);
    let upstream = prop::sample::select(upstream.to_vec()).prop_map(Said::Upstream);
    prop::collection::vec(prop_oneof![client, upstream], 0..20)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(6000) })]

    #[test]
    fn no_upstream_however_lenient_ever_reads_a_command_that_changes_anything(
        text in words(),
        sizes in prop::collection::vec(1usize..60, 1..8),
        willing in prop::collection::vec(any::<bool>(), 1..8),
    ) {
        let executed = executed(Relay::reading("IMAP4rev1 LITERAL+"), &text, &sizes, &willing);
        let reads = ["", "NOOP", "EXAMINE", "FETCH", "UID FETCH", "SEARCH", "IDLE"];
        prop_assert!(
            executed.iter().all(|command| reads.contains(&command.as_str())),
            "the upstream read {executed:?} of {text:?}"
        );
    }

    /// What is passed does not depend on how it arrives.
    #[test]
    fn every_split_passes_the_same_for_who_may_only_read(said in conversation()) {
        let mut whole = Relay::reading("IMAP4rev1 LITERAL-");
        let mut split = Relay::reading("IMAP4rev1 LITERAL-");
        for said in &said {
            match said {
                Said::Client(text) => {
                    whole.client(text);
                    text.split_inclusive(|_| true).for_each(|c| { split.client(c); });
                }
                Said::Upstream(text) => {
                    whole.upstream(text);
                    text.split_inclusive(|_| true).for_each(|c| { split.upstream(c); });
                }
            }
            prop_assert_eq!(whole.ended, split.ended);
        }
        prop_assert_eq!(whole.got(), split.got());
    }
}
