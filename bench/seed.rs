//! Fills a new database for `scripts/bench`: accounts with a second factor and one app password each, made as the
//! command line makes them, argon2 included.
//!
//! `seed CONFIG COUNT MAILBOX-PASSWORD` prints `user0@example.test <app password>` and so on, one a line.
#![expect(clippy::print_stdout, reason = "the app passwords are what it is run for")]

use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use mailward::app_password::{AppPasswords, ProvenMailbox, Scope};
use mailward::audit::event::Actor;
use mailward::audit::{Audit, Author};
use mailward::base::{Access, LoginName, Password, ProtocolSet};
use mailward::config::{Config, TotpParameters};
use mailward::site::Site;
use tokio::task::JoinSet;

/// Accounts under way at once: as many as keep argon2 and the disk busy.
const AT_ONCE: usize = 8;

struct Seeder {
    site: Site,
    audit: Audit,
    app_passwords: AppPasswords,
    mailbox: Password,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let mut next = |what| arguments.next().with_context(|| format!("`{what}` is missing"));
    let config = Config::load(Path::new(&next("CONFIG")?))?;
    let count: usize = next("COUNT")?.parse()?;
    let mailbox = Password::new(next("MAILBOX-PASSWORD")?.into_bytes())?;
    let site = Site::open(config).await?;
    let (audit, app_passwords) = (site.audit().await?, site.app_passwords());
    let seeder = Arc::new(Seeder { site, audit, app_passwords, mailbox });

    let mut made: Vec<(usize, String)> = Vec::with_capacity(count);
    let mut running = JoinSet::new();
    for number in 0..count {
        if running.len() == AT_ONCE {
            made.extend(running.join_next().await.transpose()?.transpose()?);
        }
        let seeder = Arc::clone(&seeder);
        running.spawn(async move { Ok((number, seeder.account(number).await?)) });
    }
    while let Some(done) = running.join_next().await {
        let done: anyhow::Result<_> = done?;
        made.push(done?);
    }
    seeder.audit.close().await;
    made.sort();
    for (_, line) in made {
        println!("{line}");
    }
    Ok(())
}

impl Seeder {
    /// One account with all that it needs; the line that a client logs in with.
    async fn account(&self, number: usize) -> anyhow::Result<String> {
        let name = format!("user{number}@example.test");
        let by = Author::new(&self.audit, Actor::CommandLine { user: "bench".to_owned() });
        let located = self.site.directory.locate(&LoginName::from_bytes(name.as_bytes())?)?;
        let (account, _) = self.site.accounts().add(&located, &by).await?;
        let factors = self.site.factors();
        let totp = factors.enrol_totp("bench", &account.address, TotpParameters::USUAL);
        factors.bind_totp(&account, &totp, None, &by).await?;
        let scope = Scope {
            protocols: ProtocolSet::ALL,
            networks: "".parse()?,
            access: Access::Full,
            expires_at: None,
        };
        let mailbox =
            ProvenMailbox { password: &self.mailbox, upstream: &located.upstream, at: self.site.clock.now() };
        let made = self.app_passwords.create(&account, "Bench", &scope, Some(mailbox), 20, &by).await?;
        let printed = std::str::from_utf8(made.printed.expose())?.replace(' ', "");
        Ok(format!("{name} {printed}"))
    }
}
