//! Where message content ends: at CRLF, dot, CRLF, and nowhere else (RFC 5321 section 4.1.1.4).
//!
//! Some servers end a message at a bare LF, a bare CR or with NULs in between, others do not; between two
//! that disagree, what follows such a line is content to one and commands to the other. The gate cannot
//! know which kind its upstream is. So content passes untouched up to a line that only looks like the end,
//! and its last byte never passes: no upstream ever sees a whole deviating end.

use memchr::memchr_iter;

/// Content under way.
pub(super) struct Content(At);

/// How far a piece of content led.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Led {
    /// All of it is content, or was held back until the next byte decides.
    On,
    /// It ended; so many bytes of the piece were its.
    ToTheEnd(usize),
    /// Here is what only looks like the end.
    Astray,
}

enum At {
    /// Somewhere in the text, behind this.
    Text(Before),
    /// Behind a dot at the start of a line.
    Dot(Start),
    /// Behind CRLF, dot, CR; this CR is held back.
    DotCr,
}

/// What stands before the next byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Before {
    Other,
    /// A CR, which with an LF makes a line end; without, only some think so.
    Cr,
    /// A line end.
    LineEnd(Start),
}

/// Whether a line starts behind CRLF, or behind what only some take for a line end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Start {
    Proper,
    Deviating,
}

impl Content {
    /// Content starts behind the CRLF of the DATA command.
    pub(super) fn new() -> Self {
        Self(At::Text(Before::LineEnd(Start::Proper)))
    }

    /// Reads the next piece and appends to `out` what may pass.
    pub(super) fn read(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Led {
        let mut rest = bytes;
        while let Some((first, behind_first)) = rest.split_first() {
            match self.0 {
                At::Text(before) => {
                    let Some((text, behind_dot)) = before.split_at_dot(rest) else {
                        out.extend_from_slice(rest);
                        self.0 = At::Text(before.behind(rest));
                        return Led::On;
                    };
                    out.extend_from_slice(text);
                    out.push(b'.');
                    self.0 = match before.behind(text) {
                        Before::Other => At::Text(Before::Other),
                        Before::Cr => At::Dot(Start::Deviating),
                        Before::LineEnd(start) => At::Dot(start),
                    };
                    rest = behind_dot;
                }
                At::Dot(start) => {
                    match (first, start) {
                        (b'\r', Start::Proper) => self.0 = At::DotCr,
                        (b'\r' | b'\n', _) => return Led::Astray,
                        (0, _) => {
                            out.push(0);
                            self.0 = At::Dot(Start::Deviating);
                        }
                        // A stuffed dot, or text; read again as such.
                        _ => {
                            self.0 = At::Text(Before::Other);
                            continue;
                        }
                    }
                    rest = behind_first;
                }
                At::DotCr if *first == b'\n' => {
                    out.extend_from_slice(b"\r\n");
                    return Led::ToTheEnd(bytes.len() - behind_first.len());
                }
                At::DotCr => return Led::Astray,
            }
        }
        Led::On
    }
}

impl Before {
    /// What stands before the next byte once `text` has passed, which holds no dot at the start of a line.
    fn behind(self, text: &[u8]) -> Self {
        let end = text.iter().rposition(|b| *b != 0).map_or(0, |at| at + 1);
        let (text, nuls) = text.split_at_checked(end).unwrap_or((text, &[]));
        let before = match (text, self) {
            ([], before) => before,
            ([b'\n'], Self::Cr) | ([.., b'\r', b'\n'], _) => Self::LineEnd(Start::Proper),
            ([.., b'\n'], _) => Self::LineEnd(Start::Deviating),
            ([.., b'\r'], _) => Self::Cr,
            _ => Self::Other,
        };
        // Servers that drop NULs see none between the line end and the dot.
        if nuls.is_empty() || before == Self::Other { before } else { Self::LineEnd(Start::Deviating) }
    }

