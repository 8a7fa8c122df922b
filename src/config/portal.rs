//! `[portal]`: where users help themselves.

use std::net::SocketAddr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::document::Raw;
use super::networks::Networks;
use super::{listener, schema};
use crate::base::NetworkList;

/// The self-service portal.
#[derive(Clone, Debug)]
pub struct Portal {
    /// An `https://` URL, ASCII, without trailing slash.
    pub public_url: String,
    /// Where this gate serves it; nowhere if another gate does.
    pub listen: Option<SocketAddr>,
    /// Who must say with a PROXY header whom it passes on: balancers. Nobody else may send one.
    pub proxy_protocol_from: NetworkList,
}

#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RawPortal {
    #[serde(deserialize_with = "public_url")]
    #[schemars(with = "schema::Url")]
    public_url: String,
    #[serde(default, deserialize_with = "listen", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<schema::SocketAddress>")]
    listen: Option<SocketAddr>,
    #[serde(default, deserialize_with = "listener::balancers")]
    proxy_protocol_from: Networks,
}

impl Raw for RawPortal {}

impl Portal {
    /// Whether browsers speak TLS with it.
    #[must_use]
    pub fn is_secure(&self) -> bool {
        self.public_url.starts_with("https://")
    }

    /// The host's name or address in `public_url`; that of an IPv6 address in brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        host_and_port(self.authority()).0
    }

    /// The port there.
    #[must_use]
    pub fn port(&self) -> u16 {
        let default = if self.is_secure() { 443 } else { 80 };
        host_and_port(self.authority()).1.and_then(|port| port.parse().ok()).unwrap_or(default)
    }

    fn authority(&self) -> &str {
        let rest = self.public_url.split_once("://").map_or("", |(_, rest)| rest);
        rest.split('/').next().unwrap_or_default()
    }
}

impl RawPortal {
    /// Both keys together.
    ///
    /// # Errors
    /// What is wrong with them, and what to do.
    pub(super) fn check(self) -> Result<Portal, String> {
        let Self { public_url, listen, proxy_protocol_from: Networks(proxy_protocol_from) } = self;
        let plain = public_url.starts_with("http://");
        if let Some(address) = listen.filter(|address| plain && !address.ip().is_loopback()) {
            return Err(format!(
                "`listen` in `[portal]`: `{address}` is reached from other machines, and `public_url` begins with `http://`\nhint: write an `https://` URL, or listen on `127.0.0.1` to try the portal out"
            ));
        }
        Ok(Portal { public_url, listen, proxy_protocol_from })
    }
}

impl From<&Portal> for RawPortal {
    fn from(portal: &Portal) -> Self {
        Self {
            public_url: portal.public_url.clone(),
            listen: portal.listen,
            proxy_protocol_from: Networks(portal.proxy_protocol_from.clone()),
        }
    }
}

fn public_url<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    let url = text.trim_end_matches('/');
    let refuse = |why: &str| {
        Err(serde::de::Error::custom(format!(
            "`{text}` {why}\nhint: write `https://mail.example.org` or the like"
        )))
    };
    let Some((scheme, rest)) = url.split_once("://") else { return refuse("is no URL") };
    let host = rest.split('/').next().unwrap_or_default();
    let plain = url.bytes().all(|b| b.is_ascii_graphic() && !br#""'<>\^`{|}?#@"#.contains(&b));
    if !plain || host.is_empty() {
        refuse("is no plain URL")
    } else if scheme == "https" || (scheme == "http" && is_loopback(host)) {
        Ok(url.to_owned())
    } else {
        refuse(
            "does not begin with `https://`, so that users would type passwords where others can read them",
        )
    }
}

fn listen<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<SocketAddr>, D::Error> {
    listener::address(deserializer).map(Some)
}

fn host_and_port(authority: &str) -> (&str, Option<&str>) {
    match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (authority, None),
    }
}

fn is_loopback(authority: &str) -> bool {
    let (name, port) = host_and_port(authority);
    let port = port.unwrap_or("0");
    let address = name.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>();
    port.parse::<u16>().is_ok() && (name == "localhost" || address.is_ok_and(|address| address.is_loopback()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_that_would_carry_passwords_in_clear_is_refused() {
        let read = |url: &str| {
            let text = format!("public_url = {url:?}");
            toml::from_str::<RawPortal>(&text)
                .map(|portal| portal.public_url)
                .map_err(|e| e.message().to_owned())
        };
        assert_eq!(read("https://mail.example.org/portal/").unwrap(), "https://mail.example.org/portal");
        for good in
            ["http://localhost:8080", "http://127.0.0.1", "http://[::1]:80/x", "https://[2001:db8::1]"]
        {
            assert!(read(good).is_ok(), "{good}");
        }
        for bad in [
            "http://mail.example.org",
            "http://localhost.example.org",
            "mail.example.org",
            "https://",
            "https://a b",
            "https://user@host",
            "https://邮件.cn",
            "https://a\r\nb",
        ] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn host_and_port_follow_from_the_url() {
        for (url, host, port) in [
            ("https://mail.example.org", "mail.example.org", 443),
            ("https://mail.example.org:8443/portal", "mail.example.org", 8443),
            ("http://127.0.0.1/x", "127.0.0.1", 80),
            ("http://[::1]:8080", "[::1]", 8080),
            ("https://[2001:db8::1]", "[2001:db8::1]", 443),
        ] {
            let portal = Portal {
                public_url: url.to_owned(),
                listen: None,
                proxy_protocol_from: NetworkList::default(),
            };
            assert_eq!((portal.host(), portal.port()), (host, port), "{url}");
        }
    }

    #[test]
    fn a_portal_without_tls_is_for_this_machine_alone() {
        let check = |url: &str, listen: &str| {
            let text = format!("public_url = {url:?}\nlisten = {listen:?}");
            toml::from_str::<RawPortal>(&text).unwrap().check().map(|portal| portal.listen.unwrap().port())
        };
        assert_eq!(check("https://mail.example.org", "[::]:443"), Ok(443));
        assert_eq!(check("http://localhost:8080", "127.0.0.1:8080"), Ok(8080));
        assert!(check("http://localhost:8080", "[::]:8080").unwrap_err().contains("hint: "));
        assert!(toml::from_str::<RawPortal>("public_url = \"https://a\"\nlisten = \"443\"").is_err());
    }
}
