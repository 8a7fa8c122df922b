//! A portal for tests, its own and those of the pages: over a real gate and a real database.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use super::*;
use crate::account::{Directory, MailboxVerdict};
use crate::audit::event::{Credential, Event, Ground, Login, Outcome};
use crate::base::{
    ClientAddress, LoginName, ManualClock, Password, Protocol, Scratch, SessionId, UpstreamName, random,
};
use crate::config::Config;
use crate::gate::{Conclusion, Decision, Led, Origin, Reach, Rules, UpstreamRules, UpstreamSaid};
use crate::protocol::{Credentials, Mechanism, Refusal};
use crate::store::{LiveSession, NodeId, Use};

pub(crate) const ALICE: &str = "alice@example.org";
pub(crate) const BOB: &str = "bob@example.org";
pub(crate) const MAILBOX: &str = "p&ss wörd of the mailbox";

/// What an honest mail server says.
#[derive(Default)]
pub(crate) struct Mailboxes {
    pub(crate) passwords: Mutex<HashMap<String, String>>,
    pub(crate) down: AtomicBool,
    pub(crate) asked: AtomicUsize,
}

impl MailboxCheck for Mailboxes {
    fn check<'a>(
        &'a self,
        _: &'a UpstreamName,
        user: &'a LoginName,
        password: &'a Password,
    ) -> Pin<Box<dyn Future<Output = MailboxVerdict> + Send + 'a>> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let known = self.passwords.lock().unwrap().get(user.as_str()).cloned();
        let verdict = if self.down.load(Ordering::SeqCst) {
            MailboxVerdict::Unavailable { why: "it is down".to_owned(), sent: false, everybody: true }
        } else if known.is_some_and(|known| known.as_bytes() == password.expose()) {
            MailboxVerdict::Right
        } else {
            MailboxVerdict::Wrong
        };
        Box::pin(std::future::ready(verdict))
    }
}

/// Mail to other mailboxes: to whom, and the code.
#[derive(Default)]
pub(crate) struct Mails {
    pub(crate) sent: Mutex<Vec<(String, String)>>,
    pub(crate) down: AtomicBool,
}

impl Courier for Mails {
    fn bring<'a>(
        &'a self,
        to: &'a str,
        _: &'a str,
        code: &'a crate::base::Secret,
    ) -> Pin<Box<dyn Future<Output = Result<(), crate::notify::NotSent>> + Send + 'a>> {
        let code = String::from_utf8(code.expose().to_vec()).unwrap();
        let said = if self.down.load(Ordering::SeqCst) {
            Err(crate::notify::NotSent)
        } else {
            self.sent.lock().unwrap().push((to.to_owned(), code));
            Ok(())
        };
        Box::pin(std::future::ready(said))
    }
}

/// A portal and what surrounds it.
pub(crate) struct Site {
    pub(crate) portal: Arc<Portal>,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) mailboxes: Arc<Mailboxes>,
    pub(crate) mails: Arc<Mails>,
    pub(crate) config: Config,
    pub(crate) directory: Scratch,
}

const CONFIG: &str = r#"
[server]
hostname = "mail.example.org"
data_dir = "DIR"
[database]
url = "sqlite://DIR/mailward.db"
[audit]
directory = "DIR/audit"
reserve = "0"
[[tls.certificate]]
cert = "/nowhere/cert.pem"
key = "/nowhere/key.pem"
[[listener]]
protocol = "imap"
address = "[::]:993"
tls = "implicit"
[[listener]]
protocol = "smtp"
address = "[::]:994"
tls = "implicit"
[[upstream]]
name = "legacy"
domains = ["example.org"]
accounts = "first-login"
default_domain = "example.org"
imap = { address = ["127.0.0.1:143"], tls = "none" }
smtp = { address = ["127.0.0.1:587"], tls = "none" }
[portal]
public_url = "https://mail.example.org"
[limits]
failure_delay = "1ms"
"#;

