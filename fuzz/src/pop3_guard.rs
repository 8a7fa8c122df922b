//! The relay guard of POP3 for a client that may only read, against a model of what passes, what the gate answers, and in
//! which order the client hears it all; with upstreams that end lines wherever they like, or say whatever they like.
//!
//! `kind`: 1 the upstream says no to whatever has a long answer, 8 it is no server at all, and what it says is every other
//! flight.

use mailward::protocol::pop3::{Pop3, Welcome};
use mailward::protocol::{MailProtocol, Violation};

use crate::guard::{Relay, assert_same};
use crate::input::Input;

const NO: &[u8] = b"-ERR This app password may only read\r\n";
const LINE_TOO_LONG: &[u8] = b"-ERR Line too long\r\n";

/// With its line end.
const LINE_MAX: usize = 255;

/// The most that the gate answers to what came at once, in bytes: whoever is to be answered more is heard no more.
const ANSWERS_MAX: usize = 512 * 1024;

/// Commands that pass.
const READING: [&str; 11] =
    ["STAT", "LIST", "RETR", "TOP", "UIDL", "NOOP", "RSET", "QUIT", "CAPA", "LANG", "LAST"];

pub(crate) fn check(bytes: &[u8]) {
    let Some(input) = Input::read(bytes) else { return };
    let relay = || Relay::new(Pop3::read_only_guard(&Welcome::default()));
    if input.kind & 8 != 0 {
        return with_any_upstream(&input, relay);
    }
    let (stream, declines) = (input.all(), input.kind & 1 != 0);
    let (to_upstream, to_client) = expected(&stream, declines);
    for cut in input.cuts() {
        let mut relay = relay();
        let mut line = Vec::new();
        relay.converse(&cut.pieces(&stream), &mut |bytes| {
            let mut said = Vec::new();
            for byte in bytes {
                line.push(*byte);
                if line.ends_with(b"\r\n") {
                    line.truncate(line.len() - 2);
                    said.extend(answer(&line, declines));
                    line.clear();
                }
            }
            said
        });
        ends_where_it_must(&relay);
        agrees(relay.ended, &relay.to_upstream, &to_upstream, &format!("to the upstream, under {cut:?}"));
        agrees(relay.ended, &relay.to_client, &to_client, &format!("to the client, under {cut:?}"));
    }
    only_reads(&to_upstream);
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
        only_reads(&relay.to_upstream);
        ends_where_it_must(&relay);
        match &first {
            None => first = Some(relay),
            Some(first) => {
                assert_same(first, &relay, &format!("under {cut:?}"));
                let (less, more) = match first.to_client.len() <= relay.to_client.len() {
                    true => (first, &relay),
                    false => (&relay, first),
                };
                agrees(
                    less.ended,
                    &less.to_client,
                    &more.to_client,
                    &format!("to the client, under {cut:?}"),
                );
            }
        }
    }
}

/// Too much to answer at once ends the session, which is no more than one answer late, and nothing else does.
fn ends_where_it_must(relay: &Relay) {
    assert_eq!(relay.ended, (relay.answered > ANSWERS_MAX).then_some(Violation::TooManyRefused));
    assert!(relay.answered <= ANSWERS_MAX + NO.len(), "{} bytes answered at once", relay.answered);
}

/// What was passed is all that was to pass or, where the session ended, what came before that.
fn agrees(ended: Option<Violation>, passed: &[u8], expected: &[u8], what: &str) {
    assert!(
        expected.starts_with(passed) && (ended.is_some() || passed == expected),
        "{what}:\n{}\n{}",
        passed.escape_ascii(),
        expected.escape_ascii()
    );
}

/// Whatever a server takes for the end of a line, and for a blank.
fn only_reads(to_upstream: &[u8]) {
    for line in to_upstream.split(|byte| b"\r\n\0".contains(byte)) {
        let text = String::from_utf8_lossy(line).to_ascii_uppercase();
        let verb = text.split(|c: char| c.is_whitespace() || c.is_control()).find(|word| !word.is_empty());
        assert!(verb.is_none_or(|verb| READING.contains(&verb)), "the upstream read {text:?}");
    }
}

/// What the upstream and the client hear of all that the client says.
fn expected(stream: &[u8], declines: bool) -> (Vec<u8>, Vec<u8>) {
    let (mut to_upstream, mut to_client) = (Vec::new(), Vec::new());
    for line in stream.split_inclusive(|byte| *byte == b'\n').filter(|line| line.ends_with(b"\n")) {
        let content = line.strip_suffix(b"\r\n").or_else(|| line.strip_suffix(b"\n")).unwrap();
        let verb = content.split(|byte| *byte == b' ').next().unwrap();
        let verb = String::from_utf8_lossy(verb).to_ascii_uppercase();
        if line.len() > LINE_MAX {
            to_client.extend_from_slice(LINE_TOO_LONG);
        } else if content.iter().any(|byte| !byte.is_ascii() || byte.is_ascii_control())
            || !READING.contains(&verb.as_str())
        {
            to_client.extend_from_slice(NO);
        } else {
            to_upstream.extend_from_slice(&[content, b"\r\n"].concat());
            to_client.extend(answer(content, declines));
        }
    }
    (to_upstream, to_client)
}

/// A server's answer, in the words of RFC 1939 section 3.
fn answer(command: &[u8], declines: bool) -> Vec<u8> {
    let text = String::from_utf8_lossy(command).to_ascii_uppercase();
    let (verb, argument) = text.split_once(' ').unwrap_or((&text, ""));
    let is_long = match verb {
        "RETR" | "TOP" | "CAPA" => true,
        "LIST" | "UIDL" | "LANG" => argument.trim().is_empty(),
        _ => false,
    };
    match (is_long, declines) {
        (false, _) => format!("+OK {text}\r\n").into_bytes(),
        (true, true) => format!("-ERR {text}\r\n").into_bytes(),
        (true, false) => format!("+OK {text}\r\n-ERR\r\n\r\n..\r\n+OK\r\n.x\r\n.\r\n").into_bytes(),
    }
}
