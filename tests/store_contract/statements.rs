//! Each statement by itself: understood, and with an index.

use mailward::config::Database;
use mailward::store::{Store, statements};
use sqlx::{AssertSqlSafe, Executor, Row};

pub(super) async fn every_statement_is_understood(database: Database) {
    let store = Store::open(&database).await.unwrap();
    assert!(statements().count() > 30);
    for statement in statements() {
        let prepared = match &store {
            Store::Sqlite(pool, _) => {
                pool.acquire().await.unwrap().prepare(statement_text(statement)).await.err()
            }
            Store::Postgres(pool) => {
                pool.acquire().await.unwrap().prepare(statement_text(statement)).await.err()
            }
        };
        assert!(prepared.is_none(), "{statement}: {prepared:?}");
    }
}

/// Where PostgreSQL has few rows it reads them all whatever indexes there are; SQLite plans alike for any number.
const MANY_ROWS: &str = "
    INSERT INTO accounts (id, address, upstream, state, must_bind, created_at)
        SELECT gen_random_uuid(), 'user' || n || '@example.org', 'legacy', 'active', FALSE, now()
        FROM generate_series(1, 10000) AS n;
    INSERT INTO factors (id, account, kind, secret, bound_at) SELECT id, id, 'totp', '', now() FROM accounts;
    INSERT INTO app_passwords (id, account, label, name, kdf, proof, public_key, sealed_version, upstream,
                               protocols, networks, created_at, mac)
        SELECT id, id, 'abcd', '', '', '', '', 1, 'legacy', '', '', now(), '' FROM accounts;
    INSERT INTO audit_blocks SELECT n, 'chain' || n % 100, n, '' FROM generate_series(1, 20000) AS n;
    INSERT INTO audit_keys SELECT hashint8(n / 3), n FROM generate_series(1, 20000) AS n;
    INSERT INTO audit_heads SELECT 'chain' || n, '', 1, '', '' FROM generate_series(1, 10000) AS n;
    INSERT INTO audit_marks SELECT 'chain' || n, 1, '' FROM generate_series(1, 10000) AS n;
    INSERT INTO nodes SELECT id, 0 FROM accounts;
    INSERT INTO portal_sessions (id, token, account, step, began_at, seen_at, expires_at, address, mac)
        SELECT id, id::text::bytea, id, 'in', now(), now(), now() + random() * interval '1 day', '', '' FROM accounts;
    INSERT INTO portal_kept SELECT id, 'offer', 'totp', '' FROM portal_sessions;
    INSERT INTO trusted_devices (id, account, token, address, trusted_at, expires_at, last_used_at, mac)
        SELECT id, id, id::text::bytea, '', now(), now() + random() * interval '1 day', now(), '' FROM accounts;
    INSERT INTO profiles
        SELECT id::text::bytea, id, id, now(), now() + random() * interval '1 day', '' FROM accounts;
    INSERT INTO recovery_codes SELECT id, id::text::bytea, now(), NULL FROM accounts;
    INSERT INTO outbox
        -- In the order in which they were made, as they are: what the planner thinks of anything else is a toss-up.
        SELECT id, id, '', '', now() - row_number() OVER () * interval '8 seconds',
               now() + row_number() OVER () * interval '8 seconds', 1, ''
        FROM accounts;
    INSERT INTO told SELECT id, 'kind', now() FROM accounts;
    INSERT INTO known_browsers SELECT id, id::text::bytea, now() - random() * interval '1 day' FROM accounts;
    INSERT INTO enrolment_links
        SELECT id, id::text::bytea, now(), now() + random() * interval '1 day', '' FROM accounts;
    INSERT INTO mail_codes
        SELECT id, id, id::text, now() - random() * interval '1 day', 0 FROM accounts;
    INSERT INTO clients_seen SELECT id, 'Foxmail', now() - random() * interval '1 day' FROM accounts;
    INSERT INTO used_forms SELECT id::text::bytea, now() - random() * interval '1 day' FROM accounts;
    INSERT INTO used_challenges SELECT id::text::bytea, now() + random() * interval '5 minutes' FROM accounts;
    INSERT INTO live_sessions SELECT id, id, id, 'imap', '', '', id, 'legacy', now(), 0, 0 FROM accounts;
    ANALYZE;
    SET plan_cache_mode = force_generic_plan";

pub(super) async fn no_statement_reads_a_whole_table_but_those_that_list_one(database: Database) {
    let store = Store::open(&database).await.unwrap();
    let lists = [
        "SELECT key_check FROM site",
        " FROM accounts WHERE state <> 'removed' ORDER BY address",
        " FROM accounts WHERE id IN (SELECT account FROM portal_sessions) ORDER BY address",
    ];
    let lists = |statement: &str| {
        lists.iter().any(|end| statement.ends_with(end))
            || statement.ends_with(" ORDER BY chain")
            || statement.ends_with(" = app_password ORDER BY since, live_sessions.id")
            // as many rows as there are gates
            || statement.starts_with("DELETE FROM nodes WHERE beat <")
            || statement.starts_with("SELECT COUNT(*) FROM nodes WHERE beat >=")
            // ten thousand at most, and those who are beyond are counted from the youngest
            || statement.starts_with("DELETE FROM outbox WHERE id IN (SELECT id FROM outbox ORDER BY")
    };
    let mut postgres = match &store {
        Store::Sqlite(..) => None,
        Store::Postgres(pool) => Some(pool.acquire().await.unwrap()),
    };
    if let Some(connection) = &mut postgres {
        connection.execute(sqlx::raw_sql(MANY_ROWS)).await.unwrap();
    }
    for (number, statement) in statements().enumerate() {
        let plan: Vec<String> = match (&store, &mut postgres) {
            (Store::Sqlite(pool, _), _) => {
                let explain = AssertSqlSafe(format!("EXPLAIN QUERY PLAN {statement}"));
                sqlx::query(explain)
                    .fetch_all(pool)
                    .await
                    .unwrap()
                    .iter()
                    .map(|row| row.get("detail"))
                    .collect()
            }
            (Store::Postgres(_), Some(connection)) => {
                let parameters = (1..40).filter(|n| statement.contains(&format!("${n}"))).count();
                let nulls = vec!["NULL"; parameters].join(", ");
                let call = if nulls.is_empty() { String::new() } else { format!("({nulls})") };
                let prepare = AssertSqlSafe(format!("PREPARE s{number} AS {statement}"));
                connection.execute(sqlx::raw_sql(prepare)).await.unwrap();
                let explain = AssertSqlSafe(format!("EXPLAIN EXECUTE s{number}{call}"));
                let rows = connection.fetch_all(sqlx::raw_sql(explain)).await.unwrap();
                rows.iter().map(|row| row.get(0)).collect()
            }
            (Store::Postgres(_), None) => unreachable!(),
        };
        let whole = plan.iter().any(|step| step.contains("SCAN ") || step.contains("Seq Scan"));
        assert!(lists(statement) || !whole, "{statement}\n{}", plan.join("\n"));
    }
}

fn statement_text(statement: &'static str) -> sqlx::SqlStr {
    sqlx::SqlSafeStr::into_sql_str(statement)
}
