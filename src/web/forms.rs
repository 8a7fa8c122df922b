//! What a form brings: bounded, decoded into memory that is wiped, and only from one of our own pages.
//!
//! Passwords and codes come this way, so that nothing here is ever printed.

use std::time::Duration;

use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, HeaderName, ORIGIN};
use axum::http::{HeaderMap, Method, Request};
use http_body_util::BodyExt as _;
use zeroize::Zeroizing;

use super::pages::error::Wrong;
use crate::base::{Password, Secret};

/// A form holds a name, a password and a handful of choices.
const BODY_MAX: usize = 64 * 1024;

/// For all of it to arrive.
const BODY_DEADLINE: Duration = Duration::from_secs(20);

/// More fields than any form has.
const FIELDS_MAX: usize = 64;

/// Where a request says that it was made (Fetch Metadata Request Headers, section 2.3).
const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// What was sent.
pub(super) struct Form(Vec<(String, Secret)>);

impl Form {
    /// Reads the body of `request`.
    ///
    /// # Errors
    /// [`Wrong`], where it is no form or too large a one.
    pub(super) async fn read(request: Request<Body>) -> Result<Self, Wrong> {
        let kind = request.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        let kind = kind.and_then(|kind| kind.split(';').next()).unwrap_or_default().trim();
        if !kind.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
            return Err(Wrong::Request);
        }
        Self::parse(&whole(request.into_body()).await?).ok_or(Wrong::Request)
    }

    /// `application/x-www-form-urlencoded` (URL Standard, section 5.1).
    pub(super) fn parse(body: &[u8]) -> Option<Self> {
        let mut fields = Vec::new();
        for pair in body.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()) {
            if fields.len() == FIELDS_MAX {
                return None;
            }
            let at = pair.iter().position(|byte| *byte == b'=').unwrap_or(pair.len());
            let (name, value) = (pair.get(..at)?, pair.get(at + 1..).unwrap_or_default());
            fields.push((String::from_utf8(decoded(name)?).ok()?, Secret::new(decoded(value)?)));
        }
        Some(Self(fields))
    }

    /// The text of a field, without blanks at either end; empty where there is none, or where it is sent twice, longer
    /// than `max` bytes or no text.
    pub(super) fn text(&self, name: &str, max: usize) -> &str {
        let value = self.one(name).and_then(|value| std::str::from_utf8(value.expose()).ok());
        value.filter(|value| value.len() <= max).unwrap_or_default().trim()
    }

    /// The text of a field of which nothing may get lost, however long; empty where there is none.
    ///
    /// # Errors
    /// [`Wrong::Request`] where it is sent twice or is no text.
    pub(super) fn whole_text(&self, name: &str) -> Result<&str, Wrong> {
        if !self.0.iter().any(|(field, _)| field == name) {
            return Ok("");
        }
        let value = self.one(name).and_then(|value| std::str::from_utf8(value.expose()).ok());
        value.map(str::trim).ok_or(Wrong::Request)
    }

    /// Every value of a field that may be chosen several times.
    pub(super) fn chosen<'f>(&'f self, name: &'f str) -> impl Iterator<Item = &'f str> {
        let fields = self.0.iter().filter(move |(field, _)| field == name);
        fields.filter_map(|(_, value)| std::str::from_utf8(value.expose()).ok())
    }

    /// A password, byte for byte.
    pub(super) fn password(&self, name: &str) -> Option<Password> {
        Password::new(self.one(name)?.expose().to_vec()).ok()
    }

    /// The fields with these names as they were sent, for [`Form::parse`]; nothing else that was sent is in it.
    pub(super) fn only(&self, names: &[&str]) -> String {
        let fields = self.0.iter().filter(|(field, _)| names.contains(&&**field));
        let fields = fields.map(|(field, value)| format!("{field}={}", encoded(value.expose())));
        fields.collect::<Vec<_>>().join("&")
    }

    fn one(&self, name: &str) -> Option<&Secret> {
        let mut fields = self.0.iter().filter(|(field, _)| field == name);
        let (_, value) = fields.next()?;
        fields.next().is_none().then_some(value)
    }
}

/// All that was sent, whatever it is.
///
/// # Errors
/// [`Wrong`], where it is too much or takes too long.
pub(super) async fn whole(body: Body) -> Result<Zeroizing<Vec<u8>>, Wrong> {
    tokio::time::timeout(BODY_DEADLINE, gathered(body)).await.map_err(|_| Wrong::Request)?
}

async fn gathered(mut body: Body) -> Result<Zeroizing<Vec<u8>>, Wrong> {
    // Of one size from the beginning: what grows leaves copies behind.
    let mut whole = Zeroizing::new(Vec::with_capacity(BODY_MAX));
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Wrong::Request)?;
        if let Some(data) = frame.data_ref() {
            if whole.len() + data.len() > BODY_MAX {
                return Err(Wrong::TooLarge);
            }
            whole.extend_from_slice(data);
        }
    }
    Ok(whole)
}

/// Percent-decoded; `None` where a `%` is not followed by two digits.
fn decoded(text: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.iter();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => digit(*rest.next()?)? << 4 | digit(*rest.next()?)?,
            other => *other,
        });
    }
    Some(bytes)
}

