//! Composition: opens the site, builds the gate floor by floor, serves, and closes in the reverse order.
//!
//! It decides nothing; it must not begin to serve before everything it needs is there.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

use crate::account::Stray;
use crate::audit::{Audit, Event};
use crate::config::{Config, UpstreamCredential, WhenFull, secret_file};
use crate::gate::{Authenticator, Dependencies, UpstreamRules};
use crate::proxy::{Bound, Upstreams, descriptors};
use crate::site::Site;

/// How often last uses are written to the database: late enough to gather many, early enough for a list that
/// somebody looks at.
const USES_EVERY: Duration = Duration::from_secs(5);

/// How often changes are looked for that end sessions. With the time to read and to say goodbye they are over within
/// a second.
const CHANGES_EVERY: Duration = Duration::from_millis(250);

/// How often the list of live sessions is brought up to date.
const LIST_EVERY: Duration = Duration::from_secs(1);

/// How many accounts that cannot be reached are named in the log; whoever withdraws a domain may have thousands.
const STRAYS_NAMED: usize = 20;

/// Serves until `SIGTERM` or `SIGINT`, then lets sessions end in order.
///
/// # Errors
/// Whatever keeps the gate from starting, with what to do about it.
pub async fn run(mut config: Config) -> anyhow::Result<()> {
    config.limits.connections = descriptors::fit(config.limits.connections);
    // First what fails most often and costs nothing: addresses, certificates, upstream settings.
    let bound = Bound::new(&config)?;
    let upstreams = Arc::new(Upstreams::new(&config)?);
    let rules = upstream_rules(&config)?;
    let site = Site::open(config).await?;
    warn_of_strays(&site).await?;
    let audit = site.audit_of_logins().await?;
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
    match audit.append(Event::Started { version: version.clone() }).await {
        Err(error) if site.config.audit.when_full == WhenFull::Continue => {
            tracing::error!(error = &error as &dyn std::error::Error, "the start is not in the trail");
        }
        recorded => recorded?,
    }
    for (protocol, address) in bound.addresses() {
        tracing::info!(%protocol, %address, "listening");
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

/// An account that no name leads to is found by nobody who does not look for it: least of all by its owner, whose
/// second factor is bound to it.
async fn warn_of_strays(site: &Site) -> anyhow::Result<()> {
    let accounts = site.accounts().list().await.context("cannot read the accounts")?;
    let mut strays = site.directory.strays(&accounts);
    for Stray { address, bound_factors, leads_to } in strays.by_ref().take(STRAYS_NAMED) {
        match leads_to {
            Ok(other) => tracing::warn!(
                account = %address,
                bound_factors,
                "an account cannot be reached any more: `{address}` leads to the account `{other}` now\nhint: bind and make for `{other}` what its user needs, then `mailward account remove {address}`"
            ),
            Err(why) => tracing::warn!(
                account = %address,
                bound_factors,
                "an account cannot be reached any more: {why}\nhint: correct the configuration, or `mailward account remove {address}`"
            ),
        }
    }
    match strays.count() {
        0 => {}
        more => tracing::warn!("{more} more accounts cannot be reached any more"),
    }
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

/// Turns `close` true at the first signal; the second one ends the process at once.
async fn until_told_to_stop(close: watch::Sender<bool>) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
    for last in [false, true] {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        if last {
            tracing::warn!("told to stop twice: sessions are cut off");
            std::process::exit(1);
        }
        tracing::info!("stopping: no new connections, sessions in flight may end");
        close.send_replace(true);
    }
    Ok(())
}

/// Sessions are ended and listed until this is dropped, while the gate drains too.
fn watch_sessions(gate: &Arc<Authenticator>) -> JoinSet<()> {
    let mut watches = JoinSet::new();
    let [changes, expiry, list] = [(); 3].map(|()| Arc::clone(gate));
    // Each by itself: a database that is slow to answer holds up no expiry.
    watches.spawn(every(CHANGES_EVERY, async move || changes.hear_changes().await));
    watches.spawn(every(CHANGES_EVERY, async move || expiry.end_expired()));
    watches.spawn(every(LIST_EVERY, async move || list.list_sessions().await));
    watches
}

async fn every(period: Duration, work: impl AsyncFn()) {
    let mut ticks = interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        work().await;
    }
}

async fn write_uses(gate: Arc<Authenticator>, mut closing: watch::Receiver<bool>) {
    let mut ticks = interval(USES_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => {
                gate.flush_uses().await;
                gate.record_refusals(true).await;
            }
            () = async { drop(closing.wait_for(|closing| *closing).await) } => return,
        }
    }
}

async fn end_trail(audit: &Audit) {
    if let Err(error) = audit.append(Event::Stopped).await {
        tracing::error!(error = &error as &dyn std::error::Error, "the stop is not in the trail");
    }
    audit.close().await;
}
