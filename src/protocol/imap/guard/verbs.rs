//! What becomes of a command, by its verb and by how much of the mailbox its client may touch.
//!
//! For who may only read there is a list of what reads; whatever is not on it does not pass. The server helps: it is
//! asked for each mailbox with `EXAMINE`, so that it neither marks as seen what is fetched nor takes a change (RFC 9051
//! section 6.3.3).

use crate::base::Access;

/// What a command's verb says about its continuations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// It has none but for literals.
    Plain,
    Idle,
    /// It may have any.
    Unknown,
}

/// What becomes of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Passes(Kind),
    /// It passes under this verb.
    PassesAs(&'static [u8], Kind),
    /// It does not pass: the gate answers with this behind the tag.
    Answered(&'static str),
}

pub(super) const NOT_AVAILABLE: &str = "BAD Not available here";

/// RFC 5530 section 3.
const READS_ONLY: &str = "NO [NOPERM] This app password may only read";

/// How many words say what a command is, its tag among them: which is known when `verb` is.
pub(super) fn telling_words(verb: &[u8], access: Access) -> usize {
    match access {
        Access::ReadOnly if is_one_of(&[b"UID"], verb) => 3,
        Access::Full | Access::ReadOnly => 2,
    }
}

/// What becomes of the command with this verb. `behind` is the word behind that, where [`telling_words`] asks for it.
pub(super) fn fate(verb: &[u8], behind: &[u8], access: Access) -> Fate {
    let kind = match verb {
        b"" => Kind::Plain,
        _ if is_one_of(&[b"IDLE"], verb) => Kind::Idle,
        _ if is_one_of(&KNOWN, verb) => Kind::Plain,
        _ => Kind::Unknown,
    };
    match access {
        // No command has other letters, and what lets a server take small letters for capitals may turn `ſ` into `S`.
        _ if !verb.is_ascii() => Fate::Answered(NOT_AVAILABLE),
        _ if is_one_of(&REFUSED, verb) => Fate::Answered(NOT_AVAILABLE),
        Access::Full => Fate::Passes(kind),
        Access::ReadOnly if is_one_of(&[b"SELECT"], verb) => Fate::PassesAs(b"EXAMINE", kind),
        Access::ReadOnly if is_one_of(&[b"UID"], verb) => match is_one_of(&READING_BY_UID, behind) {
            true => Fate::Passes(kind),
            false => Fate::Answered(READS_ONLY),
        },
        // A line without a word is no command.
        Access::ReadOnly if verb.is_empty() || is_one_of(&READING, verb) => Fate::Passes(kind),
        Access::ReadOnly => Fate::Answered(READS_ONLY),
    }
}

fn is_one_of(names: &[&[u8]], word: &[u8]) -> bool {
    names.iter().any(|name| name.eq_ignore_ascii_case(word))
}

/// What would change who the client is (the second is how it was called before RFC 8437, the third how some of
/// those servers let an administrator become somebody); what would hide the commands from the guard; and what
/// is no command once logged in, but would have continuation lines.
const REFUSED: [&[u8]; 6] =
    [b"UNAUTHENTICATE", b"X-UNAUTHENTICATE", b"PROXYAUTH", b"COMPRESS", b"STARTTLS", b"AUTHENTICATE"];

/// Commands without continuations but for literals. Behind any other the client has to wait for the answer.
const KNOWN: [&[u8]; 46] = [
    b"APPEND",
    b"CAPABILITY",
    b"CHECK",
    b"CLOSE",
    b"COPY",
    b"CREATE",
    b"DELETE",
    b"DELETEACL",
    b"ENABLE",
    b"ESEARCH",
    b"EXAMINE",
    b"EXPUNGE",
    b"FETCH",
    b"GENURLAUTH",
    b"GETACL",
    b"GETMETADATA",
    b"GETQUOTA",
    b"GETQUOTAROOT",
    b"ID",
    b"LANGUAGE",
    b"LIST",
    b"LISTRIGHTS",
    b"LOGOUT",
    b"LSUB",
    b"MOVE",
    b"MYRIGHTS",
    b"NAMESPACE",
    b"NOOP",
    b"NOTIFY",
    b"RENAME",
    b"REPLACE",
    b"SEARCH",
    b"SELECT",
    b"SETACL",
    b"SETMETADATA",
    b"SETQUOTA",
    b"SORT",
    b"STATUS",
    b"STORE",
    b"SUBSCRIBE",
    b"THREAD",
    b"UID",
    b"UNSELECT",
    b"UNSUBSCRIBE",
    b"URLFETCH",
    b"XLIST",
];

/// Commands that leave the mailbox as it is, whatever their arguments, where each mailbox was opened with `EXAMINE`.
///
/// Not among them, although they read: `GENURLAUTH` (RFC 4467) makes an address under which others get a
/// message even when this session is over, and `URLFETCH` is for whoever has got one.
const READING: [&[u8]; 30] = [
    // RFC 9051 section 6.1; RFC 2971; RFC 5255
    b"CAPABILITY",
    b"NOOP",
    b"LOGOUT",
    b"ID",
    b"LANGUAGE",
    b"COMPARATOR",
    // RFC 9051 section 6.3: `ENABLE` is for this session (RFC 5161 section 3.1)
    b"ENABLE",
    b"EXAMINE",
    b"LIST",
    b"NAMESPACE",
    b"STATUS",
    b"IDLE",
    // RFC 3501 section 6.3.9, and how it was called before RFC 6154
    b"LSUB",
    b"XLIST",
    // RFC 5465: what is told of, in this session
    b"NOTIFY",
    // RFC 9051 section 6.4: nothing is expunged where the mailbox was opened with `EXAMINE`; RFC 3501 section 6.4.1
    b"CLOSE",
    b"UNSELECT",
    b"CHECK",
    // RFC 9051 section 6.4; what `RETURN (SAVE)` saves is this session's (section 6.4.4.1)
    b"SEARCH",
    b"FETCH",
    // RFC 5256, RFC 7377, RFC 5267
    b"SORT",
    b"THREAD",
    b"ESEARCH",
    b"CANCELUPDATE",
    // RFC 4314 sections 3.3 to 3.5; RFC 9208 section 4.1; RFC 5464 section 4.2
    b"GETACL",
    b"LISTRIGHTS",
    b"MYRIGHTS",
    b"GETQUOTA",
    b"GETQUOTAROOT",
    b"GETMETADATA",
];

/// The same behind `UID` (RFC 9051 section 6.4.9, RFC 5256).
const READING_BY_UID: [&[u8]; 4] = [b"FETCH", b"SEARCH", b"SORT", b"THREAD"];

#[cfg(test)]
mod tests {
    use super::*;

    /// The verb, the word behind it where that is `UID`, and whether it passes.
    const JUDGED: &str = "
        reads CAPABILITY, NOOP, LOGOUT, ID, LANGUAGE, COMPARATOR, ENABLE, EXAMINE, LIST, LSUB, XLIST, NAMESPACE, STATUS
        reads IDLE, NOTIFY, CLOSE, UNSELECT, CHECK, SEARCH, FETCH, SORT, THREAD, ESEARCH, CANCELUPDATE
        reads GETACL, LISTRIGHTS, MYRIGHTS, GETQUOTA, GETQUOTAROOT, GETMETADATA
        reads UID FETCH, UID SEARCH, UID SORT, UID THREAD
        writes APPEND, STORE, COPY, MOVE, EXPUNGE, REPLACE, CREATE, DELETE, RENAME, SUBSCRIBE, UNSUBSCRIBE
        writes SETACL, DELETEACL, SETQUOTA, SETMETADATA, SETANNOTATION, GENURLAUTH, RESETKEY, URLFETCH
        writes UID STORE, UID COPY, UID MOVE, UID EXPUNGE, UID REPLACE, UID, UID UID, UID XNEW, UIDFETCH
        writes XNEW, LOGIN, FETCHX, SELECTED, STORE-FETCH, X-FETCH, fetch(
        withheld \u{ff26}ETCH, COMPRE\u{17f}S, UNAUTHENT\u{131}CATE
        withheld UNAUTHENTICATE, X-UNAUTHENTICATE, PROXYAUTH, COMPRESS, STARTTLS, AUTHENTICATE
    ";

    #[test]
    fn each_command_reads_or_does_not_pass_for_who_may_only_read() {
        let lines = JUDGED.lines().map(str::trim).filter(|line| !line.is_empty());
        for (what, list) in lines.map(|line| line.split_once(' ').unwrap()) {
            for command in list.split(", ").flat_map(|one| [one.to_owned(), one.to_lowercase()]) {
                let (verb, behind) = command.split_once(' ').unwrap_or((&command, ""));
                let fate = |access| fate(verb.as_bytes(), behind.as_bytes(), access);
                let passes = matches!(fate(Access::ReadOnly), Fate::Passes(_));
                assert_eq!(passes, what == "reads", "{command}");
                match what {
                    "withheld" => {
                        assert_eq!(Access::ALL.map(fate), [Fate::Answered(NOT_AVAILABLE); 2], "{command}");
                    }
                    "writes" => {
                        assert_eq!(fate(Access::ReadOnly), Fate::Answered(READS_ONLY), "{command}");
                        assert!(matches!(fate(Access::Full), Fate::Passes(_)), "{command}");
                    }
                    _ => assert_eq!(fate(Access::ReadOnly), fate(Access::Full), "{command}"),
                }
            }
        }
    }

    #[test]
    fn every_known_command_was_judged() {
        let judged: Vec<_> = JUDGED.split_ascii_whitespace().map(|word| word.trim_end_matches(',')).collect();
        for verb in KNOWN.iter().chain(&READING).filter(|verb| **verb != b"SELECT") {
            let verb = std::str::from_utf8(verb).unwrap();
            assert!(judged.contains(&verb), "{verb}");
        }
        assert_eq!(fate(b"Select", b"", Access::ReadOnly), Fate::PassesAs(b"EXAMINE", Kind::Plain));
        assert_eq!(fate(b"Select", b"", Access::Full), Fate::Passes(Kind::Plain));
    }

    #[test]
    fn behind_a_command_that_the_guard_does_not_know_the_client_waits_whoever_it_is() {
        for access in Access::ALL {
            assert_eq!(fate(b"CANCELUPDATE", b"", access), Fate::Passes(Kind::Unknown));
            assert_eq!(fate(b"idle", b"", access), Fate::Passes(Kind::Idle));
        }
    }
}
