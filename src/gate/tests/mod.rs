//! The gate as a whole: a real store and trail in a temporary directory, a clock that stands still, and an upstream
//! that is a list of passwords.

mod adopt;
mod floods;
mod guessing;
mod leaving;
mod live;
mod moved;
mod names;
mod outages;
mod patience;
mod proofs;
mod reach;
mod read_only;
mod refusals;
mod repeated;
mod stale;
mod unbound;
mod upstream_budget;
mod uses;
mod weapon;

use std::collections::{HashMap, HashSet};
use std::future::Future;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;

use super::password_memory::PasswordMemory;
use super::policy::{Plan, Then};
use super::watch::Watch;
use super::*;
use crate::account::Directory;
use crate::app_password::{AppPasswords, ProvenMailbox, Scope};
use crate::audit::event::Actor;
use crate::audit::{Audit, Author};
use crate::base::{
    Access, Address, ClientAddress, Domain, FactorId, LoginName, ManualClock, Password, Protocol,
    ProtocolSet, Scratch, Secret, SessionId, SiteKey, UpstreamName, random,
};
use crate::base::{Clock, Timestamp};
use crate::config::{
    self, AccountAdmission, AfterUnbind, DomainPattern, FactorKind, LoginRewrite, Master, MasterStyle,
    Policies, Policy, Rate, Requirement, UpstreamCredential, WhenFull, WithoutFactor,
};
use crate::protocol::{Credentials, Mechanism, Refusal, UpstreamLogin};
use crate::store::{AccountRecord, AccountState, FactorRecord, Store};

/// The account of most tests, and its mailbox password upstream.
const ALICE: &str = "alice@example.org";
const MAILBOX: &str = "hunter2";

/// A day.
const DAY: Duration = Duration::from_secs(24 * 3600);

/// What may differ from test to test.
struct Settings {
    second_factor: Requirement,
    /// What app passwords are worth without a factor.
    without_factor: WithoutFactor,
    domain: DomainPattern,
    accounts: Option<AccountAdmission>,
    credential: UpstreamCredential,
    limits: config::Limits,
    failures_in_all: Rate,
    failures_per_account: Rate,
    when_full: WhenFull,
    /// Upstreams that no domain leads to.
    others: Vec<config::Upstream>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            second_factor: Requirement::Optional,
            without_factor: WithoutFactor::Stop,
            domain: DomainPattern::Exact(Domain::parse("example.org").unwrap()),
            accounts: None,
            credential: UpstreamCredential::Sealed,
            limits: config::Limits {
                per_network: Rate { burst: 20, per: Duration::from_secs(600) },
                per_account: Rate { burst: 10, per: Duration::from_secs(600) },
                preauth_per_network: 200,
                sessions_per_account: 100,
                connections: 50_000,
                exempt: "".parse().unwrap(),
                auth_deadline: Duration::from_secs(60),
                failure_delay: Duration::from_secs(3),
                idle: Duration::from_secs(2100),
                tls_deadline: Duration::from_secs(10),
                proof_cache: Duration::from_secs(3600),
            },
            failures_in_all: Rate { burst: 1000, per: Duration::from_secs(60) },
            failures_per_account: Rate { burst: 1000, per: Duration::from_secs(600) },
            when_full: WhenFull::Refuse,
            others: Vec::new(),
        }
    }
}

fn master(style: MasterStyle) -> UpstreamCredential {
    UpstreamCredential::Master(Master { user: "proxy".to_owned(), password_file: "/nowhere".into(), style })
}

/// A gate and what surrounds it.
struct Site {
    gate: Authenticator,
    clock: Arc<ManualClock>,
    /// The gate's own connections; `close` them, and the database is gone for it.
    gates_store: Store,
    store: Store,
    audit: Audit,
    app_passwords: Arc<AppPasswords>,
    mailboxes: Mutex<HashMap<String, String>>,
    /// What the upstream was sent.
    heard: Mutex<Vec<(String, Option<String>, String)>>,
    directory: Scratch,
}

/// How an attempt ended.
enum Ended {
    In(Box<Passage>),
    Out(Refused),
}

impl Ended {
    fn refusal(&self) -> Option<Refusal> {
        match self {
            Self::In(_) => None,
            Self::Out(refused) => Some(refused.refusal),
        }
    }

    fn is_in(&self) -> bool {
        self.refusal().is_none()
    }
}

