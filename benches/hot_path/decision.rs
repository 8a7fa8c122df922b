//! From an attempt whose proof is in memory to its passage, records included.

use std::sync::Arc;
use std::time::Duration;

use divan::Bencher;
use mailward::base::{ClientAddress, LoginName, Protocol, SessionId, UpstreamName, random};
use mailward::gate::{
    Authenticator, Conclusion, Decision, Dependencies, Led, Origin, Reach, Rules, SessionSummary,
    UpstreamRules, UpstreamSaid,
};
use mailward::protocol::{Credentials, Mechanism};

use crate::site::{Ready, USER};

fn gate(ready: &Ready) -> Authenticator {
    let config = &ready.site.config;
    Authenticator::new(Dependencies {
        store: ready.site.store.clone(),
        app_passwords: Arc::clone(&ready.app_passwords),
        audit: ready.audit.clone(),
        clock: Arc::clone(&ready.site.clock),
        rules: Rules {
            directory: Arc::clone(&ready.site.directory),
            policies: config.policies.clone(),
            limits: config.limits.clone(),
            when_full: config.audit.when_full,
            upstreams: config.upstreams.iter().map(|one| UpstreamRules::new(one, None).unwrap()).collect(),
        },
    })
}

#[divan::bench]
fn login(bencher: Bencher<'_, '_>) {
    let ready = Ready::new();
    let gate = ready.runtime.block_on(async { gate(&ready) });
    bencher.bench(|| {
        ready.runtime.block_on(async {
            let origin = Origin {
                session: SessionId(random::uuid(ready.site.clock.now())),
                protocol: Protocol::Imap,
                client: ClientAddress::new([192, 0, 2, 1].into()),
                reach: Reach::new([Led::to(UpstreamName("legacy".to_owned()))]),
                reading: gate.reading(),
            };
            let credentials = Credentials {
                login: LoginName::from_bytes(USER.as_bytes()).unwrap(),
                password: ready.printed.duplicate(),
                mechanism: Mechanism::Plain,
                program: None,
            };
            let Decision::Admit(mut grant) = gate.judge(&origin, credentials).await else { return };
            drop(grant.take_login());
            let Conclusion::Pass(passage) = gate.conclude(grant, UpstreamSaid::Yes).await else { return };
            // Its end is nobody's to wait for.
            let summary = SessionSummary { duration: Duration::ZERO, reason: "client_closed" };
            let ended = gate.session_ended(passage, summary);
            let _ = tokio::time::timeout(Duration::ZERO, ended).await;
        });
    });
}
