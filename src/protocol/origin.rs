//! Where a client comes from, for upstreams that take the gate's word for it.
//!
//! What stands here is the gate's own knowledge of a connection, never what a client says of itself: an upstream
//! that trusts the gate's address believes it, and may judge by it.

use std::net::{IpAddr, SocketAddr};

/// The two ends of a client's connection; an IPv4-mapped IPv6 address counts as the IPv4 address it maps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ends {
    client: SocketAddr,
    gate: SocketAddr,
}

impl Ends {
    /// Canonicalises both.
    #[must_use]
    pub fn new(client: SocketAddr, gate: SocketAddr) -> Self {
        let canonical = |end: SocketAddr| SocketAddr::new(end.ip().to_canonical(), end.port());
        Self { client: canonical(client), gate: canonical(gate) }
    }

    /// Where the client connects from.
    #[must_use]
    pub fn client(self) -> SocketAddr {
        self.client
    }

    /// Where the client connected to.
    #[must_use]
    pub fn gate(self) -> SocketAddr {
        self.gate
    }
}

/// What an upstream is told of the client that a login is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientOrigin {
    /// Its connection to the gate.
    pub ends: Ends,
    /// The session's UUID as a number: an upstream that logs it has a word in common with the gate's records.
    pub session: u128,
}

impl ClientOrigin {
    /// The session's UUID as the gate's records show it (RFC 9562 section 4): 36 characters.
    #[must_use]
    pub fn session_text(self) -> String {
        let digits = format!("{:032x}", self.session);
        let parts = [0..8, 8..12, 12..16, 16..20, 20..32].map(|part| digits.get(part).unwrap_or_default());
        parts.join("-")
    }
}

/// What became of telling the upstream where the client comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Forwarding {
    /// There was nothing to tell, or it did not come to that.
    #[default]
    NotTried,
    /// The upstream offers no way to be told.
    NotOffered,
    /// It was told, and did not object. Whether it believes it is its own affair.
    Told,
    /// It said no, with this text.
    Declined(String),
}

/// The attribute names of `XCLIENT` that a Dovecot takes which only says in its greeting that it takes some.
pub(super) const XCLIENT_USUAL: &str = "ADDR PORT SESSION";

/// How addresses are written in `XCLIENT`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum XclientStyle {
    /// As they are, in POP3.
    Plain,
    /// IPv6 behind `IPV6:` (RFC 5321 section 4.1.3), and the client's name beside its address, in SMTP.
    Smtp,
}

/// The `XCLIENT` command without its line end, made of the attributes that the upstream lists, blank-separated.
/// `None` where it does not list the address.
///
/// Who the client logs in as is not said: it logs in. Nor is its greeting, which the gate repeats behind this.
pub(super) fn xclient(listed: &str, style: XclientStyle, origin: &ClientOrigin) -> Option<String> {
    let lists = |name: &str| listed.split_ascii_whitespace().any(|word| word.eq_ignore_ascii_case(name));
    if !lists("ADDR") {
        return None;
    }
    let address = |ip: IpAddr| match (style, ip) {
        (XclientStyle::Smtp, IpAddr::V6(ip)) => format!("IPV6:{ip}"),
        (XclientStyle::Smtp | XclientStyle::Plain, ip) => ip.to_string(),
    };
    let (client, gate) = (origin.ends.client(), origin.ends.gate());
    // An upstream that is told an address and no name goes on showing the gate's name beside it.
    let name = (style == XclientStyle::Smtp).then(|| ("NAME", "[UNAVAILABLE]".to_owned()));
    let attributes = name.into_iter().chain([
        ("ADDR", address(client.ip())),
        ("PORT", client.port().to_string()),
        ("SESSION", origin.session_text()),
        ("DESTADDR", address(gate.ip())),
        ("DESTPORT", gate.port().to_string()),
    ]);
    let words = attributes.filter(|(name, _)| lists(name)).map(|(name, value)| format!(" {name}={value}"));
    Some(format!("XCLIENT{}", words.collect::<String>()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(client: &str, gate: &str) -> ClientOrigin {
        let ends = Ends::new(client.parse().unwrap(), gate.parse().unwrap());
        ClientOrigin { ends, session: 0x0193_6d5c_7a00_7000_8000_0000_0000_00ff }
    }

    #[test]
    fn a_mapped_address_is_the_one_that_it_maps() {
        let ends = origin("[::ffff:192.0.2.7]:51234", "[::ffff:192.0.2.1]:993").ends;
        assert_eq!((ends.client().to_string(), ends.gate().to_string()), {
            ("192.0.2.7:51234".to_owned(), "192.0.2.1:993".to_owned())
        });
    }

    #[test]
    fn a_session_is_shown_as_the_records_show_it() {
        let text = origin("192.0.2.7:1", "192.0.2.1:2").session_text();
        assert_eq!(text, "01936d5c-7a00-7000-8000-0000000000ff");
    }

    #[test]
    fn only_listed_attributes_are_said_and_nothing_without_the_address() {
        let origin = origin("192.0.2.7:51234", "192.0.2.1:465");
        let smtp = |listed| xclient(listed, XclientStyle::Smtp, &origin);
        let postfix = "NAME ADDR PROTO HELO REVERSE_NAME PORT LOGIN DESTADDR DESTPORT";
        let said = "XCLIENT NAME=[UNAVAILABLE] ADDR=192.0.2.7 PORT=51234 DESTADDR=192.0.2.1 DESTPORT=465";
        assert_eq!(smtp(postfix).unwrap(), said);
        assert_eq!(smtp("addr proto").unwrap(), "XCLIENT ADDR=192.0.2.7");
        assert_eq!(smtp("NAME PORT LOGIN"), None);
        assert_eq!(smtp(""), None);
        let pop3 = xclient(XCLIENT_USUAL, XclientStyle::Plain, &origin).unwrap();
        let session = "01936d5c-7a00-7000-8000-0000000000ff";
        assert_eq!(pop3, format!("XCLIENT ADDR=192.0.2.7 PORT=51234 SESSION={session}"));
    }

    #[test]
    fn ipv6_is_marked_where_the_protocol_wants_it() {
        let origin = origin("[2001:db8::7]:1", "[2001:db8::1]:2");
        let said = |style| xclient("NAME ADDR DESTADDR", style, &origin).unwrap();
        let smtp = "XCLIENT NAME=[UNAVAILABLE] ADDR=IPV6:2001:db8::7 DESTADDR=IPV6:2001:db8::1";
        assert_eq!(said(XclientStyle::Smtp), smtp);
        assert_eq!(said(XclientStyle::Plain), "XCLIENT ADDR=2001:db8::7 DESTADDR=2001:db8::1");
    }
}