impl Site {
    async fn open() -> Self {
        Self::with(Settings::default()).await
    }

    async fn with(settings: Settings) -> Self {
        let directory = Scratch::new();
        let clock = Arc::new(ManualClock::default());
        let key = Arc::new(SiteKey::from_bytes([7; 32]));
        let database = config::Database::Sqlite(directory.path().join("mailward.db"));
        let store = Store::open(&database).await.unwrap();
        let gates_store = Store::open(&database).await.unwrap();
        let trail = config::Audit {
            directory: directory.path().join("audit"),
            when_full: settings.when_full,
            retention: None,
            reserve: 0,
        };
        let told_time: Arc<dyn Clock> = clock.clone();
        let audit = Audit::open(&trail, store.clone(), key.clone(), told_time.clone()).await.unwrap();
        let app_passwords = Arc::new(AppPasswords::new(store.clone(), key, told_time.clone()));
        let exempt = settings.limits.exempt.clone();
        let mut gate = Authenticator::new(Dependencies {
            store: gates_store.clone(),
            app_passwords: app_passwords.clone(),
            audit: audit.clone(),
            clock: told_time,
            rules: rules(settings),
        });
        // Two passwords or networks of a test may have one tag under one key in some thousands, and then the test does not show what
        // it says. With a key that stays the same it always does.
        let inner = Arc::get_mut(&mut gate.gate).unwrap();
        inner.watch = Watch::new(&Secret::new(vec![7; 32]), exempt);
        let desk = Arc::get_mut(&mut inner.desk).unwrap();
        desk.passwords = PasswordMemory::new(&Secret::new(vec![7; 32]));
        gate.hear_changes().await;
        // Its clock stands still: what was heard would stay fresh, and no test would see the database read.
        gate.gate.hearing.forget();
        let mailboxes = Mutex::new(HashMap::from([(ALICE.to_owned(), MAILBOX.to_owned())]));
        let heard = Mutex::default();
        Self { gate, clock, gates_store, store, audit, app_passwords, mailboxes, heard, directory }
    }

    /// One attempt over IMAP from `192.0.2.<host>`, to its end.
    async fn try_in(&self, host: u8, name: &str, password: &str) -> Ended {
        self.attempt(&origin(Protocol::Imap, host), name, password, |login| self.upstream_says(&login)).await
    }

    async fn attempt(
        &self,
        origin: &Origin,
        name: &str,
        password: &str,
        upstream: impl FnOnce(UpstreamLogin) -> UpstreamSaid,
    ) -> Ended {
        self.attempt_slowly(origin, name, password, async |login| upstream(login)).await
    }

    async fn attempt_slowly<F: Future<Output = UpstreamSaid>>(
        &self,
        origin: &Origin,
        name: &str,
        password: &str,
        upstream: impl FnOnce(UpstreamLogin) -> F,
    ) -> Ended {
        // Its connection came just now.
        let origin = Origin { reading: self.gate.reading(), ..origin.clone() };
        let mut grant = match self.gate.judge(&origin, credentials(name, password)).await {
            Decision::Refuse(refused) => return Ended::Out(refused),
            Decision::Admit(grant) => grant,
        };
        let said = upstream(grant.take_login()).await;
        match self.gate.conclude(grant, said).await {
            Conclusion::Pass(passage) => Ended::In(passage),
            Conclusion::Refuse(refused) => Ended::Out(refused),
        }
    }

    /// What an honest server says.
    fn upstream_says(&self, login: &UpstreamLogin) -> UpstreamSaid {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let password = text(login.password.expose());
        let authorize_as = login.authorize_as.as_ref().map(|name| name.as_str().to_owned());
        let user = login.user.as_str().to_owned();
        let right = self.mailboxes.lock().unwrap().get(&user) == Some(&password);
        self.heard.lock().unwrap().push((user, authorize_as, password));
        if right { UpstreamSaid::Yes } else { UpstreamSaid::No }
    }

    fn asked(&self) -> usize {
        self.heard.lock().unwrap().len()
    }

    fn argon2_runs(&self) -> usize {
        self.gate.gate.argon2_runs.load(std::sync::atomic::Ordering::SeqCst)
    }

