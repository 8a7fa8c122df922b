//! The table: which client speaks what, how it is driven, and why a cell is left out.

use super::task::{Outcome, Task};
use super::{curl, fetchmail, getmail, mbsync, msmtp, neomutt, python, swaks, thunderbird};
use crate::support::Mail;

/// A door of the gate: a column, three cells wide (one for each credential).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Door {
    pub(super) mail: Mail,
    pub(super) implicit_tls: bool,
}

/// The doors, in the order in which each client goes through them: it fetches before it sends to itself.
pub(super) const DOORS: [Door; 6] = [
    Door { mail: Mail::Imap, implicit_tls: true },
    Door { mail: Mail::Imap, implicit_tls: false },
    Door { mail: Mail::Pop3, implicit_tls: true },
    Door { mail: Mail::Pop3, implicit_tls: false },
    Door { mail: Mail::Smtp, implicit_tls: true },
    Door { mail: Mail::Smtp, implicit_tls: false },
];

impl Door {
    /// The ports that it has on a mail server.
    pub(super) fn ports(self) -> &'static str {
        match (self.mail, self.implicit_tls) {
            (Mail::Imap, true) => "993",
            (Mail::Imap, false) => "143",
            (Mail::Pop3, true) => "995",
            (Mail::Pop3, false) => "110",
            (Mail::Smtp, true) => "465, 994",
            (Mail::Smtp, false) => "587",
        }
    }

    /// Its protocol with an `s` where TLS comes first, as URLs have it.
    pub(super) fn scheme(self) -> String {
        format!("{}{}", self.mail.name(), if self.implicit_tls { "s" } else { "" })
    }

    /// As the scripts under `tests/clients` call it.
    pub(super) fn tls(self) -> &'static str {
        if self.implicit_tls { "implicit" } else { "starttls" }
    }
}

/// What the gate logs in upstream with.
pub(super) struct Credential {
    pub(super) name: &'static str,
    /// The style of a master user.
    pub(super) master: Option<&'static str>,
}

/// The credentials, in the order of the cells.
pub(super) const CREDENTIALS: [Credential; 3] = [
    Credential { name: "sealed", master: None },
    Credential { name: "separator", master: Some("separator:*") },
    Credential { name: "authzid", master: Some("authzid") },
];

/// What is in the cells of one door.
#[derive(Clone, Copy)]
pub(super) enum Cell {
    Runs,
    LeftOut(&'static str),
}

/// A client.
pub(super) struct Row {
    pub(super) client: &'static str,
    /// One for each of [`DOORS`].
    pub(super) cells: [Cell; 6],
    /// Ways to log in that it is told to use, each at each door; `""` is its own choice.
    pub(super) mechanisms: &'static [&'static str],
    /// Does all tasks, in their order.
    pub(super) drive: fn(&[Task]) -> Vec<Outcome>,
    /// What its user sees when the password is wrong: the gate's own words where it shows them.
    pub(super) refusal: &'static str,
}

/// The gate's own words.
const HINT: &str = "use an app password";

const ITS_CHOICE: &[&str] = &[""];
const PLAIN_AND_LOGIN: &[&str] = &["plain", "login"];
const EVERY_WAY: &[&str] = &["library", "plain", "login"];

/// The matrix; those that take longest come first.
pub(super) const TABLE: [Row; 11] = [
    Row {
        client: "Thunderbird",
        cells: [Cell::Runs; 6],
        mechanisms: ITS_CHOICE,
        drive: thunderbird::drive,
        refusal: "Login to server localhost with username",
    },
    Row {
        client: "imaplib",
        cells: only(Mail::Imap, "imaplib speaks IMAP only"),
        mechanisms: EVERY_WAY,
        drive: |tasks| tasks.iter().map(python::imaplib).collect(),
        refusal: HINT,
    },
    Row {
        client: "poplib",
        cells: only(Mail::Pop3, "poplib speaks POP3 only"),
        mechanisms: EVERY_WAY,
        drive: |tasks| tasks.iter().map(python::poplib).collect(),
        refusal: HINT,
    },
    Row {
        client: "smtplib",
        cells: only(Mail::Smtp, "smtplib speaks SMTP only"),
        mechanisms: EVERY_WAY,
        drive: |tasks| tasks.iter().map(python::smtplib).collect(),
        refusal: HINT,
    },
    Row {
        client: "neomutt",
        cells: [Cell::Runs; 6],
        mechanisms: PLAIN_AND_LOGIN,
        drive: |tasks| tasks.iter().map(neomutt::run).collect(),
        refusal: "uthentication failed",
    },
    Row {
        client: "curl",
        cells: [Cell::Runs; 6],
        mechanisms: PLAIN_AND_LOGIN,
        drive: |tasks| tasks.iter().map(curl::run).collect(),
        refusal: HINT,
    },
    Row {
        client: "swaks",
        cells: only(Mail::Smtp, "swaks speaks SMTP only"),
        mechanisms: PLAIN_AND_LOGIN,
        drive: |tasks| tasks.iter().map(swaks::run).collect(),
        refusal: HINT,
    },
    Row {
        client: "mbsync",
        cells: only(Mail::Imap, "mbsync speaks IMAP only"),
        mechanisms: PLAIN_AND_LOGIN,
        drive: |tasks| tasks.iter().map(mbsync::run).collect(),
        refusal: HINT,
    },
    Row {
        client: "fetchmail",
        cells: fetching("fetchmail sends mail only on to a local server, without login"),
        mechanisms: ITS_CHOICE,
        drive: |tasks| tasks.iter().map(fetchmail::run).collect(),
        refusal: HINT,
    },
    Row {
        client: "getmail",
        cells: getmail_cells(),
        mechanisms: ITS_CHOICE,
        drive: |tasks| tasks.iter().map(getmail::run).collect(),
        refusal: HINT,
    },
    Row {
        client: "msmtp",
        cells: only(Mail::Smtp, "msmtp speaks SMTP only"),
        mechanisms: PLAIN_AND_LOGIN,
        drive: |tasks| tasks.iter().map(msmtp::run).collect(),
        refusal: HINT,
    },
];

/// A client of one protocol, and why the others are left out.
const fn only(mail: Mail, reason: &'static str) -> [Cell; 6] {
    let mut cells = [Cell::LeftOut(reason); 6];
    let first = match mail {
        Mail::Imap => 0,
        Mail::Pop3 => 2,
        Mail::Smtp => 4,
    };
    cells[first] = Cell::Runs;
    cells[first + 1] = Cell::Runs;
    cells
}

/// A client that only fetches.
const fn fetching(reason: &'static str) -> [Cell; 6] {
    let mut cells = [Cell::Runs; 6];
    cells[4] = Cell::LeftOut(reason);
    cells[5] = Cell::LeftOut(reason);
    cells
}

const fn getmail_cells() -> [Cell; 6] {
    let no_starttls = Cell::LeftOut("getmail knows no STARTTLS and no STLS");
    let mut cells = fetching("getmail only fetches");
    cells[1] = no_starttls;
    cells[3] = no_starttls;
    cells
}
