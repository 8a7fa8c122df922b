//! The portal beside the gate: its services, its door, and what a reload changes of them.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use rustls::sign::CertifiedKey;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::interval;

use crate::account::{MailboxCheck, MailboxVerdict};
use crate::app_password::AppPasswords;
use crate::audit::Audit;
use crate::base::{LoginName, Password, UpstreamName};
use crate::config::{self, Config};
use crate::factor::TrustedDevices;
use crate::gate::Authenticator;
use crate::notify::{Courier, Notices, Postman};
use crate::portal::{Dependencies, Portal, Settings};
use crate::proxy::inherited::Inherited;
use crate::proxy::upstream::Upstreams;
use crate::proxy::{BindError, Proxy};
use crate::site::Site;
use crate::web::{CertificateInForce, Entrance, EntranceInForce, Web, WebListener};

/// How often sessions and devices are forgotten whose time is over, and sign-ins told of that came no further.
const TIDY_EVERY: Duration = Duration::from_secs(60);

/// Where `config` wants the portal to listen: the socket that came, or one of its own.
///
/// # Errors
/// [`BindError`]
pub(super) fn bind(config: &Config, inherited: &mut Inherited) -> Result<Option<WebListener>, BindError> {
    let listen = config.portal.as_ref().and_then(|portal| portal.listen);
    listen.map(|address| inherited.take_or_bind(address).map(WebListener::at)).transpose()
}

/// The portal, serving.
pub(super) struct ServedPortal {
    portal: Arc<Portal>,
    notices: Arc<Notices>,
    entrance: EntranceInForce,
    certificate: CertificateInForce,
    serving: JoinSet<()>,
    #[expect(dead_code, reason = "held for its drop")]
    chores: JoinSet<()>,
}

/// What the portal shares with the gate.
pub(super) struct Shared<'s> {
    pub(super) site: &'s Site,
    pub(super) gate: &'s Arc<Authenticator>,
    pub(super) app_passwords: &'s Arc<AppPasswords>,
    pub(super) audit: &'s Audit,
    pub(super) proxy: &'s Proxy,
    pub(super) postman: &'s Arc<Postman>,
}

impl ServedPortal {
    /// Serves at `listener` until `closing` turns true. `None` where the configuration has no portal.
    pub(super) fn open(
        listener: WebListener,
        shared: &Shared<'_>,
        closing: watch::Receiver<bool>,
    ) -> Option<Self> {
        let Shared { site, gate, app_passwords, audit, proxy, postman } = shared;
        let courier: Arc<dyn Courier> = Arc::<Postman>::clone(postman);
        let settings = Settings::of(&site.config)?;
        let notices = Arc::new(site.notices(audit, gate.meters()));
        let portal = Arc::new(Portal::new(
            Dependencies {
                gate: Arc::clone(gate),
                mailboxes: Arc::new(Mailboxes(proxy.upstreams())),
                app_passwords: Arc::clone(app_passwords),
                factors: site.factors(),
                devices: TrustedDevices::new(
                    site.store.clone(),
                    Arc::clone(&site.key),
                    Arc::clone(&site.clock),
                ),
                live_sessions: site.live_sessions(),
                notices: Arc::clone(&notices),
                courier,
                store: site.store.clone(),
                audit: (*audit).clone(),
                key: Arc::clone(&site.key),
                clock: Arc::clone(&site.clock),
            },
            settings,
        ));
        if let Ok(address) = listener.address() {
            announce(address);
        }
        let entrance = EntranceInForce::new(entrance(site.config.portal.as_ref()?, proxy));
        let certificate = CertificateInForce::new(certificate(&site.config, proxy));
        let web = Web::new(Arc::clone(&portal), Arc::clone(&site.clock), certificate.clone());
        let mut serving = JoinSet::new();
        serving.spawn(listener.serve(web, entrance.clone(), closing));
        let mut chores = JoinSet::new();
        chores.spawn(tidy(Arc::clone(&portal)));
        Some(Self { portal, notices, entrance, certificate, serving, chores })
    }

    /// From now on what `config` says, and the certificates that `proxy` presents.
    pub(super) fn adopt(&self, config: &Config, proxy: &Proxy) {
        if let Some(settings) = Settings::of(config) {
            self.portal.adopt(settings);
        }
        self.notices.turn(config.mail.is_some());
        if let Some(portal) = &config.portal {
            self.entrance.adopt(entrance(portal, proxy));
        }
        self.certificate.adopt(certificate(config, proxy));
    }

    /// Returns when the last answer is given, or its time is over.
    pub(super) async fn ended(mut self) {
        while self.serving.join_next().await.is_some() {}
    }
}

/// As `portal` says it, with the certificates that `proxy` presents.
fn entrance(portal: &config::Portal, proxy: &Proxy) -> Arc<Entrance> {
    Arc::new(Entrance::new(portal, proxy.tls_for_browsers()))
}

/// That of the name that the portal has.
fn certificate(config: &Config, proxy: &Proxy) -> Arc<CertifiedKey> {
    proxy.certificate_of(config.portal.as_ref().map_or("", |portal| portal.host()))
}

fn announce(address: SocketAddr) {
    tracing::info!(%address, "listening for the portal");
}

async fn tidy(portal: Arc<Portal>) {
    let mut ticks = interval(TIDY_EVERY);
    loop {
        ticks.tick().await;
        portal.tidy_up().await;
    }
}

/// Asks the upstreams of the configuration that is in force at that moment.
struct Mailboxes(watch::Receiver<Arc<Upstreams>>);

impl MailboxCheck for Mailboxes {
    fn check<'a>(
        &'a self,
        upstream: &'a UpstreamName,
        user: &'a LoginName,
        password: &'a Password,
    ) -> Pin<Box<dyn Future<Output = MailboxVerdict> + Send + 'a>> {
        Box::pin(async move {
            let upstreams = Arc::clone(&self.0.borrow());
            upstreams.check(upstream, user, password).await
        })
    }
}
