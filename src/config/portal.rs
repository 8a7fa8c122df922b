//! `[portal]`: for now only where it will be, for the hints in refusals.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::document::Raw;
use super::planned::Planned;
use super::schema;

/// The self-service portal.
#[derive(Clone, Debug)]
pub struct Portal {
    /// An `https://` URL, ASCII, without trailing slash.
    pub public_url: String,
}

#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RawPortal {
    #[serde(deserialize_with = "public_url")]
    #[schemars(with = "schema::Url")]
    public_url: String,
}

impl Raw for RawPortal {
    const PLANNED: &'static [Planned] = &[Planned::key("listen")];
}

impl From<RawPortal> for Portal {
    fn from(raw: RawPortal) -> Self {
        Self { public_url: raw.public_url }
    }
}

impl From<&Portal> for RawPortal {
    fn from(portal: &Portal) -> Self {
        Self { public_url: portal.public_url.clone() }
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

fn is_loopback(host: &str) -> bool {
    let (name, port) = match host.rsplit_once(':') {
        Some((name, port)) if !port.ends_with(']') => (name, port),
        _ => (host, "0"),
    };
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
}
