//! What commands work with: the configuration, and the services on the site's database and key.

use std::fs::{self, DirBuilder};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;

use super::failure::Failure;
use crate::account::{AccountError, Accounts, Directory, Located, MailboxCheck, NameRefused};
use crate::app_password::AppPasswords;
use crate::audit::event::Actor;
use crate::audit::{Audit, Author};
use crate::base::{Address, Clock, LoginName, SiteKey, SystemClock};
use crate::config::Config;
use crate::factor::Factors;
use crate::proxy::upstream::Upstreams;
use crate::store::{AccountRecord, Store};

/// An opened site.
pub(super) struct Context {
    /// The configuration.
    pub(super) config: Config,
    /// The database.
    pub(super) store: Store,
    /// The time.
    pub(super) clock: Arc<dyn Clock>,
    key: Arc<SiteKey>,
    directory: Directory,
}

impl Context {
    /// Opens the site that the file describes, creating what is not there yet.
    pub(super) async fn open(config: &Path) -> anyhow::Result<Self> {
        Self::with(Config::load(config)?).await
    }

    /// Opens the site of `config`.
    pub(super) async fn with(config: Config) -> anyhow::Result<Self> {
        let data_dir = &config.server.data_dir;
        belongs_to_us(data_dir)?;
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(data_dir)
            .with_context(|| format!("cannot make the data directory `{}`", data_dir.display()))?;
        let key = Arc::new(SiteKey::open_or_create(&config.server.key_file())?);
        let store = Store::open(&config.database).await?;
        let directory = Directory::new(&config.upstreams);
        Ok(Self { store, clock: Arc::new(SystemClock::start()), key, directory, config })
    }

    /// What vouches for the trail.
    pub(super) fn key(&self) -> &SiteKey {
        &self.key
    }

    /// Where accounts live.
    pub(super) fn accounts(&self) -> Accounts {
        Accounts::new(self.store.clone(), Arc::clone(&self.clock))
    }

    /// Where second factors live.
    pub(super) fn factors(&self) -> Factors {
        Factors::new(self.store.clone(), Arc::clone(&self.key), Arc::clone(&self.clock))
    }

    /// Where app passwords live.
    pub(super) fn app_passwords(&self) -> AppPasswords {
        AppPasswords::new(self.store.clone(), Arc::clone(&self.key), Arc::clone(&self.clock))
    }

    /// Asks upstreams whether a mailbox password is right.
    pub(super) fn mailbox_check(&self) -> anyhow::Result<Arc<dyn MailboxCheck>> {
        Ok(Arc::new(Upstreams::new(&self.config)?))
    }

    /// The trail that this command's changes are recorded in. It is there before anything is changed.
    pub(super) async fn trail(&self) -> anyhow::Result<Trail> {
        let audit = Audit::open(
            &self.config.audit,
            self.store.clone(),
            Arc::clone(&self.key),
            Arc::clone(&self.clock),
        );
        Ok(Trail { audit: audit.await? })
    }

    /// The account that `name` means, whether or not it exists, and its upstream.
    pub(super) fn locate(&self, name: &str) -> anyhow::Result<Located> {
        let login = LoginName::from_bytes(name.trim().as_bytes()).map_err(|error| misnamed(name, &error))?;
        self.directory.locate(&login).map_err(|refused| match refused {
            NameRefused::UnknownDomain => anyhow::anyhow!(
                "no `[[upstream]]` serves the domain of `{name}`\nhint: correct the address, or add the domain to `domains`"
            ),
            NameRefused::NotAnAddress | NameRefused::MasterSeparator => misnamed(name, &refused),
        })
    }

    /// The address that `name` means. An account whose domain is no longer served can still be looked at,
    /// suspended and removed: then its address has to be written out.
    pub(super) fn address(&self, name: &str) -> anyhow::Result<Address> {
        match self.locate(name) {
            Ok(located) => Ok(located.address),
            Err(error) => Address::parse(name).map_err(|_| error),
        }
    }

    /// The account that `name` means.
    pub(super) async fn account(&self, name: &str) -> anyhow::Result<AccountRecord> {
        let address = self.address(name)?;
        match self.accounts().show(&address).await {
            Ok(standing) => Ok(standing.account),
            Err(AccountError::NotFound(address)) => Err(Failure::not_found(format!(
                "there is no account `{address}`\nhint: `mailward account list` shows them, `mailward account add {address}` adds it"
            ))),
            Err(error) => Err(error.into()),
        }
    }

    /// Ends what was opened.
    pub(super) async fn close(self) {
        self.store.close().await;
    }
}

/// The audit trail, open for this command's own records.
pub(super) struct Trail {
    audit: Audit,
}

impl Trail {
    /// Who works on this command line.
    pub(super) fn author(&self) -> Author<'_> {
        Author::new(&self.audit, Actor::CommandLine { user: user() })
    }

    /// Writes down what is pending; to be called whether or not the change was made.
    pub(super) async fn close(self) {
        self.audit.close().await;
    }
}

fn misnamed(name: &str, why: &dyn std::fmt::Display) -> anyhow::Error {
    Failure::usage(format!(
        "`{name}` cannot be an account: {why}\nhint: write the whole address, such as `anna@example.org`"
    ))
}

/// Files that root makes here, the service could not read later.
fn belongs_to_us(data_dir: &Path) -> anyhow::Result<()> {
    let (Ok(directory), Ok(process)) = (fs::metadata(data_dir), fs::metadata("/proc/self")) else {
        return Ok(()); // it will be made, and then it is ours
    };
    if process.uid() != 0 || directory.uid() == 0 {
        return Ok(()); // what is not ours and not open to us will say so itself
    }
    anyhow::bail!(
        "`{}` belongs to another user (number {}), and files made by root would shut the service out\nhint: run this as that user: sudo -u '#{}' mailward …",
        data_dir.display(),
        directory.uid(),
        directory.uid(),
    )
}

/// Who is responsible: the person behind `sudo`, else the user whose process this is.
fn user() -> String {
    let Ok(process) = fs::metadata("/proc/self") else { return "unknown".into() };
    let uid = process.uid();
    let sudo = std::env::var("SUDO_USER").ok().filter(|name| uid == 0 && !name.is_empty());
    sudo.or_else(|| name_of(uid)).unwrap_or_else(|| format!("user {uid}"))
}

/// As `/etc/passwd` has it: name, password, number, …
fn name_of(uid: u32) -> Option<String> {
    let users = fs::read_to_string("/etc/passwd").ok()?;
    users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(uid)).then(|| name.to_owned())
    })
}
