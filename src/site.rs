//! One site, open: its configuration, database, key file and clock, and the services that stand on them.
//!
//! The server and every command begin here, so that nobody opens the same things in another way. What it finds
//! on disk is trusted as far as its permissions go.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;

use crate::account::{Accounts, Directory};
use crate::app_password::AppPasswords;
use crate::audit::{Audit, AuditError};
use crate::base::key::Purpose;
use crate::base::{Clock, SiteKey, SystemClock};
use crate::config::{Config, Database, WhenFull};
use crate::factor::Factors;
use crate::gate::LiveSessions;
use crate::meters::Meters;
use crate::notify::Notices;
use crate::portal::SignedIn;
use crate::store::Store;

/// An opened site.
pub struct Site {
    /// The configuration.
    pub config: Config,
    /// The database.
    pub store: Store,
    /// From names to accounts.
    pub directory: Arc<Directory>,
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
        let directory = Arc::new(Directory::new(&config.upstreams)?);
        let data_dir = &config.server.data_dir;
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(data_dir)
            .with_context(|| format!("cannot make the data directory `{}`", data_dir.display()))?;
        is_no_lost_database(&config)?;
        let store = Store::open(&config.database)
            .await
            .with_context(|| format!("cannot open the database `{}`", config.database))?;
        match open_key(&config.server.key_file(), &store).await {
            Ok(key) => {
                let (key, clock) = (Arc::new(key), Arc::new(SystemClock::start()));
                Ok(Self { config, store, directory, key, clock })
            }
            Err(error) => {
                store.close().await;
                Err(error)
            }
        }
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

    /// Where live sessions are listed and ended.
    #[must_use]
    pub fn live_sessions(&self) -> LiveSessions {
        LiveSessions::new(self.store.clone())
    }

    /// Where browsers that are signed in to the portal are listed and signed out.
    #[must_use]
    pub fn signed_in(&self) -> SignedIn {
        SignedIn::new(self.store.clone(), Arc::clone(&self.clock))
    }

    /// Where what users are told by mail is written down; `audit` is where it is recorded that they were not, and `meters` where
    /// that is counted.
    #[must_use]
    pub fn notices(&self, audit: &Audit, meters: &Arc<Meters>) -> Notices {
        let (store, key, clock) = (self.store.clone(), Arc::clone(&self.key), Arc::clone(&self.clock));
        let watched = (audit.clone(), Arc::clone(meters));
        Notices::new(store, key, clock, watched, self.config.mail.is_some())
    }

    /// Begins this process's chain in the trail.
    ///
    /// # Errors
    /// [`AuditError`]
    pub async fn audit(&self) -> Result<Audit, AuditError> {
        let (store, key, clock) = (self.store.clone(), Arc::clone(&self.key), Arc::clone(&self.clock));
        Audit::open(&self.config.audit, store, key, clock).await
    }

    /// The same for a gate that goes on without records, if the configuration wants it so.
    ///
    /// # Errors
    /// [`AuditError`]
    pub async fn audit_of_logins(&self) -> Result<Audit, AuditError> {
        let (store, key, clock) = (self.store.clone(), Arc::clone(&self.key), Arc::clone(&self.clock));
        match self.config.audit.when_full {
            WhenFull::Refuse => Audit::open(&self.config.audit, store, key, clock).await,
            WhenFull::Continue => Audit::open_later(&self.config.audit, store, key, clock).await,
        }
    }

    /// Ends what was opened.
    pub async fn close(self) {
        self.store.close().await;
    }
}

/// Where the key file is and the SQLite file is not, that was lost. Another one would know nobody's second factor: mailbox
/// passwords alone would open what was guarded.
fn is_no_lost_database(config: &Config) -> anyhow::Result<()> {
    let (Database::Sqlite(path), key) = (&config.database, config.server.key_file()) else { return Ok(()) };
    // The key file first: whoever starts at the same time makes it after the database.
    if key.exists() && std::fs::metadata(path).map_or(0, |file| file.len()) == 0 {
        anyhow::bail!(
            "the database file `{}` is missing, and the key file `{}` was used with one\nhint: put it back, or restore it from a backup; to begin anew, with nobody's second factor, move the key file away, too",
            path.display(),
            key.display()
        );
    }
    Ok(())
}

/// Opens the key file that belongs to what `store` holds, or makes one where the database is new, too.
///
/// A key of its own for each gate of a database, or a new one after the old one was lost, would go unnoticed until
/// no app password and no second factor works any more.
async fn open_key(path: &Path, store: &Store) -> anyhow::Result<SiteKey> {
    if !path.exists() && store.key_check().await?.is_some() {
        anyhow::bail!(
            "the key file `{}` is missing, and the database was used with one\nhint: restore it from a backup; another gate on the same database needs a copy of the first gate's",
            path.display()
        );
    }
    let key = SiteKey::open_or_create(path)?;
    let check = store.claim_key_check(&key.mac(Purpose::KeyCheck, &[])).await?;
    if !key.verify(Purpose::KeyCheck, &[], &check) {
        anyhow::bail!(
            "the key file `{}` is not the one that the database was used with\nhint: restore that one; all gates on one database need copies of the same",
            path.display()
        );
    }
    Ok(key)
}
