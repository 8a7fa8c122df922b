//! Mail domains in the file, and the `*` that stands for every other.

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

/// A domain in the file.
pub(super) struct DomainText(pub(super) Domain);

impl<'de> Deserialize<'de> for DomainText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        parse(&text).map(Self).map_err(D::Error::custom)
    }
}

impl Serialize for DomainText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

/// A mail domain as an administrator writes it, or why it is none.
pub(super) fn parse(text: &str) -> Result<Domain, String> {
    let valid = |domain: &Domain| !domain.as_str().contains(['*', '/', ':', ',']);
    Domain::parse(text).ok().filter(valid).ok_or_else(|| {
        format!("`{text}` is no mail domain\nhint: write what stands behind the `@`, such as `example.org`")
    })
}

impl<'de> Deserialize<'de> for DomainPattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match String::deserialize(deserializer)?.as_str() {
            "*" => Ok(Self::Any),
            text => parse(text).map(Self::Exact).map_err(D::Error::custom),
        }
    }
}

impl Serialize for DomainPattern {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Any => serializer.serialize_str("*"),
            Self::Exact(domain) => serializer.collect_str(domain),
        }
    }
}
