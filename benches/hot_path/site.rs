//! A site in a folder of its own, with one account that has an app password.

use std::sync::Arc;

use mailward::app_password::{AppPasswords, ProvenMailbox, Scope};
use mailward::audit::event::Actor;
use mailward::audit::{Audit, Author};
use mailward::base::{Access, LoginName, Password, ProtocolSet};
use mailward::config::Config;
use mailward::site::Site;
use mailward::store::AppPasswordRecord;
use tempfile::TempDir;
use tokio::runtime::Runtime;

pub(crate) const USER: &str = "ada@example.org";

pub(crate) struct Ready {
    pub(crate) runtime: Runtime,
    pub(crate) site: Site,
    pub(crate) audit: Audit,
    pub(crate) app_passwords: Arc<AppPasswords>,
    /// The app password, and its row.
    pub(crate) printed: Password,
    pub(crate) row: AppPasswordRecord,
    _directory: TempDir,
}

impl Ready {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let text = r#"
            [server]
            hostname = "mail.example.org"
            data_dir = "data"
            [[tls.certificate]]
            cert = "cert.pem"
            key = "key.pem"
            [[listener]]
            protocol = "imap"
            address = "127.0.0.1:0"
            tls = "implicit"
            [[upstream]]
            name = "legacy"
            domains = ["example.org"]
            imap = { address = ["127.0.0.1:143"], tls = "none" }
        "#;
        let config = Config::parse(text, &directory.path().join("mailward.toml")).unwrap();
        let runtime = Runtime::new().unwrap();
        let (site, audit, app_passwords, printed, row) = runtime.block_on(async {
            let site = Site::open(config).await.unwrap();
            let (audit, app_passwords) = (site.audit().await.unwrap(), site.app_passwords());
            let by = Author::new(&audit, Actor::CommandLine { user: "bench".to_owned() });
            let name = LoginName::from_bytes(USER.as_bytes()).unwrap();
            let located = site.directory.locate(&name).unwrap();
            let (account, _) = site.accounts().add(&located, &by).await.unwrap();
            let scope = Scope {
                protocols: ProtocolSet::ALL,
                networks: "".parse().unwrap(),
                access: Access::Full,
                expires_at: None,
            };
            let password = Password::new(b"hunter2".to_vec()).unwrap();
            let mailbox =
                ProvenMailbox { password: &password, upstream: &located.upstream, at: site.clock.now() };
            let made = app_passwords.create(&account, "Bench", &scope, Some(mailbox), 20, &by).await.unwrap();
            let row = app_passwords.list(account.id).await.unwrap().remove(0);
            let printed = Password::new(made.printed.expose().to_vec()).unwrap();
            (site, audit, Arc::new(app_passwords), printed, row)
        });
        Self { runtime, site, audit, app_passwords, printed, row, _directory: directory }
    }
}
