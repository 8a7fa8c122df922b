//! The relay guard of submission, against a model of what a client that is logged in may say, with upstreams that
//! read strictly, leniently, or reply whatever they like.
//!
//! `setup`: 1 the upstream takes chunks, 2 it declines DATA, 4, 8 and 16 it ends lines at bare LF, at bare CR, drops
//! NULs; 32 it is no server at all, and what it says is every other flight.

use mailward::protocol::MailProtocol;
use mailward::protocol::smtp::{Offer, Smtp, Welcome};

use crate::guard::{Relay, assert_same};
use crate::input::Input;

/// Commands of which the upstream must never hear.
const FORBIDDEN: [&str; 4] = ["XCLIENT", "XFORWARD", "AUTH", "STARTTLS"];

/// The longest command line that passes, with its line end.
const LINE_MAX: usize = 2048;

/// Lines that the gate answers itself before it ends the session.
const REFUSED_MAX: u32 = 100;

pub(crate) fn check(bytes: &[u8]) {
    let Some(input) = Input::read(bytes) else { return };
    if input.setup & 32 != 0 {
        return with_any_upstream(&input);
    }
    let stream = input.all();
    let mut first: Option<Relay> = None;
    for cut in input.cuts() {
        let mut upstream = Upstream::new(input.setup);
        let mut relay = relay(input.setup);
        relay.converse(&cut.pieces(&stream), &mut |bytes| upstream.read(bytes));
        for command in &upstream.commands {
            let verb = command.trim_start_matches(|c: char| !c.is_ascii_alphanumeric());
            assert!(
                !FORBIDDEN.iter().any(|forbidden| verb.starts_with(forbidden)),
                "the upstream read {command:?}"
            );
        }
        match &first {
            None => first = Some(relay),
            Some(first) => {
                assert_same(first, &relay, &format!("under {cut:?}"));
                assert_eq!(first.ended, relay.ended, "under {cut:?}");
            }
        }
    }
    let Some(relay) = first else { return };
    if input.setup & 28 == 0 {
        let expected = model(&stream, input.setup);
        assert_eq!(relay.ended.is_some(), expected.ended, "{:?}", relay.ended);
        let passed = &relay.to_upstream;
        assert!(
            expected.passes.starts_with(passed) && (expected.ended || expected.passes == *passed),
            "passed   {}\nexpected {}",
            passed.escape_ascii(),
            expected.passes.escape_ascii()
        );
    }
}

fn relay(setup: u8) -> Relay {
    let offer = Offer::new(Some("CHUNKING").filter(|_| setup & 1 != 0));
    Relay::new(Smtp::guard(&Welcome { offer }).unwrap())
}

/// Only how the client's bytes are cut must not matter: when an upstream replies unasked, does.
fn with_any_upstream(input: &Input) {
    let mut first: Option<Relay> = None;
    for cut in input.cuts() {
        let mut relay = relay(input.setup);
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
                assert_eq!((&first.to_client, first.ended), (&relay.to_client, relay.ended));
            }
        }
    }
    let mut relay = relay(input.setup);
    for (number, flight) in input.flights.iter().enumerate() {
        for byte in flight.chunks(1) {
            match number % 2 {
                0 => relay.client_says(byte),
                _ => relay.upstream_says(byte),
            }
        }
    }
}

/// A server, in its own way of reading.
struct Upstream {
    chunking: bool,
    declines_data: bool,
    bare_lf: bool,
    bare_cr: bool,
    drops_nul: bool,
    line: Vec<u8>,
    /// A CR ended the last line: an LF belongs to it.
    skip_lf: bool,
    in_message: bool,
    chunk: u64,
    commands: Vec<String>,
}

impl Upstream {
    fn new(setup: u8) -> Self {
        Self {
            chunking: setup & 1 != 0,
            declines_data: setup & 2 != 0,
            bare_lf: setup & 4 != 0,
            bare_cr: setup & 8 != 0,
            drops_nul: setup & 16 != 0,
            line: Vec::new(),
            skip_lf: false,
            in_message: false,
            chunk: 0,
            commands: Vec::new(),
        }
    }

    fn read(&mut self, bytes: &[u8]) -> Vec<u8> {
        bytes.iter().flat_map(|byte| self.read_byte(*byte).as_bytes()).copied().collect()
    }

    fn read_byte(&mut self, byte: u8) -> &'static str {
        if std::mem::take(&mut self.skip_lf) && byte == b'\n' {
            return "";
        }
        if self.chunk > 0 {
            self.chunk -= 1;
            return if self.chunk == 0 { "250 chunk\r\n" } else { "" };
        }
        if byte == 0 && self.drops_nul {
            return "";
        }
        self.line.push(byte);
        let end = match byte {
            b'\n' if self.line.ends_with(b"\r\n") => 2,
            b'\n' if self.bare_lf => 1,
            b'\r' if self.bare_cr => 1,
            _ => return "",
        };
        self.skip_lf = byte == b'\r';
        let mut line = std::mem::take(&mut self.line);
        line.truncate(line.len() - end);
        if self.in_message {
            self.in_message = line != b".";
            return if self.in_message { "" } else { "250 message\r\n" };
        }
        self.obey(&String::from_utf8_lossy(&line).trim().to_uppercase())
    }

    fn obey(&mut self, line: &str) -> &'static str {
        self.commands.push(line.to_owned());
        let mut words = line.split(|c: char| c.is_whitespace() || c.is_control());
        match words.next().unwrap_or_default() {
            "DATA" if self.declines_data => "503 no\r\n",
            "DATA" => {
                self.in_message = true;
                "354 go\r\n"
            }
            "EHLO" if self.chunking => "250-a\r\n250-XCLIENT\r\n250 CHUNKING\r\n",
            "EHLO" => "250-a\r\n250 XCLIENT\r\n",
            "BDAT" if self.chunking => {
                self.chunk = words.next().unwrap().parse().unwrap();
                if self.chunk == 0 { "250 chunk\r\n" } else { "" }
            }
            "BDAT" => "500 what?\r\n",
            _ => "250 ok\r\n",
        }
    }
}

