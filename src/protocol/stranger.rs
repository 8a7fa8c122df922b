//! Clients that speak another protocol than the port's: a browser, a port scanner, TLS on a plain port, a balancer
//! (or who pretends to be one) that nobody asked where its clients come from.
//!
//! They are hung up on and nothing they sent is echoed, so that no web page can make a browser act as a mail
//! client with words of its own.

/// Whether the first byte of a connection starts a TLS record (RFC 8446 section 5.1): a handshake, which
/// no line of a mail protocol starts with.
#[must_use]
pub fn is_tls(received: &[u8]) -> bool {
    received.first() == Some(&0x16)
}

/// Whether `line` is nothing that a mail client says: an HTTP request or (a part of) a PROXY header.
#[must_use]
pub fn is_foreign(line: &[u8]) -> bool {
    is_http(line) || is_proxy_header(line)
}

/// Whether `line` begins as a header of version 1 of the PROXY protocol, or is the third line of one of version 2, a
/// lone NUL; the first two are empty, and an empty line alone shows nothing.
fn is_proxy_header(line: &[u8]) -> bool {
    let starts = [&b"PROXY TCP4 "[..], b"PROXY TCP6 ", b"PROXY UNKNOWN"];
    line == b"\0" || starts.iter().any(|start| line.starts_with(start))
}

/// Whether `line` is an HTTP request line (RFC 9112 section 3): one of the methods that browsers use, with a path;
/// or any method at all, with a version behind its target.
fn is_http(line: &[u8]) -> bool {
    const METHODS: [&[u8]; 9] =
        [b"GET", b"POST", b"HEAD", b"PUT", b"DELETE", b"OPTIONS", b"CONNECT", b"PATCH", b"PRI"];
    let mut words = line.splitn(3, |b| *b == b' ');
    let (Some(method), Some(target)) = (words.next(), words.next()) else { return false };
    let version = words.next().is_some_and(|version| version.starts_with(b"HTTP/"));
    let path = target.starts_with(b"/");
    if METHODS.contains(&method) { path || version } else { version && (path || target == b"*") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn browsers_and_tls_are_recognised_and_mail_commands_are_not() {
        for line in
            [&b"GET / HTTP/1.1"[..], b"GET /", b"CONNECT mail.example.org:25 HTTP/1.1", b"PRI * HTTP/2.0"]
        {
            assert!(is_http(line), "{line:?}");
        }
        for line in [&b"PROPFIND / HTTP/1.1"[..], b"get / HTTP/1.0", b"PURGE * HTTP/1.1", b"a /x HTTP/1.1"] {
            assert!(is_http(line), "{line:?}");
        }
        for line in [
            &b"USER GET / HTTP/1.1"[..],
            b"PASS my HTTP/1.1",
            b"PASS /x HTTPS",
            b"a LOGIN HTTP/1.1",
            b"GET CAPABILITY",
            b"GET",
            b"NOOP",
            b"",
        ] {
            assert!(!is_http(line), "{line:?}");
        }
        for line in [&b"PROXY TCP4 192.0.2.66 192.0.2.1 1 2"[..], b"PROXY UNKNOWN", b"PROXY TCP6 ::1", b"\0"]
        {
            assert!(is_foreign(line), "{line:?}");
        }
        for line in [&b"PROXY LOGIN a b"[..], b"proxy TCP4 ", b"\0\0", b"PROXY TCP4", b"NOOP"] {
            assert!(!is_foreign(line), "{line:?}");
        }
        assert!(is_tls(b"\x16\x03\x01") && !is_tls(b"QUIT") && !is_tls(b""));
    }
}
