//! What addresses are not for: other methods, and pages of other sites that would read what they say.

use axum::body::Body;
use axum::http::{Request, StatusCode};

use super::harness::{ALICE, Site};
use super::law::{needs_no_session, routes};

const HERE: &str = "https://mail.example.org";

/// As a browser asks whether a page of `origin` may read the answer, and as TRACE would give it back.
fn asked(method: &str, path: &str, origin: &str) -> Request<Body> {
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("sec-fetch-site", "same-origin")
        .header("origin", origin)
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "x-canary")
        .header("x-canary", "given back");
    request.body(Body::empty()).unwrap()
}

#[tokio::test]
async fn an_address_answers_to_what_it_is_for_and_to_no_page_of_another_site() {
    let site = Site::open().await;
    let mut alice = site.signed_in(ALICE).await;
    for (path, gets, posts) in routes() {
        let mut may = if gets { vec!["GET", "HEAD"] } else { vec![] };
        may.extend(posts.then_some("POST"));
        for method in ["GET", "HEAD", "POST", "TRACE", "OPTIONS", "PUT", "DELETE", "PATCH", "PROPFIND"] {
            for origin in [HERE, "https://evil.example"] {
                let seen = alice.ask(asked(method, &path, origin)).await;
                let (is_read, is_here) = (matches!(method, "GET" | "HEAD"), origin == HERE);
                let foreign = !is_here && !is_read && !needs_no_session(&path);
                assert_eq!(seen.status == StatusCode::FORBIDDEN, foreign, "{method} {path}: {}", seen.status);
                let is_no_use = !foreign && !may.contains(&method);
                assert_eq!(
                    seen.status == StatusCode::METHOD_NOT_ALLOWED,
                    is_no_use,
                    "{method} {path}: {}",
                    seen.status
                );
                if is_no_use {
                    // RFC 9110, section 15.5.6
                    assert_eq!(seen.headers["allow"], may.join(","), "{method} {path}");
                }
                let granted = seen.headers.keys().find(|name| name.as_str().starts_with("access-control"));
                assert_eq!(granted, None, "{method} {path}");
                assert!(!seen.text.contains("given back"), "{method} {path}: {}", seen.text);
                assert!(!seen.headers.contains_key("x-canary"), "{method} {path}");
            }
        }
    }
    assert_eq!(alice.get("/").await.status, StatusCode::OK, "nothing was changed by it");
}
