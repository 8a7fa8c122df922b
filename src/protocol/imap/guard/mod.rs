//! Stands in the relay to an upstream that offers `UNAUTHENTICATE` (RFC 8437), which would let a client leave
//! the account that the gate admitted it to and log in to another behind the gate's back.
//!
//! Both sides pass byte for byte, but for three things: a command that is not allowed here is answered by the
//! gate and never reaches the upstream; capability lists lose what is withheld; and bytes that the client
//! sends before they can be understood (behind a synchronising literal or `IDLE`, until the upstream has
//! answered that) stay with the caller.
//!
//! Input is hostile: where client and upstream could disagree about what is a command and what is content,
//! the session ends rather than letting something slip through. Content is never held, only the beginnings of
//! lines, bounded.

mod commands;
mod responses;

use self::commands::{Commands, Next};
use self::responses::{Noticed, Responses};
use super::offer::Capabilities;
use crate::protocol::{Forward, RelayGuard, Violation};

/// The most bytes of answers that await the end of a long response: an honest client needs none.
const ANSWERS_MAX: usize = 8192;

/// The guard of one session.
#[derive(Debug)]
pub(super) struct Guard {
    commands: Commands,
    responses: Responses,
    /// The gate's own answers, until no response of the upstream's is under way.
    answers: Vec<u8>,
}

impl Guard {
    /// For an upstream that offers `capabilities`: they say which literals it takes.
    pub(super) fn new(capabilities: &Capabilities) -> Self {
        Self { commands: Commands::new(capabilities), responses: Responses::default(), answers: Vec::new() }
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
        while !rest.is_empty() {
            let (used, next) = self.commands.read(rest, &mut out.to_upstream)?;
            rest = rest.get(used..).unwrap_or_default();
            match next {
                Next::More => {}
                Next::Wait => break,
                Next::Answer(line) => self.answers.extend_from_slice(&line),
            }
        }
        self.answer(out);
        if self.answers.len() > ANSWERS_MAX {
            return Err(Violation::TooManyRefused);
        }
        Ok(bytes.len() - rest.len())
    }

