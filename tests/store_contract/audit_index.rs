//! The heads of the trail, and the index by which it is searched.

use std::sync::Arc;
use std::time::Duration;

use mailward::audit;
use mailward::base::{SiteKey, SystemClock, Timestamp};
use mailward::config::{Audit, Database, WhenFull};
use mailward::store::{Among, AuditBatch, AuditHead, AuditMark, AuditQuery, AuditRow, Store};
use sqlx::Executor;

use super::world::{all_at_once, at};

pub(super) async fn an_audit_head_only_moves_forward(database: Database) {
    let store = Store::open(&database).await.unwrap();
    let head = |chain: &str, sequence| AuditHead {
        chain: chain.to_owned(),
        place: format!("node-{sequence}:/var"),
        sequence,
        hash: vec![sequence as u8; 32],
        mac: vec![!(sequence as u8); 32],
    };
    for (chain, sequence) in [("b", 7), ("a", 1), ("b", 9), ("b", 8), ("b", 9)] {
        store.put_audit_head(&head(chain, sequence)).await.unwrap();
    }
    assert_eq!(store.audit_heads().await.unwrap(), [head("a", 1), head("b", 9)]);
}

/// A record with these fields: account, address, outcome.
fn audit_row(
    chain: &str,
    sequence: i64,
    at: Timestamp,
    event: &str,
    [account, ip, outcome]: [Option<&str>; 3],
) -> AuditRow {
    let json = serde_json::json!({
        "seq": sequence, "at": at.to_string(), "event": event, "account": account, "ip": ip, "outcome": outcome,
    });
    let text = |text: Option<&str>| text.map(str::to_owned);
    AuditRow {
        chain: chain.to_owned(),
        sequence,
        at,
        event: event.to_owned(),
        account: text(account),
        ip: text(ip),
        outcome: text(outcome),
        json: json.to_string(),
    }
}

fn batch(rows: &[AuditRow]) -> AuditBatch {
    rows.iter().map(|row| row.json.as_str()).collect()
}

pub(super) async fn searches_find_what_was_indexed(database: Database) {
    let store = Store::open(&database).await.unwrap();
    let row = |sequence, at, event: &str, account: Option<&str>, ip: Option<&str>, outcome: Option<&str>| {
        audit_row("one", sequence, at, event, [account, ip, outcome])
    };
    // Half a second after a whole one: as text of varying width it would sort before it.
    let rows = [
        row(1, at(0), "chain_started", None, None, None),
        row(2, at(1_000_000), "login", Some("ada@example.org"), Some("192.0.2.1"), Some("admitted")),
        row(3, at(1_500_000), "login", Some("ada@example.org"), Some("192.0.2.2"), Some("refused")),
        row(4, at(1_500_000), "login", Some("bob@example.org"), Some("192.0.2.1"), Some("refused")),
        row(5, at(2_000_000), "session_end", Some("ada@example.org"), Some("192.0.2.1"), None),
        row(6, at(2_500_000), "sign_in", Some("bob@example.org"), Some("192.0.2.3"), Some("admitted")),
        row(7, at(2_500_000), "second_factor", Some("ada@example.org"), Some("192.0.2.3"), Some("limited")),
    ];
    assert!(store.index_audit(0, &mark("one", 500), batch(&rows)).await.unwrap());
    let found = |query: AuditQuery| {
        let store = store.clone();
        async move {
            let found = store.search_audit(&query).await.unwrap();
            found.into_iter().map(|row| row.sequence).collect::<Vec<_>>()
        }
    };
    let some = |text: &str| Some(text.to_owned());
    let all = AuditQuery::default();
    assert_eq!(store.search_audit(&all).await.unwrap(), rows);
    assert_eq!(found(AuditQuery { limit: 2, ..all.clone() }).await, [6, 7], "the newest");
    let without_chains = AuditQuery { without_chains: true, ..all.clone() };
    assert_eq!(found(without_chains).await, [2, 3, 4, 5, 6, 7]);
    let rare = AuditQuery { among: Among::RareAttempts, ..all.clone() };
    assert_eq!(found(rare.clone()).await, [3, 4, 6, 7]);
    assert_eq!(found(AuditQuery { limit: 3, ..rare.clone() }).await, [4, 6, 7], "the newest of all kinds");
    assert_eq!(found(AuditQuery { account: some("ada@example.org"), ..rare }).await, [3, 7]);
    assert_eq!(found(AuditQuery { account: some("ada@example.org"), ..all.clone() }).await, [2, 3, 5, 7]);
    assert_eq!(found(AuditQuery { ip: some("192.0.2.1"), ..all.clone() }).await, [2, 4, 5]);
    assert_eq!(found(AuditQuery { event: some("login"), ..all.clone() }).await, [2, 3, 4]);
    assert_eq!(found(AuditQuery { outcome: some("refused"), ..all.clone() }).await, [3, 4]);
    assert_eq!(found(AuditQuery { from: Some(at(1_500_000)), ..all.clone() }).await, [3, 4, 5, 6, 7]);
    assert_eq!(found(AuditQuery { until: Some(at(1_500_000)), ..all.clone() }).await, [1, 2]);
    let narrow = AuditQuery {
        account: some("ada@example.org"),
        from: Some(at(1)),
        until: Some(at(1_999_999)),
        event: some("login"),
        outcome: some("refused"),
        ip: some("192.0.2.2"),
        without_chains: true,
        among: Among::RareAttempts,
        limit: 10,
    };
    assert_eq!(found(narrow).await, [3]);
    assert_eq!(found(AuditQuery { account: some("ada"), ..all }).await, [] as [i64; 0], "exactly");
}

