//! Mail domains in the file, and the `*` that stands for every other.

use std::fmt;

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::base::Domain;

/// One entry of `domains`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DomainPattern {
    /// This domain.
    Exact(Domain),
    /// `*`: whatever no other upstream names.
    Any,
}

/// A domain in the file, and in which of its two spellings it stands there.
pub(super) struct DomainText {
    pub(super) domain: Domain,
    pub(super) in_unicode: bool,
}

impl DomainText {
    fn read(text: &str) -> Result<Self, String> {
        Ok(Self { domain: parse(text)?, in_unicode: !text.is_ascii() })
    }
}

impl fmt::Display for DomainText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&if self.in_unicode { self.domain.unicode() } else { self.domain.as_str().into() })
    }
}

impl<'de> Deserialize<'de> for DomainText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::read(&String::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

impl Serialize for DomainText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// One entry of `domains` in the file.
pub(super) enum PatternText {
    Exact(DomainText),
    Any,
}

impl PatternText {
    pub(super) fn pattern(&self) -> DomainPattern {
        match self {
            Self::Exact(text) => DomainPattern::Exact(text.domain.clone()),
            Self::Any => DomainPattern::Any,
        }
    }
}

/// A mail domain as an administrator writes it, or why it is none.
pub(super) fn parse(text: &str) -> Result<Domain, String> {
    Domain::parse(text).map_err(|_| {
        format!("`{text}` is no mail domain\nhint: write what stands behind the `@`, such as `example.org`")
    })
}

impl<'de> Deserialize<'de> for PatternText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match String::deserialize(deserializer)?.as_str() {
            "*" => Ok(Self::Any),
            text => DomainText::read(text).map(Self::Exact).map_err(D::Error::custom),
        }
    }
}

impl Serialize for PatternText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Any => serializer.serialize_str("*"),
            Self::Exact(text) => text.serialize(serializer),
        }
    }
}
