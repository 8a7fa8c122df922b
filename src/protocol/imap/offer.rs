//! What an upstream offers, and what clients are told of it (RFC 9051 section 7.2.2).
//!
//! The words come from the upstream: they are checked before they are passed on, and every list is bounded by
//! the line it came in. A client must never be told before login of something that the upstream does not have
//! afterwards.

use std::borrow::Cow;

use crate::protocol::{Channel, Mechanism, Offered};

/// Capability words in the order in which the upstream lists them, each once. A server says some fifty of them at each login:
/// they are kept in one text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Capabilities {
    /// One behind the other, without blanks.
    text: String,
    /// Where each ends.
    ends: Vec<usize>,
}

impl Capabilities {
    /// Reads blank-separated words; what is no atom is left out.
    #[must_use]
    pub fn parse(text: &[u8]) -> Self {
        let mut known =
            Self { text: String::with_capacity(text.len()), ends: Vec::with_capacity(text.len() / 8) };
        for word in text.split(u8::is_ascii_whitespace) {
            match std::str::from_utf8(word) {
                Ok(word) if is_atom(word) && !known.has(word) => known.add(word),
                _ => {}
            }
        }
        known
    }

    fn add(&mut self, word: &str) {
        self.text.push_str(word);
        self.ends.push(self.text.len());
    }

    fn words(&self) -> impl Iterator<Item = &str> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).filter_map(|(start, end)| self.text.get(start..*end))
    }

    /// The list as the upstream gave it, blank-separated.
    #[must_use]
    pub fn as_listed(&self) -> String {
        self.words().collect::<Vec<_>>().join(" ")
    }

    /// Whether `name` is in the list, in any case.
    pub(super) fn has(&self, name: &str) -> bool {
        let mut start = 0;
        self.ends.iter().any(|end| {
            let begin = std::mem::replace(&mut start, *end);
            // By far the most have another length.
            end - begin == name.len()
                && self.text.get(begin..*end).is_some_and(|word| word.eq_ignore_ascii_case(name))
        })
    }

    /// Whether `AUTH=` of this mechanism is in the list.
    pub(super) fn has_mechanism(&self, mechanism: Mechanism) -> bool {
        self.has(&format!("AUTH={mechanism}"))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The words that a client is told, blank-separated: the list without what the gate withholds from it.
    pub(super) fn told(&self, guarded: bool) -> String {
        self.with(&[], guarded)
    }

    fn with(&self, added: &[&str], guarded: bool) -> String {
        let kept = self.words().filter(|word| !is_withheld(word, guarded));
        let new = added.iter().copied().filter(|word| !self.has(word) || is_withheld(word, guarded));
        kept.chain(new).collect::<Vec<_>>().join(" ")
    }

    /// Whether a short literal need not be announced; IMAP4rev2 has that too (RFC 9051 section 4.3).
    fn has_small_literals(&self) -> bool {
        ["LITERAL+", "LITERAL-", "IMAP4rev2"].iter().any(|word| self.has(word))
    }

    /// Whether a client could log out of its account and into another on the same connection (RFC 8437; Sun's
    /// servers wrote it with an `X-`).
    pub(super) fn needs_guard(&self) -> bool {
        self.has("UNAUTHENTICATE") || self.has("X-UNAUTHENTICATE")
    }
}

/// Whether clients are not told of `word`: mechanisms, because the gate does its own; what was for the leg to
/// the upstream; and what would change who the client is. Compression would blind a guard.
pub(super) fn is_withheld(word: &str, guarded: bool) -> bool {
    const ALWAYS: [&str; 5] =
        ["STARTTLS", "LOGINDISABLED", "LOGIN-REFERRALS", "UNAUTHENTICATE", "X-UNAUTHENTICATE"];
    ALWAYS.iter().any(|withheld| withheld.eq_ignore_ascii_case(word))
        || starts_with("AUTH=", word)
        || (guarded && starts_with("COMPRESS=", word))
}

fn starts_with(prefix: &str, word: &str) -> bool {
    word.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}

