//! The portal over a real gate and a real database; the upstream is a list of passwords.

mod belongings;
mod notices;
mod sessions;
mod sign_in;

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::Mutex;
use std::time::Duration;

use tempfile::TempDir;

use super::*;
use crate::account::{Directory, MailboxVerdict};
use crate::app_password::Scope;
use crate::audit::event::Outcome;
use crate::base::{
    AppPasswordId, ClientAddress, DeviceId, LoginName, ManualClock, NetworkList, Password, PortalSessionId,
    Protocol, ProtocolSet, SessionId, Timestamp, Token, UpstreamName, random,
};
use crate::config::{self, AfterUnbind, Config, FactorKind, Requirement};
use crate::factor::Question;
use crate::gate::{Rules, UpstreamRules};
use crate::store::AuditQuery;

const ALICE: &str = "alice@example.org";
const BOB: &str = "bob@example.org";
const MAILBOX: &str = "the old mailbox password";

/// What an honest mail server says.
#[derive(Default)]
struct Mailboxes {
    passwords: Mutex<HashMap<String, String>>,
    down: std::sync::atomic::AtomicBool,
    asked: std::sync::atomic::AtomicUsize,
}

impl MailboxCheck for Mailboxes {
    fn check<'a>(
        &'a self,
        _: &'a UpstreamName,
        user: &'a LoginName,
        password: &'a Password,
    ) -> Pin<Box<dyn Future<Output = MailboxVerdict> + Send + 'a>> {
        use std::sync::atomic::Ordering::SeqCst;
        self.asked.fetch_add(1, SeqCst);
        let known = self.passwords.lock().unwrap().get(user.as_str()).cloned();
        let verdict = if self.down.load(SeqCst) {
            MailboxVerdict::Unavailable { why: "it is down".to_owned(), sent: false, everybody: true }
        } else if known.is_some_and(|known| known.as_bytes() == password.expose()) {
            MailboxVerdict::Right
        } else {
            MailboxVerdict::Wrong
        };
        Box::pin(std::future::ready(verdict))
    }
}

struct Site {
    portal: Portal,
    clock: Arc<ManualClock>,
    mailboxes: Arc<Mailboxes>,
    config: Config,
    directory: TempDir,
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
default_domain = "example.org"
imap = { address = ["127.0.0.1:143"], tls = "none" }
smtp = { address = ["127.0.0.1:587"], tls = "none" }
[portal]
public_url = "https://mail.example.org"
[limits]
failure_delay = "1ms"
"#;

impl Site {
    async fn open() -> Self {
        Self::with("", |_| ()).await
    }

