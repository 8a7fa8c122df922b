use proptest::prelude::*;

use super::*;

/// A client and an upstream with the guard between, as the relay drives it.
struct Relay {
    guard: Guard,
    held: Vec<u8>,
    upstream: Vec<u8>,
    client: Vec<u8>,
    ended: Option<Violation>,
}

impl Relay {
    fn new(offer: &[&str]) -> Self {
        let guard = Guard::new(&Offer::new(offer.iter().copied()));
        Self { guard, held: Vec::new(), upstream: Vec::new(), client: Vec::new(), ended: None }
    }

    fn client_says(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        self.held.extend_from_slice(bytes.as_ref());
        self.go_on();
        self
    }

    fn upstream_says(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        if self.ended.is_none() {
            let mut out = Forward::default();
            let result = self.guard.upstream_sent(bytes.as_ref(), &mut out);
            self.take(&out, result.err());
            self.go_on();
        }
        self
    }

    fn go_on(&mut self) {
        if self.ended.is_none() {
            let mut out = Forward::default();
            match self.guard.client_sent(&self.held, &mut out) {
                Ok(taken) => {
                    self.held.drain(..taken);
                    self.take(&out, None);
                }
                Err(violation) => self.take(&out, Some(violation)),
            }
        }
    }

    fn take(&mut self, out: &Forward, ended: Option<Violation>) {
        self.client.extend_from_slice(&out.to_client);
        if ended.is_none() {
            self.upstream.extend_from_slice(&out.to_upstream);
        }
        self.ended = ended;
    }

    /// What the upstream got since the last time.
    fn upstream_got(&mut self) -> String {
        String::from_utf8(std::mem::take(&mut self.upstream)).unwrap()
    }

    /// What the client heard since the last time.
    fn client_heard(&mut self) -> String {
        String::from_utf8(std::mem::take(&mut self.client)).unwrap()
    }
}

#[test]
fn a_message_passes_as_it_is_and_commands_follow_it() {
    let mut relay = Relay::new(&["PIPELINING"]);
    relay.client_says(
        "MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\nXCLIENT in the message\r\n..\r\n.\r\nQUIT\r\n",
    );
    assert_eq!(relay.upstream_got(), "MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n");
    relay.upstream_says("250 2.1.0 Ok\r\n250 2.1.5 Ok\r\n");
    assert_eq!(relay.upstream_got(), "", "content waits for the 354");
    relay.upstream_says("354-go\r\n354 ahead\r\n");
    assert_eq!(relay.upstream_got(), "XCLIENT in the message\r\n..\r\n.\r\nQUIT\r\n");
    relay.upstream_says("250 queued\r\n221 bye\r\n");
    assert_eq!(
        relay.client_heard(),
        "250 2.1.0 Ok\r\n250 2.1.5 Ok\r\n354-go\r\n354 ahead\r\n250 queued\r\n221 bye\r\n"
    );
}

#[test]
fn where_data_is_declined_the_next_lines_are_commands() {
    for no in ["503 5.5.1 no recipients\r\n", "451 4.3.0 later\r\n", "250 odd\r\n"] {
        let mut relay = Relay::new(&[]);
        relay.client_says("DATA\r\nXCLIENT LOGIN=evil\r\nRSET\r\n").upstream_says(no);
        assert_eq!(relay.upstream_got(), "DATA\r\nRSET\r\n");
        assert_eq!(relay.client_heard(), format!("{no}550 5.7.0 Not allowed\r\n"));
    }
}

#[test]
fn the_gates_own_answers_stand_behind_the_replies_still_to_come() {
    let mut relay = Relay::new(&["PIPELINING"]);
    relay.client_says(
        "MAIL FROM:<a@b>\r\nAUTH LOGIN\r\nRCPT TO:<c@d>\r\nSTARTTLS\r\nXFORWARD ADDR=1\r\nNOOP\r\n",
    );
    assert_eq!(relay.upstream_got(), "MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nNOOP\r\n");
    assert_eq!(relay.client_heard(), "");
    relay.upstream_says("250-one\r\n");
    relay.client_says("x-exps\r\n");
    relay.upstream_says("250 one\r\n250 t");
    assert_eq!(relay.client_heard(), "250-one\r\n250 one\r\n503 5.5.1 Already authenticated\r\n250 t");
    relay.upstream_says("wo\r\n250 three\r\n");
    assert_eq!(
        relay.client_heard(),
        "wo\r\n503 5.5.1 TLS is active already\r\n550 5.7.0 Not allowed\r\n250 three\r\n502 5.5.1 Command not implemented\r\n"
    );
    relay.client_says("XCLIENT\r\n");
    assert_eq!(relay.client_heard(), "550 5.7.0 Not allowed\r\n", "at once where nothing is outstanding");
}

