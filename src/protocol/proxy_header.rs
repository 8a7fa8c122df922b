//! The header of the PROXY protocol, versions 1 and 2: what a balancer says of the connection that it passes on.
//!
//! ```text
//!   v1   PROXY TCP4 192.0.2.7 192.0.2.1 51234 993 CRLF
//!   v2   signature (12) │ version, command │ family │ length (2) │ addresses │ extensions, which are ignored
//! ```
//!
//! Whom to believe is the caller's to know; here everybody's bytes are taken to be hostile. A [`Header`] says how
//! many bytes it wants next and never wants one that could stand behind the header, so that whatever follows, a
//! handshake or a second header, is left where it is. Written against the specification of HAProxy (version 2.8).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::origin::Ends;

/// The longest line of version 1, with its CRLF: two full IPv6 addresses.
const V1_MAX: usize = 107;

/// The shortest line of version 1, `PROXY UNKNOWN` and CRLF. No header of either version is shorter.
const V1_MIN: usize = 15;

/// The longest header of version 2 that is taken: what fits the smallest segment that TCP promises to carry (RFC 9293
/// section 3.7.1), which is what senders are told to stay within.
const V2_MAX: usize = 536;

/// What stands before the length of version 2, and the length.
const V2_FIXED: usize = 16;

const V1_START: &[u8] = b"PROXY ";
const V2_SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";

/// What a header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Said {
    /// The connection is passed on for a client, and these are its ends.
    Client(Ends),
    /// It is the balancer's own (a health check), or it does not say whose.
    Nobody,
}

/// Why bytes are no header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// They do not begin as one does.
    #[error("no PROXY header")]
    Missing,
    /// They begin so, and go on in another way.
    #[error("a malformed PROXY header")]
    Malformed,
    /// The header has no end within its bound.
    #[error("a PROXY header that is too long")]
    TooLong,
}

/// A header that is being read.
#[derive(Default)]
pub struct Header(Vec<u8>);

/// What more bytes led to.
pub enum Progress {
    /// More are wanted.
    More(Header),
    /// The header is complete, and nothing behind it was taken.
    Complete(Said),
}

impl Header {
    /// How many bytes to read at most: at least one, and none that could be behind the header.
    #[must_use]
    pub fn wants(&self) -> usize {
        let Self(bytes) = self;
        let wanted = match (bytes.first(), bytes.get(V2_FIXED - 2..V2_FIXED)) {
            (Some(&b'\r'), Some(&[high, low])) => V2_FIXED + usize::from(u16::from_be_bytes([high, low])),
            (Some(&b'\r'), _) => V2_FIXED,
            _ if bytes.len() < V1_MIN => V1_MIN,
            _ if bytes.last() == Some(&b'\r') => bytes.len() + 1,
            _ => V1_MAX.min(bytes.len() + 2),
        };
        wanted.saturating_sub(bytes.len()).max(1)
    }

    /// Whether no byte has come yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes what was read, [`Header::wants`] bytes at most.
    ///
    /// # Errors
    /// [`Fault`], as soon as it is certain.
    pub fn take(mut self, bytes: &[u8]) -> Result<Progress, Fault> {
        self.0.extend_from_slice(bytes);
        let read = &self.0;
        let begins = |start: &[u8]| read.iter().zip(start).all(|(read, wanted)| read == wanted);
        if begins(&V2_SIGNATURE) && !read.is_empty() {
            return self.take_v2();
        }
        if !begins(V1_START) {
            return Err(Fault::Missing);
        }
        // Nothing behind a line's CRLF was wanted: one with an LF is whole, or malformed.
        match read.contains(&b'\n') {
            true => v1(read).map(Progress::Complete),
            false if read.len() >= V1_MAX => Err(Fault::TooLong),
            false => Ok(Progress::More(self)),
        }
    }