    async fn account(&self, name: &str) -> AccountRecord {
        let address = Address::parse(name).unwrap();
        let upstream = UpstreamName("legacy".to_owned());
        self.store.add_account(&address, &upstream, self.clock.now()).await.unwrap().0
    }

    async fn bind_factor(&self, account: &AccountRecord) {
        let factor = FactorRecord {
            id: FactorId(random::uuid(self.clock.now())),
            account: account.id,
            kind: "totp".to_owned(),
            name: String::new(),
            detail: None,
            secret: vec![1],
            bound_at: self.clock.now(),
            last_step: None,
            last_used_at: None,
        };
        self.store.insert_factor(&factor, 16).await.unwrap();
    }

    async fn unbind_factors(&self) {
        let Store::Sqlite(pool, _) = &self.store else { panic!("not SQLite") };
        sqlx::query("DELETE FROM factors").execute(pool).await.unwrap();
    }

    async fn suspend(&self, account: &AccountRecord) {
        assert!(self.store.set_account_state(account.id, AccountState::Suspended).await.unwrap());
    }

    /// A bound account with an app password, in its printed form.
    async fn bound_with_app_password(&self, name: &str) -> (AccountRecord, String) {
        let account = self.account(name).await;
        self.bind_factor(&account).await;
        let printed = self.app_password(&account, anywhere()).await;
        (account, printed)
    }

    async fn app_password(&self, account: &AccountRecord, scope: Scope) -> String {
        let password = Password::new(MAILBOX.as_bytes().to_vec()).unwrap();
        let mailbox =
            ProvenMailbox { password: &password, upstream: &account.upstream, at: self.clock.now() };
        let by = Author::new(&self.audit, Actor::Gate);
        let created =
            self.app_passwords.create(account, "Foxmail", &scope, Some(mailbox), 20, &by).await.unwrap();
        String::from_utf8(created.printed.expose().to_vec()).unwrap()
    }

    /// So many wrong app passwords for the label of `printed`, no two of which have the same tag.
    async fn wrong_app_passwords(&self, account: &AccountRecord, printed: &str, count: usize) -> Vec<String> {
        let rows = self.store.app_passwords(account.id).await.unwrap();
        let row = rows.iter().find(|row| printed.starts_with(&row.label)).unwrap();
        let judge = judge::judge_of(Plan::ProveAppPassword(Then::Enter), Some(row), &account.upstream);
        let (memory, address) = (&self.gate.gate.desk.passwords, account.address.as_str());
        let (mut tags, mut judged) = (HashSet::new(), HashSet::new());
        let differs = |wrong: &String| {
            let password = Password::new(wrong.as_bytes().to_vec()).unwrap();
            let presented = memory.presented(origin(Protocol::Imap, 1).client, address, &password);
            let presented = memory.judged(presented, address, &password, judge);
            tags.insert(presented.tag()) && judged.insert(presented.judged_tag())
        };
        (0..).map(|number| another_with_same_label(printed, number)).filter(differs).take(count).collect()
    }

    /// Seals `password` to all app passwords of the account, as one that the upstream took just now.
    async fn reseal(&self, account: &AccountRecord, password: &str) {
        let password = Password::new(password.as_bytes().to_vec()).unwrap();
        let mailbox =
            ProvenMailbox { password: &password, upstream: &account.upstream, at: self.clock.now() };
        let by = Author::new(&self.audit, Actor::Gate);
        self.app_passwords.reseal(account.id, &account.address, mailbox, &by).await.unwrap();
    }

    /// The records of one kind, in order.
    fn records(&self, event: &str) -> Vec<Value> {
        let mut records = Vec::new();
        read_records(&self.directory.path().join("audit"), &mut records);
        records.retain(|record| record["event"] == event);
        records
    }

    /// The one record of the one attempt so far.
    fn only_login(&self) -> Value {
        let mut logins = self.records("login");
        assert_eq!(logins.len(), 1, "{logins:?}");
        logins.remove(0)
    }
}

fn read_records(directory: &Path, records: &mut Vec<Value>) {
    let files = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    // By their names, which are by time: there is one for each day.
    for file in files.collect::<std::collections::BTreeSet<_>>() {
        let text = std::fs::read_to_string(file).unwrap();
        records.extend(text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()));
    }
}

