//! What an upstream's EHLO reply says, and what of it a client is told (RFC 5321 section 4.1.1.1).
//!
//! The list comes from an upstream: lines that are no keywords are dropped, and it is bounded.

use crate::protocol::Offered;

/// More than any server lists.
const KEYWORDS_MAX: usize = 64;

/// Keywords that are not the client's business: how to log in and to start TLS is the gate's doing; the
/// others bring commands with which a client could claim to be another (`XCLIENT`, `XFORWARD`,
/// Exchange's `X-EXPS`), turn the connection round (`TURN`, RFC 1985's `ATRN`) or send what the gate, which
/// reads every command, cannot read (`XEXCH50` and its kin, compression).
const WITHHELD: [&str; 11] = [
    "STARTTLS",
    "AUTH",
    "XCLIENT",
    "XFORWARD",
    "X-EXPS",
    "X-ANONYMOUSTLS",
    "X-LINK2STATE",
    "XEXCH50",
    "TURN",
    "ATRN",
    "COMPRESS",
];

/// The keywords of an upstream, with their parameters, less `WITHHELD`; in its order. The default is a
/// server without extensions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Offer(Vec<String>);

impl Offer {
    /// From the lines of an EHLO reply behind the first, without their codes.
    #[must_use]
    pub fn new<'a>(lines: impl IntoIterator<Item = &'a str>) -> Self {
        let mut keywords: Vec<String> = Vec::new();
        for line in lines {
            let known = keywords.iter().any(|k| keyword(k).eq_ignore_ascii_case(keyword(line)));
            if is_keyword_line(line) && !known && !is_withheld(line) && keywords.len() < KEYWORDS_MAX {
                keywords.push(line.to_owned());
            }
        }
        Self(keywords)
    }

    /// Whether `name` is offered, with whatever parameters.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.line(name).is_some()
    }

    /// The keywords with their parameters, one a line of an EHLO reply.
    pub fn lines(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    fn line(&self, name: &str) -> Option<&str> {
        self.lines().find(|line| is(line, name))
    }
}

impl Offered for Offer {
    /// The keywords that both have, with the same parameters; the smaller SIZE, and the limits of either.
    fn intersect(&self, other: &Self) -> Self {
        let both = self.lines().filter_map(|line| {
            let theirs = other.line(keyword(line))?;
            if is(line, "SIZE") {
                let smaller = if size(theirs) < size(line) { theirs } else { line };
                return Some(smaller.to_owned());
            }
            theirs.eq_ignore_ascii_case(line).then(|| line.to_owned())
        });
        let is_no_limit = |line: &String| !is(line, LIMITS);
        Self(both.filter(is_no_limit).chain(limits(self.line(LIMITS), other.line(LIMITS))).collect())
    }

    /// Each keyword, and no smaller SIZE (RFC 1870 section 4). A limit that is no longer told cannot be missed.
    fn keeps(&self, told: &Self) -> bool {
        told.lines().filter(|line| !is(line, LIMITS)).all(|line| match self.line(keyword(line)) {
            None => false,
            Some(now) => !is(line, "SIZE") || size(now) >= size(line),
        })
    }
}

/// RFC 9422: how many messages and recipients the server takes at a time.
const LIMITS: &str = "LIMITS";

/// The limits of both, the smaller where both have one.
fn limits(one: Option<&str>, two: Option<&str>) -> Option<String> {
    let mut smallest: Vec<(&str, u64)> = Vec::new();
    let words = [one, two].into_iter().flatten().flat_map(|line| line.split(' ').skip(1));
    for (name, limit) in words.filter_map(|word| word.split_once('=')) {
        let Ok(limit) = limit.parse::<u64>() else { continue };
        match smallest.iter_mut().find(|(known, _)| known.eq_ignore_ascii_case(name)) {
            Some((_, known)) => *known = limit.min(*known),
            None => smallest.push((name, limit)),
        }
    }
    let words: String = smallest.iter().map(|(name, limit)| format!(" {name}={limit}")).collect();
    (!words.is_empty()).then(|| format!("{LIMITS}{words}"))
}

/// Whether a line of an EHLO reply must not reach a client. `AUTH=LOGIN` is how servers before RFC 4954
/// wrote it.
pub(super) fn is_withheld(line: &str) -> bool {
    let name = keyword(line).split('=').next().unwrap_or(line);
    WITHHELD.iter().any(|withheld| name.eq_ignore_ascii_case(withheld))
}

