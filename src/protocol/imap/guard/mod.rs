//! Stands in the relay to an upstream that offers `UNAUTHENTICATE` (RFC 8437; `X-UNAUTHENTICATE`), which would let a client leave
//! the account that the gate admitted it to and log in to another behind the gate's back; and in every session of a
//! client that may only read.
//!
//! Both sides pass byte for byte, but for four things: a command that is not allowed here is answered by the
//! gate and never reaches the upstream; capability lists lose what is withheld; bytes that the client
//! sends before they can be understood (behind a literal or `IDLE`, until the upstream has answered that) stay with the
//! caller, for which a literal that comes unasked is announced as one that does not; and the `SELECT` of who may only read becomes `EXAMINE`.
//!
//! Input is hostile: where client and upstream could disagree about what is a command and what is content,
//! the session ends rather than letting something slip through. Content is never held, only the beginnings of
//! lines, bounded.

mod commands;
mod responses;
mod verbs;

use self::commands::{Commands, Next};
use self::responses::{Noticed, Responses};
use super::offer::Capabilities;
use crate::base::Access;
use crate::protocol::{Forward, RelayGuard, Violation};

/// The most bytes of answers that await the end of a long response: an honest client needs none.
const ANSWERS_MAX: usize = 8192;

/// So many, and who may only read is heard no further before that end: a program that does not know that it may not
/// change anything goes on marking what it has read.
const ANSWERS_WAITING: usize = 4096;

/// The guard of one session.
#[derive(Debug)]
pub(super) struct Guard {
    access: Access,
    commands: Commands,
    responses: Responses,
    /// The gate's own answers, until no response of the upstream's is under way.
    answers: Vec<u8>,
}

impl Guard {
    /// For an upstream that offers `capabilities`, which say which literals it takes, and for a client that may do so
    /// much.
    pub(super) fn new(capabilities: &Capabilities, access: Access) -> Self {
        let (commands, responses) = (Commands::new(capabilities, access), Responses::default());
        Self { access, commands, responses, answers: Vec::new() }
    }

    /// Whether the client's next command must wait for room for its answer.
    fn is_full(&self) -> bool {
        let between = self.responses.between();
        self.access == Access::ReadOnly && self.answers.len() >= ANSWERS_WAITING && !between
    }

    fn answer(&mut self, out: &mut Forward) {
        if self.responses.between() {
            out.to_client.append(&mut self.answers);
        }
    }
}

impl RelayGuard for Guard {
    fn client_sent(&mut self, bytes: &[u8], out: &mut Forward) -> Result<usize, Violation> {
        let mut rest = bytes;
        while !rest.is_empty() && !self.is_full() {
            let (used, next) = self.commands.read(rest, &mut out.to_upstream)?;
            rest = rest.get(used..).unwrap_or_default();
            match next {
                Next::More => {}
                Next::Wait => break,
                Next::Answer(line) => {
                    self.answers.extend_from_slice(&line);
                    self.answer(out);
                    // At once: it must not matter how the client's bytes are cut.
                    if self.answers.len() > ANSWERS_MAX {
                        return Err(Violation::TooManyRefused);
                    }
                }
            }
        }
        Ok(bytes.len() - rest.len())
    }

