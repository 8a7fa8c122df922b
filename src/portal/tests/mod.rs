//! The portal over a real gate and a real database; the upstream is a list of passwords.

mod belongings;
mod enrolment;
mod history;
mod mailbox;
mod notices;
mod passkeys;
mod profiles;
mod sessions;
mod sign_in;

use std::time::Duration;

use super::testing::{ALICE, BOB, MAILBOX, Site};
use super::*;
use crate::app_password::Scope;
use crate::audit::event::Outcome;
use crate::base::{
    Access, AppPasswordId, ClientAddress, DeviceId, LoginName, NetworkList, Password, PortalSessionId,
    Protocol, ProtocolSet, SessionId, Timestamp, Token, random,
};
use crate::config::{AfterUnbind, FactorKind, Requirement};
use crate::factor::Question;
use crate::store::AuditQuery;

impl Site {
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
        let offer = self.portal.offer_totp(fresh, None).await.unwrap();
        let raw = raw(&offer);
        let bound = self.portal.bind(fresh, FactorKind::Totp, "", &self.code(&raw)).await.unwrap();
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

fn raw(offer: &TotpOffer) -> Vec<u8> {
    totp_rs::Totp::from_url(text(&offer.uri)).unwrap().secret().as_bytes().to_vec()
}

fn anything() -> Scope {
    Scope {
        protocols: ProtocolSet::ALL,
        networks: NetworkList::default(),
        access: Access::Full,
        expires_at: None,
    }
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
