//! What a client is told, in SMTP's words: one exhaustive table from reason to wire reply, and the replies
//! that need no reason. Codes: RFC 5321 section 4.2, RFC 4954 section 6, RFC 3463, RFC 5248.

use crate::protocol::{Dismissal, Refusal, Wording};

/// The reply to a login that is refused, and whether the connection ends with it.
pub(super) fn refusal(refusal: Refusal, wording: &Wording) -> (String, bool) {
    let (code, ends) = match refusal {
        Refusal::NotLetIn | Refusal::OutOfScope | Refusal::Expired => ("535 5.7.8", false),
        Refusal::BindFirst => ("534 5.7.9", false),
        Refusal::Suspended => ("525 5.7.13", false),
        // Clients must not ask for another password because of any of these.
        Refusal::Stale | Refusal::Unavailable | Refusal::InUse | Refusal::LoginDelay => ("454 4.7.0", false),
        Refusal::TooManyFailures => ("421 4.7.0", true),
    };
    (format!("{code} {}\r\n", wording.refusal(refusal, wording.language)), ends)
}

/// When the gate ends the conversation: because it stops (RFC 3463 section 3.4), or because it has waited for as long as it
/// does (RFC 5321 section 4.5.3.2.7, RFC 3463 section 3.5). A server says 421 before it closes (RFC 5321 section 3.8).
pub(super) fn parting(why: Dismissal, wording: &Wording) -> String {
    let Wording { hostname, .. } = wording;
    match why {
        Dismissal::Stopping => format!("421 4.3.2 {hostname} restarts, try again in a moment\r\n"),
        Dismissal::TimeIsUp => format!("421 4.4.2 {hostname} has waited too long for a login\r\n"),
    }
}

pub(super) const LET_IN: &str = "235 2.7.0 Authentication successful\r\n";
pub(super) const OK: &str = "250 2.0.0 Ok\r\n";
pub(super) const HELP: &str = "214 2.0.0 This is a submission server: log in, then send mail\r\n";
pub(super) const CANNOT_VERIFY: &str = "252 2.1.5 Cannot verify, send some mail\r\n";
pub(super) const GOODBYE: &str = "221 2.0.0 Bye\r\n";
pub(super) const BEGIN_TLS: &str = "220 2.0.0 Ready to start TLS\r\n";
pub(super) const ALREADY_SECURED: &str = "503 5.5.1 TLS is active already\r\n";
pub(super) const NO_TLS_YET: &str = "530 5.7.0 Must issue a STARTTLS command first\r\n";
pub(super) const NOT_BEFORE_LOGIN: &str = "530 5.7.0 Authentication required\r\n";
pub(super) const NO_SUCH_MECHANISM: &str = "504 5.5.4 Unrecognized authentication type\r\n";
pub(super) const BAD_EXCHANGE: &str = "501 5.5.2 Invalid authentication data\r\n";
pub(super) const CANCELLED: &str = "501 5.5.2 Authentication cancelled\r\n";
pub(super) const GREET_FIRST: &str = "503 5.5.1 Send EHLO first\r\n";
pub(super) const BAD_ARGUMENTS: &str = "501 5.5.4 Invalid arguments\r\n";
pub(super) const LINE_TOO_LONG: &str = "500 5.5.6 Line too long\r\n";
pub(super) const UNKNOWN: &str = "500 5.5.1 Unknown command\r\n";
pub(super) const TOO_MANY_BAD: &str = "421 4.7.0 Too many bad commands\r\n";
