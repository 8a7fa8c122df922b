//! The gate's own doors, as somebody on this machine finds them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use super::{Area, Report};
use crate::config::{Config, ListenerTls};
use crate::proxy::examine::{is_open, presented_certificate};
use crate::proxy::tls::read_certificates;

const AREA: Area = Area::Listeners;

/// On this machine, where nothing is far.
const ANSWER_MAX: Duration = Duration::from_secs(3);

pub(super) async fn look(config: &Config, report: &mut Report) {
    let leaves: Vec<_> = config
        .certificates
        .iter()
        .filter_map(|files| Some(read_certificates(&files.cert).ok()?.first()?.clone().into_owned()))
        .collect();
    let mut silent = vec![];
    for Door { subject, address, tls_under } in doors(config) {
        let at = from_here(address);
        if !is_open(at, ANSWER_MAX).await {
            silent.push(subject);
            continue;
        }
        let Some(name) = tls_under else {
            report.good(AREA, subject, "answers on this machine");
            continue;
        };
        match presented_certificate(at, name, ANSWER_MAX).await {
            Ok(Some(shown)) if leaves.contains(&shown) => {
                report.good(AREA, subject, "answers on this machine with its certificate");
            }
            Ok(_) => report.doubtful(
                AREA,
                subject,
                "shows another certificate than its file holds",
                "the gate still has the one from before: reload it (`systemctl reload mailward`) or restart it; or another program listens there",
            ),
            Err(error) => report.doubtful(
                AREA,
                subject,
                format!("something listens there that does not speak TLS: {error}"),
                "does another program listen there? `ss -ltnp` tells which",
            ),
        }
    }
    if silent.is_empty() {
        return;
    }
    let found = format!("nobody listens: {}", silent.join("; "));
    let hint = "start the gate (`systemctl start mailward`); if it runs, its log says why it does not listen";
    report.doubtful(AREA, "the gate", found, hint);
}

/// One of the gate's own.
struct Door<'c> {
    subject: String,
    address: SocketAddr,
    /// The name to ask for, where TLS comes first.
    tls_under: Option<&'c str>,
}

fn doors(config: &Config) -> impl Iterator<Item = Door<'_>> {
    let mail = config.listeners.iter().map(|listener| Door {
        subject: format!("{} on {}", listener.protocol, listener.address),
        address: listener.address,
        tls_under: (listener.tls == ListenerTls::Implicit).then_some(&*config.server.hostname),
    });
    let portal = config.portal.as_ref().and_then(|portal| {
        let address = portal.listen?;
        let tls_under = portal.is_secure().then(|| portal.host().trim_matches(['[', ']']));
        Some(Door { subject: format!("the portal on {address}"), address, tls_under })
    });
    mail.chain(portal)
}

/// Where a client on this machine reaches it.
fn from_here(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(any) if any.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(any) if any.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        own @ (IpAddr::V4(_) | IpAddr::V6(_)) => own,
    };
    SocketAddr::new(ip, address.port())
}
