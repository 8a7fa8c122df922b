//! What DNS says: whether the name that clients are set up with leads here, and the records by which they find the
//! gate by themselves (SRV, RFC 6186 and RFC 8314 section 5.1; where there is a portal, those of Outlook and Thunderbird).

use std::net::IpAddr;
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::RData;

use super::{Area, Manner, Mark, Report};
use crate::base::{Domain, Protocol};
use crate::config::{Config, DomainPattern, ListenerTls, Portal};
use crate::proxy::examine::is_this_machine;

mod autoconfig;

const AREA: Area = Area::Names;

/// For each question, once more if nobody answers.
const ANSWER_MAX: Duration = Duration::from_secs(3);

/// A service as clients look for it, and where it is.
struct Service {
    name: &'static str,
    at: Target,
}

/// Where a record leads; the host in lower case.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Target {
    host: String,
    port: u16,
}

pub(super) async fn look(config: &Config, manner: &Manner, report: &mut Report) {
    let resolver = match resolver(manner) {
        Ok(resolver) => resolver,
        Err(why) => {
            report.doubtful(AREA, "DNS", format!("cannot be asked: {why}"), "look into /etc/resolv.conf");
            return;
        }
    };
    let hostname = &config.server.hostname;
    look_at_host(hostname, ("no client finds the gate", "hostname"), &resolver, report).await;
    if let Some(host) = config.portal.as_ref().map(Portal::host)
        && is_name(host)
        && !host.eq_ignore_ascii_case(hostname)
    {
        look_at_host(host, ("no browser finds the portal", "public_url"), &resolver, report).await;
    }
    let services = services(config);
    for domain in domains(config) {
        look_at_domain(&domain, &services, &resolver, report).await;
        if let Some(portal) = &config.portal {
            autoconfig::look(&domain, portal, config, &resolver, report).await;
        }
    }
}

fn resolver(manner: &Manner) -> Result<TokioResolver, String> {
    let builder = match manner.name_server {
        None => TokioResolver::builder_tokio().map_err(|error| error.to_string())?,
        Some(address) => {
            let mut udp = ConnectionConfig::udp();
            udp.port = address.port();
            let server = NameServerConfig::new(address.ip(), true, vec![udp]);
            let config = ResolverConfig::from_parts(None, vec![], vec![server]);
            TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
        }
    };
    let mut builder = builder;
    builder.options_mut().timeout = ANSWER_MAX;
    builder.options_mut().attempts = 1;
    builder.build().map_err(|error| error.to_string())
}

/// Where a name leads under which others come; `without` says what happens where it leads nowhere, and which key it
/// stands in.
async fn look_at_host(host: &str, without: (&str, &str), resolver: &TokioResolver, report: &mut Report) {
    let addresses: Vec<IpAddr> = match resolver.lookup_ip(absolute(host)).await {
        Ok(found) => found.iter().collect(),
        Err(error) if error.is_no_records_found() => vec![],
        Err(error) => {
            let found = format!("DNS does not say where it leads: {error}");
            report.doubtful(
                AREA,
                host,
                found,
                "does this machine's name server answer? `getent hosts` asks it, too",
            );
            return;
        }
    };
    if addresses.is_empty() {
        let (nobody, key) = without;
        let hint = format!("add an A record (and AAAA) with the address of this machine, or correct `{key}`");
        report.wrong(AREA, host, format!("has no address in DNS: {nobody} by this name"), hint);
        return;
    }
    let mut elsewhere = vec![];
    for address in &addresses {
        if !is_this_machine(*address).await {
            elsewhere.push(address.to_string());
        }
    }
    let all = addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    if elsewhere.is_empty() {
        report.good(AREA, host, format!("leads to this machine ({all})"));
    } else {
        report.doubtful(
            AREA,
            host,
            format!("leads to {}, which this machine does not have", elsewhere.join(", ")),
            "right if that is a balancer, another gate, or the outside of a NAT before this machine; if it is the old server, clients still go there",
        );
    }
}

