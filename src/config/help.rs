//! `help_zh`, `help_en` and `contact` of `[policy]`: what a site tells users who do not know how to go on, and whom they
//! may ask.
//!
//! The administrator's word is trusted; it is bounded all the same, because it is shown on every page of a kind, and a
//! link leads to nothing but a web page, a mail address or a telephone.

use serde::de::Error;
use serde::{Deserialize, Deserializer};

use crate::base::Language;

/// The longest text, in characters: some ten lines on a phone.
const TEXT_MAX: usize = 600;

/// The longest contact, in bytes.
const CONTACT_MAX: usize = 300;

/// What a site tells its users.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Help {
    /// For those who read Chinese; several lines, no control characters else.
    pub chinese: Option<String>,
    /// For those who read English.
    pub english: Option<String>,
    /// Whom they may ask.
    pub contact: Option<Contact>,
}

impl Help {
    /// The text in `language`, or else in the other one: better than none.
    #[must_use]
    pub fn text(&self, language: Language) -> Option<&str> {
        let (own, other) = match language {
            Language::Chinese => (&self.chinese, &self.english),
            Language::English => (&self.english, &self.chinese),
        };
        own.as_deref().or(other.as_deref())
    }
}

/// Whom to ask: a mail address, a telephone or a web page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contact {
    /// As in the file.
    written: String,
    /// Begins with `https://`, `mailto:` or `tel:`; ASCII.
    link: String,
}

impl Contact {
    /// Reads an address (`it@example.org`) or a URL.
    ///
    /// # Errors
    /// Why it is none, with a hint.
    pub fn parse(text: &str) -> Result<Self, String> {
        let written = text.trim();
        let link = if written.len() > CONTACT_MAX { None } else { link(written) };
        let link = link.ok_or_else(|| {
            format!(
                "`{text}` is neither a mail address nor a URL that begins with `https://`, `mailto:` or `tel:`\nhint: write `it@example.org`, `tel:+861012345678` or `https://help.example.org`"
            )
        })?;
        Ok(Self { written: written.to_owned(), link })
    }

    /// Where a link to it leads.
    #[must_use]
    pub fn link(&self) -> &str {
        &self.link
    }

    /// What to read: without the scheme of addresses and telephones.
    #[must_use]
    pub fn shown(&self) -> &str {
        let bare = |scheme| self.written.strip_prefix(scheme);
        bare("mailto:").or_else(|| bare("tel:")).or_else(|| bare("https://")).unwrap_or(&self.written)
    }

    /// As in the file.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.written
    }
}

fn link(text: &str) -> Option<String> {
    let plain = |rest: &str| {
        !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_graphic() && !br#""'<>\^`{|}"#.contains(&b))
    };
    if let Some(rest) = text.strip_prefix("https://") {
        let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
        return (plain(rest) && !host.is_empty() && !host.contains('@')).then(|| text.to_owned());
    }
    if let Some(rest) = text.strip_prefix("tel:") {
        // RFC 3966 section 3, without parameters.
        let digits = rest.strip_prefix('+').unwrap_or(rest);
        let number = digits.bytes().all(|b| b.is_ascii_digit() || b"-.()".contains(&b));
        return (number && digits.bytes().any(|b| b.is_ascii_digit())).then(|| text.to_owned());
    }
    let address = text.strip_prefix("mailto:").unwrap_or(text);
    let (local, domain) = address.rsplit_once('@')?;
    // What means something in a mailto URL (RFC 6068 section 2) is no part of an address that people write.
    let whole = plain(local) && plain(domain) && !address.contains(['?', '&', '%', '/', '#', ':', ',']);
    (whole && !local.contains('@')).then(|| format!("mailto:{address}"))
}

/// A text for users, several lines at most.
pub(super) fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let text = String::deserialize(deserializer)?;
    let trimmed = text.trim();
    if trimmed.chars().count() > TEXT_MAX {
        return Err(D::Error::custom(format!(
            "is longer than {TEXT_MAX} characters\nhint: say what helps most, and write the rest on a page that `contact` leads to"
        )));
    }
    if trimmed.chars().any(|c| c.is_control() && c != '\n') {
        return Err(D::Error::custom("holds a control character\nhint: write plain text"));
    }
    Ok(Some(trimmed.to_owned()))
}

/// See [`Contact::parse`].
pub(super) fn contact<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let text = String::deserialize(deserializer)?;
    if !text.trim().is_empty() {
        Contact::parse(&text).map_err(D::Error::custom)?;
    }
    Ok(Some(text.trim().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_contact_leads_to_a_page_an_address_or_a_telephone_and_nowhere_else() {
        for (written, link, shown) in [
            ("it@example.org", "mailto:it@example.org", "it@example.org"),
            (" mailto:it@example.org ", "mailto:it@example.org", "it@example.org"),
            ("tel:+86-10-1234(5678)", "tel:+86-10-1234(5678)", "+86-10-1234(5678)"),
            ("https://help.example.org/二", "", ""),
            (
                "https://help.example.org/a?b=c#d",
                "https://help.example.org/a?b=c#d",
                "help.example.org/a?b=c#d",
            ),
        ] {
            match Contact::parse(written) {
                Ok(contact) => assert_eq!((contact.link(), contact.shown()), (link, shown)),
                Err(why) => assert!(link.is_empty() && why.contains("\nhint: "), "{written}: {why}"),
            }
        }
        for bad in [
            "",
            "it",
            "@example.org",
            "it@",
            "http://example.org",
            "javascript:alert(1)",
            "JAVASCRIPT:alert(1)@example.org",
            "data:text/html,x@example.org",
            "https://",
            "https:///x",
            "https://user@example.org",
            "https://example.org/\"onclick=x",
            "https://example.org/ x",
            "mailto:it@example.org?subject=x",
            "mailto:it@example.org,x@example.org?",
            "a@b@c",
            "tel:",
            "tel:+",
            "tel:12;ext=1",
            "ftp://example.org",
        ] {
            assert!(Contact::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn who_reads_the_other_language_is_told_something_too() {
        let of = |chinese: Option<&str>, english: Option<&str>| Help {
            chinese: chinese.map(str::to_owned),
            english: english.map(str::to_owned),
            contact: None,
        };
        let both = of(Some("问"), Some("ask"));
        assert_eq!((both.text(Language::Chinese), both.text(Language::English)), (Some("问"), Some("ask")));
        let one = of(Some("问"), None);
        assert_eq!((one.text(Language::Chinese), one.text(Language::English)), (Some("问"), Some("问")));
        assert_eq!(of(None, None).text(Language::English), None);
    }
}
