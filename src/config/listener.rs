//! `[[listener]]`

use std::net::SocketAddr;

use crate::base::Protocol;

/// How TLS begins on a listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
