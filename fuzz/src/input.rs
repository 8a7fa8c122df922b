//! How an input is read: four bytes that choose, then what the peer sends.
//!
//! ```text
//!   setup, answers, kind, cut, bytes …        FE FF        the peer waits for an answer; or the other side speaks
//!                                             FE FD n c    c, 64 times n
//! ```
//!
//! Without the repetition no input that a fuzzer likes to handle would reach the limits on lines and literals.

/// More than anything under test holds.
const LENGTH_MAX: usize = 64 * 1024;

/// Beyond it, input is not cut into single bytes, which takes its time.
const SINGLE_MAX: usize = 6 * 1024;

/// An input.
pub(crate) struct Input {
    /// Where the conversation starts from.
    pub(crate) setup: u8,
    /// How the gate, or the upstream, answers.
    pub(crate) answers: u8,
    /// What else the other side is like.
    pub(crate) kind: u8,
    cut: u8,
    /// What is sent, up to where something is awaited.
    pub(crate) flights: Vec<Vec<u8>>,
}

impl Input {
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        let (&[setup, answers, kind, cut], mut rest) = bytes.split_first_chunk()?;
        let mut flights = vec![Vec::new()];
        let mut length = 0;
        while let Some((byte, behind)) = rest.split_first() {
            let flight = flights.last_mut().unwrap();
            let before = flight.len();
            rest = match rest {
                [0xfe, 0xff, behind @ ..] => {
                    flights.push(Vec::new());
                    behind
                }
                [0xfe, 0xfd, count, byte, behind @ ..] => {
                    flight.resize(before + 64 * usize::from(*count), *byte);
                    length += flight.len() - before;
                    behind
                }
                _ => {
                    flight.push(*byte);
                    length += 1;
                    behind
                }
            };
            if length > LENGTH_MAX {
                return None;
            }
        }
        flights.retain(|flight| !flight.is_empty());
        Some(Self { setup, answers, kind, cut, flights })
    }

    /// Everything that is sent.
    pub(crate) fn all(&self) -> Vec<u8> {
        self.flights.concat()
    }

    /// The ways to cut flights that must all lead to the same, the first of which cuts nothing.
    pub(crate) fn cuts(&self) -> impl Iterator<Item = Cut> {
        let small = self.flights.iter().map(Vec::len).sum::<usize>() <= SINGLE_MAX;
        let single = small.then_some(Cut::Pieces { largest: 1, state: 0 });
        [Cut::Whole, Cut::Pieces { largest: 1 << (self.cut % 11), state: self.cut }].into_iter().chain(single)
    }
}

/// How a flight arrives.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Cut {
    Whole,
    /// In pieces of up to so many bytes.
    Pieces {
        largest: usize,
        state: u8,
    },
}

impl Cut {
    pub(crate) fn pieces(self, flight: &[u8]) -> Vec<&[u8]> {
        let Self::Pieces { largest, mut state } = self else { return vec![flight] };
        let mut pieces = Vec::new();
        let mut rest = flight;
        while !rest.is_empty() {
            state = state.wrapping_mul(37).wrapping_add(11);
            let (piece, behind) = rest.split_at(rest.len().min(1 + usize::from(state) * largest / 256));
            pieces.push(piece);
            rest = behind;
        }
        pieces
    }
}

/// Writes `flights` so that [`Input::read`] gives them back.
#[cfg(test)]
pub(crate) fn write(head: [u8; 4], flights: &[Vec<u8>]) -> Vec<u8> {
    let mut out = head.to_vec();
    for (number, flight) in flights.iter().enumerate() {
        if number > 0 {
            out.extend_from_slice(&[0xfe, 0xff]);
        }
        for run in flight.chunk_by(|a, b| a == b) {
            let (mut count, left) = (run.len() / 64, run.len() % 64);
            while count > 0 {
                let some = count.min(255);
                out.extend_from_slice(&[0xfe, 0xfd, some as u8, run[0]]);
                count -= some;
            }
            out.extend_from_slice(&run[..left]);
        }
    }
    out
}

#[test]
fn what_is_written_is_read() {
    let flights = vec![b"a NOOP\r\n".to_vec(), vec![b'x'; 20_000], b"b\r\n".to_vec()];
    let input = Input::read(&write([1, 2, 3, 4], &flights)).unwrap();
    assert_eq!((input.setup, input.answers, input.kind, input.flights), (1, 2, 3, flights));
}