    /// Splits `bytes` at the first dot that may stand at the start of a line. Only dots are looked for: base64,
    /// most of what large messages consist of, holds none.
    fn split_at_dot(self, bytes: &[u8]) -> Option<(&[u8], &[u8])> {
        let at =
            memchr_iter(b'.', bytes).find(|at| match at.checked_sub(1).and_then(|at| bytes.get(at)) {
                Some(before) => matches!(before, b'\r' | b'\n' | 0),
                None => self != Self::Other,
            })?;
        let (text, from_dot) = bytes.split_at_checked(at)?;
        Some((text, from_dot.get(1..)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads `pieces` one after the other: what passed, and how the last one led.
    fn read(pieces: &[&[u8]]) -> (Vec<u8>, Led) {
        let (mut content, mut out, mut led) = (Content::new(), Vec::new(), Led::On);
        for piece in pieces {
            led = content.read(piece, &mut out);
            if led != Led::On {
                break;
            }
        }
        (out, led)
    }

    fn every_split(bytes: &[u8], check: impl Fn(&[u8], &Led)) {
        for at in 0..=bytes.len() {
            let (out, led) = read(&[&bytes[..at], &bytes[at..]]);
            check(&out, &led);
        }
        let every_byte: Vec<&[u8]> = bytes.chunks(1).collect();
        let (out, led) = read(&every_byte);
        check(&out, &led);
    }

    #[test]
    fn content_passes_byte_for_byte_up_to_its_end() {
        let messages: [&[u8]; 9] = [
            b".\r\n",
            b"a\r\n.\r\n",
            b"..\r\n...\r\n.a\r\n\r\n.\r\n",
            b"bare\nline\rends\r\n.\r\n",
            b"\n.a\r.b\0.c\r\n.\r\n",
            b"a.\r\n.\r\n",
            b"\r\r\n.\r\n",
            b"a\r\n.a\r\n.\r\n",
            b"\0\r\n.\r\n",
        ];
        for message in messages {
            every_split(message, |out, led| {
                assert_eq!(out, message);
                assert!(matches!(led, Led::ToTheEnd(_)), "{message:?}");
            });
        }
        assert_eq!(read(&[b"a\r\n.\r\nQUIT\r\n"]), (b"a\r\n.\r\n".to_vec(), Led::ToTheEnd(6)));
        assert_eq!(read(&[b"a\r\n.\r", b"\nQUIT\r\n"]), (b"a\r\n.\r\n".to_vec(), Led::ToTheEnd(1)));
    }

    #[test]
    fn no_deviating_end_ever_passes_whole() {
        let ends: [&[u8]; 18] = [
            b"\n.\n",
            b"\n.\r\n",
            b"\n.\r",
            b"\r\n.\n",
            b"\r\n.\r",
            b"\r.\r\n",
            b"\r.\r",
            b"\r.\n",
            b"\r\n\0.\r\n",
            b"\n\0.\r\n",
            b"\r\n.\0\r\n",
            b"\r\n.\0\n",
            b"\r\0.\r\n",
            b"\r\n\0\0.\0\0\r\n",
            b"\r\n.\r\r\n",
            b"\r\n.\r\0\n",
            b"\r\0\n.\r\n",
            b"\n\r.\r\n",
        ];
        for end in ends {
            let bytes = [b"text", end, b"XCLIENT LOGIN=evil\r\n"].concat();
            every_split(&bytes, |out, led| {
                assert_eq!(*led, Led::Astray, "{end:?}");
                assert!(out.len() < 4 + end.len() && bytes.starts_with(out), "{end:?} let {out:?} pass");
            });
        }
        // At the very start as well, where the CRLF is that of the command.
        every_split(b".\nQUIT\r\n", |out, led| assert_eq!((out, led), (&b"."[..], &Led::Astray)));
    }

    #[test]
    fn what_is_not_at_the_start_of_a_line_is_no_end() {
        every_split(b"a.\nb.\rc .\r\nd\0.\r\n", |out, led| {
            assert_eq!((out, led), (&b"a.\nb.\rc .\r\nd\0.\r\n"[..], &Led::On));
        });
    }
}