#[test]
fn an_answer_of_the_gate_never_stands_inside_a_reply() {
    let mut relay = Relay::new(&[]);
    relay.client_says("HELP\r\n").upstream_says("214-a\r\n21").client_says("AUTH PLAIN x\r\n");
    relay.upstream_says("4 b\r\n");
    assert_eq!(relay.client_heard(), "214-a\r\n214 b\r\n503 5.5.1 Already authenticated\r\n");
}

#[test]
fn later_replies_to_ehlo_are_filtered_however_they_are_cut() {
    let reply = "250-mail.example.org\r\n250-STARTTLS\r\n250-SIZE 5\r\n250-XFORWARD NAME\r\n250-CHUNKING\r\n250-XCLIENT\r\n250 AUTH PLAIN\r\n";
    for at in 0..=reply.len() {
        let mut relay = Relay::new(&[]);
        relay.client_says("EHLO other.example.org\r\nBDAT 3\r\nabc");
        assert_eq!(relay.upstream_got(), "EHLO other.example.org\r\n");
        relay.upstream_says(&reply[..at]).upstream_says(&reply[at..]);
        assert_eq!(relay.client_heard(), "250-mail.example.org\r\n250-SIZE 5\r\n250 CHUNKING\r\n");
        assert_eq!(relay.upstream_got(), "BDAT 3\r\nabc", "which the new reply allows");
    }
    let mut relay = Relay::new(&[]);
    relay.client_says("EHLO\r\n").upstream_says("501-5.5.4 AUTH\r\n501 5.5.4 syntax\r\n");
    assert_eq!(relay.client_heard(), "501-5.5.4 AUTH\r\n501 5.5.4 syntax\r\n");
}

#[test]
fn chunks_pass_by_count_and_only_to_an_upstream_that_takes_them() {
    let mut relay = Relay::new(&["CHUNKING"]);
    relay.client_says("BDAT 12\r\nQUIT\r\n.\r\nXC").client_says("Lbdat 007 last\r\n\r\n.\r\n\n\nXCLIENT\r\n");
    assert_eq!(relay.upstream_got(), "BDAT 12\r\nQUIT\r\n.\r\nXCLBDAT 7 LAST\r\n\r\n.\r\n\n\n");
    relay.upstream_says("250 12\r\n250 7\r\n");
    assert_eq!(relay.client_heard(), "250 12\r\n250 7\r\n550 5.7.0 Not allowed\r\n");
    // RFC 3030 makes a server of it only after EHLO.
    relay
        .client_says("HELO x\r\n")
        .upstream_says("250 hi\r\n")
        .client_says("BDAT 0 LAST\r\nBDAT 6\r\nQUIT\r\nRSET\r\n");
    assert_eq!(relay.upstream_got(), "HELO x\r\nRSET\r\n");
    assert_eq!(
        relay.client_heard(),
        "250 hi\r\n502 5.5.1 BDAT is not offered\r\n502 5.5.1 BDAT is not offered\r\n"
    );
    assert_eq!(Relay::new(&["CHUNKING"]).client_says("BDAT five\r\n").ended, Some(Violation::UnclearChunk));
}

/// Postfix hangs up on a number that it cannot count to; another takes what follows for commands.
#[test]
fn a_chunk_longer_than_an_upstream_can_count_reaches_none() {
    for size in ["2147483648", "4294967301", "18446744073709551615"] {
        let mut relay = Relay::new(&["CHUNKING"]);
        relay.client_says(format!("BDAT {size} LAST\r\nhello\r\nXCLIENT LOGIN=evil\r\n"));
        assert_eq!((relay.upstream_got().as_str(), relay.ended), ("", Some(Violation::UnclearChunk)));
    }
}

#[test]
fn an_upstream_that_replies_in_the_middle_of_a_chunk_gets_no_more_of_it() {
    let mut relay = Relay::new(&["CHUNKING"]);
    relay.client_says("RCPT TO:<c@d>\r\nBDAT 3\r\nabcBDAT 30 LAST\r\nabc").upstream_says("550 no\r\n554 no ");
    relay.client_says("def").upstream_says("recipients\r\n").client_says("ghi");
    assert_eq!(relay.ended, None, "that was for the chunk before");
    assert_eq!(relay.upstream_got(), "RCPT TO:<c@d>\r\nBDAT 3\r\nabcBDAT 30 LAST\r\nabcdefghi");
    relay.upstream_says("503 5.5.1").client_says("\r\nXCLIENT LOGIN=evil\r\n").upstream_says(" what?\r\n");
    assert_eq!((relay.upstream_got().as_str(), relay.ended), ("", Some(Violation::AnsweredEarly)));
    assert_eq!(relay.client_heard(), "550 no\r\n554 no recipients\r\n503 5.5.1 what?\r\n");
}

