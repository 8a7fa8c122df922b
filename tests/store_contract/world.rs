//! Databases of a test's own, and records to put into them.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use mailward::base::{AccountId, Address, AppPasswordId, FactorId, Timestamp, UpstreamName, random};
use mailward::config::Database;
use mailward::store::{AppPasswordRecord, FactorRecord, Store, Use};
use sqlx::{AssertSqlSafe, Connection, Executor};
use tempfile::TempDir;

/// More factors than any case binds, but the one that is about that.
pub(super) const MOST: u32 = 16;

pub(super) fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap().block_on(work)
}

/// Starts `work(0..n)` as tasks of their own, and returns what they returned.
pub(super) async fn all_at_once<T: Send + 'static, F: Future<Output = T> + Send + 'static>(
    n: usize,
    work: impl Fn(usize) -> F,
) -> Vec<T> {
    let tasks: Vec<_> = (0..n).map(|i| tokio::spawn(work(i))).collect();
    let mut results = Vec::new();
    for task in tasks {
        results.push(task.await.unwrap());
    }
    results
}

/// The moment `micros` microseconds after the beginning of 2026.
pub(super) fn at(micros: i64) -> Timestamp {
    let start = Timestamp::from_unix_seconds(1_767_225_600).date_time();
    Timestamp::new(start + time::Duration::microseconds(micros))
}

pub(super) fn address(local: &str) -> Address {
    Address::parse(&format!("{local}@example.org")).unwrap()
}

pub(super) fn upstream() -> UpstreamName {
    UpstreamName("legacy".to_owned())
}

pub(super) async fn add(store: &Store, local: &str) -> AccountId {
    store.add_account(&address(local), &upstream(), at(1)).await.unwrap().0.id
}

pub(super) fn factor(account: AccountId, bound: i64) -> FactorRecord {
    FactorRecord {
        id: FactorId(random::uuid(at(bound))),
        account,
        kind: "totp".to_owned(),
        name: String::new(),
        detail: None,
        secret: (0..=255).collect(),
        bound_at: at(bound),
        last_step: None,
        last_used_at: None,
    }
}

pub(super) fn app_password(account: AccountId, label: &str) -> AppPasswordRecord {
    AppPasswordRecord {
        id: AppPasswordId(random::uuid(at(1))),
        account,
        label: label.to_owned(),
        name: "Foxmail".to_owned(),
        kdf: "$argon2id$v=19$m=19456,t=2,p=1$c2FsdA".to_owned(),
        proof: vec![1; 32],
        public_key: vec![2; 32],
        sealed: Some(vec![3; 64]),
        sealed_version: 1,
        upstream: upstream(),
        protocols: "imap,smtp".to_owned(),
        networks: "192.0.2.0/24".to_owned(),
        access: "full".to_owned(),
        expires_at: Some(at(1_000_000)),
        created_at: at(1),
        last_used_at: None,
        last_used_address: None,
        last_used_program: None,
        mac: vec![4; 32],
        sealed_at: Some(at(1)),
        stale_since: None,
        probes: 0,
        next_probe_at: None,
    }
}

pub(super) fn used(account: AccountId, app_password: Option<AppPasswordId>, at: Timestamp) -> Use {
    Use { account, app_password, at, address: "192.0.2.1".to_owned(), program: None }
}

/// A server of this test's own; it ends when its standard input does.
pub(super) struct PostgresServer {
    process: Child,
    url: String,
    _directory: TempDir,
}

impl PostgresServer {
    pub(super) fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/servers/postgres");
        let mut process = Command::new(script)
            .arg("--dir")
            .arg(directory.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{script}: {error}"));
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let told: serde_json::Value =
            serde_json::from_str(&line).unwrap_or_else(|_| panic!("PostgreSQL did not start; see above"));
        Self { process, url: told["url"].as_str().unwrap().to_owned(), _directory: directory }
    }

    pub(super) async fn fresh_database(&self, name: &str) -> Database {
        let name = name.get(..60).unwrap_or(name); // PostgreSQL's names have 63 bytes
        let mut connection = sqlx::PgConnection::connect(&self.url).await.unwrap();
        connection.execute(AssertSqlSafe(format!("CREATE DATABASE \"{name}\""))).await.unwrap();
        connection.close().await.unwrap();
        let (server, _) = self.url.rsplit_once('/').unwrap();
        Database::Postgres(format!("{server}/{name}"))
    }
}

impl Drop for PostgresServer {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        let _ = self.process.wait();
    }
}
