//! What every answer says to the browser about itself: what it may load, who may frame it, what it may keep.

use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, HeaderName, REFERRER_POLICY, STRICT_TRANSPORT_SECURITY,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use axum::http::{HeaderMap, HeaderValue};

/// Nothing but our own files; nobody frames a page, no form goes elsewhere.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; \
                      form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

/// The same for all.
const ALWAYS: [(HeaderName, &str); 6] = [
    (CONTENT_SECURITY_POLICY, POLICY),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (X_FRAME_OPTIONS, "DENY"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (
        HeaderName::from_static("permissions-policy"),
        "camera=(), microphone=(), geolocation=(), payment=(), usb=()",
    ),
];

/// Referrers stay within the site: with `no-referrer` browsers hide even from us where a form comes from (Fetch, *append a
/// request `Origin` header*), and that is looked at.
const REFERRERS: &str = "same-origin";

/// Two years, for this host alone: whoever else shares its domain is not ours to decide about.
const TRANSPORT: &str = "max-age=63072000";

/// Completes the headers of an answer. What says nothing about being kept is not kept; what says nothing of referrers gives
/// them to nobody else.
pub(super) fn complete(headers: &mut HeaderMap, secure: bool) {
    for (name, value) in ALWAYS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if secure {
        headers.insert(STRICT_TRANSPORT_SECURITY, HeaderValue::from_static(TRANSPORT));
    }
    headers.entry(REFERRER_POLICY).or_insert(HeaderValue::from_static(REFERRERS));
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_answer_says_what_a_browser_must_not_do_with_it() {
        let mut headers = HeaderMap::new();
        complete(&mut headers, true);
        assert_eq!(headers[CACHE_CONTROL], "no-store");
        assert_eq!(headers[REFERRER_POLICY], "same-origin");
        assert_eq!(headers[STRICT_TRANSPORT_SECURITY], TRANSPORT);
        let policy = headers[CONTENT_SECURITY_POLICY].to_str().unwrap();
        assert!(policy.starts_with("default-src 'none'; ") && !policy.contains("unsafe"), "{policy}");
        assert!(policy.contains("; frame-ancestors 'none'; base-uri 'none'"), "{policy}");
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "DENY"),
            ("referrer-policy", "same-origin"),
            ("cross-origin-opener-policy", "same-origin"),
            ("cross-origin-resource-policy", "same-origin"),
        ] {
            assert_eq!(headers[name], value, "{name}");
        }
        let mut kept = HeaderMap::from_iter([(CACHE_CONTROL, HeaderValue::from_static("max-age=1"))]);
        complete(&mut kept, false);
        assert_eq!(kept[CACHE_CONTROL], "max-age=1");
        assert!(!kept.contains_key(STRICT_TRANSPORT_SECURITY));
    }
}