#[test]
fn after_a_deviating_end_nothing_is_taken_for_a_command() {
    for end in [
        "\n.\n",
        "\n.\r\n",
        "\r\n.\n",
        "\r.\r\n",
        "\r\n.\r",
        "\r.\r",
        "\r.\n",
        "\n.\r",
        "\r\n\0.\r\n",
        "\r\n.\0\r\n",
    ] {
        let content = format!("text{end}MAIL FROM:<evil@b>\r\nXCLIENT LOGIN=evil\r\n\r\n.\r\n");
        for at in 0..=content.len() {
            let mut relay = Relay::new(&[]);
            relay.client_says("DATA\r\n").upstream_says("354 go\r\n");
            relay.client_says(&content[..at]).client_says(&content[at..]);
            assert_eq!(relay.ended, Some(Violation::DeviatingEnd), "{end:?}");
            assert!(!relay.upstream_got().contains("MAIL"), "{end:?}");
            assert_eq!(
                relay.client_heard(),
                "354 go\r\n554 5.6.0 Message has a line that looks like its end\r\n"
            );
        }
    }
}

#[test]
fn an_upstream_that_replies_in_the_middle_of_a_message_gets_no_more_of_it() {
    let mut relay = Relay::new(&[]);
    relay.client_says("DATA\r\n").upstream_says("354 go\r\n").client_says("text\r\n");
    relay.upstream_says("552 5.3.4 too").client_says("MAIL FROM:<evil@b>\r\n").upstream_says(" big\r\n");
    assert_eq!(relay.ended, Some(Violation::AnsweredEarly));
    assert_eq!(relay.upstream_got(), "DATA\r\ntext\r\n");
    assert_eq!(relay.client_heard(), "354 go\r\n552 5.3.4 too big\r\n");
}

#[test]
fn an_exchange_that_the_gate_does_not_know_ends_the_session() {
    for (command, reply) in [
        ("FOO\r\n", "334 go on\r\n"),
        ("NOOP\r\n", "354 go\r\n"),
        ("DATA\r\n", "350 go\r\n"),
        ("", "354 go\r\n"),
    ] {
        let mut relay = Relay::new(&[]);
        relay.client_says(command).upstream_says(reply);
        assert_eq!(relay.ended, Some(Violation::UnknownExchange), "{command}");
    }
    let mut relay = Relay::new(&[]);
    relay.client_says("FOO bar\r\nNOOP\r\n");
    assert_eq!(relay.upstream_got(), "FOO bar\r\n", "alone");
    relay.upstream_says("502 5.5.2 Error: command not recognized\r\n");
    assert_eq!(relay.upstream_got(), "NOOP\r\n");
}

#[test]
fn what_is_no_reply_ends_the_session() {
    for garbage in ["hello\r\n", "25\r\n", "250x\r\n", "250-a\r\n251 b\r\n", "\r\n"] {
        let mut relay = Relay::new(&[]);
        relay.client_says("NOOP\r\n").upstream_says(garbage);
        assert!(matches!(relay.ended, Some(Violation::Garbage(_))), "{garbage}");
    }
    let mut relay = Relay::new(&[]);
    relay.client_says("EHLO x\r\n").upstream_says("250-x\r\n".repeat(4000));
    assert!(matches!(relay.ended, Some(Violation::Garbage(_))));
}

#[test]
fn a_farewell_that_nobody_asked_for_reaches_the_client() {
    let mut relay = Relay::new(&[]);
    relay.upstream_says("421 4.4.2 idle for too long\r\n");
    assert_eq!((relay.client_heard().as_str(), relay.ended), ("421 4.4.2 idle for too long\r\n", None));
}

#[test]
fn command_lines_reach_the_upstream_with_the_line_end_that_the_gate_saw() {
    let mut relay = Relay::new(&[]);
    relay.client_says("NOOP\nRS").client_says("ET\r").client_says("\n XCLIENT\r\nNOOP\rXCLIENT\r\n");
    assert_eq!(relay.upstream_got(), "NOOP\r\nRSET\r\n");
    relay.upstream_says("250 a\r\n250 b\r\n");
    assert_eq!(
        relay.client_heard(),
        "250 a\r\n250 b\r\n500 5.5.2 Invalid command\r\n500 5.5.2 Invalid command\r\n"
    );
}

