//! What becomes of a client's command after login: it passes, or the gate answers it.
//!
//! An upstream that trusts the gate's address would believe what a client says with `XCLIENT`; so what could
//! change who the client is never passes, and neither does a line that some upstream might read as one
//! of those. Whatever else is no command of mail submission passes too, but alone: the next line is taken
//! only when its reply showed that it was no exchange of a kind the gate does not know.

/// The longest chunk, in bytes. A larger number may be another one to an upstream that counts in 32 or 64 bits:
/// it would not wait for the same content, and take the rest for commands. No submission server takes messages
/// of this size.
const CHUNK_MAX: u64 = i32::MAX as u64;

/// What is to be done with a command line.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It passes.
    Pass,
    /// It passes, and what follows waits for the reply to it.
    PassAndWait(Pivot),
    /// BDAT: it passes in the gate's own spelling, then so many bytes of content.
    Chunk(u64, Last),
    /// BDAT whose length cannot be told.
    UnclearChunk,
    /// The gate answers.
    Answer(Own),
}

/// Commands whose reply decides what the following bytes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pivot {
    /// Content follows a 354.
    Data,
    /// The reply is filtered, and says whether chunks may follow; to HELO, that none may.
    Ehlo,
    Helo,
    /// The end, or a command that the gate does not know.
    Other,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Last {
    Yes,
    No,
}

/// The gate's own answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Own {
    SecondAuth,
    SecondTls,
    NotAllowed,
    NotImplemented,
    NoChunks,
    NoCommand,
    LineTooLong,
}

impl Own {
    pub(super) fn text(self) -> &'static str {
        match self {
            Self::SecondAuth => "503 5.5.1 Already authenticated\r\n",
            Self::SecondTls => "503 5.5.1 TLS is active already\r\n",
            Self::NotAllowed => "550 5.7.0 Not allowed\r\n",
            Self::NotImplemented => "502 5.5.1 Command not implemented\r\n",
            Self::NoChunks => "502 5.5.1 BDAT is not offered\r\n",
            Self::NoCommand => "500 5.5.2 Invalid command\r\n",
            Self::LineTooLong => "500 5.5.6 Line too long\r\n",
        }
    }
}

/// Judges a line without its line end.
pub(super) fn judge(line: &[u8]) -> Fate {
    // Some servers end a line at a bare CR, and some drop NULs.
    if line.iter().any(|b| matches!(b, b'\r' | b'\n' | 0)) {
        return Fate::Answer(Own::NoCommand);
    }
    let end = line.iter().position(|b| matches!(b, b' ' | b'\t')).unwrap_or(line.len());
    let (verb, arguments) = line.split_at_checked(end).unwrap_or((line, &[]));
    // Leading blanks, dashes, quotes, 8-bit letters: some server might look past them.
    let begins = verb.first().is_some_and(u8::is_ascii_alphanumeric);
    if !begins || !verb.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'-') {
        return Fate::Answer(Own::NoCommand);
    }
    let verb = verb.to_ascii_uppercase();
    match verb.as_slice() {
        b"MAIL" | b"RCPT" | b"RSET" | b"NOOP" | b"VRFY" | b"EXPN" | b"HELP" | b"BURL" | b"ETRN" => Fate::Pass,
        b"DATA" => Fate::PassAndWait(Pivot::Data),
        b"BDAT" => chunk(arguments),
        b"EHLO" => Fate::PassAndWait(Pivot::Ehlo),
        b"HELO" => Fate::PassAndWait(Pivot::Helo),
        b"XCLIENT" | b"XFORWARD" => Fate::Answer(Own::NotAllowed),
        // Commands by agreement between two parties (RFC 5321 section 4.1.5), of which the gate is none; and
        // those that turn the connection round, or after which the gate could not read on.
        [b'X', ..] | b"TURN" | b"ATRN" | b"COMPRESS" => Fate::Answer(Own::NotImplemented),
        // Servers that look at four letters would take `AUTHX` for AUTH.
        [b'A', b'U', b'T', b'H', ..] => Fate::Answer(Own::SecondAuth),
        [b'S', b'T', b'A', b'R', ..] => Fate::Answer(Own::SecondTls),
        _ => Fate::PassAndWait(Pivot::Other),
    }
}

