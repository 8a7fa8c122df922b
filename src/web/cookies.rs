//! The cookies of the portal: the session, the trusted device, the language, what a passkey is asked, the enrolment link.
//!
//! What a browser shows is hostile. Names carry `__Host-` (RFC 6265bis section 4.1.3.2), so that no neighbouring host
//! and no plain connection can plant one; where the portal is tried out on this machine without TLS, browsers would not
//! take such names, and nobody else is near.

use std::time::Duration;

use axum::http::HeaderMap;
use axum::http::header::COOKIE;

/// What a cookie is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cookie {
    /// The portal session; ends with the browser.
    Session,
    /// What a trusted device shows.
    Device,
    /// The language that was chosen.
    Language,
    /// An enrolment link, until it is used; ends with the browser.
    Link,
    /// What a browser was asked that is to sign in with a passkey; sealed.
    Passkey,
}

impl Cookie {
    fn name(self) -> &'static str {
        match self {
            Self::Session => "mailward",
            Self::Device => "mailward-device",
            Self::Language => "mailward-language",
            Self::Link => "mailward-link",
            Self::Passkey => "mailward-passkey",
        }
    }
}

/// How cookies are written here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cookies {
    /// Whether the portal is reached by `https`.
    pub(super) secure: bool,
}

impl Cookies {
    /// The value that the browser shows, if it shows it once: of two with the same name nobody can say whose they are.
    pub(super) fn read(self, headers: &HeaderMap, cookie: Cookie) -> Option<&str> {
        let prefix = if self.secure { "__Host-" } else { "" };
        // Each by itself: a neighbour of ours on the same domain may set what it likes.
        let pairs =
            headers.get_all(COOKIE).iter().flat_map(|line| line.as_bytes().split(|byte| *byte == b';'));
        let mut values = pairs.filter_map(|pair| {
            let (name, value) = std::str::from_utf8(pair).ok()?.trim().split_once('=')?;
            (name.strip_prefix(prefix)? == cookie.name()).then_some(value)
        });
        let value = values.next()?;
        values.next().is_none().then_some(value)
    }

    /// A `Set-Cookie` line; `value` holds nothing but letters, digits, `-` and `_`. Without `lasts` it goes with the
    /// browser.
    pub(super) fn set(self, cookie: Cookie, value: &str, lasts: Option<Duration>) -> String {
        debug_assert!(value.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_')));
        let (prefix, secure) = if self.secure { ("__Host-", "; Secure") } else { ("", "") };
        let lasts = lasts.map(|lasts| format!("; Max-Age={}", lasts.as_secs())).unwrap_or_default();
        format!("{prefix}{}={value}; Path=/{secure}; HttpOnly; SameSite=Lax{lasts}", cookie.name())
    }

    /// The line that makes the browser forget it.
    pub(super) fn forget(self, cookie: Cookie) -> String {
        self.set(cookie, "", Some(Duration::ZERO))
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    const SECURE: Cookies = Cookies { secure: true };

    fn shown(lines: &[&'static [u8]]) -> HeaderMap {
        lines.iter().map(|line| (COOKIE, HeaderValue::from_bytes(line).unwrap())).collect()
    }

    #[test]
    fn a_cookie_is_read_where_it_can_only_be_ours() {
        let read = |lines: &[&'static [u8]]| SECURE.read(&shown(lines), Cookie::Session).map(str::to_owned);
        assert_eq!(read(&[b"a=b; __Host-mailward=abc;__Host-mailward-device=d"]).as_deref(), Some("abc"));
        assert_eq!(read(&[b"a=b", b"__Host-mailward=abc"]).as_deref(), Some("abc"));
        assert_eq!(read(&[b"x=\xff; __Host-mailward=abc"]).as_deref(), Some("abc"), "a neighbour's");
        for hostile in [
            &[&b"mailward=planted"[..]][..],
            &[b"__Host-mailward=abc; __Host-mailward=planted"],
            &[b"__Host-mailward=abc", b"__Host-mailward=planted"],
            &[b"__Host-mailward"],
            &[b"__host-mailward=abc"],
            &[],
        ] {
            assert_eq!(read(hostile), None, "{hostile:?}");
        }
    }

    #[test]
    fn a_cookie_that_is_set_goes_nowhere_else() {
        assert_eq!(
            SECURE.set(Cookie::Device, "abc", Some(Duration::from_secs(60))),
            "__Host-mailward-device=abc; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=60"
        );
        assert_eq!(
            Cookies { secure: false }.forget(Cookie::Session),
            "mailward=; Path=/; HttpOnly; SameSite=Lax; Max-Age=0"
        );
    }
}
