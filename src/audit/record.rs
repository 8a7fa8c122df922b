//! One line of a chain: how it is written, and how it is read back.
//!
//! ```text
//! {"seq":7,"at":"2026-01-01T00:00:00Z","prev":"<64 hex>","event":"login",…,"hash":"<64 hex>"}
//! ```
//!
//! `hash` is the SHA-256 of the line's bytes before `,"hash":`, exactly as they stand, so that no second way of
//! writing the same JSON exists. `prev` is the `hash` of the record before; that of the first is the SHA-256 of
//! [`GENESIS`] and the chain's name, so that no file can be taken for another. What is read may have been
//! written by anybody.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::Event;
use crate::base::Timestamp;

/// Precedes the chain's name under the hash that its first record follows.
const GENESIS: &[u8] = b"mailward audit chain 1\n";

const HASH_KEY: &[u8] = br#","hash":""#;
const LINE_END: &[u8] = br#""}"#;

/// A SHA-256.
pub(super) type Hash = [u8; 32];

/// What the first record of `chain` follows.
pub(super) fn genesis(chain: &str) -> Hash {
    Sha256::new().chain_update(GENESIS).chain_update(chain).finalize().into()
}

/// Appends the line of one record to `lines`, and returns its hash. Nothing is appended on failure.
pub(super) fn write_line(
    lines: &mut Vec<u8>,
    sequence: i64,
    at: Timestamp,
    prev: &Hash,
    event: &Event,
) -> Result<Hash, serde_json::Error> {
    #[derive(Serialize)]
    struct Body<'a> {
        seq: i64,
        at: Timestamp,
        prev: String,
        #[serde(flatten)]
        event: &'a Event,
    }

    let mut line = serde_json::to_vec(&Body { seq: sequence, at, prev: hex(prev), event })?;
    line.pop(); // the closing brace: the object goes on
    let hash: Hash = Sha256::digest(&line).into();
    lines.extend_from_slice(&line);
    lines.extend_from_slice(HASH_KEY);
    lines.extend_from_slice(hex(&hash).as_bytes());
    lines.extend_from_slice(LINE_END);
    lines.push(b'\n');
    Ok(hash)
}

/// A line that has the form of a record. Whether it is the right one is for its reader to judge.
pub(super) struct Line {
    pub(super) fields: Fields,
    pub(super) prev: Hash,
    /// What it says its hash is.
    pub(super) hash: Hash,
    /// Whether that is so.
    pub(super) hash_holds: bool,
}

/// What is checked.
#[derive(Deserialize)]
pub(super) struct Fields {
    pub(super) seq: i64,
    pub(super) at: Timestamp,
    prev: String,
    pub(super) event: String,
}

/// The name under which [`Event::ChainEnded`] is written.
pub(super) const CHAIN_ENDED: &str = "chain_ended";

impl Line {
    /// Reads a line without its line end; `None` where it has another form.
    pub(super) fn parse(line: &[u8]) -> Option<Self> {
        let rest = line.strip_suffix(LINE_END)?;
        let (rest, hash) = rest.split_at_checked(rest.len().checked_sub(64)?)?;
        let body = rest.strip_suffix(HASH_KEY)?;
        let fields: Fields = serde_json::from_slice(line).ok()?;
        let hash = unhex(hash)?;
        let prev = unhex(fields.prev.as_bytes())?;
        let computed: Hash = Sha256::digest(body).into();
        Some(Self { fields, prev, hash, hash_holds: computed == hash })
    }
}

/// Lower-case hexadecimal.
pub(super) fn hex(bytes: &[u8]) -> String {
    const DIGITS: [char; 16] =
        ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'];
    let digit = |nibble: u8| DIGITS.get(usize::from(nibble)).copied().unwrap_or('0');
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

fn unhex(text: &[u8]) -> Option<Hash> {
    let nibble = |digit: &u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    let bytes: Option<Vec<u8>> = text
        .chunks(2)
        .map(|pair| match pair {
            [high, low] => Some(nibble(high)? << 4 | nibble(low)?),
            _ => None,
        })
        .collect();
    bytes?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line() -> Vec<u8> {
        let mut lines = Vec::new();
        let event = Event::ChainStarted { chain: "a\u{0}\n\"hash\":\"".to_owned() };
        let at = Timestamp::from_unix_seconds(1_767_225_600);
        write_line(&mut lines, 1, at, &genesis("x"), &event).unwrap();
        assert_eq!(lines.pop(), Some(b'\n'));
        lines
    }

    #[test]
    fn a_line_is_read_as_it_was_written() {
        let line = line();
        let text = std::str::from_utf8(&line).unwrap();
        assert!(text.starts_with(r#"{"seq":1,"at":"2026-01-01T00:00:00Z","prev":""#), "{text}");
        assert!(text.chars().all(|c| !c.is_control()), "whatever a client called itself");
        let read = Line::parse(&line).unwrap();
        assert!(read.hash_holds && read.prev == genesis("x"));
        assert_eq!((read.fields.seq, read.fields.event.as_str()), (1, "chain_started"));
        let ended = serde_json::to_value(Event::ChainEnded).unwrap();
        assert_eq!(ended["event"], CHAIN_ENDED);
    }

    #[test]
    fn every_changed_byte_shows() {
        let line = line();
        for at in 0..line.len() {
            let mut changed = line.clone();
            changed[at] ^= 1;
            assert!(Line::parse(&changed).is_none_or(|read| !read.hash_holds), "byte {at}");
        }
        for short in 0..line.len() {
            assert!(Line::parse(&line[..short]).is_none(), "{short} bytes");
        }
    }
}