/// Of that configuration.
pub(crate) fn settings() -> Settings {
    Settings::of(&Config::parse(CONFIG, std::path::Path::new("/nowhere/mailward.toml")).unwrap()).unwrap()
}

impl Site {
    pub(crate) async fn open() -> Self {
        Self::with("", |_| ()).await
    }

    /// With `more` behind the configuration, and what `change` makes of it.
    pub(crate) async fn with(more: &str, change: impl FnOnce(&mut Config)) -> Self {
        let directory = Scratch::new();
        let text = format!("{CONFIG}{more}").replace("DIR", directory.path().to_str().unwrap());
        let mut config = Config::parse(&text, &directory.path().join("mailward.toml")).unwrap();
        change(&mut config);
        let manual = Arc::new(ManualClock::default());
        manual.advance(Duration::from_secs(1_800_000_000));
        let clock: Arc<dyn Clock> = manual.clone();
        let key = Arc::new(SiteKey::from_bytes([7; 32]));
        let store = Store::open(&config.database).await.unwrap();
        let audit =
            Audit::open(&config.audit, store.clone(), Arc::clone(&key), Arc::clone(&clock)).await.unwrap();
        let app_passwords = Arc::new(AppPasswords::new(store.clone(), Arc::clone(&key), Arc::clone(&clock)));
        let upstreams = config.upstreams.iter().map(|upstream| UpstreamRules::new(upstream, None).unwrap());
        let rules = Rules {
            directory: Arc::new(Directory::new(&config.upstreams).unwrap()),
            policies: config.policies.clone(),
            limits: config.limits.clone(),
            when_full: config.audit.when_full,
            upstreams: upstreams.collect(),
        };
        let gate = Arc::new(Authenticator::new(crate::gate::Dependencies {
            store: store.clone(),
            app_passwords: Arc::clone(&app_passwords),
            audit: audit.clone(),
            clock: Arc::clone(&clock),
            rules,
        }));
        let mailboxes = Arc::new(Mailboxes::default());
        for name in [ALICE, BOB] {
            mailboxes.passwords.lock().unwrap().insert(name.to_owned(), MAILBOX.to_owned());
        }
        let mails = Arc::new(Mails::default());
        let watched = (audit.clone(), Arc::clone(gate.meters()));
        let portal = Portal::new(
            Dependencies {
                gate,
                mailboxes: mailboxes.clone(),
                app_passwords,
                factors: Factors::new(store.clone(), Arc::clone(&key), Arc::clone(&clock)),
                devices: TrustedDevices::new(store.clone(), Arc::clone(&key), Arc::clone(&clock)),
                live_sessions: LiveSessions::new(store.clone()),
                notices: Arc::new(Notices::new(
                    store.clone(),
                    Arc::clone(&key),
                    Arc::clone(&clock),
                    watched,
                    true,
                )),
                courier: mails.clone(),
                store,
                audit,
                key,
                clock,
            },
            Settings::of(&config).unwrap(),
        );
        Self { portal: Arc::new(portal), clock: manual, mailboxes, mails, config, directory }
    }

    /// A reload, with `more` behind the configuration, for what pages say and offer.
    pub(crate) fn adopt(&self, more: &str) {
        let text = format!("{CONFIG}{more}").replace("DIR", self.directory.path().to_str().unwrap());
        let config = Config::parse(&text, &self.directory.path().join("mailward.toml")).unwrap();
        self.portal.adopt(Settings::of(&config).unwrap());
    }

    /// An administrator's link for an account, good for an hour.
    pub(crate) async fn invite(&self, name: &str) -> crate::base::Token {
        let on = &self.portal.on;
        let account = on.store.standing(&name.to_owned().try_into().unwrap()).await.unwrap().unwrap().account;
        let by = Author::new(&on.audit, Actor::CommandLine { user: "root".to_owned() });
        on.factors.invite(&account, Duration::from_secs(3600), &by).await.unwrap().0
    }

