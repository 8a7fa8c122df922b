//! All numbers of the moment, on one page.

use super::page::Page;
use super::process::Process;
use super::readiness::Readiness;
use super::{Watched, table};
use crate::audit::Figures;
use crate::meters::NoticesMailed;
use crate::proxy::upstream::{HealthState, Load};

/// The page for Prometheus.
pub(super) async fn page(watched: &Watched) -> String {
    let mut page = Page::default();
    counted(watched, &mut page);
    upstreams(watched, &mut page);
    services(watched, &mut page);
    let ready = Readiness::of(watched).await.ready;
    page.number(&table::READY, &[], u8::from(ready));
    page.count(&table::BUILD, &[env!("CARGO_PKG_VERSION")], 1);
    process(watched, &mut page);
    page.into_text()
}

fn counted(watched: &Watched, page: &mut Page) {
    let meters = watched.gate.meters();
    for (protocol, outcome, count) in meters.attempts() {
        page.count(&table::ATTEMPTS, &[protocol.as_str(), outcome.as_str()], count);
    }
    for (metric, ended) in
        [(&table::SIGN_INS, &meters.sign_ins), (&table::SECOND_FACTORS, &meters.second_factors)]
    {
        for (outcome, count) in ended.so_far() {
            page.count(metric, &[outcome.as_str()], count);
        }
    }
    for (answer, count) in meters.pages() {
        page.count(&table::PAGES, &[answer.as_str()], count);
    }
    let NoticesMailed { sent, put_off, given_up } = &meters.notices;
    for (result, counter) in [("sent", sent), ("put_off", put_off), ("given_up", given_up)] {
        page.count(&table::NOTICES, &[result], counter.so_far());
    }
    for (protocol, handshake, count) in meters.handshakes() {
        let (result, version) = handshake.labels();
        page.count(&table::HANDSHAKES, &[protocol.as_str(), result, version], count);
    }
    for (protocol, count) in meters.connections() {
        page.count(&table::CONNECTIONS, &[protocol.as_str()], count);
    }
    let sessions = watched.gate.sessions();
    for (protocol, figures) in &sessions {
        page.count(&table::SESSIONS, &[protocol.as_str()], figures.sessions);
    }
    for (protocol, figures) in &sessions {
        page.count(&table::BYTES, &[protocol.as_str(), "from_client"], figures.from_client);
        page.count(&table::BYTES, &[protocol.as_str(), "to_client"], figures.to_client);
    }
}

fn upstreams(watched: &Watched, page: &mut Page) {
    let in_force = watched.upstreams.borrow().clone();
    let health = in_force.health();
    for one in &health {
        let address = one.address.to_string();
        let labels = [one.upstream.0.as_str(), one.protocol.as_str(), address.as_str()];
        page.number(&table::UPSTREAM_UP, &labels, u8::from(one.state != HealthState::Down));
    }
    for Load { upstream, connections, .. } in in_force.load() {
        page.number(&table::UPSTREAM_CONNECTIONS, &[upstream.0.as_str()], connections);
    }
    // Protocols that an upstream does not speak would be rows of zeros.
    let mut logins = watched.gate.meters().upstreams();
    logins
        .retain(|row| health.iter().any(|one| one.upstream == row.upstream && one.protocol == row.protocol));
    for row in &logins {
        for (result, count) in &row.logins {
            let labels = [row.upstream.0.as_str(), row.protocol.as_str(), result.as_str()];
            page.count(&table::UPSTREAM_LOGINS, &labels, *count);
        }
    }
    for row in &logins {
        let labels = [row.upstream.0.as_str(), row.protocol.as_str()];
        page.histogram(&table::UPSTREAM_SECONDS, &labels, &row.seconds);
    }
}

fn services(watched: &Watched, page: &mut Page) {
    let argon2 = watched.gate.argon2();
    page.count(&table::ARGON2_WAITING, &[], argon2.waiting);
    page.count(&table::ARGON2_TURNED_AWAY, &[], argon2.turned_away);
    let meters = watched.gate.meters();
    page.count(&table::PROOFS_FOUND, &[], meters.proofs_found.so_far());
    page.count(&table::PROOFS_MISSED, &[], meters.proofs_missed.so_far());
    let Figures { records, syncs, failures, lag, .. } = watched.audit.figures();
    page.count(&table::AUDIT_RECORDS, &[], records);
    page.count(&table::AUDIT_SYNCS, &[], syncs);
    page.count(&table::AUDIT_FAILURES, &[], failures);
    page.seconds(&table::AUDIT_LAG, &[], lag);
}

fn process(watched: &Watched, page: &mut Page) {
    let Process { memory_bytes, cpu_seconds, descriptors, descriptors_max } = Process::read();
    let counts = [
        (&table::MEMORY, memory_bytes),
        (&table::DESCRIPTORS, descriptors),
        (&table::DESCRIPTORS_MAX, descriptors_max),
    ];
    for (metric, count) in counts {
        if let Some(count) = count {
            page.count(metric, &[], count);
        }
    }
    if let Some(seconds) = cpu_seconds {
        page.number(&table::CPU, &[], seconds);
    }
    page.count(&table::STARTED, &[], u64::try_from(watched.started.unix_seconds()).unwrap_or_default());
}
