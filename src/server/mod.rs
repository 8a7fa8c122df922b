//! Composition: opens the site, builds the gate floor by floor, serves, and closes in the reverse order.
//!
//! It decides nothing; it must not begin to serve before everything it needs is there.
//!
//! ```text
//!   files, signals ──orders──▶ run ──reload──▶ gate and proxy adopt another configuration
//!                               │ ▲
//!             service manager ◀─┘ └── chores: every so often
//! ```

mod chores;
mod files;
mod mail;
mod notify;
mod orders;
mod portal;
mod reload;
mod strays;

use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Interval, MissedTickBehavior, interval, timeout};

use crate::audit::{Audit, Event};
use crate::config::{Config, WhenFull};
use crate::gate::{Authenticator, Dependencies};
use crate::notify::Postman;
use crate::proxy::inherited::Inherited;
use crate::proxy::{Lanes, Prepared, Proxy, descriptors};
use crate::site::Site;
use crate::telemetry::{WatchListener, Watched};
use crate::web;
use chores::{Watches, write_uses};
use notify::ServiceManager;
use orders::{Order, Orders};
use portal::{ServedPortal, Shared};
pub use reload::check_files;
use reload::{Reloader, rules};
use strays::warn_of_strays;

/// What closing takes at most, beyond what sessions may: the last words, the last records.
const CLOSE_MAX: Duration = Duration::from_secs(15);

/// For what is recorded of those who did not leave by themselves.
const RECORDING_MAX: Duration = Duration::from_secs(2);

