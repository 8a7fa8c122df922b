//! What a dialogue did, as a value: two traces of the same bytes are equal, however the bytes were cut.

use crate::drive::{Flight, Happened, Left, drive};
use crate::side::{Player, Seen};

/// The longest line that any dialogue takes (SMTP AUTH, RFC 4954 section 4).
const LONGEST_LINE: usize = 12_288;

/// What a dialogue did, from the first byte to where the driver would stop.
#[derive(Debug, PartialEq)]
pub(crate) struct Trace {
    steps: Vec<String>,
    /// Once logged in: everything that was not used.
    left: Option<Vec<u8>>,
}

/// Feeds the flights as the driver would, handshakes succeed; `watch` sees each step.
pub(crate) fn trace(
    player: Box<dyn Player>,
    flights: &[Flight<'_>],
    answers: &[&str],
    mut watch: impl FnMut(&Seen, &mut dyn Player),
) -> Trace {
    let mut steps: Vec<String> = Vec::new();
    let mut sent = Vec::new();
    let largest = flights.iter().flatten().map(|piece| piece.len()).max().unwrap_or_default();
    let left = drive(player, flights, answers, |happened, player| {
        let step = match happened {
            Happened::Waits => return,
            Happened::EndOfInput => "eof".to_owned(),
            Happened::Did(seen) => {
                watch(&seen, player);
                match seen {
                    Seen::Nothing => return,
                    Seen::Sent(bytes) => {
                        assert!(bytes.len() <= 2 * LONGEST_LINE, "{} bytes in one step", bytes.len());
                        return sent.extend_from_slice(&bytes);
                    }
                    Seen::StartTls => "starttls".to_owned(),
                    Seen::Event { text, facts, .. } => format!("{text} {facts:?}"),
                    Seen::Close => "closed".to_owned(),
                }
            }
        };
        flush(&mut steps, &mut sent);
        steps.push(step);
    });
    flush(&mut steps, &mut sent);
    let left = left.map(|Left { held, coming }| {
        assert!(held.len() <= LONGEST_LINE + largest, "{} bytes held", held.len());
        [held, coming].concat()
    });
    Trace { steps, left }
}

fn flush(steps: &mut Vec<String>, sent: &mut Vec<u8>) {
    if !sent.is_empty() {
        steps.push(String::from_utf8_lossy(&std::mem::take(sent)).into_owned());
    }
}
