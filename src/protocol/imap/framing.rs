//! Cuts a stream of bytes into messages: lines, joined by the literals that they announce (RFC 9051 section
//! 4.3, RFC 7888).
//!
//! Input is hostile and may hold a password. What is held is bounded whatever the peer announces, is wiped
//! when dropped, and is never beyond the message under way, so that the bytes behind a login stay as they
//! came. (imap-codec's `Fragmentizer` cuts in the same places, which a test below checks, but never wipes
//! what it held, and does not give back what it was fed too much.)

use std::mem;

use zeroize::Zeroizing;

use crate::protocol::input::{Input, LINE_MAX};

/// The most bytes that the literals of one message hold together. A name and a password fit many times;
/// nothing else that is said before login needs a literal.
pub const LITERALS_MAX: usize = 8192;

/// A literal that a line announces at its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Announcement {
    /// In bytes; saturated where the number is larger.
    pub(super) length: u64,
    /// Whether the peer waits for `+` before it sends them: `{n}`, not `{n+}`.
    pub(super) synchronising: bool,
}

/// Follows a line byte by byte, and knows at its LF whether it announced a literal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Tail {
    #[default]
    Text,
    Brace,
    Digits(u64),
    Plus(u64),
    Closed(Announcement),
    Return(Option<Announcement>),
}

impl Tail {
    /// The line goes on with `byte`, which is no LF.
    pub(super) fn push(self, byte: u8) -> Self {
        match (self, byte) {
            (_, b'{') => Self::Brace,
            (Self::Closed(announcement), b'\r') => Self::Return(Some(announcement)),
            (_, b'\r') => Self::Return(None),
            (Self::Brace, b'0'..=b'9') => Self::Digits(u64::from(byte - b'0')),
            (Self::Digits(length), b'0'..=b'9') => {
                Self::Digits(length.saturating_mul(10).saturating_add(u64::from(byte - b'0')))
            }
            (Self::Digits(length), b'+') => Self::Plus(length),
            (Self::Digits(length), b'}') => Self::Closed(Announcement { length, synchronising: true }),
            (Self::Plus(length), b'}') => Self::Closed(Announcement { length, synchronising: false }),
            _ => Self::Text,
        }
    }

    /// What there is of the end of a line by which a literal comes unasked: `+}` and CR, or the beginning of that.
    pub(super) fn unasked(self) -> &'static [u8] {
        match self {
            Self::Plus(_) => b"+",
            Self::Closed(Announcement { synchronising: false, .. }) => b"+}",
            Self::Return(Some(Announcement { synchronising: false, .. })) => b"+}\r",
            Self::Text | Self::Brace | Self::Digits(_) | Self::Closed(_) | Self::Return(_) => b"",
        }
    }

    /// What the line announced, if it ends here.
    pub(super) fn announcement(self) -> Option<Announcement> {
        match self {
            Self::Closed(announcement) => Some(announcement),
            Self::Return(announcement) => announcement,
            Self::Text | Self::Brace | Self::Digits(_) | Self::Plus(_) => None,
        }
    }
}

/// What [`Framer::next`] found.
#[derive(Debug, PartialEq, Eq)]
pub enum Framed {
    /// Nothing complete yet.
    Incomplete,
    /// The peer waits to hear whether it may send a literal, which fits the bounds or not: say `+` and
    /// [`Framer::accept`], or refuse and [`Framer::abandon`]. The line is in [`Framer::message`].
    Announced {
        /// Whether the literals so far and this one stay within [`LITERALS_MAX`].
        fits: bool,
    },
    /// A whole message. Every line in it ends in CRLF, also those that came with a bare LF.
    Message(Zeroizing<Vec<u8>>),
    /// The lines of a message are longer than [`LINE_MAX`] together; here is how it began. The rest of the
    /// line is skipped.
    TooLong(Zeroizing<Vec<u8>>),
    /// That rest ended: the next byte begins a message.
    Skipped,
    /// A literal beyond the bounds is on its way whatever we say; here is how the message began. Where the
    /// next one starts is lost, and every later answer is this one.
    Flood(Zeroizing<Vec<u8>>),
}