    /// With `more` behind the configuration, and what `change` makes of it.
    async fn with(more: &str, change: impl FnOnce(&mut Config)) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let text = format!("{CONFIG}{more}").replace("DIR", directory.path().to_str().unwrap());
        let path = directory.path().join("mailward.toml");
        std::fs::write(&path, text).unwrap();
        let mut config = Config::load(&path).unwrap();
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
                    audit.clone(),
                    true,
                )),
                store,
                audit,
                key,
                clock,
            },
            Settings::of(&config).unwrap(),
        );
        Self { portal, clock: manual, mailboxes, config, directory }
    }

    async fn sign_in(&self, name: &str, password: &str, device: Option<&Token>) -> Result<Entered, NoSignIn> {
        let login = LoginName::from_bytes(name.as_bytes()).unwrap();
        self.portal.sign_in(&browser(1), login, secret(password), device).await
    }

    /// Signed in, unbound.
    async fn inside(&self, name: &str) -> Visit {
        let entered = self.sign_in(name, MAILBOX, None).await.unwrap();
        assert_eq!(entered.step, Step::In);
        self.visit(entered.token).await.unwrap()
    }

    async fn visit(&self, token: Token) -> Option<Visit> {
        self.portal.visit(token, browser(1)).await.unwrap()
    }

    /// Binds an authenticator: the visit that goes on, its raw secret and the recovery codes.
    async fn bind(&self, visit: &Visit) -> (Visit, Vec<u8>, Vec<String>) {
        let fresh = visit.inside().unwrap().fresh().unwrap();
        let offer = self.portal.offer_totp(fresh).await.unwrap();
        let raw = raw(&offer);
        // The offer stands in the session's row, which was read before.
        let visit = self.again(visit).await;
        let fresh = visit.inside().unwrap().fresh().unwrap();
        let bound = self.portal.bind_totp(fresh, &self.code(&raw)).await.unwrap();
        let codes = bound.recovery_codes.unwrap_or_default().iter().map(text).collect();
        (self.visit(bound.token).await.unwrap(), raw, codes)
    }

    /// The next request of the same browser.
    async fn again(&self, visit: &Visit) -> Visit {
        self.visit(Token::parse(&visit.token.text()).unwrap()).await.unwrap()
    }

    /// Half a minute later: the code of a step that was not used yet.
    fn next_code(&self, raw: &[u8]) -> String {
        self.clock.advance(Duration::from_secs(30));
        self.code(raw)
    }

    fn code(&self, raw: &[u8]) -> String {
        let seconds = u64::try_from(self.clock.now().unix_seconds()).unwrap();
        let totp = totp_rs::Builder::new()
            .with_algorithm(totp_rs::Algorithm::SHA1)
            .with_digits(6)
            .with_step_duration(30)
            .with_skew(1)
            .with_secret(raw);
        totp.build().unwrap().generate(seconds).to_string()
    }

    /// The kinds of what the account's owner is to be told, oldest first, and of what; then nothing waits any more.
    async fn told(&self, visit: &Visit) -> Vec<String> {
        let store = &self.portal.on.store;
        let mut kinds = Vec::new();
        for row in store.waiting_notices(visit.account.id).await.unwrap() {
            let told: crate::notify::Told = serde_json::from_str(&row.notice).unwrap();
            kinds.push(told.notice.kind().to_owned());
            store.forget_notice(row.id).await.unwrap();
        }
        kinds
    }

    async fn records(&self, event: &str) -> Vec<serde_json::Value> {
        let query = AuditQuery { event: Some(event.to_owned()), ..AuditQuery::default() };
        let found = crate::audit::search(&self.config.audit.directory, &self.portal.on.store, &query).await;
        found.unwrap().iter().map(|row| serde_json::from_str(&row.json).unwrap()).collect()
    }
}

fn browser(host: u8) -> Browser {
    Browser { address: ClientAddress::new([192, 0, 2, host].into()), name: Some("Firefox".to_owned()) }
}

fn secret(text: &str) -> Password {
    Password::new(text.as_bytes().to_vec()).unwrap()
}

fn text(secret: &crate::base::Secret) -> String {
    String::from_utf8(secret.expose().to_vec()).unwrap()
}

fn raw(offer: &Offer) -> Vec<u8> {
    totp_rs::Totp::from_url(text(&offer.uri)).unwrap().secret().as_bytes().to_vec()
}

fn anything() -> Scope {
    Scope { protocols: ProtocolSet::ALL, networks: NetworkList::default(), expires_at: None }
}

const TOTP: Question = Question::Factor(FactorKind::Totp);

/// All of them at once.
async fn join_all<F: Future>(futures: impl IntoIterator<Item = F>) -> Vec<F::Output> {
    let mut running: Vec<_> = futures.into_iter().map(|future| (Box::pin(future), None)).collect();
    std::future::poll_fn(|context| {
        for (future, output) in &mut running {
            if output.is_none()
                && let std::task::Poll::Ready(done) = future.as_mut().poll(context)
            {
                *output = Some(done);
            }
        }
        if running.iter().all(|(_, output)| output.is_some()) {
            std::task::Poll::Ready(())
        } else {
            std::task::Poll::Pending
        }
    })
    .await;
    running.into_iter().filter_map(|(_, output)| output).collect()
}
