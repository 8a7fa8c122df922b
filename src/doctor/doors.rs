//! Doors of the old servers beside the gate. The gate guards the doors that it stands in: whoever reaches another one
//! needs no second factor there.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tokio::task::JoinSet;

use super::{Area, Report};
use crate::base::Protocol;
use crate::config::Config;
use crate::proxy::examine::{Web, is_open, is_this_machine, resolve, web};

const AREA: Area = Area::OtherDoors;

/// Whoever is on the same wire answers at once; a firewall that drops says nothing for ever.
const OPEN_MAX: Duration = Duration::from_secs(2);

/// For a web server's answer.
const WEB_MAX: Duration = Duration::from_secs(4);

/// Where mail servers listen.
const MAIL_PORTS: [(u16, &str); 8] = [
    (143, "IMAP"),
    (993, "IMAP in TLS"),
    (110, "POP3"),
    (995, "POP3 in TLS"),
    (587, "submission"),
    (465, "submission in TLS"),
    (994, "submission in TLS"),
    (25, "SMTP"),
];

/// Where webmail and ActiveSync are, and whether that is TLS.
const WEB_PORTS: [(u16, bool); 2] = [(443, true), (80, false)];

/// One host, and the ports that the gate itself uses of it.
struct Host {
    name: String,
    used: BTreeMap<u16, Protocol>,
}

/// Tells of every open door; returns what the web servers say about the time.
pub(super) async fn look(config: &Config, report: &mut Report) -> Vec<(String, String)> {
    let mut dates = vec![];
    for host in hosts(config) {
        let Ok(addresses) = resolve(&host.name).await else { continue }; // told with the upstream
        let Some(address) = addresses.first().copied() else { continue };
        let own: Vec<u16> = match is_this_machine(address).await {
            true => config.listeners.iter().map(|listener| listener.address.port()).collect(),
            false => vec![],
        };
        let ports = host.ports().into_iter().filter(|(port, _)| !own.contains(port));
        let mut open = open_ports(address, ports.collect()).await;
        for (port, tls) in WEB_PORTS.into_iter().filter(|(port, _)| !own.contains(port)) {
            let at = SocketAddr::new(address, port);
            if !is_open(at, OPEN_MAX).await {
                continue;
            }
            let found = web(at, &host.name, tls, WEB_MAX).await;
            open.push(format!("{port} ({})", describe(found.as_ref())));
            dates.extend(found.and_then(|web| web.date).map(|date| (host.name.clone(), date)));
        }
        tell(&host.name, address, &open, report);
    }
    dates
}

fn hosts(config: &Config) -> Vec<Host> {
    let mut hosts: Vec<Host> = vec![];
    for upstream in &config.upstreams {
        for protocol in Protocol::ALL {
            for address in upstream.endpoint(protocol).into_iter().flat_map(|endpoint| &endpoint.addresses) {
                let place = hosts.iter().position(|host| host.name == address.host);
                let place = place.unwrap_or_else(|| {
                    hosts.push(Host { name: address.host.clone(), used: BTreeMap::new() });
                    hosts.len() - 1
                });
                if let Some(host) = hosts.get_mut(place) {
                    host.used.insert(address.port, protocol);
                }
            }
        }
    }
    hosts
}

impl Host {
    fn ports(&self) -> Vec<(u16, String)> {
        let used = self.used.iter().map(|(port, protocol)| {
            (*port, format!("{}, which the gate uses", protocol.as_str().to_uppercase()))
        });
        let others = MAIL_PORTS.into_iter().filter(|(port, _)| !self.used.contains_key(port));
        used.chain(others.map(|(port, name)| (port, name.to_owned()))).collect()
    }
}

async fn open_ports(address: IpAddr, ports: Vec<(u16, String)>) -> Vec<String> {
    let mut asked = JoinSet::new();
    for (place, (port, name)) in ports.into_iter().enumerate() {
        asked.spawn(async move {
            let open = is_open(SocketAddr::new(address, port), OPEN_MAX).await;
            open.then(|| (place, format!("{port} ({name})")))
        });
    }
    let mut open: Vec<_> = asked.join_all().await.into_iter().flatten().collect();
    open.sort();
    open.into_iter().map(|(_, text)| text).collect()
}

fn describe(web: Option<&Web>) -> &'static str {
    match web {
        Some(Web { active_sync: true, .. }) => "web, with ActiveSync",
        Some(Web { active_sync: false, .. }) => "web",
        None => "open, but no web server that answers",
    }
}

fn tell(host: &str, address: IpAddr, open: &[String], report: &mut Report) {
    if open.is_empty() {
        report.good(AREA, host, "no door of it is open from here");
        return;
    }
    let loopback = if address.is_loopback() {
        " (on loopback; whether it listens on this machine's other addresses, too, is for `ss -ltn` to say)"
    } else {
        ""
    };
    let found = format!(
        "open from here{loopback}: {}. The second factor is bypassed by whoever reaches these and not through the gate; who else can is not to be seen from here",
        open.join(", ")
    );
    let hint = "let nobody but the gate through to its mail ports, and close its webmail and ActiveSync or put them behind something that asks for a second factor; then try from another network: nc -vz HOST PORT";
    report.doubtful(AREA, host, found, hint);
}