/// What may pass of a stream.
struct Expected {
    passes: Vec<u8>,
    /// The session ends; of what was to pass last, some may be missing.
    ended: bool,
}

/// Reads all that a client says to a strict server at once.
fn model(stream: &[u8], setup: u8) -> Expected {
    let mut chunking = setup & 1 != 0;
    let mut passes = Vec::new();
    let mut refused = 0;
    let mut rest = stream;
    while let Some(end) = rest.iter().position(|b| *b == b'\n') {
        let (line, behind) = rest.split_at(end + 1);
        rest = behind;
        let text = line.strip_suffix(b"\r\n").unwrap_or(&line[..end]);
        let verb = text.split(|b| b" \t".contains(b)).next().unwrap().to_ascii_uppercase();
        let odd = text.iter().any(|b| b"\r\0".contains(b))
            || !verb.first().is_some_and(u8::is_ascii_alphanumeric)
            || !verb.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'-');
        let withheld = [&b"X"[..], b"AUTH", b"STAR"].iter().any(|start| verb.starts_with(start))
            || [&b"TURN"[..], b"ATRN", b"COMPRESS"].contains(&&*verb);
        let chunk = (verb == b"BDAT" && !odd && line.len() <= LINE_MAX).then(|| chunk(&text[verb.len()..]));
        if chunk == Some(None) {
            return Expected { passes, ended: true };
        }
        let size = chunk.flatten().map_or(0, |(size, _)| usize::try_from(size).unwrap().min(rest.len()));
        let (content, behind) = rest.split_at(size);
        rest = behind;
        if line.len() > LINE_MAX || odd || withheld || (chunk.is_some() && !chunking) {
            refused += 1;
            if refused > REFUSED_MAX {
                return Expected { passes, ended: true };
            }
            continue;
        }
        match chunk.flatten() {
            Some((size, last)) => {
                passes.extend_from_slice(format!("BDAT {size}{last}\r\n").as_bytes());
                passes.extend_from_slice(content);
            }
            None => passes.extend_from_slice(&[text, b"\r\n"].concat()),
        }
        match verb.as_slice() {
            b"EHLO" => chunking = setup & 1 != 0,
            b"HELO" => chunking = false,
            b"DATA" if setup & 2 == 0 => {
                let message = message(rest);
                passes.extend_from_slice(&rest[..message.passes]);
                rest = match message.end {
                    End::Proper => &rest[message.passes..],
                    End::NotYet => return Expected { passes, ended: false },
                    End::Deviating => return Expected { passes, ended: true },
                };
            }
            _ => {}
        }
    }
    Expected { passes, ended: false }
}

/// The size of a chunk, and how the gate spells whether it is the last.
fn chunk(arguments: &[u8]) -> Option<(u64, &'static str)> {
    let text = std::str::from_utf8(arguments).ok()?.to_ascii_uppercase();
    let words: Vec<_> = text.split(' ').filter(|word| !word.is_empty()).collect();
    let (size, last) = match words[..] {
        [size] => (size, ""),
        [size, "LAST"] => (size, " LAST"),
        _ => return None,
    };
    let digits = size.bytes().all(|b| b.is_ascii_digit());
    let size = size.parse().ok().filter(|size| digits && *size < 1 << 31)?;
    Some((size, last))
}

enum End {
    Proper,
    Deviating,
    NotYet,
}

/// How much of a message may pass, and how it ends.
struct Message {
    passes: usize,
    end: End,
}

/// Looks for a dot that is a line of its own in the eyes of anybody: between any two of CR, LF and CRLF, NULs or none.
fn message(bytes: &[u8]) -> Message {
    let stream = [b"\r\n", bytes].concat();
    for at in (2..stream.len()).filter(|at| stream[*at] == b'.') {
        let nuls = stream[..at].iter().rev().take_while(|b| **b == 0).count();
        let before = &stream[..at - nuls];
        if !before.ends_with(b"\r") && !before.ends_with(b"\n") {
            continue;
        }
        let behind = &stream[at + 1..];
        let nuls_behind = behind.iter().take_while(|b| **b == 0).count();
        let proper = nuls == 0 && nuls_behind == 0 && before.ends_with(b"\r\n");
        let (passes, end) = match &behind[nuls_behind..] {
            [b'\r', b'\n', ..] if proper => (at + 3, End::Proper),
            // The last byte is held back until the next decides.
            [b'\r'] if proper => (at + 1, End::NotYet),
            [b'\r' | b'\n', ..] => (at + 1 + nuls_behind, End::Deviating),
            _ => continue,
        };
        return Message { passes: passes - 2, end };
    }
    Message { passes: bytes.len(), end: End::NotYet }
}