/// `BDAT SP chunk-size [ SP "LAST" ]`, RFC 3030 section 2.
fn chunk(arguments: &[u8]) -> Fate {
    let mut words = arguments.split(|b| *b == b' ').filter(|word| !word.is_empty());
    let size = words.next().filter(|word| word.iter().all(u8::is_ascii_digit));
    let size = size.and_then(|digits| std::str::from_utf8(digits).ok()?.parse().ok());
    let size = size.filter(|size| *size <= CHUNK_MAX);
    match (size, words.next(), words.next()) {
        (Some(size), None, None) => Fate::Chunk(size, Last::No),
        (Some(size), Some(last), None) if last.eq_ignore_ascii_case(b"LAST") => Fate::Chunk(size, Last::Yes),
        _ => Fate::UnclearChunk,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_could_change_who_the_client_is_or_blind_the_guard_passes() {
        let lines: [&[u8]; 24] = [
            b"XCLIENT NAME=a",
            b"--XCLIENT NAME=a",
            b"xclient",
            b" XCLIENT NAME=a",
            b"\tXCLIENT",
            b"XCLIENT\tNAME=a",
            b"\"XCLIENT\" NAME=a",
            b"NOOP\rXCLIENT NAME=a",
            b"NOOP\nXCLIENT NAME=a",
            b"\0XCLIENT",
            b"X\0CLIENT",
            b"XFORWARD NAME=a",
            b"X-EXPS LOGIN",
            b"AUTH PLAIN x",
            b"auth",
            b"AUTHX",
            b"AUTH=PLAIN",
            b"STARTTLS",
            b"StartTLS now",
            b"ATRN example.org",
            b"TURN",
            b"COMPRESS DEFLATE",
            b"\xc2\xa0XCLIENT",
            b"",
        ];
        for line in lines {
            assert!(matches!(judge(line), Fate::Answer(_)), "{line:?}");
        }
    }

    #[test]
    fn commands_of_submission_pass() {
        for line in [
            &b"MAIL FROM:<a@b> SIZE=5"[..],
            b"rcpt to:<\xe5\xbc\xa0@b>",
            b"RSET",
            b"NOOP x",
            b"BURL imap://x LAST",
        ] {
            assert_eq!(judge(line), Fate::Pass, "{line:?}");
        }
        assert_eq!(judge(b"data"), Fate::PassAndWait(Pivot::Data));
        assert_eq!(judge(b"QUIT"), Fate::PassAndWait(Pivot::Other));
        assert_eq!(judge(b"FOO bar"), Fate::PassAndWait(Pivot::Other));
    }

    #[test]
    fn a_chunk_has_a_decimal_length_and_perhaps_a_last() {
        assert_eq!(judge(b"BDAT 10"), Fate::Chunk(10, Last::No));
        assert_eq!(judge(b"bdat  0  last"), Fate::Chunk(0, Last::Yes));
        assert_eq!(judge(b"BDAT 2147483647"), Fate::Chunk(CHUNK_MAX, Last::No));
        for line in [
            "BDAT",
            "BDAT x",
            "BDAT 0x10",
            "BDAT +1",
            "BDAT -1",
            "BDAT 1 LASTX",
            "BDAT 1 LAST 2",
            "BDAT 2147483648",
            "BDAT 4294967301",
            "BDAT 18446744073709551615",
            "BDAT 99999999999999999999",
        ] {
            assert_eq!(judge(line.as_bytes()), Fate::UnclearChunk, "{line}");
        }
    }
}
