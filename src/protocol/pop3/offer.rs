//! What an upstream's CAPA says, and what of it a client is told (RFC 2449).
//!
//! The list comes from an upstream: lines that are not capabilities are dropped, and it is bounded.

use crate::protocol::Offered;

/// More than any server lists; RFC 2449 knows a dozen.
const CAPABILITIES_MAX: usize = 64;

/// Capabilities that stand for what the gate does itself, or that it must not pass on: how to log in (`SASL`,
/// `USER`, `STLS`, APOP, which some list although it is none of RFC 2449's, and the codes that come with
/// refusals), and `XCLIENT`, with which a client could claim to be another.
const GATES_OWN: [&str; 7] = ["SASL", "USER", "APOP", "STLS", "RESP-CODES", "AUTH-RESP-CODE", "XCLIENT"];

/// The capabilities of an upstream before login, less `GATES_OWN`; in its order. The default is a
/// server of RFC 1939 without any.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Offer(Vec<String>);

impl Offer {
    /// From the lines of a CAPA reply, dot-stuffing undone.
    #[must_use]
    pub fn new<'a>(lines: impl IntoIterator<Item = &'a str>) -> Self {
        let mut capabilities: Vec<String> = Vec::new();
        for line in lines {
            let known = capabilities.iter().any(|c| keyword(c).eq_ignore_ascii_case(keyword(line)));
            if is_capability(line) && !known && !is_own(line) && capabilities.len() < CAPABILITIES_MAX {
                capabilities.push(line.to_owned());
            }
        }
        Self(capabilities)
    }

    /// Whether `name` is offered, with whatever parameters.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.line(name).is_some()
    }

    /// The capabilities, one a line of a CAPA reply.
    pub fn lines(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    fn line(&self, name: &str) -> Option<&str> {
        self.lines().find(|line| is(line, name))
    }
}

impl Offered for Offer {
    /// The capabilities that both have, with the same parameters; what an upstream forbids some of its users, for
    /// some of its users (RFC 2449 sections 6.5 and 6.7).
    fn intersect(&self, other: &Self) -> Self {
        let both = self.lines().filter_map(|line| {
            let theirs = other.line(keyword(line))?;
            if is(line, "UTF8") {
                // Without `USER`, names and passwords are not meant (RFC 6856 section 2.2).
                return Some(if line.len() <= theirs.len() { line } else { theirs }.to_owned());
            }
            theirs.eq_ignore_ascii_case(line).then(|| line.to_owned())
        });
        let features = both.filter(|line| !is(line, LOGIN_DELAY) && !is(line, EXPIRE));
        let restrictions = [LOGIN_DELAY, EXPIRE]
            .into_iter()
            .filter_map(|name| restriction(name, self.line(name), other.line(name)));
        Self(features.chain(restrictions).collect())
    }

    /// What is missing is answered with `-ERR`, and CAPA can be asked again after login (RFC 2449 section 5); but
    /// for what changes how the two sides understand each other.
    fn keeps(&self, told: &Self) -> bool {
        ["PIPELINING", "UTF8"].iter().all(|name| self.has(name) || !told.has(name))
    }
}

/// What restricts users: seconds between logins, and days after which mail may vanish.
const LOGIN_DELAY: &str = "LOGIN-DELAY";
const EXPIRE: &str = "EXPIRE";

/// What holds for the users of both: the stricter value. `USER` behind it says that it is not the same for all.
fn restriction(name: &str, one: Option<&str>, two: Option<&str>) -> Option<String> {
    if let (Some(one), Some(two)) = (one, two)
        && one.eq_ignore_ascii_case(two)
    {
        return Some(one.to_owned());
    }
    let values = [one, two].into_iter().flatten().filter_map(value);
    let strictest = if name == EXPIRE { values.min() } else { values.max() };
    Some(format!("{name} {} USER", strictest?))
}

/// `NEVER` restricts nobody.
fn value(line: &str) -> Option<u64> {
    line.split(' ').nth(1)?.parse().ok()
}

fn is(line: &str, name: &str) -> bool {
    keyword(line).eq_ignore_ascii_case(name)
}

fn keyword(line: &str) -> &str {
    line.split(' ').next().unwrap_or(line)
}

fn is_own(line: &str) -> bool {
    GATES_OWN.iter().any(|own| is(line, own))
}

/// RFC 2449 section 3: printable words, one blank between; a line of its own that cannot end the list.
fn is_capability(line: &str) -> bool {
    line.starts_with(|c: char| c.is_ascii_alphanumeric())
        && line.len() <= 510
        && line.bytes().all(|b| b == b' ' || b.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[test]
    fn what_the_gate_does_itself_and_what_is_no_capability_is_left_out() {
        let offer = Offer::new([
            "TOP",
            "sasl PLAIN",
            "XCLIENT ADDR",
            "UTF8 USER",
            "top",
            "",
            ". x",
            "a\u{e9}",
            "STLS",
        ]);
        assert_eq!(offer.lines().collect::<Vec<_>>(), ["TOP", "UTF8 USER"]);
        assert!(offer.has("utf8") && !offer.has("UTF") && !offer.has("SASL"));
    }

    #[rstest]
    #[case(&["TOP", "UIDL", "LANG"], &["uidl", "TOP"], &["TOP", "UIDL"])]
    #[case(&["IMPLEMENTATION a", "TOP"], &["IMPLEMENTATION b", "TOP"], &["TOP"])]
    #[case(&["UTF8 USER"], &["UTF8"], &["UTF8"])]
    #[case(&["UTF8 USER"], &["UTF8 USER"], &["UTF8 USER"])]
    #[case(&["EXPIRE 60", "TOP"], &["EXPIRE 30", "TOP"], &["TOP", "EXPIRE 30 USER"])]
    #[case(&["EXPIRE 60"], &["expire 60"], &["EXPIRE 60"])]
    #[case(&["EXPIRE NEVER"], &["EXPIRE 30 USER"], &["EXPIRE 30 USER"])]
    #[case(&["EXPIRE NEVER"], &["EXPIRE NEVER"], &["EXPIRE NEVER"])]
    #[case(&["EXPIRE NEVER"], &[], &[])]
    #[case(&["LOGIN-DELAY 60"], &["LOGIN-DELAY 900"], &["LOGIN-DELAY 900 USER"])]
    #[case(&[], &["LOGIN-DELAY 900"], &["LOGIN-DELAY 900 USER"])]
    fn two_upstreams_offer_what_both_offer_and_what_either_forbids(
        #[case] one: &[&str],
        #[case] two: &[&str],
        #[case] expected: &[&str],
    ) {
        let [one, two] = [one, two].map(|lines| Offer::new(lines.iter().copied()));
        let both = one.intersect(&two);
        assert_eq!(both.lines().collect::<Vec<_>>(), expected);
        assert!(one.keeps(&both) && two.keeps(&both));
    }

    #[test]
    fn only_what_changes_the_conversation_is_missed() {
        let told = Offer::new(["TOP", "UIDL", "PIPELINING", "UTF8"]);
        assert!(Offer::new(["PIPELINING", "UTF8 USER"]).keeps(&told));
        assert!(!Offer::new(["PIPELINING"]).keeps(&told) && !Offer::new(["UTF8"]).keeps(&told));
    }

    #[test]
    fn an_endless_list_is_cut() {
        let lines: Vec<String> = (0..1000).map(|n| format!("X{n}")).collect();
        assert_eq!(Offer::new(lines.iter().map(String::as_str)).0.len(), CAPABILITIES_MAX);
    }
}
