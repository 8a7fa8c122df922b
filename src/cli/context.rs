//! What commands work with: the configuration, and the services on the site's database and key.

use std::path::Path;
use std::sync::Arc;

use super::failure::Failure;
use super::users;
use crate::account::{AccountError, Located, MailboxCheck, NameRefused};
use crate::audit::event::Actor;
use crate::audit::{Audit, Author};
use crate::base::{Address, LoginName, UpstreamName};
use crate::config::Config;
use crate::gate::HEARD_WITHIN;
use crate::meters::Meters;
use crate::notify::{Notice, Notices};
use crate::proxy::upstream::Upstreams;
use crate::site::Site;
use crate::store::{AccountRecord, Store};

/// An opened site, and how names are understood in it.
pub(super) struct Context {
    /// The configuration, the database and what stands on them.
    pub(super) site: Site,
}

impl Context {
    /// Opens the site that the file describes, creating what is not there yet.
    pub(super) async fn open(config: &Path) -> anyhow::Result<Self> {
        Ok(Self { site: Site::open(Config::load(config)?).await? })
    }

    /// Asks upstreams whether a mailbox password is right.
    pub(super) fn mailbox_check(&self) -> anyhow::Result<Arc<dyn MailboxCheck>> {
        Ok(Arc::new(Upstreams::new(&self.site.config)?))
    }

    /// The trail that this command's changes are recorded in. It is there before anything is changed.
    pub(super) async fn trail(&self) -> anyhow::Result<Trail> {
        let audit = self.site.audit().await?;
        // Nobody asks a command for its metrics.
        let notices = self.site.notices(&audit, &Meters::new([]));
        Ok(Trail { audit, notices, store: self.site.store.clone() })
    }

    /// The account that `name` means, whether or not it exists, and its upstream.
    pub(super) fn locate(&self, name: &str) -> anyhow::Result<Located> {
        self.site.directory.locate(&login_name(name)?).map_err(|refused| unreachable(name, refused))
    }

    /// The account that `name` means, at the upstream where it is.
    pub(super) async fn whereabouts(&self, name: &str) -> anyhow::Result<Located> {
        let home = self.locate(name)?;
        let bound = match self.site.accounts().show(&home.address).await {
            Ok(standing) => standing.account.bound_upstream,
            Err(AccountError::NotFound(_)) => None,
            Err(error) => return Err(error.into()),
        };
        match bound {
            Some(bound) => self.site.directory.at(&home, &bound).map_err(|why| {
                anyhow::anyhow!(
                    "{} is bound to `{bound}`, which cannot be used: {why}\nhint: correct the configuration, or `mailward account upstream {} --none`",
                    home.address, home.address
                )
            }),
            None => Ok(home),
        }
    }

    /// The upstream of an account, for lists: where it is bound, or its domain leads; else where that led once.
    pub(super) fn upstream_of(&self, account: &AccountRecord) -> UpstreamName {
        let by_domain = || Some(self.locate(account.address.as_str()).ok()?.upstream);
        let bound = account.bound_upstream.clone();
        bound.or_else(by_domain).unwrap_or_else(|| account.upstream.clone())
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
        match self.site.accounts().show(&address).await {
            Ok(standing) => Ok(standing.account),
            Err(AccountError::NotFound(address)) => Err(Failure::not_found(format!(
                "there is no account `{address}`\nhint: `mailward account list` shows them, `mailward account add {address}` adds it"
            ))),
            Err(error) => Err(error.into()),
        }
    }

    /// The account that has `name` for its own address, for what cannot be taken back: one that cannot be reached any
    /// more, because its address became another name of some account, is meant before that account.
    pub(super) async fn own_account(&self, name: &str) -> anyhow::Result<AccountRecord> {
        if let Ok(address) = Address::parse(name) {
            match self.site.accounts().show(&address).await {
                Ok(standing) => return Ok(standing.account),
                Err(AccountError::NotFound(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let spelled = self.site.directory.spelled(&login_name(name)?);
        let address = self.address(name)?;
        if spelled.is_ok_and(|spelled| spelled != address) {
            return Err(Failure::usage(format!(
                "`{name}` is another name of the account `{address}`\nhint: write `{address}`, if that is the one"
            )));
        }
        self.account(name).await
    }

    /// Ends what was opened.
    pub(super) async fn close(self) {
        self.site.close().await;
    }
}

/// The audit trail, open for this command's own records.
pub(super) struct Trail {
    audit: Audit,
    /// What the account's owner is told of it.
    notices: Notices,
    store: Store,
}

impl Trail {
    /// Who works on this command line.
    pub(super) fn author(&self) -> Author<'_> {
        Author::new(&self.audit, Actor::CommandLine { user: users::responsible() })
    }

    /// Writes down what the owner of `account` is to be told by mail.
    pub(super) async fn tell(&self, account: &AccountRecord, notice: Notice) {
        self.notices.tell(account, notice).await;
    }

    /// Writes down what is pending; to be called whether or not the change was made.
    pub(super) async fn close(self) {
        self.audit.close().await;
    }

    /// The same, and returns when the change is in force at every gate: whoever is told that an app password is revoked
    /// may try it.
    pub(super) async fn close_in_force(self) {
        self.audit.close().await;
        if self.store.is_served().await.unwrap_or(true) {
            tokio::time::sleep(HEARD_WITHIN).await;
        }
    }
}

fn login_name(name: &str) -> anyhow::Result<LoginName> {
    LoginName::from_bytes(name.trim().as_bytes()).map_err(|error| misnamed(name, &error))
}

fn unreachable(name: &str, refused: NameRefused) -> anyhow::Error {
    match refused {
        NameRefused::UnknownDomain => anyhow::anyhow!(
            "no `[[upstream]]` serves the domain of `{name}`\nhint: correct the address, or add the domain to `domains`"
        ),
        NameRefused::SubAddress => Failure::usage(format!(
            "`{name}` cannot be an account: {refused}\nhint: write the address before the sign; or change the key, if your server has no sub-addresses"
        )),
        NameRefused::NotAnAddress
        | NameRefused::MasterSeparator
        | NameRefused::NoSuchUpstream
        | NameRefused::DomainNotHeard => misnamed(name, &refused),
    }
}

fn misnamed(name: &str, why: &dyn std::fmt::Display) -> anyhow::Error {
    Failure::usage(format!(
        "`{name}` cannot be an account: {why}\nhint: write the whole address, such as `anna@example.org`"
    ))
}