    fn upstream_sent(&mut self, bytes: &[u8], out: &mut Forward) -> Result<(), Violation> {
        let mut rest = bytes;
        while !rest.is_empty() {
            self.answer(out);
            let before = out.to_client.len();
            let (used, noticed) = self.responses.read(rest, &mut out.to_client);
            rest = rest.get(used..).unwrap_or_default();
            match noticed {
                Some(Noticed::Continuation) => {
                    let is_for_client = self.commands.go_ahead()?;
                    // Where the guard asked, the client did not.
                    if !is_for_client {
                        out.to_client.truncate(before);
                        if !self.responses.between() {
                            return Err(Violation::Garbage("a `+` without an end"));
                        }
                    }
                }
                Some(Noticed::Tagged(tag)) => self.commands.answered(&tag)?,
                None => {}
            }
        }
        self.answer(out);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    mod read_only;

    use std::mem;

    use proptest::prelude::*;

    use super::*;
    use crate::protocol::MailProtocol;
    use crate::protocol::imap::{Imap, Welcome};

    /// A session behind the guard: what each side has received so far, and whether it still lives.
    struct Relay {
        guard: Guard,
        out: Forward,
        /// From the client, not taken yet.
        held: Vec<u8>,
        ended: bool,
    }

    impl Relay {
        fn new(capabilities: &str) -> Self {
            Self::of(capabilities, Access::Full)
        }

        /// The client may only read.
        fn reading(capabilities: &str) -> Self {
            Self::of(capabilities, Access::ReadOnly)
        }

        fn of(capabilities: &str, access: Access) -> Self {
            let guard = Guard::new(&Capabilities::parse(capabilities.as_bytes()), access);
            Self { guard, out: Forward::default(), held: Vec::new(), ended: false }
        }

        fn client(&mut self, bytes: &str) -> &mut Self {
            self.held.extend_from_slice(bytes.as_bytes());
            self.offer();
            self
        }

        fn upstream(&mut self, bytes: &str) -> &mut Self {
            if !self.ended {
                self.ended = self.guard.upstream_sent(bytes.as_bytes(), &mut self.out).is_err();
                self.offer();
            }
            self
        }

        fn offer(&mut self) {
            if !self.ended {
                match self.guard.client_sent(&self.held, &mut self.out) {
                    Ok(taken) => drop(self.held.drain(..taken)),
                    Err(_) => self.ended = true,
                }
            }
        }

        /// What the upstream and the client received since last asked.
        fn got(&mut self) -> (String, String) {
            let text = |bytes: &mut Vec<u8>| String::from_utf8(mem::take(bytes)).unwrap();
            (text(&mut self.out.to_upstream), text(&mut self.out.to_client))
        }
    }

    impl Relay {
        /// What the upstream received that says `+` to whatever asks for it; the client hears nothing of that.
        fn passed(&mut self) -> String {
            let (mut upstream, client) = self.got();
            assert_eq!(client, "");
            if upstream.ends_with("}\r\n") {
                self.upstream("+ go\r\n");
                upstream += &self.passed();
            }
            upstream
        }
    }

    fn got(upstream: &str, client: &str) -> (String, String) {
        (upstream.to_owned(), client.to_owned())
    }

    #[test]
    fn unauthenticate_never_passes_and_what_stands_around_it_does() {
        let mut relay = Relay::new("UNAUTHENTICATE");
        relay.client("a NOOP\r\nb UnAuthenticate\r\nc NOOP\r\n");
        assert_eq!(relay.got(), got("a NOOP\r\nc NOOP\r\n", "b BAD Not available here\r\n"));
        for verb in ["b UNAUTHENTICATE ", "b  UNAUTHENTICATE", "b unauthenticate {3}"] {
            relay.client(verb).client("\r\n");
            assert_eq!(relay.got(), got("", "b BAD Not available here\r\n"), "{verb:?}");
        }
        relay.client("UNAUTHENTICATE NOOP\r\nd UNAUTHENTICATED\r\n");
        assert_eq!(relay.got(), got("UNAUTHENTICATE NOOP\r\nd UNAUTHENTICATED\r\n", ""));
        relay.upstream("a OK\r\nc OK\r\nUNAUTHENTICATE OK\r\nd BAD\r\n");
        relay.got();
        for verb in [
            "COMPRESS DEFLATE",
            "AUTHENTICATE PLAIN",
            "STARTTLS",
            "X-UNAUTHENTICATE",
            "proxyauth tom",
            "COMPREſS x",
            "UNAUTHENTıCATE",
        ] {
            relay.client(&format!("e {verb}\r\n"));
            assert_eq!(relay.got(), got("", "e BAD Not available here\r\n"), "{verb}");
        }
    }

    #[test]
    fn answers_that_wait_are_bounded_however_the_commands_that_they_are_for_are_cut() {
        let commands = "b\r\n".repeat(400) + "\u{1}";
        for size in [1, 3, commands.len()] {
            let mut relay = Relay::new("UNAUTHENTICATE");
            relay.upstream("* 1 FETCH (BODY[] {10}\r\n");
            let mut ended = None;
            for piece in commands.as_bytes().chunks(size) {
                ended = relay.guard.client_sent(piece, &mut relay.out).err();
                if ended.is_some() {
                    break;
                }
            }
            assert_eq!(ended, Some(Violation::TooManyRefused), "{size} bytes at a time");
            assert!(relay.guard.answers.len() <= ANSWERS_MAX + 64);
        }
    }

    #[test]
    fn a_guard_stands_where_the_upstream_says_so_before_or_after_login() {
        let guarded = |before: &str, after: &str| {
            let [before, capabilities] = [before, after].map(|list| Capabilities::parse(list.as_bytes()));
            let welcome = Welcome { before, capabilities, untagged: Vec::new(), text: String::new() };
            Imap::guard(&welcome).is_some()
        };
        assert!(!guarded("IMAP4rev1", "IMAP4rev1 IDLE"));
        assert!(guarded("IMAP4rev1", "IMAP4rev1 unauthenticate"));
        assert!(guarded("IMAP4rev1", "IMAP4rev1 X-UNAUTHENTICATE"));
        assert!(guarded("IMAP4rev1 UNAUTHENTICATE", ""));
    }

    #[test]
    fn content_is_no_command() {
        let mut relay = Relay::new("UNAUTHENTICATE LITERAL+");
        let append = "a APPEND x {22+}\r\nb UNAUTHENTICATE\r\nc \r\n {0+}\r\n\r\n";
        relay.client(append);
        assert_eq!(relay.passed(), append.replace("+}", "}"));
        relay.client("d UNAUTHENTICATE\r\n");
        assert_eq!(relay.got(), got("", "d BAD Not available here\r\n"));
    }

    /// Dovecot skips the rest of a line that it does not understand, and what the line announces.
    #[test]
    fn what_comes_unasked_passes_if_the_upstream_asks_for_it_and_is_dropped_if_it_has_answered() {
        for announced in ["{18+}", "~{18+}"] {
            let mut relay = Relay::new("UNAUTHENTICATE LITERAL+");
            relay.client(&format!("a NOOP {announced}\r\nb UNAUTHENTICATE\r\n {{3+}}\r\nxyz\r\nc NOOP\r\n"));
            assert_eq!(relay.got(), got(&format!("a NOOP {}\r\n", announced.replace('+', "")), ""));
            relay.upstream("a BAD no\r\n");
            assert_eq!(relay.got(), got("c NOOP\r\n", "a BAD no\r\n"));
        }
        // Not all that begins like one is one.
        let mut relay = Relay::new("UNAUTHENTICATE LITERAL+");
        for line in ["a SEARCH {5+ x\r\n", "a SEARCH {5+} x\r\n", "a SEARCH {5+{6+x\r\n", "a x{5+\r\n"] {
            relay.client(line);
            assert_eq!(relay.got(), got(line, ""));
            relay.upstream("a OK\r\n").got();
        }
        relay.client("a XNOOP{3+}\r\nxyz\r\n");
        assert_eq!(relay.passed(), "a XNOOP{3}\r\nxyz\r\n");
        let mut relay = Relay::new("UNAUTHENTICATE LITERAL+");
        relay.client("a APPEND x {3+}\r\n").upstream(&format!("+ {}", "x".repeat(9000)));
        assert!(relay.ended);
    }

    #[test]
    fn behind_a_synchronising_literal_the_upstreams_answer_decides_what_is_content() {
        let mut relay = Relay::new("UNAUTHENTICATE");
        relay.client("a APPEND x {18}\r\n").client("b UNAUTHENTICATE\r\n\r\n");
        assert_eq!(relay.got(), got("a APPEND x {18}\r\n", ""));
        relay.upstream("* 1 EXISTS\r\n+ go\r\n");
        assert_eq!(relay.got(), got("b UNAUTHENTICATE\r\n\r\n", "* 1 EXISTS\r\n+ go\r\n"));
        relay.upstream("a OK\r\n").got();
        relay
            .client("a APPEND x {18}\r\n")
            .upstream("a NO [OVERQUOTA] full\r\n")
            .client("b UNAUTHENTICATE\r\n");
        assert_eq!(
            relay.got(),
            got("a APPEND x {18}\r\n", "a NO [OVERQUOTA] full\r\nb BAD Not available here\r\n")
        );
    }

    #[test]
    fn text_that_only_looks_like_an_announcement_hides_no_answer() {
        let mut relay = Relay::new("UNAUTHENTICATE");
        relay.client("a APPEND x {5}\r\n").upstream("* OK see {90}\r\n+ go {90}\r\n").client("hello\r\n");
        assert_eq!(relay.got().0, "a APPEND x {5}\r\nhello\r\n");
        relay.client("b UNAUTHENTICATE\r\n").upstream("a NO see {90}\r\n");
        assert_eq!(relay.got().1, "b BAD Not available here\r\na NO see {90}\r\n");
    }

    #[test]
    fn a_line_behind_a_literal_is_no_answer_whatever_it_looks_like() {
        let mut relay = Relay::new("UNAUTHENTICATE");
        relay.client("a APPEND x {18}\r\n").upstream("* 1 FETCH (BODY[] {1}\r\nx");
        relay.upstream("+ )\r\n").client("b UNAUTHENTICATE\r\n\r\n");
        assert_eq!(relay.got().0, "a APPEND x {18}\r\n");
    }

    /// So long is the answer to a `MOVE` of some thousand messages (RFC 4315 section 3).
    #[test]
    fn an_answer_is_heard_however_long_it_is_and_however_it_is_cut() {
        let answer = format!("a OK [COPYUID 1 {} 1:4000] done\r\n", "1000,".repeat(4000));
        for cut in [1, 8192, 8193, 8194, answer.len() - 1, answer.len()] {
            let mut relay = Relay::new("UNAUTHENTICATE");
            relay.client("a MOVE 1:* Trash\r\nb IDLE\r\n");
            assert_eq!(relay.got().0, "a MOVE 1:* Trash\r\nb IDLE\r");
            relay.upstream(&answer[..cut]).upstream(&answer[cut..]);
            assert_eq!(relay.got(), got("\n", &answer), "cut behind {cut} bytes");
        }
    }

    #[test]
    fn the_continuation_of_idle_opens_no_literal() {
        let mut relay = Relay::new("UNAUTHENTICATE");
        relay.client("a IDLE\r\nDONE\r\nb APPEND x {18}\r\n").upstream("+ idling\r\n* 3 EXISTS\r\n");
        assert_eq!(relay.got().0, "a IDLE\r\nDONE\r\nb APPEND x {18}\r");
        relay.client("c UNAUTHENTICATE\r\n").upstream("a OK\r\n");
        assert_eq!(relay.got(), got("\n", "a OK\r\n"));
        relay.upstream("b NO\r\n");
        assert_eq!(relay.got(), got("", "b NO\r\nc BAD Not available here\r\n"));
        relay.client("a IDLE\r\n").upstream("a NO not now\r\n").client("c UNAUTHENTICATE\r\n");
        assert_eq!(relay.got().0, "a IDLE\r\n");
        relay.client("a IDLE\r\n").upstream("+\r\n").client("x UNAUTHENTICATE\r\n");
        assert_eq!((relay.ended, relay.got().0), (true, "a IDLE\r\n".to_owned()));
    }

    #[test]
    fn the_gates_answer_waits_for_the_end_of_a_response() {
        let mut relay = Relay::new("UNAUTHENTICATE");
        relay
            .upstream("* 1 FETCH (BODY[] {29}\r\nb OK")
            .client("b UNAUTHENTICATE\r\n")
            .upstream(" this is only content\r\n+ UID 7");
        assert_eq!(relay.got().1, "* 1 FETCH (BODY[] {29}\r\nb OK this is only content\r\n+ ");
        relay.upstream(")\r\n");
        assert_eq!(relay.got().1, "UID 7)\r\nb BAD Not available here\r\n");
    }

    #[test]
    fn where_the_sides_could_disagree_the_session_ends() {
        for (capabilities, bytes) in [
            ("UNAUTHENTICATE", "a APPEND x {3+}\r\n"),
            ("UNAUTHENTICATE", "a APPEND x {0+}\r\n"),
            ("UNAUTHENTICATE LITERAL-", "a APPEND x {4097+}\r\n"),
            ("UNAUTHENTICATE LITERAL+", "a SEARCH \"x {30+}\r\n"),
            ("UNAUTHENTICATE LITERAL+", "a APPEND x {4294967301+}\r\n"),
            ("UNAUTHENTICATE", "a APPEND x {18446744073709551616}\r\n"),
            ("UNAUTHENTICATE", "a NOOP\nb UNAUTHENTICATE\n"),
            ("UNAUTHENTICATE", "a NOOP x\nb"),
            ("UNAUTHENTICATE", "a NOOP\rb UNAUTHENTICATE\r\n"),
            ("UNAUTHENTICATE", " a UNAUTHENTICATE\r\n"),
            ("UNAUTHENTICATE", "a\tb UNAUTHENTICATE\r\n"),
            ("UNAUTHENTICATE", "a\0 UNAUTHENTICATE\r\n"),
            ("UNAUTHENTICATE", "+ NOOP\r\n"),
            ("UNAUTHENTICATE", "+x NOOP\r\n"),
            ("UNAUTHENTICATE", "* NOOP\r\n"),
        ] {
            let mut relay = Relay::new(capabilities);
            relay.client(bytes);
            assert!(relay.ended, "{bytes:?}");
            assert!(!relay.got().0.ends_with('\n'), "{bytes:?}");
        }
        let mut relay = Relay::new("UNAUTHENTICATE");
        relay.upstream("* 1 FETCH (BODY[] {30}\r\n").client(&"b UNAUTHENTICATE\r\n".repeat(400));
        assert!(relay.ended);
        let mut relay = Relay::new("UNAUTHENTICATE");
        relay.client(&"x".repeat(1000));
        assert!(relay.ended);
    }

    #[test]
    fn capability_lists_lose_what_is_withheld() {
        let mut relay = Relay::new("UNAUTHENTICATE");
        relay.upstream("* CAPABILITY IMAP4rev1 UNAUTHENTICATE COMPRESS=DEFLATE IDLE\r\na OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] done\r\n* 1 FETCH (BODY[] {28}\r\n* CAPABILITY UNAUTHENTICATE)\r\n");
        assert_eq!(
            relay.got().1,
            "* CAPABILITY IMAP4rev1 IDLE\r\na OK [CAPABILITY IMAP4rev1] done\r\n* 1 FETCH (BODY[] {28}\r\n* CAPABILITY UNAUTHENTICATE)\r\n"
        );
        let subject = "* 1 FETCH (ENVELOPE (NIL \"[CAPABILITY STARTTLS] is gone\"))\r\n";
        assert_eq!(relay.upstream(subject).got().1, subject);
        let behind_a_literal =
            "* 1 FETCH (BODY[] {1}\r\nx ENVELOPE (NIL \"[CAPABILITY STARTTLS] is gone\"))\r\n";
        assert_eq!(relay.upstream(behind_a_literal).got().1, behind_a_literal);
    }

    #[test]
    fn an_answer_to_one_command_is_not_taken_for_the_answer_to_another() {
        // The tag is used twice: the first answer is the NOOP's.
        let mut relay = Relay::new("UNAUTHENTICATE LITERAL+");
        let append = "a APPEND x {22}\r\n";
        relay.client("a NOOP\r\n").client(append).client("b APPEND y {30+}\r\n");
        assert_eq!(relay.got().0, format!("a NOOP\r\n{}", &append[..append.len() - 1]));
        relay.upstream("a OK\r\n");
        assert_eq!(relay.got().0, "\n", "now only one answer can come");
        relay.upstream("+ go\r\n").client("....\r\nc UNAUTHENTICATE\r\n");
        assert_eq!(relay.got().0, "b APPEND y {30+}\r\n....\r\n");
    }

    #[test]
    fn behind_a_command_that_the_guard_does_not_know_the_client_waits() {
        let mut relay = Relay::new("UNAUTHENTICATE LITERAL+");
        relay.client("a XNEW {1+}\r\nx\r\nb NOOP {30+}\r\n");
        assert_eq!(relay.passed(), "a XNEW {1}\r\nx\r\n");
        relay.upstream("a BAD what?\r\n");
        assert_eq!(relay.got().0, "b NOOP {30}\r\n");
        let mut relay = Relay::new("UNAUTHENTICATE LITERAL+");
        relay.client("a XNEW\r\nb NOOP {30+}\r\n").upstream("+ more\r\n");
        assert!(relay.ended);
    }

    #[test]
    fn an_upstream_that_answers_in_the_middle_of_a_command_gets_no_more_of_it() {
        let mut relay = Relay::new("UNAUTHENTICATE LITERAL+");
        relay.client("a APPEND x {40+}\r\nhello").upstream("+ go\r\n").upstream("a NO [OVERQUOTA] full\r\n");
        assert!(relay.ended);
        relay.client("b UNAUTHENTICATE\r\n");
        assert_eq!(relay.got(), got("a APPEND x {40}\r\nhello", "a NO [OVERQUOTA] full\r\n"));
    }

    #[test]
    fn an_upstream_that_ends_idle_by_itself_gets_commands_again() {
        let mut relay = Relay::new("UNAUTHENTICATE");
        relay.client("a IDLE\r\n").upstream("+ idling\r\na OK enough\r\n").got();
        relay.client("b UNAUTHENTICATE\r\nc NOOP\r\n");
        assert_eq!(relay.got(), got("c NOOP\r\n", "b BAD Not available here\r\n"));
    }

    #[test]
    fn a_stray_continuation_changes_nothing() {
        let mut relay = Relay::new("UNAUTHENTICATE");
        relay.upstream("+ what was not asked for\r\n").client("a NOOP\r\n").upstream("+ again\r\n");
        relay.client("b UNAUTHENTICATE\r\n");
        let said = "+ what was not asked for\r\n+ again\r\nb BAD Not available here\r\n";
        assert_eq!(relay.got(), got("a NOOP\r\n", said));
    }

    #[test]
    fn what_belongs_to_a_refused_command_is_refused_and_no_more() {
        let mut relay = Relay::new("UNAUTHENTICATE LITERAL+");
        for cut in ["", "a", "abc", "abc\r\n"] {
            let rest = "abc\r\nb NOOP\r\n".strip_prefix(cut).unwrap();
            relay.client("a PROXYAUTH {3+}\r\n").client(cut).client(rest);
            assert_eq!(relay.got(), got("b NOOP\r\n", "a BAD Not available here\r\n"), "{cut:?}");
        }
    }

    #[test]
    fn a_word_alone_reaches_no_upstream() {
        let mut relay = Relay::new("UNAUTHENTICATE");
        relay.client("DONE\r\n\r\na NOOP\r\n");
        assert_eq!(relay.got(), got("\r\na NOOP\r\n", "DONE BAD Not available here\r\n"));
    }

    #[test]
    fn what_is_outstanding_is_bounded() {
        let mut relay = Relay::new("UNAUTHENTICATE");
        relay.client(&"a NOOP\r\n".repeat(1000));
        assert_eq!(relay.got().0.len(), 8 * 256, "then the client has to wait");
        relay.upstream(&"a OK\r\n".repeat(256));
        assert_eq!(relay.got().0.len(), 8 * 256);
    }

    /// One side says something.
    #[derive(Clone, Debug)]
    enum Said {
        Client(&'static str),
        Upstream(&'static str),
    }

    fn conversation() -> impl Strategy<Value = Vec<Said>> {
        let client = prop::sample::select(
            &[
                "a NOOP\r\n",
                "a IDLE\r\n",
                "DONE\r\n",
                "b UNAUTHENTICATE\r\n",
                "c APPEND x {20}\r\n",
                "c APPEND x {20+}\r\n",
                "12345678901234567890",
                "\r\n",
                "d COMPRESS DEFLATE {3+}\r\nabc\r\n",
                "e SEARCH \"q\\\" {3}\" x\r\n",
            ][..],
        );
        let upstream = prop::sample::select(
            &[
                "+ go\r\n",
                "a OK\r\n",
                "c NO\r\n",
                "* OK see {3}\r\n",
                "* 1 FETCH (BODY[] {10}\r\n+ 3456\r\n90)\r\n",
                "* CAPABILITY A UNAUTHENTICATE\r\n",
            ][..],
        );
        let said = prop_oneof![client.prop_map(Said::Client), upstream.prop_map(Said::Upstream)];
        prop::collection::vec(said, 0..20)
    }

    proptest! {
        /// What is passed does not depend on how it arrives, and is nothing but what was said.
        #[test]
        fn every_split_passes_the_same(said in conversation()) {
            let mut whole = Relay::new("UNAUTHENTICATE LITERAL-");
            let mut split = Relay::new("UNAUTHENTICATE LITERAL-");
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

    /// An upstream that reads what the guard lets pass, forgiving about tags and blanks.
    #[derive(Default)]
    struct Lenient {
        line: Vec<u8>,
        literal: u64,
        tag: String,
        verb: Option<String>,
        idling: bool,
        asking: bool,
        executed: Vec<String>,
    }

    impl Lenient {
        /// Reads a byte; `willing` says whether it takes what it may decline. Returns what it replies.
        fn read(&mut self, byte: u8, willing: bool) -> String {
            if self.literal > 0 {
                self.literal -= 1;
                return String::new();
            }
            self.line.push(byte);
            if byte != b'\n' {
                return String::new();
            }
            let line = String::from_utf8_lossy(&mem::take(&mut self.line)).trim_end().to_owned();
            if mem::take(&mut self.asking) {
                return format!("{} OK asked\r\n", self.tag);
            }
            if self.idling {
                self.idling = !line.eq_ignore_ascii_case("DONE");
                return if self.idling { String::new() } else { format!("{} OK idled\r\n", self.tag) };
            }
            if self.verb.is_none() {
                let mut words = line.split_ascii_whitespace();
                self.tag = words.next().unwrap_or_default().to_owned();
                let verb = words.next().unwrap_or_default().to_ascii_uppercase();
                self.verb = Some(match verb.as_str() {
                    "UID" => format!("UID {}", words.next().unwrap_or_default().to_ascii_uppercase()),
                    _ => verb,
                });
            }
            let announced = line.strip_suffix('}').and_then(|line| line.rsplit_once('{')).map(|(_, n)| n);
            if let Some(number) = announced {
                let unasked = number.strip_suffix(['+', '-']);
                if let Ok(length) = unasked.unwrap_or(number).parse() {
                    if !willing {
                        // Whether it comes unasked or not: what follows is the next command.
                        self.executed.extend(self.verb.take());
                        return format!("{} NO\r\n", self.tag);
                    }
                    self.literal = length;
                    return if unasked.is_none() { "+ go\r\n".to_owned() } else { String::new() };
                }
            }
            let verb = self.verb.take().unwrap_or_default();
            self.executed.push(verb.clone());
            match verb.as_str() {
                "IDLE" if willing => {
                    self.idling = true;
                    "+ idling\r\n".to_owned()
                }
                "XASK" if willing => {
                    self.asking = true;
                    "+ more\r\n".to_owned()
                }
                "" if self.tag.is_empty() => "* BAD\r\n".to_owned(),
                _ => format!("{} OK\r\n", self.tag),
            }
        }
    }

    /// What such an upstream reads of `text`, which arrives in pieces of these sizes; `willing` says each time whether it
    /// takes what it may decline.
    fn executed(mut relay: Relay, text: &str, sizes: &[usize], willing: &[bool]) -> Vec<String> {
        let mut upstream = Lenient::default();
        let mut willing = willing.iter().cycle();
        let mut rest = text;
        for size in sizes.iter().cycle() {
            let (piece, behind) = rest.split_at((*size).min(rest.len()));
            rest = behind;
            relay.client(piece);
            while !relay.ended && !relay.out.to_upstream.is_empty() {
                let read = mem::take(&mut relay.out.to_upstream);
                let replies: String = read
                    .iter()
                    .map(|byte| {
                        let willing = *byte != b'\n' || *willing.next().unwrap_or(&true);
                        upstream.read(*byte, willing)
                    })
                    .collect();
                relay.upstream(&replies);
            }
            if rest.is_empty() || relay.ended {
                break;
            }
        }
        upstream.executed
    }

    fn client_words() -> impl Strategy<Value = String> {
        const WORDS: [&str; 24] = [
            "a NOOP\r\n",
            "a NOOP\r\n",
            "b NOOP\r\n",
            "a APPEND x {18}\r\n",
            "a APPEND x {22}\r\n",
            "b APPEND x {18}\r\n",
            "b APPEND y {30+}\r\n",
            "a APPEND y {18+}\r\n",
            "b UNAUTHENTICATE\r\n",
            "b UNAUTHENTICATE\r\n",
            "c unauthenticate\r\n",
            " c UNAUTHENTICATE\r\n",
            "c\tUNAUTHENTICATE\r\n",
            "UNAUTHENTICATE\r\n",
            "+x NOOP\r\n",
            "+ UNAUTHENTICATE\r\n",
            "a IDLE\r\n",
            "b IDLE\r\n",
            "DONE\r\n",
            "a XASK\r\n",
            "b XASK {3+}\r\n",
            "............",
            "\r\n",
            "a NOOP {0}\r\n",
        ];
        prop::collection::vec(prop::sample::select(&WORDS[..]), 0..14).prop_map(|words| words.concat())
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(6000) })]

        #[test]
        fn no_upstream_however_lenient_ever_reads_a_command_that_changes_who_the_client_is(
            text in client_words(),
            sizes in prop::collection::vec(1usize..60, 1..8),
            willing in prop::collection::vec(any::<bool>(), 1..8),
        ) {
            let executed = executed(Relay::new("UNAUTHENTICATE LITERAL+"), &text, &sizes, &willing);
            prop_assert!(
                !executed.iter().any(|verb| verb == "UNAUTHENTICATE"),
                "the upstream read {executed:?} of {text:?}"
            );
        }
    }
}
