//! The name under which Thunderbird looks for the servers of a domain: it asks the portal there, by HTTPS on its own port.

use std::net::IpAddr;

use hickory_resolver::TokioResolver;

use super::{AREA, absolute, is_name};
use crate::base::Domain;
use crate::config::{Config, Portal};
use crate::doctor::{Mark, Report, certificates};

pub(super) async fn look(
    domain: &Domain,
    portal: &Portal,
    config: &Config,
    resolver: &TokioResolver,
    report: &mut Report,
) {
    // Thunderbird asks at no other port, and over no plain connection for anything that it believes.
    if portal.port() != 443 || !portal.public_url.starts_with("https://") || !is_name(portal.host()) {
        return;
    }
    let (name, host) = (format!("autoconfig.{domain}"), portal.host().to_ascii_lowercase());
    let record = format!("{name}. 3600 IN CNAME {host}.");
    let (Ok(found), Ok(wanted)) = (addresses(&name, resolver).await, addresses(&host, resolver).await) else {
        // That nobody answers is told of the domain already.
        return;
    };
    if found.is_empty() {
        // Users can type the servers.
        let found = format!("is not there; with it Thunderbird sets itself up:\n{record}");
        report.add(AREA, Mark::Good, name, found, None);
    } else if !found.iter().any(|address| wanted.contains(address)) {
        let to = found.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        let hint = format!("let it lead to the portal:\n{record}");
        report.doubtful(AREA, name, format!("leads to {to}, and not to the portal"), hint);
    } else if certificates::any_carries(config, &name) {
        report.good(AREA, name, "leads to the portal: Thunderbird sets itself up");
    } else {
        report.doubtful(
            AREA,
            name,
            "leads to the portal, but stands in no certificate: Thunderbird does not take it",
            "get a certificate with this name, too, for `[[tls.certificate]]`",
        );
    }
}

async fn addresses(name: &str, resolver: &TokioResolver) -> Result<Vec<IpAddr>, ()> {
    match resolver.lookup_ip(absolute(name)).await {
        Ok(found) => Ok(found.iter().collect()),
        Err(error) if error.is_no_records_found() => Ok(vec![]),
        Err(_) => Err(()),
    }
}