pub(super) async fn of_many_records_the_newest_are_found_whatever_chain_and_block_they_are_in(
    database: Database,
) {
    let store = Store::open(&database).await.unwrap();
    // Three gates, one of them an hour and a half behind, one with a clock that was set back; many at one time.
    let user = |n: i64| format!("user{}@example.org", n % 40);
    let row = |chain, n: i64, moment| {
        let (account, ip) = (user(n * 7), format!("192.0.2.{}", n % 5));
        let event = ["login", "session_end", "login", "sign_in", "chain_started"][n as usize % 5];
        let outcome = ["refused", "admitted", "limited"][n as usize % 3];
        audit_row(chain, n, at(moment), event, [Some(&account), Some(&ip), Some(outcome)])
    };
    let seconds = |n: i64| n * 1_000_000;
    let mut rows = Vec::new();
    rows.extend((1..=1500).map(|n| row("a", n, seconds(6_000) + n / 3 * 1_000)));
    rows.extend((1..=700).map(|n| row("b", n, seconds(n * 11))));
    rows.extend((1..=300).map(|n| row("c", n, if n < 150 { seconds(9_000 + n) } else { seconds(n) })));
    for chain in ["a", "b", "c"] {
        let mine: Vec<_> = rows.iter().filter(|row| row.chain == chain).cloned().collect();
        let mut position = 0;
        for part in mine.chunks(210) {
            let next = position + 1_000;
            assert!(store.index_audit(position, &mark(chain, next), batch(part)).await.unwrap());
            position = next;
        }
    }
    rows.sort_by_key(|row| (row.at, row.chain.clone(), row.sequence));

    let newest = |query: &AuditQuery| {
        let fits = |row: &&AuditRow| {
            query.account.is_none_or_is(&row.account)
                && query.ip.is_none_or_is(&row.ip)
                && query.outcome.is_none_or_is(&row.outcome)
                && query.event.is_none_or_is(&Some(row.event.clone()))
                && !(query.without_chains && row.event == "chain_started")
                && match (query.among, row.event.as_str()) {
                    (Among::All, _) | (Among::RareAttempts, "sign_in") => true,
                    (Among::RareAttempts, "login") => row.outcome.as_deref() != Some("admitted"),
                    (Among::RareAttempts, _) => false,
                }
                && query.from.is_none_or(|from| from <= row.at)
                && query.until.is_none_or(|until| row.at < until)
        };
        let fit: Vec<_> = rows.iter().filter(fits).cloned().collect();
        let limit = if query.limit == 0 { 1_000 } else { query.limit as usize };
        fit[fit.len().saturating_sub(limit)..].to_vec()
    };
    let moments =
        [None, Some(at(seconds(200))), Some(at(seconds(6_000) + 250_000)), Some(at(seconds(7_000)))];
    for from in moments {
        for until in moments {
            let all = AuditQuery { from, until, ..AuditQuery::default() };
            let some = |text: &str| Some(text.to_owned());
            for what in [
                all.clone(),
                AuditQuery { account: Some(user(7)), ..all.clone() },
                AuditQuery { account: Some(user(14)), among: Among::RareAttempts, ..all.clone() },
                AuditQuery { among: Among::RareAttempts, ..all.clone() },
                AuditQuery { ip: some("192.0.2.3"), outcome: some("limited"), ..all.clone() },
                AuditQuery { event: some("sign_in"), ..all.clone() },
                AuditQuery { outcome: some("admitted"), without_chains: true, ..all.clone() },
            ] {
                for limit in [0, 1, 40, 5_000] {
                    let query = AuditQuery { limit, ..what.clone() };
                    let found = store.search_audit(&query).await.unwrap();
                    let wanted = newest(&query);
                    assert_eq!(found.len(), wanted.len(), "{query:?}");
                    assert!(found == wanted, "{query:?}");
                }
            }
        }
    }
}