/// Its inverse.
fn encoded(text: &[u8]) -> String {
    text.iter().fold(String::new(), |encoded, byte| encoded + &format!("%{byte:02x}"))
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

/// The fields of a query string; empty where it is none.
pub(super) fn query(text: Option<&str>) -> Form {
    text.and_then(|text| Form::parse(text.as_bytes())).unwrap_or(Form(Vec::new()))
}

/// Whether a request that may change something was made by a page of `origin`. Browsers say so in one of two ways, and
/// pages elsewhere cannot make them say it wrongly; whoever says neither is no browser.
pub(super) fn is_from_here(method: &Method, headers: &HeaderMap, origin: &str) -> bool {
    if matches!(*method, Method::GET | Method::HEAD) {
        return true;
    }
    let only = |name: HeaderName| {
        let mut values = headers.get_all(name).iter();
        let value = values.next().map(|value| value.to_str().unwrap_or_default());
        if values.next().is_some() { Some("") } else { value }
    };
    match (only(FETCH_SITE), only(ORIGIN)) {
        (Some(site), None) => site == "same-origin",
        (Some(site), Some(from)) => site == "same-origin" && from.eq_ignore_ascii_case(origin),
        (None, Some(from)) => from.eq_ignore_ascii_case(origin),
        (None, None) => false,
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    fn form(body: &str) -> Form {
        Form::parse(body.as_bytes()).unwrap()
    }

    #[test]
    fn fields_are_read_as_browsers_write_them() {
        let form = form("login=lin%40example.org+&password=+%e5%af%86%26%3D+&p=imap&p=smtp&empty=&bare");
        assert_eq!(form.text("login", 320), "lin@example.org");
        assert_eq!(form.password("password").unwrap().expose(), " 密&= ".as_bytes());
        assert_eq!(form.chosen("p").collect::<Vec<_>>(), ["imap", "smtp"]);
        assert_eq!(form.text("p", 9), "", "twice is not once");
        assert_eq!(form.text("login", 5), "", "too long");
        assert!(form.password("empty").is_none() && form.password("missing").is_none());
    }

    #[test]
    fn chosen_fields_are_written_as_they_were_sent_and_no_other() {
        let sent = form("name=+%e5%af%86%26%3D%2b&password=secret&p=1&p=2&empty=&once=1");
        let kept = sent.only(&["name", "p", "empty", "missing"]);
        assert_eq!(kept, "name=%20%e5%af%86%26%3d%2b&p=%31&p=%32&empty=");
        assert_eq!(form(&kept).only(&["name", "p", "empty"]), kept);
    }

    #[test]
    fn what_is_no_form_is_refused() {
        for bad in ["a=%", "a=%4", "a=%zz", "%ff=1"] {
            assert!(Form::parse(bad.as_bytes()).is_none(), "{bad}");
        }
        assert!(Form::parse("a=1&".repeat(FIELDS_MAX + 1).as_bytes()).is_none());
        assert!(query(None).0.is_empty() && query(Some("a=%")).0.is_empty());
    }

    proptest! {
        #[test]
        fn no_body_breaks_it(body: Vec<u8>) {
            if let Some(form) = Form::parse(&body) {
                prop_assert!(form.0.iter().map(|(_, value)| value.expose().len()).sum::<usize>() <= body.len());
            }
        }
    }

    #[tokio::test]
    async fn a_body_that_is_too_large_or_of_another_kind_is_not_read_on() {
        let post = |kind: &'static str, size: usize| {
            let request = Request::post("/").header(CONTENT_TYPE, kind);
            Form::read(request.body(Body::from(vec![b'a'; size])).unwrap())
        };
        const FORM: &str = "application/x-www-form-urlencoded; charset=UTF-8";
        assert!(post(FORM, BODY_MAX).await.is_ok());
        assert_eq!(post(FORM, BODY_MAX + 1).await.err(), Some(Wrong::TooLarge));
        assert_eq!(post("text/plain", 3).await.err(), Some(Wrong::Request));
    }

    #[test]
    fn a_form_of_another_site_is_told_apart() {
        const HERE: &str = "https://mail.example.org";
        let from = |headers: &[(HeaderName, &'static str)]| {
            let headers =
                headers.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value))).collect();
            is_from_here(&Method::POST, &headers, HERE)
        };
        assert!(from(&[(FETCH_SITE, "same-origin"), (ORIGIN, HERE)]));
        assert!(from(&[(FETCH_SITE, "same-origin")]) && from(&[(ORIGIN, HERE)]));
        for elsewhere in [
            &[][..],
            &[(FETCH_SITE, "cross-site")],
            &[(FETCH_SITE, "same-site"), (ORIGIN, HERE)],
            &[(FETCH_SITE, "none")],
            &[(FETCH_SITE, "same-origin"), (ORIGIN, "null")],
            &[(FETCH_SITE, "same-origin"), (FETCH_SITE, "same-origin")],
            &[(ORIGIN, "null")],
            &[(ORIGIN, "https://mail.example.org.evil.example")],
            &[(ORIGIN, "http://mail.example.org")],
        ] {
            assert!(!from(elsewhere), "{elsewhere:?}");
        }
        assert!(is_from_here(&Method::GET, &HeaderMap::new(), HERE));
        assert!(!is_from_here(&Method::DELETE, &HeaderMap::new(), HERE));
    }
}
