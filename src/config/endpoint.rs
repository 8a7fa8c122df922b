//! `imap`, `pop3` and `smtp` of an `[[upstream]]`: where each is spoken and how the leg is protected.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use schemars::JsonSchema;
use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::paths;
use super::server::is_hostname;

/// Where one protocol of an upstream is.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// Its servers, in the order in which they are asked: at least one, none twice.
    pub addresses: Vec<HostPort>,
    /// How the leg is protected.
    pub tls: EndpointTls,
    /// The name that their certificates must carry; each its own host where the file says nothing.
    pub server_name: Option<String>,
    /// PEM roots to trust instead of the system's.
    pub ca_file: Option<PathBuf>,
    /// SHA-256 of the SubjectPublicKeyInfo of a certificate that is taken; where there are any, chain, name and dates
    /// are not looked at.
    pub pin_sha256: Vec<[u8; 32]>,
}

impl Endpoint {
    /// The name that the certificate of `address` must carry.
    #[must_use]
    pub fn name_of<'a>(&'a self, address: &'a HostPort) -> &'a str {
        self.server_name.as_deref().unwrap_or(&address.host)
    }
}

/// How the leg to an upstream is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum EndpointTls {
    /// Not at all: for loopback and trusted wires.
    None,
    /// STARTTLS/STLS, demanded.
    Starttls,
    /// From the first byte.
    Implicit,
}

#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RawEndpoint {
    #[serde(deserialize_with = "addresses", serialize_with = "as_list")]
    #[schemars(length(min = 1))]
    address: Vec<HostPort>,
    tls: EndpointTls,
    #[serde(default, deserialize_with = "server_name", skip_serializing_if = "Option::is_none")]
    server_name: Option<String>,
    #[serde(default, deserialize_with = "paths::optional_path", skip_serializing_if = "Option::is_none")]
    ca_file: Option<PathBuf>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pin_sha256: Option<Pins>,
}

impl RawEndpoint {
    /// What does not fit together, if anything.
    pub(super) fn check(self, base: &Path) -> Result<Endpoint, String> {
        if self.tls == EndpointTls::None {
            let verified = [
                ("server_name", self.server_name.is_some()),
                ("ca_file", self.ca_file.is_some()),
                ("pin_sha256", self.pin_sha256.is_some()),
            ];
            if let Some((key, _)) = verified.iter().find(|(_, given)| *given) {
                return Err(format!(
                    "`{key}` has nothing to verify with `tls = \"none\"`\nhint: set `tls` to `\"starttls\"` or `\"implicit\"`, or remove `{key}`"
                ));
            }
        }
        Ok(Endpoint {
            addresses: self.address,
            tls: self.tls,
            server_name: self.server_name,
            ca_file: self.ca_file.map(|path| base.join(path)),
            pin_sha256: self.pin_sha256.map(|Pins(hashes)| hashes).unwrap_or_default(),
        })
    }
}

impl From<&Endpoint> for RawEndpoint {
    fn from(endpoint: &Endpoint) -> Self {
        Self {
            address: endpoint.addresses.clone(),
            tls: endpoint.tls,
            server_name: endpoint.server_name.clone(),
            ca_file: endpoint.ca_file.clone(),
            pin_sha256: Some(Pins(endpoint.pin_sha256.clone())).filter(|Pins(hashes)| !hashes.is_empty()),
        }
    }
}

/// `host:port`, `192.0.2.1:143` or `[2001:db8::1]:143`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HostPort {
    /// Host name or IP address, without brackets.
    pub host: String,
    /// Never zero.
    pub port: u16,
}

impl HostPort {
    /// Whether both are the same place, as far as their texts tell.
    #[must_use]
    pub fn is(&self, other: &Self) -> bool {
        self.port == other.port && self.host.eq_ignore_ascii_case(&other.host)
    }
}

/// Text that is no host and port.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no host and port\nhint: write `mail.internal:143`, `10.0.0.5:143` or `[2001:db8::5]:143`")]
pub struct InvalidHostPort(pub String);

impl std::str::FromStr for HostPort {
    type Err = InvalidHostPort;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let read = || {
            let (host, port) = text.rsplit_once(':')?;
            let port = port.parse().ok().filter(|port| *port != 0)?;
            let host = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
                Some(v6) => v6.parse::<std::net::Ipv6Addr>().ok()?.to_string(),
                None => Some(host).filter(|host| is_hostname(host))?.to_owned(),
            };
            Some(Self { host, port })
        };
        read().ok_or_else(|| InvalidHostPort(text.to_owned()))
    }
}

impl std::fmt::Display for HostPort {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "[{}]:{}", self.host, self.port),
            false => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

/// The order of the file is the order in which they are asked.
fn addresses<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<HostPort>, D::Error> {
    let texts = <Vec<String>>::deserialize(deserializer)?;
    let addresses: Vec<HostPort> =
        texts.iter().map(|text| text.parse()).collect::<Result<_, _>>().map_err(D::Error::custom)?;
    if addresses.is_empty() {
        return Err(D::Error::custom("names no server\nhint: write `address = [\"10.0.0.5:143\"]`"));
    }
    let twice =
        addresses.iter().enumerate().find(|(at, one)| addresses.iter().take(*at).any(|other| other.is(one)));
    match twice {
        Some((_, one)) => Err(D::Error::custom(format!("names `{one}` twice\nhint: remove one of them"))),
        None => Ok(addresses),
    }
}

