//! Free loopback ports, reserved among everything that the tests start.

use std::net::{Ipv4Addr, TcpListener};
use std::ops::RangeInclusive;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixListener};

/// Below the ephemeral range, so that no outgoing connection takes a port between its choice and its use.
const RANGE: RangeInclusive<u16> = 20_000..=29_999;

/// A port that nobody else chooses while this lives.
///
/// The reservation is an abstract Unix socket named after the port, the same that `scripts/servers/throwaway` uses:
/// it needs no file and vanishes with its holder.
pub(crate) struct Port {
    pub(crate) number: u16,
    _reservation: UnixListener,
}

impl Port {
    /// Chooses a free one.
    pub(crate) fn choose() -> Self {
        // Tests that start together begin at different places.
        let start = std::process::id() as usize * 101 % RANGE.len();
        let mut candidates = RANGE.cycle().skip(start).take(RANGE.len());
        candidates.find_map(Self::reserve).expect("a free port between 20000 and 29999")
    }

    /// Reserves that one, if it is free.
    fn reserve(number: u16) -> Option<Self> {
        let name = SocketAddr::from_abstract_name(format!("mailward-test-port-{number}")).ok()?;
        let reservation = UnixListener::bind_addr(&name).ok()?;
        TcpListener::bind((Ipv4Addr::LOCALHOST, number)).ok()?;
        Some(Self { number, _reservation: reservation })
    }
}
