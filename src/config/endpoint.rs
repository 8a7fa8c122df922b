//! `imap`, `pop3` and `smtp` of an `[[upstream]]`: where each is spoken and how the leg is protected.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use schemars::JsonSchema;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::paths;
use super::server::is_hostname;

/// Where one protocol of an upstream is.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// Host name or IP address literal.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// How the leg is protected.
    pub tls: EndpointTls,
    /// The name its certificate must carry; the host where the file says nothing.
    pub server_name: String,
    /// PEM roots to trust instead of the system's.
    pub ca_file: Option<PathBuf>,
    /// SHA-256 of the certificate's SubjectPublicKeyInfo; then the chain, name and dates are not looked at.
    pub pin_sha256: Option<[u8; 32]>,
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
    #[serde(deserialize_with = "one_address", serialize_with = "as_list")]
    #[schemars(with = "Vec<HostPort>", length(min = 1))]
    address: HostPort,
    tls: EndpointTls,
    #[serde(default, deserialize_with = "server_name", skip_serializing_if = "Option::is_none")]
    server_name: Option<String>,
    #[serde(default, deserialize_with = "paths::optional_path", skip_serializing_if = "Option::is_none")]
    ca_file: Option<PathBuf>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pin_sha256: Option<Pin>,
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
        let HostPort { host, port } = self.address;
        Ok(Endpoint {
            server_name: self.server_name.unwrap_or_else(|| host.clone()),
            host,
            port,
            tls: self.tls,
            ca_file: self.ca_file.map(|path| base.join(path)),
            pin_sha256: self.pin_sha256.map(|Pin(hash)| hash),
        })
    }
}

impl From<&Endpoint> for RawEndpoint {
    fn from(endpoint: &Endpoint) -> Self {
        let verified = endpoint.tls != EndpointTls::None;
        Self {
            address: HostPort { host: endpoint.host.clone(), port: endpoint.port },
            tls: endpoint.tls,
            server_name: verified.then(|| endpoint.server_name.clone()),
            ca_file: endpoint.ca_file.clone(),
            pin_sha256: endpoint.pin_sha256.map(Pin),
        }
    }
}

/// `host:port`, `192.0.2.1:143` or `[2001:db8::1]:143`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostPort {
    /// Host name or IP address, without brackets.
    pub host: String,
    /// Never zero.
    pub port: u16,
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

/// The file gives a list, so that failover can come without a new key.
fn one_address<'de, D: Deserializer<'de>>(deserializer: D) -> Result<HostPort, D::Error> {
    match <Vec<String>>::deserialize(deserializer)?.as_slice() {
        [] => Err(D::Error::custom("names no server\nhint: write `address = [\"10.0.0.5:143\"]`")),
        [one] => one.parse().map_err(D::Error::custom),
        _ => Err(D::Error::custom(
            "names several servers, but failover is not built yet\nhint: leave one; a name that leads to several addresses works",
        )),
    }
}

fn as_list<S: Serializer>(address: &HostPort, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq([address.to_string()])
}

fn server_name<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let text = String::deserialize(deserializer)?;
    if is_hostname(&text) || text.parse::<std::net::IpAddr>().is_ok() {
        Ok(Some(text))
    } else {
        Err(D::Error::custom(format!(
            "`{text}` is no name that a certificate can carry\nhint: write a host name such as `mail.example.org`"
        )))
    }
}

/// A SHA-256 hash, in hexadecimal (colons allowed, as `openssl` prints them) or base64.
#[derive(Clone, Copy)]
pub(super) struct Pin([u8; 32]);

impl<'de> Deserialize<'de> for Pin {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bytes = from_hex(&text.replace(':', "")).or_else(|| STANDARD.decode(&text).ok());
        bytes.and_then(|bytes| bytes.try_into().ok()).map(Self).ok_or_else(|| {
            D::Error::custom(
                "is no SHA-256 hash\nhint: openssl s_client -connect HOST:993 </dev/null | openssl x509 -pubkey -noout | openssl pkey -pubin -outform der | sha256sum",
            )
        })
    }
}

impl Serialize for Pin {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(self.0))
    }
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
            let text = format!("address = ['a:1']\ntls = 'implicit'\npin_sha256 = '{pin}'");
            toml::from_str::<RawEndpoint>(&text).map(|raw| raw.pin_sha256.unwrap().0)
        };
        let hex = "ab".repeat(32);
        assert_eq!(read(&hex).unwrap(), [0xab; 32]);
        assert_eq!(read(&STANDARD.encode([0xab; 32])).unwrap(), [0xab; 32]);
        assert_eq!(read(&["AB"; 32].join(":")).unwrap(), [0xab; 32]);
        assert!(read("abcd").is_err());
        assert!(read(&"é".repeat(16)).is_err());
    }
}
