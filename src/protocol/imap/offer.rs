//! What an upstream offers, and what clients are told of it (RFC 9051 section 7.2.2).
//!
//! The words come from the upstream: they are checked before they are passed on, and every list is bounded by
//! the line it came in. A client must never be told before login of something that the upstream does not have
//! afterwards.

use crate::protocol::{Channel, Mechanism};

/// Capability words in the order in which the upstream lists them, each once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Capabilities(Vec<String>);

impl Capabilities {
    /// Reads blank-separated words; what is no atom is left out.
    #[must_use]
    pub fn parse(text: &[u8]) -> Self {
        let mut known = Self(Vec::new());
        for word in text.split(u8::is_ascii_whitespace) {
            match std::str::from_utf8(word) {
                Ok(word) if is_atom(word) && !known.has(word) => known.0.push(word.to_owned()),
                _ => {}
            }
        }
        known
    }

    /// The list as the upstream gave it, blank-separated.
    #[must_use]
    pub fn as_listed(&self) -> String {
        self.0.join(" ")
    }

    /// Whether `name` is in the list, in any case.
    pub(super) fn has(&self, name: &str) -> bool {
        self.0.iter().any(|word| word.eq_ignore_ascii_case(name))
    }

    /// Whether `AUTH=` of this mechanism is in the list.
    pub(super) fn has_mechanism(&self, mechanism: Mechanism) -> bool {
        self.has(&format!("AUTH={mechanism}"))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The words that a client is told, blank-separated: the list without what the gate withholds from it.
    pub(super) fn told(&self) -> String {
        self.with(&[])
    }

    fn with(&self, added: &[&str]) -> String {
        let guarded = self.needs_guard();
        let kept = self.0.iter().map(String::as_str).filter(|word| !is_withheld(word, guarded));
        let new = added.iter().copied().filter(|word| !self.has(word) || is_withheld(word, guarded));
        kept.chain(new).collect::<Vec<_>>().join(" ")
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
        Self(Capabilities(vec!["IMAP4rev1".to_owned()]))
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

    /// What both upstreams offer, for a listener that can route to either.
    #[must_use]
    pub fn intersect(&self, other: &Self) -> Self {
        Self(Capabilities(self.0.0.iter().filter(|word| other.0.has(word)).cloned().collect()))
    }

    pub(super) fn capabilities(&self) -> &Capabilities {
        &self.0
    }

    /// The words that a client is told before login. `SASL-IR` and `ID` are the gate's own doing. Before TLS
    /// nothing says how to log in, and `LOGINDISABLED` says not to (RFC 9051 section 6.2.1).
    pub(super) fn told(&self, channel: Channel) -> String {
        match channel {
            Channel::Plain => self.0.with(&["SASL-IR", "ID", "STARTTLS", "LOGINDISABLED"]),
            Channel::Secured => self.0.with(&["SASL-IR", "ID", "AUTH=PLAIN", "AUTH=LOGIN"]),
        }
    }
}

#[cfg(test)]
mod tests {
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
        let told = |list: &str| Capabilities::parse(list.as_bytes()).told();
        assert_eq!(told("IMAP4rev1 COMPRESS=DEFLATE"), "IMAP4rev1 COMPRESS=DEFLATE");
        assert_eq!(told("IMAP4rev1 COMPRESS=DEFLATE UNAUTHENTICATE"), "IMAP4rev1");
        assert_eq!(told("IMAP4rev1 COMPRESS=DEFLATE X-Unauthenticate"), "IMAP4rev1");
    }

    #[test]
    fn words_that_are_no_atoms_and_words_said_twice_are_left_out() {
        let offer = Offer::parse("IMAP4rev1 IDLE idle A]B \u{e9} \"x\"  NAMESPACE");
        assert_eq!(offer.as_listed(), "IMAP4rev1 IDLE NAMESPACE");
    }

    #[test]
    fn two_upstreams_offer_what_both_have() {
        let both = Offer::parse("IMAP4rev1 IDLE QUOTA").intersect(&Offer::parse("quota IMAP4rev1 SORT"));
        assert_eq!(both.as_listed(), "IMAP4rev1 QUOTA");
    }
}
