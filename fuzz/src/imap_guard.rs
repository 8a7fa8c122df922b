//! The relay guard of IMAP: an upstream that reads every command and literal as the RFC says never reads a command
//! that would change who the client is, nor one that would change anything where it may only read, and the rest passes
//! as it was sent.
//!
//! `kind`: 1 the upstream takes literals, 2 it knows `IDLE`, 4 its answers come late, 8 it is no server at all, and
//! what it says is every other flight; 16 the client may only read.

use mailward::protocol::MailProtocol;
use mailward::protocol::imap::{Capabilities, Imap, Welcome};

use crate::guard::{Relay, assert_same};
use crate::input::Input;

/// What the upstream says about literals that come unasked.
const CAPABILITIES: [&str; 4] = [
    "UNAUTHENTICATE",
    "UNAUTHENTICATE LITERAL+",
    "UNAUTHENTICATE LITERAL-",
    "IMAP4rev2 UNAUTHENTICATE COMPRESS=DEFLATE",
];

const FORBIDDEN: [&str; 3] = ["UNAUTHENTICATE", "COMPRESS", "AUTHENTICATE"];

/// All that an upstream may hear of who may only read; a line without a verb is no command.
const READING: &str = "CAPABILITY NOOP LOGOUT ID LANGUAGE COMPARATOR ENABLE EXAMINE LIST LSUB XLIST NAMESPACE STATUS IDLE \
                       NOTIFY CLOSE UNSELECT CHECK SEARCH FETCH SORT THREAD ESEARCH CANCELUPDATE GETACL LISTRIGHTS \
                       MYRIGHTS GETQUOTA GETQUOTAROOT GETMETADATA";
const READING_BY_UID: [&str; 4] = ["FETCH", "SEARCH", "SORT", "THREAD"];

pub(crate) fn check(bytes: &[u8]) {
    let Some(input) = Input::read(bytes) else { return };
    let capabilities = CAPABILITIES[usize::from(input.setup) % CAPABILITIES.len()];
    let relay = || {
        let welcome = Welcome {
            before: Capabilities::default(),
            capabilities: Capabilities::parse(capabilities.as_bytes()),
            untagged: Vec::new(),
            text: String::new(),
        };
        Relay::new(match input.kind & 16 {
            0 => Imap::guard(&welcome).unwrap(),
            _ => Imap::read_only_guard(&welcome),
        })
    };
    if input.kind & 8 != 0 {
        return with_any_upstream(&input, relay);
    }
    let stream = input.all();
    let mut first: Option<Relay> = None;
    for cut in input.cuts() {
        let mut upstream = Upstream::new(input.kind);
        let mut relay = relay();
        relay.converse(&cut.pieces(&stream), &mut |bytes| upstream.read(bytes));
        for command in &upstream.commands {
            let text = command.to_uppercase();
            let strict = text.split(' ').nth(1);
            let lenient =
                text.split(|c: char| c.is_ascii_whitespace()).filter(|word| !word.is_empty()).nth(1);
            for verb in [strict, lenient].into_iter().flatten() {
                assert!(!FORBIDDEN.contains(&verb), "the upstream read {command:?}");
            }
            assert!(input.kind & 16 == 0 || only_reads(&text), "the upstream read {command:?}");
        }
        let sent = match input.kind & 16 {
            0 => stream.clone(),
            _ => examined(&stream),
        };
        assert!(in_order(&relay.to_upstream, &sent), "something else passed than what was sent");
        match &first {
            None => first = Some(relay),
            // When a late answer comes depends on the pieces; and so does whether a tag may be used again, which
            // ends the session where it may not.
            Some(first) if input.kind & 4 == 0 => assert_same(first, &relay, &format!("under {cut:?}")),
            Some(_) => {}
        }
    }
}

/// Only how the client's bytes are cut must not matter: when an upstream answers unasked, does.
fn with_any_upstream(input: &Input, relay: impl Fn() -> Relay) {
    let mut first: Option<Relay> = None;
    for cut in input.cuts() {
        let mut relay = relay();
        for (number, flight) in input.flights.iter().enumerate() {
            match number % 2 {
                0 => cut.pieces(flight).into_iter().for_each(|piece| relay.client_says(piece)),
                _ => relay.upstream_says(flight),
            }
        }
        match &first {
            None => first = Some(relay),
            Some(first) => {
                assert_same(first, &relay, &format!("under {cut:?}"));
                assert_eq!(first.ended, relay.ended);
            }
        }
    }
    let mut relay = relay();
    for (number, flight) in input.flights.iter().enumerate() {
        for byte in flight.chunks(1) {
            match number % 2 {
                0 => relay.client_says(byte),
                _ => relay.upstream_says(byte),
            }
        }
    }
}

