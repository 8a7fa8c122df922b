//! Composition: opens the site, builds the gate floor by floor, serves, and closes in the reverse order.
//!
//! It decides nothing; it must not begin to serve before everything it needs is there.

mod chores;
mod signals;
mod strays;

use std::sync::Arc;

use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::audit::{Audit, Event};
use crate::config::{Config, UpstreamCredential, secret_file};
use crate::gate::{Authenticator, Dependencies, UpstreamRules};
use crate::proxy::{Bound, Upstreams, descriptors};
use crate::site::Site;
use crate::telemetry::{WatchListener, Watched};
use chores::{watch_sessions, write_uses};
use signals::until_told_to_stop;
use strays::warn_of_strays;

/// Serves until `SIGTERM` or `SIGINT`, then lets sessions end in order.
///
/// # Errors
/// Whatever keeps the gate from starting, with what to do about it.
pub async fn run(mut config: Config) -> anyhow::Result<()> {
    config.limits.connections = descriptors::fit(config.limits.connections);
    // First what fails most often and costs nothing: addresses, certificates, upstream settings.
    let bound = Bound::new(&config)?;
    let watching = config.metrics.as_ref().map(|metrics| WatchListener::bind(metrics.listen)).transpose()?;
    let upstreams = Arc::new(Upstreams::new(&config)?);
    let rules = upstream_rules(&config)?;
    let site = Site::open(config).await?;
    warn_of_strays(&site).await?;
    let audit = site.audit().await?;
    let gate = Arc::new(Authenticator::new(Dependencies {
        store: site.store.clone(),
        app_passwords: Arc::new(site.app_passwords()),
        directory: Arc::clone(&site.directory),
        policies: site.config.policies.clone(),
        limits: site.config.limits.clone(),
        audit: audit.clone(),
        when_full: site.config.audit.when_full,
        clock: Arc::clone(&site.clock),
        upstreams: rules,
    }));

    let (close, closing) = watch::channel(false);
    let uses = tokio::spawn(write_uses(Arc::clone(&gate), closing.clone()));
    // What happened before anybody is let in ends nobody.
    gate.hear_changes().await;
    let watches = watch_sessions(&gate);
    let signals = tokio::spawn(until_told_to_stop(close));
    let version = env!("CARGO_PKG_VERSION").to_owned();
    audit.append(Event::Started { version: version.clone() }).await?;
    for (protocol, address) in bound.addresses() {
        tracing::info!(%protocol, %address, "listening");
    }
    // Dropping the set ends it, when nothing is left to be watched.
    let mut watchers = JoinSet::new();
    if let Some(listener) = watching {
        if let Ok(address) = listener.address() {
            tracing::info!(%address, "listening for metrics and health");
        }
        let watched = Watched {
            gate: Arc::clone(&gate),
            upstreams: Arc::clone(&upstreams),
            audit: audit.clone(),
            when_full: site.config.audit.when_full,
            store: site.store.clone(),
            started: site.clock.now(),
            closing: closing.clone(),
        };
        watchers.spawn(listener.serve(watched));
    }
    tracing::info!(version, hostname = site.config.server.hostname, "serving");

    let served = bound.serve(Arc::clone(&gate), upstreams, Arc::clone(&site.clock), closing).await;
    signals.abort();
    uses.abort();
    drop(watches);
    gate.unlist_sessions().await;
    gate.flush_uses().await;
    gate.record_refusals(false).await;
    end_trail(&audit).await;
    site.close().await;
    served?;
    tracing::info!("stopped");
    Ok(())
}

/// What the gate must know of each upstream, master passwords included.
fn upstream_rules(config: &Config) -> anyhow::Result<Vec<UpstreamRules>> {
    let rules = config.upstreams.iter().map(|upstream| {
        let master_password = match &upstream.credential {
            UpstreamCredential::Sealed => None,
            UpstreamCredential::Master(master) => Some(secret_file::read(&master.password_file)?),
        };
        Ok(UpstreamRules::new(upstream, master_password)?)
    });
    rules.collect()
}

async fn end_trail(audit: &Audit) {
    if let Err(error) = audit.append(Event::Stopped).await {
        tracing::error!(error = &error as &dyn std::error::Error, "the stop is not in the trail");
    }
    audit.close().await;
}