/// Serves `config`, which stands in the file at `path`, until `SIGTERM` or `SIGINT`, then lets sessions end in order.
/// `inherited` are the sockets that came with the process.
///
/// # Errors
/// Whatever keeps the gate from starting, with what to do about it.
pub async fn run(path: &Path, mut config: Config, mut inherited: Inherited) -> anyhow::Result<()> {
    let manager = ServiceManager::from_environment();
    let mut reloader = Reloader::new(path, config.clone());
    // Before anything is read that may change: a signal that comes early is not lost.
    let mut orders = Orders::listen(reloader.files())?;
    config.limits.connections = descriptors::fit(config.limits.connections, web::browsers(&config));
    // First what fails most often and costs nothing: addresses, certificates, upstream settings.
    let watching = config.metrics.as_ref().map(|metrics| WatchListener::bind(metrics.listen)).transpose()?;
    let door = portal::bind(&config, &mut inherited)?;
    let prepared = Prepared::first(&config, inherited)?;
    let relay = mail::of(&config)?;
    // They end last: connections to the database were made in them.
    let lanes = Lanes::start()?;
    let site = Site::open(config).await?;
    let rules = rules(&site.config, Arc::clone(&site.directory))?;
    warn_of_strays(&site.directory, &site.accounts()).await?;
    if let Some(error) = prepared.out_of_date(site.clock.now()) {
        tracing::warn!("clients will complain: {error}");
    }
    let audit = site.audit_of_logins().await?;
    let app_passwords = Arc::new(site.app_passwords());
    let gate = Arc::new(Authenticator::new(Dependencies {
        store: site.store.clone(),
        app_passwords: Arc::clone(&app_passwords),
        audit: audit.clone(),
        clock: Arc::clone(&site.clock),
        rules,
    }));

    let (close, closing) = watch::channel(false);
    let uses = tokio::spawn(write_uses(Arc::clone(&gate), closing.clone()));
    // What happened before anybody is let in ends nobody.
    gate.hear_changes().await;
    let mut watches = Watches::start(&gate, &site.clock);
    let postman = Arc::new(Postman::new(
        site.store.clone(),
        Arc::clone(&site.key),
        Arc::clone(&site.clock),
        audit.clone(),
        relay,
    ));
    watches.send_mail(&postman, gate.meters());
    let kept_for = watch::Sender::new(site.config.audit.retention);
    watches.expire_records(&audit, &site.store, kept_for.subscribe());
    let version = env!("CARGO_PKG_VERSION").to_owned();
    match audit.append(Event::Started { version: version.clone() }).await {
        Err(error) if gate.when_full() == WhenFull::Continue => {
            tracing::error!(error = &error as &dyn std::error::Error, "the start is not in the trail");
        }
        recorded => recorded?,
    }
    for (protocol, address) in prepared.addresses() {
        tracing::info!(%protocol, %address, "listening");
    }
    let mut proxy =
        Proxy::open(prepared, &lanes, Arc::clone(&gate), Arc::clone(&site.clock), closing.clone()).await;
    let shared = Shared {
        site: &site,
        gate: &gate,
        app_passwords: &app_passwords,
        audit: &audit,
        proxy: &proxy,
        postman: &postman,
    };
    let portal = door.and_then(|door| ServedPortal::open(door, &shared, closing.clone()));
    // Dropping the set ends it, when nothing is left to be watched.
    let mut watchers = JoinSet::new();
    if let Some(listener) = watching {
        if let Ok(address) = listener.address() {
            tracing::info!(%address, "listening for metrics and health");
        }
        let watched = Watched {
            gate: Arc::clone(&gate),
            upstreams: proxy.upstreams(),
            audit: audit.clone(),
            store: site.store.clone(),
            started: site.clock.now(),
            closing,
        };
        watchers.spawn(listener.serve(watched));
    }
    tracing::info!(version, hostname = site.config.server.hostname, "serving");
    manager.ready("serving");

    let mut checks = manager.watchdog().map(checks);
    loop {
        let order = tokio::select! {
            biased;
            () = next(&mut checks) => {
                if watches.are_kept() && proxy.is_attended() && audit.is_attended() {
                    manager.alive();
                } else {
                    tracing::error!("a part of the gate is stuck: the service manager is left to end it");
                }
                continue;
            }
            order = orders.next() => order,
        };
        match order {
            Order::Reload => {
                manager.reloading();
                orders.note_files().await;
                let said = {
                    let mut reload = pin!(reloader.reload(&site, &gate, &mut proxy, &postman, &audit));
                    loop {
                        tokio::select! {
                            biased;
                            said = &mut reload => break Some(said),
                            () = orders.stop() => break None,
                            // Servers and disks may take their time to answer.
                            () = next(&mut checks) => {
                                if watches.are_kept() && audit.is_attended() {
                                    manager.alive();
                                }
                            }
                        }
                    }
                };
                let Some(said) = said else { break };
                kept_for.send_replace(reloader.running().audit.retention);
                if let Some(portal) = &portal {
                    portal.adopt(reloader.running(), &proxy);
                }
                orders.look_at(reloader.files());
                manager.ready(&said);
            }
            Order::Stop => break,
        }
    }
    drop(reloader);
    tracing::info!("stopping: no new connections, sessions in flight may end");
    manager.stopping(proxy.drain() + CLOSE_MAX);
    let second = tokio::spawn(orders.end_at_the_next());
    close.send_replace(true);
    let browsers = async {
        if let Some(portal) = portal {
            portal.ended().await;
        }
    };
    tokio::join!(proxy.drained(), browsers);
    if timeout(RECORDING_MAX, gate.finished()).await.is_err() {
        tracing::error!("what ended last may not be in the trail");
    }
    second.abort();
    uses.abort();
    drop(watches);
    gate.unlist_sessions().await;
    gate.flush_uses().await;
    gate.record_refusals(false).await;
    end_trail(&audit).await;
    site.close().await;
    tracing::info!("stopped");
    Ok(())
}

/// Well within the time after which the service manager loses patience.
fn checks(watchdog: Duration) -> Interval {
    let mut ticks = interval((watchdog / 3).max(Duration::from_millis(1)));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

/// The next tick of a clock that may not be there.
async fn next(ticks: &mut Option<Interval>) {
    match ticks {
        Some(ticks) => drop(ticks.tick().await),
        None => std::future::pending().await,
    }
}

async fn end_trail(audit: &Audit) {
    if let Err(error) = audit.append(Event::Stopped).await {
        tracing::error!(error = &error as &dyn std::error::Error, "the stop is not in the trail");
    }
    audit.close().await;
}
