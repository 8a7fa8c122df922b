//! What a client is told, in POP3's words: one exhaustive table from reason to wire reply.

use crate::base::Language;
use crate::protocol::{Refusal, Wording};

/// The reply to a login that is refused: response codes of RFC 2449 section 8 and RFC 3206.
pub(super) fn refusal(refusal: Refusal, wording: &Wording, language: Language) -> String {
    let code = match refusal {
        // To the client all of these mean: another password or another account is needed (RFC 3206 section 4).
        Refusal::NotLetIn
        | Refusal::BindFirst
        | Refusal::OutOfScope
        | Refusal::Expired
        | Refusal::Suspended => "AUTH",
        Refusal::Stale => "SYS/PERM",
        Refusal::TooManyFailures | Refusal::Unavailable => "SYS/TEMP",
        Refusal::InUse => "IN-USE",
        Refusal::LoginDelay => "LOGIN-DELAY",
    };
    format!("-ERR [{code}] {}\r\n", wording.refusal(refusal, language))
}

pub(super) const NO_TLS_YET: &str = "-ERR TLS is required before login: use STLS\r\n";
pub(super) const NOT_BEFORE_LOGIN: &str = "-ERR Log in first\r\n";
pub(super) const UNKNOWN: &str = "-ERR Unknown command\r\n";
pub(super) const LINE_TOO_LONG: &str = "-ERR Line too long\r\n";
pub(super) const TOO_MANY_BAD: &str = "-ERR Too many bad commands\r\n";
pub(super) const NO_APOP: &str = "-ERR APOP is not supported\r\n";
pub(super) const NO_SUCH_MECHANISM: &str = "-ERR Unsupported authentication mechanism\r\n";
pub(super) const BAD_EXCHANGE: &str = "-ERR Invalid authentication data\r\n";
pub(super) const CANCELLED: &str = "-ERR Authentication cancelled\r\n";
pub(super) const USER_FIRST: &str = "-ERR Send USER first\r\n";
pub(super) const BAD_ARGUMENT: &str = "-ERR Invalid argument\r\n";
pub(super) const NOT_OFFERED: &str = "-ERR Not supported here\r\n";
pub(super) const ALREADY_SECURED: &str = "-ERR TLS is active already\r\n";
pub(super) const BEGIN_TLS: &str = "+OK Begin TLS negotiation\r\n";
pub(super) const PASSWORD_WANTED: &str = "+OK Send the password\r\n";
pub(super) const UTF8_ON: &str = "+OK UTF8 enabled\r\n";
pub(super) const DONE: &str = "+OK\r\n";
pub(super) const GOODBYE: &str = "+OK Bye\r\n";
pub(super) const MECHANISMS: &str = "+OK Mechanisms follow\r\nPLAIN\r\nLOGIN\r\n.\r\n";
/// RFC 6856 section 3.1: tag, then its name in that language.
pub(super) const LANGUAGES: &str = "+OK Language listing follows\r\nen English\r\nzh 中文\r\n.\r\n";
pub(super) const NO_SUCH_LANGUAGE: &str = "-ERR No such language\r\n";
