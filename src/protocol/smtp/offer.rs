//! What an upstream's EHLO reply says, and what of it a client is told (RFC 5321 section 4.1.1.1).
//!
//! The list comes from an upstream: lines that are no keywords are dropped, and it is bounded.

/// More than any server lists.
const KEYWORDS_MAX: usize = 64;

/// Keywords that are not the client's business: how to log in and to start TLS is the gate's doing; the
/// others bring commands with which a client could claim to be another (`XCLIENT`, `XFORWARD`,
/// Exchange's `X-EXPS`), turn the connection round (`TURN`, RFC 1985's `ATRN`) or send what the gate cannot
/// read (`XEXCH50` and its kin).
const WITHHELD: [&str; 10] = [
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

    /// What both offer: a listener's clients may be routed to either upstream. The smaller SIZE counts;
    /// other parameters must be the same.
    #[must_use]
    pub fn intersect(&self, other: &Self) -> Self {
        let both = self.0.iter().filter_map(|line| {
            let same = other.line(keyword(line))?;
            if is(line, "SIZE") {
                let smaller = if limit(same) < limit(line) { same } else { line };
                return Some(smaller.to_owned());
            }
            (same == line).then(|| line.clone())
        });
        Self(both.collect())
    }

    /// Whether a client that was told `told` finds all of it here: each keyword, and no smaller SIZE (RFC 1870
    /// section 4).
    #[must_use]
    pub fn keeps(&self, told: &Self) -> bool {
        told.0.iter().all(|line| match self.line(keyword(line)) {
            None => false,
            Some(now) => !is(line, "SIZE") || limit(now) >= limit(line),
        })
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

/// Whether a line of an EHLO reply must not reach a client. `AUTH=LOGIN` is how servers before RFC 4954
/// wrote it.
pub(super) fn is_withheld(line: &str) -> bool {
    let name = keyword(line).split('=').next().unwrap_or(line);
    WITHHELD.iter().any(|withheld| name.eq_ignore_ascii_case(withheld))
}

/// The largest message in bytes; no parameter and zero both mean that none is fixed (RFC 1870 section 4).
fn limit(line: &str) -> u64 {
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

    #[test]
    fn two_upstreams_offer_what_both_offer_and_the_smaller_size() {
        let one = Offer::new(["SIZE 0", "DSN", "LIMITS RCPTMAX=5", "CHUNKING"]);
        let two = Offer::new(["CHUNKING", "SIZE 50", "LIMITS RCPTMAX=6"]);
        assert_eq!(one.intersect(&two), Offer::new(["SIZE 50", "CHUNKING"]));
        assert_eq!(two.intersect(&one), Offer::new(["CHUNKING", "SIZE 50"]));
    }
}