/// Implicit TLS first, as RFC 8314 section 3 prefers; of several ports the one that clients know.
fn services(config: &Config) -> Vec<Service> {
    let all = [
        (Protocol::Imap, ListenerTls::Implicit, "_imaps._tcp"),
        (Protocol::Imap, ListenerTls::Starttls, "_imap._tcp"),
        (Protocol::Pop3, ListenerTls::Implicit, "_pop3s._tcp"),
        (Protocol::Pop3, ListenerTls::Starttls, "_pop3._tcp"),
        (Protocol::Smtp, ListenerTls::Implicit, "_submissions._tcp"),
        (Protocol::Smtp, ListenerTls::Starttls, "_submission._tcp"),
    ];
    let service = |(protocol, tls, name)| {
        let fits = |listener: &&crate::config::Listener| (listener.protocol, listener.tls) == (protocol, tls);
        let ports = config.listeners.iter().filter(fits).map(|listener| listener.address.port());
        // Port 25 is for other servers.
        let port = ports.min_by_key(|port| (*port == 25, *port))?;
        let host = config.server.hostname.to_ascii_lowercase();
        Some(Service { name, at: Target { host, port } })
    };
    let mail = all.into_iter().filter_map(service);
    let portal = config.portal.as_ref().filter(|portal| is_name(portal.host())).map(|portal| Service {
        name: "_autodiscover._tcp",
        at: Target { host: portal.host().to_ascii_lowercase(), port: portal.port() },
    });
    mail.chain(portal).collect()
}

/// No record leads to an address.
pub(super) fn is_name(host: &str) -> bool {
    host.trim_matches(['[', ']']).parse::<IpAddr>().is_err()
}

/// Those that clients have in their addresses; `*` names none.
fn domains(config: &Config) -> Vec<Domain> {
    let named = config.upstreams.iter().flat_map(|upstream| {
        let exact = upstream.domains.iter().filter_map(|pattern| match pattern {
            DomainPattern::Exact(domain) => Some(domain),
            DomainPattern::Any => None,
        });
        exact.chain(&upstream.default_domain).chain(&upstream.domain_aliases)
    });
    let mut domains: Vec<Domain> = vec![];
    for domain in named {
        if !domains.contains(domain) {
            domains.push(domain.clone());
        }
    }
    domains
}

async fn look_at_domain(
    domain: &Domain,
    services: &[Service],
    resolver: &TokioResolver,
    report: &mut Report,
) {
    let (mut right, mut missing, mut astray, mut instead) = (vec![], vec![], vec![], vec![]);
    for service in services {
        let name = format!("{}.{domain}", service.name);
        match targets(&name, resolver).await {
            Err(why) => {
                let found = format!("DNS does not say whether there are SRV records: {why}");
                report.doubtful(AREA, domain.as_str(), found, "does this machine's name server answer?");
                return;
            }
            Ok(targets) if targets.is_empty() => missing.push(record(&name, &service.at)),
            Ok(targets) => {
                if targets.iter().all(|target| *target == service.at) {
                    right.push(service.name);
                } else {
                    let elsewhere = targets.iter().filter(|target| **target != service.at);
                    let elsewhere: Vec<_> =
                        elsewhere.map(|target| format!("{}:{}", target.host, target.port)).collect();
                    astray.push(format!("{} leads to {}", service.name, elsewhere.join(", ")));
                    instead.push(record(&name, &service.at));
                }
            }
        }
    }
    if !right.is_empty() {
        report.good(AREA, domain.as_str(), format!("SRV records lead to the gate: {}", right.join(", ")));
    }
    if !astray.is_empty() {
        let found = format!("{}: clients that look for it there go around the gate", astray.join("; "));
        let hint = format!("let these lead to the gate:\n{}", instead.join("\n"));
        report.doubtful(AREA, domain.as_str(), found, hint);
    }
    if !missing.is_empty() {
        // Clients find the gate without, if their users type its name.
        let found = format!(
            "has no SRV records for {} services; with these, clients set themselves up:\n{}",
            missing.len(),
            missing.join("\n")
        );
        report.add(AREA, Mark::Good, domain.as_str(), found, None);
    }
}

fn record(name: &str, at: &Target) -> String {
    format!("{name}. 3600 IN SRV 0 1 {} {}.", at.port, at.host)
}

async fn targets(name: &str, resolver: &TokioResolver) -> Result<Vec<Target>, String> {
    let found = match resolver.srv_lookup(absolute(name)).await {
        Ok(found) => found,
        Err(error) if error.is_no_records_found() => return Ok(vec![]),
        Err(error) => return Err(error.to_string()),
    };
    let targets = found.answers().iter().filter_map(|record| {
        let RData::SRV(srv) = &record.data else { return None };
        let host = srv.target.to_ascii().trim_end_matches('.').to_ascii_lowercase();
        Some(Target { host, port: srv.port })
    });
    Ok(targets.collect())
}

/// No search list is tried.
fn absolute(name: &str) -> String {
    format!("{name}.")
}
