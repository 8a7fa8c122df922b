//! `[metrics]`: where those who watch the gate may ask it.

use std::net::{Ipv4Addr, SocketAddr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::document::Raw;
use super::{listener, schema};

/// The listener for metrics and health.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metrics {
    /// Where. There is no authentication: whoever reaches it may read.
    pub listen: SocketAddr,
}

/// The number that Prometheus' list of ports has for exporters of OpenTelemetry.
const DEFAULT: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 9464);

#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RawMetrics {
    #[serde(default = "default", deserialize_with = "listener::address")]
    #[schemars(with = "schema::SocketAddress")]
    listen: SocketAddr,
}

fn default() -> SocketAddr {
    DEFAULT
}

impl Raw for RawMetrics {}

impl From<RawMetrics> for Metrics {
    fn from(raw: RawMetrics) -> Self {
        Self { listen: raw.listen }
    }
}

impl From<&Metrics> for RawMetrics {
    fn from(metrics: &Metrics) -> Self {
        Self { listen: metrics.listen }
    }
}
