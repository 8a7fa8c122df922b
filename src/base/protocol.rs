//! The three mail protocols and sets of them.

use std::fmt;
use std::str::FromStr;

/// A mail access or submission protocol that the gate speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// IMAP4rev1/rev2, RFC 3501 and RFC 9051.
    Imap,
    /// POP3, RFC 1939.
    Pop3,
    /// Message submission, RFC 6409.
    Smtp,
}

impl Protocol {
    /// All of them, in the order in which people list them.
    pub const ALL: [Self; 3] = [Self::Imap, Self::Pop3, Self::Smtp];

    /// The name used in configuration, logs, audit and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Imap => "imap",
            Self::Pop3 => "pop3",
            Self::Smtp => "smtp",
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A name that is none of `imap`, `pop3`, `smtp`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a protocol; expected `imap`, `pop3` or `smtp`")]
pub struct UnknownProtocol(pub String);

impl FromStr for Protocol {
    type Err = UnknownProtocol;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|p| p.as_str() == text).ok_or_else(|| UnknownProtocol(text.to_owned()))
    }
}

/// A set of protocols, written `imap,smtp`; never empty when parsed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProtocolSet(u8);

impl ProtocolSet {
    /// Every protocol.
    pub const ALL: Self = Self(0b111);

    /// Whether `protocol` is in the set.
    #[must_use]
    pub fn contains(self, protocol: Protocol) -> bool {
        self.0 & Self::bit(protocol) != 0
    }

    fn bit(protocol: Protocol) -> u8 {
        1 << protocol as u8
    }
}

impl FromIterator<Protocol> for ProtocolSet {
    fn from_iter<I: IntoIterator<Item = Protocol>>(protocols: I) -> Self {
        Self(protocols.into_iter().fold(0, |set, p| set | Self::bit(p)))
    }
}

impl fmt::Display for ProtocolSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> =
            Protocol::ALL.into_iter().filter(|p| self.contains(*p)).map(Protocol::as_str).collect();
        f.write_str(&names.join(","))
    }
}

impl FromStr for ProtocolSet {
    type Err = UnknownProtocol;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.split(',').map(|name| name.trim().parse()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_is_written_as_it_is_read() {
        let set: ProtocolSet = "smtp, imap".parse().unwrap();
        assert!(
            set.contains(Protocol::Imap) && set.contains(Protocol::Smtp) && !set.contains(Protocol::Pop3)
        );
        assert_eq!(set.to_string(), "imap,smtp");
        assert_eq!("imap,".parse::<ProtocolSet>(), Err(UnknownProtocol(String::new())));
        assert_eq!(Protocol::ALL.into_iter().collect::<ProtocolSet>(), ProtocolSet::ALL);
    }
}