/// The rest of a line that an upstream cuts would be a command of its own there.
#[test]
fn no_line_passes_that_an_upstream_could_cut_in_two() {
    let line = |length: usize| {
        let end = "XCLIENT LOGIN=evil\r\n";
        format!("NOOP {}{end}", "x".repeat(length - end.len() - 5))
    };
    let mut relay = Relay::new(&[]);
    relay.client_says(line(2049)).client_says(line(4096)).client_says(line(8192));
    assert_eq!(
        (relay.upstream_got(), relay.client_heard()),
        (String::new(), Own::LineTooLong.text().repeat(3))
    );
    relay.client_says(line(2048));
    assert_eq!(relay.upstream_got(), line(2048));
}

#[test]
fn what_is_held_is_bounded() {
    let mut relay = Relay::new(&[]);
    relay.client_says("NOOP\r\n".repeat(5000));
    assert_eq!(relay.upstream_got().len(), OUTSTANDING_MAX * 6, "then the client has to wait");
    relay.upstream_says("250 ok\r\n".repeat(OUTSTANDING_MAX));
    assert_eq!(relay.upstream_got().len(), OUTSTANDING_MAX * 6);

    let long = format!("NOOP {}\r\nRSET\r\n", "x".repeat(LINE_MAX));
    for at in 0..long.len() {
        let mut relay = Relay::new(&[]);
        relay.client_says(&long[..at]);
        assert!(relay.guard.line.len() <= LINE_MAX);
        relay.client_says(&long[at..]);
        assert_eq!(
            (relay.upstream_got().as_str(), relay.client_heard().as_str()),
            ("RSET\r\n", Own::LineTooLong.text())
        );
    }

    let mut relay = Relay::new(&[]);
    relay.client_says("\n".repeat(10_000));
    assert_eq!(relay.ended, Some(Violation::TooManyRefused));
    assert!(relay.client_heard().len() < 8192);
}

#[test]
fn a_client_that_the_gate_had_to_answer_a_hundred_times_has_to_go_at_the_next() {
    let mut relay = Relay::new(&[]);
    relay.client_says("XCLIENT\r\n".repeat(100));
    assert_eq!((relay.client_heard(), relay.ended), ("550 5.7.0 Not allowed\r\n".repeat(100), None));
    relay.client_says("XCLIENT\r\n");
    assert_eq!(relay.ended, Some(Violation::TooManyRefused));
    assert_eq!(relay.client_heard(), "421 4.7.0 Too many errors\r\n");
}

/// An upstream that reads what the guard lets pass in its own lenient way.
struct Lenient {
    bare_lf: bool,
    bare_cr: bool,
    drops_nul: bool,
    chunking: bool,
    declines_data: bool,
    line: Vec<u8>,
    skip_lf: bool,
    in_message: bool,
    chunk: usize,
    commands: Vec<String>,
}

impl Lenient {
    /// Reads a byte, and says what it replies.
    fn read(&mut self, byte: u8) -> Option<String> {
        if std::mem::take(&mut self.skip_lf) && byte == b'\n' {
            return None;
        }
        if self.chunk > 0 {
            self.chunk -= 1;
            return (self.chunk == 0).then(|| "250 chunk\r\n".to_owned());
        }
        if byte == 0 && self.drops_nul {
            return None;
        }
        self.line.push(byte);
        let end = match byte {
            b'\n' if self.line.ends_with(b"\r\n") => 2,
            b'\n' if self.bare_lf => 1,
            b'\r' if self.bare_cr => 1,
            _ => return None,
        };
        self.skip_lf = byte == b'\r';
        let mut line = std::mem::take(&mut self.line);
        line.truncate(line.len() - end);
        if self.in_message {
            self.in_message = line != b".";
            return (!self.in_message).then(|| "250 message\r\n".to_owned());
        }
        let line = String::from_utf8_lossy(&line).trim().to_uppercase();
        self.commands.push(line.clone());
        let mut words = line.split(|c: char| c.is_whitespace() || c.is_control());
        Some(match words.next() {
            Some("DATA") if self.declines_data => "503 no\r\n".to_owned(),
            Some("DATA") => {
                self.in_message = true;
                "354 go\r\n".to_owned()
            }
            Some("EHLO") if self.chunking => "250-a\r\n250-XCLIENT\r\n250 CHUNKING\r\n".to_owned(),
            Some("EHLO") => "250-a\r\n250 XCLIENT\r\n".to_owned(),
            Some("BDAT") if self.chunking => {
                self.chunk = words.next().unwrap().parse().unwrap();
                if self.chunk > 0 {
                    return None;
                }
                "250 chunk\r\n".to_owned()
            }
            Some("BDAT") => "500 what?\r\n".to_owned(),
            _ => "250 ok\r\n".to_owned(),
        })
    }
}

