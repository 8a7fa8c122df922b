//! What an upstream's CAPA says, and what of it a client is told (RFC 2449).
//!
//! The list comes from an upstream: lines that are not capabilities are dropped, and it is bounded.

/// More than any server lists; RFC 2449 knows a dozen.
const CAPABILITIES_MAX: usize = 64;

/// Capabilities that stand for what the gate does itself, or that it must not pass on: how to log in (`SASL`,
/// `USER`, `STLS` and the codes that come with refusals), and `XCLIENT`, with which a client could claim to
/// be another.
const GATES_OWN: [&str; 6] = ["SASL", "USER", "STLS", "RESP-CODES", "AUTH-RESP-CODE", "XCLIENT"];

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

    /// What both offer, word for word: a listener's clients may be routed to either upstream.
    #[must_use]
    pub fn intersect(&self, other: &Self) -> Self {
        Self(self.0.iter().filter(|c| other.0.contains(c)).cloned().collect())
    }

    /// Whether `name` is offered, with whatever parameters.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.0.iter().any(|c| keyword(c).eq_ignore_ascii_case(name))
    }

    /// The capabilities, one a line of a CAPA reply.
    pub fn lines(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}

fn keyword(line: &str) -> &str {
    line.split(' ').next().unwrap_or(line)
}

fn is_own(line: &str) -> bool {
    GATES_OWN.iter().any(|own| keyword(line).eq_ignore_ascii_case(own))
}

/// RFC 2449 section 3: printable words, one blank between; a line of its own that cannot end the list.
fn is_capability(line: &str) -> bool {
    line.starts_with(|c: char| c.is_ascii_alphanumeric())
        && line.len() <= 510
        && line.bytes().all(|b| b == b' ' || b.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
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

    #[test]
    fn two_upstreams_offer_what_both_offer() {
        let one = Offer::new(["TOP", "UIDL", "EXPIRE 60"]);
        assert_eq!(one.intersect(&Offer::new(["UIDL", "EXPIRE 30", "TOP"])), Offer::new(["TOP", "UIDL"]));
    }

    #[test]
    fn an_endless_list_is_cut() {
        let lines: Vec<String> = (0..1000).map(|n| format!("X{n}")).collect();
        assert_eq!(Offer::new(lines.iter().map(String::as_str)).0.len(), CAPABILITIES_MAX);
    }
}
