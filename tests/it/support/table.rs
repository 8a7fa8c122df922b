//! The refusal table: what a refused client must be told, row by row.

use super::guest::Mail;

/// The portal that refusals name where a user can mend things there.
pub(crate) const PORTAL: &str = "https://portal.example.test";

/// A row.
pub(crate) struct Row {
    imap: &'static str,
    /// Whether IMAP shows the text as an alert first.
    alert: bool,
    pop3: &'static str,
    smtp: &'static str,
    /// Whether the text begins with the portal's URL, when there is one.
    url: bool,
}

/// Nothing was proven.
pub(crate) const NOT_LET_IN: Row =
    Row { imap: "AUTHENTICATIONFAILED", alert: false, pop3: "[AUTH]", smtp: "535 5.7.8", url: true };
/// The mailbox password is right, but grace is over.
pub(crate) const BIND_FIRST: Row =
    Row { imap: "CONTACTADMIN", alert: true, pop3: "[AUTH]", smtp: "534 5.7.9", url: true };
/// The app password is right, but not here.
pub(crate) const OUT_OF_SCOPE: Row =
    Row { imap: "NOPERM", alert: false, pop3: "[AUTH]", smtp: "535 5.7.8", url: true };
/// The app password was right once.
pub(crate) const EXPIRED: Row =
    Row { imap: "EXPIRED", alert: false, pop3: "[AUTH]", smtp: "535 5.7.8", url: true };
/// The app password is right, the mailbox password sealed to it is not.
pub(crate) const STALE: Row =
    Row { imap: "UNAVAILABLE", alert: true, pop3: "[SYS/PERM]", smtp: "454 4.7.0", url: true };
/// The password is right, the account is suspended.
pub(crate) const SUSPENDED: Row =
    Row { imap: "CONTACTADMIN", alert: true, pop3: "[AUTH]", smtp: "525 5.7.13", url: false };
/// The password was not looked at.
pub(crate) const TOO_MANY: Row =
    Row { imap: "UNAVAILABLE", alert: false, pop3: "[SYS/TEMP]", smtp: "421 4.7.0", url: false };
/// Somebody else's fault.
pub(crate) const UNAVAILABLE: Row =
    Row { imap: "UNAVAILABLE", alert: false, pop3: "[SYS/TEMP]", smtp: "454 4.7.0", url: false };
/// The upstream's own words, passed on; SMTP has none.
pub(crate) const IN_USE: Row =
    Row { imap: "INUSE", alert: false, pop3: "[IN-USE]", smtp: "454 4.7.0", url: false };
/// The same; IMAP and SMTP have none.
pub(crate) const LOGIN_DELAY: Row =
    Row { imap: "UNAVAILABLE", alert: false, pop3: "[LOGIN-DELAY]", smtp: "454 4.7.0", url: false };

impl Row {
    /// The reply is this row's, exactly but for the words behind code and URL. Returns the text, URL included.
    #[track_caller]
    pub(crate) fn check<'r>(&self, mail: Mail, reply: &'r str) -> &'r str {
        let last = match mail {
            Mail::Imap => format!("TAG NO [{}] ", self.imap),
            Mail::Pop3 => format!("-ERR {} ", self.pop3),
            Mail::Smtp => format!("{} ", self.smtp),
        };
        let text = if mail == Mail::Imap && self.alert {
            let (alert, text) = reply.split_once(&last).unwrap_or_default();
            assert_eq!(alert, format!("* NO [ALERT] {text}"), "the alert says the same: `{reply}`");
            text
        } else {
            reply.strip_prefix(&last).unwrap_or_default()
        };
        assert!(text.len() > 12 && text.ends_with("\r\n"), "expected `{last}…`, heard `{reply}`");
        let text = text.trim_end_matches("\r\n");
        assert!(text.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "not one line of ASCII: `{reply}`");
        let url = text.starts_with(&format!("{PORTAL} "));
        assert_eq!(url, self.url && text.contains("://"), "the URL comes first: `{reply}`");
        text
    }

    /// The same, and where the row names the portal it is named.
    #[track_caller]
    pub(crate) fn check_with_portal(&self, mail: Mail, reply: &str) {
        let text = self.check(mail, reply);
        assert_eq!(text.contains(PORTAL), self.url, "the URL, or none: `{reply}`");
    }
}
