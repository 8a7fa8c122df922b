//! What the sections say about each other.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::Range;

use toml::Spanned;

use super::document::{Document, alternatives, nearest};
use super::endpoint::HostPort;
use super::listener::{Listener, RawListener};
use super::upstream::{RawUpstream, Upstream};
use crate::base::{Domain, Protocol};

/// There is a door, each is there once, and each has a certificate.
pub(super) fn check_listeners(
    document: &mut Document<'_>,
    listeners: Vec<(Range<usize>, RawListener)>,
    has_certificate: bool,
) -> Vec<(Range<usize>, Listener)> {
    let listeners: Vec<(Range<usize>, Listener)> =
        listeners.into_iter().map(|(span, raw)| (span, raw.into())).collect();
    let Some((first, _)) = listeners.first() else {
        document.problem(
            &(0..0),
            "there is no `[[listener]]`\nhint: add one with `protocol`, `address` and `tls`; `config/mailward.toml` shows them",
        );
        return vec![];
    };
    if !has_certificate {
        document.problem(
            first,
            "`[[listener]]` needs a certificate and there is none\nhint: add `[[tls.certificate]]` with `cert` and `key`; `mailward init` makes a self-signed one",
        );
    }
    for (index, (span, listener)) in listeners.iter().enumerate() {
        if listeners.iter().take(index).any(|(_, other)| collide(other.address, listener.address)) {
            document.problem(
                span,
                &format!("`address` `{}` is taken by a `[[listener]]` above\nhint: `[::]` serves IPv4 too; remove one", listener.address),
            );
        }
    }
    listeners
}

/// The dual-stack wildcard holds the IPv4 wildcard too. Port 0 is a different free port each time.
fn collide(a: SocketAddr, b: SocketAddr) -> bool {
    let every =
        |ip: IpAddr| ip == IpAddr::V6(Ipv6Addr::UNSPECIFIED) || ip == IpAddr::V4(Ipv4Addr::UNSPECIFIED);
    a.port() == b.port() && a.port() != 0 && (a.ip() == b.ip() || (every(a.ip()) && every(b.ip())))
}

/// There is an upstream, and no name or domain leads to two.
pub(super) fn check_claims(document: &mut Document<'_>, upstreams: &[(Range<usize>, RawUpstream)]) {
    if upstreams.is_empty() {
        document.problem(
            &(0..0),
            "there is no `[[upstream]]`\nhint: add one with `name`, `domains` and where it speaks `imap`, `pop3` or `smtp`",
        );
    }
    let mut names: Vec<String> = vec![];
    let mut domains: Vec<(String, String)> = vec![];
    for (_, upstream) in upstreams {
        let (name, claimed) = upstream.claims();
        let span = name.span();
        let name = name.into_inner();
        if names.contains(&name) {
            document.problem(
                &span,
                &format!("another `[[upstream]]` is called `{name}`\nhint: give each a name of its own"),
            );
        }
        for domain in claimed {
            match domains.iter().find(|(taken, _)| taken == domain.get_ref()) {
                Some((_, owner)) => document.problem(
                    &domain.span(),
                    &format!(
                        "the domain `{}` of `[[upstream]]` `{name}` belongs to `{owner}` already\nhint: each domain, alias and `*` leads to one upstream",
                        domain.get_ref()
                    ),
                ),
                None => domains.push((domain.into_inner(), name.clone())),
            }
        }
        names.push(name);
    }
}