    fn take_v2(self) -> Result<Progress, Fault> {
        let Some((fixed, rest)) = self.0.split_first_chunk::<V2_FIXED>() else {
            return Ok(Progress::More(self));
        };
        let [.., version_and_command, family, high, low] = *fixed;
        let length = usize::from(u16::from_be_bytes([high, low]));
        if V2_FIXED + length > V2_MAX {
            return Err(Fault::TooLong);
        }
        if rest.len() < length {
            return Ok(Progress::More(self));
        }
        let said = match (version_and_command, family) {
            (0x21, 0x11) => ends::<4>(rest)?,
            (0x21, 0x21) => ends::<16>(rest)?,
            // Its own connection; one of an unspecified family, or over a Unix socket of the balancer's.
            (0x20, _) | (0x21, 0x00 | 0x31) => Said::Nobody,
            _ => return Err(Fault::Malformed),
        };
        Ok(Progress::Complete(said))
    }
}

/// The line of version 1, with its line end.
fn v1(line: &[u8]) -> Result<Said, Fault> {
    let text = line.strip_suffix(b"\r\n").and_then(|line| std::str::from_utf8(line).ok());
    let mut words = text.ok_or(Fault::Malformed)?.split(' ').skip(1);
    let mut next = || words.next().ok_or(Fault::Malformed);
    let family = next()?;
    if family == "UNKNOWN" {
        // Whatever is behind it is to be ignored.
        return Ok(Said::Nobody);
    }
    let addresses = [next()?, next()?];
    let ports = [next()?, next()?];
    let [client, gate] = match family {
        "TCP4" => addresses.map(|word| word.parse::<Ipv4Addr>().map(IpAddr::V4)),
        "TCP6" => addresses.map(|word| word.parse::<Ipv6Addr>().map(IpAddr::V6)),
        _ => return Err(Fault::Malformed),
    };
    let ends = [client, gate].into_iter().zip(ports).map(|(ip, port)| {
        let ip = ip.map_err(|_| Fault::Malformed)?;
        Ok(SocketAddr::new(ip, decimal(port).ok_or(Fault::Malformed)?))
    });
    match (ends.collect::<Result<Vec<_>, _>>()?.as_slice(), words.next()) {
        (&[client, gate], None) => Ok(Said::Client(Ends::new(client, gate))),
        _ => Err(Fault::Malformed),
    }
}

/// A port: digits alone, no sign and no zero in front.
fn decimal(word: &str) -> Option<u16> {
    let plain = word.bytes().all(|b| b.is_ascii_digit()) && (word == "0" || !word.starts_with('0'));
    word.parse().ok().filter(|_| plain)
}

/// Both addresses of `N` bytes, then both ports.
fn ends<const N: usize>(rest: &[u8]) -> Result<Said, Fault>
where
    IpAddr: From<[u8; N]>,
{
    let read = || {
        let (client, rest) = rest.split_first_chunk::<N>()?;
        let (gate, rest) = rest.split_first_chunk::<N>()?;
        let (from, rest) = rest.split_first_chunk::<2>()?;
        let (to, _) = rest.split_first_chunk::<2>()?;
        let end = |ip: [u8; N], port| SocketAddr::new(IpAddr::from(ip), u16::from_be_bytes(port));
        Some(Said::Client(Ends::new(end(*client, *from), end(*gate, *to))))
    };
    read().ok_or(Fault::Malformed)
}

/// A header of version 2 that passes these ends on; of a connection of the gate's own where there are none.
#[must_use]
pub fn v2(ends: Option<Ends>) -> Vec<u8> {
    let mut header = V2_SIGNATURE.to_vec();
    let Some(ends) = ends else {
        header.extend([0x20, 0x00, 0, 0]);
        return header;
    };
    let (client, gate) = (ends.client(), ends.gate());
    header.push(0x21);
    match (client.ip(), gate.ip()) {
        (IpAddr::V4(client), IpAddr::V4(gate)) => {
            header.extend([0x11, 0, 12]);
            header.extend([client.octets(), gate.octets()].concat());
        }
        (client, gate) => {
            header.extend([0x21, 0, 36]);
            header.extend([sixteen(client), sixteen(gate)].concat());
        }
    }
    header.extend([client.port().to_be_bytes(), gate.port().to_be_bytes()].concat());
    header
}