    /// Mail clients with these names come in with the mailbox password, now.
    pub(crate) async fn used_mailbox_password(&self, name: &str, programs: &[&str]) {
        let store = self.store();
        let account = store.standing(&name.to_owned().try_into().unwrap()).await.unwrap().unwrap().account.id;
        let uses = programs.iter().map(|program| Use {
            account,
            app_password: None,
            at: self.clock.now(),
            address: "192.0.2.9".to_owned(),
            program: Some((*program).to_owned()),
        });
        store.record_uses(&uses.collect::<Vec<_>>()).await.unwrap();
    }

    /// A mail client tries to get in, and the upstream says what is true; why it is not, if it is not in.
    pub(crate) async fn log_in(
        &self,
        name: &str,
        password: &str,
        program: Option<&str>,
    ) -> Result<(), Refusal> {
        let gate = &self.portal.on.gate;
        gate.hear_changes().await;
        let origin = Origin {
            session: SessionId(random::uuid(self.clock.now())),
            protocol: Protocol::Imap,
            client: ClientAddress::new([192, 0, 2, 9].into()),
            reach: Reach::new([Led::to(UpstreamName("legacy".to_owned()))]),
            reading: gate.reading(),
        };
        let credentials = Credentials {
            login: LoginName::from_bytes(name.as_bytes()).unwrap(),
            password: Password::new(password.as_bytes().to_vec()).unwrap(),
            mechanism: Mechanism::Plain,
            program: program.map(str::to_owned),
        };
        let mut grant = match gate.judge(&origin, credentials).await {
            Decision::Admit(grant) => grant,
            Decision::Refuse(refused) => return Err(refused.refusal),
        };
        let (upstream, login) = (grant.upstream().clone(), grant.take_login());
        let said = match self.mailboxes.check(&upstream, &login.user, &login.password).await {
            MailboxVerdict::Right => UpstreamSaid::Yes,
            MailboxVerdict::Wrong | MailboxVerdict::Unavailable { .. } => UpstreamSaid::No,
        };
        let concluded = gate.conclude(grant, said).await;
        gate.flush_uses().await;
        match concluded {
            Conclusion::Pass(_) => Ok(()),
            Conclusion::Refuse(refused) => Err(refused.refusal),
        }
    }

    /// A second later a mail client tries to get in as Alice, on record.
    pub(crate) async fn mail_login(&self, program: &str, ended: Result<(), Ground>) {
        self.record(Event::Login(Login {
            session: SessionId(random::uuid(self.clock.now())),
            protocol: Protocol::Imap,
            ip: ClientAddress::new([192, 0, 2, 9].into()),
            account: ALICE.to_owned(),
            mechanism: "PLAIN".to_owned(),
            program: Some(program.to_owned()),
            credential: Credential::Unproven,
            app_password: None,
            label: None,
            upstream: None,
            outcome: if ended.is_ok() { Outcome::Admitted } else { Outcome::Refused },
            ground: ended.err(),
            reason: String::new(),
        }))
        .await;
    }

    /// A second later.
    pub(crate) async fn record(&self, event: Event) {
        self.clock.advance(Duration::from_secs(1));
        self.portal.on.audit.append(event).await.unwrap();
    }

    /// A mail client of the account's that is in, as another process wrote it down.
    pub(crate) async fn mail_client(&self, name: &str) {
        let store = self.store();
        let account = store.standing(&name.to_owned().try_into().unwrap()).await.unwrap().unwrap().account.id;
        let session = LiveSession {
            id: SessionId(random::uuid(self.clock.now())),
            account,
            protocol: Protocol::Imap,
            client: ClientAddress::new([192, 0, 2, 9].into()),
            program: Some("Foxmail".to_owned()),
            app_password: None,
            upstream: UpstreamName("legacy".to_owned()),
            since: self.clock.now(),
            bytes_from_client: 0,
            bytes_to_client: 0,
        };
        let node = NodeId(random::uuid(self.clock.now()));
        store.enlist_node(node).await.unwrap();
        assert!(store.write_sessions(node, &[session], &[], &[]).await.unwrap());
    }

    pub(crate) fn store(&self) -> &Store {
        &self.portal.on.store
    }
}