/// What is asked for, if anything is.
trait Asked {
    fn is_none_or_is(&self, said: &Self) -> bool;
}

impl Asked for Option<String> {
    fn is_none_or_is(&self, said: &Self) -> bool {
        self.is_none() || self == said
    }
}

pub(super) async fn a_chain_goes_from_the_index_whole_and_leaves_nothing_behind(database: Database) {
    let store = Store::open(&database).await.unwrap();
    let rows = |chain: &str| -> Vec<AuditRow> {
        let row = |n: i64| {
            let account = format!("user{n}\u{0}@example.org");
            let row = audit_row(chain, n, at(n * 1_000), "login", [Some(&account), Some("192.0.2.1"), None]);
            // As PostgreSQL can keep it.
            AuditRow { account: Some(format!("user{n}\u{fffd}@example.org")), ..row }
        };
        (1..=2_500).map(row).collect()
    };
    for expire in [false, true] {
        for chain in ["gone", "stays"] {
            let added = store.index_audit(0, &mark(chain, 9), batch(&rows(chain))).await.unwrap();
            assert!(added || chain == "stays");
        }
        if expire {
            store.expire_audit_chain("gone").await.unwrap();
        } else {
            store.forget_audit_index("gone").await.unwrap();
        }
        assert_eq!(store.audit_marks().await.unwrap(), [mark("stays", 9)]);
        let all = AuditQuery { limit: 10_000, ..AuditQuery::default() };
        assert!(store.search_audit(&all).await.unwrap() == rows("stays"));
        let left = "SELECT COUNT(*) FROM audit_keys WHERE block NOT IN (SELECT number FROM audit_blocks)";
        let left: i64 = match &store {
            Store::Sqlite(pool, _) => sqlx::query_scalar(left).fetch_one(pool).await.unwrap(),
            Store::Postgres(pool) => sqlx::query_scalar(left).fetch_one(pool).await.unwrap(),
        };
        assert_eq!(left, 0, "keys of blocks that are gone");
    }
}

pub(super) async fn an_index_that_is_being_taken_away_is_added_to_by_nobody(database: Database) {
    let store = Store::open(&database).await.unwrap();
    let rows: Vec<_> =
        (1..=9_000).map(|n| audit_row("one", n, at(n * 1_000), "login", [Some("ada"), None, None])).collect();
    let found = async || {
        store.search_audit(&AuditQuery { limit: 10_000, ..AuditQuery::default() }).await.unwrap().len()
    };
    let mut patience = Duration::from_millis(1);
    loop {
        assert!(store.index_audit(0, &mark("one", 900), batch(&rows)).await.unwrap());
        // It takes several transactions. Whoever does it may be gone before the last.
        while found().await == rows.len() {
            let _ = tokio::time::timeout(patience, store.forget_audit_index("one")).await;
            patience += patience / 4;
        }
        if found().await > 0 {
            break;
        }
        patience /= 2;
    }
    let there = store.audit_marks().await.unwrap();
    let [void] = &there[..] else { panic!("{there:?}") };
    assert_eq!(void.position, 0);
    assert!(!void.tail.starts_with(b"{"), "whoever reads the file sees that this is not what was indexed");
    assert!(
        !store.index_audit(900, &mark("one", 901), batch(&rows[..1])).await.unwrap(),
        "who had begun before"
    );
    store.forget_audit_index("one").await.unwrap();
    assert_eq!(store.audit_marks().await.unwrap(), []);
    assert_eq!(found().await, 0);
}

pub(super) async fn a_record_that_stands_twice_in_a_file_stops_no_index(database: Database) {
    let store = Store::open(&database).await.unwrap();
    let row = |n: i64| audit_row("one", n, at(n), "stopped", [None; 3]);
    let rows: Vec<_> = (1..=32).chain([32, 32]).chain(1..=32).chain([33]).map(row).collect();
    assert!(store.index_audit(0, &mark("one", 100), batch(&rows)).await.unwrap());
    assert_eq!(store.search_audit(&AuditQuery::default()).await.unwrap().len(), rows.len());
    store.expire_audit_chain("one").await.unwrap();
    assert_eq!(store.search_audit(&AuditQuery::default()).await.unwrap(), []);
}