/// One family for both: where one is IPv6, the other is mapped.
fn sixteen(ip: IpAddr) -> [u8; 16] {
    match ip {
        IpAddr::V4(ip) => ip.to_ipv6_mapped().octets(),
        IpAddr::V6(ip) => ip.octets(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    /// Reads `bytes` in pieces of `at_most`; what the header said, and how many bytes it took.
    fn read(bytes: &[u8], at_most: usize) -> Result<Option<(Said, usize)>, Fault> {
        let (mut header, mut taken) = (Header::default(), 0);
        loop {
            let wants = header.wants();
            assert!(wants > 0);
            let end = bytes.len().min(taken + wants.min(at_most));
            if end == taken {
                return Ok(None);
            }
            let piece = &bytes[std::mem::replace(&mut taken, end)..end];
            match header.take(piece)? {
                Progress::More(more) => header = more,
                Progress::Complete(said) => return Ok(Some((said, taken))),
            }
        }
    }

    /// Reads in every way of cutting that matters; each must lead to the same.
    fn say(bytes: &[u8]) -> Result<Option<(Said, usize)>, Fault> {
        let whole = read(bytes, usize::MAX);
        for at_most in 1..40 {
            assert_eq!(read(bytes, at_most), whole, "in pieces of {at_most}");
        }
        whole
    }

    fn client(client: &str, gate: &str) -> Said {
        Said::Client(Ends::new(client.parse().unwrap(), gate.parse().unwrap()))
    }

    fn v2_of(version_and_command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
        [&V2_SIGNATURE[..], &[version_and_command, family], &length, rest].concat()
    }

    const FOUR: [u8; 12] = [192, 0, 2, 7, 192, 0, 2, 1, 0xc8, 0x22, 0x03, 0xe1];

    #[rstest]
    #[case("PROXY TCP4 192.0.2.7 192.0.2.1 51234 993\r\n", client("192.0.2.7:51234", "192.0.2.1:993"))]
    #[case("PROXY TCP4 192.0.2.7 192.0.2.1 0 65535\r\n", client("192.0.2.7:0", "192.0.2.1:65535"))]
    #[case("PROXY TCP6 2001:db8::7 2001:db8::1 1 2\r\n", client("[2001:db8::7]:1", "[2001:db8::1]:2"))]
    #[case("PROXY TCP6 ::ffff:192.0.2.7 ::ffff:192.0.2.1 1 2\r\n", client("192.0.2.7:1", "192.0.2.1:2"))]
    #[case("PROXY UNKNOWN\r\n", Said::Nobody)]
    #[case("PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n", Said::Nobody)]
    fn a_line_says_where_the_client_is_and_nothing_behind_it_is_taken(
        #[case] line: &str,
        #[case] said: Said,
    ) {
        for behind in ["", "\r", "\r\n", "\x16\x03\x01 handshake", line] {
            let bytes = [line, behind].concat();
            assert_eq!(say(bytes.as_bytes()), Ok(Some((said, line.len()))), "{behind:?}");
        }
        for end in 0..line.len() {
            assert_eq!(say(&line.as_bytes()[..end]), Ok(None), "its first {end} bytes");
        }
    }

    #[rstest]
    #[case(v2_of(0x21, 0x11, &FOUR), client("192.0.2.7:51234", "192.0.2.1:993"))]
    #[case(v2_of(0x21, 0x11, &[&FOUR[..], b"\x04\x00\x03ext"].concat()), client("192.0.2.7:51234", "192.0.2.1:993"))]
    #[case(v2_of(0x21, 0x11, &[&FOUR[..], &[7; 508]].concat()), client("192.0.2.7:51234", "192.0.2.1:993"))]
    #[case(v2_of(0x20, 0x00, b""), Said::Nobody)]
    #[case(v2_of(0x20, 0x11, &FOUR), Said::Nobody)]
    #[case(v2_of(0x21, 0x00, b"whatever"), Said::Nobody)]
    #[case(v2_of(0x21, 0x31, &[0; 216]), Said::Nobody)]
    fn version_two_is_read_to_its_length(#[case] header: Vec<u8>, #[case] said: Said) {
        for behind in [&b""[..], b"\x16\x03\x01 handshake", &header] {
            assert_eq!(say(&[&header, behind].concat()), Ok(Some((said, header.len()))), "{behind:?}");
        }
        for end in 0..header.len() {
            assert_eq!(say(&header[..end]), Ok(None), "its first {end} bytes");
        }
    }

    /// Few reads, so that a balancer's header costs no more than it must.
    #[test]
    fn as_much_is_wanted_at_once_as_is_certain_to_belong_to_the_header() {
        assert_eq!(Header::default().wants(), V1_MIN, "each kind has so many");
        let Ok(Progress::More(begun)) = Header::default().take(b"P") else { panic!("it has begun") };
        assert_eq!(begun.wants(), V1_MIN - 1);
        let header = v2_of(0x21, 0x11, &[&FOUR[..], &[7; 300]].concat());
        let Ok(Progress::More(begun)) = Header::default().take(&header[..1]) else { panic!("it has begun") };
        assert_eq!(begun.wants(), V2_FIXED - 1);
        let Ok(Progress::More(begun)) = begun.take(&header[1..V2_FIXED]) else { panic!("it has begun") };
        assert_eq!(begun.wants(), 312, "all that it announced");
        let Ok(Progress::More(begun)) = begun.take(&header[V2_FIXED..][..12]) else { panic!("it has begun") };
        assert_eq!(begun.wants(), 300);
    }

    #[rstest]
    #[case(b"GET / HTTP/1.1\r\n", Fault::Missing)]
    #[case(b"\x16\x03\x01\x02\x00\x01\x00", Fault::Missing)]
    #[case(b"proxy TCP4 192.0.2.7 192.0.2.1 1 2\r\n", Fault::Missing)]
    #[case(b"PROXYTCP4 192.0.2.7 192.0.2.1 1 2\r\n", Fault::Missing)]
    #[case(b"\r\n\r\n\0\r\nQUIX\n\x21\x11\0\0", Fault::Missing)]
    #[case(b"PROXY \r\n", Fault::Malformed)]
    #[case(b"PROXY TCP4 192.0.2.7 192.0.2.1 1 2\n", Fault::Malformed)]
    #[case(b"PROXY TCP4 192.0.2.7 192.0.2.1 1\r\n", Fault::Malformed)]
    #[case(b"PROXY TCP4 192.0.2.7 192.0.2.1 1 2 3\r\n", Fault::Malformed)]
    #[case(b"PROXY TCP4  192.0.2.7 192.0.2.1 1 2\r\n", Fault::Malformed)]
    #[case(b"PROXY TCP4 192.0.2.7 192.0.2.1 1 65536\r\n", Fault::Malformed)]
    #[case(b"PROXY TCP4 192.0.2.7 192.0.2.1 +1 2\r\n", Fault::Malformed)]
    #[case(b"PROXY TCP4 192.0.2.7 192.0.2.1 01 2\r\n", Fault::Malformed)]
    #[case(b"PROXY TCP4 192.0.2.07 192.0.2.1 1 2\r\n", Fault::Malformed)]
    #[case(b"PROXY TCP4 2001:db8::7 2001:db8::1 1 2\r\n", Fault::Malformed)]
    #[case(b"PROXY TCP6 192.0.2.7 192.0.2.1 1 2\r\n", Fault::Malformed)]
    #[case(b"PROXY UDP4 192.0.2.7 192.0.2.1 1 2\r\n", Fault::Malformed)]
    #[case(b"PROXY UNKNOWNS\r\n", Fault::Malformed)]
    #[case(b"PROXY TCP4 192.0.2.7 \xff 1 2\r\n", Fault::Malformed)]
    fn what_is_no_header_is_told_as_soon_as_it_is_certain(#[case] bytes: &[u8], #[case] fault: Fault) {
        assert_eq!(say(bytes), Err(fault));
    }

    #[rstest]
    #[case(0x11, 0x11, &FOUR[..])]
    #[case(0x22, 0x11, &FOUR[..])]
    #[case(0x21, 0x12, &FOUR[..])]
    #[case(0x21, 0x11, &FOUR[..11])]
    #[case(0x21, 0x21, &FOUR[..])]
    fn a_header_of_version_two_that_contradicts_itself_is_malformed(
        #[case] version_and_command: u8,
        #[case] family: u8,
        #[case] rest: &[u8],
    ) {
        assert_eq!(say(&v2_of(version_and_command, family, rest)), Err(Fault::Malformed));
    }

    #[test]
    fn a_header_without_end_is_not_read_on() {
        let line = |filling: usize| format!("PROXY UNKNOWN {}\r\n", "x".repeat(filling));
        assert_eq!(line(91).len(), V1_MAX);
        assert_eq!(say(line(91).as_bytes()), Ok(Some((Said::Nobody, V1_MAX))));
        assert_eq!(say(line(92).as_bytes()), Err(Fault::TooLong));
        let long = v2_of(0x21, 0x11, &[&FOUR[..], &[7; 509]].concat());
        assert_eq!(long.len(), V2_MAX + 1);
        assert_eq!(say(&long), Err(Fault::TooLong));
        assert_eq!(say(&long[..V2_FIXED]), Err(Fault::TooLong), "before the rest has come");
    }

    #[test]
    fn what_is_written_reads_as_what_was_meant() {
        assert_eq!(say(&v2(None)), Ok(Some((Said::Nobody, 16))));
        assert_eq!(v2(None), b"\r\n\r\n\0\r\nQUIT\n\x20\x00\x00\x00");
        for (from, to) in [
            ("192.0.2.7:51234", "192.0.2.1:993"),
            ("[2001:db8::7]:1", "[2001:db8::1]:2"),
            ("192.0.2.7:1", "[2001:db8::1]:2"),
            ("[2001:db8::7]:1", "192.0.2.1:2"),
        ] {
            let header = v2(Some(Ends::new(from.parse().unwrap(), to.parse().unwrap())));
            assert_eq!(say(&header), Ok(Some((client(from, to), header.len()))));
        }
        let header =
            v2(Some(Ends::new("192.0.2.7:51234".parse().unwrap(), "192.0.2.1:993".parse().unwrap())));
        assert_eq!(header, v2_of(0x21, 0x11, &FOUR));
    }

    proptest! {
        #[test]
        fn every_cut_of_anything_leads_to_the_same(
            start in prop_oneof![
                Just(b"PROXY TCP4 192.0.2.7 ".to_vec()),
                Just(b"PROXY ".to_vec()),
                Just(V2_SIGNATURE.to_vec()),
                Just([&V2_SIGNATURE[..], &[0x21, 0x11, 0]].concat()),
                Just(Vec::new()),
            ],
            rest in prop::collection::vec(prop_oneof![any::<u8>(), Just(b' '), Just(b'\r'), Just(b'\n'), Just(12)], 0..200),
        ) {
            if let Ok(Some((_, taken))) = say(&[start, rest].concat()) {
                prop_assert!((V1_MIN..=V2_MAX).contains(&taken));
            }
        }
    }
}