    fn upstream_sent(&mut self, bytes: &[u8], out: &mut Forward) -> Result<(), Violation> {
        let mut rest = bytes;
        while !rest.is_empty() {
            self.answer(out);
            let (used, noticed) = self.responses.read(rest, &mut out.to_client);
            rest = rest.get(used..).unwrap_or_default();
            match noticed {
                Some(Noticed::Continuation) => self.commands.go_ahead(),
                Some(Noticed::Tagged(tag)) => self.commands.answered(&tag),
                None => {}
            }
        }
        self.answer(out);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::mem;

    use proptest::prelude::*;

    use super::*;
    use crate::protocol::MailProtocol;
    use crate::protocol::imap::{Imap, Offer, Welcome};

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
            let guard = Guard::new(&Capabilities::parse(capabilities.as_bytes()));
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

    fn got(upstream: &str, client: &str) -> (String, String) {
        (upstream.to_owned(), client.to_owned())
    }

    #[test]
    fn unauthenticate_never_passes_and_what_stands_around_it_does() {
        let mut relay = Relay::new("UNAUTHENTICATE");
        relay.client("a NOOP\r\nb UnAuthenticate\r\nc NOOP\r\n");
        assert_eq!(relay.got(), got("a NOOP\r\nc NOOP\r\n", "b BAD Not available here\r\n"));
        for verb in [
            "b UNAUTHENTICATE ",
            "b  UNAUTHENTICATE",
            "b\tUNAUTHENTICATE\t",
            " UNAUTHENTICATE",
            " b UNAUTHENTICATE",
            "b\tc UNAUTHENTICATE",
            "b\tc UNAUTHENTICATE x",
        ] {
            relay.client(verb).client("\r\n");
            assert_eq!(relay.got().0, "", "{verb:?}");
        }
        relay.client("UNAUTHENTICATE NOOP\r\nd UNAUTHENTICATED\r\n");
        assert_eq!(relay.got(), got("UNAUTHENTICATE NOOP\r\nd UNAUTHENTICATED\r\n", ""));
        relay.client("e COMPRESS DEFLATE\r\nf AUTHENTICATE PLAIN\r\n");
        assert_eq!(relay.got(), got("", "e BAD Not available here\r\nf BAD Not available here\r\n"));
    }

    #[test]
    fn a_guard_stands_where_the_upstream_says_so_before_or_after_login() {
        let guarded = |before: &str, after: &str| {
            let capabilities = Capabilities::parse(after.as_bytes());
            let welcome = Welcome { capabilities, untagged: Vec::new(), text: String::new() };
            Imap::guard(&Offer::parse(before), &welcome).is_some()
        };
        assert!(!guarded("IMAP4rev1", "IMAP4rev1 IDLE"));
        assert!(guarded("IMAP4rev1", "IMAP4rev1 unauthenticate"));
        assert!(guarded("IMAP4rev1 UNAUTHENTICATE", ""));
    }

    #[test]
    fn content_is_no_command() {
        let mut relay = Relay::new("UNAUTHENTICATE LITERAL+");
        let append = "a APPEND x {20+}\r\nb UNAUTHENTICATE\r\nc \r\n {0+}\r\n\r\n";
        relay.client(append).client("d UNAUTHENTICATE\r\n");
        assert_eq!(relay.got(), got(append, "d BAD Not available here\r\n"));
    }

    #[test]
    fn behind_a_synchronising_literal_the_upstreams_answer_decides_what_is_content() {
        let mut relay = Relay::new("UNAUTHENTICATE");
        relay.client("a APPEND x {18}\r\n").client("b UNAUTHENTICATE\r\n\r\n");
        assert_eq!(relay.got(), got("a APPEND x {18}\r\n", ""));
        relay.upstream("* 1 EXISTS\r\n+ go\r\n");
        assert_eq!(relay.got(), got("b UNAUTHENTICATE\r\n\r\n", "* 1 EXISTS\r\n+ go\r\n"));
        relay
            .client("b APPEND x {18}\r\n")
            .upstream("b NO [OVERQUOTA] full\r\n")
            .client("b UNAUTHENTICATE\r\n");
        assert_eq!(
            relay.got(),
            got("b APPEND x {18}\r\n", "b NO [OVERQUOTA] full\r\nb BAD Not available here\r\n")
        );
    }

    /// The answer to the first would pass for a refusal of the literal, whose content would pass for commands, and
    /// behind a literal that one of those announces all would pass.
    #[test]
    fn a_tag_in_use_is_not_used_again() {
        let mut relay = Relay::new("UNAUTHENTICATE LITERAL+");
        relay.client("a NOOP\r\na APPEND x {18}\r\n").upstream("a OK\r\n+ go\r\n");
        relay.client("b APPEND y {30+}\r\n\r\nc UNAUTHENTICATE\r\n");
        assert_eq!((relay.ended, relay.got().0), (true, "a NOOP\r\n".to_owned()));
        let mut relay = Relay::new("UNAUTHENTICATE");
        relay.client("a NOOP\r\n").upstream("a OK\r\n").client("a NOOP\r\n").client("A NOOP\r\n");
        assert_eq!((relay.ended, relay.got().0), (false, "a NOOP\r\na NOOP\r\nA NOOP\r\n".to_owned()));
    }

    #[test]
    fn commands_wait_while_too_many_are_not_answered() {
        let mut relay = Relay::new("UNAUTHENTICATE");
        let commands: String = (0..3000).map(|number| format!("{number:04} NOOP\r\n")).collect();
        let passed = relay.client(&commands).got().0;
        assert!(commands.starts_with(&passed) && passed.len() < commands.len());
        for number in 0..3000 {
            relay.upstream(&format!("{number:04} OK\r\n"));
        }
        assert_eq!((relay.ended, passed + &relay.got().0), (false, commands));
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
    fn the_continuation_of_idle_opens_no_literal() {
        let mut relay = Relay::new("UNAUTHENTICATE");
        relay.client("a IDLE\r\nDONE\r\nb APPEND x {18}\r\n").upstream("+ idling\r\n* 3 EXISTS\r\n");
        assert_eq!(relay.got().0, "a IDLE\r\nDONE\r\nb APPEND x {18}\r\n");
        relay.client("c UNAUTHENTICATE\r\n").upstream("a OK\r\nb NO\r\n");
        assert_eq!(relay.got(), got("", "a OK\r\nb NO\r\nc BAD Not available here\r\n"));
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
            ("UNAUTHENTICATE", "a\0b NOOP\r\n"),
            ("UNAUTHENTICATE", "+ NOOP\r\n"),
            ("UNAUTHENTICATE", " +\tNOOP\r\n"),
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
}
