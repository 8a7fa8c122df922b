//! One site, open: its configuration, database, key file and clock, and the services that stand on them.
//!
//! The server and every command begin here, so that nobody opens the same things in another way. What it finds
//! on disk is trusted as far as its permissions go.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::sync::Arc;

use anyhow::Context as _;

use crate::account::{Accounts, Directory};
use crate::app_password::AppPasswords;
use crate::audit::{Audit, AuditError};
use crate::base::{Clock, SiteKey, SystemClock};
use crate::config::Config;
use crate::factor::Factors;
use crate::store::Store;

/// An opened site.
pub struct Site {
    /// The configuration.
    pub config: Config,
    /// The database.
    pub store: Store,
    /// What vouches for rows and trail.
    pub key: Arc<SiteKey>,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

impl Site {
    /// Opens what `config` describes, creating and migrating what is not there yet.
    ///
    /// # Errors
    /// What cannot be opened, and what to do about it.
    pub async fn open(config: Config) -> anyhow::Result<Self> {
        let data_dir = &config.server.data_dir;
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(data_dir)
            .with_context(|| format!("cannot make the data directory `{}`", data_dir.display()))?;
        let key = Arc::new(SiteKey::open_or_create(&config.server.key_file())?);
        let store = Store::open(&config.database).await?;
        Ok(Self { store, key, clock: Arc::new(SystemClock::start()), config })
    }

    /// From names to accounts.
    #[must_use]
    pub fn directory(&self) -> Directory {
        Directory::new(&self.config.upstreams)
    }

    /// Where accounts live.
    #[must_use]
    pub fn accounts(&self) -> Accounts {
        Accounts::new(self.store.clone(), Arc::clone(&self.clock))
    }

    /// Where second factors live.
    #[must_use]
    pub fn factors(&self) -> Factors {
        Factors::new(self.store.clone(), Arc::clone(&self.key), Arc::clone(&self.clock))
    }

    /// Where app passwords live; starts argon2 workers.
    #[must_use]
    pub fn app_passwords(&self) -> AppPasswords {
        AppPasswords::new(self.store.clone(), Arc::clone(&self.key), Arc::clone(&self.clock))
    }

    /// Begins this process's chain in the trail.
    ///
    /// # Errors
    /// [`AuditError`]
    pub async fn audit(&self) -> Result<Audit, AuditError> {
        let (store, key, clock) = (self.store.clone(), Arc::clone(&self.key), Arc::clone(&self.clock));
        Audit::open(&self.config.audit, store, key, clock).await
    }

    /// Ends what was opened.
    pub async fn close(self) {
        self.store.close().await;
    }
}
