//! What a refused client is told in IMAP's own codes (RFC 5530, RFC 9051 section 7.1): one exhaustive table.

use crate::protocol::{Dismissal, Refusal};

/// The code of the tagged `NO`, and whether an untagged alert with the same text goes before it, because
/// clients show an alert to their user and many hide the text of a failed login.
fn code(refusal: Refusal) -> (&'static str, bool) {
    match refusal {
        Refusal::NotLetIn => ("AUTHENTICATIONFAILED", false),
        Refusal::BindFirst | Refusal::Suspended => ("CONTACTADMIN", true),
        Refusal::OutOfScope => ("NOPERM", false),
        Refusal::Expired => ("EXPIRED", false),
        Refusal::Stale => ("UNAVAILABLE", true),
        Refusal::TooManyFailures | Refusal::Unavailable | Refusal::LoginDelay => ("UNAVAILABLE", false),
        Refusal::InUse => ("INUSE", false),
    }
}

/// The text of the `BYE` that nobody asked for (RFC 9051 section 7.1.5: a server that shuts down, a client that was idle
/// for too long).
pub(super) fn parting(why: Dismissal) -> &'static str {
    match why {
        Dismissal::Stopping => "The server restarts, connect again in a moment",
        Dismissal::TimeIsUp => "Too long without a login",
    }
}

/// The lines that answer the attempt called `tag` with `text`.
pub(super) fn lines(refusal: Refusal, tag: &str, text: &str) -> String {
    let (code, alert) = code(refusal);
    let alert = if alert { format!("* NO [ALERT] {text}\r\n") } else { String::new() };
    format!("{alert}{tag} NO [{code}] {text}\r\n")
}