fn rules(settings: Settings) -> Rules {
    let mut upstreams = vec![upstream(&settings)];
    upstreams.extend(settings.others);
    let rules = |upstream| {
        let master_password = Password::new(b"master-secret".to_vec()).unwrap();
        UpstreamRules::new(upstream, Some(master_password)).unwrap()
    };
    Rules {
        directory: Arc::new(Directory::new(&upstreams).unwrap()),
        policies: Policies {
            default: Policy {
                app_passwords_without_factor: settings.without_factor,
                ..policy(settings.second_factor)
            },
            domains: Default::default(),
        },
        limits: settings.limits,
        when_full: settings.when_full,
        upstreams: upstreams.iter().map(rules).collect(),
    }
}

fn upstream(settings: &Settings) -> config::Upstream {
    config::Upstream {
        name: UpstreamName("legacy".to_owned()),
        domains: vec![settings.domain.clone()],
        default_domain: Some(Domain::parse("example.org").unwrap()),
        domain_aliases: vec![],
        unicode_domains: vec![],
        aliases: Some(aliases()),
        sub_address_delimiter: config::SubAddressDelimiter::default(),
        hostnames: vec![],
        accounts: settings.accounts,
        login: LoginRewrite::Address,
        credential: settings.credential.clone(),
        imap: None,
        pop3: None,
        smtp: None,
        forward_client: Default::default(),
        connect_deadline: Duration::from_secs(5),
        login_deadline: Duration::from_secs(30),
        refresh: Duration::from_secs(600),
        max_connections: 0,
        same_passwords_as: Vec::new(),
        failures_in_all: settings.failures_in_all,
        failures_per_account: settings.failures_per_account,
    }
}

/// Another name of Alice's mailbox.
fn aliases() -> config::AliasesFile {
    let name = |text: &str| LoginName::from_bytes(text.as_bytes()).unwrap();
    let line = config::AliasLine { number: 1, alias: name("sales"), primary: name(ALICE) };
    config::AliasesFile { path: "aliases".into(), lines: vec![line] }
}

fn policy(second_factor: Requirement) -> Policy {
    Policy {
        second_factor,
        factors: vec![FactorKind::Totp],
        app_passwords_after_unbind: AfterUnbind::Stop,
        app_passwords_per_account: 20,
        trusted_device: Duration::from_secs(7 * 86_400),
        ..Policy::default()
    }
}

/// Required, and the grace was over before the tests began.
fn overdue() -> Requirement {
    Requirement::Required { since: Timestamp::from_unix_seconds(0), grace: DAY }
}

fn anywhere() -> Scope {
    Scope {
        protocols: ProtocolSet::ALL,
        networks: "".parse().unwrap(),
        access: Access::Full,
        expires_at: None,
    }
}

fn origin(protocol: Protocol, host: u8) -> Origin {
    Origin {
        session: SessionId(uuid::Uuid::from_bytes(random::bytes())),
        protocol,
        client: ClientAddress::new([192, 0, 2, host].into()),
        reach: Reach::new([Led::to(UpstreamName("legacy".to_owned()))]),
        reading: Reading::default(),
    }
}

fn credentials(name: &str, password: &str) -> Credentials {
    Credentials {
        login: LoginName::from_bytes(name.as_bytes()).unwrap(),
        password: Password::new(password.as_bytes().to_vec()).unwrap(),
        mechanism: Mechanism::Plain,
        program: Some("Foxmail 7.2".to_owned()),
    }
}

/// No answer that would help anybody.
fn unavailable(credential_sent: bool) -> UpstreamSaid {
    UpstreamSaid::Unavailable {
        refusal: Refusal::Unavailable,
        reason: "it closed the connection".to_owned(),
        credential_sent,
        concerns: Concerns::Everybody,
    }
}

/// An app password with the same label and other symbols behind it.
fn with_same_label(printed: &str) -> String {
    let (label, rest) = printed.split_at(4);
    let other: String = rest
        .chars()
        .map(|c| {
            if c == 'a' {
                'b'
            } else if c == ' ' {
                ' '
            } else {
                'a'
            }
        })
        .collect();
    format!("{label}{other}")
}

/// One of many such.
fn another_with_same_label(printed: &str, number: u16) -> String {
    let symbols = with_same_label(printed).replace(' ', "");
    let (head, _) = symbols.split_at(symbols.len() - 10);
    let bits = (0..10).map(|bit| if number >> bit & 1 == 1 { 'c' } else { 'd' });
    head.chars().chain(bits).collect()
}