fn as_list<S: Serializer>(addresses: &[HostPort], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(addresses.iter().map(ToString::to_string))
}

pub(super) fn server_name<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let text = String::deserialize(deserializer)?;
    if is_hostname(&text) || text.parse::<std::net::IpAddr>().is_ok() {
        Ok(Some(text))
    } else {
        Err(D::Error::custom(format!(
            "`{text}` is no name that a certificate can carry\nhint: write a host name such as `mail.example.org`"
        )))
    }
}

/// SHA-256 hashes, one or a list of several: two servers have two keys, and a key that is about to change has a next.
pub(super) struct Pins(Vec<[u8; 32]>);

impl<'de> Deserialize<'de> for Pins {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;

        impl<'de> Visitor<'de> for Either {
            type Value = Pins;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a SHA-256 hash in quotes, or a list of them")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Pins, E> {
                pin(text).map(|hash| Pins(vec![hash])).ok_or_else(no_hash)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Pins, A::Error> {
                let mut hashes = Vec::new();
                while let Some(text) = list.next_element::<String>()? {
                    hashes.push(pin(&text).ok_or_else(no_hash)?);
                }
                if hashes.is_empty() { Err(no_hash()) } else { Ok(Pins(hashes)) }
            }
        }

        deserializer.deserialize_any(Either)
    }
}

impl Serialize for Pins {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(hashes) = self;
        match hashes.as_slice() {
            [one] => serializer.serialize_str(&show_pin(one)),
            all => serializer.collect_seq(all.iter().map(show_pin)),
        }
    }
}

/// A pin as the file may have it: base64.
#[must_use]
pub fn show_pin(hash: &[u8; 32]) -> String {
    STANDARD.encode(hash)
}

/// In hexadecimal (colons allowed, as `openssl` prints them) or base64.
fn pin(text: &str) -> Option<[u8; 32]> {
    let bytes = from_hex(&text.replace(':', "")).or_else(|| STANDARD.decode(text).ok());
    bytes.and_then(|bytes| bytes.try_into().ok())
}

fn no_hash<E: Error>() -> E {
    E::custom(
        "is no SHA-256 hash\nhint: openssl s_client -connect HOST:993 </dev/null | openssl x509 -pubkey -noout | openssl pkey -pubin -outform der | sha256sum",
    )
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> = text.chars().map(|c| c.to_digit(16)?.try_into().ok()).collect::<Option<_>>()?;
    digits.chunks(2).map(|pair| Some(pair.first()? << 4 | pair.get(1)?)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_named_by_host_and_port() {
        for text in ["mail.internal:143", "10.0.0.5:993", "[2001:db8::5]:587"] {
            assert_eq!(text.parse::<HostPort>().unwrap().to_string(), text);
        }
        for bad in ["mail", "mail:", "mail:0", "mail:65536", "2001:db8::5:143", ":143", "[x]:143", "a b:1"] {
            assert!(bad.parse::<HostPort>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_pin_reads_in_both_spellings() {
        let read = |pin: &str| {
            let text = format!("address = ['a:1']\ntls = 'implicit'\npin_sha256 = {pin}");
            toml::from_str::<RawEndpoint>(&text).map(|raw| raw.pin_sha256.unwrap().0)
        };
        let hex = format!("'{}'", "ab".repeat(32));
        let base64 = format!("'{}'", STANDARD.encode([0xab; 32]));
        assert_eq!(read(&hex).unwrap(), [[0xab; 32]]);
        assert_eq!(read(&base64).unwrap(), [[0xab; 32]]);
        assert_eq!(read(&format!("'{}'", ["AB"; 32].join(":"))).unwrap(), [[0xab; 32]]);
        assert_eq!(read(&format!("[{hex}, {base64}]")).unwrap(), [[0xab; 32]; 2]);
        for bad in ["'abcd'", &format!("'{}'", "é".repeat(16)), "[]", "['abcd']", "5"] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn several_servers_are_kept_in_their_order_and_none_is_named_twice() {
        let read = |list: &str| {
            let raw = toml::from_str::<RawEndpoint>(&format!("address = {list}\ntls = 'implicit'"));
            raw.map_err(|error| error.message().to_owned()).map(|raw| raw.check(Path::new("/")).unwrap())
        };
        let endpoint = read("['b.example:1', 'a.example:1', '[::1]:1']").unwrap();
        let names: Vec<_> = endpoint.addresses.iter().map(|address| endpoint.name_of(address)).collect();
        assert_eq!(names, ["b.example", "a.example", "::1"], "each is expected under its own name");
        assert!(read("[]").unwrap_err().starts_with("names no server"));
        assert!(read("['a:1', 'b:1', 'A:1']").unwrap_err().starts_with("names `A:1` twice"));
    }
}