pub(super) async fn the_index_of_the_version_before_is_made_anew(database: Database) {
    const UNDO: &str = "DROP TABLE audit_blocks; DROP TABLE audit_keys;
                        CREATE TABLE audit_records (chain TEXT, sequence INTEGER, json TEXT);
                        INSERT INTO audit_records VALUES ('one', 1, '{}');
                        DELETE FROM _sqlx_migrations WHERE version = 15";
    let store = Store::open(&database).await.unwrap();
    assert!(store.index_audit(0, &mark("one", 100), batch(&[])).await.unwrap());
    match &store {
        Store::Sqlite(pool, _) => drop(pool.execute(sqlx::raw_sql(UNDO)).await.unwrap()),
        Store::Postgres(pool) => drop(pool.execute(sqlx::raw_sql(UNDO)).await.unwrap()),
    }
    store.close().await;
    let store = Store::open(&database).await.unwrap();
    assert_eq!(store.audit_marks().await.unwrap(), [], "all is read again from the files");
    assert_eq!(store.search_audit(&AuditQuery::default()).await.unwrap(), []);
}

pub(super) async fn an_index_mark_moves_from_where_it_is_only(database: Database) {
    let store = Store::open(&database).await.unwrap();
    let row = |sequence| audit_row("one", sequence, at(sequence), "stopped", [None; 3]);
    let indexed = all_at_once(8, |_| {
        let (store, rows) = (store.clone(), [row(1), row(2)]);
        async move { store.index_audit(0, &mark("one", 100), batch(&rows)).await.unwrap() }
    })
    .await;
    assert_eq!(indexed.into_iter().filter(|done| *done).count(), 1);
    assert!(!store.index_audit(50, &mark("one", 200), batch(&[row(3)])).await.unwrap());
    assert!(
        store.index_audit(100, &mark("one", 200), batch(&[row(2), row(3)])).await.unwrap(),
        "2 is left alone"
    );
    assert_eq!(store.audit_marks().await.unwrap(), [mark("one", 200)]);
    assert_eq!(store.search_audit(&AuditQuery::default()).await.unwrap(), [row(1), row(2), row(3)]);

    store.forget_audit_index("one").await.unwrap();
    assert_eq!(store.audit_marks().await.unwrap(), []);
    assert_eq!(store.search_audit(&AuditQuery::default()).await.unwrap(), []);
    assert!(store.index_audit(0, &mark("one", 100), batch(&[row(1)])).await.unwrap());
}

pub(super) async fn a_chain_without_its_file_is_anothers_only_where_the_database_is_shared(
    database: Database,
) {
    let store = Store::open(&database).await.unwrap();
    let key = Arc::new(SiteKey::from_bytes([7; 32]));
    let gates = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    for gate in &gates {
        let settings = Audit {
            directory: gate.path().to_owned(),
            when_full: WhenFull::Refuse,
            retention: None,
            reserve: 0,
        };
        let clock = Arc::new(SystemClock::start());
        let trail = audit::Audit::open(&settings, store.clone(), Arc::clone(&key), clock).await.unwrap();
        trail.close().await;
    }
    let [here, there] = &gates;
    let report = audit::verify(here.path(), &store, &key).await.unwrap();
    assert_eq!(report.is_sound(), store.is_shared(), "{report:?}");
    if store.is_shared() {
        let notes: Vec<_> = report.chains.iter().flat_map(|chain| &chain.notes).collect();
        let [audit::Note::Elsewhere { place }] = notes[..] else { panic!("{notes:?}") };
        assert!(place.ends_with(there.path().to_str().unwrap()), "{place}");
    }
    // Its own file that is gone is missed on either, and so is a place that somebody made up.
    let file = std::fs::read_dir(here.path()).unwrap().next().unwrap().unwrap().path();
    std::fs::remove_file(file).unwrap();
    let missed = || async {
        let report = audit::verify(here.path(), &store, &key).await.unwrap();
        let problems: Vec<_> = report.chains.into_iter().flat_map(|chain| chain.problems).collect();
        problems.iter().filter(|problem| **problem == audit::Problem::FileMissing { head: 2 }).count()
    };
    assert_eq!(missed().await, if store.is_shared() { 1 } else { 2 });
    const MOVE_AWAY: &str = "UPDATE audit_heads SET place = 'nowhere:/'";
    match &store {
        Store::Sqlite(pool, _) => drop(pool.execute(MOVE_AWAY).await.unwrap()),
        Store::Postgres(pool) => drop(pool.execute(MOVE_AWAY).await.unwrap()),
    }
    assert_eq!(missed().await, 2);
}

pub(super) fn mark(chain: &str, position: i64) -> AuditMark {
    AuditMark { chain: chain.to_owned(), position, tail: vec![0, 10, 255] }
}