fn client_words() -> impl Strategy<Value = Vec<u8>> {
    const WORDS: [&[u8]; 27] = [
        b"XCLIENT LOGIN=evil\r\n",
        b"AUTH PLAIN eA==\r\n",
        b"STARTTLS\r\n",
        b"xforward addr=1\n",
        b"DATA\r\n",
        b"DATA\n",
        b"\r\n.\r\n",
        b"\n.\n",
        b"\r.\r",
        b".",
        b"\r",
        b"\n",
        b"\0",
        b"BDAT 5\r\n",
        b"BDAT 21 LAST\r\n",
        b"BDAT 3\n",
        b"text",
        b"MAIL FROM:<a>\r\n",
        b"FOO\r\n",
        b" ",
        b"EHLO x\r\n",
        b"HELO x\r\n",
        b"RSET\r\n",
        b"NOOP",
        b"\r\n",
        b"\r\n\0.\r\n",
        b"\t",
    ];
    prop::collection::vec(prop::sample::select(&WORDS[..]), 0..40).prop_map(|words| words.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(4000) })]

    #[test]
    fn no_upstream_however_lenient_ever_reads_a_command_that_changes_who_the_client_is(
        bytes in client_words(),
        sizes in prop::collection::vec(1usize..30, 1..20),
        (bare_lf, bare_cr, drops_nul, chunking, declines_data) in any::<(bool, bool, bool, bool, bool)>(),
    ) {
        let mut upstream = Lenient {
            bare_lf, bare_cr, drops_nul, chunking, declines_data,
            line: Vec::new(), skip_lf: false, in_message: false, chunk: 0, commands: Vec::new(),
        };
        let mut relay = Relay::new(if chunking { &["CHUNKING"] } else { &[] });
        let mut rest = &bytes[..];
        for size in sizes.iter().cycle() {
            let (piece, behind) = rest.split_at((*size).min(rest.len()));
            rest = behind;
            relay.client_says(piece);
            // The replies in one piece or in two, until the upstream has no more to read.
            while !relay.upstream.is_empty() {
                let read = std::mem::take(&mut relay.upstream);
                let replies: String = read.iter().filter_map(|byte| upstream.read(*byte)).collect();
                let (one, two) = replies.split_at((*size).min(replies.len()));
                relay.upstream_says(one).upstream_says(two);
            }
            if rest.is_empty() {
                break;
            }
        }
        for command in &upstream.commands {
            let verb = command.trim_start_matches(|c: char| !c.is_ascii_alphanumeric());
            for forbidden in ["XCLIENT", "XFORWARD", "AUTH", "STARTTLS"] {
                prop_assert!(!verb.starts_with(forbidden), "the upstream read {command:?} of {:?}", String::from_utf8_lossy(&bytes));
            }
        }
    }
}

#[test]
fn it_knows_when_nothing_is_under_way() {
    let mut relay = Relay::new(&["CHUNKING"]);
    let rest = |relay: &Relay| relay.guard.rest();
    let (done, busy) = (Some(Rest::Done), Some(Rest::Busy));
    assert_eq!(rest(&relay), done);
    for (from_client, bytes, stands) in [
        (true, "NO", busy),
        (true, "OP\r\n", busy),
        (false, "250-still\r\n", busy),
        (false, "250 ok\r\n", done),
        (true, "MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\n", busy),
        (false, "250 ok\r\n", busy),
        (false, "250 ok\r\n", done),
        (true, "DATA\r\n", busy),
        (false, "354 go\r\n", busy),
        (true, "text\r\n.\r\n", busy),
        (false, "250 taken\r\n", done),
        (true, "BDAT 4\r\nab", busy),
        (true, "cd", busy),
        (false, "250 ok\r\n", done),
        (true, "XCLIENT LOGIN=root\r\n", done),
    ] {
        if from_client {
            relay.client_says(bytes)
        } else {
            relay.upstream_says(bytes)
        };
        assert_eq!(rest(&relay), stands, "after {bytes:?}");
    }
}
