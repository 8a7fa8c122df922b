//! `[[listener]]`

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use super::document::Raw;
use super::planned::{Off, Planned};
use crate::base::Protocol;

/// How TLS begins on a listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
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
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawListener {
    protocol: Protocol,
    #[serde(deserialize_with = "address")]
    address: SocketAddr,
    tls: ListenerTls,
}

impl Raw for RawListener {
    const PLANNED: &'static [Planned] = &[Planned { key: "proxy_protocol_from", off: Off::Empty }];
}

impl From<RawListener> for Listener {
    fn from(raw: RawListener) -> Self {
        Self { protocol: raw.protocol, address: raw.address, tls: raw.tls }
    }
}

impl From<&Listener> for RawListener {
    fn from(listener: &Listener) -> Self {
        Self { protocol: listener.protocol, address: listener.address, tls: listener.tls }
    }
}

fn address<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<SocketAddr, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse().map_err(|_| {
        serde::de::Error::custom(format!(
            "`{text}` is no address to listen on\nhint: write an IP address and a port, such as `[::]:993` (every address, IPv4 too) or `192.0.2.1:993`"
        ))
    })
}
