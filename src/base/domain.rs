//! Mail domains, and the one form that all spellings of a domain have here.
//!
//! Input is hostile. A domain of other than ASCII letters has two spellings in the wild, `bücher.example` and
//! `xn--bcher-kva.example` (RFC 5890 section 2.3.2.1), and servers take the one for the other; people also type
//! full-width letters and ideographic full stops. All of them become one ASCII form, by the mapping of UTS 46
//! that browsers and mail clients use. What that mapping refuses is no domain.

use std::borrow::Cow;
use std::fmt;

use idna::AsciiDenyList;
use idna::uts46::{DnsLength, Hyphens, Uts46};

use super::InvalidName;

/// Letters, digits and hyphens (RFC 5321 section 4.1.2), and the underscore that Windows domains have.
const NOT_IN_A_DOMAIN: AsciiDenyList = AsciiDenyList::new(true, "!\"#$%&'()*+,/:;<=>?@[\\]^`{|}~");

/// A mail domain in its ASCII form (A-labels, lower case), within the lengths of RFC 1035 section 2.3.4.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize)]
#[serde(transparent)]
pub struct Domain(String);

impl Domain {
    /// Folds `text`, in either spelling; one trailing dot is dropped.
    ///
    /// # Errors
    /// [`InvalidName::Empty`], and [`InvalidName::NotADomain`] for whatever is no host's name: an address literal,
    /// an empty or too long label, a sign that no label holds, `xn--` before what it does not encode.
    pub fn parse(text: &str) -> Result<Self, InvalidName> {
        let ascii = Uts46::new()
            .to_ascii(text.as_bytes(), NOT_IN_A_DOMAIN, Hyphens::Allow, DnsLength::VerifyAllowRootDot)
            .map_err(|_| if text.is_empty() { InvalidName::Empty } else { InvalidName::NotADomain })?;
        match ascii.strip_suffix('.').unwrap_or(&ascii) {
            "" => Err(InvalidName::Empty),
            name => Ok(Self(name.to_owned())),
        }
    }

    /// The ASCII form.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The Unicode form (U-labels); the same text where there is no other.
    #[must_use]
    pub fn unicode(&self) -> Cow<'_, str> {
        // An error marks what is no domain; this is one.
        Uts46::new().to_unicode(self.0.as_bytes(), NOT_IN_A_DOMAIN, Hyphens::Allow).0
    }
}

impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("example.org", &["Example.ORG", "example.org.", "ｅxample.org", "example。org", "exam\u{ad}ple.org", "example.org。"])]
    #[case("xn--bcher-kva.example", &["bücher.example", "BÜCHER.Example.", "bu\u{308}cher.example", "XN--BCHER-KVA.example", "xn--bcher-KVA.EXAMPLE."])]
    #[case("xn--fsqu00a.xn--fiqs8s", &["例子.中国", "例子。中国", "xn--fsqu00a.中国"])]
    #[case("xn--fa-hia.example", &["faß.example", "FAẞ.example"])] // another domain than fass.example since IDNA 2008
    #[case("win_domain", &["WIN_domain"])]
    #[case("-a.b--c.example", &["-A.b--c.example"])]
    fn every_spelling_of_a_domain_is_the_same_one(#[case] ascii: &str, #[case] spellings: &[&str]) {
        for spelling in spellings.iter().chain(&[ascii]) {
            assert_eq!(Domain::parse(spelling).unwrap().as_str(), ascii, "{spelling}");
        }
        let domain = Domain::parse(ascii).unwrap();
        assert_eq!(Domain::parse(&domain.unicode()), Ok(domain));
    }

    #[test]
    fn the_unicode_form_is_for_people_and_for_servers_that_know_no_other() {
        let unicode = |text: &str| Domain::parse(text).unwrap().unicode().into_owned();
        assert_eq!(unicode("xn--fsqu00a.xn--fiqs8s"), "例子.中国");
        assert_eq!(unicode("Example.org"), "example.org");
    }

    #[test]
    fn what_is_no_domain_is_refused() {
        let (label, name) = ("a".repeat(64), format!("{}example", "a.".repeat(124)));
        for bad in [
            "",
            ".",
            "。",
            "..",
            "example..org",
            ".example.org",
            "example.org..",
            "exa mple.org",
            "exa\u{3000}mple.org",
            "exa\u{a0}mple.org",
            "exa\0mple.org",
            "exam%ple.org",
            "a@example.org",
            "a＠example.org",
            "[192.0.2.1]",
            "*",
            "*.example.org",
            "example.org:25",
            // punycode that encodes nothing, plain ASCII, what the mapping changes, and what no label may hold
            "xn--",
            "xn--a.example",
            "xn--example-.org",
            "xn--BCHER-KVA-.example",
            "xn--0000000.example",
            "xn--u-ccb.example",
            "bücher\u{202e}.example",
            "exam\u{fffd}ple.org",
            &label,
            &name,
        ] {
            assert!(Domain::parse(bad).is_err(), "{bad}: {:?}", Domain::parse(bad));
        }
    }

    proptest! {
        #[test]
        fn a_folded_domain_folds_to_itself_in_both_forms(text in "(xn--)?[a-z\\PC]{1,9}\\.(xn--[a-z0-9-]{1,7}|\\PC{0,5})") {
            if let Ok(domain) = Domain::parse(&text) {
                prop_assert!(domain.as_str().is_ascii());
                prop_assert_eq!(Domain::parse(domain.as_str()), Ok(domain.clone()));
                prop_assert_eq!(Domain::parse(&domain.unicode()), Ok(domain));
            }
        }
    }
}