/// The largest message in bytes; no parameter and zero both mean that none is fixed (RFC 1870 section 4).
fn size(line: &str) -> u64 {
    match line.split(' ').nth(1).and_then(|size| size.parse().ok()) {
        None | Some(0) => u64::MAX,
        Some(size) => size,
    }
}

fn is(line: &str, name: &str) -> bool {
    keyword(line).eq_ignore_ascii_case(name)
}

fn keyword(line: &str) -> &str {
    line.split(' ').next().unwrap_or(line)
}

/// `ehlo-line` of RFC 5321 section 4.1.1.1, within a line of 512 octets.
fn is_keyword_line(line: &str) -> bool {
    let name = keyword(line);
    name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        && line.len() <= 500
        && line.bytes().all(|b| b == b' ' || b.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[test]
    fn what_the_gate_does_itself_and_what_is_no_keyword_is_left_out() {
        let offer = Offer::new([
            "SIZE 100",
            "auth PLAIN",
            "AUTH=LOGIN",
            "STARTTLS",
            "xclient NAME",
            "8BITMIME",
            "8bitmime",
            "b\u{e9}",
            "",
            "A_B",
            "XVERP",
        ]);
        assert_eq!(offer.lines().collect::<Vec<_>>(), ["SIZE 100", "8BITMIME", "XVERP"]);
    }

    #[test]
    fn a_smaller_size_or_a_lost_keyword_breaks_what_a_client_was_told() {
        let told = Offer::new(["SIZE 100", "DSN"]);
        for kept in [["size 100", "DSN"], ["SIZE 200", "dsn"], ["SIZE", "DSN"], ["SIZE 0", "DSN x"]] {
            assert!(Offer::new(kept).keeps(&told), "{kept:?}");
        }
        for broken in [["SIZE 99", "DSN"], ["SIZE 100", "HELP"], ["DSN", "HELP"]] {
            assert!(!Offer::new(broken).keeps(&told), "{broken:?}");
        }
        assert!(!Offer::new(["SIZE 100"]).keeps(&Offer::new(["SIZE"])));
    }

    #[rstest]
    #[case(&["DSN", "CHUNKING", "8BITMIME"], &["chunking", "DSN"], &["DSN", "CHUNKING"])]
    #[case(&["SIZE 100", "DSN"], &["SIZE 50", "DSN"], &["SIZE 50", "DSN"])]
    #[case(&["SIZE 0"], &["SIZE 50"], &["SIZE 50"])]
    #[case(&["SIZE 50"], &["SIZE"], &["SIZE 50"])]
    #[case(&["SIZE"], &["SIZE 0"], &["SIZE"])]
    #[case(&["SIZE 50"], &["DSN"], &[])]
    #[case(&["DELIVERBY 60", "BURL imap"], &["DELIVERBY 90", "BURL IMAP"], &["BURL imap"])]
    #[case(&["LIMITS RCPTMAX=5 MAILMAX=9", "DSN"], &["DSN", "LIMITS rcptmax=3"], &["DSN", "LIMITS RCPTMAX=3 MAILMAX=9"])]
    #[case(&["DSN"], &["LIMITS RCPTMAX=6", "DSN"], &["DSN", "LIMITS RCPTMAX=6"])]
    #[case(&["LIMITS x"], &["LIMITS RCPTMAX=x"], &[])]
    fn two_upstreams_offer_what_both_offer_and_the_smaller_size(
        #[case] one: &[&str],
        #[case] two: &[&str],
        #[case] expected: &[&str],
    ) {
        let [one, two] = [one, two].map(|lines| Offer::new(lines.iter().copied()));
        let both = one.intersect(&two);
        assert_eq!(both.lines().collect::<Vec<_>>(), expected);
        assert!(one.keeps(&both) && two.keeps(&both));
        let mirrored = two.intersect(&one);
        assert!(both.keeps(&mirrored) && mirrored.keeps(&both), "{mirrored:?}");
    }

    #[test]
    fn a_limit_that_is_told_no_more_is_not_missed() {
        let told = Offer::new(["LIMITS RCPTMAX=5"]);
        assert!(Offer::new(["DSN"]).keeps(&told) && Offer::new(["LIMITS RCPTMAX=9"]).keeps(&told));
    }
}