/// `1*ATOM-CHAR` (RFC 9051 section 9); `]` would end a response code early.
fn is_atom(word: &str) -> bool {
    !word.is_empty() && word.bytes().all(|b| b.is_ascii_graphic() && !b"(){%*\"\\]".contains(&b))
}

/// What an upstream offers before login, on the secured leg.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer(Capabilities);

impl Default for Offer {
    /// What every server has (RFC 3501 section 6.1.1).
    fn default() -> Self {
        Self::parse("IMAP4rev1")
    }
}

impl Offer {
    /// What the upstream lists.
    #[must_use]
    pub fn new(capabilities: Capabilities) -> Self {
        Self(capabilities)
    }

    /// Reads a blank-separated list of capabilities.
    #[must_use]
    pub fn parse(list: &str) -> Self {
        Self(Capabilities::parse(list.as_bytes()))
    }

    /// The list as the upstream gave it, blank-separated.
    #[must_use]
    pub fn as_listed(&self) -> String {
        self.0.as_listed()
    }

    /// The words that a client is told before login. `SASL-IR` and `ID` are the gate's own doing. Before TLS
    /// nothing says how to log in, and `LOGINDISABLED` says not to (RFC 9051 section 6.2.1).
    pub(super) fn told(&self, channel: Channel) -> String {
        let added = match channel {
            Channel::Plain => ["SASL-IR", "ID", "STARTTLS", "LOGINDISABLED"],
            Channel::Secured => ["SASL-IR", "ID", "AUTH=PLAIN", "AUTH=LOGIN"],
        };
        self.0.with(&added, self.0.needs_guard())
    }
}

impl Offered for Offer {
    /// The words that both list, but for what must be read together.
    fn intersect(&self, other: &Self) -> Self {
        let (one, two) = (&self.0, &other.0);
        let mut both = Capabilities::default();
        one.words().filter_map(|word| common(word, two)).for_each(|word| both.add(&word));
        // LITERAL- is the smaller half of LITERAL+ (RFC 7888 section 5).
        if !both.has_small_literals() && one.has_small_literals() && two.has_small_literals() {
            both.add("LITERAL-");
        }
        // Clients are not told of it; but where one upstream has it, a guard may come to stand.
        if !both.needs_guard() && (one.needs_guard() || two.needs_guard()) {
            both.add("UNAUTHENTICATE");
        }
        Self(both)
    }

    /// With the answer to its login the client hears what there is; but non-synchronising literals that it sends
    /// all the same, because it was told of them before, would be taken for commands (RFC 7888 section 4).
    fn keeps(&self, told: &Self) -> bool {
        let (here, told) = (&self.0, &told.0);
        (here.has("LITERAL+") || !told.has("LITERAL+"))
            && (here.has_small_literals() || !told.has_small_literals())
    }
}

