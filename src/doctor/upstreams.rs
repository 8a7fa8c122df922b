//! The mail servers behind the gate: whether they answer, as whom, and whether they trust the gate.

use std::time::Duration;

use super::certificates::Facts;
use super::{Area, Mark, Report, leg};
use crate::base::{Clock, Protocol};
use crate::config::{Config, Endpoint, EndpointTls, ForwardClient, HostPort, Upstream};
use crate::proxy::examine::{Words, words};
use crate::proxy::upstream::Failure;

const AREA: Area = Area::Upstreams;

pub(super) async fn look(config: &Config, clock: &dyn Clock, report: &mut Report) {
    for upstream in &config.upstreams {
        for protocol in Protocol::ALL {
            let Some(endpoint) = upstream.endpoint(protocol) else { continue };
            for address in &endpoint.addresses {
                // One after the other: to some servers several connections at once look like an attack.
                let at_most = upstream.connect_deadline + Duration::from_secs(5);
                let heard = words(upstream, protocol, address, &config.server.hostname, at_most).await;
                tell(upstream, protocol, endpoint, address, heard, clock.now().unix_seconds(), report);
            }
        }
    }
}

fn tell(
    upstream: &Upstream,
    protocol: Protocol,
    endpoint: &Endpoint,
    address: &HostPort,
    heard: Result<Words, Failure>,
    now: i64,
    report: &mut Report,
) {
    let subject = format!("{}/{protocol} at {address}", upstream.name);
    let words = match heard {
        Ok(words) => words,
        Err(failure) => {
            report.wrong(AREA, subject, failure.to_string(), hint(&failure));
            return;
        }
    };
    let took = words.took.as_millis();
    let (leg, offer) = (leg(endpoint.tls), words.offer.join(", "));
    report.good(AREA, subject.as_str(), format!("answers {leg} in {took} ms and offers {offer}"));
    if endpoint.tls == EndpointTls::None
        && !address.host.starts_with("127.")
        && address.host != "localhost"
        && address.host != "::1"
    {
        report.doubtful(
            AREA,
            subject.as_str(),
            "passwords go there in clear",
            "set `tls` to \"starttls\" or \"implicit\", unless nobody else can listen on that wire",
        );
    }
    if let Some(facts) = words.certificate.as_deref().and_then(Facts::read) {
        tell_certificate(endpoint, &subject, &facts, now, report);
    }
    tell_trust(upstream.forward_client, protocol, &subject, &words, report);
}

fn tell_certificate(endpoint: &Endpoint, subject: &str, facts: &Facts, now: i64, report: &mut Report) {
    let (mark, found) = facts.dates(now);
    let pinned = !endpoint.pin_sha256.is_empty();
    match mark {
        Mark::Good => report.good(AREA, subject, format!("its certificate {found}")),
        Mark::Doubtful | Mark::Wrong if pinned => {
            report.good(
                AREA,
                subject,
                format!("its certificate {found}; its key is pinned, so that does not matter"),
            );
        }
        Mark::Doubtful | Mark::Wrong => report.add(
            AREA,
            mark,
            subject,
            format!("its certificate {found}: then nobody gets in"),
            Some("have it renewed there, or pin its key with `pin_sha256`".to_owned()),
        ),
    }
}

/// A server that trusts an address lets it say for whom it speaks, and says so in what it offers (Postfix, Dovecot's
/// POP3). IMAP has no word for it.
fn tell_trust(forward: ForwardClient, protocol: Protocol, subject: &str, words: &Words, report: &mut Report) {
    const DOUBT: &str = "sees every failed login as the gate's own, so that its penalty for one may hit all";
    match forward {
        ForwardClient::ProxyV2 => {
            report.good(AREA, subject, "takes the PROXY header that says where a client comes from");
            return;
        }
        ForwardClient::None => {
            let found =
                format!("is not told where clients come from (`forward_client = \"none\"`): it {DOUBT}");
            let hint = "set it to \"auto\" and let the server trust the gate's address, or keep `failures_in_all` of the upstream below what the server bans at";
            report.doubtful(AREA, subject, found, hint);
            return;
        }
        ForwardClient::Auto | ForwardClient::Id | ForwardClient::Xclient => {}
    }
    if words.offers_xclient() {
        report.good(AREA, subject, "trusts the gate's address: it offers XCLIENT");
        return;
    }
    let (found, hint) = match protocol {
        Protocol::Imap => (
            format!(
                "whether it trusts the gate's address cannot be heard over IMAP; one that does not {DOUBT}"
            ),
            "Dovecot: `login_trusted_networks` must have the gate's address (over POP3 it then offers XCLIENT): docs/admin/client-addresses.md",
        ),
        Protocol::Pop3 => (
            format!("does not offer XCLIENT, so it does not trust the gate's address: it {DOUBT}"),
            "Dovecot: put the gate's address into `login_trusted_networks`; else keep `failures_in_all` of the upstream below what it bans at",
        ),
        Protocol::Smtp => (
            format!("does not offer XCLIENT, so it does not trust the gate's address: it {DOUBT}"),
            "Postfix: put the gate's address into `smtpd_authorized_xclient_hosts`; else keep `failures_in_all` of the upstream below what it bans at",
        ),
    };
    report.doubtful(AREA, subject, found, hint);
}

fn hint(failure: &Failure) -> &'static str {
    match failure {
        Failure::Resolve(_) => "correct the host in `address`, or the name server of this machine",
        Failure::Connect(_) | Failure::Silent(_) => {
            "is the server running, and does every firewall between let the gate through?"
        }
        Failure::Handshake(_) => {
            "does this port speak TLS as `tls` says? `mailward init` finds out what it speaks"
        }
        Failure::Certificate { .. } => {
            "correct `server_name`, `ca_file` or `pin_sha256` of this endpoint, if that certificate is right"
        }
        Failure::Said(_) => "does this port speak this protocol, and TLS as `tls` says?",
        Failure::Broken(_)
        | Failure::Slow
        | Failure::ClientsTime
        | Failure::Stopping
        | Failure::Down(_)
        | Failure::Full
        | Failure::NotServed => "look into the server's own log",
    }
}