/// Received bytes and the message under way in them.
#[derive(Default)]
pub struct Framer {
    input: Input,
    /// Not input, but held the same way.
    message: Input,
    line_bytes: usize,
    literal_bytes: usize,
    reading: Reading,
}

#[derive(Clone, Copy)]
enum Reading {
    Line(Tail),
    Announced(usize),
    Literal(usize),
    Skipping(Tail),
    Lost,
}

impl Default for Reading {
    fn default() -> Self {
        Self::Line(Tail::default())
    }
}

impl Framer {
    /// Adds what was read.
    pub fn receive(&mut self, bytes: &[u8]) {
        self.input.extend(bytes);
    }

    /// The next message. `announces` tells whether a line (given with what came before it in its message) may
    /// announce a literal at all: the text of a status line that happens to end in `{3}` does not.
    pub fn next(&mut self, announces: fn(&[u8]) -> bool) -> Framed {
        loop {
            match self.reading {
                Reading::Line(tail) => match self.line(tail, announces) {
                    None => {}
                    Some(framed) => return framed,
                },
                Reading::Announced(_) => return Framed::Incomplete,
                Reading::Literal(missing) => {
                    let content = self.input.take(missing);
                    self.message.extend(&content);
                    match missing - content.len() {
                        0 => self.reading = Reading::default(),
                        missing => {
                            self.reading = Reading::Literal(missing);
                            return Framed::Incomplete;
                        }
                    }
                }
                Reading::Skipping(tail) => {
                    let (tail, count, ended) = scan(self.input.bytes(), tail);
                    self.input.take(count);
                    if !ended {
                        self.reading = Reading::Skipping(tail);
                        return Framed::Incomplete;
                    }
                    if let Some(Announcement { synchronising: false, .. }) = tail.announcement() {
                        self.reading = Reading::Lost;
                        continue;
                    }
                    self.reading = Reading::default();
                    return Framed::Skipped;
                }
                Reading::Lost => return Framed::Flood(self.finish()),
            }
        }
    }

    /// Reads on in a line; `None` where a literal follows.
    fn line(&mut self, tail: Tail, announces: fn(&[u8]) -> bool) -> Option<Framed> {
        let room = LINE_MAX.saturating_sub(self.line_bytes).min(self.input.bytes().len());
        let (tail, count, ended) = scan(self.input.bytes().get(..room).unwrap_or_default(), tail);
        let part = self.input.take(count);
        self.line_bytes += count;
        self.reading = Reading::Line(tail);
        if !ended {
            self.message.extend(&part);
            if self.line_bytes < LINE_MAX {
                return Some(Framed::Incomplete);
            }
            self.reading = Reading::Skipping(tail);
            return Some(Framed::TooLong(self.finish()));
        }
        let content = part.strip_suffix(b"\n").unwrap_or(&part);
        self.message.extend(content);
        self.message.extend(if matches!(tail, Tail::Return(_)) { b"\n" } else { b"\r\n" });
        self.reading = Reading::default();
        let announcement = tail.announcement().filter(|_| announces(self.message.bytes()));
        let Some(Announcement { length, synchronising }) = announcement else {
            return Some(Framed::Message(self.finish()));
        };
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        let fits = self.literal_bytes.saturating_add(length) <= LITERALS_MAX;
        if synchronising {
            self.reading = Reading::Announced(length);
            Some(Framed::Announced { fits })
        } else if fits {
            self.literal_bytes += length;
            self.reading = Reading::Literal(length);
            None
        } else {
            self.reading = Reading::Lost;
            Some(Framed::Flood(self.finish()))
        }
    }

    /// The announced literal may come; only for one that fits.
    pub fn accept(&mut self) {
        if let Reading::Announced(length) = self.reading {
            self.literal_bytes = self.literal_bytes.saturating_add(length);
            self.reading = Reading::Literal(length);
        }
    }

