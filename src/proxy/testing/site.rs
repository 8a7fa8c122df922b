//! A real gate with a store and a trail in a directory that vanishes.

use std::path::Path;
use std::sync::Arc;

use serde_json::Value;

use crate::account::Directory;
use crate::app_password::AppPasswords;
use crate::audit::Audit;
use crate::base::{Clock, Scratch, SiteKey, SystemClock};
use crate::config::{
    self, AfterUnbind, Database, FactorKind, Limits, Policies, Policy, Requirement, Upstream, WhenFull,
};
use crate::gate::{Authenticator, Dependencies, Rules, UpstreamRules};
use crate::store::Store;

pub(in crate::proxy) struct Site {
    pub(in crate::proxy) gate: Arc<Authenticator>,
    pub(in crate::proxy) clock: Arc<dyn Clock>,
    pub(in crate::proxy) audit: Audit,
    directory: Scratch,
}

impl Site {
    /// No account needs a second factor, and `upstream` knows the mailbox passwords.
    pub(in crate::proxy) async fn open(upstream: &Upstream, limits: Limits) -> Self {
        let directory = Scratch::new();
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::start());
        let key = Arc::new(SiteKey::from_bytes([7; 32]));
        let database = Database::Sqlite(directory.path().join("mailward.db"));
        let store = Store::open(&database).await.unwrap();
        let when_full = WhenFull::Refuse;
        let trail = config::Audit {
            directory: directory.path().join("audit"),
            when_full,
            retention: None,
            reserve: 0,
        };
        let audit = Audit::open(&trail, store.clone(), Arc::clone(&key), Arc::clone(&clock)).await.unwrap();
        let policy = Policy {
            second_factor: Requirement::Optional,
            factors: vec![FactorKind::Totp],
            app_passwords_after_unbind: AfterUnbind::Stop,
            app_passwords_per_account: 20,
            trusted_device: std::time::Duration::from_secs(7 * 86_400),
            ..Policy::default()
        };
        let gate = Arc::new(Authenticator::new(Dependencies {
            app_passwords: Arc::new(AppPasswords::new(store.clone(), key, Arc::clone(&clock))),
            store,
            audit: audit.clone(),
            clock: Arc::clone(&clock),
            rules: Rules {
                directory: Arc::new(Directory::new(std::slice::from_ref(upstream)).unwrap()),
                policies: Policies { default: policy, domains: Default::default() },
                limits,
                when_full,
                upstreams: vec![UpstreamRules::new(upstream, None).unwrap()],
            },
        }));
        Self { gate, clock, audit, directory }
    }

    /// `outcome` of logins or `reason` of session ends, as recorded so far.
    pub(in crate::proxy) fn recorded(&self, event: &str, field: &str) -> Vec<String> {
        let mut texts = Vec::new();
        read(&self.directory.path().join("audit"), &mut texts);
        let records =
            texts.iter().flat_map(|text| text.lines()).filter_map(|line| serde_json::from_str(line).ok());
        let records = records.filter(|record: &Value| record["event"] == event);
        records.map(|record| record[field].as_str().unwrap_or_default().to_owned()).collect()
    }
}

fn read(directory: &Path, texts: &mut Vec<String>) {
    for entry in std::fs::read_dir(directory).unwrap() {
        texts.extend(std::fs::read_to_string(entry.unwrap().path()));
    }
}
