//! The header of the PROXY protocol: every cut of the input says the same, nothing behind a header is taken, and what is
//! said is what stands there.

use mailward::protocol::proxy_header::{Fault, Header, Progress, Said, v2};

/// The longest header of version 1 and of version 2.
const LONGEST: [usize; 2] = [107, 536];

/// What a header said, and how many bytes it took; `None` while it is not complete.
type Outcome = Result<Option<(Said, usize)>, Fault>;

pub(crate) fn check(bytes: &[u8]) {
    let whole = read(bytes, usize::MAX);
    for at_most in [1, 2, 3, 7, 16] {
        assert_eq!(read(bytes, at_most), whole, "in pieces of {at_most}");
    }
    let Ok(Some((said, taken))) = whole else { return };
    let header = &bytes[..taken];
    assert_eq!(read(&header[..taken - 1], usize::MAX), Ok(None), "complete before its end");
    assert_eq!(read(header, usize::MAX), whole, "what is behind it matters");
    match header.strip_suffix(b"\r\n").filter(|_| header.starts_with(b"PROXY ")) {
        Some(line) => {
            assert!(taken <= LONGEST[0] && !line.contains(&b'\n'));
            if let (Said::Client(ends), true) = (said, line.starts_with(b"PROXY TCP4 ")) {
                let (client, gate) = (ends.client(), ends.gate());
                let written =
                    format!("PROXY TCP4 {} {} {} {}", client.ip(), gate.ip(), client.port(), gate.port());
                assert_eq!(line, written.as_bytes(), "another spelling");
            }
        }
        None => {
            let length = usize::from(u16::from_be_bytes([header[14], header[15]]));
            assert!(taken <= LONGEST[1] && taken == 16 + length);
        }
    }
    if let Said::Client(ends) = said {
        let again = v2(Some(ends));
        assert_eq!(read(&again, usize::MAX), Ok(Some((said, again.len()))), "not passed on as it came");
    }
}

fn read(bytes: &[u8], at_most: usize) -> Outcome {
    let (mut header, mut taken) = (Header::default(), 0);
    loop {
        let wanted = header.wants();
        assert!((1..=LONGEST[1]).contains(&wanted), "{wanted} bytes wanted");
        let piece = &bytes[taken..bytes.len().min(taken + wanted.min(at_most))];
        if piece.is_empty() {
            return Ok(None);
        }
        taken += piece.len();
        match header.take(piece)? {
            Progress::More(more) => header = more,
            Progress::Complete(said) => return Ok(Some((said, taken))),
        }
    }
}
