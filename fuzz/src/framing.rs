//! The IMAP framing against a model that reads the whole stream at once, line end by line end, and looks for
//! announcements from behind.

use mailward::protocol::imap::framing::{Framed, Framer, LITERALS_MAX};
use mailward::protocol::input::LINE_MAX;

use crate::input::Input;

/// What was found, with the content where there is some.
#[derive(Debug, PartialEq)]
enum Found {
    Message(Vec<u8>),
    TooLong(Vec<u8>),
    Flood(Vec<u8>),
}

pub(crate) fn check(bytes: &[u8]) {
    let Some(input) = Input::read(bytes) else { return };
    let stream = input.all();
    let expected = model(&stream);
    for cut in input.cuts() {
        let mut framer = Framer::default();
        let mut found = Vec::new();
        for piece in cut.pieces(&stream) {
            framer.receive(piece);
            if take(&mut framer, &mut found, stream.len()) {
                break;
            }
            // Behind the shortest line with a literal, `{0}`, a bare LF becomes CRLF.
            assert!(framer.message().len() <= LINE_MAX + LITERALS_MAX + LINE_MAX / 4);
            assert!(framer.unread().len() <= LINE_MAX);
        }
        assert_eq!(found, expected, "under {cut:?}");
    }
}

/// Takes all that is there, literals where they fit; whether the framer lost its way.
fn take(framer: &mut Framer, found: &mut Vec<Found>, most: usize) -> bool {
    for _ in 0..=2 * most {
        match framer.next(|_| true) {
            Framed::Incomplete => return false,
            Framed::Announced { fits: true } => framer.accept(),
            Framed::Announced { fits: false } => framer.abandon(),
            Framed::Skipped => {}
            Framed::Message(message) => found.push(Found::Message(message.to_vec())),
            Framed::TooLong(head) => found.push(Found::TooLong(head.to_vec())),
            Framed::Flood(head) => {
                found.push(Found::Flood(head.to_vec()));
                return true;
            }
        }
    }
    panic!("steps without end");
}

fn model(stream: &[u8]) -> Vec<Found> {
    let mut found = Vec::new();
    let (mut message, mut room, mut literals) = (Vec::new(), LINE_MAX, 0u64);
    let mut rest = stream;
    loop {
        let end = rest.iter().position(|b| *b == b'\n').map(|at| at + 1);
        if end.unwrap_or(rest.len()) > room || (end.is_none() && rest.len() == room) {
            message.extend_from_slice(&rest[..room]);
            found.push(Found::TooLong(message));
            let Some(end) = end else { return found };
            if let Some((_, true)) = announcement(&rest[..end]) {
                found.push(Found::Flood(Vec::new()));
                return found;
            }
            (message, room, literals, rest) = (Vec::new(), LINE_MAX, 0, &rest[end..]);
            continue;
        }
        let Some(end) = end else { return found };
        let (line, behind) = rest.split_at(end);
        room -= end;
        rest = behind;
        let content = line.strip_suffix(b"\n").unwrap();
        message.extend_from_slice(content.strip_suffix(b"\r").unwrap_or(content));
        message.extend_from_slice(b"\r\n");
        let Some((length, unasked)) = announcement(line) else {
            found.push(Found::Message(message));
            (message, room, literals) = (Vec::new(), LINE_MAX, 0);
            continue;
        };
        literals = literals.saturating_add(length);
        if literals > LITERALS_MAX as u64 {
            if unasked {
                found.push(Found::Flood(message));
                return found;
            }
            (message, room, literals) = (Vec::new(), LINE_MAX, 0);
            continue;
        }
        let Some((content, behind)) = rest.split_at_checked(length as usize) else { return found };
        message.extend_from_slice(content);
        rest = behind;
    }
}

/// The literal that a line announces at its very end, and whether it comes unasked.
fn announcement(line: &[u8]) -> Option<(u64, bool)> {
    let line = line.strip_suffix(b"\r\n").or(line.strip_suffix(b"\n"))?.strip_suffix(b"}")?;
    let (line, unasked) = line.strip_suffix(b"+").map_or((line, false), |line| (line, true));
    let start = line.iter().rposition(|b| !b.is_ascii_digit())?;
    let digits = std::str::from_utf8(&line[start + 1..]).unwrap();
    let number =
        || digits.bytes().fold(0u64, |n, b| n.saturating_mul(10).saturating_add(u64::from(b - b'0')));
    (line[start] == b'{' && !digits.is_empty()).then(|| (number(), unasked))
}
