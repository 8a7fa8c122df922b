//! Client addresses and the networks they are judged by.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

use ipnet::{IpNet, Ipv4Net};

/// Where a client connects from; an IPv4-mapped IPv6 address is the IPv4 address it maps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct ClientAddress(IpAddr);

impl ClientAddress {
    /// Canonicalises `address`.
    #[must_use]
    pub fn new(address: IpAddr) -> Self {
        Self(address.to_canonical())
    }

    /// The canonical address.
    #[must_use]
    pub fn ip(self) -> IpAddr {
        self.0
    }

    /// The network that failures are counted for: the address itself for IPv4, its /64 for IPv6, because
    /// a subscriber is commonly given a whole /64.
    #[must_use]
    pub fn network(self) -> Network {
        match self.0 {
            IpAddr::V4(_) => Network(self.0),
            IpAddr::V6(v6) => Network(IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & (!0 << 64)))),
        }
    }
}

impl fmt::Display for ClientAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A /32 (IPv4) or /64 (IPv6), made by [`ClientAddress::network`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Network(IpAddr);

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            IpAddr::V4(v4) => write!(f, "{v4}/32"),
            IpAddr::V6(v6) => write!(f, "{v6}/64"),
        }
    }
}

/// A list of networks in CIDR form, written `192.0.2.0/24,2001:db8::/32`; a bare address is that one host.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct NetworkList(Vec<IpNet>);

/// Text that is neither an address nor a network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a network; expected an address or CIDR such as `192.0.2.0/24` or `2001:db8::/32`")]
pub struct InvalidNetwork(pub String);

impl NetworkList {
    /// Whether any network of the list holds `client`.
    #[must_use]
    pub fn contains(&self, client: ClientAddress) -> bool {
        self.0.iter().any(|net| net.contains(&client.ip()))
    }

    /// Whether the list names no network at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether one of its networks is the whole of IPv4 or IPv6.
    #[must_use]
    pub fn holds_everybody(&self) -> bool {
        self.0.iter().any(|net| net.prefix_len() == 0)
    }

    /// Reads one network per item.
    ///
    /// # Errors
    /// [`InvalidNetwork`] naming the first item that is none.
    pub fn parse_items<'a>(items: impl IntoIterator<Item = &'a str>) -> Result<Self, InvalidNetwork> {
        items.into_iter().map(parse_network).collect::<Result<_, _>>().map(Self)
    }
}

fn parse_network(text: &str) -> Result<IpNet, InvalidNetwork> {
    let text = text.trim();
    let net = text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
    net.map(|net| unmapped(net.trunc())).map_err(|_| InvalidNetwork(text.to_owned()))
}

/// Clients' addresses are canonical, so networks must be: one of IPv4-mapped addresses is the IPv4 network.
fn unmapped(net: IpNet) -> IpNet {
    let (IpAddr::V4(address), Some(prefix)) =
        (net.network().to_canonical(), net.prefix_len().checked_sub(96))
    else {
        return net;
    };
    match net {
        IpNet::V6(_) => Ipv4Net::new(address, prefix).map_or(net, IpNet::V4),
        IpNet::V4(_) => net,
    }
}

impl FromStr for NetworkList {
    type Err = InvalidNetwork;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse_items(text.split(',').filter(|item| !item.trim().is_empty()))
    }
}

impl fmt::Display for NetworkList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let items: Vec<_> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&items.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(text: &str) -> ClientAddress {
        ClientAddress::new(text.parse().unwrap())
    }

    #[test]
    fn failures_of_one_subscriber_share_a_network() {
        assert_eq!(client("::ffff:192.0.2.7"), client("192.0.2.7"));
        assert_eq!(client("192.0.2.7").network().to_string(), "192.0.2.7/32");
        assert_eq!(client("2001:db8:1:2:3::4").network().to_string(), "2001:db8:1:2::/64");
        assert_eq!(client("2001:db8:1:2::1").network(), client("2001:db8:1:2:ffff::1").network());
    }

    #[test]
    fn a_list_holds_hosts_and_networks() {
        let list: NetworkList = "192.0.2.0/24, 2001:db8::1".parse().unwrap();
        assert!(list.contains(client("::ffff:192.0.2.200")) && list.contains(client("2001:db8::1")));
        assert!(!list.contains(client("192.0.3.1")) && !list.contains(client("2001:db8::2")));
        assert_eq!(list.to_string(), "192.0.2.0/24,2001:db8::1/128");
        let mapped: NetworkList = "::ffff:192.0.2.0/120,::ffff:192.0.3.1,::ffff:0:0/95".parse().unwrap();
        assert_eq!(mapped.to_string(), "192.0.2.0/24,192.0.3.1/32,::fffe:0:0/95");
        assert!(mapped.contains(client("192.0.2.7")) && !mapped.contains(client("192.0.4.1")));
        let everybody =
            ["0.0.0.0/0", "::/0", "::ffff:0:0/96"].map(|text| text.parse::<NetworkList>().unwrap());
        assert!(everybody.iter().all(NetworkList::holds_everybody) && !mapped.holds_everybody());
        assert!("192.0.2.0/33".parse::<NetworkList>().is_err());
    }
}