/// What of `word` the other list has too. The smaller limit counts (RFC 7889 section 2).
fn common<'w>(word: &'w str, other: &Capabilities) -> Option<Cow<'w, str>> {
    const LIMIT: &str = "APPENDLIMIT=";
    let limit = |word: &str| word.get(LIMIT.len()..)?.parse::<u64>().ok();
    if other.has(word) {
        return Some(word.into());
    }
    let theirs = other.words().find(|word| starts_with(LIMIT, word))?;
    let smaller = limit(word)?.min(limit(theirs)?);
    starts_with(LIMIT, word).then(|| format!("{LIMIT}{smaller}").into())
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[test]
    fn before_tls_the_list_says_that_login_is_disabled_and_no_mechanism() {
        let offer = Offer::parse("IMAP4rev1 LOGINDISABLED STARTTLS AUTH=CRAM-MD5 auth=plain IDLE");
        assert_eq!(offer.told(Channel::Plain), "IMAP4rev1 IDLE SASL-IR ID STARTTLS LOGINDISABLED");
        assert_eq!(offer.told(Channel::Secured), "IMAP4rev1 IDLE SASL-IR ID AUTH=PLAIN AUTH=LOGIN");
    }

    #[test]
    fn what_the_upstream_has_stands_where_and_as_the_upstream_wrote_it() {
        let offer = Offer::parse("IMAP4rev1 sasl-ir LITERAL+ ID UNAUTHENTICATE LOGIN-REFERRALS ENABLE");
        assert_eq!(
            offer.told(Channel::Secured),
            "IMAP4rev1 sasl-ir LITERAL+ ID ENABLE AUTH=PLAIN AUTH=LOGIN"
        );
    }

    #[test]
    fn compression_is_withheld_only_where_a_guard_must_read() {
        let offer = Offer::parse("IMAP4rev1 COMPRESS=DEFLATE");
        assert!(offer.told(Channel::Secured).contains("COMPRESS=DEFLATE"));
        for word in ["UNAUTHENTICATE", "X-Unauthenticate"] {
            let guarded = Offer::parse(&format!("IMAP4rev1 COMPRESS=DEFLATE {word}"));
            assert!(!guarded.told(Channel::Secured).contains("COMP"), "{word}");
        }
        assert_eq!(offer.0.told(false), "IMAP4rev1 COMPRESS=DEFLATE");
        assert_eq!(offer.0.told(true), "IMAP4rev1");
    }

    #[test]
    fn words_that_are_no_atoms_and_words_said_twice_are_left_out() {
        let offer = Offer::parse("IMAP4rev1 IDLE idle A]B \u{e9} \"x\"  NAMESPACE");
        assert_eq!(offer.as_listed(), "IMAP4rev1 IDLE NAMESPACE");
    }

    fn both(one: &str, two: &str) -> String {
        let (one, two) = (Offer::parse(one), Offer::parse(two));
        let both = one.intersect(&two);
        assert!(one.keeps(&both) && two.keeps(&both), "{both:?}");
        both.as_listed()
    }

    #[rstest]
    #[case("IMAP4rev1 IDLE QUOTA", "quota IMAP4rev1 SORT", "IMAP4rev1 QUOTA")]
    #[case("IMAP4rev1 IDLE", "IMAP4rev1", "IMAP4rev1")]
    #[case("A APPENDLIMIT=20", "A appendlimit=10", "A APPENDLIMIT=10")]
    #[case("A APPENDLIMIT=20", "A APPENDLIMIT", "A")]
    #[case("A APPENDLIMIT", "A APPENDLIMIT=x", "A")]
    #[case("A LITERAL+", "A LITERAL+", "A LITERAL+")]
    #[case("A LITERAL+", "A LITERAL-", "A LITERAL-")]
    #[case("A LITERAL-", "IMAP4rev2 A", "A LITERAL-")]
    #[case("A LITERAL-", "A", "A")]
    fn two_upstreams_offer_what_both_have(#[case] one: &str, #[case] two: &str, #[case] expected: &str) {
        assert_eq!(both(one, two), expected);
    }

    #[test]
    fn where_one_of_several_upstreams_needs_a_guard_no_compression_is_told() {
        let deflating = Offer::parse("IMAP4rev1 COMPRESS=DEFLATE");
        let guarded = Offer::parse("IMAP4rev1 COMPRESS=DEFLATE UNAUTHENTICATE");
        for both in [deflating.intersect(&guarded), guarded.intersect(&deflating)] {
            assert_eq!(both.told(Channel::Secured), "IMAP4rev1 SASL-IR ID AUTH=PLAIN AUTH=LOGIN");
        }
    }

    #[test]
    fn only_literals_that_a_client_need_not_announce_are_missed() {
        let told = |list| Offer::parse(list);
        assert!(Offer::parse("A").keeps(&told("A IDLE SORT QUOTA")));
        assert!(Offer::parse("LITERAL+").keeps(&told("LITERAL-")));
        assert!(Offer::parse("IMAP4rev2").keeps(&told("LITERAL-")));
        assert!(!Offer::parse("LITERAL-").keeps(&told("LITERAL+")));
        assert!(!Offer::parse("A").keeps(&told("LITERAL-")));
    }
}