    /// The announced literal will not come: the next byte begins a new message.
    pub fn abandon(&mut self) {
        if let Reading::Announced(_) = self.reading {
            self.reading = Reading::default();
            self.finish();
        }
    }

    /// The message under way, as far as it was read.
    pub fn message(&self) -> &[u8] {
        self.message.bytes()
    }

    /// Whether no message is under way.
    pub fn between(&self) -> bool {
        matches!(self.reading, Reading::Line(_)) && self.message.is_empty()
    }

    /// What was received and is part of no message yet.
    pub fn unread(&self) -> &[u8] {
        self.input.bytes()
    }

    /// Gives up what was received and is part of no message yet.
    pub fn into_unread(self) -> Zeroizing<Vec<u8>> {
        self.input.into_bytes()
    }

    fn finish(&mut self) -> Zeroizing<Vec<u8>> {
        self.line_bytes = 0;
        self.literal_bytes = 0;
        mem::take(&mut self.message).into_bytes()
    }
}

/// Follows `bytes` to the end of the line: the tail, how many bytes belong to it, and whether the last is its
/// LF.
fn scan(bytes: &[u8], mut tail: Tail) -> (Tail, usize, bool) {
    for (at, byte) in bytes.iter().enumerate() {
        if *byte == b'\n' {
            return (tail, at + 1, true);
        }
        tail = tail.push(*byte);
    }
    (tail, bytes.len(), false)
}

#[cfg(test)]
mod tests {
    use imap_codec::fragmentizer::{FragmentInfo, Fragmentizer};
    use proptest::prelude::*;

    use super::*;

    /// Everything that `framer` finds, literals accepted where they fit.
    fn drain(framer: &mut Framer) -> Vec<Framed> {
        let mut found = Vec::new();
        loop {
            match framer.next(|_| true) {
                Framed::Incomplete => return found,
                Framed::Announced { fits: true } => framer.accept(),
                Framed::Announced { fits: false } => framer.abandon(),
                Framed::Skipped => {}
                Framed::Flood(head) => {
                    found.push(Framed::Flood(head));
                    return found;
                }
                framed @ (Framed::Message(_) | Framed::TooLong(_)) => found.push(framed),
            }
        }
    }

    fn frame(bytes: &[u8]) -> Vec<Framed> {
        let mut framer = Framer::default();
        framer.receive(bytes);
        drain(&mut framer)
    }

    fn message(bytes: &[u8]) -> Framed {
        Framed::Message(Zeroizing::new(bytes.to_vec()))
    }

    #[test]
    fn literals_join_lines_and_may_look_like_commands() {
        assert_eq!(
            frame(b"a LOGIN {3}\r\nb\r\n {2+}\r\nc\n\r\nd NOOP\n"),
            [message(b"a LOGIN {3}\r\nb\r\n {2+}\r\nc\n\r\n"), message(b"d NOOP\r\n")]
        );
    }

    #[test]
    fn only_a_number_in_braces_at_the_very_end_announces() {
        for line in ["a {}", "a {+}", "a {3+", "a {3} ", "a {3}x", "a {3++}", "a {-3}", "a {3}\r"] {
            let line = format!("{line}\r\n");
            assert_eq!(frame(line.as_bytes()), [message(line.as_bytes())], "{line:?}");
        }
        assert_eq!(frame(b"a {{0}\r\n\r\n"), [message(b"a {{0}\r\n\r\n")]);
    }

    #[test]
    fn what_a_number_too_large_announces_never_fits() {
        let mut framer = Framer::default();
        framer.receive(b"a {99999999999999999999999}\r\n");
        assert_eq!(framer.next(|_| true), Framed::Announced { fits: false });
        assert!(matches!(frame(b"a {99999999999999999999999+}\r\nb\r\n")[..], [Framed::Flood(_)]));
    }

    #[test]
    fn literals_count_together() {
        let half = vec![b'x'; LITERALS_MAX / 2];
        let two = [b"a {4096+}\r\n", &half[..], b"{4096+}\r\n", &half[..], b"\r\n"].concat();
        assert!(matches!(frame(&two)[..], [Framed::Message(_)]));
        let three = [&two[..two.len() - 2], b"{1+}\r\nx\r\n"].concat();
        assert!(matches!(frame(&three)[..], [Framed::Flood(_)]));
    }