/// Whether a command, in capitals, is one that reads.
fn only_reads(command: &str) -> bool {
    let words = |blank: fn(char) -> bool| {
        let mut words = command.split(blank).filter(|word| !word.is_empty()).skip(1).map(str::to_owned);
        [words.next().unwrap_or_default(), words.next().unwrap_or_default()]
    };
    [words(|c| c == ' '), words(|c| c.is_ascii_whitespace())].iter().all(|[verb, behind]| {
        match verb.as_str() {
            "" => true,
            "UID" => READING_BY_UID.contains(&behind.as_str()),
            verb => READING.split(' ').any(|reads| reads == verb),
        }
    })
}

/// What was sent, with the other verb behind each that may have been taken for it.
fn examined(stream: &[u8]) -> Vec<u8> {
    let mut sent = Vec::new();
    for (at, byte) in stream.iter().enumerate() {
        sent.push(*byte);
        if stream[..=at].last_chunk::<6>().is_some_and(|word| word.eq_ignore_ascii_case(b"SELECT")) {
            sent.extend_from_slice(b"EXAMINE");
        }
    }
    sent
}

/// Whether all of `part` stands in `whole`, in its order.
fn in_order(part: &[u8], whole: &[u8]) -> bool {
    let mut whole = whole.iter();
    part.iter().all(|byte| whole.any(|other| other == byte))
}

/// A server, in the words of RFC 9051 sections 2.2 and 4.3, that takes a literal for one if it has asked for it. What
/// follows an announcement of one that comes unasked is the next command to it, whatever it has said (Dovecot's way with
/// lines that it does not understand).
struct Upstream {
    takes_literals: bool,
    knows_idle: bool,
    late: bool,
    /// Answers that are late.
    waiting: Vec<u8>,
    line: Vec<u8>,
    /// The first line of the command under way, if it goes on behind a literal.
    first: Option<Vec<u8>>,
    literal: u64,
    idle: Option<Vec<u8>>,
    commands: Vec<String>,
}

impl Upstream {
    fn new(kind: u8) -> Self {
        Self {
            takes_literals: kind & 1 != 0,
            knows_idle: kind & 2 != 0,
            late: kind & 4 != 0,
            waiting: Vec::new(),
            line: Vec::new(),
            first: None,
            literal: 0,
            idle: None,
            commands: Vec::new(),
        }
    }

    fn read(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut replies = Vec::new();
        for byte in bytes {
            if self.literal > 0 {
                self.literal -= 1;
                continue;
            }
            self.line.push(*byte);
            if self.line.ends_with(b"\r\n") {
                let mut line = std::mem::take(&mut self.line);
                line.truncate(line.len() - 2);
                self.take_line(line, &mut replies);
            }
        }
        replies
    }

    fn take_line(&mut self, line: Vec<u8>, replies: &mut Vec<u8>) {
        if let Some(tag) = self.idle.take() {
            return replies.extend_from_slice(&[&*tag, b" OK done\r\n"].concat());
        }
        let announced = announcement(&line);
        let command = self.first.take().unwrap_or(line);
        let text = String::from_utf8_lossy(&command).into_owned();
        let tag = command.split(|b| *b == b' ').next().unwrap().to_vec();
        match announced {
            Some((length, false)) if self.takes_literals => {
                (self.literal, self.first) = (length, Some(command));
                replies.append(&mut self.waiting);
                return replies.extend_from_slice(b"+ go\r\n");
            }
            _ => {}
        }
        let verb = text.split(' ').nth(1).unwrap_or_default().to_ascii_uppercase();
        self.commands.push(text);
        if verb == "IDLE" && announced.is_none() && self.knows_idle {
            self.idle = Some(tag);
            replies.append(&mut self.waiting);
            return replies.extend_from_slice(b"+ idling\r\n");
        }
        let answer = [&*tag, b" NO\r\n"].concat();
        match self.late && announced.is_none() && verb == "NOOP" {
            true => self.waiting.extend_from_slice(&answer),
            false => replies.extend_from_slice(&answer),
        }
    }
}

/// The literal that a line announces, and whether it comes unasked.
fn announcement(line: &[u8]) -> Option<(u64, bool)> {
    let line = line.strip_suffix(b"}")?;
    let (line, unasked) = line.strip_suffix(b"+").map_or((line, false), |line| (line, true));
    let start = line.iter().rposition(|b| !b.is_ascii_digit()).filter(|at| line[*at] == b'{')?;
    let number = std::str::from_utf8(&line[start + 1..]).ok()?.parse().ok()?;
    Some((number, unasked))
}
