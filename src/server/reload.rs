//! Another reading of the configuration while the gate serves: all of it that can hold at once, or nothing.
//!
//! The files are the administrator's and may be half written or wrong. Everything that can fail is done before anything
//! is changed; whoever is connected does not notice.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use tokio::task::JoinSet;

use super::files::Marked;
use super::mail;
use super::strays::warn_of_strays;
use crate::account::Directory;
use crate::audit::{Audit, Event};
use crate::config::{Config, UpstreamCredential, secret_file};
use crate::gate::{Authenticator, Rules, UpstreamRules};
use crate::notify::Postman;
use crate::proxy::Proxy;
use crate::proxy::tls::Certificates;
use crate::proxy::upstream::Upstreams;
use crate::site::Site;

/// The configuration in force, and how to get at the next.
pub(super) struct Reloader {
    path: PathBuf,
    running: Config,
    /// It, and what the last reading names, as it was before that; of one that nothing came of, too, which may be put right without
    /// another word in its own file.
    named: Vec<Marked>,
    /// Looks for accounts that are out of reach now; ends with this.
    looking: JoinSet<()>,
}

/// What a reload left open.
pub(super) struct Reloaded {
    /// Keys whose change waits for the next start.
    needing_restart: Vec<&'static str>,
    /// Live sessions that end with it.
    sessions_ended: usize,
}

impl Reloader {
    /// `running`, which was read from the file at `path`, is in force.
    pub(super) fn new(path: &Path, running: Config) -> Self {
        let named = marked(path, &running);
        Self { path: path.to_owned(), running, named, looking: JoinSet::new() }
    }

    /// The configuration in force.
    pub(super) fn running(&self) -> &Config {
        &self.running
    }

    /// Every file whose change is a reason to reload.
    pub(super) fn files(&self) -> Vec<Marked> {
        let is_named = |path: &Path| self.named.iter().any(|named| named.path() == path);
        let others = self.running.files().into_iter().filter(|path| !is_named(path));
        let others = others.map(|path| Marked::watched(path.to_owned()));
        self.named.iter().cloned().chain(others).collect()
    }

    /// Reads everything anew; log and trail say what came of it. Returns the same in one line. May be dropped: then all of
    /// it is in force, or nothing.
    pub(super) async fn reload(
        &mut self,
        site: &Site,
        gate: &Authenticator,
        proxy: &mut Proxy,
        postman: &Postman,
        audit: &Audit,
    ) -> String {
        let (event, said) = match self.try_reload(site, gate, proxy, postman).await {
            Ok(Reloaded { needing_restart, sessions_ended }) => {
                let keys = needing_restart.join("`, `");
                if !keys.is_empty() {
                    tracing::warn!(
                        "`{keys}` changed: this takes effect at the next start\nhint: restart the gate"
                    );
                }
                tracing::info!(sessions_ended, "reloaded");
                let said = if keys.is_empty() {
                    "serving".to_owned()
                } else {
                    format!("serving; restart to change `{keys}`")
                };
                let needing_restart = needing_restart.into_iter().map(str::to_owned).collect();
                let sessions_ended = u64::try_from(sessions_ended).unwrap_or(u64::MAX);
                (Event::ConfigurationReloaded { needing_restart, sessions_ended }, said)
            }
            Err(error) => {
                tracing::error!("nothing was reloaded, what was in force stays in force: {error:#}");
                // What follows the first line is hints.
                let reason =
                    error.chain().filter_map(|one| one.to_string().lines().next().map(str::to_owned));
                let reason = reason.collect::<Vec<_>>().join(": ");
                let said = format!("serving what was in force before: {reason}");
                (Event::ReloadFailed { reason }, said)
            }
        };
        if let Err(error) = audit.append(event).await {
            tracing::error!(error = &error as &dyn std::error::Error, "the reload is not in the trail");
        }
        said
    }

    async fn try_reload(
        &mut self,
        site: &Site,
        gate: &Authenticator,
        proxy: &mut Proxy,
        postman: &Postman,
    ) -> anyhow::Result<Reloaded> {
        let (running, named) = (&self.running, &mut self.named);
        let (config, needing_restart, rules, relay) = tokio::task::block_in_place(|| {
            let mut config = Config::load(&self.path)?;
            *named = marked(&self.path, &config);
            let needing_restart = config.keep_what_needs_a_restart(running);
            let rules = rules(&config, Arc::new(Directory::new(&config.upstreams)?))?;
            let relay = mail::of(&config)?;
            anyhow::Ok((config, needing_restart, rules, relay))
        })?;
        let prepared = proxy.prepare(&config).await?;

        let directory = Arc::clone(&rules.directory);
        for (protocol, address) in prepared.addresses() {
            tracing::info!(%protocol, %address, "listening");
        }
        // First who gets in, then where, and nothing in between: until then nobody is judged.
        let sessions_ended = gate.adopt(rules);
        postman.adopt(relay);
        for address in proxy.adopt(prepared) {
            tracing::info!(%address, "listening no more");
        }
        self.running = config;
        // Not to wait for a database that may be away.
        let accounts = site.accounts();
        self.looking = JoinSet::new();
        self.looking.spawn(async move {
            if let Err(error) = warn_of_strays(&directory, &accounts).await {
                tracing::warn!("{error:#}");
            }
        });
        Ok(Reloaded { needing_restart, sessions_ended })
    }
}

/// What `config`, which was read from `path`, rests on, as it is now.
fn marked(path: &Path, config: &Config) -> Vec<Marked> {
    std::iter::once(path).chain(config.files()).map(|file| Marked::now(file.to_owned())).collect()
}

/// Reads every file that `config` names as a start would, and opens no door.
///
/// # Errors
/// Which of them cannot be used.
pub fn check_files(config: &Config) -> anyhow::Result<()> {
    Certificates::load(&config.certificates)?;
    Upstreams::new(config)?;
    rules(config, Arc::new(Directory::new(&config.upstreams)?))?;
    mail::of(config)?;
    Ok(())
}

/// What `config` says about who gets in, the master passwords that it names included.
pub(super) fn rules(config: &Config, directory: Arc<Directory>) -> anyhow::Result<Rules> {
    let upstreams = config.upstreams.iter().map(|upstream| {
        let master_password = match &upstream.credential {
            UpstreamCredential::Sealed => None,
            UpstreamCredential::Master(master) => {
                let named = || format!("upstream `{}` cannot be used", upstream.name);
                Some(secret_file::read(&master.password_file).with_context(named)?)
            }
        };
        Ok(UpstreamRules::new(upstream, master_password)?)
    });
    Ok(Rules {
        directory,
        policies: config.policies.clone(),
        limits: config.limits.clone(),
        when_full: config.audit.when_full,
        upstreams: upstreams.collect::<anyhow::Result<_>>()?,
    })
}