    #[test]
    fn a_line_may_be_as_long_as_the_limit_and_what_is_longer_is_skipped_to_its_end() {
        let fits = [&vec![b'x'; LINE_MAX - 2][..], b"\r\n"].concat();
        assert_eq!(frame(&fits), [message(&fits)]);
        let long = [&vec![b'x'; LINE_MAX + 70][..], b" {3}\r\nb NOOP\r\n"].concat();
        assert!(matches!(&frame(&long)[..], [Framed::TooLong(head), next]
            if head.len() == LINE_MAX && *next == message(b"b NOOP\r\n")));
        let lost = [&vec![b'x'; LINE_MAX + 70][..], b" {3+}\r\nb NOOP\r\n"].concat();
        assert!(matches!(&frame(&lost)[..], [Framed::TooLong(_), Framed::Flood(_)]));
    }

    /// Bytes that look enough like IMAP to reach every state.
    fn imap_like() -> impl Strategy<Value = Vec<u8>> {
        let word = prop_oneof![
            Just(b"a LOGIN ".to_vec()),
            Just(b"\r\n".to_vec()),
            Just(b"\n".to_vec()),
            Just(b"\"q\"".to_vec()),
            (0u32..40, any::<bool>())
                .prop_map(|(n, plus)| { format!("{{{n}{}}}\r\n", if plus { "+" } else { "" }).into_bytes() }),
            Just(b"{9000}\r\n".to_vec()),
            (1usize..9000).prop_map(|n| vec![b'y'; n]),
            prop::collection::vec(any::<u8>(), 0..20),
            prop::collection::vec(prop::sample::select(&b"{}+0123456789\r\n a\""[..]), 0..20),
        ];
        prop::collection::vec(word, 0..12).prop_map(|words| words.concat())
    }

    const WORDS: &[&[u8]] = &[b"a ", b"{2}\r\n", b"{3+}\r\n", b"{0}", b"\r\n", b"\n", b"\r", b"{", b"x}"];

    proptest! {
        #[test]
        fn every_split_frames_the_same_and_holds_little(bytes in imap_like(), cuts in prop::collection::vec(1usize..600, 1..8)) {
            let whole = frame(&bytes);
            let mut framer = Framer::default();
            let mut found = Vec::new();
            let mut rest = &bytes[..];
            for cut in cuts.iter().cycle() {
                let (part, after) = rest.split_at(rest.len().min(*cut));
                framer.receive(part);
                found.extend(drain(&mut framer));
                // Behind the shortest line with a literal, `{0}`, a bare LF becomes CRLF.
                prop_assert!(framer.message().len() <= LINE_MAX + LITERALS_MAX + LINE_MAX / 4);
                rest = after;
                if rest.is_empty() || matches!(found.last(), Some(Framed::Flood(_))) {
                    break;
                }
            }
            prop_assert_eq!(found, whole);
        }

        /// Small input only: within the bounds there is nothing to disagree about.
        #[test]
        fn messages_end_where_imap_codec_says(words in prop::collection::vec(prop::sample::select(WORDS), 0..30)) {
            let bytes = words.concat();
            let mut theirs = Fragmentizer::new(1 << 20);
            theirs.enqueue_bytes(&bytes);
            let mut ends = Vec::new();
            let mut message_end = 0;
            while let Some(fragment) = theirs.progress() {
                if let FragmentInfo::Line { end, announcement: None, .. } = fragment {
                    message_end += end;
                    ends.push(message_end);
                }
            }
            let mut framer = Framer::default();
            let mut ours = Vec::new();
            for (at, byte) in bytes.iter().enumerate() {
                framer.receive(&[*byte]);
                for framed in drain(&mut framer) {
                    prop_assert!(matches!(framed, Framed::Message(_)));
                    ours.push(at + 1);
                }
            }
            prop_assert_eq!(ours, ends);
        }
    }
}
