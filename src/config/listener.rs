//! `[[listener]]`

use std::net::SocketAddr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use toml::Spanned;

use super::document::Raw;
use super::networks::Networks;
use super::schema;
use crate::base::{NetworkList, Protocol, UpstreamName};

/// How TLS begins on a listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ListenerTls {
    /// From the first byte (993, 995, 465, 994).
    Implicit,
    /// After STARTTLS/STLS (143, 110, 587, 25).
    Starttls,
}

/// A door.
#[derive(Clone, Debug)]
pub struct Listener {
    /// What is spoken.
    pub protocol: Protocol,
    /// Where; `[::]` serves IPv4 too.
    pub address: SocketAddr,
    /// When TLS begins.
    pub tls: ListenerTls,
    /// The upstreams that it leads to; every one if this is empty.
    pub upstreams: Vec<UpstreamName>,
    /// Who must say with a PROXY header whom it passes on: balancers. Nobody else may send one.
    pub proxy_protocol_from: NetworkList,
}

#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RawListener {
    protocol: Protocol,
    #[serde(deserialize_with = "address")]
    #[schemars(with = "schema::SocketAddress")]
    address: SocketAddr,
    tls: ListenerTls,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "Vec<String>")]
    upstreams: Vec<Spanned<String>>,
    #[serde(default, deserialize_with = "balancers")]
    proxy_protocol_from: Networks,
}

impl Raw for RawListener {}

impl RawListener {
    /// What it speaks, and the names of the upstreams that it leads to, with their places.
    pub(super) fn leads_to(&self) -> (Protocol, &[Spanned<String>]) {
        (self.protocol, &self.upstreams)
    }
}

impl From<RawListener> for Listener {
    fn from(raw: RawListener) -> Self {
        let upstreams = raw.upstreams.into_iter().map(|name| UpstreamName(name.into_inner())).collect();
        Self {
            protocol: raw.protocol,
            address: raw.address,
            tls: raw.tls,
            upstreams,
            proxy_protocol_from: raw.proxy_protocol_from.0,
        }
    }
}

impl From<&Listener> for RawListener {
    fn from(listener: &Listener) -> Self {
        let upstreams = listener.upstreams.iter().map(|name| Spanned::new(0..0, name.0.clone())).collect();
        Self {
            protocol: listener.protocol,
            address: listener.address,
            tls: listener.tls,
            upstreams,
            proxy_protocol_from: Networks(listener.proxy_protocol_from.clone()),
        }
    }
}

pub(super) fn address<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<SocketAddr, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse().map_err(|_| {
        serde::de::Error::custom(format!(
            "`{text}` is no address to listen on\nhint: write an IP address and a port, such as `[::]:993` (every address, IPv4 too) or `192.0.2.1:993`"
        ))
    })
}

/// Whoever must send a header can claim to come from anywhere: that cannot be everybody.
pub(super) fn balancers<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Networks, D::Error> {
    let networks = Networks::deserialize(deserializer)?;
    if networks.0.holds_everybody() {
        return Err(serde::de::Error::custom(
            "this is everybody, and whoever is listed can claim to come from anywhere\nhint: list the addresses that your balancers connect from",
        ));
    }
    Ok(networks)
}