/// What a listener leads to is there, and speaks its protocol.
pub(super) fn check_ways(
    document: &mut Document<'_>,
    listeners: &[(Range<usize>, RawListener)],
    upstreams: &[(Range<usize>, RawUpstream)],
) {
    let names: Vec<&str> = upstreams.iter().map(|(_, upstream)| upstream.name()).collect();
    for (_, listener) in listeners {
        let (protocol, leads_to) = listener.leads_to();
        for name in leads_to {
            let (span, name) = (name.span(), name.get_ref().as_str());
            match upstreams.iter().find(|(_, upstream)| upstream.name() == name) {
                None => document.problem(&span, &no_such_upstream(name, &names)),
                Some((_, upstream)) if !upstream.speaks(protocol) => document.problem(
                    &span,
                    &format!("this `[[listener]]` speaks `{protocol}`, and `[[upstream]]` `{name}` does not\nhint: add `{protocol} = {{ address = [\"HOST:PORT\"], tls = \"starttls\" }}` there, or remove `{name}` here"),
                ),
                Some(_) => {}
            }
        }
    }
}

fn no_such_upstream(name: &str, names: &[&str]) -> String {
    let hint = match nearest(name, names) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("write the `name` of an `[[upstream]]`: {}", alternatives(names)),
    };
    format!(
        "`upstreams` of this `[[listener]]` names `{name}`, and no `[[upstream]]` is called so\nhint: {hint}"
    )
}

/// Rules for a domain that no account can have would protect nobody.
pub(super) fn check_ruled(
    document: &mut Document<'_>,
    ruled: &[Spanned<Domain>],
    upstreams: &[(Range<usize>, RawUpstream)],
) {
    for domain in ruled {
        let name = domain.get_ref();
        let of_an_alias = upstreams.iter().any(|(_, upstream)| upstream.is_alias(name));
        let serves = |(_, upstream): &(_, RawUpstream)| upstream.serves(name);
        if of_an_alias {
            document.problem(
                &domain.span(),
                &format!("`[policy.\"{name}\"]` rules an alias domain, which no account has\nhint: write the upstream's `default_domain`"),
            );
        } else if !upstreams.is_empty() && !upstreams.iter().any(serves) {
            document.problem(
                &domain.span(),
                &format!("`[policy.\"{name}\"]` rules a domain that no `[[upstream]]` serves\nhint: correct it, or add it to `domains`"),
            );
        }
    }
}

/// One server in two sections must hear addresses as different names in both, or two accounts had one mailbox.
pub(super) fn check_shared_servers(document: &mut Document<'_>, upstreams: &[(Range<usize>, Upstream)]) {
    for (index, (span, upstream)) in upstreams.iter().enumerate() {
        let shares = |other: &Upstream| {
            Protocol::ALL.into_iter().find_map(|protocol| {
                let (here, there) = (upstream.endpoint(protocol)?, other.endpoint(protocol)?);
                let shared = |one: &&HostPort| there.addresses.iter().any(|other| other.is(one));
                here.addresses.iter().find(shared).map(ToString::to_string)
            })
        };
        let alike = |other: &Upstream| other.login == upstream.login && upstream.login.carries_domain();
        for (_, other) in upstreams.iter().take(index).filter(|(_, other)| !alike(other)) {
            if let Some(place) = shares(other) {
                document.problem(
                    span,
                    &format!(
                        "`[[upstream]]` `{}` and `{}` are the same server (`{place}`), and their `login` can make the same name of two addresses\nhint: join the two sections, or give both the same `login`, one with the domain in it",
                        other.name, upstream.name
                    ),
                );
            }
        }
    }
}

/// Behind each door somebody speaks its protocol.
pub(super) fn check_endpoints(
    document: &mut Document<'_>,
    listeners: &[(Range<usize>, Listener)],
    upstreams: &[(Range<usize>, Upstream)],
) {
    for (span, listener) in listeners {
        let protocol = listener.protocol;
        if !upstreams.iter().any(|(_, upstream)| upstream.endpoint(protocol).is_some()) {
            document.problem(
                span,
                &format!("this `[[listener]]` speaks `{protocol}`, but no `[[upstream]]` does\nhint: add `{protocol} = {{ address = [\"HOST:PORT\"], tls = \"starttls\" }}` to an `[[upstream]]`, or remove the listener"),
            );
        }
    }
}
